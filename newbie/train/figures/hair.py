"""Hair: what hangs behind the body, and the crown with its bangs; `tails.py` has what is tied.

Bangs are a list of points from the right temple to the left, alternately the tip of a lock and the gap before the
next one. The crown and the bangs are one outline, so no seam makes a helmet of them.
"""

from __future__ import annotations

import math
from typing import Final

from newbie.train.figures.palette import Tone, hair_tone
from newbie.train.figures.pen import Path, Pen, Point, Segment, oval, shape
from newbie.train.figures.spec import Character
from newbie.train.figures.tails import buns, ponytail, twintail

Locks = tuple[Point, ...]

BANGS: Final[tuple[Locks, ...]] = (
    # parted in the middle, two long locks between the eyes
    ((37, 6), (29, -19), (20, -4), (12, -22), (4, 9), (-2, -24), (-9, 3), (-16, -21), (-25, -3), (-31, -18), (-38, 7)),
    # blunt, cut along one line
    ((35, -3), (28, -10), (20, -4), (12, -10), (4, -3), (-4, -10), (-12, -4), (-20, -10), (-28, -3)),
    # swept to the left from a parting on the right
    ((39, 7), (31, -26), (19, -6), (14, -27), (1, 3), (-3, -22), (-17, 5), (-21, -16), (-36, 8)),
    # tousled
    ((38, 2), (31, -16), (25, 1), (17, -23), (9, -7), (5, -23), (-6, 9), (-12, -22), (-20, -6), (-27, -20), (-37, 4)),
)

# Tip of the locks beside the face, and how wide the hair stands there.
SIDES: Final[dict[str, tuple[Point, float]]] = {
    "short_hair": ((58, 27), 64),
    "bob_cut": ((44, 54), 68),
    "long_hair": ((52, 66), 64),
    "twintails": ((51, 33), 61),
    "ponytail": ((51, 40), 61),
    "braid": ((53, 46), 63),
    "hair_buns": ((48, 44), 60),
    "spiky_hair": ((55, 12), 61),
}


def falling(tips: Locks, end: Point) -> list[Segment]:
    """Curves through tip, gap, tip, … to `end`: every lock bulges to its outside and ends in a point."""
    segments: list[Segment] = []
    for i, (x, y) in enumerate((*tips, end)):
        before = tips[i - 1] if i else (x + 8, y - 22)
        if i % 2 == 0 and i < len(tips):  # down to a tip
            segments.append((before[0] * 0.72 + x * 0.28, before[1] * 0.35 + y * 0.65, x, y))
        else:  # up to a gap
            segments.append((before[0] * 0.3 + x * 0.7, before[1] * 0.6 + y * 0.4, x, y))
    return segments


def fringe(character: Character) -> Path:
    """The outline of crown, side locks and bangs, as one path."""
    (tip_x, tip_y), wide = SIDES[character.hair_style]
    boy = character.gender == "boy"
    if boy:
        tip_x, tip_y = 54.0, 14.0
    turn = character.pose.turn * 5
    locks = BANGS[character.pose.bangs]
    if boy and character.pose.bangs == 1:
        locks = BANGS[3]
    bangs = tuple((x + turn, y - (4 if boy else 0)) for x, y in locks)
    right = (44.0 + turn * 0.6, -16.0)
    left = (-44.0 + turn * 0.6, -16.0)
    inward = 20.0 if character.hair_style == "bob_cut" else 4.0
    up_left: list[Segment] = [(-wide - 2, tip_y * 0.6, -wide, -6)]
    down_right: list[Segment] = [(wide + 2, tip_y * 0.6, tip_x, tip_y)]
    return shape(
        (-tip_x, tip_y),
        *up_left,
        *_crown(character, wide),
        *down_right,
        (right[0] + inward * 0.2, tip_y * 0.4, *right),
        *falling(bangs, left),
        (left[0] - inward * 0.2, tip_y * 0.4, -tip_x, tip_y),
    )


def _crown(character: Character, wide: float) -> list[Segment]:
    """Over the top of the head, from the left temple to the right."""
    if character.hair_style == "spiky_hair":
        return _spikes(character)
    if character.hair_style == "short_hair":  # tufts stand off at the sides
        return [
            (-66, -14, -72, -12), (-64, -22, -62, -28), (-68, -34, -72, -34), (-46, -68, 2, -69),
            (46, -68, 72, -34), (68, -34, 62, -28), (64, -22, 72, -12), (66, -14, wide, -6),
        ]  # fmt: skip
    # Two locks overlap on the crown, so that its outline is not a bowl's.
    s = character.pose.side
    left: list[Segment] = [(-wide - 1, -30, -52, -49), (-49, -47, -46, -49), (-30, -68, 2, -70)]
    right: list[Segment] = [(30, -69, 46, -52), (50, -51, 55, -52), (wide + 2, -34, wide, -6)]
    return left + right if s > 0 else _mirrored(left + right, (-wide, -6))


def _mirrored(segments: list[Segment], start: Point) -> list[Segment]:
    """The same curve seen in a mirror, again from left to right; it begins at `start`."""
    ends = [start, *((segment[-2], segment[-1]) for segment in segments)]
    return [(-s[0], s[1], -end[0], end[1]) for s, end in zip(segments[::-1], ends[-2::-1], strict=True)]


def _spikes(character: Character) -> list[Segment]:
    """A crown of spikes that lean to the side the hair grows to."""
    lean = character.pose.side * 0.09
    segments: list[Segment] = []
    count = 7
    for k in range(count):
        a, b = (math.pi * (1.0 + (k + half) / count) for half in (0.5 + lean * 3, 1.0))
        reach = (84, 88, 86, 92, 86, 88, 84)[k]
        tip = (math.cos(a) * reach * 0.92, math.sin(a) * reach - 4)
        gap = (math.cos(b) * 62, math.sin(b) * 64 - 6)
        start = math.pi * (1.0 + (k + 0.12) / count)
        segments.append((math.cos(start) * 74, math.sin(start) * 74 - 5, *tip))
        if k < count - 1:
            segments.append((math.cos(b) * 66, math.sin(b) * 68 - 6, *gap))
    segments.append((64, -24, 61, -6))
    return segments


def front(pen: Pen, character: Character, path: Path) -> None:
    """The crown over the face: cel shading, strands, the ring of light."""
    tone = hair_tone(character.hair_color)
    if character.hair_style == "hair_buns":
        buns(pen, character)
    if character.pose.ahoge:
        _ahoge(pen, tone, character.pose.side)
    pen.cel(path, tone, (-3.5, -4.5))
    turn = character.pose.turn * 5
    locks = BANGS[3 if character.gender == "boy" and character.pose.bangs == 1 else character.pose.bangs]
    lift = 4 if character.gender == "boy" else 0
    with pen.clip(path):
        if pen.look.shading:
            _strands(pen, tone, [(x + turn, y - lift) for x, y in locks[1::2]], SIDES[character.hair_style][1])
            _ring(pen, tone, turn)
    for x, y in locks[1::4]:
        crease = shape((x + turn, y - lift), (x * 0.95 + turn, y - 14, x * 0.68 + turn, y - 27), close=False)
        pen.stroke(crease, tone.line, 0.6)


def _strands(pen: Pen, tone: Tone, gaps: list[Point], wide: float) -> None:
    """Shadows between the locks: long and short wedges from every gap towards the parting, and two at the sides."""
    for k, (x, y) in enumerate(gaps):
        long = 34 if k % 2 else 22
        top = (x * (1 - long / 90), y - long)
        wedge = shape(
            (x - 3, y + 3), (x * 0.98 - 2.4, y - long * 0.5, *top), (x * 0.98 + 2.4, y - long * 0.5, x + 3, y + 3)
        )
        pen.fill(wedge, tone.shade)
    for s in (-1, 1):
        wisp = shape(
            (s * (wide - 13), 22), (s * (wide - 9), -20, s * 34, -50), (s * (wide - 15), -18, s * (wide - 18), 12)
        )
        pen.fill(wisp, tone.shade)


def _ring(pen: Pen, tone: Tone, turn: float) -> None:
    """The ring of light, broken where the locks part."""
    for left, right in ((-49, -38), (-34, -12), (-7, 9), (13, 30), (35, 50)):
        top = [(x + turn, -50 + (x * x) / 120) for x in (left, (left + right) / 2, right)]
        mid = (left + right) / 2
        deep = 8 + (right - left) * 0.3
        band = shape(
            top[0],
            (top[1][0], top[1][1] - 1, *top[2]),
            ((right * 2 + mid) / 3 + turn, top[2][1] + deep * 0.8),
            (mid + turn + (right - left) * 0.1, top[1][1] + deep * 0.45),
            (mid - (right - left) * 0.14 + turn, top[1][1] + deep),
            ((left * 2 + mid) / 3 + turn, top[0][1] + deep * 0.45),
        )
        pen.fill(band, tone.light, 205)


def _ahoge(pen: Pen, tone: Tone, side: int) -> None:
    lock = shape((-5 * side, -62), (-3 * side, -92, 25 * side, -88), (12 * side, -84, 8 * side, -62), close=True)
    pen.cel(lock, tone, (-2, -2))


def back(pen: Pen, character: Character) -> None:
    """What is behind the body and the neck."""
    tone = hair_tone(character.hair_color)
    style = character.hair_style
    side = character.pose.side
    away = -character.pose.turn * 3
    if style == "twintails":
        for s in (-1, 1):
            twintail(pen, tone, s)
    elif style == "ponytail":
        ponytail(pen, tone, side)
    with pen.placed(away, 0):
        if character.gender == "boy":
            volume = shape(
                (-57, -10), (-60, 24, -50, 36), (-44, 30, -38, 44), (-28, 36, -20, 46), (20, 46), (28, 36, 38, 44),
                (44, 30, 50, 36), (60, 24, 57, -10), (50, -64, 0, -66), (-50, -64, -57, -10),
            )  # fmt: skip
        elif style == "short_hair":
            volume = shape(
                (-60, -10), (-66, 26, -68, 40), (-54, 38, -48, 47), (-40, 42, -30, 52), (30, 52), (40, 42, 48, 47),
                (54, 38, 68, 40), (66, 26, 60, -10), (50, -66, 0, -66), (-50, -66, -60, -10),
            )  # fmt: skip
        elif style == "bob_cut":
            volume = shape(
                (-64, -10), (-74, 30, -62, 57), (-50, 66, -36, 58), (0, 66, 36, 58), (50, 66, 62, 57),
                (74, 30, 64, -10), (52, -66, 0, -66), (-52, -66, -64, -10),
            )  # fmt: skip
        elif style == "long_hair":
            volume = shape(
                (-62, -10), (-70, 60, -84, 132), (-76, 150, -70, 168), (-66, 154, -60, 148), (-52, 164, -44, 176),
                (-40, 160, -34, 150), (34, 150), (40, 160, 44, 176), (52, 164, 60, 148), (66, 154, 70, 168),
                (76, 150, 84, 132), (70, 60, 62, -10), (52, -66, 0, -66), (-52, -66, -62, -10),
            )  # fmt: skip
        else:
            volume = shape((-58, -10), (-58, 24, -36, 44), (0, 58, 36, 44), (58, 24, 58, -10), (0, -110, -58, -10))
        pen.cel(volume, tone, (-4, -4))
        with pen.clip(volume):
            pen.fill(oval(0, 36, 47, 50), tone.shade)  # the dark behind the neck, in every look
            if style == "long_hair":
                pen.fill(shape((-46, 30), (-40, 170), (40, 170), (46, 30)), tone.shade)
                for s in (-1, 1):
                    pen.shadow(shape((s * 50, 20), (s * 53, 100, s * 58, 150), (s * 62, 100, s * 56, 20)), tone.shade)
                    pen.shadow(shape((s * 66, 54), (s * 70, 90, s * 77, 128), (s * 76, 90, s * 69, 54)), tone.shade)
                    pen.stroke(shape((s * 58, 10), (s * 60, 80, s * 65, 150), close=False), tone.line, 0.6)
