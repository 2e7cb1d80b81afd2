"""Decoding in tiles: large pictures in the memory of small ones.

The latents are cut into tiles that overlap, each is decoded by itself, and where tiles overlap their pixels are mixed
with weights that fall to zero before the edges ("feathered"), so that no seam is left. It is not exact: norms and the
attention of the decoder see one tile, not the picture, which can shift its tones; what a tile is to see of its
neighbours is the overlap. A picture that one tile holds is decoded as ever, bit for bit.

Pictures of a batch are decoded one after another (slicing), which is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from newbie.errors import UsageError
from newbie.vae.autoencoder import Autoencoder

OVERLAP = 0.25  # of a tile's side
UNSEEN = 0.25  # of an overlap, at either end: a tile's outermost pixels know its edge, and are left to its neighbour
SMALLEST = 64  # pixels


class Cut(NamedTuple):
    """One tile along one side, in latents: where it begins and ends, and how much it shares with its neighbours."""

    start: int
    stop: int
    before: int  # 0: there is none
    after: int


@dataclass(frozen=True)
class Tiling:
    """Tiles of `side` pixels at most, all of one size; neighbours share a quarter of it, or a little more.

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
        for picture, its in zip(pixels, latents, strict=True):
            for row in rows:
                for column in columns:
                    tile = vae.decode(its[None, :, row.start : row.stop, column.start : column.stop])[0]
                    # Weights of neighbours add up to one by their making: nothing is divided afterwards.
                    tile *= _weights(row, factor, tile)[:, None] * _weights(column, factor, tile)
                    place = (slice(cut.start * factor, cut.stop * factor) for cut in (row, column))
                    picture[:, *place] += tile
                    del tile  # the next one needs its room
        return pixels

    def cuts(self, size: int, factor: int) -> list[Cut]:
        """A side of `size` latents in tiles of one length, whose overlaps differ by one at most.

        Of one length, for what computes them prepares itself for each size: in time, and in memory that it keeps.
        """
        side = max(self.side // factor, 2)
        overlap = max(int(side * OVERLAP), 1)
        if size <= side:
            return [Cut(0, size, 0, 0)]
        count = math.ceil((size - overlap) / (side - overlap))
        length = math.ceil((size - overlap) / count) + overlap
        starts = [number * (size - length) // (count - 1) for number in range(count)]
        shared = [0, *(start + length - following for start, following in pairwise(starts)), 0]
        return [Cut(start, start + length, shared[i], shared[i + 1]) for i, start in enumerate(starts)]

    def tile(self, size: tuple[int, int], factor: int) -> tuple[int, int]:
        """The size of a tile of latents (height, width)."""
        height, width = (self.cuts(side, factor)[0].stop for side in size)
        return height, width


def _weights(cut: Cut, factor: int, like: Tensor) -> Tensor:
    """(pixels,) of one tile along one side: ones, and ramps where it overlaps another."""
    weights = torch.ones((cut.stop - cut.start) * factor, device=like.device)
    if cut.before:
        weights[: cut.before * factor] = _ramp(cut.before * factor, like)
    if cut.after:
        weights[-cut.after * factor :] = 1 - _ramp(cut.after * factor, like)
    return weights


def _ramp(length: int, like: Tensor) -> Tensor:
    """(length,) from zero to one."""
    at = (torch.arange(length, device=like.device) + 0.5) / length
    ramp = ((at - UNSEEN) / (1 - 2 * UNSEEN)).clamp(0, 1)
    return ramp * ramp * (3 - 2 * ramp)  # no kink at either end
