"""Rules that turn the tensors of another layout into ours, and back. A table is a tuple of rules.

A name is a pattern: `*` stands for one part between dots, the same part on both sides of the rule
("layers.*.attention.out.weight" ↔ "layers.*.attn.to_out.0.weight"). Ours are the official names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rule:
    """`load` makes our tensors (in the order of `ours`) from theirs; `save` is its inverse where one exists."""

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    kind: ClassVar[str] = "rename"
    reversible: ClassVar[bool] = True

    def load(self, theirs: Sequence[Tensor]) -> list[Tensor]:
        return list(theirs)

    def save(self, ours: Sequence[Tensor]) -> list[Tensor]:
        return list(ours)


def rename(ours: str, theirs: str) -> Rule:
    """The same tensor under another name."""
    return Rule((ours,), (theirs,))


@dataclass(frozen=True)
class Fuse(Rule):
    """Several of theirs, stacked along the first axis, are one of ours. `sizes` (rows) cut it again for saving."""

    sizes: tuple[int, ...] = ()
    kind: ClassVar[str] = "fuse"

    def load(self, theirs: Sequence[Tensor]) -> list[Tensor]:
        return [torch.cat(list(theirs))]

    def save(self, ours: Sequence[Tensor]) -> list[Tensor]:
        (whole,) = ours
        return list(whole.split(self.sizes if self.sizes else whole.shape[0] // len(self.theirs)))


@dataclass(frozen=True)
class Drop(Rule):
    """Ours has no place in their layout: it is not written, and nothing in their files becomes it."""

    kind: ClassVar[str] = "drop"

    def save(self, ours: Sequence[Tensor]) -> list[Tensor]:
        return []


@dataclass(frozen=True)
class Squeeze(Rule):
    """Theirs is a 1x1 convolution (c, d, 1, 1), ours the linear layer (c, d) that computes the same.

    A file that has the matrix already is taken as it is.
    """

    kind: ClassVar[str] = "reshape"

    def load(self, theirs: Sequence[Tensor]) -> list[Tensor]:
        return [tensor.flatten(1) if tensor.shape[2:] == (1, 1) else tensor for tensor in theirs]

    def save(self, ours: Sequence[Tensor]) -> list[Tensor]:
        return [tensor[:, :, None, None] for tensor in ours]


@dataclass(frozen=True)
class Shift(Rule):
    """Theirs is ours plus one: llama.cpp stores the factor of a norm where the network's class adds the one itself."""

    kind: ClassVar[str] = "subtract one"

    def load(self, theirs: Sequence[Tensor]) -> list[Tensor]:
        return [tensor.float() - 1 for tensor in theirs]

    def save(self, ours: Sequence[Tensor]) -> list[Tensor]:
        return [tensor.float() + 1 for tensor in ours]


@dataclass(frozen=True)
class MergeLora(Rule):
    """W + scale B A, in float32 and rounded once; theirs are W, A and B, the latter two with a leading axis of
    adapters, of which the first is taken. An embedding table stores its factors the other way round: W + scale A B.
    """

    scale: float = 1.0
    table: bool = False
    kind: ClassVar[str] = "merge lora"
    reversible: ClassVar[bool] = False

    def load(self, theirs: Sequence[Tensor]) -> list[Tensor]:
        weight, a, b = theirs
        left, right = (a[0], b[0]) if self.table else (b[0], a[0])
        return [torch.addmm(weight.float(), left.float(), right.float(), alpha=self.scale)]

    def save(self, ours: Sequence[Tensor]) -> list[Tensor]:
        raise TypeError("a merged adapter cannot be taken out again")


Table = tuple[Rule, ...]


def matches(pattern: str, name: str) -> tuple[str, ...] | None:
    """What the stars of `pattern` stand for in `name`; None where it does not fit."""
    expression = re.escape(pattern).replace(r"\*", r"([^.]+)")
    found = re.fullmatch(expression, name)
    return found.groups() if found else None


def fill_in(pattern: str, stars: Sequence[str]) -> str:
    """`pattern` with its stars replaced, in order."""
    parts = iter(stars)
    return re.sub(r"\*", lambda _: next(parts), pattern)
