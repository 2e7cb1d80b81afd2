"""A linear layer with adapters beside it: their part is added to its answer, its weights are never touched.

The layer may be any module that maps (..., in) to (..., out) and tells `in_features` and `out_features`: nn.Linear, or
one whose weights are compressed. Nothing here knows what an adapter is: a branch is any module of that form.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn


class Branch(NamedTuple):
    """What is added to some of the layer's outputs: `module` maps (..., in) to (..., stop - start)."""

    module: nn.Module
    start: int
    stop: int


class AdaptedLinear(nn.Module):
    """y = base(x), and every branch added to its rows of y.

    It has no `weight`: who wants to compute with that of the base alone has to say so.
    """

    def __init__(self, base: nn.Module, branches: Iterable[Branch]) -> None:
        super().__init__()
        branches = tuple(branches)
        self.base = base
        self.in_features, self.out_features = width(base)
        self.branches = nn.ModuleList(branch.module for branch in branches)
        self.rows = tuple((branch.start, branch.stop) for branch in branches)

    def forward(self, x: Tensor) -> Tensor:
        """x (..., in) -> (..., out)."""
        beside = self.beside(x)
        if type(self.base) is not nn.Linear:
            return cast("Tensor", self.base(x)) + beside
        # In one product, rounded once: an answer in bfloat16 plus a little is often the same answer again.
        beside = beside if self.base.bias is None else beside + self.base.bias
        return torch.addmm(beside.flatten(0, -2), x.flatten(0, -2), self.base.weight.t()).view(beside.shape)

    def beside(self, x: Tensor) -> Tensor:
        """What the branches say of x (..., in), without the base: (..., out)."""
        if self.rows == ((0, self.out_features),):
            return cast("Tensor", self.branches[0](x))
        y = x.new_zeros(*x.shape[:-1], self.out_features)
        for (start, stop), branch in zip(self.rows, self.branches, strict=True):
            y[..., start:stop] += branch(x)
        return y


def is_linear(module: nn.Module) -> bool:
    """Whether a module can be the base of adapters."""
    return isinstance(getattr(module, "in_features", None), int) and not isinstance(module, AdaptedLinear)


def width(linear: nn.Module) -> tuple[int, int]:
    """(in, out) of a linear layer of any kind."""
    return cast("int", linear.in_features), cast("int", linear.out_features)
