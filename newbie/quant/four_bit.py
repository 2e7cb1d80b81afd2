"""The codec of 4-bit integers in groups of columns, alone or as what SVDQuant makes of it.

    x W^T  =  x' R^T + (x' D^T) U^T      with  x' = x / s  and  W s = R + U D

`s` moves large input channels into the weights, where their factors do less harm (smoothing); U D is a branch of low
rank in 16 bits that takes the largest directions out of the weights; what remains, R, is rounded to 4 bits, and so may
be the input of its product, token by token in groups of `inputs` channels. Each part may be missing.

Everything is computed here as it is written: numbers are rounded and multiplied in floating point. That is a
reference, and saves memory; it does not save time.
Source: Li et al. 2024, SVDQuant, arXiv 2411.05007, section 4; smoothing: Xiao et al. 2022, arXiv 2211.10438.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from newbie.quant.codec import Codec, Spec, Stored
from newbie.quant.nibbles import groups, packed, unpacked
from newbie.quant.rounding import step

CODES, SCALE = "codes", "scale"
UP, DOWN, SMOOTH = "up", "down", "smooth"
LEAST, MOST = -8, 7  # all sixteen codes are used, so
STEPS = 7.5  # the largest number of a group lies half a step beyond the last, and is off by no more than any other


@dataclass(frozen=True)
class FourBit(Codec):
    """4.25 bits a weight in groups of 64, and 16 for each number of `up` (rows, rank) and `down` (rank, columns).

    `codes` (rows, columns / 2) uint8, `scale` (rows, groups), and the rest bfloat16.
    """

    group: int = 64
    rank: int = 0
    smooth: bool = False
    inputs: int = 0  # channels in a group of the product's input that is rounded too; 0: it is not

    @property
    def name(self) -> str:
        parts = {f"g{self.group}": self.group != 64, "smooth": self.smooth, f"r{self.rank}": self.rank > 0}
        parts[f"a4g{self.inputs}"] = self.inputs > 0
        return "-".join(["int4", *(part for part, there in parts.items() if there)])

    @property
    def shared(self) -> frozenset[str]:
        return frozenset((DOWN, SMOOTH))

    def stored(self, rows: int, columns: int) -> dict[str, Spec]:
        groups(columns, self.inputs or 1)
        specs = {
            CODES: Spec((rows, columns // 2), torch.uint8),
            SCALE: Spec((rows, groups(columns, self.group)), torch.bfloat16),
        }
        if self.rank:
            rank = min(self.rank, rows, columns)
            specs[UP] = Spec((rows, rank), torch.bfloat16)
            specs[DOWN] = Spec((rank, columns), torch.bfloat16)
        if self.smooth:
            specs[SMOOTH] = Spec((columns,), torch.bfloat16)
        return specs

    def encode(self, matrix: Tensor) -> dict[str, Tensor]:
        """Without a look at any input: nothing is smoothed."""
        matrix = matrix.float()
        factors = {SMOOTH: torch.ones(matrix.shape[1], dtype=torch.bfloat16, device=matrix.device)}
        branch = low_rank(matrix, self.rank) if self.rank else {}
        rest = matrix - branch[UP].float() @ branch[DOWN].float() if self.rank else matrix
        return {**nearest(rest, self.group), **branch, **(factors if self.smooth else {})}

    def residual(self, stored: Stored) -> Tensor:
        """R (rows, columns) float32."""
        codes = unpacked(stored[CODES]).float() + LEAST
        return (codes.unflatten(-1, (-1, self.group)) * stored[SCALE].float()[..., None]).flatten(-2)

    def decode(self, stored: Stored) -> Tensor:
        matrix = self.residual(stored)
        if self.rank:
            matrix = matrix.addmm_(stored[UP].float(), stored[DOWN].float())
        return matrix / stored[SMOOTH].float() if self.smooth else matrix

    def problem(self, stored: Stored) -> str:
        for name in (SCALE, UP, DOWN, SMOOTH):
            if name in stored and not torch.isfinite(stored[name].float() * LEAST).all():
                return f"a number in {name} that is NaN, infinite or too large"
        return "zeros in smooth" if self.smooth and not stored[SMOOTH].all() else ""

    def linear(self, stored: Stored, x: Tensor, bias: Tensor | None) -> Tensor:
        if not (self.rank or self.inputs):
            return super().linear(stored, x, bias)
        x = (x / stored[SMOOTH]).to(x.dtype) if self.smooth else x
        given = four_bits(x, self.inputs) if self.inputs else x
        y = F.linear(given, self.residual(stored).to(x.dtype), bias)
        if self.rank:
            y = y + F.linear(F.linear(x, stored[DOWN].to(x.dtype)), stored[UP].to(x.dtype))
        return y


def nearest(rest: Tensor, group: int) -> dict[str, Tensor]:
    """R (rows, columns) float32 as codes and scales."""
    scale = step(rest.unflatten(-1, (-1, group)), STEPS).squeeze(-1).bfloat16()
    return {CODES: coded(rest, scale), SCALE: scale}


def coded(rest: Tensor, scale: Tensor) -> Tensor:
    """(rows, columns) in steps of `scale` (rows, groups), packed: uint8 (rows, columns / 2)."""
    steps = in_steps(rest.unflatten(-1, (scale.shape[-1], -1)), scale.float()[..., None])
    return packed((steps - LEAST).flatten(-2))


def in_steps(numbers: Tensor, scale: Tensor) -> Tensor:
    """Numbers as whole steps of a scale, those that there are codes for."""
    return (numbers / scale).round().clamp(LEAST, MOST)


def four_bits(x: Tensor, group: int) -> Tensor:
    """x (..., columns) as it is after rounding to 4 bits, each group of each token with a scale of its own."""
    numbers = x.float().unflatten(-1, (-1, group))
    scale = step(numbers, STEPS)
    return (in_steps(numbers, scale) * scale).flatten(-2).to(x.dtype)


def low_rank(matrix: Tensor, rank: int) -> dict[str, Tensor]:
    """The nearest U D of that rank to a matrix (rows, columns) float32, by the eigenvectors of its smaller square."""
    tall = matrix.shape[0] >= matrix.shape[1]
    square = matrix.T @ matrix if tall else matrix @ matrix.T
    rank = min(rank, len(square))
    vectors = torch.linalg.eigh(square).eigenvectors[:, -rank:]  # of the largest, which come last
    if tall:
        return {UP: (matrix @ vectors).bfloat16(), DOWN: vectors.T.contiguous().bfloat16()}
    return {UP: vectors.bfloat16().contiguous(), DOWN: (vectors.T @ matrix).bfloat16()}
