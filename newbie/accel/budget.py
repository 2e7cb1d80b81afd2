"""What attention pruning may cost: its budget, what takes from it, and the best bargains within it. No torch.

The budget is an error: of a layer's attention, relative to its length. A prompt that asks for detail takes from it, and
so does guidance, which enlarges errors in which its two halves differ. `accel.prune` measures what things cost.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from newbie.errors import UsageError

CLASSES = ("reuse", "window", "mean_v")
FULL = "full"
FIRST, LAST = 0.1, 0.15  # shares of the evaluations, at both ends, that are never pruned
FIRST_RHO = 0.9  # correlation of the errors of a pair's halves, until it is measured
TRIAL = 2  # evaluations after which pruning must have gained more than it cost

DETAIL = (
    "highly detailed", "high detail", "ultra-detailed", "ultra detailed", "intricate", "texture", "8k", "hands", "text",
    "lattice", "pattern", "高清", "细节丰富", "纹理清晰", "masterpiece", "best quality",
)  # fmt: skip
# Latin words as a whole, or in the plural: "texture" says nothing of text, and "handsome" nothing of hands.
_SAID = [re.compile(rf"(?<![a-z0-9]){each}s?(?![a-z0-9])" if each.isascii() else each) for each in DETAIL]


def detail(prompt: str) -> float:
    """How much detail a prompt asks for, from 0 to 1: three of the words of `DETAIL` are all of it. A weak guess."""
    text = prompt.lower().replace("_", " ")
    return min(1.0, sum(said.search(text) is not None for said in _SAID) / 3)


def amplification(scale: float, rho: float) -> float:
    """A(s, rho): how guidance of scale s enlarges errors of both halves that have correlation rho."""
    return math.sqrt(max(scale**2 + (scale - 1) ** 2 - 2 * rho * scale * (scale - 1), 0.0))


def cheapest(errors: Mapping[str, Sequence[float]], spared: Mapping[str, float], budget: float) -> list[str]:
    """A class for every group: errors per class and group, what each class spares of a group's work, a sum of errors.

    The best bargains first (error for what is spared), until one does not fit: less budget never prunes more.
    """
    groups = len(next(iter(errors.values()))) if errors else 0
    chosen, spent = [FULL] * groups, 0.0
    bargains = sorted((error / spared[name], -spared[name], group, name, error)
                      for name, of_groups in errors.items() for group, error in enumerate(of_groups)
                      if math.isfinite(error) and spared[name] > 0)  # fmt: skip
    for _, _, group, name, error in bargains:
        if chosen[group] != FULL:
            continue
        spent += error
        if not spent < budget:
            break
        chosen[group] = name
    return chosen


@dataclass(frozen=True)
class Pruning:
    """What is asked of attention pruning, for one run.

    Args:
        layers: of the network; the first and the last one are never pruned.
        scale: of the guidance.
        budget: relative error of a layer's attention that is allowed; 0: nothing is pruned, bit for bit.
        rows: image queries that are sampled in a layer.
        classes: of `CLASSES`, those that may be chosen.
        refresh: evaluations in a row that may reuse an answer; and the age at which what a window leaves out is made
            anew, when the group is computed in full.
        guidance: divide the budget by A(s, rho), rho being measured.
        detail: from 0 to 1 (`detail`); takes up to half of the budget away.
        tile, radius: of the windows, as of `attention.window.Tiles`.
        always: go on where it does not pay, for study.

    Raises:
        UsageError: a number out of range, an unknown class.
    """

    layers: int
    scale: float = 1.0
    budget: float = 0.02
    rows: int = 64
    classes: tuple[str, ...] = CLASSES
    refresh: int = 4
    guidance: bool = True
    detail: float = 0.0
    tile: int = 8
    radius: int = 1
    always: bool = False

    def __post_init__(self) -> None:
        unknown = set(self.classes) - set(CLASSES)
        if unknown:
            raise UsageError(f"attention pruning: unknown class {unknown.pop()!r}", f"use of: {', '.join(CLASSES)}")
        if not (0.0 <= self.budget < math.inf) or not 0.0 <= self.detail <= 1.0:
            raise UsageError(
                f"attention pruning with a budget of {self.budget} and a detail of {self.detail}",
                "the budget is an error from 0 upwards, such as 0.02; the detail lies between 0 and 1",
            )
        if self.rows < 1 or self.refresh < 1:
            raise UsageError("attention pruning needs samples and a refresh of at least 1", "64 and 4 are usual")

    @property
    def inner(self) -> frozenset[int]:
        """The layers that may be pruned: none where nothing may."""
        return frozenset(range(1, self.layers - 1)) if self.budget and self.classes else frozenset()

    def evaluations(self, count: int) -> range:
        """Those of `count` that may be pruned; the one before them is remembered."""
        return range(max(math.ceil(FIRST * count), 1), count - math.ceil(LAST * count))

    def allowed(self, rho: float | None) -> float:
        """The budget of a layer; rho is that of a guided pair, None where there is none."""
        allowed = self.budget * (1.0 - 0.5 * self.detail)
        if self.guidance and rho is not None:
            allowed /= max(amplification(self.scale, rho), 1.0)
        return allowed
