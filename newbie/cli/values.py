"""How a typed text becomes a value, in all the spellings people use. Each raises UsageError with an example."""

from __future__ import annotations

import re

from newbie.accel import compose
from newbie.errors import UsageError
from newbie.regions.schedule import Regions


def whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{text:.40} is not a whole number", "digits only, for example 20") from None


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{text:.40} is not a number", "for example 3.5") from None


def seed(text: str) -> int:
    return -1 if text.lower() in ("random", "-1") else whole(text)


def size(text: str) -> tuple[int, int]:
    """`1024x768` (width first) or `512`. Raises UsageError."""
    match = re.fullmatch(r"\s*(\d{1,9})(?:\s*[xX×*]\s*(\d{1,9}))?\s*", text)
    if not match:
        raise UsageError(f"{text:.40} is not a size", "width x height in pixels, for example 1024x768")
    return int(match[1]), int(match[2] or match[1])


def axes(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\d{1,5}(,\d{1,5}){2}", text):
        raise UsageError(f"{text:.40} are not three axes", "for example 32,32,32")
    return tuple(int(part) for part in text.split(","))


def system_prompt(text: str) -> str | None:
    return {"auto": None, "none": ""}.get(text.lower(), text)


def regions(text: str) -> str:
    """As typed, if it says something. Raises UsageError."""
    Regions.parse(text)
    return text.strip().lower()


def accel(text: str) -> str:
    """As typed, if it names accelerations that go together; "none" is none. Raises UsageError."""
    text = "" if text.strip().lower() == "none" else text.strip()
    compose.asked(text, "")
    return text


def plan(text: str) -> str:
    """As typed, if it is a preset's name or a file that holds a plan; "none" is none. Raises UsageError."""
    text = "" if text.strip().lower() == "none" else text.strip()
    compose.asked("", text)
    return text


def switch(text: str) -> bool:
    try:
        return {"on": True, "yes": True, "true": True, "off": False, "no": False, "false": False}[text.lower()]
    except KeyError:
        raise UsageError(f"{text:.40} is neither on nor off", "on or off") from None


def sampler(text: str) -> str:
    """Our name of a sampler: `DPM++ 2M`, `dpmpp-2m` and `dpm_solver++` are one thing."""
    name = schedule(text).replace("++", "pp")
    return {"dpm": "dpmpp_2m", "dpmpp": "dpmpp_2m", "dpm_solverpp": "dpmpp_2m", "res": "res_multistep"}.get(name, name)


def schedule(text: str) -> str:
    return re.sub(r"[\s-]+", "_", text.strip().lower())


def dtype(text: str) -> str:
    name = text.strip().lower().removeprefix("torch.")
    return {"fp32": "float32", "f32": "float32", "bfloat16": "bf16", "float16": "fp16", "half": "fp16"}.get(name, name)
