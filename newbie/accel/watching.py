"""How much evaluations resemble the one before: what TeaCache's curve and MagCache's ratios are fitted to.

Everything is computed as without; only the prompt's rows and their image tokens are looked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

from newbie.accel.last import to_the_image
from newbie.accel.stack import modulated_input
from newbie.model.block import Modulation, TokenSequence
from newbie.step import Step

if TYPE_CHECKING:
    from newbie.accel.policies import Windows
    from newbie.accel.runner import InOrder, Runner

KEY = "watched"


class Seen(NamedTuple):
    """One evaluation of one picture, beside the evaluation before."""

    evaluation: int
    moved: float  # the modulated input: mean |m - m'| / mean |m'|
    changed: float  # what the whole stack changes, R: mean |R - R'| / mean |R'|
    ratio: float  # mean over tokens of |R| / |R'|


@dataclass(frozen=True)
class Watching:
    """In the place of `Policies`. One list for each picture, in the order in which they are drawn."""

    seen: list[list[Seen]] = field(default_factory=list)

    together = padded = apart = False

    def around(self, blocks: InOrder, *, grid: tuple[int, int], pictures: int, trim: bool, windows: Windows) -> Runner:
        self.seen.extend([] for _ in range(pictures))
        inner = to_the_image(blocks, -1) if trim else blocks
        return _Watch(inner, math.prod(grid), self.seen[-pictures:])


@dataclass(frozen=True)
class _Watch:
    inner: InOrder
    image: int
    seen: Sequence[list[Seen]]  # of each picture

    def __call__(
        self, step: Step, blocks: Sequence[nn.Module], x: Tensor, m: Sequence[Modulation], seq: TokenSequence
    ) -> Tensor:
        """As `inner`."""
        y = self.inner(step, blocks, x, m, seq)
        if (step.index, KEY) not in step.book.settled:  # not the negative part of an evaluation in parts
            step.book.settled[step.index, KEY] = True
            change = y.float() - x[:, seq.image] if y.shape[1] != x.shape[1] else (y.float() - x)[:, seq.image]
            now = self._rows(modulated_input(blocks, x, x, m, seq.image)), self._rows(change)
            before = step.common.get(KEY)
            step.common[KEY] = now
            for i, seen in enumerate(self.seen):
                seen.append(Seen(step.index, 0.0, 0.0, 1.0) if before is None else _beside(step.index, now, before, i))
        return y

    def _rows(self, tokens: Tensor) -> Tensor:
        return tokens.float().reshape(-1, self.image, tokens.shape[-1])[: len(self.seen)]


def _beside(index: int, now: tuple[Tensor, Tensor], before: tuple[Tensor, Tensor], picture: int) -> Seen:
    moved, changed = (
        float((new[picture] - old[picture]).abs().mean() / old[picture].abs().mean())
        for new, old in zip(now, before, strict=True)
    )
    ratio = float((now[1][picture].norm(dim=-1) / before[1][picture].norm(dim=-1)).mean())
    return Seen(index, moved, changed, ratio)
