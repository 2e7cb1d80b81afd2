"""How a matrix is stored in fewer bits, and how it becomes numbers again: the one form that every scheme takes.

A codec is a value. What it stores for a matrix are a few tensors, each with one leading row for every row of the
matrix (but for a few that say what they share), so whoever holds them may cut rows, gather them (an embedding) or stack
them (a fused projection) without knowing the scheme. Decoding gives float32; the layers in `layers` cast to the format
they compute in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Set
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from newbie.errors import UsageError

Stored = Mapping[str, Tensor]
PIECE = 2**18  # stored bytes decoded at a time on a CPU: with what they pass through they stay in its cache
ROUNDED = 2**18  # numbers rounded at a time there


class Spec(NamedTuple):
    """Shape and format of one stored tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype


class Codec(ABC):
    """One way to store a matrix. Codecs that are equal store equal matrices alike."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As files and reports call it: "Q4_K"."""

    @property
    def shared(self) -> frozenset[str]:
        """Names of what is stored once for the whole matrix, without a row for each of its rows."""
        return frozenset()

    @abstractmethod
    def stored(self, rows: int, columns: int) -> dict[str, Spec]:
        """What is stored for a (rows, columns) matrix; every shape but those of `shared` begins with `rows`."""

    @abstractmethod
    def decode(self, stored: Stored) -> Tensor:
        """The matrix, (rows, columns) float32."""

    @abstractmethod
    def problem(self, stored: Stored) -> str:
        """Why these cannot be the weights of anything ("NaN in a scale"); "" when they can. Cheaper than decoding."""

    def encode(self, matrix: Tensor) -> dict[str, Tensor]:
        """What is stored for a (rows, columns) matrix of finite numbers, each rounded to the nearest there is.

        Raises:
            UsageError: matrices are only read in this format.
        """
        raise UsageError(
            f"weights are not put into the format {self.name}", "docs/quantisation.md lists those that are"
        )

    def linear(self, stored: Stored, x: Tensor, bias: Tensor | None) -> Tensor:
        """x (..., columns) -> (..., rows) in the format of x. A scheme with a product of its own replaces this."""
        return F.linear(x, dense(self, stored, x.dtype), bias)

    def slow(self, device: torch.device, rows: int, columns: int) -> str:
        """Why the scheme's own product does not run for such a matrix on a device; "" when it does, or has none."""
        return ""

    def require(self) -> None:
        """Raise MissingExtra where decoding needs a package that is not installed; most codecs need none."""
        return


def dense(codec: Codec, stored: Stored, dtype: torch.dtype) -> Tensor:
    """The matrix in `dtype`, decoded a few rows at a time: beside it there is never a second one."""
    first = next(iter(stored.values()))
    rows, whole = len(first), sum(tensor.nbytes for tensor in stored.values())
    if first.device.type != "cpu" or torch.compiler.is_compiling() or whole <= PIECE:
        return codec.decode(stored).to(dtype)
    matrix: Tensor | None = None
    for some in _pieces(rows, max(PIECE * rows // whole, 1)):
        piece = codec.decode(some_rows(stored, some, codec.shared))
        if matrix is None:
            matrix = piece.new_empty(rows, piece.shape[1], dtype=dtype)
        matrix[some] = piece
    assert matrix is not None  # there are more than PIECE bytes
    return matrix


def encoded(codec: Codec, matrix: Tensor) -> dict[str, Tensor]:
    """What `codec.encode` gives for a (rows, columns) matrix in any format of floats, rounded a few rows at a time.

    So the copies in float32 that rounding makes are small. Whole where the rows share something, and on a card.
    """
    rows, columns = matrix.shape
    specs = codec.stored(rows, columns)
    if matrix.device.type != "cpu" or not by_rows(codec, specs):
        return codec.encode(matrix)
    stored = {name: torch.empty(spec.shape, dtype=spec.dtype) for name, spec in specs.items()}
    for some in _pieces(rows, max(ROUNDED // columns, 1)):
        for name, piece in codec.encode(matrix[some]).items():
            stored[name][some] = piece
    return stored


def by_rows(codec: Codec, specs: Mapping[str, Spec]) -> bool:
    """Whether a row is rounded without a look at the others."""
    return not codec.shared & specs.keys()


def _pieces(rows: int, step: int) -> Iterator[slice]:
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def some_rows(stored: Stored, which: slice | Tensor, shared: Set[str] = frozenset()) -> dict[str, Tensor]:
    """What is stored for some rows: a slice of them, or their numbers (n,). `shared` is the codec's."""
    return {name: tensor if name in shared else tensor[which] for name, tensor in stored.items()}


def stacked(parts: list[Stored]) -> dict[str, Tensor]:
    """What is stored for several matrices of one codec that shares nothing, one below the other."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
