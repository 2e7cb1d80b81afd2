"""A guided pair whose sides run by themselves: they attend differently, or each of them decides what to skip.

Where a side has a bias at a step, its rows run by themselves, without padding, through a kernel that adds it; the other
side's rows run by themselves too, through the kernel they always have. So a bias is as large as one row, whatever the
number of pictures, and a side without one keeps the fastest kernel and its numbers. Steps without any bias run as
always, unless sides decide for themselves: these are apart at every step, because a batch is computed or skipped whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from newbie.accel.apart import Part
from newbie.accel.runner import Runner
from newbie.attention.kernel import Kernel
from newbie.model.block import Modulation, TokenSequence
from newbie.step import Step

KEY = ("sides",)
At = Callable[[Step], Tensor | None]  # what is added to the scores at a step, broadcastable to (H, L, L); None: nothing


@dataclass(frozen=True)
class Side:
    """The rows of one prompt in a pair: how they attend, and what is added to their scores."""

    kernel: Kernel  # for rows of equal length; takes a bias where there is one
    bias: At | None = None

    def at(self, step: Step) -> Tensor | None:
        return None if self.bias is None else self.bias(step)


@dataclass(frozen=True)
class Sides:
    """A policy for the joint blocks.

    Args:
        inner: runs the rows of one side.
        usual: runs steps without any bias; None: sides decide for themselves.
        sides: prompt and negative prompt, in the order of their rows.
        pictures: rows of each side.
        image: N, the image tokens of every row.
    """

    inner: Runner
    usual: Runner | None
    sides: tuple[Side, Side]
    pictures: int
    image: int

    def __call__(
        self, step: Step, blocks: Sequence[nn.Module], x: Tensor, m: Sequence[Modulation], seq: TokenSequence
    ) -> Tensor:
        """x (B, L, dim), of one side or of both -> (B, N, dim), or as `usual` does."""
        there = self.sides[: len(x) // self.pictures]
        biases = [side.at(step) for side in there]
        if self.usual is not None and all(bias is None for bias in biases):
            return self.usual(step, blocks, x, m, seq)
        if KEY not in step.memory:
            rows = (slice(i * self.pictures, (i + 1) * self.pictures) for i in range(len(there)))
            step.memory[KEY] = [
                Part.of(seq, part, self.image, side.kernel) for part, side in zip(rows, there, strict=True)
            ]
        images = []
        for number, (part, bias) in enumerate(zip(step.memory[KEY], biases, strict=True)):
            biased = part.seq._replace(info=part.seq.info._replace(bias=bias))
            mine = step.of_the_negative() if number and self.usual is None else step
            y = self.inner(replace(mine, memory=part.memory), blocks, part.cut(x, self.image), part.told(m), biased)
            images.append(y[:, y.shape[1] - self.image :])
        return torch.cat(images)
