"""Things worn on the head. Drawn in the coordinates of the head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from newbie.train.figures.face import EYE_X, EYE_Y
from newbie.train.figures.palette import WHITE, Tone, hair_tone, tone
from newbie.train.figures.pen import Pen, flow, oval, shape
from newbie.train.figures.spec import Character


def cat_ears(pen: Pen, character: Character) -> None:
    """Ears in the colour of the hair, pink inside; drawn before the crown."""
    fur = hair_tone(character.hair_color)
    for s in (-1, 1):
        ear = shape((s * 14, -58), (s * 24, -86, s * 50, -98), (s * 64, -72, s * 60, -30))
        pen.cel(ear, fur, (-3, -2))
        pen.fill(shape((s * 27, -58), (s * 32, -78, s * 47, -88), (s * 54, -70, s * 53, -40)), (255, 176, 188))


def hair_bow(pen: Pen, character: Character) -> None:
    """A large bow on one side; red, or blue where red would vanish in the hair."""
    cloth = tone((62, 110, 226)) if character.hair_color in ("red", "orange", "pink") else tone((226, 40, 62))
    s = -character.pose.side
    with pen.placed(s * 40, -54, degrees=s * 30):
        for k in (-1, 1):
            loop = flow([(0, -2), (k * 18, -17), (k * 27, -12), (k * 27, 9), (k * 17, 14), (0, 4)])
            pen.cel(loop, cloth, (-2, -4))
            pen.stroke(shape((k * 6, 0), (k * 17, -3), close=False), cloth.line, 0.7)
        pen.cel(oval(0, 0, 6.5, 8), cloth, (-1, -2))


def hair_flower(pen: Pen, character: Character) -> None:
    """A white flower with a yellow heart (pink on white hair)."""
    petal = tone((255, 150, 180)) if character.hair_color in ("white", "blonde") else tone((255, 252, 250))
    s = -character.pose.side
    with pen.placed(s * 43, -42):
        for degrees in range(0, 360, 72):
            with pen.placed(degrees=degrees):
                pen.cel(oval(0, -11, 7.5, 9), petal, (-1, -2), 0.9)
        pen.cel(oval(0, 0, 5.5, 5.5), tone((255, 204, 60)), (-1, -1), 0.8)


def headphones(pen: Pen, character: Character) -> None:
    """A band over the crown and a cup on each ear."""
    dark = tone((236, 238, 246)) if character.hair_color == "black" else tone((54, 56, 72))
    band = shape((-62, 2), (-66, -82, 0, -82), (66, -82, 62, 2), close=False)
    pen.stroke(band, dark.line, 6.2)
    pen.stroke(band, dark.base, 4.4)
    for s in (-1, 1):
        pen.cel(flow([(s * 54, -14), (s * 70, -10), (s * 73, 10), (s * 70, 28), (s * 54, 32)]), dark, (-3, -3))
        pen.cel(oval(s * 66, 9, 5.5, 12), tone((40, 200, 214)), (-1, -3), 0.8)


def glasses(pen: Pen, character: Character) -> None:
    """Round frames before the eyes."""
    frame: Tone = tone((60, 44, 60))
    turn = character.pose.turn * 6.5
    for s in (-1, 1):
        lens = flow([(turn + s * EYE_X + x, EYE_Y + 2 + y) for x, y in _LENS])
        pen.stroke(
            shape((turn + s * EYE_X + 9, EYE_Y - 12), (turn + s * EYE_X + 14, EYE_Y - 7), close=False), WHITE, 1.0
        )
        pen.stroke(lens, frame.line, 1.5)
    pen.stroke(shape((turn - 4, EYE_Y), (turn, EYE_Y - 3, turn + 4, EYE_Y), close=False), frame.line, 1.5)


_LENS: Final = ((-20, 0), (-16, -16), (0, -20), (16, -16), (20, 0), (16, 16), (0, 20), (-16, 16))

BEHIND_CROWN: Final[dict[str, Callable[[Pen, Character], None]]] = {"cat_ears": cat_ears}
ON_HEAD: Final[dict[str, Callable[[Pen, Character], None]]] = {
    "hair_bow": hair_bow,
    "hair_flower": hair_flower,
    "headphones": headphones,
    "glasses": glasses,
}
