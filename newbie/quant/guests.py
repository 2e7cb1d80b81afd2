"""Linear layers of other packages behind the same option: `--quant bnb-nf4`, `torchao-int8`, ...

A guest is made of a loaded layer, so a network is whole in memory before its guests come. It is wrapped, for it calls
itself nn.Linear and its `weight` is none: only `dense` says what its weights are. Its layers are not written by
`quantize`: the schemes of our own are.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from newbie.errors import MissingExtra


class Made(NamedTuple):
    """A package's layer, and how its weights (rows, columns) are got out of it."""

    layer: nn.Module
    dense: Callable[[], Tensor]


class Guest(NamedTuple):
    """A scheme of another package; `make` is called with a linear layer, and never for more than its weights."""

    package: str
    about: str
    make: Callable[[nn.Linear], Made]

    def require(self, name: str) -> None:
        """Raise MissingExtra unless the package is there."""
        if importlib.util.find_spec(self.package) is None:
            raise MissingExtra(self.package, self.package, f"--quant {name}")


class GuestLinear(nn.Module):
    """A linear layer that another package computes."""

    def __init__(self, name: str, made: Made, linear: nn.Linear) -> None:
        super().__init__()
        self.name = name
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.layer = made.layer
        self.bias = linear.bias
        self._dense = made.dense

    def forward(self, x: Tensor) -> Tensor:
        """x (..., in) -> (..., out), in the format of x."""
        y: Tensor = self.layer(x)
        y = y.to(x.dtype)
        return y if self.bias is None else y + self.bias

    def dense(self) -> Tensor:
        """The weights (out, in)."""
        return self._dense()


def _bnb_int8(linear: nn.Linear) -> Made:
    from newbie.quant import bitsandbytes_package

    return Made(*bitsandbytes_package.int8(linear.weight.detach()))


def _bnb_nf4(linear: nn.Linear) -> Made:
    from newbie.quant import bitsandbytes_package

    return Made(*bitsandbytes_package.nf4(linear.weight.detach()))


def _torchao(config: str) -> Callable[[nn.Linear], Made]:
    def make(linear: nn.Linear) -> Made:
        from newbie.quant import torchao_package

        return Made(*torchao_package.quantised(linear.weight.detach(), config))

    return make


GUESTS = {
    "bnb-int8": Guest("bitsandbytes", "LLM.int8: outlying columns stay in 16 bits", _bnb_int8),
    "bnb-nf4": Guest("bitsandbytes", "4-bit normal floats with double quantisation", _bnb_nf4),
    "torchao-int8": Guest("torchao", "8-bit weights", _torchao("Int8WeightOnlyConfig")),
    "torchao-w8a8": Guest("torchao", "8-bit weights and inputs", _torchao("Int8DynamicActivationInt8WeightConfig")),
    "torchao-fp8-dynamic": Guest(
        "torchao", "8-bit floats on cards from 8.9 on", _torchao("Float8DynamicActivationFloat8WeightConfig")
    ),
    "torchao-int4": Guest("torchao", "4-bit weights in groups of 128, on cards", _torchao("Int4WeightOnlyConfig")),
}


@torch.no_grad()
def seated(name: str, linear: nn.Linear) -> GuestLinear:
    """A guest in the place of a layer. Raises MissingExtra."""
    GUESTS[name].require(name)
    return GuestLinear(name, GUESTS[name].make(linear), linear)
