"""The probe's network: pixels in, one score per possible answer out.

    picture (B, 3, 256, 256) in [0, 1] → seen (B, 256, C) → pooled (B, slots + 1, looks x C) → scores

Each slot looks at a few places of the picture, which it has learnt, and answers all questions from what it sees
there. Products run in the dtype of the features (bf16 where the machine has it), weights and norms are float32.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from newbie.train.probe.labels import OF_CHARACTER, OF_PICTURE, SLOTS

SIDE: Final = 256  # pixels the probe looks at
_CELLS: Final = SIDE // 16  # places along one side of what it has seen
_LOOKS: Final = 6  # places each slot may look at


class Conv(nn.Conv2d):
    """A 3x3 convolution with float32 weights that computes in the dtype of its input."""

    def __init__(self, inside: int, outside: int, *, stride: int = 1) -> None:
        super().__init__(inside, outside, 3, stride=stride, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight.to(x.dtype), None, self.stride, self.padding)


class Stage(nn.Module):
    """Halve the picture (unless it is the first stage), then one residual block."""

    def __init__(self, inside: int, outside: int, *, stride: int) -> None:
        super().__init__()
        self.enter = Conv(inside, outside, stride=stride)
        self.norm = nn.ModuleList(nn.GroupNorm(8, outside) for _ in range(3))
        self.conv = nn.ModuleList(Conv(outside, outside) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(_norm(self.norm[0], self.enter(x)))
        y = F.relu(_norm(self.norm[1], self.conv[0](x)))
        return F.relu(x + _norm(self.norm[2], self.conv[1](y)))


def _norm(norm: nn.Module, x: Tensor) -> Tensor:
    return norm(x.float()).to(x.dtype)


class Reader(nn.Module):
    """The classifier. The slots are those of labels.py; one more is the picture as a whole."""

    def __init__(self, width: int = 40) -> None:
        super().__init__()
        middle, top = width * 12 // 40 * 8, width * 24 // 40 * 8
        self.stages = nn.Sequential(
            Stage(48, width, stride=1), Stage(width, middle, stride=2), Stage(middle, top, stride=2)
        )
        self.place = nn.Parameter(torch.randn(_CELLS**2, top) * 0.02)
        self.look = nn.Parameter(torch.randn((SLOTS + 1) * _LOOKS, 48) * 0.2)
        self.key = nn.Linear(top, 48)
        self.mix = nn.Linear(_LOOKS * top, 256)
        self.slot = nn.Parameter(torch.zeros(SLOTS + 1, 256))
        questions = {**OF_PICTURE, **OF_CHARACTER}
        self.heads = nn.ModuleDict({name: nn.Linear(256, len(values)) for name, values in questions.items()})

    def forward(self, pictures: Tensor, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """(B, 3, 256, 256) in [0, 1] → scores: (B, answers) about the picture, (B, SLOTS, answers) about figures."""
        return self.judged(self.seen(pictures, dtype))

    def seen(self, pictures: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """(B, 3, 256, 256) → what stands where: (B, 256, C) float32, the places row by row."""
        x = F.pixel_unshuffle(pictures - 0.5, 4).to(dtype, memory_format=torch.channels_last)
        return self.stages(x).float().flatten(2).mT

    def judged(self, seen: Tensor) -> dict[str, Tensor]:
        """(B, 256, C) → scores."""
        keys = self.key(seen + self.place)
        weights = torch.softmax(torch.einsum("qd,bcd->bqc", self.look, keys), dim=-1)
        pooled = (weights @ seen).unflatten(1, (SLOTS + 1, _LOOKS)).flatten(2)  # (B, SLOTS + 1, looks x C)
        slots = F.relu(self.mix(pooled) + self.slot)
        scores = {name: self.heads[name](slots[:, SLOTS]) for name in OF_PICTURE}
        return scores | {name: self.heads[name](slots[:, :SLOTS]) for name in OF_CHARACTER}


def quarters(seen: Tensor) -> Tensor:
    """(B, 256, C) → (B, 16, C): means over the sixteenths of the picture, so that composition counts."""
    grid = seen.mT.unflatten(2, (_CELLS, _CELLS))
    return F.avg_pool2d(grid, _CELLS // 4).flatten(2).mT
