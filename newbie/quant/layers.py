"""Layers whose weights stay compressed: decoded for one product, or a few rows, and dropped again.

They take the place of nn.Linear and nn.Embedding while a network is still without memory (`compressed`), and hold what
their codec stores as buffers. They have no `weight`: a reader of weights asks for `dense()` and so knows what it costs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from newbie.quant.codec import Codec, Spec, Stored, dense, some_rows
from newbie.quant.guests import GuestLinear
from newbie.text.gemma import ScaledEmbedding


class Compressed(nn.Module):
    """What both layers share: `codec`, and its tensors as buffers, empty until they are loaded."""

    def __init__(self, codec: Codec, rows: int, columns: int) -> None:
        super().__init__()
        self.codec = codec
        self.shape = (rows, columns)
        self.specs: dict[str, Spec] = codec.stored(rows, columns)
        for name, spec in self.specs.items():
            self.register_buffer(name, torch.empty(spec.shape, dtype=spec.dtype))

    @property
    def stored(self) -> Stored:
        return {name: self.get_buffer(name) for name in self.specs}

    @property
    def stored_bytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.stored.values())

    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The weights as a matrix (rows, columns); a new one at each call."""
        return dense(self.codec, self.stored, dtype)

    def extra_repr(self) -> str:
        rows, columns = self.shape
        return f"{self.codec.name}, {rows} x {columns}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        """Stored tensors move between devices, but `.to(dtype)` is for numbers, and these are codes."""
        codes = {id(tensor) for tensor in self.stored.values()}

        def moved(tensor: Tensor) -> Tensor:
            result = fn(tensor)
            return tensor.to(result.device) if id(tensor) in codes and result.dtype != tensor.dtype else result

        return super()._apply(moved, recurse)


class CompressedLinear(Compressed):
    """y = x W^T + b, where W is what `codec` stored."""

    def __init__(self, in_features: int, out_features: int, codec: Codec, *, bias: bool, dtype: torch.dtype) -> None:
        super().__init__(codec, out_features, in_features)
        self.in_features, self.out_features = in_features, out_features
        self.bias = nn.Parameter(torch.empty(out_features, dtype=dtype), requires_grad=False) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """x (..., in) -> (..., out), in the format of x."""
        return self.codec.linear(self.stored, x, self.bias)


class CompressedEmbedding(Compressed):
    """A table of which only the rows that are looked up are ever decoded. `factor` multiplies them, as in Gemma."""

    def __init__(self, count: int, width: int, codec: Codec, *, dtype: torch.dtype, factor: float = 1.0) -> None:
        super().__init__(codec, count, width)
        self.num_embeddings, self.embedding_dim = count, width
        self.dtype, self.factor = dtype, factor

    def forward(self, ids: Tensor) -> Tensor:
        """ids (...) -> (..., width) in `dtype`."""
        rows = dense(self.codec, some_rows(self.stored, ids.flatten(), self.codec.shared), self.dtype)
        return rows.view(*ids.shape, self.embedding_dim) * self.factor


def compressed(module: nn.Module, codec: Codec, dtype: torch.dtype) -> Compressed | None:
    """The layer that takes the place of `module` and decodes to `dtype`, on the module's device; None: it stays."""
    if not isinstance(module, nn.Linear | nn.Embedding):
        return None
    factor = module.factor(dtype) if isinstance(module, ScaledEmbedding) else 1.0
    with torch.device(module.weight.device):
        if isinstance(module, nn.Linear):
            bias = module.bias is not None
            return CompressedLinear(module.in_features, module.out_features, codec, bias=bias, dtype=dtype)
        return CompressedEmbedding(module.num_embeddings, module.embedding_dim, codec, dtype=dtype, factor=factor)


def slow(module: nn.Module) -> str:
    """Which layers' own products do not run where they are, and why; "" when all do."""
    reasons: dict[tuple[str, str], int] = {}
    for part in module.modules():
        if isinstance(part, CompressedLinear):
            device = next(iter(part.stored.values())).device
            reason = "" if device.type == "meta" else part.codec.slow(device, *part.shape)  # not loaded yet
            if reason:
                reasons[part.codec.name, reason] = reasons.get((part.codec.name, reason), 0) + 1
    return "; ".join(f"{count} {name} layers decode their weights: {why}" for (name, why), count in reasons.items())


def told(module: nn.Module) -> str:
    """What of a network is compressed and how, the most frequent first ("Q4_K 180, Q6_K 36"); "" for nothing."""
    counts: dict[str, int] = {}
    for part in module.modules():
        name = part.codec.name if isinstance(part, Compressed) else part.name if isinstance(part, GuestLinear) else ""
        if name:
            counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))
