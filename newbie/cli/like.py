"""`create.py --like PICTURE`: draw a picture again from its own record and say whether the pixels are the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from newbie import images
from newbie.cli.args import Asked
from newbie.cli.console import Console
from newbie.cli.names import Output
from newbie.cli.sources import DEFAULT_STEM
from newbie.request import Settings

if TYPE_CHECKING:
    from newbie.cli.draw import OpenEngine

_FORMATS = ("float32", "bf16", "fp16")


def repeat(asked: Asked, output: Output, console: Console, opener: OpenEngine | None) -> int:
    """Exit code 0 also where the pixels differ: that is told, not an error.

    Raises:
        UsageError: the picture has no record, or one that cannot be trusted.
    """
    assert asked.like is not None
    stored = images.read_record(asked.like)
    before = images.pixel_hash(images.read_pixels(asked.like))
    if before != stored.record.get("pixels_sha256"):
        console.warn(f"{asked.like.name} was changed after it was made: its pixels are not those of its record")
    request = dataclasses.replace(stored.request, **({"count": 1} | asked.request))
    request.check()
    if asked.explain:
        from newbie.cli.explain import explain

        explain([(asked.like.name, request)], asked, console, opener)
        return 0
    from newbie.cli.draw import Drawer, open_engine

    images.make_folder(output.folder)
    settings = Settings(**(_settings_of(stored.record) | asked.settings))
    engine = open_engine(asked.model, settings, console, opener)
    then, now = stored.record.get("ran", {}).get("weights"), engine.describe().get("weights")
    if then != now:
        console.warn(f"{asked.like.name} was made by other weights: {_short(then)} then, {_short(now)} now")
    drawer = Drawer.of(asked, engine, console, output, expected=None if asked.request else before)
    file_name = PurePath(str(stored.record.get("prompt_name", ""))).name
    name = PurePath(file_name).stem or DEFAULT_STEM
    for made in drawer.draw(request.resolved(engine.recommended), name=name, file_name=file_name):
        if asked.request:
            console.say("changed: " + ", ".join(sorted(asked.request)) + "; the pixels are not compared")
            continue
        if made.record["pixels_sha256"] == before:
            console.fact(f"pixels identical to {asked.like.name}")
            continue
        console.fact(f"pixels differ from {asked.like.name}")
        for line in differences(stored.record, made.record):
            console.say("  " + line)
    return 0


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What was otherwise when the picture was made: weights, versions, device, number format, kernel."""
    lines = []
    for part in ("ran", "versions"):
        old, new = before.get(part, {}), now.get(part, {})
        for key in [*old, *(k for k in new if k not in old)]:
            if old.get(key) != new.get(key):
                lines.append(f"{key.replace('_', ' ')}: {old.get(key, 'none')} then, {new.get(key, 'none')} now")
    return lines or ["the record names no difference: another machine or number of threads, perhaps"]


def _short(weights: object) -> str:
    return str(weights).removeprefix("sha256:")[:12]


def _settings_of(record: Mapping[str, Any]) -> dict[str, str]:
    """The number formats the picture was computed in; device and kernel are this machine's choice."""
    ran = record.get("ran", {})
    return {key: ran[key] for key in ("dtype", "vae_dtype") if ran.get(key) in _FORMATS}
