"""What a block does between its products: three passes over the tokens, written twice.

`EAGER` spells out each pass in few calls, in place. `Passes.compiled` has the same formulas as one reads them, for a
compiler to make one loop of each. Everything is float32 inside, whatever comes in and goes out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from newbie.model.rope import Rope, rotate


class Norm(NamedTuple):
    """An RMSNorm in float32."""

    weight: Tensor  # (dim,), or (heads, D)
    eps: Tensor  # ()


@dataclass(frozen=True)
class Passes:
    """x / sqrt(mean(x^2) + eps) * weight, and what is done with it. `normed` may change nothing it is given;
    `turned` and `added` may write into `heads` and `y`."""

    normed: Callable[[Tensor, Norm, Tensor | None, torch.dtype], Tensor]  # (x, norm, scale, dtype) -> norm(x) * scale
    turned: Callable[[Tensor, Norm, Rope], Tensor]  # (heads (B, L, n, D), norm of H of them, rope) -> these, rotated
    added: Callable[[Tensor, Tensor, Norm, Tensor], Tensor]  # (x, y, norm, gate) -> x + gate * norm(y), float32

    @classmethod
    def compiled(cls, compiler: Callable[[Callable[..., Tensor]], Callable[..., Tensor]]) -> Passes:
        """One loop each, by a compiler such as `torch.compile`."""
        return cls(compiler(_normed_plainly), compiler(_turned_plainly), compiler(_added_plainly))


def _normed(x: Tensor, norm: Norm, scale: Tensor | None, dtype: torch.dtype) -> Tensor:
    weight = norm.weight if scale is None else norm.weight * scale
    x = x.float()
    return (x * _inverse_rms(x, norm.eps)).mul_(weight).to(dtype)


def _turned(heads: Tensor, norm: Norm, rope: Rope) -> Tensor:
    x = heads[:, :, : len(norm.weight)].float()
    x.mul_(_inverse_rms(x, norm.eps)).mul_(norm.weight)
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)))
    pairs.mul_(torch.complex(rope.cos, rope.sin))  # turning a pair is a product of complex numbers
    return x.to(heads.dtype)


def _added(x: Tensor, y: Tensor, norm: Norm, gate: Tensor) -> Tensor:
    y = y.float()
    y.mul_(_inverse_rms(y, norm.eps)).mul_(gate * norm.weight)
    return y.add_(x)


def _inverse_rms(x: Tensor, eps: Tensor) -> Tensor:
    """(..., dim) float32 -> (..., 1)."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return torch.addcmul(eps, length, length, value=1 / x.shape[-1]).rsqrt_()


EAGER = Passes(_normed, _turned, _added)


def _unit(x: Tensor, norm: Norm) -> Tensor:
    x = x.float()
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + norm.eps)


def _normed_plainly(x: Tensor, norm: Norm, scale: Tensor | None, dtype: torch.dtype) -> Tensor:
    weight = norm.weight if scale is None else norm.weight * scale
    return (_unit(x, norm) * weight).to(dtype)


def _turned_plainly(heads: Tensor, norm: Norm, rope: Rope) -> Tensor:
    return rotate(_unit(heads[:, :, : len(norm.weight)], norm) * norm.weight, rope).to(heads.dtype)


def _added_plainly(x: Tensor, y: Tensor, norm: Norm, gate: Tensor) -> Tensor:
    return x + _unit(y, norm) * (gate * norm.weight)
