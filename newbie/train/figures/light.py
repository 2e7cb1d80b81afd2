"""The four lights: how the figures' layer comes onto the background.

A light multiplies colours gently, for the ten colours of hair must stay apart in all four; what tells the lights from
one another is where they fall: a glow from one side, a dark blue scene, a bright rim.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]  # (H, W, 3)
Layer = npt.NDArray[np.uint8]  # (H, W, 4), premultiplied RGBA
Array = npt.NDArray[np.float32]


def lit(background: Picture, figures: Layer, lighting: str, seed: int) -> Picture:
    """The figures before the background, in a light of `words.LIGHTS`."""
    if lighting == "daylight":
        return _over(background, figures)
    back = background.astype(np.float32)
    front = figures[:, :, :3].astype(np.float32)
    alpha = figures[:, :, 3:].astype(np.float32) * np.float32(1 / 255)
    if lighting == "warm_light":
        back, front = _warm(back, front, alpha, from_left=seed % 2 == 0)
    elif lighting == "moonlight":
        back, front = _moonlit(back, front, alpha)
    elif lighting == "backlighting":
        back, front = _backlit(back, front, alpha)
    picture = back * (1 - alpha) + front
    return (picture + 0.5).clip(0, 255).astype(np.uint8)


def _over(background: Picture, figures: Layer) -> Picture:
    """One layer on the other, in whole numbers: most pictures are in daylight, and this is twice as fast."""
    behind = background * (255 - figures[:, :, 3:]).astype(np.uint16) + np.uint16(128)
    behind += behind >> 8  # with the next shift: divided by 255 and rounded
    picture: Picture = (behind >> 8).astype(np.uint8) + figures[:, :, :3]
    return picture


def _warm(back: Array, front: Array, alpha: Array, *, from_left: bool) -> tuple[Array, Array]:
    """A low golden sun beside the picture: everything warmer, its own side bright, an edge of gold on the figures."""
    height, width, _ = back.shape
    near = _nearness(width, from_left)
    back = back * (_color(0.99, 0.90, 0.74) * (0.84 + 0.16 * near))
    back += (_color(255, 204, 104) - back) * (0.06 + 0.54 * near**2)
    front = front * (_color(0.96, 0.90, 0.84) + near * _color(0.08, 0.07, 0.01))
    step = max(1, round(height * 0.022))
    edge = np.zeros_like(alpha)  # where the figures end on the sun's side; none at the frame
    if from_left:
        edge[:, step:] = alpha[:, step:] - alpha[:, :-step]
    else:
        edge[:, :-step] = alpha[:, :-step] - alpha[:, step:]
    edge = np.clip(edge * 2, 0, 1)
    front += (_color(255, 216, 110) * alpha - front) * (edge * (0.25 + 0.65 * near))
    return back, front


def _moonlit(back: Array, front: Array, alpha: Array) -> tuple[Array, Array]:
    """Blue and dark, the scene darker than the figures, a pale edge from above."""
    back = back * _color(0.47, 0.52, 0.66) + _color(0, 4, 34)
    front = front * _color(0.78, 0.78, 0.87) + _color(0, 2, 12) * alpha
    step = max(1, round(len(back) * 0.016))
    above = np.clip((alpha[step:] - alpha[:-step]) * 2, 0, 1)
    front[step:] += (_color(196, 226, 255) * alpha[step:] - front[step:]) * (above * 0.9)
    return back, front


def _backlit(back: Array, front: Array, alpha: Array) -> tuple[Array, Array]:
    """The light is behind: a bright haze around the figures, a white rim on them, and their own colours dimmed."""
    haze = np.minimum(1.0, _blurred(alpha, 0.05) * 1.7)
    back += (_color(255, 249, 212) - back) * (0.05 + 0.72 * haze)
    front = front * _color(0.90, 0.87, 0.91)
    front += (_color(255, 250, 220) * alpha - front) * _rim(alpha, 0.016)
    return back, front


def _color(red: float, green: float, blue: float) -> Array:
    return np.array((red, green, blue), np.float32)


@lru_cache(maxsize=32)
def _nearness(width: int, from_left: bool) -> Array:
    """1 at the side the light comes from, 0 at the other, as (1, W, 1)."""
    ramp = np.linspace(1, 0, width, dtype=np.float32)[None, :, None]
    return ramp if from_left else ramp[:, ::-1]


def _rim(alpha: Array, thick: float) -> Array:
    """A band of `thick` heights inside the figures' outline, 1 at the outline; none where the frame cuts them."""
    return np.clip(3.1 - 3.3 * _blurred(alpha, thick), 0, 1)


def _blurred(alpha: Array, radius: float) -> Array:
    """A (H, W, 1) mask blurred by two box filters; what the frame cuts off goes on beyond it."""
    reach = max(1, round(len(alpha) * radius))
    mask = alpha[:, :, 0]
    for _ in range(2):
        for axis in (0, 1):
            mask = _box(mask, reach, axis)
    return mask[:, :, None]


def _box(mask: Array, reach: int, axis: int) -> Array:
    """The mean over 2 `reach` + 1 neighbours along `axis`."""
    before = [(0, 0), (0, 0)]
    before[axis] = (reach + 1, reach)
    sums = np.pad(mask, before, mode="edge").cumsum(axis, dtype=np.float32)
    span = 2 * reach + 1
    if axis == 0:
        return (sums[span:] - sums[:-span]) / span
    return (sums[:, span:] - sums[:, :-span]) / span
