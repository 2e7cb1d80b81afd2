"""The codec of GGUF files: rows of blocks, kept as they lie in the file."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from newbie.quant import gguf_package
from newbie.quant.blocks import DECODERS, half
from newbie.quant.codec import Codec, Spec, Stored
from newbie.quant.ggml import BY_NAME, BlockType

BLOCKS = "blocks"


@dataclass(frozen=True)
class Gguf(Codec):
    """A matrix in the format `name`: one uint8 tensor (rows, bytes of a row)."""

    kind: BlockType

    @classmethod
    def named(cls, name: str) -> Gguf:
        """The codec of a format by its name, "Q4_K"."""
        return cls(BY_NAME[name])

    @property
    def name(self) -> str:
        return self.kind.name

    def stored(self, rows: int, columns: int) -> dict[str, Spec]:
        return {BLOCKS: Spec((rows, self.kind.row_bytes(columns)), torch.uint8)}

    def decode(self, stored: Stored) -> Tensor:
        rows = stored[BLOCKS]
        own = DECODERS.get(self.kind.name)
        if own is None:
            return gguf_package.dequantise(rows, self.kind)
        return own(rows.reshape(-1, self.kind.bytes)).reshape(len(rows), -1)

    def problem(self, stored: Stored) -> str:
        """The quants are small whole numbers: where every scale is finite, so is every weight."""
        blocks = stored[BLOCKS].reshape(-1, self.kind.bytes)
        if not self.kind.scales:
            return "" if torch.isfinite(self.decode(stored)).all() else "NaN or infinity"
        fine = all(torch.isfinite(half(blocks, at)).all() for at in self.kind.scales)
        return "" if fine else "NaN or infinity in a scale"

    def require(self) -> None:
        if self.kind.name not in DECODERS:
            gguf_package.require(f"decoding {self.kind.name} weights")
