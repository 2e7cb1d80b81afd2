"""The gguf package's arithmetic: formats that we do not decode ourselves, and everything that writes blocks."""

from __future__ import annotations

import importlib.util
import warnings

import torch
from torch import Tensor

from newbie.errors import MissingExtra
from newbie.quant.ggml import BlockType


def require(what: str) -> None:
    """Raise MissingExtra unless the package is there. `what` needs it, in a few words."""
    if importlib.util.find_spec("gguf") is None:
        raise MissingExtra("gguf", "gguf", what)


def dequantise(rows: Tensor, kind: BlockType) -> Tensor:
    """Rows of blocks (n, bytes) uint8 on any device -> (n, numbers) float32 there. The package computes on the CPU."""
    require(f"decoding {kind.name} weights")
    import gguf

    with warnings.catch_warnings():  # of scales that are infinite: whoever loads has looked at them
        warnings.simplefilter("ignore", RuntimeWarning)
        numbers = gguf.dequantize(rows.cpu().contiguous().numpy(), gguf.GGMLQuantizationType(kind.id))
    return torch.from_numpy(numbers).to(rows.device)


def quantise(rows: Tensor, kind: BlockType) -> Tensor:
    """Rows (n, columns) float32 -> (n, bytes of a row) uint8."""
    require(f"writing {kind.name} weights")
    import gguf

    with warnings.catch_warnings():  # a block of zeros divides by zero and is caught there
        warnings.simplefilter("ignore", RuntimeWarning)
        packed = gguf.quantize(rows.contiguous().numpy(), gguf.GGMLQuantizationType(kind.id))
    return torch.from_numpy(packed)
