"""Backgrounds, in hundredths of the picture's height: y from 0 to 100, x from 0 to `width`."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Final

from newbie.train.figures.palette import WHITE, Rgb
from newbie.train.figures.pen import Path, Pen, flow, oval, shape


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
        _streak(pen, rng.uniform(0, width), rng.uniform(horizon + 3, 68), rng.uniform(4, 9), (190, 240, 250))
    s = rng.choice((-1, 1))
    _cloud(pen, width * (0.5 + s * rng.uniform(0.1, 0.36)), rng.uniform(8, 20), 0.9, WHITE, (214, 234, 252))
    with pen.placed(0 if s > 0 else width, rng.uniform(-2, 2), scale_x=s):
        _palm(pen)


def _palm(pen: Pen) -> None:
    pen.fill(shape((-4, 84), (0, 40, 9, 13), (12, 14), (4, 44, 2, 84)), (150, 104, 66))
    leaves = ((36, 4, 20, -2), (33, 20, 22, 8), (23, 31, 18, 16), (-8, 24, -2, 8), (26, -9, 16, -6), (2, 34, 4, 18))
    for k, (x, y, bend_x, bend_y) in enumerate(leaves):
        leaf = shape((10, 12), (bend_x, bend_y, x, y), (bend_x - 3, bend_y + 9, 10, 15))
        pen.fill(leaf, ((46, 148, 84), (70, 172, 92))[k % 2])
    for x, y in ((8, 16), (12, 17)):
        pen.fill(oval(x, y, 2.2, 2.2), (112, 72, 46))


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
    for _ in range(round(40 * width / 100)):
        r = rng.choice((0.8, 1.2, 1.8))
        pen.fill(oval(rng.uniform(0, width), rng.uniform(0, 100), r, r), WHITE, 240)


def classroom(pen: Pen, width: float, rng: random.Random) -> None:
    """A chalkboard with something on it, a bright window, a clock, two rows of desks."""
    pen.sweep((0, 0, width, 100), [(255, 245, 218), (248, 228, 188)])
    pen.fill(_box(0, 62, width, 100), (206, 158, 108))
    pen.fill(_box(0, 60, width, 63), (168, 116, 74))
    split = width * rng.uniform(0.30, 0.36)
    s = rng.choice((-1, 1))
    with pen.placed(0 if s > 0 else width, 0, scale_x=s):
        _window(pen, 3, 7, split - 3, 54)
        _chalkboard(pen, split + 2, 11, width - 2, 50, rng)
        pen.fill(oval(split - 0.5, 6, 4.6, 4.6), (120, 84, 66))
        pen.fill(oval(split - 0.5, 6, 3.7, 3.7), WHITE)
        pen.mark(shape((split - 0.5, 3.4), (split - 0.5, 6), (split + 1.4, 7), close=False), (80, 60, 70), 0.7)
    for y, size, shift in ((74.0, 0.8, rng.uniform(0, 14)), (90.0, 1.15, rng.uniform(0, 14))):
        x = shift - 12
        while x < width + 14:
            _desk(pen, x, y, size)
            x += 25 * size


def _box(left: float, top: float, right: float, bottom: float) -> Path:
    return shape((left, top), (right, top), (right, bottom), (left, bottom))


def _window(pen: Pen, left: float, top: float, right: float, bottom: float) -> None:
    pen.fill(_box(left - 1.6, top - 1.6, right + 1.6, bottom + 1.6), (150, 110, 80))
    pen.fill(_box(left, top, right, bottom), (140, 206, 252))
    with pen.clip(_box(left, top, right, bottom)):
        pen.fill(oval(left + 5, bottom, 14, 9), (118, 192, 104))
        pen.fill(oval(right, bottom, 12, 13), (92, 172, 92))
        _cloud(pen, (left + right) / 2, top + 13, 0.7, WHITE, (220, 236, 252))
    for x in (left, (left + right) / 2, right):
        pen.fill(_box(x - 0.8, top, x + 0.8, bottom), WHITE)
    for y in (top, (top + bottom) / 2, bottom):
        pen.fill(_box(left, y - 0.8, right, y + 0.8), WHITE)


def _chalkboard(pen: Pen, left: float, top: float, right: float, bottom: float, rng: random.Random) -> None:
    pen.fill(_box(left - 1, top - 1, right + 1, bottom + 1), (150, 96, 54))
    pen.fill(_box(left + 0.8, top + 0.8, right - 0.8, bottom - 0.8), (36, 104, 82))
    pen.fill(_box(left - 1.5, bottom, right + 1.5, bottom + 2.4), (186, 128, 78))
    chalk: Rgb = (226, 240, 230)
    for side in (0.13, 0.87):  # drawn where no head is in the way
        x, y = left + (right - left) * side, top + rng.uniform(8, 11)
        if rng.random() < 0.5:
            pen.mark(oval(x, y, 3, 3), (255, 226, 130), 0.9)
            for k in range(8):
                a = k * math.pi / 4
                ray = shape((x + 4 * math.cos(a), y + 4 * math.sin(a)), (x + 5.4 * math.cos(a), y + 5.4 * math.sin(a)))
                pen.mark(ray, (255, 226, 130), 0.8)
        else:
            heart = shape(
                (x, y + 4.4), (x - 8, y - 1, x - 3, y - 4, x, y - 1), (x + 3, y - 4, x + 8, y - 1, x, y + 4.4)
            )
            pen.mark(heart, (255, 170, 190), 1.0)
        for row in range(3):
            long = rng.uniform(2.4, 4.6)
            pen.mark(shape((x - long, y + 9 + 4 * row), (x + long, y + 9 + 4 * row), close=False), chalk, 0.8)
    pen.mark(shape(((left + right) / 2 - 9, top + 5), ((left + right) / 2 + 9, top + 5), close=False), chalk, 0.9)


def _desk(pen: Pen, x: float, y: float, size: float) -> None:
    with pen.placed(x, y, scale=size):
        for leg in (2.5, 16):
            pen.fill(_box(leg, 3, leg + 1.5, 24), (120, 124, 140))
        pen.fill(_box(1.5, 3, 18.5, 8), (170, 112, 62))
        pen.fill(shape((2, 0), (18, 0), (20.5, 3.8), (-0.5, 3.8)), (238, 190, 128))


_PETALS: Final[tuple[Rgb, ...]] = ((255, 74, 92), (255, 210, 48), (255, 255, 252), (255, 132, 190), (176, 108, 232))


def flower_field(pen: Pen, width: float, rng: random.Random) -> None:
    """Soft hills under a pale sky, and flowers of five colours, larger towards the viewer."""
    pen.sweep((0, 0, width, 44), [(156, 222, 250), (240, 250, 232)])
    _cloud(pen, rng.uniform(0, 1) * width, rng.uniform(7, 15), 0.8, WHITE, (220, 240, 246))
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
            _blossom(pen, x, y + rng.uniform(-1, 1) * r, r, rng.choice(_PETALS))
            x += r * rng.uniform(3.0, 6.4)
        y += r * 2.4
    _sunflowers(pen, width, rng)
    for _ in range(9):
        with pen.placed(rng.uniform(0, width), rng.uniform(3, 36), degrees=rng.uniform(0, 180)):
            pen.fill(oval(0, 0, 1.9, 1.1), rng.choice(_PETALS))


def _sunflowers(pen: Pen, width: float, rng: random.Random) -> None:
    """They tower at both edges: the field is seen above a row of heads too, and nobody takes one for a hair flower."""
    for edge in (0.0, width):
        inward = 1 if edge == 0 else -1
        for step, height in ((4, rng.uniform(14, 20)), (13, rng.uniform(24, 30))):
            x = edge + inward * (step + rng.uniform(-1, 1))
            pen.mark(shape((x - inward * 3, 104), (x - inward * 3, 60, x, height), close=False), (66, 148, 66), 2.0)
            for k in range(9):
                a = k * math.tau / 9
                pen.fill(oval(x + 4.1 * math.cos(a), height + 4.1 * math.sin(a), 2.3, 2.3), (255, 200, 36))
            pen.fill(oval(x, height, 3.6, 3.6), (126, 74, 36))


def _blossom(pen: Pen, x: float, y: float, r: float, color: Rgb) -> None:
    if r < 1.6:
        return pen.fill(oval(x, y, r, r * 0.8), color)
    pen.fill(oval(x, y + r * 1.1, r * 0.9, r * 0.5), (74, 156, 70))
    d = r * 0.62
    for dx, dy in ((0, -d), (d, 0), (0, d), (-d, 0)):
        pen.fill(oval(x + dx, y + dy * 0.9, d, d * 0.9), color)
    pen.fill(oval(x, y, r * 0.42, r * 0.38), (255, 176, 32) if color != _PETALS[1] else (176, 98, 30))
    return None


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
    "classroom": classroom,
    "flower_field": flower_field,
}
