"""One evaluation of the model, and what one generation remembers. Plain values; no torch.

A policy (a cache, a plan) that must remember something between evaluations keeps it in `step.memory`,
never on a module. The caller makes a `Memory` for each generation and drops it afterwards, so two
generations on one model cannot meet and a cancelled one leaves no trace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Any


class Memory(dict[Hashable, Any]):
    """What one generation remembers. Keys are tuples such as ``("hold", layer, "attend")``."""


@dataclass
class Pruned:
    """What attention pruning did, in operations of the products with scores (QK and PV)."""

    groups: Counter[tuple[int, str]] = field(default_factory=Counter)  # by (layer, class), "full" among them
    whole: int = 0  # what all groups of the layers that were sampled would have cost
    gained: int = 0
    overhead: int = 0  # samples, projections, windows for residuals
    seen: list[tuple[float, float]] = field(default_factory=list)  # sampled rows: entropy, 0 to 1; weight in a window

    @property
    def saved(self) -> float:
        """The share of attention that was saved where pruning was tried, overhead counted against it."""
        return (self.gained - self.overhead) / self.whole if self.whole else 0.0

    def classes(self) -> dict[str, int]:
        """Groups of all layers and evaluations, by what was done with them."""
        total: Counter[str] = Counter()
        for (_, name), count in self.groups.items():
            total[name] += count
        return dict(total)


@dataclass
class Book:
    """What policies did in one generation. The parts that one evaluation runs in (`accel.apart`) write the same twice.

    `settled` is more than a record: what the first part of an evaluation decided holds for the others.
    """

    settled: dict[Hashable, bool] = field(default_factory=dict)  # (evaluation, slot) -> computed?
    stack: dict[int, str] = field(default_factory=dict)  # evaluation -> compute, skip, forecast
    layers: dict[tuple[int, str, int], str] = field(default_factory=dict)  # (layer, branch, evaluation) -> action
    drift: dict[int, float] = field(default_factory=dict)  # evaluation -> what a threshold was compared with
    guidance: list[str] = field(default_factory=list)  # of each evaluation: computed, reused, off
    pruned: Pruned = field(default_factory=Pruned)
    notes: list[str] = field(default_factory=list)  # what a person should be told


@dataclass(frozen=True, slots=True)
class Step:
    """One evaluation: `index` counts from 0 to `count` - 1, `t` is the flow time (0 noise, 1 image).

    What is remembered of rows as they lie in their batch belongs into `memory`: evaluations with and without the
    negative prompt's rows have one each, and so have the parts that one evaluation runs in. `common` is all of theirs.
    """

    index: int
    count: int
    t: float
    memory: Memory
    book: Book = field(default_factory=Book)
    common: Memory = field(default_factory=Memory)
    pair: bool = False  # do the negative prompt's rows run as well?

    def in_common(self) -> Step:
        """The same for what remembers in common."""
        return replace(self, memory=self.common)
