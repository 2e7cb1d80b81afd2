"""A report: verdicts on a model's pictures and on real drawings of the same specs, and what follows from them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from newbie.errors import UsageError
from newbie.train.probe import Paired, Rate, Scores, Verdict
from newbie.train.report.suites import OTHER_FORMS, pair_of

CARD, VERDICTS = "report.json", "verdicts.jsonl"
Verdicts = Mapping[str, Verdict]  # by the name of the task: main-0007, pairs-03-001, forms-tags-012, names-luna-00


@dataclass(frozen=True)
class Report:
    """`model` and `real` are verdicts by task; `real` lacks tasks without a spec. `facts` is plain JSON."""

    model: Verdicts
    real: Verdicts
    shuffled: Scores  # what chance scores on the main prompts
    ceiling: Scores  # the probe's own card, for prompts that cannot be drawn for real
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def scores(self) -> Scores:
        """The model on held-out combinations, or on somebody's own prompts."""
        return Scores.count(_part(self.model, "main", "own").values())

    @property
    def best(self) -> Scores:
        """What the probe scores on real drawings of the same specs."""
        real = _part(self.real, "main", "own")
        return Scores.count(real.values()) if real else self.ceiling

    def form(self, name: str) -> tuple[Rate, Rate]:
        """Hair colours right in prompts of that form: by the model, in real drawings."""
        return tuple(  # type: ignore[return-value]
            Scores.count(_part(found, f"forms-{name}").values()).rate("hair_color") for found in (self.model, self.real)
        )

    def names(self) -> dict[str, tuple[Rate, Rate]]:
        """Attributes of characters asked for by name: by the model, in real drawings. `all`: the whole design."""
        model, real = (Scores.count(_part(found, "names").values()) for found in (self.model, self.real))
        wanted = ("gender", "hair_color", "hair_style", "eye_color", "outfit", "outfit_color", "accessories", "all")
        return {name: (model.rate(name), real.rate(name)) for name in wanted}

    def pairs(self) -> dict[str, Rate]:
        """For each pair that was never trained, how often both of its attributes are right."""
        rates: dict[str, Rate] = {}
        for name, verdict in _part(self.model, "pairs").items():
            field_a, value_a, field_b, value_b = pair_of(name)
            label = f"{value_a} {field_a}, {value_b} {field_b}"
            rates[label] = _plus(rates.get(label), _together(verdict, field_a, field_b))
        return rates

    def trained_pairs(self) -> Rate:
        """The same for the main prompts: both attributes right, each kind of pair counted as often as it was asked."""
        main = _part(self.model, "main").values()
        asked = Counter(pair_of(name)[::2] for name in _part(self.model, "pairs"))
        rates = {fields: _plus(*(_together(verdict, *fields) for verdict in main)) for fields in asked}
        known = {fields: rate for fields, rate in rates.items() if rate.total}
        if not known:
            return Rate(0, 0)
        value = sum(asked[fields] * rate.value for fields, rate in known.items())
        value /= sum(asked[fields] for fields in known)
        total = min(rate.total for rate in known.values())  # the same figures again and again: no more evidence
        return Rate(round(value * total), total)

    def forms(self) -> dict[str, tuple[Rate, Rate]]:
        """Hair colour by the form of the prompt, full XML first."""
        xml = (self.scores.rate("hair_color"), self.best.rate("hair_color"))
        others = {name: self.form(name) for name in OTHER_FORMS}
        return {"xml": xml} | {name: rates for name, rates in others.items() if rates[0].total}

    def save(self, folder: Path) -> None:
        """Write `report.json` (numbers for people) and `verdicts.jsonl` (every answer, for `load` and `compare`)."""
        folder.mkdir(parents=True, exist_ok=True)
        values = {
            **self.facts,
            "model": self.scores.as_json(),
            "real drawings": self.best.as_json(),
            "shuffled prompts": self.shuffled.as_json(),
            "probe": self.ceiling.as_json(),
            "held-out pairs": {name: _plain(rate) for name, rate in self.pairs().items()},
            "forms": {name: _plain(rates[0]) for name, rates in self.forms().items()},
            "names": {name: _plain(rates[0]) for name, rates in self.names().items() if rates[0].total},
        }
        (folder / CARD).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
        with (folder / VERDICTS).open("w", encoding="utf-8") as file:
            for side, found in (("model", self.model), ("real", self.real)):
                for name, verdict in found.items():
                    file.write(json.dumps({"of": side, "name": name, **verdict.as_json()}) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Report:
        """Read what `save` wrote.

        Raises:
            UsageError: there is no whole report.
        """
        try:
            values = json.loads((folder / CARD).read_text(encoding="utf-8"))
            lines = [json.loads(line) for line in (folder / VERDICTS).read_text(encoding="utf-8").splitlines()]
            sides: dict[str, dict[str, Verdict]] = {"model": {}, "real": {}}
            for line in lines:
                sides[line["of"]][line["name"]] = Verdict.from_json(line)
            shuffled, ceiling = (Scores.from_json(values.pop(key)) for key in ("shuffled prompts", "probe"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"no whole report in {folder}: {error}", "make one: python -m newbie evaluate --out FOLDER"
            ) from error
        return cls(sides["model"], sides["real"], shuffled, ceiling, values)


def compare(first: Report | Path, second: Report | Path, suite: str = "main") -> dict[str, Paired]:
    """Two models on the same prompts and seeds, attribute by attribute; a picture counts as right as a whole.

    `compare(a, b)["hair_color"].interval` bounds the second's share minus the first's, with 95 % confidence.

    Raises:
        UsageError: the two have no prompt in common.
    """
    one, other = (each if isinstance(each, Report) else Report.load(each) for each in (first, second))
    before, after = _part(one.model, suite), _part(other.model, suite)
    common = [name for name in before if name in after and _asked(before[name]) == _asked(after[name])]
    if not common:
        raise UsageError("the two reports have no prompt in common", "make both with the same --seed and --count")
    cells: dict[str, list[int]] = {}
    for name in common:
        a, b = before[name].hits(), after[name].hits()
        for attribute in a.keys() & b.keys():
            right = (all(a[attribute]), all(b[attribute]))
            place = {(True, True): 0, (True, False): 1, (False, True): 2, (False, False): 3}[right]
            cells.setdefault(attribute, [0, 0, 0, 0])[place] += 1
    return {attribute: Paired(*counts) for attribute, counts in sorted(cells.items())}


def _asked(verdict: Verdict) -> list[tuple[str, int, str]]:
    return [told[:3] for told in verdict.told]


def _part(found: Verdicts, *prefixes: str) -> dict[str, Verdict]:
    return {name: verdict for name, verdict in found.items() if name.startswith(tuple(f"{p}-" for p in prefixes))}


def _together(verdict: Verdict, field_a: str, field_b: str) -> Rate:
    """How many figures have both of these right, of those that were asked for both."""
    of: dict[int, dict[str, bool]] = {}
    for told in verdict.told:
        of.setdefault(told.figure, {})[told.question] = told.right
    both = [hits[field_a] and hits[field_b] for hits in of.values() if field_a in hits and field_b in hits]
    return Rate(sum(both), len(both))


def _plus(*rates: Rate | None) -> Rate:
    known = [rate for rate in rates if rate is not None]
    return Rate(sum(rate.hits for rate in known), sum(rate.total for rate in known))


def _plain(rate: Rate) -> dict[str, Any]:
    interval = [round(bound, 4) for bound in rate.interval]
    return {"hits": rate.hits, "total": rate.total, "value": round(rate.value, 4), "interval": interval}
