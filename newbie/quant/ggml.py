"""The number formats of GGUF files, as one table. The names and layouts are those of ggml, the library behind them.

Each block holds a fixed count of numbers in a fixed count of bytes, with scales of its own; a row of a matrix is a
whole number of blocks. Source: the format's description, github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

from typing import NamedTuple

import torch


class BlockType(NamedTuple):
    """A format that stores blocks. `scales` are the places of its float16 scales in a block, where they lie plainly."""

    id: int
    name: str
    numbers: int  # in a block
    bytes: int
    scales: tuple[int, ...] = ()

    def row_bytes(self, columns: int) -> int:
        """Bytes of one row. Raises ValueError when it is no whole number of blocks."""
        if columns % self.numbers:
            raise ValueError(f"rows of {columns} numbers are no whole number of {self.name} blocks of {self.numbers}")
        return columns // self.numbers * self.bytes


BLOCK_TYPES = (
    BlockType(2, "Q4_0", 32, 18, (0,)),
    BlockType(3, "Q4_1", 32, 20, (0, 2)),
    BlockType(6, "Q5_0", 32, 22, (0,)),
    BlockType(7, "Q5_1", 32, 24, (0, 2)),
    BlockType(8, "Q8_0", 32, 34, (0,)),
    BlockType(10, "Q2_K", 256, 84, (80, 82)),
    BlockType(11, "Q3_K", 256, 110, (108,)),
    BlockType(12, "Q4_K", 256, 144, (0, 2)),
    BlockType(13, "Q5_K", 256, 176, (0, 2)),
    BlockType(14, "Q6_K", 256, 210, (208,)),
    BlockType(16, "IQ2_XXS", 256, 66, (0,)),
    BlockType(17, "IQ2_XS", 256, 74, (0,)),
    BlockType(18, "IQ3_XXS", 256, 98, (0,)),
    BlockType(19, "IQ1_S", 256, 50, (0,)),
    BlockType(20, "IQ4_NL", 32, 18, (0,)),
    BlockType(21, "IQ3_S", 256, 110, (0,)),
    BlockType(22, "IQ2_S", 256, 82, (0,)),
    BlockType(23, "IQ4_XS", 256, 136, (0,)),
    BlockType(29, "IQ1_M", 256, 56),
    BlockType(34, "TQ1_0", 256, 54, (52,)),
    BlockType(35, "TQ2_0", 256, 66, (64,)),
    BlockType(39, "MXFP4", 32, 17),
    BlockType(40, "NVFP4", 64, 36),
)
PLAIN_TYPES = {
    0: torch.float32,
    1: torch.float16,
    24: torch.int8,
    25: torch.int16,
    26: torch.int32,
    27: torch.int64,
    28: torch.float64,
    30: torch.bfloat16,
}
# Known by name, so that they can be refused by name: two are for products only, the others are gone or too new.
OTHER_TYPES = {4: "Q4_2", 5: "Q4_3", 9: "Q8_1", 15: "Q8_K", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8", 41: "Q1_0"}

BY_ID = {block.id: block for block in BLOCK_TYPES}
BY_NAME = {block.name: block for block in BLOCK_TYPES}
# What the gguf package can write; TQ1_0 and TQ2_0 keep signs only and are for models trained that way.
WRITABLE = ("Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0", "MXFP4", "TQ1_0", "TQ2_0")
