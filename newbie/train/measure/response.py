"""How a weight acts: two attributes that exclude each other are asked of one figure, and one of them has a weight.

First all candidates are drawn without weights, and those kept that are present in 30 to 70 % of the pictures: what is
always or never there cannot answer. Then they are drawn again, with other seeds, at every weight, 1 included; so that
choosing does not tilt the curve.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations
from typing import Any, Final, NamedTuple

from newbie.prompt import canonical_text, compose
from newbie.train.figures import words
from newbie.train.probe import Asked, Paired, Rate, Verdict
from newbie.train.report import Task

WEIGHTS: Final = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
OPEN: Final = (0.3, 0.7)  # shares of presence at which something can still answer
QUESTIONS: Final[Mapping[str, tuple[str, words.Words]]] = {
    "hair_color": ("appearance", words.HAIR_COLOR_TAGS),
    "eye_color": ("appearance", words.EYE_COLOR_TAGS),
    "hair_style": ("appearance", {style: words.HAIR_STYLE_TAGS[style] for style in words.GIRL_STYLES}),
    "outfit": ("clothing", words.OUTFIT_TAGS),
    "mouth": ("expression", words.MOUTH_TAGS),
    "background": ("background", words.BACKGROUND_TAGS),
}
USUAL: Final = {
    "hair_color": "brown_hair",
    "eye_color": "brown_eyes",
    "hair_style": "long_hair",
    "outfit": "shirt",
    "mouth": "smile",
    "background": "white_background",
}


class Conflict(NamedTuple):
    """Two answers to one question, in the order in which they are written; the `loud` one has the weight."""

    question: str
    loud: str
    other: str
    first: bool  # the loud one is written before the other

    @property
    def name(self) -> str:
        return f"{self.question}-{self.loud}-{self.other}-{'first' if self.first else 'last'}"


def candidates(each: int, seed: int = 0) -> list[Conflict]:
    """`each` conflicts for every question."""
    found = []
    for question, (_, tags) in QUESTIONS.items():
        pairs = list(permutations(tags, 2))
        rng = random.Random(f"response/{seed}/{question}")
        found += [Conflict(question, a, b, rng.random() < 0.5) for a, b in rng.sample(pairs, min(each, len(pairs)))]
    return found


def task(conflict: Conflict, weight: float, number: int, *, phase: str) -> Task:
    """One picture of a conflict. `asked` is the loud answer: a verdict that is right says that it is there."""
    name = f"{phase}-{conflict.name}-{weight:g}-{number:03}"
    of_picture = conflict.question == "background"
    asked = {conflict.question: conflict.loud}
    return Task(
        name,
        prompt(conflict, weight),
        Asked({"count": "1"} | (asked if of_picture else {}), ({} if of_picture else asked,)),
    )


def prompt(conflict: Conflict, weight: float) -> str:
    """A girl with both; a weight of 1 is written out too, and changes nothing."""
    told = {question: [tag] for question, tag in USUAL.items()}
    tags = QUESTIONS[conflict.question][1]
    both = [f"({tags[conflict.loud][0]}:{weight:g})", tags[conflict.other][0]]
    told[conflict.question] = both if conflict.first else both[::-1]
    elements: dict[str, list[str]] = {}
    for question, said in told.items():
        elements.setdefault(QUESTIONS[question][0], []).extend(said)
    background = ", ".join(elements.pop("background"))
    person = {"gender": "1girl"} | {name: ", ".join(said) for name, said in elements.items()}
    return canonical_text(compose([person], {"count": "1girl, solo", "background": background}))


def present(verdict: Verdict) -> bool:
    """Whether the loud answer is there; `count` does not matter."""
    return all(told.right for told in verdict.told if told.question != "count")


def open_to_both(found: Mapping[Conflict, Sequence[bool]]) -> list[Conflict]:
    """Those that are present in 30 to 70 % of the pictures."""
    return [conflict for conflict, hits in found.items() if OPEN[0] <= sum(hits) / len(hits) <= OPEN[1]]


@dataclass(frozen=True)
class Response:
    """Presence by weight: for each conflict and seed, in the same order at every weight."""

    hits: Mapping[float, Sequence[tuple[Conflict, bool]]]

    def rate(self, weight: float, question: str = "") -> Rate:
        told = [hit for conflict, hit in self.hits[weight] if question in ("", conflict.question)]
        return Rate(sum(told), len(told))

    def against_one(self, weight: float) -> Paired:
        """The same conflicts and seeds at weight 1 and at this one."""
        cells = [0, 0, 0, 0]
        for (_, before), (_, after) in zip(self.hits[1.0], self.hits[weight], strict=True):
            cells[{(True, True): 0, (True, False): 1, (False, True): 2, (False, False): 3}[before, after]] += 1
        return Paired(*cells)

    @property
    def monotone(self) -> bool:
        rates = [self.rate(weight).value for weight in sorted(self.hits)]
        return all(a <= b for a, b in pairwise(rates))

    def as_json(self) -> dict[str, Any]:
        return {
            "monotone": self.monotone,
            "presence": {
                f"{weight:g}": {
                    "hits": rate.hits,
                    "total": rate.total,
                    "interval": list(rate.interval),
                    "p against 1": self.against_one(weight).p_value,
                }
                for weight in sorted(self.hits)
                for rate in [self.rate(weight)]
            },
            "by question": {
                question: {f"{weight:g}": self.rate(weight, question).value for weight in sorted(self.hits)}
                for question in QUESTIONS
                if self.rate(1.0, question).total
            },
        }


def text(found: Response, chosen: int, tried: int) -> str:
    """The curve, over all and by question."""
    questions = [question for question in QUESTIONS if found.rate(1.0, question).total]
    lines = [f"{chosen} of {tried} conflicts are open to both; presence of the weighted tag, %", ""]
    lines.append(f"{'weight':>8}{'all':>24}{'p against 1':>13}" + "".join(f"{question:>12}" for question in questions))
    for weight in sorted(found.hits):
        rate = found.rate(weight)
        low, high = (100 * bound for bound in rate.interval)
        cells = "".join(f"{100 * found.rate(weight, question).value:>12.0f}" for question in questions)
        share = f"{100 * rate.value:.1f} [{low:.1f}, {high:.1f}]"
        lines.append(f"{weight:>8g}{share:>24}{found.against_one(weight).p_value:>13.2g}{cells}")
    raised, lowered = found.against_one(1.5), found.against_one(0.5)
    lines += ["", f"monotone from {min(found.hits):g} to {max(found.hits):g}: {'yes' if found.monotone else 'NO'}"]
    lines.append(f"1.5 raises: {'yes' if raised.difference > 0 and raised.p_value < 0.05 else 'NO'}")
    lines.append(f"0.5 lowers: {'yes' if lowered.difference < 0 and lowered.p_value < 0.05 else 'NO'}")
    return "\n".join(lines)
