"""The four art styles: how the pen draws in each, and what happens to the finished picture."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from newbie.train.figures.pen import Look

Picture = npt.NDArray[np.uint8]  # (H, W, 3)

LOOKS: Final[dict[str, Look]] = {
    "anime_style": Look(),
    "watercolor": Look(outline=0.6, fade=0.3),
    "flat_color": Look(outline=0.0, shading=False),
    "pixel_art": Look(outline=1.1),
}


def look(style: str) -> Look:
    """How the pen draws in a style of `words.STYLES`."""
    return LOOKS[style]


def finish(picture: Picture, style: str, seed: int) -> Picture:
    """What a style does to the drawn picture: nothing, paper and pigment, or large pixels."""
    if style == "pixel_art":
        return _pixels(picture)
    return picture


def _pixels(picture: Picture) -> Picture:
    height, width, _ = picture.shape
    cell = max(2, round(height / 85))
    return picture[::cell, ::cell].repeat(cell, 0).repeat(cell, 1)[:height, :width]
