"""What a drawing shows: frozen values, drawn at random from a seeded generator.

`sample` is the only source of training pictures. A fixed share of all attribute combinations is kept out of it
(`held_out`) so that the evaluation can ask for pictures the model has never seen.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from newbie.errors import UsageError
from newbie.train.figures import words
from newbie.train.figures.names import NAMED

Split = Literal["train", "held_out", "pairs", "any"]

HELD_OUT_SHARE: Final = 16  # one combination in sixteen is never trained

# Twelve pairs of attributes that no trained figure has both of: does the model compose what it has only seen apart?
HELD_OUT_PAIRS: Final = (
    ("hair_color", "green", "eye_color", "pink"),
    ("hair_color", "orange", "eye_color", "purple"),
    ("hair_color", "white", "eye_color", "brown"),
    ("hair_color", "purple", "eye_color", "yellow"),
    ("hair_color", "pink", "hair_style", "braid"),
    ("hair_color", "blue", "hair_style", "ponytail"),
    ("hair_color", "blonde", "outfit", "sweater"),
    ("hair_style", "bob_cut", "outfit", "serafuku"),
    ("outfit", "kimono", "outfit_color", "black"),
    ("outfit", "hoodie", "outfit_color", "purple"),
    ("outfit", "dress", "outfit_color", "green"),
    ("outfit", "blazer", "outfit_color", "pink"),
)
Pair = tuple[str, str, str, str]


HANDS_FREE: Final = ("standing", "sitting")  # what one can do with something in the hand


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
    prop: str = ""
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
        if self.prop:
            check("prop", self.prop, words.PROPS)
            check("action", self.action, HANDS_FREE)


@dataclass(frozen=True, slots=True)
class PictureSpec:
    """A whole picture: characters from left to right, where they are, and a seed for clouds, petals and stars."""

    characters: tuple[Character, ...]
    background: str = "white_background"
    framing: str = "upper_body"
    lighting: str = "daylight"
    style: str = "anime_style"
    shape: str = "square"
    seed: int = 0

    def __post_init__(self) -> None:
        check("background", self.background, words.BACKGROUNDS)
        check("framing", self.framing, words.FRAMINGS)
        check("lighting", self.lighting, words.LIGHTS)
        check("style", self.style, words.STYLES)
        check("shape", self.shape, words.SHAPES)
        for character in self.characters:
            if character.action in words.SEATED and self.framing != "full_body":
                raise UsageError(f"{character.action} is not seen in {self.framing}", "choose framing full_body")
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


def has_pair(character: Character, pair: Pair) -> bool:
    """True where the figure shows both attributes of `pair`."""
    return getattr(character, pair[0]) == pair[1] and getattr(character, pair[2]) == pair[3]


def has_held_out_pair(spec: PictureSpec) -> bool:
    """True where some figure shows one of the twelve pairs."""
    return any(has_pair(character, pair) for character in spec.characters for pair in HELD_OUT_PAIRS)


def sample(rng: random.Random, *, split: Split = "train", characters: int | None = None) -> PictureSpec:
    """Draw one spec: from the trained ones, the held-out combinations, those with a held-out pair, or all of them.

    `characters` fixes the number of figures (1 to 3); by default 45 % of the pictures show one, 36 % two.
    """
    if characters not in (None, 1, 2, 3):
        raise UsageError(f"{characters} characters cannot be drawn", "pass characters=1, 2 or 3")
    while True:
        spec = _picture(rng, characters or rng.choices((1, 2, 3), weights=(45, 36, 19))[0])
        if split == "any":
            return spec
        pair = has_held_out_pair(spec)
        if split == "pairs" and pair:
            return spec
        if split != "pairs" and not pair and held_out(spec) == (split == "held_out"):
            return spec


def sample_pair(rng: random.Random, pair: Pair, characters: int) -> PictureSpec:
    """A spec of `characters` figures in which one, at random, shows `pair`."""
    while True:
        spec = _picture(rng, characters)
        place = rng.randrange(characters)
        figures = list(spec.characters)
        try:
            shown: dict[str, Any] = {pair[0]: pair[1], pair[2]: pair[3]}
            figures[place] = replace(figures[place], name="", **shown)
        except UsageError:
            continue
        if fits(figures[place]):
            return replace(spec, characters=tuple(figures))


def fits(character: Character) -> bool:
    """Can this figure be drawn well? Some hair and clothes are drawn for girls only, and some things press spikes."""
    girl = character.gender == "girl"
    return (
        character.hair_style in (words.GIRL_STYLES if girl else words.BOY_STYLES)
        and character.outfit in (words.GIRL_OUTFITS if girl else words.BOY_OUTFITS)
        and not (character.hair_style == "spiky_hair" and "headphones" in character.accessories)
    )


POSITIONS_OF_TWO: Final = (("left", "right"), ("center_left", "center_right"))


def _picture(rng: random.Random, count: int) -> PictureSpec:
    if count == 1:
        positions = tuple(rng.choices(words.POSITIONS, weights=(15, 10, 50, 10, 15)))
        shapes = (50, 32, 18)
    elif count == 2:
        positions = rng.choices(POSITIONS_OF_TWO, weights=(70, 30))[0]
        shapes = (60, 0, 40)
    else:
        positions = ("left", "center", "right")
        shapes = (55, 0, 45)
    framing = "full_body" if rng.random() < 0.3 else "upper_body"
    return PictureSpec(
        characters=tuple(_character(rng, position, framing, alone=count == 1) for position in positions),
        background=rng.choice(words.BACKGROUNDS),
        framing=framing,
        lighting=rng.choices(words.LIGHTS, weights=(70, 10, 10, 10))[0],
        style=rng.choices(words.STYLES, weights=(70, 10, 10, 10))[0],
        shape=rng.choices(words.SHAPES, weights=shapes)[0],
        seed=rng.randrange(1 << 30),
    )


def _character(rng: random.Random, position: str, framing: str, *, alone: bool) -> Character:
    action = rng.choices(words.ACTIONS, weights=(58, 10, 9, 8, 8, 14 if framing == "full_body" else 0))[0]
    return Character(
        **_design(rng),
        mouth=rng.choices(words.MOUTHS, weights=(34, 30, 18, 18))[0],
        lids=rng.choices(words.LIDS, weights=(78, 14, 8))[0],
        blush=rng.random() < 0.25,
        action=action,
        prop=rng.choice(words.PROPS) if action in HANDS_FREE and rng.random() < 0.3 else "",
        position=position,
        pose=_pose(rng, side=_INWARD.get(position) if alone else None),
    )


def _design(rng: random.Random) -> dict[str, Any]:
    """What a figure looks like: one in seven is somebody with a name."""
    if rng.random() < 1 / 7:
        name = rng.choice(tuple(NAMED))
        return {"name": name, **NAMED[name]}
    girl = rng.random() < 0.65
    hair_style = rng.choice(words.GIRL_STYLES if girl else words.BOY_STYLES)
    return {
        "gender": "girl" if girl else "boy",
        "hair_color": rng.choice(words.HAIR_COLORS),
        "hair_style": hair_style,
        "eye_color": rng.choice(words.EYE_COLORS),
        "outfit": rng.choice(words.GIRL_OUTFITS if girl else words.BOY_OUTFITS),
        "outfit_color": rng.choice(words.OUTFIT_COLORS),
        "accessories": _accessories(rng, girl, hair_style),
    }


def _accessories(rng: random.Random, girl: bool, hair_style: str) -> tuple[str, ...]:
    """At most one thing on the head, and glasses. Headphones would press spikes flat, so they never meet."""
    on_head = rng.random()
    bounds: tuple[tuple[str, float], ...]
    if girl:
        bounds = (("hair_bow", 0.15), ("cat_ears", 0.28), ("hair_flower", 0.4), ("headphones", 0.5))
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
