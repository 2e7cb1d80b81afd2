"""Products of 8-bit integers: x W^T where both were rounded, exact in 32 bits, scaled afterwards.

`torch._int_mm` is a fast one on a CPU with VNNI and on NVIDIA cards. Everything around it is a pass over the tokens, so
on a CPU they go through in pieces that stay in its cache.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from newbie.quant.rounding import step

LARGEST = 127
PIECE = 256  # tokens at a time on a CPU: measured best from 768 to 9216 columns
_ROWS_ON_CUDA = 17  # fewer are refused there
_FAIR = 16.0  # times what float32 takes: a reference kernel takes hundreds, a busy machine a few


class Tokens(NamedTuple):
    """Numbers in 8 bits: `codes` (n, columns) int8 times `scale` (n, 1) float32."""

    codes: Tensor
    scale: Tensor


def rounded(x: Tensor) -> Tokens:
    """x (n, columns) in 8 bits, the largest of each token at 127."""
    x = x.float()
    scale = step(x, LARGEST)
    return Tokens((x / scale).round_().to(torch.int8), scale)


def multiplied(tokens: Tokens, codes: Tensor, scale: Tensor) -> Tensor:
    """(n, columns) with weights `codes` (rows, columns) int8 times `scale` (rows, 1) -> (n, rows) float32."""
    return _integers(tokens.codes, codes).mul(tokens.scale).mul_(scale.T)


def dynamic(x: Tensor, codes: Tensor, scale: Tensor) -> Tensor:
    """x (..., columns), rounded token by token -> (..., rows) in the format of x."""
    tokens = x.flatten(0, -2)
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        y = multiplied(rounded(tokens), codes, scale).to(x.dtype)
    else:
        y = x.new_empty(len(tokens), len(codes))
        for start in range(0, len(tokens), PIECE):
            part = slice(start, start + PIECE)
            y[part] = multiplied(rounded(tokens[part]), codes, scale)
    return y.unflatten(0, x.shape[:-1])


def _integers(x: Tensor, codes: Tensor) -> Tensor:
    """x (n, columns) and codes (rows, columns), both int8 -> x codes^T, (n, rows) int32."""
    missing = _ROWS_ON_CUDA - len(x) if x.device.type == "cuda" else 0
    if missing <= 0:
        return torch._int_mm(x, codes.T)
    return torch._int_mm(torch.cat((x, x.new_zeros(missing, x.shape[1]))), codes.T)[: len(x)]


def slow(device: torch.device, rows: int, columns: int) -> str:
    """Why weights (rows, columns) on a device are better decoded than multiplied as integers; "" when they are not."""
    if device.type == "cpu":
        return "" if torch.compiler.is_compiling() else slow_cpu()
    if device.type != "cuda":
        return f"torch has no product of 8-bit integers on {device.type}"
    return "the card multiplies integers by multiples of eight only" if rows % 8 or columns % 8 else ""


@cache
def slow_cpu() -> str:
    """The same for this processor, found out by multiplying: some fall into a kernel that is written to be read."""
    n = 128
    numbers = torch.ones(n, n)
    codes = numbers.to(torch.int8)
    try:
        integers, floats = _seconds(lambda: torch._int_mm(codes, codes)), _seconds(lambda: numbers @ numbers)
    except RuntimeError as error:
        return f"torch has no product of 8-bit integers here: {str(error).splitlines()[0]}"
    return "" if integers < _FAIR * floats else "this processor has no fast product of 8-bit integers"


def _seconds(run: Callable[[], Tensor]) -> float:
    """The best of a few runs: others may be busy."""

    def once() -> float:
        began = time.perf_counter()
        run()
        return time.perf_counter() - began

    run()
    return min(once() for _ in range(5))
