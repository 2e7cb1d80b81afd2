"""Things worn on the head. Drawn in the coordinates of the head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from newbie.train.figures.face import EYE_X, EYE_Y
from newbie.train.figures.palette import WHITE, hair_tone, tone
from newbie.train.figures.pen import Pen, flow, oval, shape
from newbie.train.figures.spec import Character
from newbie.train.figures.tails import buns


def cat_ears(pen: Pen, character: Character) -> None:
    """Ears in the colour of the hair, pink inside; drawn before the crown, and closer together between buns."""
    fur = hair_tone(character.hair_color)
    narrow = 0.8 if character.hair_style == "hair_buns" else 1.0
    for s in (-1, 1):
        with pen.placed(0, 0, scale_x=narrow):
            pen.cel(shape((s * 8, -58), (s * 20, -89, s * 52, -102), (s * 70, -72, s * 62, -28)), fur, (-3, -2))
            inside = shape((s * 24, -56), (s * 30, -79, s * 49, -91), (s * 60, -70, s * 55, -40))
            pen.fill(inside, (255, 160, 182))


def hair_bow(pen: Pen, character: Character) -> None:
    """A large bow on one side; red, or blue where red would vanish in the hair."""
    cloth = tone((40, 100, 240)) if character.hair_color in ("red", "orange", "pink") else tone((232, 28, 56))
    s = -character.pose.side
    with pen.placed(s * 38, -57, degrees=s * 28):
        for k in (-1, 1):
            pen.cel(
                shape((k * 2, 0), (k * 10, 12, k * 9, 27), (k * 16, 23), (k * 23, 24), (k * 16, 8, k * 4, -2)), cloth
            )
        for k in (-1, 1):
            loop = flow([(0, -3), (k * 22, -23), (k * 35, -17), (k * 35, 11), (k * 22, 17), (0, 5)])
            pen.cel(loop, cloth, (-3, -5))
            pen.stroke(shape((k * 8, 0), (k * 22, -4), close=False), cloth.line, 0.8)
        pen.cel(oval(0, 0, 8.5, 10.5), cloth, (-1, -3))


def hair_flower(pen: Pen, character: Character) -> None:
    """A white flower with a yellow heart (pink on white hair)."""
    petal = tone((255, 120, 168)) if character.hair_color in ("white", "blonde") else tone((255, 252, 250))
    s = -character.pose.side
    with pen.placed(s * 44, -42):
        for degrees in range(0, 360, 72):
            with pen.placed(degrees=degrees):
                pen.cel(oval(0, -15, 10.5, 12), petal, (-1, -3), 0.9)
        pen.cel(oval(0, 0, 7.5, 7.5), tone((255, 196, 30)), (-1, -2), 0.8)


def headphones(pen: Pen, character: Character) -> None:
    """A band over the crown, behind buns, and a cup on each ear."""
    dark = tone((236, 238, 246)) if character.hair_color == "black" else tone((50, 52, 70))
    band = shape((-64, 2), (-69, -82, 0, -82), (69, -82, 64, 2), close=False)
    pen.mark(band, dark.line if pen.look.outline else dark.shade, 7.6)
    pen.mark(band, dark.base, 5.4)
    if character.hair_style == "hair_buns":
        buns(pen, character)
    for s in (-1, 1):
        pen.cel(flow([(s * 51, -20), (s * 72, -16), (s * 79, 9), (s * 72, 33), (s * 51, 37)]), dark, (-3, -3))
        pen.cel(oval(s * 68, 8, 8, 16), tone((0, 206, 220)), (-1, -3), 0.8)


def glasses(pen: Pen, character: Character) -> None:
    """Large round frames before the eyes: the whole eye shows inside, with a gleam in the corner."""
    frame = (52, 30, 48)
    turn = character.pose.turn * 6.5
    for s in (-1, 1):
        x = turn + s * EYE_X
        pen.mark(flow([(x + s * 1.5 + dx, EYE_Y + 1.5 + dy) for dx, dy in _LENS]), frame, 1.85)
        pen.mark(shape((x + 12.5, EYE_Y - 13.5), (x + 17.5, EYE_Y - 8), close=False), WHITE, 1.3)
        pen.mark(shape((turn + s * 46, EYE_Y - 3), (turn * 0.6 + s * 52, EYE_Y - 5), close=False), frame, 1.85)
    pen.mark(shape((turn - 4, EYE_Y), (turn, EYE_Y - 4, turn + 4, EYE_Y), close=False), frame, 1.85)


_LENS: Final = (
    (-22.5, 0), (-18.5, -18), (0, -22.5), (18.5, -18), (22.5, 0), (18.5, 18), (0, 22.5), (-18.5, 18),
)  # fmt: skip

BEHIND_CROWN: Final[dict[str, Callable[[Pen, Character], None]]] = {"cat_ears": cat_ears}
ON_HEAD: Final[dict[str, Callable[[Pen, Character], None]]] = {
    "hair_bow": hair_bow,
    "hair_flower": hair_flower,
    "headphones": headphones,
    "glasses": glasses,
}
