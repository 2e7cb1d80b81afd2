"""Pieces of scenery from which `scene.py` puts its backgrounds together."""

from __future__ import annotations

import math
import random
from typing import Final

from newbie.train.figures.palette import WHITE, Rgb
from newbie.train.figures.pen import Path, Pen, oval, shape

PETALS: Final[tuple[Rgb, ...]] = ((255, 74, 92), (255, 210, 48), (255, 255, 252), (255, 132, 190), (176, 108, 232))


def cloud(pen: Pen, x: float, y: float, size: float, color: Rgb, shade: Rgb) -> None:
    """A heap of white with a shaded foot."""
    with pen.placed(x, y, scale=size):
        heap = ((0, 0, 8), (-9, 3, 6), (9, 3, 6.5), (-16, 5.5, 3.5), (16, 6, 3.5), (2, 5, 6))
        for dx, dy, r in heap:
            pen.fill(oval(dx, dy + 1.6, r, r * 0.8), shade)
        for dx, dy, r in heap:
            pen.fill(oval(dx - 0.5, dy, r * 0.94, r * 0.74), color)


def streak(pen: Pen, x: float, y: float, length: float, color: Rgb) -> None:
    """A thin band of cloud, or light on water."""
    pen.fill(oval(x, y, length, 0.9), color, 150)


def sparkle(pen: Pen, x: float, y: float, r: float) -> None:
    """A star of four points."""
    q = r * 0.16
    star = shape(
        (x, y - r),
        (x + q, y - q, x + r, y),
        (x + q, y + q, x, y + r),
        (x - q, y + q, x - r, y),
        (x - q, y - q, x, y - r),
    )
    pen.fill(star, (255, 250, 224))


def fir(pen: Pen, x: float, y: float, size: float) -> None:
    """A fir with snow on it."""
    for k in range(3):
        w, top = (4.5 + 2.2 * k) * size, y - (20 - 6 * k) * size
        pen.fill(shape((x, top), (x + w, top + 9 * size), (x - w, top + 9 * size)), (78, 122, 124))
        pen.fill(shape((x, top), (x + w * 0.5, top + 4 * size), (x - w * 0.5, top + 4 * size)), (236, 244, 250))


def palm(pen: Pen) -> None:
    """A palm that leans in from the left edge."""
    pen.fill(shape((-4, 84), (0, 40, 9, 13), (12, 14), (4, 44, 2, 84)), (150, 104, 66))
    leaves = ((36, 4, 20, -2), (33, 20, 22, 8), (23, 31, 18, 16), (-8, 24, -2, 8), (26, -9, 16, -6), (2, 34, 4, 18))
    for k, (x, y, bend_x, bend_y) in enumerate(leaves):
        leaf = shape((10, 12), (bend_x, bend_y, x, y), (bend_x - 3, bend_y + 9, 10, 15))
        pen.fill(leaf, ((46, 148, 84), (70, 172, 92))[k % 2])
    for x, y in ((8, 16), (12, 17)):
        pen.fill(oval(x, y, 2.2, 2.2), (112, 72, 46))


def box(left: float, top: float, right: float, bottom: float) -> Path:
    """A rectangle."""
    return shape((left, top), (right, top), (right, bottom), (left, bottom))


def window(pen: Pen, left: float, top: float, right: float, bottom: float) -> None:
    """A window on a summer day."""
    pen.fill(box(left - 1.6, top - 1.6, right + 1.6, bottom + 1.6), (150, 110, 80))
    pen.fill(box(left, top, right, bottom), (140, 206, 252))
    with pen.clip(box(left, top, right, bottom)):
        pen.fill(oval(left + 5, bottom, 14, 9), (118, 192, 104))
        pen.fill(oval(right, bottom, 12, 13), (92, 172, 92))
        cloud(pen, (left + right) / 2, top + 13, 0.7, WHITE, (220, 236, 252))
    for x in (left, (left + right) / 2, right):
        pen.fill(box(x - 0.8, top, x + 0.8, bottom), WHITE)
    for y in (top, (top + bottom) / 2, bottom):
        pen.fill(box(left, y - 0.8, right, y + 0.8), WHITE)


def chalkboard(pen: Pen, left: float, top: float, right: float, bottom: float, rng: random.Random) -> None:
    """A chalkboard; what is drawn on it stands where no head is in the way."""
    pen.fill(box(left - 1, top - 1, right + 1, bottom + 1), (150, 96, 54))
    pen.fill(box(left + 0.8, top + 0.8, right - 0.8, bottom - 0.8), (36, 104, 82))
    pen.fill(box(left - 1.5, bottom, right + 1.5, bottom + 2.4), (186, 128, 78))
    chalk: Rgb = (226, 240, 230)
    for side in (0.13, 0.87):
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


def desk(pen: Pen, x: float, y: float, size: float) -> None:
    """A school desk."""
    with pen.placed(x, y, scale=size):
        for leg in (2.5, 16):
            pen.fill(box(leg, 3, leg + 1.5, 24), (120, 124, 140))
        pen.fill(box(1.5, 3, 18.5, 8), (170, 112, 62))
        pen.fill(shape((2, 0), (18, 0), (20.5, 3.8), (-0.5, 3.8)), (238, 190, 128))


def sunflowers(pen: Pen, width: float, rng: random.Random) -> None:
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


def blossom(pen: Pen, x: float, y: float, r: float, color: Rgb) -> None:
    """One flower of the field; a dot where it is far away."""
    if r < 1.6:
        return pen.fill(oval(x, y, r, r * 0.8), color)
    pen.fill(oval(x, y + r * 1.1, r * 0.9, r * 0.5), (74, 156, 70))
    d = r * 0.62
    for dx, dy in ((0, -d), (d, 0), (0, d), (-d, 0)):
        pen.fill(oval(x + dx, y + dy * 0.9, d, d * 0.9), color)
    pen.fill(oval(x, y, r * 0.42, r * 0.38), (255, 176, 32) if color != PETALS[1] else (176, 98, 30))
    return None
