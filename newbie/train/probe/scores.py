"""How well pictures obey: accuracy per attribute, for one and for two figures, with confidence intervals."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from newbie.train.figures import PictureSpec, words
from newbie.train.probe.labels import IGNORED, OF_CHARACTER, answers, slots

# What must all be right before a figure counts as drawn as asked for.
BOUND: Final = ("gender", "hair_color", "hair_style", "eye_color", "outfit", "outfit_color", "mouth", "lids")
ATTRIBUTES: Final = (
    "count", "background", "gender", "hair_color", "hair_style", "eye_color", "outfit", "outfit_color", "mouth",
    "open_mouth", "lids", "closed_eyes", "blush", "action", "position", "accessories", "hair_pair", "all",
)  # fmt: skip


class Rate(NamedTuple):
    """`hits` of `total`."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        """The share, 0 to 1; NaN where nothing was asked."""
        return self.hits / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % confidence interval (Wilson 1927)."""
        if not self.total:
            return (0.0, 1.0)
        z, n, p = 1.959964, self.total, self.value
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return (max(0.0, middle - half), min(1.0, middle + half))


@dataclass(frozen=True)
class Scores:
    """`of[figures][attribute]`, figures 1 or 2. `hair_pair`: both hair colours on the right side; `all`: see BOUND."""

    of: dict[int, dict[str, Rate]]

    def rate(self, attribute: str, figures: int | None = None) -> Rate:
        """One rate, for pictures with that many figures or for all of them together."""
        counts = (figures,) if figures else tuple(self.of)
        found = [self.of[count][attribute] for count in counts if attribute in self.of.get(count, {})]
        return Rate(sum(rate.hits for rate in found), sum(rate.total for rate in found))

    def as_json(self) -> dict[str, Any]:
        """Plain values for a report."""
        return {
            str(figures): {
                name: {"hits": rate.hits, "total": rate.total, "value": round(rate.value, 4),
                       "interval": [round(bound, 4) for bound in rate.interval]}
                for name, rate in rates.items() if rate.total
            }
            for figures, rates in self.of.items()
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Scores:
        """The inverse of `as_json`."""
        return cls(
            {
                int(figures): {name: Rate(rate["hits"], rate["total"]) for name, rate in rates.items()}
                for figures, rates in data.items()
            }
        )

    def table(self) -> str:
        """Aligned text: one row per attribute, one column per number of figures, intervals in brackets."""
        lines = [f"{'':14}" + "".join(f"{f'{figures} figure' + 's' * (figures > 1):>24}" for figures in self.of)]
        for name in ATTRIBUTES:
            cells = []
            for rates in self.of.values():
                rate = rates.get(name, Rate(0, 0))
                low, high = (100 * bound for bound in rate.interval)
                cells.append(f"{100 * rate.value:8.1f} [{low:5.1f},{high:6.1f}]" if rate.total else "-")
            lines.append(f"{name:14}" + "".join(f"{cell:>24}" for cell in cells))
        return "\n".join(lines)


def score(read: dict[str, Tensor], specs: Sequence[PictureSpec]) -> Scores:
    """Compare what was read (indices in the layout of `labels.answers`) with what was asked for."""
    truth = answers(specs)
    of: dict[int, dict[str, list[bool]]] = {1: {}, 2: {}}
    for i, spec in enumerate(specs):
        hits = of[len(spec.characters)]
        for name in ("count", "background"):
            hits.setdefault(name, []).append(bool(read[name][i] == truth[name][i]))
        figures = [_figure(_slot(read, i, slot), _slot(truth, i, slot)) for slot in slots(spec)]
        for figure in figures:
            for name, hit in figure.items():
                hits.setdefault(name, []).append(hit)
        hits.setdefault("all", []).append(all(figure.get(name, True) for figure in figures for name in BOUND))
        if len(figures) == 2:
            hits.setdefault("hair_pair", []).append(all(figure["hair_color"] for figure in figures))
    return Scores({n: {name: Rate(sum(hit), len(hit)) for name, hit in hits.items()} for n, hits in of.items() if hits})


def shuffled(specs: Sequence[PictureSpec], seed: int = 0) -> list[PictureSpec]:
    """The same specs in another order, each number of figures among itself: what chance would score."""
    rng = random.Random(seed)
    mixed = list(specs)
    for count in {len(spec.characters) for spec in specs}:
        places = [i for i, spec in enumerate(specs) if len(spec.characters) == count]
        for place, other in zip(places, rng.sample(places, len(places)), strict=True):
            mixed[place] = specs[other]
    return mixed


def _slot(told: dict[str, Tensor], i: int, slot: int) -> dict[str, int]:
    return {name: int(told[name][i, slot]) for name in OF_CHARACTER}


def _figure(read: dict[str, int], truth: dict[str, int]) -> dict[str, bool]:
    hits = {k: read[k] == v for k, v in truth.items() if v != IGNORED and k not in words.ACCESSORIES}
    open_mouth, closed = words.MOUTHS.index("open_mouth"), words.LIDS.index("closed_eyes")
    hits["open_mouth"] = (read["mouth"] == open_mouth) == (truth["mouth"] == open_mouth)
    hits["closed_eyes"] = (read["lids"] == closed) == (truth["lids"] == closed)
    hits["accessories"] = all(read[name] == truth[name] for name in words.ACCESSORIES)
    return hits


def as_indices(scores: dict[str, Tensor]) -> dict[str, Tensor]:
    """The best answer to every question."""
    return {name: torch.argmax(values, dim=-1) for name, values in scores.items()}
