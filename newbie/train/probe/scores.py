"""How well pictures obey: a verdict on each picture, and accuracies by attribute and number of figures."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from torch import Tensor

from newbie.train.figures import words
from newbie.train.probe.labels import OF_CHARACTER, OF_PICTURE, Asked
from newbie.train.probe.rates import Rate

# What must all be right before a figure counts as drawn as asked for.
BOUND: Final = ("gender", "hair_color", "hair_style", "eye_color", "outfit", "outfit_color", "mouth", "lids")
ATTRIBUTES: Final = (
    "count", "background", "framing", "lighting", "style", "gender", "hair_color", "hair_style", "eye_color", "outfit",
    "outfit_color", "expression", "mouth", "open_mouth", "lids", "closed_eyes", "blush", "action", "prop", "position",
    "accessories", "hair_sides", "all",
)  # fmt: skip


class Told(NamedTuple):
    """One answer: `figure` counts from 1, left to right; 0 is the picture. `log_p`: of what was asked for."""

    question: str
    figure: int
    asked: str
    read: str
    log_p: float

    @property
    def right(self) -> bool:
        return self.asked == self.read


@dataclass(frozen=True)
class Verdict:
    """All that the probe said of one picture, in answer to what was asked for."""

    figures: int  # asked for; 0 where nobody said
    told: tuple[Told, ...]

    @property
    def wrong(self) -> tuple[Told, ...]:
        return tuple(told for told in self.told if not told.right)

    @property
    def surprise(self) -> float:
        """How unlikely the probe finds all that was asked for; the worst picture has most."""
        return -sum(told.log_p for told in self.told)

    def hits(self) -> dict[str, list[bool]]:
        """Right or wrong by attribute: one for the picture, or one for each figure.

        `expression`: mouth and eyelids; `accessories`: all of them; `all`: everything in BOUND, of all figures;
        `hair_sides`: every hair colour in its place, where there are several figures.
        """
        hits: dict[str, list[bool]] = {}
        figures: dict[int, dict[str, Told]] = {}
        for told in self.told:
            if told.figure:
                figures.setdefault(told.figure, {})[told.question] = told
            if told.question not in words.ACCESSORIES:
                hits.setdefault(told.question, []).append(told.right)
        for of in figures.values():
            for name, found in _derived(of).items():
                hits.setdefault(name, []).append(found)
        bound = [of[name].right for of in figures.values() for name in BOUND if name in of]
        if bound:
            hits["all"] = [all(bound)]
        if len(hits.get("hair_color", ())) > 1:
            hits["hair_sides"] = [all(hits["hair_color"])]
        return hits

    def as_json(self) -> dict[str, Any]:
        return {"figures": self.figures, "told": [[*told[:4], round(told.log_p, 3)] for told in self.told]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Verdict:
        return cls(data["figures"], tuple(Told(*told) for told in data["told"]))


def _derived(of: dict[str, Told]) -> dict[str, bool]:
    found: dict[str, bool] = {}
    for name, question in (("open_mouth", "mouth"), ("closed_eyes", "lids")):
        if question in of:
            found[name] = (of[question].asked == name) == (of[question].read == name)
    expression = [of[name].right for name in ("mouth", "lids") if name in of]
    if expression:
        found["expression"] = all(expression)
    worn = [of[name].right for name in words.ACCESSORIES if name in of]
    if worn:
        found["accessories"] = all(worn)
    return found


def verdicts(log_p: dict[str, Tensor], asked: Sequence[Asked]) -> list[Verdict]:
    """Compare what was read (log-probabilities, on the CPU) with what was asked for."""
    best = {name: values.argmax(-1).tolist() for name, values in log_p.items()}
    found = []
    for i, wanted in enumerate(asked):
        told = [
            Told(q, 0, value, OF_PICTURE[q][best[q][i]], float(log_p[q][i, OF_PICTURE[q].index(value)]))
            for q, value in wanted.picture.items()
        ]
        for number, (slot, figure) in enumerate(zip(wanted.slots, wanted.figures, strict=True), 1):
            for q, value in figure.items():
                chosen = OF_CHARACTER[q][best[q][i][slot]]
                told.append(Told(q, number, value, chosen, float(log_p[q][i, slot, OF_CHARACTER[q].index(value)])))
        found.append(Verdict(wanted.count, tuple(told)))
    return found


@dataclass(frozen=True)
class Scores:
    """`of[figures][attribute]`; see `Verdict.hits` for attributes that are no questions."""

    of: dict[int, dict[str, Rate]]

    @classmethod
    def count(cls, found: Iterable[Verdict]) -> Scores:
        """Add the verdicts up."""
        of: dict[int, dict[str, Rate]] = {}
        for verdict in found:
            rates = of.setdefault(verdict.figures, {})
            for name, hits in verdict.hits().items():
                before = rates.get(name, Rate(0, 0))
                rates[name] = Rate(before.hits + sum(hits), before.total + len(hits))
        return cls(dict(sorted(of.items())))

    def rate(self, attribute: str, figures: int | None = None) -> Rate:
        """One rate, for pictures with that many figures or for all of them together."""
        counts = (figures,) if figures is not None else tuple(self.of)
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
        lines = [f"{'':14}" + "".join(f"{_figures(figures):>24}" for figures in self.of)]
        for name in ATTRIBUTES:
            cells = []
            for rates in self.of.values():
                rate = rates.get(name, Rate(0, 0))
                low, high = (100 * bound for bound in rate.interval)
                cells.append(f"{100 * rate.value:8.1f} [{low:5.1f},{high:6.1f}]" if rate.total else "-")
            lines.append(f"{name:14}" + "".join(f"{cell:>24}" for cell in cells))
        return "\n".join(lines)


def _figures(number: int) -> str:
    return {0: "not said", 1: "1 figure"}.get(number, f"{number} figures")


def shuffled(asked: Sequence[Asked], seed: int = 0) -> list[Asked]:
    """The same prompts in another order, each number of figures among itself: what chance would score."""
    rng = random.Random(seed)
    mixed = list(asked)
    for count in sorted({len(each.figures) for each in asked}):
        places = [i for i, each in enumerate(asked) if len(each.figures) == count]
        for place, other in zip(places, rng.sample(places, len(places)), strict=True):
            mixed[place] = asked[other]
    return mixed
