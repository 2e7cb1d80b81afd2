"""Things held in a hand, in colours of their own. Each is drawn about its own origin on side `s` of the figure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from newbie.train.figures.palette import INK, WHITE, tone
from newbie.train.figures.pen import Pen, Point, flow, oval, shape

COVER: Final = tone((38, 128, 142))
PAPER: Final = tone((255, 250, 238))
RUBBER: Final = tone((236, 54, 74))
WRAP: Final = tone((250, 240, 214))
LEAF: Final = tone((84, 168, 82))
FUR: Final = tone((190, 132, 78))
MUZZLE: Final = tone((244, 220, 180))
WAFER: Final = tone((232, 176, 96))
STRAWBERRY: Final = tone((255, 158, 186))
MINT: Final = tone((152, 226, 196))


def book(pen: Pen, s: int, room: float) -> None:
    """An open book, seen from its reader."""
    for k in (-1, 1):
        pen.cel(shape((0, -15), (k * 16, -26, k * 33, -20), (k * 33, 21), (k * 16, 15, 0, 25)), COVER, (-2, -2))
    for k in (-1, 1):
        page = shape((0, -15), (k * 15, -25, k * 29, -20), (k * 29, 15), (k * 15, 9, 0, 20))
        pen.cel(page, PAPER, (-2, -2), 0.8)
        for y in (-11, -2, 7):
            line = shape((k * 5, y), (k * 14, y - 5, k * 24, y - 4), close=False)
            pen.mark(line, (150, 140, 150), 1.6 / pen.line)


def balloon(pen: Pen, x: float, y: float) -> None:
    """A red balloon at (x, y) in the units of the figure; drawn behind all heads."""
    with pen.placed(x, y):
        pen.cel(shape((-4, 33), (0, 26), (4, 33)), RUBBER, (-1, -1), 0.8)
        pen.cel(flow([(0, -29), (18, -22), (25, -3), (17, 17), (0, 28), (-17, 17), (-25, -3), (-18, -22)]), RUBBER)
        with pen.placed(-10, -12, degrees=30):
            pen.fill(oval(0, 0, 4.5, 8), (255, 196, 200))


def float_at(s: int, room: float) -> Point:
    """Where a balloon of side `s` floats: beside the head, or between the crowns of two, next to a neighbour's."""
    x = min(92.0, max(room - 10.0, 48.0))
    return s * x, -60.0 if x > 80 else -92.0 - 4 * s


def string(pen: Pen, s: int, room: float) -> None:
    """The string of a balloon, from the hand (0, 0) up into the hair or the air."""
    x, y = float_at(s, room)
    top = (x - s * 62, y + 33 - 112)
    line = shape((s * 2, 22), (0, 8, 0, 0), (s * 16, -40, s * 10, -76), (s * 4, -100, *top), close=False)
    pen.mark(line, INK, 2.6 / pen.line)
    pen.mark(line, WHITE, 1.3 / pen.line)


def bouquet(pen: Pen, s: int, room: float) -> None:
    """Tulip-bright flowers in a cone of paper."""
    for x, y in ((-24, -22), (24, -22), (0, -34)):
        pen.cel(oval(x * 1.0, y + 4, 9, 8), LEAF, (-1, -2), 0.8)
    pen.cel(shape((-24, -16), (0, -28, 24, -16), (7, 26), (0, 29, -7, 26)), WRAP, (-3, -2))
    pink, yellow, violet, red = (255, 122, 156), (255, 206, 66), (168, 112, 226), (240, 64, 84)
    blossoms = ((0, -34, pink), (-16, -26, yellow), (16, -26, violet), (0, -20, red))
    for x, y, color in blossoms:
        petals = tone(color)
        for dx, dy in ((-5, -3), (5, -3), (-3.5, 5), (3.5, 5), (0, -6)):
            pen.cel(oval(x + dx, y + dy, 5.2, 5.2), petals, (-1, -1), 0.7)
        pen.fill(oval(x, y, 4, 4), (255, 240, 170))
    bow = tone((232, 70, 110))
    for k in (-1, 1):
        pen.cel(flow([(0, 12), (k * 12, 6), (k * 13, 17)]), bow, (-1, -1), 0.8)


def teddy_bear(pen: Pen, s: int, room: float) -> None:
    """A brown bear with a pale muzzle."""
    for k in (-1, 1):
        pen.cel(oval(k * 14, 34, 9, 9), FUR, (-2, -2))
        pen.fill(oval(k * 14, 35, 4.5, 4.5), MUZZLE.base)
        pen.cel(oval(k * 15, -20, 7.5, 7.5), FUR, (-1, -2))
        pen.fill(oval(k * 15, -20, 3.6, 3.6), MUZZLE.base)
    pen.cel(oval(0, 18, 18, 19), FUR, (-3, -3))
    pen.fill(oval(0, 21, 10, 11), MUZZLE.base)
    pen.cel(oval(-s * 17, 14, 6.5, 10), FUR, (-2, -2))
    pen.cel(oval(0, -7, 21, 17.5), FUR, (-3, -3))
    pen.fill(oval(0, -1, 9.5, 8), MUZZLE.base)
    pen.fill(oval(0, -4.5, 4, 3), INK)
    pen.mark(shape((-4, 2), (0, 6, 4, 2), close=False), INK, 1.5 / pen.line)
    for k in (-1, 1):
        pen.fill(oval(k * 10, -9, 2.8, 3.4), INK)


def ice_cream(pen: Pen, s: int, room: float) -> None:
    """Two scoops and a cherry on a cone."""
    cone = shape((-14, -4), (14, -4), (2, 34), (0, 36, -2, 34))
    pen.cel(cone, WAFER, (-2, -1))
    with pen.clip(cone):
        for k in (-2, -1, 0, 1, 2):
            pen.mark(shape((k * 9 - 20, -6), (k * 9 + 12, 36), close=False), WAFER.shade, 1.6 / pen.line)
            pen.mark(shape((k * 9 + 20, -6), (k * 9 - 12, 36), close=False), WAFER.shade, 1.6 / pen.line)
    scoop = flow([(-18, -10), (-14, -24), (0, -29), (14, -24), (18, -10), (11, -3), (4, -7), (-4, -2), (-11, -6)])
    pen.cel(scoop, MINT)
    pen.cel(flow([(-14, -28), (-11, -40), (0, -45), (11, -40), (14, -28), (7, -23), (0, -27), (-7, -22)]), STRAWBERRY)
    pen.cel(oval(s * 2, -47, 5, 5), RUBBER, (-1, -1), 0.8)


class Prop(NamedTuple):
    """How a thing is held: its origin and the hand, on side 1, and whether the arm is behind it."""

    paint: Callable[[Pen, int, float], None]
    at: Point
    hand: Point
    arm_first: bool


PROPS: Final[dict[str, Prop]] = {
    "book": Prop(book, (36, 98), (50, 118), True),
    "balloon": Prop(string, (62, 112), (62, 108), False),
    "bouquet": Prop(bouquet, (50, 101), (48, 120), True),
    "teddy_bear": Prop(teddy_bear, (42, 92), (36, 114), False),
    "ice_cream": Prop(ice_cream, (57, 98), (56, 117), True),
}
