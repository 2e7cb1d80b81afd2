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
    from newbie.prompt.reuse.recipe import KEY, Recipe

    images.make_folder(output.folder)
    settings = Settings(**(_settings_of(stored.record) | asked.settings))
    engine = open_engine(asked.model, settings, console, opener, request)
    then, now = stored.record.get("ran", {}).get("weights"), engine.describe().get("weights")
    if then != now:
        console.warn(f"{asked.like.name} was made by other weights: {_short(then)} then, {_short(now)} now")
    warn_of_adapters(stored.record, engine.describe(), asked.like.name, console)
    drawer = Drawer.of(asked, engine, console, output, expected=None if asked.request else before)
    file_name = PurePath(str(stored.record.get("prompt_name", ""))).name
    name = PurePath(file_name).stem or DEFAULT_STEM
    recipe = Recipe.from_json(stored.record.get(KEY))
    for made in drawer.draw(request.resolved(engine.recommended), name=name, file_name=file_name, recipe=recipe):
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


def warn_of_adapters(record: Mapping[str, Any], now: Mapping[str, Any], name: str, console: Console) -> None:
    """Tell where a picture was drawn with other adapters than those worn now: their files cannot be guessed."""
    from newbie.cli.draw import adapters_told

    then = record.get("ran", {})
    if then.get("adapters", []) == now.get("adapters", []):
        return
    hashes = [f"{told} ({_short(worn['sha256'])})" for told, worn in zip(
        adapters_told(then), then.get("adapters", []), strict=True
    )]  # fmt: skip
    worn_now = ", ".join(adapters_told(now)) or "none"
    console.warn(f"{name} was drawn with the adapters {', '.join(hashes) or 'none'}; now with {worn_now}")


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What was otherwise when the picture was made: weights, versions, device, number format, kernel."""
    lines = []
    for part in ("ran", "versions"):
        old, new = before.get(part, {}), now.get(part, {})
        for key in [*old, *(k for k in new if k not in old)]:
            if old.get(key) != new.get(key):
                told = [_told(key, side) for side in (old, new)]
                lines.append(f"{key.replace('_', ' ')}: {told[0]} then, {told[1]} now")
    return lines or ["the record names no difference: another machine or number of threads, perhaps"]


def _told(key: str, side: Mapping[str, Any]) -> str:
    from newbie.cli.draw import adapters_told

    if key == "adapters":
        return ", ".join(adapters_told(side)) or "none"
    return str(side.get(key, "none"))


def _short(weights: object) -> str:
    return str(weights).removeprefix("sha256:")[:12]


def _settings_of(record: Mapping[str, Any]) -> dict[str, str]:
    """The number formats the picture was computed in; device and kernel are this machine's choice."""
    ran = record.get("ran", {})
    return {key: ran[key] for key in ("dtype", "vae_dtype") if ran.get(key) in _FORMATS}
