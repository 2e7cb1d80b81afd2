"""Words that stand still: from some evaluation on, blocks run on image tokens only.

What a prompt says to the image is settled early (T-GATE, Zhang et al. 2024, arXiv 2404.02747, for cross-attention).
Here words and image share one sequence, and words are changed by every block as well. Once they are *frozen*, keys
(after norm and rotation) and values of the words are those of one evaluation, kept for every block; queries,
projections and feed-forwards run for image tokens alone, whose keys are [kept words | image].

An evaluation is frozen or full as a whole. A full one notes what the words show; blocks run as they always do, to the
bit. Evaluations with and without the negative prompt's rows remember by themselves. Where a cache skips blocks of an
evaluation that was to note, the next one notes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from newbie.accel.layout import Layout
from newbie.attention.kernel import AroundKernel, SequenceInfo, takes_fewer_queries
from newbie.model.block import Modulation, TokenSequence
from newbie.model.rope import Rope
from newbie.step import Step

if TYPE_CHECKING:
    from newbie.accel.decide import Freeze
    from newbie.accel.runner import InOrder, Runner

KEY = "frozen words"
LAYOUT, NOTED = (KEY, "layout"), (KEY, "noted")
Shown = tuple[
    Tensor, Tensor
]  # keys and values of the words, (B, words, K, D) each; (1, all words, K, D) in packed rows


class Noted(NamedTuple):
    """What the words showed in an evaluation, by layer."""

    evaluation: int
    layers: Mapping[int, Shown]

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for shown in self.layers.values() for tensor in shown)


@dataclass(frozen=True)
class TextFreeze:
    """A policy for the joint blocks, around whatever decides which of them run.

    Args:
        blocks: how blocks run.
        around: makes the runner of the stack of them.
        pictures: rows of each half of a guided pair.

    Raises, when called:
        UsageError: pictures of several sizes in one batch.
    """

    when: Freeze
    blocks: InOrder
    around: Callable[[InOrder], Runner]
    pictures: int

    def __call__(
        self, step: Step, blocks: Sequence[nn.Module], x: Tensor, m: Sequence[Modulation], seq: TokenSequence
    ) -> Tensor:
        """x (B, L, dim) -> as what is inside; of the image tokens alone where it is frozen."""
        if not self.when.first <= step.index < self.when.stop:
            return self.around(self.blocks)(step, blocks, x, m, seq)
        if LAYOUT not in step.memory:
            step.memory[LAYOUT] = Layout.of(x, seq, self.pictures)
        layout: Layout = step.memory[LAYOUT]
        noted: Noted | None = step.memory.get(NOTED)
        if noted is not None and step.index - noted.evaluation < self.when.refresh:
            return self._frozen(noted, layout, step, blocks, x, m, seq)
        found: dict[int, Shown] = {}

        def noting(layer: int, seq: TokenSequence) -> TokenSequence:
            return seq._replace(attend=Noting(seq.attend, layout.words, found, layer))

        y = self.around(replace(self.blocks, told=noting))(step, blocks, x, m, seq)
        if len(found) == len(m) and step.index + 1 < self.when.stop:
            step.memory[NOTED] = Noted(step.index, found)
        return y

    def _frozen(
        self,
        noted: Noted,
        layout: Layout,
        step: Step,
        blocks: Sequence[nn.Module],
        x: Tensor,
        m: Sequence[Modulation],
        seq: TokenSequence,
    ) -> Tensor:
        image = x[:, layout.image]
        alone = seq._replace(rope=Rope(*(turns[:, layout.image] for turns in seq.rope)), image=slice(0, image.shape[1]))

        def joining(layer: int, seq: TokenSequence) -> TokenSequence:
            step.book.layers[layer, "words", step.index] = "frozen"
            return seq._replace(attend=Joining(seq.attend, layout, noted.layers[layer]))

        return self.around(replace(self.blocks, told=joining))(step, blocks, image, m, alone)


@dataclass(frozen=True)
class Noting(AroundKernel):
    """A kernel that notes what the words show."""

    words: slice | Tensor
    found: dict[int, Shown]
    layer: int

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        self.found[self.layer] = k[:, self.words].clone(), v[:, self.words].clone()  # a part would keep the whole alive
        return self.kernel(q, k, v, seq)


@dataclass(frozen=True)
class Joining(AroundKernel):
    """A kernel for image tokens by themselves, which see the kept words and each other."""

    layout: Layout
    shown: Shown

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q, k, v of the image tokens; `seq` of the whole rows."""
        keys, values = (self._row(*both) for both in zip(self.shown, (k, v), strict=True))
        if takes_fewer_queries(self.kernel, seq):
            return self.kernel(q, keys, values, seq)
        nothing = q.new_zeros(*self.shown[0].shape[:2], *q.shape[2:])
        return self.kernel(self._row(nothing, q), keys, values, seq)[:, self.layout.image]

    def _row(self, words: Tensor, image: Tensor) -> Tensor:
        """Both in the order of a whole row."""
        if isinstance(self.layout.words, slice):
            return torch.cat((words, image), dim=1)
        row = image.new_empty(image.shape[0], words.shape[1] + image.shape[1], *image.shape[2:])
        row[:, self.layout.words], row[:, self.layout.image] = words, image
        return row
