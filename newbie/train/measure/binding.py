"""Who has whose attributes: the same prompts and seeds without regions and with them, compared picture by picture.

A binding error is an attribute that is wrong on one figure and was said of another: the sailor's blue hair on the girl
in the hoodie. What is wrong without being anybody's is not one, nor is what nobody needs to say (a wave that was left
out did not stray from her who just stands there); `whole` counts those too. And only what a model can draw can be
bound: questions that it does not answer right for most figures by themselves are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from newbie.train.probe import Paired, Verdict
from newbie.train.probe.labels import EMPTY_HANDED, NO_YES, OF_CHARACTER

WHOSE: Final = tuple(name for name, answers in OF_CHARACTER.items() if answers != NO_YES and name != "position")
HALF: Final = 0.5  # of the errors must go
SURE: Final = 0.01
UNSAID: Final = {"lids": "open", "action": "standing", "prop": EMPTY_HANDED}  # no caption has a word for these
ABLE: Final = 0.75  # of the figures by themselves


def strays(verdict: Verdict, questions: Collection[str] = WHOSE) -> list[str]:
    """The questions to which some figure gives the answer that was said of another, once for each such figure."""
    said: dict[str, dict[int, str]] = {}
    for told in verdict.told:
        if told.figure and told.question in questions and told.asked != UNSAID.get(told.question):
            said.setdefault(told.question, {})[told.figure] = told.asked
    return [
        told.question
        for told in verdict.told
        if told.question in said
        and told.figure
        and not told.right
        and told.read in [value for figure, value in said[told.question].items() if figure != told.figure]
    ]


def able(alone: Iterable[Verdict]) -> tuple[str, ...]:
    """The questions of `WHOSE` that a model answers right for `ABLE` of the figures it draws by themselves."""
    asked, right = Counter[str](), Counter[str]()
    for told in (told for verdict in alone for told in verdict.told if told.figure):
        if told.asked != UNSAID.get(told.question):
            asked[told.question] += 1
            right[told.question] += told.right
    return tuple(question for question in WHOSE if asked[question] and right[question] >= ABLE * asked[question])


@dataclass(frozen=True)
class Binding:
    """Verdicts by the name of the task, without regions and with them, and the questions that count as bound or not."""

    off: Mapping[str, Verdict]
    on: Mapping[str, Verdict]
    questions: Collection[str] = WHOSE

    def bound(self, kind: str = "") -> Paired:
        """Pictures without a binding error: in both, off only, on only, in neither."""
        return self._paired(kind, lambda verdict: not strays(verdict, self.questions))

    def whole(self, kind: str = "") -> Paired:
        """Pictures with every figure as it was asked for."""
        return self._paired(kind, lambda verdict: all(verdict.hits().get("all", [True])))

    def hair(self, kind: str = "") -> Paired:
        """Pictures with every hair colour in its place."""
        return self._paired(kind, lambda verdict: all(verdict.hits().get("hair_sides", [True])))

    def by_question(self) -> dict[str, tuple[int, int]]:
        """Stray attributes off and on."""
        off, on = (
            Counter(q for verdict in side.values() for q in strays(verdict, self.questions))
            for side in (self.off, self.on)
        )
        return {question: (off[question], on[question]) for question in self.questions if off[question] or on[question]}

    def kinds(self) -> tuple[str, ...]:
        """All together (""), then each kind of prompt."""
        return ("", *dict.fromkeys(name.split("-")[0] for name in self.off))

    def counted(self, kind: str = "") -> dict[str, Paired]:
        """What is counted, by its name."""
        return {
            "a binding error": self.bound(kind), "hair exchanged": self.hair(kind), "anything wrong": self.whole(kind),
        }  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        counts = {
            kind or "all": {name: _plain(paired) for name, paired in self.counted(kind).items()}
            for kind in self.kinds()
        }
        return {"questions": list(self.questions), "pictures with": counts, "stray attributes": self.by_question()}

    def _paired(self, kind: str, right: Any) -> Paired:
        cells = Counter(
            (right(self.off[name]), right(self.on[name]))
            for name in self.off
            if not kind or name.startswith(f"{kind}-")
        )
        return Paired(cells[True, True], cells[True, False], cells[False, True], cells[False, False])


def errors(paired: Paired) -> tuple[int, int]:
    """Pictures that are wrong: off, on."""
    return paired.second_only + paired.neither, paired.first_only + paired.neither


def _plain(paired: Paired) -> dict[str, Any]:
    off, on = errors(paired)
    gain = {"gain": paired.difference, "interval": list(paired.interval), "p": paired.p_value}
    return {"pictures": paired.total, "off": off, "on": on, **gain}


def text(found: Binding) -> str:
    """One line per kind, then whose attributes strayed, then whether half of the errors went."""
    heads = f"{'pictures':>9}{'off':>7}{'on':>7}{'fewer':>9}{'McNemar p':>12}{'gain, points':>24}"
    lines = [f"{'pictures with':16}{'kind':>10}{heads}"]
    for kind in found.kinds():
        for name, paired in found.counted(kind).items():
            off, on = errors(paired)
            fewer = f"{100 * (1 - on / off):.0f} %" if off else "-"
            low, high = (100 * bound for bound in paired.interval)
            gain = f"{100 * paired.difference:+.1f} [{low:+.1f}, {high:+.1f}]"
            numbers = f"{paired.total:>9}{off:>7}{on:>7}{fewer:>9}{paired.p_value:>12.2g}{gain:>24}"
            lines.append(f"{name:16}{kind or 'all':>10}{numbers}")
    lines += ["", f"{'whose attribute':20}{'off':>7}{'on':>7}"]
    lines += [f"{question:20}{off:>7}{on:>7}" for question, (off, on) in found.by_question().items()]
    left_out = [question for question in WHOSE if question not in found.questions]
    lines.append(f"not counted, wrong too often on figures by themselves: {', '.join(left_out) or 'nothing'}")
    off, on = errors(found.bound())
    reached = off > 0 and on <= HALF * off and found.bound().p_value < SURE
    wanted = f"half of the binding errors gone, p < {SURE:g}"
    return "\n".join([*lines, "", f"{wanted}: {'yes' if reached else 'NO'} ({off} off, {on} on)"])


def examples(found: Binding) -> list[str]:
    """Tasks to look at: what regions mended, then what they broke."""
    off, on = ({name for name in side if strays(side[name], found.questions)} for side in (found.off, found.on))
    mended = [name for name in found.off if name in off - on]
    broken = [name for name in found.off if name in on - off]
    return [*mended[:9], *broken[:9]]
