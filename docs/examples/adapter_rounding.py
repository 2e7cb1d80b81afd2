"""How much of a faint adapter is heard in bfloat16: beside a layer, added to its rounded answer, in its weights.

    python docs/examples/adapter_rounding.py

A square layer with weights in bfloat16, random inputs, and LoRA differences of falling size. Printed is the share of
the difference's answer that is in the layer's answer: 1 is all of it. The numbers are in docs/lora.md.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from newbie.lora.deltas import LowRank
from newbie.model.adapted import AdaptedLinear, Branch

SIDE, RANK, INPUTS = 1024, 8, 256


def shares(size: float, seed: int = 0) -> tuple[float, float, float, float]:
    """The difference's size relative to the weights, and the shares of it that three ways keep."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    layer = nn.Linear(SIDE, SIDE, bias=False)
    weight = (random(SIDE, SIDE) / SIDE**0.5).bfloat16()
    layer.weight = nn.Parameter(weight, requires_grad=False)
    up, down = random(SIDE, RANK) * size / (RANK * SIDE) ** 0.5, random(RANK, SIDE)
    delta = LowRank(up.bfloat16(), down.bfloat16(), scale=1.0)
    x = random(INPUTS, SIDE).bfloat16()
    base, wanted = F.linear(x.float(), weight.float()), F.linear(x.float(), delta.dense())

    def kept(answer: Tensor) -> float:
        return float(((answer.float() - base) * wanted).sum() / (wanted * wanted).sum())

    relative = float(delta.dense().norm() / weight.float().norm())
    once = AdaptedLinear(layer, [Branch(delta, 0, SIDE)])(x)
    twice = layer(x) + delta(x)
    merged = F.linear(x, (weight.float() + delta.dense()).bfloat16())
    return relative, kept(once), kept(twice), kept(merged)


if __name__ == "__main__":
    print("difference / weights   rounded once   answer + difference   merged")
    for size in (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003):
        relative, once, twice, merged = shares(size)
        print(f"{relative:20.4f}   {once:12.3f}   {twice:19.3f}   {merged:6.3f}")
