"""The bitsandbytes package: LLM.int8 and NF4, as their authors wrote them.

It warns at every call that numbers are cast; with `kernels` installed it may fetch code when it first computes on a
CPU, which an offline variable of huggingface_hub prevents.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from newbie.errors import UsageError


class Quiet(nn.Module):
    """A layer of the package without its warnings."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y: Tensor = self.layer(x)
        return y


def nf4(weight: Tensor) -> tuple[nn.Module, Callable[[], Tensor]]:
    """A layer for weights (rows, columns), and how to decode them."""
    bnb = _package()
    rows, columns = weight.shape
    layer = bnb.nn.Linear4bit(columns, rows, bias=False, compute_dtype=weight.dtype, quant_type="nf4")
    layer.weight = bnb.nn.Params4bit(weight.clone(), requires_grad=False, quant_type="nf4", compress_statistics=True)
    quiet = Quiet(layer.to(weight.device)).eval()
    # On a CPU its first call packs the weights in another way: what it answers to units is true before and after.
    return quiet, lambda: quiet(torch.eye(columns, dtype=weight.dtype, device=weight.device)).T


def int8(weight: Tensor) -> tuple[nn.Module, Callable[[], Tensor]]:
    """The same in 8 bits."""
    bnb = _package()
    rows, columns = weight.shape
    layer = bnb.nn.Linear8bitLt(columns, rows, bias=False, has_fp16_weights=False, threshold=6.0)
    layer.weight = bnb.nn.Int8Params(weight.clone(), requires_grad=False, has_fp16_weights=False)
    layer = layer.to(weight.device).eval()

    def dense() -> Tensor:
        held = layer.weight if layer.weight.CB is not None else layer.state  # it moves them at its first call
        matrix: Tensor = held.CB.float() * held.SCB[:, None] / 127
        return matrix

    return Quiet(layer), dense


def _package() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import bitsandbytes

            logging.getLogger("bitsandbytes.autograd").setLevel(logging.ERROR)
        except (ImportError, OSError, RuntimeError) as error:
            raise UsageError(f"bitsandbytes cannot be used here: {error}", "use a scheme of our own") from error
    return bitsandbytes
