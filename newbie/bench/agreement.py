"""Whether two models say the same: numbers without which a comparison of speed means nothing."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from newbie.bench.timing import significant


def difference(one: Tensor, other: Tensor) -> float:
    """The largest difference of any number."""
    return significant((one - other).abs().max().item(), 3)


def error(output: Tensor, exact: Tensor) -> float:
    """Root mean square of the difference, relative to that of what is exact."""
    return ((output - exact).square().mean() / exact.square().mean()).sqrt().item()


def in_float32(ours: Tensor, theirs: Tensor) -> dict[str, Any]:
    """Two float32 outputs beside each other."""
    return {"largest_difference": difference(ours, theirs), "output_std": significant(theirs.std().item(), 3)}


def rounded(ours: Tensor, theirs: Tensor, exact: Tensor) -> dict[str, Any]:
    """Two outputs in a short format against the float32 one: ours may err at most as much as theirs, or a little."""
    own, peer = error(ours, exact), error(theirs, exact)
    return {
        "newbie_error": significant(own, 3),
        "diffusers_error": significant(peer, 3),
        "ratio": significant(own / peer, 3) if peer else None,
    }
