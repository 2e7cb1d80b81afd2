"""`diff --images`: the pictures of two prompts for one seed, and how much changed inside and outside each character."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from newbie import images
from newbie.cli.console import Console
from newbie.cli.draw import Engine
from newbie.cli.names import safe_name
from newbie.cli.progress import Progress
from newbie.errors import UsageError
from newbie.prompt import Reading
from newbie.prompt.boxes import Box
from newbie.regions.boxes import boxes
from newbie.request import Request, Result


class Amount(NamedTuple):
    """How much a part of the picture changed. NaN for a part without pixels."""

    pixels: float  # share of its pixels that changed visibly, 0 ... 1
    levels: float  # mean change of a colour channel, 0 ... 255


class Place(NamedTuple):
    """One character: what changed in its area, and what outside it."""

    path: str
    inside: Amount
    outside: Amount


def compare(
    readings: Sequence[Reading],
    stems: Sequence[str],
    fields: Mapping[str, Any],
    folder: Path,
    console: Console,
    opened: Callable[[], Engine],
) -> dict[str, Any]:
    """Draw both prompts with the same settings and seed, save them and a picture of the change, tell the amounts.

    Raises:
        UsageError: more than one picture of each was asked for.
        NewbieError: as drawing any picture.
    """
    if fields.get("count", 1) != 1:
        raise UsageError(f"--images draws one picture of each prompt, not {fields['count']}", "leave -n out")
    images.make_folder(folder)
    engine = opened()
    first = Request(prompt=readings[0].source.text, **fields).resolved(engine.recommended)
    requests = (first, dataclasses.replace(first, prompt=readings[1].source.text))
    names = [safe_name(stem) for stem in stems]
    if names[0] == names[1]:
        names = [f"{names[0]}-a", f"{names[1]}-b"]
    drawn = _draw(engine, requests, names, console)
    seed = drawn[0].seeds[0]
    pixels = [np.asarray(result.images[0].convert("RGB")).astype(np.int16) for result in drawn]
    change = np.abs(pixels[1] - pixels[0])
    paths = [
        images.save(result.images[0], folder / f"{name}-{seed}.png", result.records[0])
        for result, name in zip(drawn, names, strict=True)
    ]
    paths.append(
        images.save(
            images.difference(*(result.images[0] for result in drawn)),
            folder / f"{'-'.join(names)}-{seed}-change.png",
            metadata=False,
        )
    )
    places = amounts(change, areas(readings))
    whole = _amount(change, np.ones(change.shape[:2], dtype=bool))
    _tell(console, paths, seed, places, whole)
    return {
        "seed": seed,
        "paths": [str(path) for path in paths],
        "whole": whole._asdict(),
        "characters": {p.path: {"inside": p.inside._asdict(), "outside": p.outside._asdict()} for p in places},
    }


def _draw(engine: Engine, requests: Sequence[Request], names: Sequence[str], console: Console) -> list[Result]:
    drawn = []
    with Progress(console, pictures=len(requests)) as progress:
        for request, name in zip(requests, names, strict=True):
            progress.begin(name, 1, request.steps or 1)
            drawn.append(engine.generate(request, on_step=progress.step))
            progress.clear()
    for note in dict.fromkeys(note for result in drawn for note in result.notes):
        console.warn(note)
    return drawn


def areas(readings: Sequence[Reading]) -> dict[str, list[Box]]:
    """Where each character stands, in either prompt. One who is alone in the picture has no area of their own."""
    found: dict[str, list[Box]] = {}
    for reading in readings:
        for path, box in boxes(reading).items():
            found.setdefault(path, []).append(box)
    return found


def amounts(change: np.ndarray, where: Mapping[str, Sequence[Box]]) -> list[Place]:
    """`change`: (height, width, 3) absolute differences of two pictures."""
    height, width = change.shape[:2]
    found = []
    for path, stood in where.items():
        mask = np.zeros((height, width), dtype=bool)
        for box in stood:
            rows = slice(round(box.y * height), round((box.y + box.height) * height))
            mask[rows, round(box.x * width) : round((box.x + box.width) * width)] = True
        found.append(Place(path, _amount(change, mask), _amount(change, ~mask)))
    return found


def _amount(change: np.ndarray, mask: np.ndarray) -> Amount:
    if not mask.any():
        return Amount(float("nan"), float("nan"))
    part = change[mask]
    return Amount(float((part.max(axis=1) >= images.VISIBLE).mean()), float(part.mean()))


def _tell(console: Console, paths: Sequence[Path], seed: int, places: Sequence[Place], whole: Amount) -> None:
    for path in paths:
        console.fact(f"{path}  seed {seed}")
    if console.json:
        return
    console.result(f"{'':<24}  {'visibly changed':>15}  {'mean change':>11}")
    for place in places:
        console.result(_row(f"{place.path}, inside", place.inside))
        console.result(_row(f"{place.path}, outside", place.outside))
    console.result(_row("the whole picture", whole))
    if not places:
        console.say("no character has an area of their own here")


def _row(name: str, amount: Amount) -> str:
    return f"{name:<24}  {amount.pixels:>14.1%}  {amount.levels:>7.1f}/255"
