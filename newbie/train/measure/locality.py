"""Edits that stay put: one character's hair gets another colour; how much do the other's pixels change?

Four pictures of one seed for every prompt: before and after the edit, without regions and with them. No probe looks:
pixels are compared, inside the box of the character that was edited and inside that of the other.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from newbie.images import VISIBLE
from newbie.prompt import read
from newbie.prompt.boxes import Box
from newbie.regions.boxes import boxes
from newbie.train.figures import caption_full, sample, words
from newbie.train.probe import Asked, Paired
from newbie.train.probe.rates import Z
from newbie.train.report import Task
from newbie.train.studio import Picture


class Edit(NamedTuple):
    """A prompt of two characters before and after the hair of one, `edited` (0 left, 1 right), is dyed."""

    before: Task
    after: Task
    edited: int


class Change(NamedTuple):
    """Mean difference of colours inside a box, 0 to 255, and the share of its pixels that visibly changed."""

    mean: float
    share: float


def edits(count: int, seed: int = 0) -> list[Edit]:
    """Two characters of combinations that are never trained."""
    return [_edit(i, random.Random(f"locality/{seed}/{i}")) for i in range(count)]


def _edit(number: int, rng: random.Random) -> Edit:
    spec = sample(rng, split="held_out", characters=2)
    spec = replace(spec, characters=tuple(replace(figure, name="") for figure in spec.characters))
    edited = rng.randrange(2)
    taken = {figure.hair_color for figure in spec.characters}
    dyed = list(spec.characters)
    dyed[edited] = replace(dyed[edited], hair_color=rng.choice([c for c in words.HAIR_COLORS if c not in taken]))
    after = replace(spec, characters=tuple(dyed))
    before_task, after_task = (
        Task(f"{name}-{number:04}", caption_full(each), Asked.of(each), each.shape, each)
        for name, each in (("before", spec), ("after", after))
    )
    return Edit(before_task, after_task, edited)


def areas(edit: Edit) -> tuple[Box, Box]:
    """The boxes of the edited character and of the other."""
    found = list(boxes(read(edit.before.prompt)).values())
    return found[edit.edited], found[1 - edit.edited]


def changed(before: Picture, after: Picture, box: Box) -> Change:
    """How much a part of a picture changed."""
    height, width = before.shape[:2]
    place = (
        slice(round(box.y * height), round(box.bottom * height)),
        slice(round(box.x * width), round(box.right * width)),
    )
    difference = np.abs(before[place].astype(int) - after[place].astype(int))
    return Change(float(difference.mean()), float((difference.max(-1) >= VISIBLE).mean()))


@dataclass(frozen=True)
class Locality:
    """Changes without regions and with them, one of each for every edit."""

    own: Mapping[str, Sequence[Change]]  # by "off" and "on"
    other: Mapping[str, Sequence[Change]]

    def means(self) -> dict[str, dict[str, Change]]:
        return {
            area: {
                side: Change(*(float(np.mean([change[i] for change in changes])) for i in range(2)))
                for side, changes in found.items()
            }
            for area, found in (("edited", self.own), ("other", self.other))
        }

    def gain(self) -> tuple[float, float, float]:
        """By how much less the other's colours changed with regions, on average, with its 95 % interval."""
        gains = [off.mean - on.mean for off, on in zip(self.other["off"], self.other["on"], strict=True)]
        half = Z * float(np.std(gains, ddof=1)) / math.sqrt(len(gains)) if len(gains) > 1 else math.inf
        mean = float(np.mean(gains))
        return mean, mean - half, mean + half

    def sign_test(self) -> tuple[int, int, float]:
        """Edits after which the other changed less with regions, more, and how likely that is by chance."""
        pairs = list(zip(self.other["off"], self.other["on"], strict=True))
        less, more = (sum(sign * (on.mean - off.mean) < 0 for off, on in pairs) for sign in (1, -1))
        return less, more, Paired(0, more, less, 0).p_value

    def as_json(self) -> dict[str, Any]:
        less, more, p = self.sign_test()
        means = {area: {side: each._asdict() for side, each in of.items()} for area, of in self.means().items()}
        counted = {"edits": len(self.other["off"]), "less": less, "more": more, "p": p}
        return {**counted, "gain": list(self.gain()), **means}


def text(found: Locality) -> str:
    """What changed, and for how many edits the other one changed less."""
    lines = [f"{'pixels of the':16}{'mean change off':>17}{'on':>8}{'visibly off, %':>17}{'on':>8}"]
    for area, of in found.means().items():
        off, on = of["off"], of["on"]
        lines.append(f"{area:16}{off.mean:>17.2f}{on.mean:>8.2f}{100 * off.share:>17.1f}{100 * on.share:>8.1f}")
    mean, low, high = found.gain()
    lines.append(f"the other changed {mean:.2f} [{low:.2f}, {high:.2f}] levels less with regions, on average")
    less, more, p = found.sign_test()
    lines.append(f"the other changed less with regions in {less} edits, more in {more}: p = {p:.2g}")
    return "\n".join(lines)
