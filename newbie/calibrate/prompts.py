"""Prompts to calibrate with: one and two figures put together from everyday words, or the files of a folder."""

from __future__ import annotations

import random
from pathlib import Path

from newbie.errors import UsageError
from newbie.prompt import read_file

SUFFIXES = (".xml", ".txt")
_HAIR = ("black", "brown", "blonde", "blue", "pink", "silver", "red", "green", "purple", "white")
_STYLE = ("long_hair", "short_hair", "twintails", "ponytail", "bob_cut", "braid")
_EYES = ("blue", "green", "red", "brown", "purple", "yellow")
_CLOTHES = ("white_serafuku", "black_hoodie", "red_dress", "blue_kimono", "green_sweater", "white_shirt, black_skirt")
_FACE = ("smile", "open_mouth", "closed_mouth", "blush", "surprised", "closed_eyes, smile")
_ACTION = ("standing", "sitting", "waving", "looking_at_viewer", "holding_book", "walking")
_PLACE = ("cherry_blossoms", "classroom", "beach", "night_sky", "simple_background", "city_street", "snow", "forest")


def drawn_up(count: int, seed: int = 0) -> list[str]:
    """So many prompts, the same for the same seed; every fourth is about two figures, every eighth is plain tags."""
    return [_prompt(random.Random(f"{seed}/{i}"), i) for i in range(count)]


def of_folder(place: Path) -> list[str]:
    """The prompts of a file or of a folder, by name.

    Raises:
        UsageError: there are none.
        PromptError: one cannot be read.
    """
    files = sorted(path for path in place.iterdir() if path.suffix in SUFFIXES) if place.is_dir() else [place]
    if not files or not all(path.is_file() for path in files):
        raise UsageError(f"{place}: no prompts there", f"name a folder with {' or '.join(SUFFIXES)} files")
    return [read_file(path).source.text for path in files]


def _prompt(rng: random.Random, number: int) -> str:
    if number % 8 == 7:
        return f"1girl, {_looks(rng)}, {rng.choice(_CLOTHES)}, {rng.choice(_FACE)}, {rng.choice(_PLACE)}"
    places = ("left", "right") if number % 4 == 3 else ("center",)
    figures = "".join(_figure(rng, i, place) for i, place in enumerate(places, start=1))
    count = "2girls" if len(places) > 1 else "solo"
    general = f"<count>{count}</count>\n<background>{rng.choice(_PLACE)}</background>"
    return f"{figures}<general_tags>\n{general}\n</general_tags>"


def _figure(rng: random.Random, number: int, place: str) -> str:
    said = {
        "gender": "1girl",
        "appearance": _looks(rng),
        "clothing": rng.choice(_CLOTHES),
        "expression": rng.choice(_FACE),
        "action": rng.choice(_ACTION),
        "position": place,
    }
    inside = "\n".join(f"<{name}>{value}</{name}>" for name, value in said.items())
    return f"<character_{number}>\n{inside}\n</character_{number}>\n"


def _looks(rng: random.Random) -> str:
    return f"{rng.choice(_HAIR)}_hair, {rng.choice(_STYLE)}, {rng.choice(_EYES)}_eyes"
