"""Layers whose weights are elsewhere: fetched for one call, and dropped again. For the smallest memories."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from torch import Tensor, nn
from torch.func import functional_call


class Fetched(nn.Module):
    """`layer`, which has no memory, as it would answer with the weights that `bring` gives by their names.

    It has no parameters: whoever looks for a network's device finds those that are there.
    """

    def __init__(self, layer: nn.Module, bring: Callable[[], Mapping[str, Tensor]]) -> None:
        super().__init__()
        self._hidden = (layer, bring)  # in a tuple, so that the layer is no child
        self.in_features = cast("int", layer.in_features)
        self.out_features = cast("int", layer.out_features)

    def forward(self, x: Tensor) -> Tensor:
        """x (..., in) -> (..., out)."""
        layer, bring = self._hidden
        return cast("Tensor", functional_call(layer, dict(bring()), (x,)))
