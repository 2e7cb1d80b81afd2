"""Hair: what hangs behind the body, the crown with its bangs, and what falls over the shoulder.

Bangs are a list of points from the right temple to the left, alternately the tip of a lock and the gap before the
next one. The crown and the bangs are one outline, so no seam makes a helmet of them.
"""

from __future__ import annotations

import math
from typing import Final

from newbie.train.figures.palette import Tone, hair_tone
from newbie.train.figures.pen import Path, Pen, Point, Segment, flow, oval, shape
from newbie.train.figures.spec import Character

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
    "short_hair": ((57, 31), 64),
    "bob_cut": ((45, 50), 67),
    "long_hair": ((52, 66), 64),
    "twintails": ((51, 33), 61),
    "ponytail": ((51, 40), 61),
    "braid": ((53, 46), 63),
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
    return [(-wide + 1, -42, -36, -68, 2, -69), (38, -68, wide - 1, -42, wide, -6)]


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
    if character.pose.ahoge:
        _ahoge(pen, tone, character.pose.side)
    pen.cel(path, tone, (-3.5, -4.5))
    turn = character.pose.turn * 5
    with pen.clip(path):
        _ring(pen, tone, turn)
    locks = BANGS[3 if character.gender == "boy" and character.pose.bangs == 1 else character.pose.bangs]
    lift = 4 if character.gender == "boy" else 0
    for x, y in locks[1::4]:
        pen.stroke(
            shape((x + turn, y - lift), (x * 0.95 + turn, y - 14, x * 0.72 + turn, y - 23), close=False), tone.line, 0.6
        )


def _ring(pen: Pen, tone: Tone, turn: float) -> None:
    for left, right in ((-47, -14), (-7, 24), (31, 49)):
        top = [(x + turn, -50 + (x * x) / 120) for x in (left, (left + right) / 2, right)]
        mid = (left + right) / 2
        band = shape(
            top[0],
            (top[1][0], top[1][1] - 1, *top[2]),
            ((right * 2 + mid) / 3 + turn, top[2][1] + 12),
            (mid + 3 + turn, top[1][1] + 7),
            (mid - 4 + turn, top[1][1] + 14),
            ((left * 2 + mid) / 3 + turn, top[0][1] + 7),
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
            _tail(pen, tone, s)
    elif style == "ponytail":
        _ponytail(pen, tone, side)
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
            pen.fill(oval(0, 36, 47, 50), tone.shade)
            if style == "long_hair":
                pen.fill(shape((-46, 30), (-40, 170), (40, 170), (46, 30)), tone.shade)
                for x in (-58, 58):
                    pen.stroke(shape((x, 10), (x * 1.04, 80, x * 1.12, 150), close=False), tone.line, 0.6)


def _tail(pen: Pen, tone: Tone, s: int) -> None:
    tail = shape(
        (s * 50, -34), (s * 88, -52, s * 92, 6), (s * 96, 60, s * 78, 112), (s * 76, 96, s * 70, 90),
        (s * 68, 104, s * 60, 112), (s * 62, 80, s * 56, 50), (s * 50, 10, s * 50, -34),
    )  # fmt: skip
    pen.cel(tail, tone, (-5, -4))
    with pen.clip(tail):
        pen.fill(shape((s * 70, -34), (s * 88, -22, s * 84, 14), (s * 80, -10, s * 70, -20)), tone.light, 200)
    pen.stroke(shape((s * 60, -26), (s * 80, 20, s * 72, 84), close=False), tone.line, 0.6)


def _ponytail(pen: Pen, tone: Tone, s: int) -> None:
    tail = shape(
        (s * 20, -62), (s * 40, -98, s * 72, -72), (s * 104, -40, s * 90, 30), (s * 84, 62, s * 66, 92),
        (s * 68, 74, s * 62, 66), (s * 58, 76, s * 50, 82), (s * 62, 20, s * 40, -30),
    )  # fmt: skip
    pen.cel(tail, tone, (-5, -4))
    with pen.clip(tail):
        pen.fill(shape((s * 58, -72), (s * 88, -58, s * 86, -18), (s * 78, -44, s * 56, -58)), tone.light, 200)
    pen.stroke(shape((s * 44, -62), (s * 86, -40, s * 72, 50), close=False), tone.line, 0.6)


def over(pen: Pen, character: Character) -> None:
    """What hangs in front of the body: the braid, and the ties of tails."""
    tone = hair_tone(character.hair_color)
    s = character.pose.side
    if character.hair_style == "braid":
        links = [(50, 50, 13), (53, 67, 13.5), (53, 84, 13), (51, 100, 12), (48, 115, 10.5)]
        end = shape((s * 40, 126), (s * 38, 142, s * 47, 154), (s * 58, 142, s * 54, 126))
        pen.cel(end, tone, (-3, -3))
        for x, y, r in reversed(links):
            for half in (-1, 1):
                lobe = flow([
                    (s * x - half * 3, y + 10), (s * x + half * r, y - 1), (s * x + half * r * 0.8, y - 10),
                    (s * x, y - 7),
                ])  # fmt: skip
                pen.cel(lobe, tone, (-2.5, -3))
        pen.cel(oval(s * 47, 125, 8, 5), _tie(character), (-1, -2))
    elif character.hair_style == "twintails":
        for k in (-1, 1):
            pen.cel(oval(k * 55, -34, 7, 9.5), _tie(character), (-1, -2))
    elif character.hair_style == "ponytail":
        with pen.placed(s * 34, -60, degrees=s * 38):
            pen.cel(oval(0, 0, 10, 6), _tie(character), (-1, -2))


def _tie(character: Character) -> Tone:
    return hair_tone("blonde" if character.hair_color in ("red", "orange", "pink", "purple") else "red")
