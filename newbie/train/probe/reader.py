"""The probe's network: pixels in, one score per possible answer out.

    picture (B, 3, 128, 128) in [0, 1] → features (B, 64, C) → pooled (B, 4, C') → scores

Matrix products run in the dtype of the features (bf16 where the machine has it), weights and norms are float32.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from newbie.train.probe.labels import OF_CHARACTER, OF_PICTURE, SLOTS

SIDE: Final = 128  # pixels the probe looks at
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
        x = _normed(self.norm[0], self.enter(x))
        y = _normed(self.norm[1], self.conv[0](x))
        return F.relu(x + _norm(self.norm[2], self.conv[1](y)))


def _norm(norm: nn.Module, x: Tensor) -> Tensor:
    return norm(x.float()).to(x.dtype)


def _normed(norm: nn.Module, x: Tensor) -> Tensor:
    return F.relu(_norm(norm, x))


class Reader(nn.Module):
    """The classifier. Slots 0 to 2 are characters (see labels.py), slot 3 is the picture as a whole."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        top = width * 3
        self.stages = nn.Sequential(
            Stage(48, width, stride=1), Stage(width, width * 2, stride=2), Stage(width * 2, top, stride=2)
        )
        cells = (SIDE // 16) ** 2
        self.place = nn.Parameter(torch.randn(cells, top) * 0.02)
        self.look = nn.Parameter(torch.randn((SLOTS + 1) * _LOOKS, 48) * 0.2)
        self.key = nn.Linear(top, 48)
        self.mix = nn.Linear(_LOOKS * top, 256)
        self.slot = nn.Parameter(torch.zeros(SLOTS + 1, 256))
        questions = {**OF_PICTURE, **OF_CHARACTER}
        self.heads = nn.ModuleDict({name: nn.Linear(256, len(values)) for name, values in questions.items()})

    def forward(self, pictures: Tensor, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """(B, 3, 128, 128) in [0, 1] → scores: (B, answers) about the picture, (B, 3, answers) about characters."""
        x = F.pixel_unshuffle(pictures - 0.5, 4).to(dtype, memory_format=torch.channels_last)
        seen = self.stages(x).float().flatten(2).mT  # (B, cells, top)
        keys = self.key(seen + self.place)
        weights = torch.softmax(torch.einsum("qd,bcd->bqc", self.look, keys), dim=-1)
        pooled = (weights @ seen).unflatten(1, (SLOTS + 1, _LOOKS)).flatten(2)  # (B, 4, looks x top)
        slots = F.relu(self.mix(pooled) + self.slot)
        scores = {name: self.heads[name](slots[:, SLOTS]) for name in OF_PICTURE}
        return scores | {name: self.heads[name](slots[:, :SLOTS]) for name in OF_CHARACTER}
