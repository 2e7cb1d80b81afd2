"""A report as text: axes as in GenEval, every attribute beside its ceiling, pairs, forms, names, goals.

D. Ghosh, H. Hajishirzi, L. Schmidt, "GenEval: an object-focused framework for evaluating text-to-image
alignment", 2023
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

from newbie.train.probe import ATTRIBUTES, Rate, Ratio, Scores, ratio
from newbie.train.report.result import Report

AXES: Final[dict[str, tuple[str, ...]]] = {
    "count": ("count",),
    "colour": ("hair_color", "eye_color", "outfit_color"),
    "style": ("hair_style", "outfit"),
    "binding": ("all",),
    "hair on its side": ("hair_sides",),
    "position": ("position",),
    "expression": ("expression", "blush"),
    "background": ("background",),
    "framing": ("framing",),
    "lighting": ("lighting",),
    "art style": ("style",),
    "action": ("action",),
    "prop": ("prop",),
    "accessories": ("accessories",),
}


class Goal(NamedTuple):
    """A share of the ceiling that a model should reach."""

    attribute: str
    figures: int
    wanted: float


EASY: Final = ("hair_color", "hair_style", "outfit", "outfit_color", "expression", "background", "count")
GOALS: Final = (
    *(Goal(name, figures, 0.97) for figures in (1, 2) for name in EASY),
    *(Goal("eye_color", figures, 0.92) for figures in (1, 2)),
    *(Goal(name, 3, 0.92) for name in (*EASY, "eye_color")),
    Goal("hair_sides", 2, 0.97),
    Goal("all", 2, 0.90),
)
FORM_GOAL: Final = 0.92
PAIR_GOAL: Final = 0.03  # most that untrained pairs may lose


def text(report: Report) -> str:
    """Everything."""
    parts = [axes(report), *attributes(report), pairs(report), forms(report), names(report), goals(report)]
    return "\n\n".join(part for part in parts if part)


def axes(report: Report) -> str:
    """One line per axis: shares by the number of figures."""
    model = report.scores
    head = f"{'axis, %':18}" + "".join(f"{_figures(n):>22}" for n in model.of)
    lines = [head]
    for axis, names_ in AXES.items():
        rates = [_sum(model, names_, figures) for figures in model.of]
        if any(rate.total for rate in rates):
            lines.append(f"{axis:18}" + "".join(f"{share(rate):>22}" for rate in rates))
    return "\n".join(lines)


def attributes(report: Report) -> Iterator[str]:
    """One table per number of figures: model, real drawings, their ratio, shuffled prompts."""
    model, real, shuffled = report.scores, report.best, report.shuffled
    for figures in model.of:
        lines = [
            f"{_figures(figures) + ', %':18}{'model':>22}{'real drawings':>22}{'of the ceiling':>24}{'shuffled':>10}"
        ]
        for name in ATTRIBUTES:
            rate = model.rate(name, figures)
            if rate.total:
                best, chance = real.rate(name, figures), shuffled.rate(name, figures)
                lines.append(
                    f"{name:18}{share(rate):>22}{share(best):>22}{share_of(ratio(rate, best)):>24}"
                    + (f"{100 * chance.value:>10.1f}" if chance.total else f"{'-':>10}")
                )
        yield "\n".join(lines)


def pairs(report: Report) -> str:
    """The pairs that were never trained, beside what is reached on trained ones."""
    rates = report.pairs()
    if not rates:
        return ""
    whole = Rate(sum(rate.hits for rate in rates.values()), sum(rate.total for rate in rates.values()))
    lines = ["pairs of attributes that were never trained, both right, %"]
    lines += [f"  {name:46}{share(rate):>22}{f'of {rate.total}':>9}" for name, rate in rates.items()]
    lines.append(f"  {'all of them':46}{share(whole):>22}{f'of {whole.total}':>9}")
    lines.append(f"  {'the same attributes in trained pairs':46}{share(report.trained_pairs()):>22}")
    return "\n".join(lines)


def forms(report: Report) -> str:
    """Hair colour by the form of the prompt."""
    rates = report.forms()
    if len(rates) < 2:
        return ""
    lines = [f"{'hair colour, %':18}{'model':>22}{'real drawings':>22}{'of the ceiling':>24}"]
    lines += [f"{name:18}{share(a):>22}{share(b):>22}{share_of(ratio(a, b)):>24}" for name, (a, b) in rates.items()]
    return "\n".join(lines)


def names(report: Report) -> str:
    """Characters asked for by their names alone."""
    rates = {name: each for name, each in report.names().items() if each[0].total}
    if not rates:
        return ""
    lines = [f"{'by name alone, %':18}{'model':>22}{'real drawings':>22}{'of the ceiling':>24}"]
    lines += [f"{name:18}{share(a):>22}{share(b):>22}{share_of(ratio(a, b)):>24}" for name, (a, b) in rates.items()]
    return "\n".join(lines)


def goals(report: Report) -> str:
    """What the bundled model is held to, and whether it is reached; nothing for somebody's own prompts."""
    if not any(name.startswith("main-") for name in report.model):
        return ""
    lines = [f"{'goal (share of the ceiling)':34}{'wanted':>8}{'reached':>24}"]
    for goal in GOALS:
        rate, best = report.scores.rate(goal.attribute, goal.figures), report.best.rate(goal.attribute, goal.figures)
        if rate.total and best.total:
            found = ratio(rate, best)
            lines.append(_goal(f"{goal.attribute}, {_figures(goal.figures)}", goal.wanted, found))
    for name, (rate, best) in report.forms().items():
        if rate.total and best.total and name != "xml":
            lines.append(_goal(f"hair_color, {name}", FORM_GOAL, ratio(rate, best)))
    untrained, trained = report.pairs().values(), report.trained_pairs()
    total = sum(rate.total for rate in untrained)
    if total and trained.total:
        loss = trained.value - sum(rate.hits for rate in untrained) / total
        met = "yes" if loss <= PAIR_GOAL else "NO"
        lines.append(f"{'untrained pairs: points lost':34}{100 * PAIR_GOAL:8.1f}{100 * loss:24.1f}  {met}")
    return "\n".join(lines) if len(lines) > 1 else ""


def _goal(name: str, wanted: float, found: Ratio) -> str:
    met = "yes" if found.value >= wanted else "NO"
    return f"{name:34}{100 * wanted:8.1f}{share_of(found):>24}  {met}"


def share(rate: Rate) -> str:
    """`96.3 [ 90.9, 98.6]`."""
    if not rate.total:
        return "-"
    low, high = (100 * bound for bound in rate.interval)
    return f"{100 * rate.value:.1f} [{low:5.1f},{high:6.1f}]"


def share_of(found: Ratio) -> str:
    """The same for a share of a ceiling."""
    if math.isnan(found.value):
        return "-"
    return f"{100 * found.value:.1f} [{100 * found.low:5.1f},{100 * found.high:6.1f}]"


def _sum(scores: Scores, attributes_: tuple[str, ...], figures: int) -> Rate:
    rates = [scores.rate(name, figures) for name in attributes_]
    return Rate(sum(rate.hits for rate in rates), sum(rate.total for rate in rates))


def _figures(number: int) -> str:
    return {0: "number not said", 1: "1 figure"}.get(number, f"{number} figures")
