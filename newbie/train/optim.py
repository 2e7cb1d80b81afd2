"""Muon for matrices and convolutions, AdamW for everything else, and one schedule for both.

Muon (Keller Jordan, 2024): momentum, then the nearest semi-orthogonal matrix by a Newton-Schulz iteration. PyTorch's
own Muon takes 2-D weights only; the autoencoder's convolutions profit most, so they are flattened to (out, rest) here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from newbie.devices import native_bf16
from newbie.errors import MissingExtra


def orthogonalise(update: Tensor, steps: int = 5) -> Tensor:
    """The quintic Newton-Schulz iteration: singular values of each matrix of `update` (…, rows, columns) move close
    to 1."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = update.to(torch.bfloat16 if native_bf16(str(update.device)) else torch.float32)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(update.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised. `lr` is the size of an update relative to a matrix of unit singular values."""

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            # Matrices of one shape are orthogonalised together: many small products are slower than one large one.
            by_shape: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    by_shape[weight.shape[0], weight[0].numel()].append(weight)
            for (rows, columns), weights in by_shape.items():
                updates = [self._update(weight, group["momentum"]).reshape(rows, columns) for weight in weights]
                # Tall matrices need larger steps for the same change of the output (Keller Jordan's scaling).
                length = group["lr"] * max(1.0, rows / columns) ** 0.5
                for weight, matrix in zip(weights, orthogonalise(torch.stack(updates)), strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.add_(matrix.view_as(weight), alpha=-length)

    def _update(self, weight: Tensor, momentum: float) -> Tensor:
        """The gradient with Nesterov's momentum."""
        assert weight.grad is not None
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].lerp_(weight.grad, 1 - momentum)
        return torch.lerp(weight.grad, state["momentum"], momentum)


def split_parameters(module: nn.Module, embeddings: Iterable[str] = ()) -> tuple[list[Tensor], list[Tensor]]:
    """(for Muon, for AdamW): hidden matrices and convolutions; then norms, biases and the named embeddings."""
    names = tuple(embeddings)
    muon: list[Tensor] = []
    adam: list[Tensor] = []
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        hidden = parameter.ndim >= 2 and not any(part in name for part in names)
        (muon if hidden else adam).append(parameter)
    return muon, adam


def learning_rate(step: int, steps: int, warmup: int = 100, decay: float = 0.45) -> float:
    """The factor on every learning rate: a short warm-up, a plateau, then a straight line to 2 %.

    The last `decay` of the run is where small details (eyes) become right, so it must not be skipped.
    """
    if step < warmup:
        return (step + 1) / warmup
    start = int(steps * (1 - decay))
    if step < start:
        return 1.0
    return max(1 - (step - start) / max(steps - start, 1), 0.02)


def _adamw_8bit() -> Callable[..., torch.optim.Optimizer]:
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise MissingExtra("bitsandbytes", "train-8bit", "8-bit AdamW") from error
    return AdamW8bit


class Optimizers:
    """Muon and AdamW stepped together, under one schedule. `eight_bit` keeps AdamW's state in 8 bits.

    Raises:
        MissingExtra: 8-bit AdamW without bitsandbytes.
    """

    def __init__(
        self, muon: list[Tensor], adam: list[Tensor], *, muon_lr: float, adam_lr: float, eight_bit: bool = False
    ) -> None:
        self.all: list[Any] = []
        if muon:
            self.all.append(Muon(muon, lr=muon_lr))
        if adam:
            kind = _adamw_8bit() if eight_bit else torch.optim.AdamW
            self.all.append(kind(adam, lr=adam_lr, betas=(0.9, 0.99), weight_decay=0.0))
        self.base = [[group["lr"] for group in optimizer.param_groups] for optimizer in self.all]

    def step(self, factor: float) -> None:
        for optimizer, rates in zip(self.all, self.base, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> list[Any]:
        return [optimizer.state_dict() for optimizer in self.all]

    def load_state_dict(self, states: list[Any]) -> None:
        for optimizer, state in zip(self.all, states, strict=True):
            optimizer.load_state_dict(state)
