"""What a picture is asked for: one shape behind every door (flags, prompt loop, Python, PNG text). No torch.

A field that is None means "as the model recommends"; `Request.resolved` fills it from the model's
`Recommended` row, so that what is stored with a picture is always complete.
"""

from __future__ import annotations

import dataclasses
import math
import os.path
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from newbie.errors import UsageError, did_you_mean

SIZE_MULTIPLE = 16  # 8 (autoencoder) x 2 (patch)
MIN_SIDE, MAX_SIDE = 32, 8192
MAX_PIXELS = 4096 * 4096
MAX_STEPS = 1000
MAX_COUNT = 10_000
MAX_SEED = 2**63 - 1
MAX_STRENGTH = 100.0  # of an adapter, in either direction

SAMPLERS = ("euler", "midpoint", "heun", "rk4", "dpmpp_2m", "res_multistep")
SCHEDULES = (
    "auto", "official", "dpm", "simple", "normal", "sgm_uniform", "beta", "ddim_uniform", "linear_quadratic",
)  # fmt: skip
PROMPT_MODES = ("official", "nodes", "comfyui")


def _as_named(request: Request) -> Mapping[str, Any]:
    """Of a model that is not opened: a preset's name stays what it is."""
    return {}


@dataclass(frozen=True, kw_only=True)
class Recommended:
    """What a model is best used with. The defaults are those of NewBie-image-Exp0.1 (model card and demo)."""

    width: int = 1024
    height: int = 1024
    steps: int = 28
    cfg_scale: float = 4.5
    cfg_trunc: str = ""
    cfg_renorm: float = 0.0
    sampler: str = "euler"
    schedule: str = "auto"
    shift: float = 6.0
    canonical: bool = False
    system_prompt: str | None = None  # None: the training strings, "": none
    regions: str = "boxes"
    preset: Callable[[Request], Mapping[str, Any]] = field(
        default=_as_named, compare=False
    )  # what a request's preset makes of its fields

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Recommended:
        """Unknown keys are ignored, so that a newer model folder still opens."""
        return cls(**{k: v for k, v in values.items() if k in cls.names()})

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads. Presets are of another file (`newbie.accel.calibration`)."""
        return {name: getattr(self, name) for name in self.names()}

    @classmethod
    def names(cls) -> list[str]:
        """The fields of a request that are recommended."""
        return [f.name for f in fields(cls) if f.name != "preset"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One prompt and how to draw it; `count` pictures with the seeds seed, seed + 1, …"""

    prompt: str = ""
    negative: str = ""
    width: int | None = None  # pixels
    height: int | None = None  # pixels
    steps: int | None = None  # intervals of the time grid
    cfg_scale: float | None = None
    cfg_trunc: str | None = None  # "time:0.25", "steps:0.5", "sigma:0.1-0.8"; "" = guided to the end
    cfg_renorm: float | None = None  # 0 = off
    sampler: str | None = None
    schedule: str | None = None
    shift: float | None = None
    seed: int = -1  # -1 = random
    count: int = 1
    batch_size: int = 1  # pictures that share one evaluation
    canonical: bool | None = None  # send our canonical layout instead of the text as typed
    system_prompt: str | None = None  # None = automatic, "" = none
    prompt_mode: str = "official"  # how the encoders' texts are assembled
    unescape_parentheses: bool = False
    weights: bool = True  # (tag:1.2) weighs its words; False: it is text, as in the official code
    regions: str | None = None  # which areas are coupled with their characters: auto, boxes, off, or a strength
    accel: str = ""  # approximate accelerations: "fbcache:threshold=0.08,delta" (`newbie.accel.methods`); "" = exact
    plan: str = ""  # a plan file, or a preset (`newbie.accel.plan`, `newbie.accel.calibration.Named`); "" = none

    def resolved(self, recommended: Recommended) -> Request:
        """Every field set, the seed drawn, everything checked.

        Raises:
            UsageError: a number is out of range, and the hint gives the nearest valid value; or a preset that there is
                not, or not for this request.
        """
        best = recommended.to_json()
        filled = {name: value for name, value in best.items() if getattr(self, name) is None and value is not None}
        filled |= recommended.preset(self)
        if "width" in filled and self.height is not None:
            filled["width"] = self.height if recommended.width == recommended.height else filled["width"]
        if "height" in filled and self.width is not None:
            filled["height"] = self.width if recommended.width == recommended.height else filled["height"]
        request = dataclasses.replace(self, **filled)
        request.check()
        if request.seed == -1:
            import secrets  # brings OpenSSL along, which a linter that has to start at once can do without

            request = dataclasses.replace(request, seed=secrets.randbelow(2**32))
        return request

    def check(self) -> None:
        """Raise UsageError for the first field that is out of range. Fields left at None are not checked."""
        for name in ("width", "height"):
            if (value := getattr(self, name)) is not None:
                _check_side(name, value)
        if self.width and self.height and self.width * self.height > MAX_PIXELS:
            raise UsageError(
                f"size {self.width}x{self.height} has {self.width * self.height:,} pixels",
                f"at most {MAX_PIXELS:,}; for example 2048x2048",
            )
        _check_int("steps", self.steps, 1, MAX_STEPS)
        _check_int("count", self.count, 1, MAX_COUNT)
        _check_int("batch_size", self.batch_size, 1, MAX_COUNT)
        _check_int("seed", self.seed, -1, MAX_SEED, "-1 draws a random seed")
        _check_float("cfg_scale", self.cfg_scale, 0.0, 100.0)
        _check_float("cfg_renorm", self.cfg_renorm, 0.0, 100.0)
        _check_float("shift", self.shift, 0.01, 100.0)
        _check_choice("sampler", self.sampler, SAMPLERS)
        _check_choice("schedule", self.schedule, SCHEDULES)
        _check_choice("prompt_mode", self.prompt_mode, PROMPT_MODES)

    def seeds(self) -> list[int]:
        """The seed of each picture, in order; they wrap round at the largest seed."""
        return [(self.seed + i) % (MAX_SEED + 1) for i in range(self.count)]

    def to_json(self) -> dict[str, Any]:
        """A plain dict that `from_json` turns back into an equal Request."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Request:
        """Raises UsageError for an unknown field or a value of the wrong type."""
        if not isinstance(values, Mapping):
            raise UsageError(f"a request is an object, not {type(values).__name__}")
        kinds = {f.name: str(f.type) for f in fields(cls)}
        for key, value in values.items():
            if key not in kinds:
                raise UsageError(f"unknown request field {key!r}", "known: " + ", ".join(kinds))
            if not _fits(value, kinds[key]):
                raise UsageError(f"request field {key!r} is {value!r}", f"it should be {kinds[key]}")
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the work is done, not what is drawn. "auto" is resolved on this machine and reported."""

    device: str = "auto"  # auto, cpu, cuda, cuda:1, mps
    device_map: str = ""  # parts elsewhere: "auto", or "text-encoder=cpu,vae=cuda:1" (`newbie.memory.device_map`)
    dtype: str = "auto"  # auto, float32, bf16, fp16
    vae_dtype: str = "auto"
    attention: str = "auto"
    leaves: str = "auto"  # auto, plain, cpu, triton: how the parts of a block are computed
    compile: bool = False  # and whether they are compiled
    cuda_graphs: bool = False  # evaluations are recorded on the card and replayed
    quant: str = ""  # which weights are kept in fewer bits, and how (`newbie.quant.choice`)
    quant_skip: str = ""  # parts of names of layers that stay as they are
    memory: str = ""  # how much may be used: "6GB", or "auto": what is free; "": all of it is loaded, without a plan
    offload: str = ""  # how parts are in memory (`newbie.memory.planner.OFFLOAD`); "": as fits into `memory`
    vae_tile: int = 0  # pixels: the side of tiles that pictures are decoded in; 0: as fits


class AdapterChoice(NamedTuple):
    """An adapter file (or a trainer's folder) and how strongly it is applied: 1 as it was trained, 0 not at all."""

    path: str
    strength: float = 1.0

    @classmethod
    def parse(cls, text: str) -> AdapterChoice:
        """`FILE` or `FILE:STRENGTH`; a file whose own name ends in a colon and a number is found all the same.

        Raises:
            UsageError: no file is named, or the strength is out of range.
        """
        text = text.strip()
        path, colon, last = text.rpartition(":")
        there = os.path.exists(text)  # noqa: PTH110 (a name too long for a file is no error here)
        if not colon or there or (strength := _as_number(last)) is None:
            path, strength = text, 1.0
        if not path:
            raise UsageError(f"{text!r} names no adapter", "FILE or FILE:STRENGTH, for example style.safetensors:0.8")
        _check_float("strength", strength, -MAX_STRENGTH, MAX_STRENGTH)
        return cls(path, strength)


@dataclass(frozen=True)
class Result:
    """What came out. `images` are Pillow pictures; `records` hold what is stored with each of them."""

    images: list[Any]
    seeds: list[int]
    records: list[dict[str, Any]]
    request: Request
    ran: dict[str, Any]
    seconds: dict[str, float]
    notes: list[str] = field(default_factory=list)
    work: dict[str, int] = field(default_factory=dict)  # what it took: evaluations, rows in them, texts encoded, …
    # Where asked for: for each picture, by the path of an element, how much each place heard of it (`regions.heat`).
    heatmaps: list[dict[str, Any]] = field(default_factory=list)
    peak_memory: int = 0  # bytes: the most that the device, or on a CPU this process, held so far; 0: nobody tells
    latents: list[Any] = field(default_factory=list)  # of each picture: (C, h, w) float32 on the CPU


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _fits(value: object, kind: str) -> bool:
    allowed: tuple[type, ...] = ()
    for part in kind.split(" | "):
        if part == "None" and value is None:
            return True
        allowed += {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}.get(part, ())
    if isinstance(value, bool) and bool not in allowed:
        return False
    return isinstance(value, allowed)


def _check_side(name: str, value: int) -> None:
    nearest = min(max(round(value / SIZE_MULTIPLE) * SIZE_MULTIPLE, MIN_SIDE), MAX_SIDE)
    if not MIN_SIDE <= value <= MAX_SIDE:
        raise UsageError(
            f"{name} {value} is out of range",
            f"{MIN_SIDE} to {MAX_SIDE} pixels, a multiple of {SIZE_MULTIPLE}; the nearest is {nearest}",
        )
    if value % SIZE_MULTIPLE:
        raise UsageError(
            f"{name} {value} is not a multiple of {SIZE_MULTIPLE}",
            f"the nearest is {nearest}",
        )


def _check_int(name: str, value: int | None, low: int, high: int, note: str = "") -> None:
    if value is not None and not low <= value <= high:
        nearest = min(max(value, low), high)
        text = f"between {low} and {high}; the nearest is {nearest}"
        raise UsageError(f"{name} {value} is out of range", f"{text} ({note})" if note else text)


def _check_float(name: str, value: float | None, low: float, high: float) -> None:
    if value is None:
        return
    if not math.isfinite(value):
        raise UsageError(f"{name} {value} is not a number", f"between {low:g} and {high:g}")
    if not low <= value <= high:
        raise UsageError(
            f"{name} {value:g} is out of range",
            f"between {low:g} and {high:g}; the nearest is {min(max(value, low), high):g}",
        )


def _check_choice(name: str, value: str | None, choices: tuple[str, ...]) -> None:
    if value is not None and value not in choices:
        hint = did_you_mean(value, choices) + "choose from " + ", ".join(choices)
        raise UsageError(f"unknown {name} {value!r}", hint)
