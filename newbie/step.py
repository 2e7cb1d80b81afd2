"""One evaluation of the model, and what one generation remembers. Plain values; no torch.

A policy (a cache, a plan) that must remember something between evaluations keeps it in `step.memory`,
never on a module. The caller makes a `Memory` for each generation and drops it afterwards, so two
generations on one model cannot meet and a cancelled one leaves no trace.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any


class Memory(dict[Hashable, Any]):
    """What one generation remembers. Keys are tuples such as ``("hold", layer, "attend")``."""


@dataclass(frozen=True, slots=True)
class Step:
    """One evaluation: `index` counts from 0 to `count` - 1, `t` is the flow time (0 noise, 1 image)."""

    index: int
    count: int
    t: float
    memory: Memory
