"""What every linear layer is given while pictures are drawn.

A watched network is the network with a module around each layer that looks at its input and lets it pass: pictures
drawn meanwhile are the same. The mean square of a layer's tokens takes the square of its width, so as many layers are
watched at a time as fit into a budget, and the pictures are drawn again for the next ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from newbie.model.swap import with_modules
from newbie.quant.inputs import Inputs

BUDGET = 2**30  # bytes of statistics at a time
SAMPLE = 1024  # tokens kept of each layer
_AT_ONCE = 32  # tokens of one call that may be among them


@dataclass
class Record:
    """What one layer was given so far."""

    largest: Tensor
    total: Tensor
    square: Tensor
    sample: Tensor  # (SAMPLE, columns)
    generator: torch.Generator
    tokens: int = 0
    candidates: int = 0  # for the sample

    @classmethod
    def empty(cls, columns: int, device: torch.device) -> Record:
        zeros, square = torch.zeros(columns, device=device), torch.zeros(columns, columns, device=device)
        sample = torch.empty(SAMPLE, columns, device=device)
        return cls(zeros, zeros.clone(), square, sample, torch.Generator().manual_seed(columns))

    def look(self, x: Tensor) -> None:
        """x (..., columns)."""
        x = x.detach().flatten(0, -2).float()
        self.largest = torch.maximum(self.largest, x.abs().amax(0))
        self.total += x.abs().sum(0)
        self.square.addmm_(x.T, x)
        self.tokens += len(x)
        self._sample(x[torch.randperm(len(x), generator=self.generator)[:_AT_ONCE].to(x.device)])

    def _sample(self, some: Tensor) -> None:
        """Keep each of the tokens offered so far with the same chance: Vitter 1985, algorithm R."""
        number = self.candidates + torch.arange(len(some))  # of each token, counted from the first call on
        drawn = (torch.rand(len(some), generator=self.generator, dtype=torch.float64) * (number + 1)).long()
        place = torch.where(number < SAMPLE, number, drawn)
        kept = place < SAMPLE
        self.sample[place[kept].to(some.device)] = some[kept.to(some.device)]
        self.candidates += len(some)

    def inputs(self) -> Inputs:
        """All of it; of the sample, as many tokens as there were to choose from."""
        sample = self.sample[: self.candidates]
        return Inputs(self.largest, self.total / self.tokens, self.square / self.tokens, sample)


class Watched(nn.Module):
    """A linear layer that is looked at. It holds no numbers of its own."""

    def __init__(self, base: nn.Module, look: Callable[[Tensor], None]) -> None:
        super().__init__()
        self.base = base
        self.look = look
        self.in_features, self.out_features = cast("int", base.in_features), cast("int", base.out_features)

    def forward(self, x: Tensor) -> Tensor:
        """x (..., in) -> (..., out)."""
        self.look(x)
        return cast("Tensor", self.base(x))


def watched(
    network: nn.Module, paths: Sequence[str], run: Callable[[nn.Module], None], budget: int = BUDGET
) -> Iterator[dict[str, Inputs]]:
    """What the layers at these paths are given when `run` draws with the network; some layers at a time."""
    for some in _portions(network, paths, budget):
        records = {path: _record(network.get_submodule(path)) for path in some}
        run(with_modules(network, {path: Watched(network.get_submodule(path), records[path].look) for path in some}))
        # Taken out one by one: of each only one mean square is there twice, and no longer than for a moment.
        yield {path: records.pop(path).inputs() for path in some if records[path].tokens}


def _record(layer: nn.Module) -> Record:
    return Record.empty(cast("int", layer.in_features), next(layer.parameters()).device)


def _portions(network: nn.Module, paths: Sequence[str], budget: int) -> Iterator[list[str]]:
    some: list[str] = []
    left = budget
    for path in paths:
        columns = cast("int", network.get_submodule(path).in_features)
        needed = 4 * columns * (columns + SAMPLE)
        if some and needed > left:
            yield some
            some, left = [], budget
        some.append(path)
        left -= needed
    if some:
        yield some
