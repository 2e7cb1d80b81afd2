"""The four art styles: how the pen draws in each, and what happens to the finished picture."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from newbie.train.figures.pen import Look

Picture = npt.NDArray[np.uint8]  # (H, W, 3)
Array = npt.NDArray[np.float32]

LOOKS: Final[dict[str, Look]] = {
    "anime_style": Look(),
    "watercolor": Look(outline=0.62, fade=0.42),
    "flat_color": Look(outline=0.0, shading=False),
    "pixel_art": Look(outline=1.05),
}
PAPER: Final = (255, 251, 240)
ROWS: Final = 85  # rows of visible pixels in a picture of pixel art, whatever its size
SHEETS: Final = 8  # different sheets of watercolour paper


def look(style: str) -> Look:
    """How the pen draws in a style of `words.STYLES`."""
    return LOOKS[style]


def finish(picture: Picture, style: str, seed: int) -> Picture:
    """What a style does to the drawn picture: nothing, paper and pigment, or large pixels."""
    if style == "watercolor":
        return _washed(picture, seed % SHEETS)
    if style == "pixel_art":
        return _pixels(picture)
    return picture


def _washed(picture: Picture, sheet: int) -> Picture:
    """Watercolour: edges that waver, pigment that is uneven and gathers at edges, and bare paper at the margin.

    Pigment takes light away from the paper, so all of it happens to what is missing from white.
    """
    height, width, _ = picture.shape
    source, density = _paper(height, width, sheet)
    pigment = 255 - picture.reshape(-1, 3).take(source, axis=0).astype(np.float32)
    dark = pigment.sum(2, keepdims=True) * np.float32(1 / 765)
    reach = max(1, round(height * 0.012))
    around = (
        np.roll(dark, reach, 0) + np.roll(dark, -reach, 0) + np.roll(dark, reach, 1) + np.roll(dark, -reach, 1)
    ) * np.float32(0.25)
    pigment *= density * (1 + 0.7 * (dark - around))
    return (np.array(PAPER, np.float32) - pigment + 0.5).clip(0, 255).astype(np.uint8)


@lru_cache(maxsize=3 * SHEETS)
def _paper(height: int, width: int, sheet: int) -> tuple[npt.NDArray[np.int32], Array]:
    """One sheet: from where each pixel takes its colour (H, W), and how much pigment it holds (H, W, 1)."""
    rng = np.random.default_rng(sheet)
    down, right, wash, grain, frayed = (_noise(rng, height, width, cells) for cells in (11, 11, 6, 80, 18))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waver = height * 0.0065
    rows = (y + down * waver + 0.5).clip(0, height - 1).astype(np.int32)
    columns = (x + right * waver + 0.5).clip(0, width - 1).astype(np.int32)
    margin = np.minimum(np.minimum(y, height - 1 - y), np.minimum(x, width - 1 - x)) / height
    painted = ((margin - 0.014 - 0.014 * frayed) / 0.012).clip(0, 1)
    density = (0.85 + 0.13 * wash + 0.05 * grain) * painted
    return rows * np.int32(width) + columns, density[:, :, None].astype(np.float32)


def _noise(rng: np.random.Generator, height: int, width: int, cells: int) -> Array:
    """Smooth noise from -1 to 1 with `cells` cells in a picture's height: the same at every size."""
    grid = rng.uniform(-1, 1, (cells + 2, cells * 4 + 2)).astype(np.float32)
    y = np.linspace(0, cells, height, endpoint=False)
    x = np.linspace(0, cells * min(width / height, 4.0), width, endpoint=False)
    row, column = y.astype(int), x.astype(int)
    fy, fx = (y - row)[:, None], (x - column)[None, :]
    top = grid[row][:, column] * (1 - fx) + grid[row][:, column + 1] * fx
    bottom = grid[row + 1][:, column] * (1 - fx) + grid[row + 1][:, column + 1] * fx
    mixed: Array = (top * (1 - fy) + bottom * fy).astype(np.float32)
    return mixed


def _pixels(picture: Picture) -> Picture:
    """Pixel art: few large pixels, sharpened so that eyes and mouths keep their contrast, in fewer colours."""
    height, width, _ = picture.shape
    cell = max(2, round(height / ROWS))
    padded = np.pad(picture, ((0, -height % cell), (0, -width % cell), (0, 0)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // cell, cell, padded.shape[1] // cell, cell, 3)
    small = blocks.mean((1, 3), dtype=np.float32)
    edged = np.pad(small, ((1, 1), (1, 1), (0, 0)), mode="edge")
    around = (edged[:-2, 1:-1] + edged[2:, 1:-1] + edged[1:-1, :-2] + edged[1:-1, 2:]) * np.float32(0.25)
    sharp = (small + 0.5 * (small - around)).clip(0, 255)
    few = (np.round(sharp * np.float32(15 / 255)) * 17).astype(np.uint8)
    return few.repeat(cell, 0).repeat(cell, 1)[:height, :width]
