"""One tensor of a file that is written: what of the source it is made of, and its bytes a few rows at a time.

Never more than one tensor is in memory, as it is stored; what it is cast or quantised to exists a few rows at a time.
Blocks and codes that may stay as they are, are copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from newbie.checkpoints.plan import Plan
from newbie.checkpoints.translate import Recipe, Step
from newbie.errors import WeightsError
from newbie.quant import gguf_package
from newbie.quant.codec import Codec, dense, some_rows
from newbie.quant.fp8 import FORMATS, SCALE, encode, factor_for
from newbie.quant.ggml import BlockType

ROWS = 2**20  # numbers that are cast or quantised at a time


class Kept(NamedTuple):
    """A matrix as its codec stores it, in memory."""

    codec: Codec
    stored: Mapping[str, Tensor]


Content = Tensor | Kept


class Origin(NamedTuple):
    """What one tensor of the target layout is made of: our tensor, and the rule that makes theirs of it."""

    plan: Plan
    step: Step
    position: int  # among the tensors that the rule makes
    size: tuple[int, ...]  # of our tensor

    @property
    def name(self) -> str:
        return self.step.ours[0]

    @property
    def recipe(self) -> Recipe | None:
        """None for a tensor that files lack and nothing depends on: it is made of ones."""
        return self.plan.recipes.get(self.name) or self.plan.extras.get(self.name)

    @property
    def is_matrix(self) -> bool:
        """Whether it is the weight of a linear layer or of an embedding."""
        owner, _, leaf = self.name.rpartition(".")
        if self.name in self.plan.extras:
            return leaf == "weight" and len(self.size) == 2
        return leaf == "weight" and isinstance(self.plan.module.get_submodule(owner), nn.Linear | nn.Embedding)

    @property
    def shape(self) -> tuple[int, ...]:
        made = self.step.rule.save([torch.empty(self.size, device="meta")])
        return tuple(made[self.position].shape)

    @property
    def codec(self) -> Codec | None:
        """In which form it is there, where that form may stay."""
        if self.recipe is None or self.step.rule.kind not in ("rename", "fuse"):
            return None
        packed = self.recipe.packed
        if packed is None or (packed.codec.shared and self.step.rule.kind == "fuse"):
            return None
        return packed.codec

    @property
    def dtype(self) -> torch.dtype:
        """The plain format nearest to the one that is stored: what is in fewer bits becomes bfloat16."""
        if self.recipe is None:
            return torch.bfloat16
        entry = self.recipe.entries[0]
        packed = entry.packed is not None or entry.dtype in FORMATS
        return torch.bfloat16 if packed else entry.dtype

    def scale(self) -> Tensor:
        """The scales of a matrix in 8 bits: one number where all rows have the same."""
        assert self.recipe is not None and self.recipe.packed is not None
        whole = self.recipe.packed.parts[SCALE].read()
        rows = self.step.rule.save([whole])[self.position].flatten()
        return rows[0] if bool((rows == rows[0]).all()) else rows.contiguous()

    def read(self) -> Content:
        """The tensor, or what is stored for it."""
        if self.recipe is None:
            return self.step.rule.save([torch.ones(self.size)])[self.position]
        codec, packed = self.codec, self.recipe.packed
        if codec is not None and packed is not None:
            stored = packed.read(torch.device("cpu"))
            return Kept(codec, {name: self.step.rule.save([t])[self.position] for name, t in stored.items()})
        view = None if self.recipe.how else self.recipe.entries[0].view
        tensor = view() if view is not None else self.recipe.read()
        return self.step.rule.save([tensor])[self.position]

    def where(self) -> str:
        """For messages."""
        return f"{self.recipe.entries[0].file.name}: tensor {self.name}" if self.recipe is not None else self.name

    def cast(self, dtype: torch.dtype) -> Iterator[Tensor]:
        """Its numbers in a plain format."""
        for piece in self._sound():
            cast = piece.to(dtype).contiguous()
            if dtype == torch.float16 and not torch.isfinite(cast).all():
                raise WeightsError(f"{self.where()} has numbers too large for fp16", "use --type bf16")
            yield cast

    def quantised(self, kind: BlockType) -> Iterator[Tensor]:
        """Its numbers in blocks."""
        return (gguf_package.quantise(piece.float(), kind) for piece in self._sound())

    def encoded(self, dtype: torch.dtype, factor: Callable[[], float]) -> Iterator[Tensor]:
        """Its numbers in 8 bits, to be multiplied with a factor."""
        by = factor()
        return (encode(piece, dtype, by).contiguous() for piece in self._sound())

    def factor(self, dtype: torch.dtype) -> float:
        """The factor with which its largest number is the largest of an 8-bit format."""
        return factor_for(max(piece.abs().amax().item() for piece in self._sound()), dtype)

    def copied(self, name: str) -> Iterator[Tensor]:
        """What its codec stores under a name, as it is."""
        content = self.read()
        assert isinstance(content, Kept)
        self._require_sound(content)
        yield content.stored[name].contiguous()

    def _sound(self) -> Iterator[Tensor]:
        """Its numbers some rows at a time, each looked at before it goes on."""
        content = self.read()
        if isinstance(content, Kept):
            self._require_sound(content)
        for piece in _pieces(content):
            if piece.is_floating_point() and not torch.isfinite(piece.float()).all():
                raise WeightsError(f"{self.where()} contains NaN or infinity", "the file is damaged; download it again")
            yield piece

    def _require_sound(self, content: Kept) -> None:
        found = content.codec.problem(content.stored)
        if found:
            raise WeightsError(f"{self.where()} contains {found}", "the file is damaged; download it again")


def _pieces(content: Content) -> Iterator[Tensor]:
    """A tensor some rows at a time, decoded where it is stored in fewer bits."""
    if isinstance(content, Kept):
        codes = next(iter(content.stored.values()))
        for some in _slices(len(codes), codes[0].numel()):
            yield dense(content.codec, some_rows(content.stored, some, content.codec.shared), torch.float32)
    elif content.ndim == 0 or len(content) == 0:
        yield content
    else:
        for some in _slices(len(content), content[0].numel()):
            yield content[some]


def _slices(rows: int, width: int) -> Iterator[slice]:
    step = max(ROWS // max(width, 1), 1)
    return (slice(start, start + step) for start in range(0, rows, step))
