"""What an adapter adds to a matrix W (out, in): three forms of a difference, each used without ever being written out.

LoRA (Hu et al. 2021, arXiv 2106.09685) is scale * up @ down; LoKr (Yeh et al. 2023, arXiv 2309.14859) is
scale * kron(w1, w2), each factor a matrix or itself a product of two; and some files hold the whole difference.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Delta(nn.Module):
    """A difference of a matrix. `forward` computes with its parts, `dense` writes it out."""

    scale: float

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        raise NotImplementedError

    def dense(self) -> Tensor:
        """(out, in) float32, scaled."""
        raise NotImplementedError

    def scaled(self, factor: float) -> Delta:
        """The same difference so many times as strong; the numbers are shared."""
        return type(self)(*self.buffers(), scale=self.scale * factor)


class LowRank(Delta):
    """scale * up @ down; up (out, r), down (r, in)."""

    up: Tensor
    down: Tensor

    def __init__(self, up: Tensor, down: Tensor, *, scale: float) -> None:
        super().__init__()
        self.register_buffer("up", up)
        self.register_buffer("down", down)
        self.scale = scale

    @property
    def shape(self) -> tuple[int, int]:
        return self.up.shape[0], self.down.shape[1]

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out); scaled where the numbers are fewest."""
        return F.linear(F.linear(x, self.down) * self.scale, self.up)

    def dense(self) -> Tensor:
        return self.scale * (self.up.float() @ self.down.float())


class Kronecker(Delta):
    """scale * kron(w1, w2); w1 (out1, in1), w2 (out2, in2), W (out1 out2, in1 in2)."""

    w1: Tensor
    w2: Tensor

    def __init__(self, w1: Tensor, w2: Tensor, *, scale: float) -> None:
        super().__init__()
        self.register_buffer("w1", w1)
        self.register_buffer("w2", w2)
        self.scale = scale

    @property
    def shape(self) -> tuple[int, int]:
        return self.w1.shape[0] * self.w2.shape[0], self.w1.shape[1] * self.w2.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        """(..., in1 in2) -> (..., out1 out2): with x written as a matrix X (in1, in2), it is w1 X w2^T."""
        x = x.unflatten(-1, (self.w1.shape[1], self.w2.shape[1]))
        x = F.linear(x, self.w2).transpose(-1, -2)  # (..., out2, in1)
        return F.linear(x, self.w1 * self.scale).transpose(-1, -2).flatten(-2)

    def dense(self) -> Tensor:
        return self.scale * torch.kron(self.w1.float(), self.w2.float())


class Full(Delta):
    """scale * weight, the difference itself (out, in)."""

    weight: Tensor

    def __init__(self, weight: Tensor, *, scale: float) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.scale = scale

    @property
    def shape(self) -> tuple[int, int]:
        return self.weight.shape[0], self.weight.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight) * self.scale

    def dense(self) -> Tensor:
        return self.scale * self.weight.float()
