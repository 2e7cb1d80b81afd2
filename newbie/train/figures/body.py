"""What is under the clothes, and the arms: neck, torso, and arms that hang, rest on the hips or reach for something.

Shoulders at y = 72, the waist at 138. A bust shows down to about y = 130, three figures down to y = 180.
"""

from __future__ import annotations

import math
from typing import Final

from newbie.train.figures.palette import SKIN_TONE, Tone, outfit_tone, tone
from newbie.train.figures.pen import Path, Pen, Point, flow, oval, shape
from newbie.train.figures.spec import Character

WHITE_CLOTH: Final = tone((250, 250, 254))
RED_CLOTH: Final = tone((214, 44, 60))
NAVY_CLOTH: Final = tone((52, 66, 140))

MIDDLE: Final = {"left": 1, "center_left": 1, "center_right": -1, "right": -1}
ELBOW: Final[Point] = (62.0, 122.0)
RAISED: Final = ("waving", "peace_sign")


def inner(character: Character) -> int:
    """The side of the busy hand: towards the middle of the picture, so that the frame never cuts it off.

    Small things are held beside a braid rather than in front of it.
    """
    side = MIDDLE.get(character.position, character.pose.side)
    braided = character.hair_style == "braid" and character.pose.side == side
    return -side if braided and character.prop not in ("", "balloon") else side


def busy(character: Character, s: int) -> bool:
    """Is the forearm of side `s` drawn later, in front of everything?"""
    if character.action == "arms_up":
        return True
    return s == inner(character) and (character.action in RAISED or bool(character.prop))


def broad(character: Character) -> float:
    """Boys have broader shoulders."""
    return 1.1 if character.gender == "boy" else 1.0


def dark(cloth: Tone) -> bool:
    """Does white show on this cloth?"""
    return min(cloth.base) < 225


def torso(hem: float = 156.0, half: float = 41.0) -> Path:
    """Neck to hem, with a round neckline."""
    return shape(
        (-15, 60), (-22, 69, -38, 72), (-48, 75, -45, 100), (-39, 128, -half, hem), (0, hem + 6, half, hem),
        (39, 128, 45, 100), (48, 75, 38, 72), (22, 69, 15, 60), (0, 90, -15, 60),
    )  # fmt: skip


def neckline(pen: Pen, depth: float, cloth: Tone) -> None:
    """Skin down to a point at `depth`, in the shadow of the chin, with the cloth's line along both edges."""
    v = shape((-16, 56), (0, depth), (16, 56))
    with pen.clip(v):
        pen.fill(v, SKIN_TONE.base)
        pen.shadow(oval(-2, 49, 24, 16), SKIN_TONE.shade)
    pen.stroke(shape((-16, 59), (0, depth), (16, 59), close=False), cloth.line, 0.9)


def neck(pen: Pen) -> None:
    """The neck in the shadow of the chin."""
    path = shape((-12, 40), (-12, 58, -22, 68), (0, 84, 22, 68), (12, 58, 12, 40))
    pen.fill(path, SKIN_TONE.base)
    with pen.clip(path):
        pen.shadow(oval(-2, 47, 22, 15), SKIN_TONE.shade)
    pen.edge(path, SKIN_TONE)


def hanging(s: int, *, wide: float = 0.0) -> Path:
    """A sleeve that hangs down to the wrist."""
    return shape(
        (s * 34, 72), (s * 54, 72, s * (60 + wide * 0.3), 102), (s * (66 + wide), 126, s * (67 + wide), 146 + wide),
        (s * 56, 152 + wide, s * (47 - wide * 0.3), 148 + wide), (s * 46, 128, s * 38, 110),
    )  # fmt: skip


def upper(s: int) -> Path:
    """From the shoulder to the elbow of a bent arm."""
    return shape(
        (s * 34, 72), (s * 54, 72, s * 60, 98), (s * 66, 112, s * 73, 122), (s * 72, 134, s * 60, 133),
        (s * 50, 130, s * 38, 108),
    )  # fmt: skip


def akimbo(s: int, *, wide: float = 0.0) -> Path:
    """An arm whose hand rests on the hip."""
    return shape(
        (s * 34, 72), (s * 56, 71, s * 68, 90), (s * 78, 100, s * 83, 110), (s * 87, 120 + wide, s * 76, 126 + wide),
        (s * 62, 136 + wide, s * 46, 143), (s * 42, 134, s * 42, 126), (s * 52, 121, s * 63, 114),
        (s * 54, 106, s * 44, 94),
    )  # fmt: skip


def tube(a: Point, b: Point, ra: float, rb: float) -> Path:
    """A limb from `a` to `b`, round at `a` and open at `b`, as thick as its radii say."""
    length = math.hypot(b[0] - a[0], b[1] - a[1])
    ux, uy = (b[0] - a[0]) / length, (b[1] - a[1]) / length
    left, right = (a[0] + uy * ra, a[1] - ux * ra), (a[0] - uy * ra, a[1] + ux * ra)
    end_left, end_right = (b[0] + uy * rb, b[1] - ux * rb), (b[0] - uy * rb, b[1] + ux * rb)
    back = (-ux * ra * 1.3, -uy * ra * 1.3)
    return shape(
        left, end_left, (b[0] + ux * rb * 0.4, b[1] + uy * rb * 0.4, *end_right), right,
        (right[0] + back[0], right[1] + back[1], left[0] + back[0], left[1] + back[1], *left),
    )  # fmt: skip


def sleeve(character: Character) -> Tone:
    """What covers the arms."""
    if character.outfit == "dress":
        return SKIN_TONE
    if character.outfit in ("serafuku", "overalls"):
        return WHITE_CLOTH
    return outfit_tone(character.outfit_color)


def arms(pen: Pen, character: Character, *, wide: float = 0.0) -> None:
    """Both arms as far as they are behind the torso."""
    cloth = sleeve(character)
    for s in (-1, 1):
        if character.action == "hands_on_hips":
            pen.cel(akimbo(s, wide=wide * 0.6), cloth)
        elif not busy(character, s):
            pen.cel(oval(s * 58, 153 + wide, 9, 12), SKIN_TONE, (-2, -2))
            pen.cel(hanging(s, wide=wide), cloth)
        elif character.action != "arms_up":
            pen.cel(upper(s), cloth)


def hands_on_hips(pen: Pen, character: Character) -> None:
    """Both hands, drawn over the waist."""
    if character.action != "hands_on_hips":
        return
    for s in (-1, 1):
        pen.cel(flow([(s * 51, 128), (s * 40, 129), (s * 31, 136), (s * 36, 143), (s * 50, 144)]), SKIN_TONE, (-2, -2))
        pen.stroke(shape((s * 32, 137), (s * 41, 136), close=False), SKIN_TONE.line, 0.6)
