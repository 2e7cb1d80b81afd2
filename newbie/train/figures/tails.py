"""Hair that is tied: twin tails, the ponytail, the braid and the buns, each with its band."""

from __future__ import annotations

from newbie.train.figures.palette import Tone, hair_tone
from newbie.train.figures.pen import Pen, flow, oval, shape
from newbie.train.figures.spec import Character


def twintail(pen: Pen, tone: Tone, s: int) -> None:
    """One of two tails, on side `s`."""
    tail = shape(
        (s * 48, -36), (s * 92, -62, s * 104, 0), (s * 112, 66, s * 86, 124), (s * 86, 104, s * 78, 96),
        (s * 76, 112, s * 64, 122), (s * 68, 86, s * 58, 52), (s * 50, 10, s * 48, -36),
    )  # fmt: skip
    pen.cel(tail, tone, (-5, -4))
    with pen.clip(tail):
        pen.shadow(shape((s * 74, -38), (s * 97, -24, s * 93, 18), (s * 88, -8, s * 74, -22)), tone.light, 200)
        pen.shadow(shape((s * 62, 10), (s * 68, 50, s * 64, 108), (s * 76, 60, s * 70, 10)), tone.shade)
    pen.stroke(shape((s * 62, -28), (s * 88, 20, s * 78, 92), close=False), tone.line, 0.6)


def ponytail(pen: Pen, tone: Tone, s: int) -> None:
    """A single tail, tied high on side `s`."""
    tail = shape(
        (s * 20, -62), (s * 40, -98, s * 72, -72), (s * 104, -40, s * 90, 30), (s * 84, 62, s * 66, 92),
        (s * 68, 74, s * 62, 66), (s * 58, 76, s * 50, 82), (s * 62, 20, s * 40, -30),
    )  # fmt: skip
    pen.cel(tail, tone, (-5, -4))
    with pen.clip(tail):
        pen.shadow(shape((s * 58, -74), (s * 92, -60, s * 92, -16), (s * 82, -44, s * 56, -58)), tone.light, 200)
        pen.shadow(shape((s * 66, -20), (s * 76, 30, s * 62, 80), (s * 86, 40, s * 76, -20)), tone.shade)
    pen.stroke(shape((s * 44, -62), (s * 86, -40, s * 72, 50), close=False), tone.line, 0.6)


def buns(pen: Pen, character: Character) -> None:
    """Two balls of wound hair high on the head, each tied with a band."""
    tone = hair_tone(character.hair_color)
    for s in (-1, 1):
        with pen.placed(s * 45, -62, degrees=s * 36):
            pen.cel(oval(0, -15, 24, 22), tone, (-5, -5))
            pen.stroke(shape((-15, -1), (-22, -27, 3, -30), (17, -28, 12, -13), close=False), tone.line, 0.8)
            pen.stroke(shape((15, -3), (-1, 1, -8, -11), (-9, -19, 1, -20), close=False), tone.line, 0.7)
            pen.shadow(shape((-13, -24), (-6, -34, 5, -33), (-4, -29, -9, -18)), tone.light, 205)
            pen.cel(flow([(-17, 0), (0, -5), (17, 0), (16, 8), (0, 4), (-16, 8)]), _tie(character), (-1, -2))


def over(pen: Pen, character: Character) -> None:
    """What hangs in front of the body: the braid, and the ties of tails."""
    tone = hair_tone(character.hair_color)
    s = character.pose.side
    if character.hair_style == "braid":
        links = [(51, 48, 16), (55, 67, 17), (55, 86, 16), (53, 104, 15), (50, 120, 13)]
        end = shape((s * 41, 132), (s * 36, 150, s * 47, 164), (s * 62, 150, s * 58, 132))
        pen.cel(end, tone, (-3, -3))
        for x, y, r in reversed(links):
            for half in (-1, 1):
                lobe = flow([
                    (s * x - half * 3, y + 12), (s * x + half * r, y - 1), (s * x + half * r * 0.8, y - 12),
                    (s * x, y - 8),
                ])  # fmt: skip
                pen.cel(lobe, tone, (-2.5, -3))
        pen.cel(oval(s * 49, 132, 11, 6.5), _tie(character), (-1, -2))
    elif character.hair_style == "twintails":
        for k in (-1, 1):
            pen.cel(oval(k * 55, -35, 8.5, 11.5), _tie(character), (-1, -2))
    elif character.hair_style == "ponytail":
        with pen.placed(s * 34, -60, degrees=s * 38):
            pen.cel(oval(0, 0, 13, 7.5), _tie(character), (-1, -2))


def _tie(character: Character) -> Tone:
    """A band that shows on the hair."""
    return hair_tone("blonde" if character.hair_color in ("red", "orange", "pink", "purple") else "red")
