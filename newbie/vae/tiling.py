"""Decoding in tiles: large pictures in the memory of small ones.

The latents are cut into tiles that overlap, each is decoded by itself, and where tiles overlap their pixels are mixed
with weights that fall to zero before the edges ("feathered"), so that no seam is left. It is not exact: norms and the
attention of the decoder see one tile, not the picture, which can shift its tones; what a tile is to see of its
neighbours is the overlap. A picture that one tile holds is decoded as ever, bit for bit.

Pictures of a batch are decoded one after another (slicing), which is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from newbie.errors import UsageError
from newbie.vae.autoencoder import Autoencoder

OVERLAP = 0.25  # of a tile's side
UNSEEN = 0.25  # of an overlap, at either end: a tile's outermost pixels know its edge, and are left to its neighbour
SMALLEST = 64  # pixels


class Cut(NamedTuple):
    """One tile along one side: where it begins and ends in latents, and which of its ends meet another tile."""

    start: int
    stop: int
    first: bool
    last: bool


@dataclass(frozen=True)
class Tiling:
    """Tiles of `side` pixels; neighbours share a quarter of it.

    Raises:
        UsageError: tiles that are too small to see anything.
    """

    side: int = 512

    def __post_init__(self) -> None:
        if self.side < SMALLEST:
            raise UsageError(
                f"tiles of {self.side} pixels are too small", f"at least {SMALLEST}; usual are 512 and 256"
            )

    def decode(self, vae: Autoencoder, latents: Tensor) -> Tensor:
        """Scaled latents (B, C, h, w) to float32 pixels (B, 3, H, W), as `Autoencoder.decode`."""
        factor = vae.config.factor
        rows, columns = (self.cuts(size, factor) for size in latents.shape[2:])
        if len(rows) == len(columns) == 1 and len(latents) == 1:
            return vae.decode(latents)
        height, width = (size * factor for size in latents.shape[2:])
        pixels = torch.zeros(len(latents), 3, height, width, device=latents.device)
        overlap = self._overlap(factor)
        for picture, its in zip(pixels, latents, strict=True):
            for row in rows:
                for column in columns:
                    tile = vae.decode(its[None, :, row.start : row.stop, column.start : column.stop])[0]
                    # Weights of neighbours add up to one by their making: nothing is divided afterwards.
                    tile *= _weights(row, overlap, factor, tile)[:, None] * _weights(column, overlap, factor, tile)
                    place = (slice(cut.start * factor, cut.stop * factor) for cut in (row, column))
                    picture[:, *place] += tile
        return pixels

    def cuts(self, size: int, factor: int) -> list[Cut]:
        """A side of `size` latents in tiles that overlap by the same everywhere; the last may be shorter."""
        side, overlap = max(self.side // factor, 2), self._overlap(factor)
        return list(_cuts(size, side, overlap))

    def largest(self, size: tuple[int, int], factor: int) -> tuple[int, int]:
        """The largest tile of latents (height, width)."""
        height, width = (max(cut.stop - cut.start for cut in self.cuts(side, factor)) for side in size)
        return height, width

    def _overlap(self, factor: int) -> int:
        """In latents."""
        return max(int(max(self.side // factor, 2) * OVERLAP), 1)


def _cuts(size: int, side: int, overlap: int) -> Iterator[Cut]:
    if size <= side:
        yield Cut(0, size, True, True)
        return
    count = -(-(size - overlap) // (side - overlap))
    # All of one length but for rounding: a narrow last tile would see little of the picture.
    inner = size - overlap
    for number in range(count):
        start, stop = number * inner // count, (number + 1) * inner // count + overlap
        yield Cut(start, stop, number == 0, number == count - 1)


def _weights(cut: Cut, overlap: int, factor: int, like: Tensor) -> Tensor:
    """(pixels,) of one tile along one side: ones, and ramps where it overlaps another."""
    weights = torch.ones((cut.stop - cut.start) * factor, device=like.device)
    at = (torch.arange(overlap * factor, device=like.device) + 0.5) / (overlap * factor)
    ramp = ((at - UNSEEN) / (1 - 2 * UNSEEN)).clamp(0, 1)
    ramp = ramp * ramp * (3 - 2 * ramp)  # no kink at either end
    if not cut.first:
        weights[: len(ramp)] = ramp
    if not cut.last:
        weights[-len(ramp) :] = 1 - ramp
    return weights
