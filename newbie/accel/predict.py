"""What to put in the place of what is not computed: the last value, or where the last values were going.

A `Predict` learns at computed evaluations and guesses at others; what it learnt lies in `step.memory`.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from newbie.step import Step

if TYPE_CHECKING:
    from torch import Tensor

COORDINATES = ("index", "t")
FORMS = ("newton", "taylor")


class Predict(Protocol):
    """Learns and guesses one tensor for each slot."""

    def learn(self, step: Step, slot: Hashable, value: Tensor) -> None: ...

    def guess(self, step: Step, slot: Hashable) -> Tensor:
        """Raises KeyError where nothing was learnt."""
        ...

    def action(self, step: Step) -> str:
        """What a guess is called in plans and statistics."""
        ...

    @property
    def tensors(self) -> int:
        """How many are kept of a slot."""
        ...


@dataclass(frozen=True)
class Learnt:
    """The newest value, and how it came to it."""

    places: tuple[float, ...]  # newest first
    differences: tuple[Tensor, ...]  # the value itself, its slope, ...

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.differences)


@dataclass(frozen=True)
class Hold:
    """The last value, as it is."""

    tensors = 1

    def learn(self, step: Step, slot: Hashable, value: Tensor) -> None:
        step.memory["learnt", slot] = Learnt((float(step.index),), (value,))

    def guess(self, step: Step, slot: Hashable) -> Tensor:
        learnt: Learnt = step.memory["learnt", slot]
        return learnt.differences[0]

    def action(self, step: Step) -> str:
        return "skip"


@dataclass(frozen=True)
class Taylor:
    """The polynomial through the last values; of a lower order until there are enough.

    `newton` is that of divided differences: k0, k1, ... the newest places first, e the distance from k0,

        F = [k0] + e [k0 k1] + e (e + k0 - k1) [k0 k1 k2] + ...

    exact for polynomials up to the order, wherever they were computed. `taylor` is TaylorSeer's (Liu et al. 2025,
    arXiv 2503.06923), F = sum D_j e^j / j! with differences of differences over the last distance: the same at order 1,
    but not exact for a square. An order of 0 is `Hold`.

    Args:
        along: places are counted in evaluations ("index") or in flow time ("t").
    """

    order: int = 1
    form: str = "newton"
    along: str = "index"

    def learn(self, step: Step, slot: Hashable, value: Tensor) -> None:
        place = self._place(step)
        before: Learnt | None = step.memory.get(("learnt", slot))
        differences = [value]
        if before is not None and before.places[0] != place:  # Heun's second stage and the next first share their time
            for j, difference in enumerate(before.differences[: self.order]):
                span = place - before.places[j if self.form == "newton" else 0]
                differences.append((differences[j] - difference) / span)
        places = (place, *(() if before is None else before.places))[: self.order + 1]
        step.memory["learnt", slot] = Learnt(places, tuple(differences))

    def guess(self, step: Step, slot: Hashable) -> Tensor:
        learnt: Learnt = step.memory["learnt", slot]
        place = self._place(step)
        guess, factor = learnt.differences[0], 1.0
        for j, difference in enumerate(learnt.differences[1:]):
            factor *= place - learnt.places[j if self.form == "newton" else 0]
            guess = guess + difference * (factor if self.form == "newton" else factor / math.factorial(j + 1))
        return guess

    def action(self, step: Step) -> str:
        return "forecast" if self.order else "skip"

    @property
    def tensors(self) -> int:
        return self.order + 1

    def _place(self, step: Step) -> float:
        return float(step.index) if self.along == "index" else step.t


@dataclass(frozen=True)
class AsPlanned:
    """Per evaluation one or the other: "skip" holds, anything else forecasts."""

    forecast: Taylor
    actions: tuple[str, ...]

    def learn(self, step: Step, slot: Hashable, value: Tensor) -> None:
        self.forecast.learn(step, slot, value)

    def guess(self, step: Step, slot: Hashable) -> Tensor:
        return (Hold() if self.action(step) == "skip" else self.forecast).guess(step, slot)

    def action(self, step: Step) -> str:
        return self.actions[step.index]

    @property
    def tensors(self) -> int:
        return self.forecast.tensors


def knows(step: Step, slot: Hashable) -> bool:
    """Whether anything was learnt of a slot."""
    return ("learnt", slot) in step.memory
