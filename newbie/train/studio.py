"""Drawings in numbers: worker processes draw, and every picture is brought to the square the probe looks at.

No torch here: a worker starts in a moment and stays small.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from types import TracebackType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from newbie.train.figures import PictureSpec, draw

Picture = npt.NDArray[np.uint8]  # (H, W, 3)

PAPER: Final = 128  # the grey around a picture that is no square
_CHUNK: Final = 16  # drawings per errand of a worker


def fitted(picture: Picture, side: int) -> Picture:
    """(side, side, 3): the whole picture, as large as fits, in the middle of grey paper."""
    height, width = picture.shape[:2]
    if (height, width) == (side, side):
        return picture
    scale = side / max(height, width)
    inner = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = np.asarray(Image.fromarray(picture).resize(inner, Image.Resampling.BILINEAR))
    page = np.full((side, side, 3), PAPER, np.uint8)
    left, top = (side - inner[0]) // 2, (side - inner[1]) // 2
    page[top : top + inner[1], left : left + inner[0]] = small
    return page


class Studio:
    """Draws specs, `side` pixels for a square, in `workers` processes; with 0 of them here. Use as a context."""

    def __init__(self, workers: int = 0, side: int = 256) -> None:
        self.side = side
        self.workers = workers
        self._pool = get_context("spawn").Pool(workers) if workers else None

    def __enter__(self) -> Studio:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.terminate()
            self._pool.join()

    def order(self, specs: Sequence[PictureSpec], *, fit: bool = False) -> Order:
        """Have `specs` drawn. The workers begin at once; `fit` brings every picture to a square of `side`."""
        jobs = [(specs[i : i + _CHUNK], self.side, fit) for i in range(0, len(specs), _CHUNK)]
        if self._pool is None:
            return Order(jobs, [])
        return Order([], [self._pool.apply_async(_draw, job) for job in jobs])

    def pictures(self, specs: Sequence[PictureSpec], *, fit: bool = False) -> list[Picture]:
        """All of `specs`, drawn."""
        return list(self.order(specs, fit=fit))


class Order:
    """Drawings that are being made; iterating waits for them, in order."""

    def __init__(self, jobs: list[tuple[Sequence[PictureSpec], int, bool]], promised: list[Any]) -> None:
        self._jobs = jobs
        self._promised = promised

    def __iter__(self) -> Iterator[Picture]:
        for job in self._jobs:
            yield from _draw(*job)
        for promise in self._promised:
            yield from promise.get()


def _draw(specs: Sequence[PictureSpec], side: int, fit: bool) -> list[Picture]:
    pictures = [draw(spec, side) for spec in specs]
    return [fitted(picture, side) for picture in pictures] if fit else pictures
