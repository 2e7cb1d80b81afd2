"""A 4-bit layer fitted to the inputs it was seen to get: smoothing factors by search, a branch, the rest rounded.

The search keeps what gives the least error of the layer's output on a sample of its inputs, as the layer computes it,
and no smoothing is one of the candidates: what is fitted is never worse there than what is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from newbie.errors import require_known
from newbie.quant.awq import clipped
from newbie.quant.codec import Codec, Stored
from newbie.quant.four_bit import DOWN, SMOOTH, UP, FourBit, four_bits, low_rank, nearest
from newbie.quant.gptq import gptq
from newbie.quant.inputs import Inputs

ROUNDINGS = ("nearest", "awq", "gptq")
STRENGTHS = tuple(i / 10 for i in range(1, 11))  # of the smoothing; AWQ's paper has twenty
ROUNDS = 10  # at most, of looking for the branch again beside what was rounded
_TINY = 1e-8
Rounding = Callable[[Tensor, Tensor, int], dict[str, Tensor]]  # (rest, square, group) -> codes and scales


class Fit(NamedTuple):
    """What is stored, and the relative error of the layer's output on the sample."""

    stored: dict[str, Tensor]
    error: float


def output_error(codec: Codec, stored: Stored, x: Tensor, wanted: Tensor) -> float:
    """|y - wanted| / |wanted| of the layer's answer to x (n, columns)."""
    answer = codec.linear(stored, x, None).float()
    return float((answer - wanted).norm() / wanted.norm().clamp_min(_TINY))


def fit(matrix: Tensor, inputs: Inputs, codec: FourBit, rounding: str = "nearest") -> Fit:
    """A matrix (rows, columns) in a codec of four bits, for these inputs.

    Raises:
        UsageError: there is no such rounding.
    """
    require_known(rounding, ROUNDINGS, "rounding")
    matrix = matrix.float()
    wanted = F.linear(inputs.sample, matrix)

    def tried(smooth: Tensor, how: Rounding) -> Iterator[Fit]:
        for stored in _candidates(matrix, inputs, codec, smooth, how):
            yield Fit(stored, output_error(codec, stored, inputs.sample, wanted))

    factors = [torch.ones_like(inputs.mean)]
    if codec.smooth:
        factors += [_factors(matrix, inputs, strength, rounding) for strength in STRENGTHS]
    by_error = [(next(tried(smooth, _nearest)).error, smooth) for smooth in factors]
    smooth = min(by_error, key=lambda pair: pair[0])[1]
    best: Fit | None = None
    for found in tried(smooth, {"nearest": _nearest, "awq": clipped, "gptq": gptq}[rounding]):
        if best is not None and found.error >= best.error:
            break  # the paper stops at the first round that is no better
        best = found
    assert best is not None
    return best


def _candidates(
    matrix: Tensor, inputs: Inputs, codec: FourBit, smooth: Tensor, rounding: Rounding
) -> Iterator[dict[str, Tensor]]:
    """What is stored with these factors; with a branch, again and again, beside what the last round left of it."""
    factors = {SMOOTH: smooth.bfloat16()} if codec.smooth else {}
    smooth = factors[SMOOTH].float() if codec.smooth else torch.ones_like(smooth)
    matrix, seen = matrix * smooth, inputs.divided(smooth)
    noise = torch.zeros_like(smooth)
    if codec.inputs:  # what rounding does to the input is like noise
        noise = (four_bits(seen.sample, codec.inputs) - seen.sample).square().mean(0)
    given = seen.square + torch.diag(noise)
    if not codec.rank:
        yield {**rounding(matrix, given, codec.group), **factors}
        return
    left = matrix
    for _ in range(ROUNDS):
        branch = low_rank(left, codec.rank)
        rest = matrix - branch[UP].float() @ branch[DOWN].float()
        stored = {**rounding(rest, given, codec.group), **branch, **factors}
        yield stored
        left = matrix - codec.residual(stored)


def _nearest(rest: Tensor, square: Tensor, group: int) -> dict[str, Tensor]:
    return nearest(rest, group)


def _factors(matrix: Tensor, inputs: Inputs, strength: float, rounding: str) -> Tensor:
    """Factors (columns,) whose extremes lie around one: AWQ's by the mean input, else SmoothQuant's by the largest."""
    if rounding == "awq":
        factors = inputs.mean.clamp_min(_TINY) ** strength
    else:
        weights = matrix.abs().amax(0).clamp_min(_TINY)
        factors = inputs.largest.clamp_min(_TINY) ** strength / weights ** (1 - strength)
    factors = factors.clamp_min(1e-4 * factors.amax())
    return factors / (factors.amin() * factors.amax()).sqrt()


def without_factors(codec: Codec, stored: dict[str, Tensor]) -> tuple[Codec, dict[str, Tensor]]:
    """The same without smoothing factors where they are all one: half a percent less to store and to divide by."""
    if isinstance(codec, FourBit) and codec.smooth and bool((stored[SMOOTH] == 1).all()):
        return replace(codec, smooth=False), {name: each for name, each in stored.items() if name != SMOOTH}
    return codec, stored
