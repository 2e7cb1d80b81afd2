"""What a drawing shows: frozen values, drawn at random from a seeded generator.

`sample` is the only source of training pictures. A fixed share of all attribute combinations is kept out of it
(`held_out`) so that the evaluation can ask for pictures the model has never seen.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass
from typing import Final, Literal

from newbie.errors import UsageError
from newbie.train.figures import words

Split = Literal["train", "held_out", "any"]

HELD_OUT_SHARE: Final = 16  # one combination in sixteen is never trained


@dataclass(frozen=True, slots=True)
class Pose:
    """Variation no caption speaks of. Offsets in hundredths of the picture height; tilt in degrees, clockwise."""

    dx: float = 0.0
    dy: float = 0.0
    scale: float = 1.0
    tilt: float = 0.0
    turn: float = 0.0  # -1 faces the viewer's left, 1 the right
    gaze_x: float = 0.0
    gaze_y: float = 0.0
    bangs: int = 0
    side: int = 1  # which side a ponytail, a braid, a bow or a raised hand is on: -1 left, 1 right
    ahoge: bool = False


@dataclass(frozen=True, slots=True)
class Character:
    """One figure. Every field but `pose` can be read in a caption; the values are those of `words.py`."""

    gender: str = "girl"
    hair_color: str = "blue"
    hair_style: str = "long_hair"
    eye_color: str = "blue"
    outfit: str = "serafuku"
    outfit_color: str = "blue"
    mouth: str = "smile"
    lids: str = "open"
    blush: bool = False
    accessories: tuple[str, ...] = ()
    action: str = "standing"
    position: str = "center"
    name: str = ""
    pose: Pose = Pose()

    def __post_init__(self) -> None:
        allowed = {
            "gender": words.GENDERS,
            "hair_color": words.HAIR_COLORS,
            "hair_style": words.HAIR_STYLES,
            "eye_color": words.EYE_COLORS,
            "outfit": words.OUTFITS,
            "outfit_color": words.OUTFIT_COLORS,
            "mouth": words.MOUTHS,
            "lids": words.LIDS,
            "action": words.ACTIONS,
            "position": words.POSITIONS,
        }
        for field, values in allowed.items():
            check(field, getattr(self, field), values)
        for accessory in self.accessories:
            check("accessories", accessory, words.ACCESSORIES)


@dataclass(frozen=True, slots=True)
class PictureSpec:
    """A whole picture: characters from left to right, where they are, and a seed for clouds, petals and stars."""

    characters: tuple[Character, ...]
    background: str = "white_background"
    seed: int = 0

    def __post_init__(self) -> None:
        check("background", self.background, words.BACKGROUNDS)
        places = [words.POSITIONS.index(character.position) for character in self.characters]
        if places != sorted(places):
            raise UsageError(
                "the characters of a PictureSpec stand from left to right; got "
                + ", ".join(character.position for character in self.characters),
                "sort them by position before building the PictureSpec",
            )


def check(field: str, value: str, values: tuple[str, ...]) -> None:
    """Raise UsageError unless `value` is one of `values`."""
    if value not in values:
        raise UsageError(f"{field} is {value!r}, which cannot be drawn", f"choose one of {', '.join(values)}")


def held_out(spec: PictureSpec) -> bool:
    """True where this combination of attributes is reserved for the evaluation and never trained.

    Looks at hair colour, hair style, outfit and position of every character together, through CRC-32, so the rule
    is the same on every machine and needs no list.
    """
    key = ";".join(f"{c.hair_color},{c.hair_style},{c.outfit},{c.position}" for c in spec.characters)
    return zlib.crc32(key.encode()) % HELD_OUT_SHARE == 0


def sample(rng: random.Random, *, split: Split = "train", characters: int | None = None) -> PictureSpec:
    """Draw one spec: from the trained combinations, from the held-out ones, or from all of them.

    `characters` fixes the number of figures (1 or 2); by default 55 % of the pictures show one.
    """
    if characters not in (None, 1, 2):
        raise UsageError(f"{characters} characters cannot be drawn", "pass characters=1 or characters=2")
    while True:
        spec = _picture(rng, characters or (1 if rng.random() < 0.55 else 2))
        if split == "any" or held_out(spec) == (split == "held_out"):
            return spec


def _picture(rng: random.Random, count: int) -> PictureSpec:
    if count == 1:
        positions = tuple(rng.choices(words.POSITIONS, weights=(15, 10, 50, 10, 15)))
    else:
        positions = ("left", "right") if rng.random() < 0.7 else ("center_left", "center_right")
    return PictureSpec(
        characters=tuple(_character(rng, position, alone=count == 1) for position in positions),
        background=rng.choice(words.BACKGROUNDS),
        seed=rng.randrange(1 << 30),
    )


def _character(rng: random.Random, position: str, *, alone: bool) -> Character:
    girl = rng.random() < 0.65
    hair_style = rng.choice(words.GIRL_STYLES if girl else words.BOY_STYLES)
    return Character(
        gender="girl" if girl else "boy",
        hair_color=rng.choice(words.HAIR_COLORS),
        hair_style=hair_style,
        eye_color=rng.choice(words.EYE_COLORS),
        outfit=rng.choice(words.GIRL_OUTFITS if girl else words.BOY_OUTFITS),
        outfit_color=rng.choice(words.OUTFIT_COLORS),
        mouth=rng.choices(words.MOUTHS, weights=(40, 34, 13, 13))[0],
        lids=rng.choices(words.LIDS, weights=(80, 13, 7))[0],
        blush=rng.random() < 0.25,
        accessories=_accessories(rng, girl, hair_style),
        action="waving" if rng.random() < 0.2 else "standing",
        position=position,
        pose=_pose(rng, side=_INWARD.get(position) if alone else None),
    )


def _accessories(rng: random.Random, girl: bool, hair_style: str) -> tuple[str, ...]:
    """At most one thing on the head, and glasses. Headphones would press spikes flat, so they never meet."""
    on_head = rng.random()
    bounds: tuple[tuple[str, float], ...]
    if girl:
        bounds = (("hair_bow", 0.18), ("cat_ears", 0.32), ("hair_flower", 0.42), ("headphones", 0.5))
    elif hair_style == "spiky_hair":
        bounds = (("cat_ears", 0.15),)
    else:
        bounds = (("cat_ears", 0.1), ("headphones", 0.3))
    worn = next((name for name, bound in bounds if on_head < bound), None)
    glasses = ("glasses",) if rng.random() < 0.16 else ()
    return ((worn,) if worn else ()) + glasses


# A single figure at the edge wears its ponytail towards the middle, where the frame does not cut it off.
_INWARD: Final = {"left": 1, "center_left": 1, "center_right": -1, "right": -1}


def _pose(rng: random.Random, *, side: int | None) -> Pose:
    return Pose(
        dx=rng.uniform(-2.0, 2.0),
        dy=rng.uniform(-1.5, 1.5),
        scale=rng.uniform(0.95, 1.04),
        tilt=max(-11.0, min(11.0, rng.gauss(0.0, 4.5))),
        turn=max(-1.0, min(1.0, rng.gauss(0.0, 0.55))),
        gaze_x=rng.uniform(-1.0, 1.0),
        gaze_y=rng.uniform(-0.5, 0.8),
        bangs=rng.randrange(4),
        side=side or rng.choice((-1, 1)),
        ahoge=rng.random() < 0.35,
    )
