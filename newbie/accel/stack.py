"""A stack of blocks of which the middle is not always run: five papers, one class.

                probe              decide       predict      front  back
    FBCache     what front changed Change       Hold         1      0     ParaAttention, 2024
    DBCache     what front changed Change       Hold, Taylor F      B     cache-dit, 2025
    TeaCache    modulated input    Accumulate   Hold         0      0     Liu et al. 2024, arXiv 2411.19108
    DeepCache   -                  Every        Hold         F      B     Ma et al. 2023, arXiv 2312.00858
    MagCache    -                  Mask         Hold         0      0     Ma et al. 2025, arXiv 2506.09045

DeepCache is about networks with long skips; here its outer layers are the first and the last blocks of the stack, as in
Delta-DiT (Chen et al. 2024, arXiv 2406.01125). What is kept is the change that the middle made, one tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from newbie.accel.decide import Decide
from newbie.accel.predict import Predict
from newbie.accel.runner import InOrder
from newbie.model.block import Block, Modulation, TokenSequence
from newbie.step import Step

SLOT = "stack"
SIDES = ("the prompt's", "the negative prompt's")
# (blocks, x before the front, x after it, m, where the image is) -> what a rule looks at, image tokens only
Look = Callable[[Sequence[nn.Module], Tensor, Tensor, Sequence[Modulation], slice | Tensor], Tensor]


class Decision(NamedTuple):
    """Whether the middle is computed, where its change is remembered, and for whom: a slot for each chunk of rows."""

    compute: bool
    where: Step
    slots: tuple[str, ...]


@dataclass(frozen=True)
class StackCache:
    """A policy for the joint blocks: `front` and `back` blocks always run, those between them when `decide` says so.

    Args:
        inner: how blocks run.
        image: N, the image tokens of every picture.
        pictures: rows that are looked at: the first ones, which are the prompt's.
        apart: the rows of a guided pair come side by side, and each side decides for itself (`accel.sides`).
    """

    inner: InOrder
    decide: Decide
    predict: Predict
    image: int
    pictures: int
    front: int = 0
    back: int = 0
    look: Look | None = None  # None: the rule looks at nothing
    apart: bool = False

    def __call__(
        self, step: Step, blocks: Sequence[nn.Module], x: Tensor, m: Sequence[Modulation], seq: TokenSequence
    ) -> Tensor:
        """x (B, L, dim) -> as `inner`."""
        first, last, given = self.front, len(m) - self.back, x.dtype

        def run(x: Tensor, start: int, stop: int) -> Tensor:
            return self.inner.some(step, blocks[start:stop], x, m, seq, range(start, stop))

        before = self.inner.begin(x)
        x = run(before, 0, first)
        if first >= last:
            return run(x, first, len(m)).to(given)

        @cache
        def probe() -> Tensor:
            assert self.look is not None
            seen = self.look(blocks, before, x, m, seq.image)
            return seen.reshape(-1, self.image, seen.shape[-1])[: self.pictures]

        compute, where, slots = self._decided(step, _count(x, seq.image), probe)
        self._tell(step, range(first, last), compute)
        if compute:
            y = run(x, first, last)
            change = y - _like(x, y, seq)
            for slot, rows in zip(slots, self._rows(change, slots), strict=True):
                where.memory["learnt at", slot] = step.index
                self.predict.learn(where, slot, rows)
        else:
            guesses = [self.predict.guess(where, slot) for slot in slots]
            if self._by_side:
                image = x[:, seq.image]
                y = image + torch.cat(guesses).reshape(image.shape)
            else:
                y = _like(x, guesses[0], seq) + guesses[0]
        return run(y, last, len(m)).to(given)

    @property
    def _by_side(self) -> bool:
        """Whether the middle ends with the image alone. Then what it changes lies alike in all evaluations, and those
        with and without the negative prompt's rows remember in common."""
        return self.inner.last is not None and not self.back

    def _decided(self, step: Step, image_tokens: int, probe: Callable[[], Tensor]) -> Decision:
        if self.apart:
            where, side = step.in_common() if self._by_side else step, SIDES[step.negative]
            return Decision(self.decide(where, side, probe), where, (side,))
        if not self._by_side:
            return Decision(self.decide(step, SLOT, probe), step, (SLOT,))
        return self._in_common(step, image_tokens == 2 * self.pictures * self.image, probe)

    def _in_common(self, step: Step, both: bool, probe: Callable[[], Tensor]) -> Decision:
        """Evaluations remember in common, a slot for each side. `both` sides are here, or one of them."""
        where = step.in_common()
        second = not both and (step.index, SLOT) in step.book.settled  # the negative side comes after, in its own call
        if second:
            return Decision(step.book.settled[step.index, SLOT], where, SIDES[1:])
        learnt = {where.memory.get(("learnt at", side)) for side in SIDES[: 1 + step.pair]}
        compute = self.decide(where, SLOT, probe, must=len(learnt) > 1)  # one side was not computed as lately
        return Decision(compute, where, SIDES if both else SIDES[:1])

    def _rows(self, change: Tensor, slots: tuple[str, ...]) -> Sequence[Tensor]:
        return change.reshape(-1, self.image, change.shape[-1]).chunk(len(slots)) if self._by_side else (change,)

    def _tell(self, step: Step, layers: range, compute: bool) -> None:
        action = "compute" if compute else self.predict.action(step)
        step.book.stack[step.index] = action
        for layer in layers:
            step.book.layers[layer, "block", step.index] = action


def what_the_front_changed(
    blocks: Sequence[nn.Module], before: Tensor, after: Tensor, m: Sequence[Modulation], image: slice | Tensor
) -> Tensor:
    return after[:, image] - before[:, image]


def modulated_input(
    blocks: Sequence[nn.Module], before: Tensor, after: Tensor, m: Sequence[Modulation], image: slice | Tensor
) -> Tensor:
    """What the first block's attention is given."""
    (block,) = blocks[:1]
    assert isinstance(block, Block)
    seen: Tensor = block.attention_norm1(before[:, image]) * m[0].scale_attn
    return seen


def _count(x: Tensor, image: slice | Tensor) -> int:
    """Image tokens of all rows; the device is not asked."""
    return x.shape[0] * (len(range(x.shape[1])[image]) if isinstance(image, slice) else len(image))


def _like(x: Tensor, other: Tensor, seq: TokenSequence) -> Tensor:
    """x, or its image tokens where the other has no more: the last block may give these alone."""
    return x if x.shape[1] == other.shape[1] else x[:, seq.image]
