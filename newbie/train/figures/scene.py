"""Backgrounds, in hundredths of the picture's height: y from 0 to 100, x from 0 to `width`."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Final

from newbie.train.figures.palette import WHITE, Rgb
from newbie.train.figures.pen import Pen, flow, oval, shape


def white_background(pen: Pen, width: float, rng: random.Random) -> None:
    """Nothing but paper."""
    pen.sweep((0, 0, width, 100), [(252, 252, 254), (252, 252, 254)])


def blue_sky(pen: Pen, width: float, rng: random.Random) -> None:
    """A summer sky with heaped clouds."""
    pen.sweep((0, 0, width, 100), [(70, 158, 250), (150, 208, 255), (222, 242, 255)])
    for x in (rng.uniform(0, 0.3), rng.uniform(0.35, 0.65), rng.uniform(0.7, 1.0)):
        _cloud(pen, x * width, rng.uniform(8, 40), rng.uniform(0.7, 1.25), WHITE, (206, 228, 250))
    _cloud(pen, rng.uniform(0, 1) * width, rng.uniform(70, 92), 1.7, WHITE, (214, 232, 250))


def sunset(pen: Pen, width: float, rng: random.Random) -> None:
    """Violet over orange, with a low sun."""
    pen.sweep((0, 0, width, 100), [(106, 76, 160), (214, 96, 132), (255, 150, 84), (255, 206, 120)])
    x = rng.choice((rng.uniform(0.06, 0.24), rng.uniform(0.76, 0.94))) * width
    y = rng.uniform(56, 68)
    pen.fill(oval(x, y, 15, 15), (255, 214, 130), 110)
    pen.fill(oval(x, y, 10.5, 10.5), (255, 240, 184))
    for _ in range(4):
        _streak(pen, rng.uniform(0, width), rng.uniform(10, 52), rng.uniform(10, 22), (255, 176, 140))


def night(pen: Pen, width: float, rng: random.Random) -> None:
    """Stars and a large moon."""
    pen.sweep((0, 0, width, 100), [(16, 18, 62), (36, 38, 108), (82, 72, 156)])
    for _ in range(26):
        x, y, r = rng.uniform(0, width), rng.uniform(0, 90), rng.choice((0.5, 0.6, 0.9))
        pen.fill(oval(x, y, r, r), (255, 250, 220))
    for _ in range(4):
        _sparkle(pen, rng.uniform(0, width), rng.uniform(4, 60), rng.uniform(2.0, 3.2))
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
    with pen.placed(0 if s > 0 else width, 0, scale_x=s):
        branch = shape((-2, 12), (16, 10, 38, 2), (40, 0), (44, -4), (30, -4), (12, 4, -2, 5))
        pen.fill(branch, (124, 82, 78))
        for _ in range(17):
            t = rng.random()
            x, y = t * 46 - 2, 10 - t * 12 + rng.uniform(-5, 7)
            pink: Rgb = rng.choice(((255, 170, 200), (255, 148, 186), (255, 196, 216)))
            pen.fill(oval(x, y, rng.uniform(2.6, 4.6), rng.uniform(2.4, 4.0)), pink)
    for _ in range(17):
        with pen.placed(rng.uniform(0, width), rng.uniform(8, 98), degrees=rng.uniform(0, 180)):
            pen.fill(oval(0, 0, 2.5, 1.5), (255, 132, 172))


def beach(pen: Pen, width: float, rng: random.Random) -> None:
    """Sky, a band of sea, sand."""
    horizon = rng.uniform(50, 58)
    pen.sweep((0, 0, width, horizon), [(110, 196, 255), (206, 240, 255)])
    pen.sweep((0, horizon, width, 82), [(24, 132, 206), (40, 190, 214)])
    pen.sweep((0, 80, width, 100), [(252, 228, 172), (244, 208, 146)])
    wave = [(x, 80 + 1.6 * math.sin(x / 6 + rng.random())) for x in range(-5, int(width) + 12, 6)]
    pen.stroke(flow(wave, close=False), WHITE, 2.6)
    for _ in range(7):
        _streak(pen, rng.uniform(0, width), rng.uniform(horizon + 4, 76), rng.uniform(4, 9), (190, 240, 250))
    _cloud(pen, rng.uniform(0, 1) * width, rng.uniform(10, 30), 1.0, WHITE, (214, 234, 252))


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
        _fir(pen, rng.uniform(0, width), y + rng.uniform(2, 8), rng.uniform(0.8, 1.4))
    for _ in range(38):
        r = rng.choice((0.8, 1.1, 1.6))
        pen.fill(oval(rng.uniform(0, width), rng.uniform(0, 100), r, r), WHITE, 240)


def _fir(pen: Pen, x: float, y: float, size: float) -> None:
    for k in range(3):
        w, top = (4.5 + 2.2 * k) * size, y - (20 - 6 * k) * size
        pen.fill(shape((x, top), (x + w, top + 9 * size), (x - w, top + 9 * size)), (78, 122, 124))
        pen.fill(shape((x, top), (x + w * 0.5, top + 4 * size), (x - w * 0.5, top + 4 * size)), (236, 244, 250))


def _cloud(pen: Pen, x: float, y: float, size: float, color: Rgb, shade: Rgb) -> None:
    with pen.placed(x, y, scale=size):
        heap = ((0, 0, 8), (-9, 3, 6), (9, 3, 6.5), (-16, 5.5, 3.5), (16, 6, 3.5), (2, 5, 6))
        for dx, dy, r in heap:
            pen.fill(oval(dx, dy + 1.6, r, r * 0.8), shade)
        for dx, dy, r in heap:
            pen.fill(oval(dx - 0.5, dy, r * 0.94, r * 0.74), color)


def _streak(pen: Pen, x: float, y: float, length: float, color: Rgb) -> None:
    pen.fill(oval(x, y, length, 0.9), color, 150)


def _sparkle(pen: Pen, x: float, y: float, r: float) -> None:
    q = r * 0.16
    star = shape(
        (x, y - r),
        (x + q, y - q, x + r, y),
        (x + q, y + q, x, y + r),
        (x - q, y + q, x - r, y),
        (x - q, y - q, x, y - r),
    )
    pen.fill(star, (255, 250, 224))


PAINTERS: Final[dict[str, Callable[[Pen, float, random.Random], None]]] = {
    "white_background": white_background,
    "blue_sky": blue_sky,
    "sunset": sunset,
    "night": night,
    "cherry_blossoms": cherry_blossoms,
    "beach": beach,
    "forest": forest,
    "snow": snow,
}
