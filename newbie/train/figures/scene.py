"""Backgrounds, in hundredths of the picture's height: y from 0 to 100, x from 0 to `width`."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Final

from newbie.train.figures.palette import WHITE, Rgb
from newbie.train.figures.pen import Pen, flow, oval, shape
from newbie.train.figures.scenery import (
    PETALS,
    blossom,
    box,
    chalkboard,
    cloud,
    desk,
    fir,
    palm,
    sparkle,
    streak,
    sunflowers,
    window,
)


def white_background(pen: Pen, width: float, rng: random.Random) -> None:
    """Nothing but paper."""
    pen.sweep((0, 0, width, 100), [(252, 252, 254), (252, 252, 254)])


def blue_sky(pen: Pen, width: float, rng: random.Random) -> None:
    """A summer sky with heaped clouds."""
    pen.sweep((0, 0, width, 100), [(70, 158, 250), (150, 208, 255), (222, 242, 255)])
    for x in (rng.uniform(0, 0.3), rng.uniform(0.35, 0.65), rng.uniform(0.7, 1.0)):
        cloud(pen, x * width, rng.uniform(8, 40), rng.uniform(0.7, 1.25), WHITE, (206, 228, 250))
    cloud(pen, rng.uniform(0, 1) * width, rng.uniform(70, 92), 1.7, WHITE, (214, 232, 250))


def sunset(pen: Pen, width: float, rng: random.Random) -> None:
    """Violet over orange, with a low sun."""
    pen.sweep((0, 0, width, 100), [(106, 76, 160), (214, 96, 132), (255, 150, 84), (255, 206, 120)])
    x = rng.choice((rng.uniform(0.06, 0.24), rng.uniform(0.76, 0.94))) * width
    y = rng.uniform(56, 68)
    pen.fill(oval(x, y, 15, 15), (255, 214, 130), 110)
    pen.fill(oval(x, y, 10.5, 10.5), (255, 240, 184))
    for _ in range(4):
        streak(pen, rng.uniform(0, width), rng.uniform(10, 52), rng.uniform(10, 22), (255, 176, 140))
    end, third = width + 5, width / 3
    ridge = shape(
        (-5, 104), (-5, 86), (third * 0.6, 68, third * 1.4, 80), (third * 1.9, 87, third * 2.4, 80), (end, 76, end, 84),
        (end, 104),
    )  # fmt: skip
    pen.fill(ridge, (116, 62, 112))


def night(pen: Pen, width: float, rng: random.Random) -> None:
    """Stars and a large moon."""
    pen.sweep((0, 0, width, 100), [(16, 18, 62), (36, 38, 108), (82, 72, 156)])
    for _ in range(round(28 * width / 100)):
        x, y, r = rng.uniform(0, width), rng.uniform(0, 90), rng.choice((0.5, 0.6, 0.9))
        pen.fill(oval(x, y, r, r), (255, 250, 220))
    for _ in range(4):
        sparkle(pen, rng.uniform(0, width), rng.uniform(4, 60), rng.uniform(2.0, 3.2))
    x = rng.choice((rng.uniform(0.1, 0.22), rng.uniform(0.78, 0.9))) * width
    y = rng.uniform(12, 20)
    pen.fill(oval(x, y, 12.5, 12.5), (255, 244, 190), 60)
    pen.fill(oval(x, y, 9.5, 9.5), (255, 246, 204))
    pen.fill(oval(x - 3, y + 2, 2, 2), (240, 224, 168))
    pen.fill(oval(x + 3, y - 3, 1.5, 1.5), (240, 224, 168))


def cherry_blossoms(pen: Pen, width: float, rng: random.Random) -> None:
    """Pale pink air, a branch in bloom, falling petals."""
    pen.sweep((0, 0, width, 100), [(255, 206, 222), (255, 226, 236), (255, 242, 244)])
    s = rng.choice((-1, 1))
    for mirror, size in ((s, rng.uniform(1.15, 1.35)), (-s, rng.uniform(0.6, 0.8))):
        with pen.placed(0 if mirror > 0 else width, -1, scale=size, scale_x=mirror):
            branch = shape((-2, 14), (16, 11, 38, 3), (40, 1), (44, -4), (30, -4), (12, 5, -2, 7))
            pen.fill(branch, (124, 82, 78))
            for _ in range(15):
                t = rng.random()
                x, y, r = t * 46 - 2, 10 - t * 11 + rng.uniform(-5, 6), rng.uniform(3.2, 5.0)
                pink: Rgb = rng.choice(((255, 166, 198), (255, 142, 182), (255, 192, 214)))
                pen.fill(oval(x, y, r, r * 0.9), pink)
                pen.fill(oval(x, y, r * 0.3, r * 0.3), (255, 226, 236))
    for _ in range(round(17 * width / 100)):
        with pen.placed(rng.uniform(0, width), rng.uniform(14, 98), degrees=rng.uniform(0, 180)):
            pen.fill(oval(0, 0, 2.7, 1.6), (255, 120, 164))


def beach(pen: Pen, width: float, rng: random.Random) -> None:
    """Sky, a broad band of sea, sand, and a palm that leans in: seen above and between heads."""
    horizon = rng.uniform(31, 37)
    pen.sweep((0, 0, width, horizon), [(116, 200, 255), (214, 243, 255)])
    pen.sweep((0, horizon, width, 76), [(10, 112, 196), (36, 176, 214), (92, 218, 220)])
    pen.sweep((0, 72, width, 100), [(255, 232, 176), (244, 206, 140)])
    wave = [(x, 72 + 1.6 * math.sin(x / 6 + rng.random())) for x in range(-5, int(width) + 12, 6)]
    pen.mark(flow(wave, close=False), WHITE, 3.0)
    for _ in range(9):
        streak(pen, rng.uniform(0, width), rng.uniform(horizon + 3, 68), rng.uniform(4, 9), (190, 240, 250))
    s = rng.choice((-1, 1))
    cloud(pen, width * (0.5 + s * rng.uniform(0.1, 0.36)), rng.uniform(8, 20), 0.9, WHITE, (214, 234, 252))
    with pen.placed(0 if s > 0 else width, rng.uniform(-2, 2), scale_x=s):
        palm(pen)


def forest(pen: Pen, width: float, rng: random.Random) -> None:
    """Trunks in green light."""
    pen.sweep((0, 0, width, 100), [(196, 236, 150), (150, 210, 120), (92, 166, 92)])
    x = rng.uniform(-4, 6)
    while x < width + 5:
        w = rng.uniform(3.5, 7)
        pen.fill(shape((x, -2), (x + w, -2), (x + w * 1.25, 84), (x - w * 0.25, 84)), (120, 92, 64))
        pen.fill(shape((x, -2), (x + w * 0.4, -2), (x + w * 0.3, 84), (x - w * 0.25, 84)), (148, 116, 80))
        x += w + rng.uniform(9, 17)
    for _ in range(13):
        x, r = rng.uniform(0, width), rng.uniform(7, 13)
        pen.fill(oval(x, rng.uniform(-4, 9), r, r * 0.75), rng.choice(((56, 136, 66), (72, 156, 74), (94, 176, 84))))
    for _ in range(9):
        x, r = rng.uniform(0, width), rng.uniform(8, 14)
        pen.fill(oval(x, rng.uniform(88, 100), r, r * 0.7), rng.choice(((52, 128, 66), (66, 146, 72), (84, 162, 80))))


def snow(pen: Pen, width: float, rng: random.Random) -> None:
    """Grey-blue air, white hills, flakes."""
    pen.sweep((0, 0, width, 100), [(134, 156, 186), (176, 196, 218), (216, 228, 240)])
    y = rng.uniform(60, 70)
    hills = [(-10, 110), (-10, y + 6), (width * 0.25, y - 2), (width * 0.6, y + 9), (width + 10, y), (width + 10, 110)]
    pen.fill(shape(hills[0], hills[1], (*hills[2], *hills[3]), hills[4], hills[5]), (244, 248, 254))
    for _ in range(4):
        fir(pen, rng.uniform(0, width), y + rng.uniform(2, 8), rng.uniform(0.8, 1.4))
    for _ in range(round(40 * width / 100)):
        r = rng.choice((0.8, 1.2, 1.8))
        pen.fill(oval(rng.uniform(0, width), rng.uniform(0, 100), r, r), WHITE, 240)


def classroom(pen: Pen, width: float, rng: random.Random) -> None:
    """A chalkboard with something on it, a bright window, a clock, two rows of desks."""
    pen.sweep((0, 0, width, 100), [(255, 245, 218), (248, 228, 188)])
    pen.fill(box(0, 62, width, 100), (206, 158, 108))
    pen.fill(box(0, 60, width, 63), (168, 116, 74))
    split = width * rng.uniform(0.30, 0.36)
    s = rng.choice((-1, 1))
    with pen.placed(0 if s > 0 else width, 0, scale_x=s):
        window(pen, 3, 7, split - 3, 54)
        chalkboard(pen, split + 2, 11, width - 2, 50, rng)
        pen.fill(oval(split - 0.5, 6, 4.6, 4.6), (120, 84, 66))
        pen.fill(oval(split - 0.5, 6, 3.7, 3.7), WHITE)
        pen.mark(shape((split - 0.5, 3.4), (split - 0.5, 6), (split + 1.4, 7), close=False), (80, 60, 70), 0.7)
    for y, size, shift in ((74.0, 0.8, rng.uniform(0, 14)), (90.0, 1.15, rng.uniform(0, 14))):
        x = shift - 12
        while x < width + 14:
            desk(pen, x, y, size)
            x += 25 * size


def flower_field(pen: Pen, width: float, rng: random.Random) -> None:
    """Soft hills under a pale sky, and flowers of five colours, larger towards the viewer."""
    pen.sweep((0, 0, width, 44), [(156, 222, 250), (240, 250, 232)])
    cloud(pen, rng.uniform(0, 1) * width, rng.uniform(7, 15), 0.8, WHITE, (220, 240, 246))
    top = rng.uniform(25, 31)
    third = width / 3
    end = width + 5
    far = shape(
        (-5, 60), (-5, top + 8), (third * 0.6, top - 9, third * 1.7, top + 7), (third * 2.5, top - 8, end, top + 5),
        (end, 60),
    )  # fmt: skip
    pen.fill(far, (150, 212, 160))
    near = shape(
        (-5, 104), (-5, top + 14), (third, top + 4, third * 2, top + 13), (width, top + 18, end, top + 8), (end, 104)
    )
    pen.fill(near, (112, 192, 88))
    y = top + 13
    while y < 103:  # rows come closer
        depth = (y - top) / (100 - top)
        r = 0.95 + 2.5 * depth
        x = rng.uniform(-2, 2)
        while x < width + 2:
            blossom(pen, x, y + rng.uniform(-1, 1) * r, r, rng.choice(PETALS))
            x += r * rng.uniform(3.0, 6.4)
        y += r * 2.4
    sunflowers(pen, width, rng)
    for _ in range(9):
        with pen.placed(rng.uniform(0, width), rng.uniform(3, 36), degrees=rng.uniform(0, 180)):
            pen.fill(oval(0, 0, 1.9, 1.1), rng.choice(PETALS))


PAINTERS: Final[dict[str, Callable[[Pen, float, random.Random], None]]] = {
    "white_background": white_background,
    "blue_sky": blue_sky,
    "sunset": sunset,
    "night": night,
    "cherry_blossoms": cherry_blossoms,
    "beach": beach,
    "forest": forest,
    "snow": snow,
    "classroom": classroom,
    "flower_field": flower_field,
}
