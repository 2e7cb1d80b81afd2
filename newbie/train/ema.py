"""Averaged weights: what is kept at the end is the mean of the recent past, not the last noisy step."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Average:
    """An exponential moving average of a module's parameters, in float32.

    The decay starts low, min(decay, (1 + n) / (10 + n)), so that the first steps are soon forgotten.
    """

    def __init__(self, module: nn.Module, decay: float = 0.999) -> None:
        self.decay = decay
        self.updates = 0
        self.shadow = {name: p.detach().float().clone() for name, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, parameter in module.named_parameters():
            self.shadow[name].lerp_(parameter.detach().float(), 1 - decay)

    @torch.no_grad()
    def copy_to(self, module: nn.Module) -> None:
        """Write the averaged weights into `module`."""
        for name, parameter in module.named_parameters():
            parameter.copy_(self.shadow[name])

    def state_dict(self) -> dict[str, Tensor | int]:
        return {"updates": self.updates, **self.shadow}

    def load_state_dict(self, state: dict[str, Tensor | int]) -> None:
        self.updates = int(state["updates"])
        for name in self.shadow:
            self.shadow[name].copy_(torch.as_tensor(state[name]))
