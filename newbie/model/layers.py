"""The small parts of a Next-DiT. Submodule names are those of the official checkpoints."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight, over the last axis (Zhang and Sennrich 2019)."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Any shape (..., dim) -> the same. Normalised in float32, cast back, then weighted: the official
        order."""
        return F.rms_norm(x.float(), self.weight.shape, eps=self.eps).to(x.dtype) * self.weight


class FeedForward(nn.Module):
    """w2(silu(w1 x) * w3 x): SwiGLU (Shazeer 2020)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(dim, hidden, bias=False)
        self.w2 = nn.Linear(hidden, dim, bias=False)
        self.w3 = nn.Linear(dim, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, dim) -> (B, L, dim)."""
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class TimestepEmbedder(nn.Module):
    """Flow time to a vector: 256 sinusoids, then a small network. The time is raw, not multiplied by 1000."""

    waves = 128

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(2 * self.waves, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, t: Tensor, dtype: torch.dtype) -> Tensor:
        """t (B,), 0 = noise and 1 = image -> (B, dim) in `dtype`."""
        k = torch.arange(self.waves, dtype=torch.float32, device=t.device)
        angles = t.float()[:, None] * torch.exp(-math.log(10000.0) * k / self.waves)
        # The sinusoids are float32 whatever the model's dtype: bfloat16 could not tell neighbouring times
        # apart.
        return self.mlp(torch.cat((angles.cos(), angles.sin()), dim=1).to(dtype))


class FinalLayer(nn.Module):
    """Norm, scale by the conditioning vector, and project each token back to its patch."""

    def __init__(self, dim: int, cond_dim: int, patch_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, patch_dim)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(cond_dim, dim))

    def modulation(self, temb: Tensor) -> Tensor:
        """temb (B, cond_dim) -> the scale (B, 1, dim), which is 1 + s."""
        return 1 + self.adaLN_modulation(temb).unsqueeze(1)

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        """x (B, N, dim), scale (B, 1, dim) -> (B, N, patch_dim)."""
        x = F.layer_norm(x.float(), x.shape[-1:], eps=1e-6).to(x.dtype)
        return self.linear(x * scale)
