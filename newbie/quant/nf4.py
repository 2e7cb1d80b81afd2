"""The codec of NF4, four-bit normal floats: sixteen levels at quantiles of a bell curve, which is how weights lie.

Blocks of 64 weights share the largest of them as a scale, and these scales are themselves 8 bits with one scale for
each row (double quantisation; the paper has one for 256 blocks, wherever rows end, which would tie rows together).
Source: Dettmers et al. 2023, QLoRA, arXiv 2305.14314, section 3 and appendix E.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from newbie.quant.codec import Codec, Spec, Stored
from newbie.quant.nibbles import groups, packed, unpacked

CODES, BLOCKS, ROWS = "codes", "block_scale", "row_scale"
BLOCK = 64
STEPS = 255  # of a block's scale
LEVELS = (
    -1.0, -0.6961928, -0.52507305, -0.39491749, -0.28444138, -0.18477343, -0.09105004, 0.0,
    0.0795803, 0.1609302, 0.24611230, 0.33791524, 0.44070983, 0.56261700, 0.72295684, 1.0,
)  # fmt: skip


@dataclass(frozen=True)
class Nf4(Codec):
    """4 bits a weight, 8 a block, 16 a row: 4.13 bits for rows of 2304 weights.

    `codes` (rows, columns / 2) and `block_scale` (rows, columns / 64) uint8, `row_scale` (rows, 1) bfloat16.
    """

    @property
    def name(self) -> str:
        return "nf4"

    def stored(self, rows: int, columns: int) -> dict[str, Spec]:
        blocks = groups(columns, BLOCK)
        return {
            CODES: Spec((rows, columns // 2), torch.uint8),
            BLOCKS: Spec((rows, blocks), torch.uint8),
            ROWS: Spec((rows, 1), torch.bfloat16),
        }

    def encode(self, matrix: Tensor) -> dict[str, Tensor]:
        blocks = matrix.float().unflatten(-1, (-1, BLOCK))  # (rows, blocks, 64)
        largest = blocks.abs().amax(-1)
        of_row = (largest.amax(-1, keepdim=True) / (STEPS - 1)).bfloat16()  # one step to spare: this rounds down too
        of_row = torch.where(of_row > 0, of_row, torch.ones_like(of_row))
        # Upwards, so that no weight lies beyond the outermost level.
        of_block = (largest / of_row.float()).ceil().clamp(max=STEPS).to(torch.uint8)
        scale = _scales(of_block, of_row)[..., None]
        codes = _nearest(blocks / torch.where(scale > 0, scale, torch.ones_like(scale)))
        return {CODES: packed(codes.flatten(-2)), BLOCKS: of_block, ROWS: of_row}

    def decode(self, stored: Stored) -> Tensor:
        levels = torch.tensor(LEVELS, dtype=torch.float32, device=stored[CODES].device)
        numbers = levels[unpacked(stored[CODES]).int()].unflatten(-1, (-1, BLOCK))
        return (numbers * _scales(stored[BLOCKS], stored[ROWS])[..., None]).flatten(-2)

    def problem(self, stored: Stored) -> str:
        return (
            "" if torch.isfinite(stored[ROWS].float() * STEPS).all() else "a scale that is NaN, infinite or too large"
        )


def _scales(of_block: Tensor, of_row: Tensor) -> Tensor:
    """The scale of each block, (rows, blocks) float32."""
    return of_block.float() * of_row.float()


def _nearest(numbers: Tensor) -> Tensor:
    """The nearest level to each number from -1 to 1, by how many midpoints lie below it: uint8.

    One comparison after the other is twice as fast as a search for each number (`torch.bucketize`).
    """
    places = torch.zeros(numbers.shape, dtype=torch.uint8, device=numbers.device)
    for low, high in itertools.pairwise(torch.tensor(LEVELS, dtype=torch.float32).unbind()):
        places += numbers > ((low + high) / 2).item()
    return places
