"""The honest rival of every method that skips work: plain fewer steps, each number of them at its own best shift.

A shift that is best for many steps is not best for few, so comparing with fewer steps at the old shift would flatter
the method. Here each number of steps is given the shift at which its pictures are nearest to the exact ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from newbie.calibrate.trial import OnPicture, Setting, Trial, Trials

FACTORS = (1 / 3, 1 / 2, 2 / 3, 1.0, 3 / 2, 2.0, 3.0, 4.0)  # of the model's own shift
MARGIN = 1.1  # times less error than fewer steps that a method must have before it is recommended


def shifts(own: float) -> list[float]:
    """Those that are tried, ascending."""
    return sorted({round(own * factor, 2) for factor in FACTORS})


def lowest(valley: Callable[[float], float], places: Sequence[float], start: float) -> float:
    """The place of the lowest value, walking down from `start`; of a function that falls and then rises."""
    known: dict[int, float] = {}

    def value(i: int) -> float:
        if i not in known:
            known[i] = valley(places[i])
        return known[i]

    here = min(range(len(places)), key=lambda i: abs(places[i] - start))
    while True:
        around = [i for i in (here - 1, here + 1) if 0 <= i < len(places)]
        best = min([here, *around], key=value)
        if best == here:
            return places[here]
        here = best


def fewer_steps(
    trials: Trials, steps: int, own: float, start: float, *, few: int, timed: int, on_picture: OnPicture | None = None
) -> Trial:
    """Plain `steps` steps at their best shift: found on the first `few` cases, then tried on all.

    Args:
        own: the model's shift; `start`: where the walk begins, as at the best shift of a like number of steps.
    """

    def error(shift: float) -> float:
        return trials.run(Setting(steps=steps, shift=shift), range(min(few, len(trials.cases))), timed=0).error

    best = lowest(error, shifts(own), start)
    return trials.run(Setting(steps=steps, shift=best), timed=timed, on_picture=on_picture)


class Rival(NamedTuple):
    """What fewer steps would do in the place of a method."""

    trial: Trial | None  # the fewest steps with at least as many evaluations; None: none has as many
    factor: float  # their error over the method's, at equal evaluations; above 1: the method is better
    factor_in_time: float  # the same at equal time; NaN where fewer steps were not tried as fast
    saves: bool  # whether the method has fewer evaluations than the exact picture


@dataclass(frozen=True)
class Baseline:
    """Fewer steps, tried: each number at its best shift. `steps` and `work` are those of the exact picture."""

    tried: tuple[Trial, ...]
    steps: int
    work: float

    def needed(self, trial: Trial) -> int:
        """Steps that have as many evaluations as a method; the exact picture's where it saves nothing."""
        return min(math.ceil(trial.work / self.work * self.steps - 1e-6), self.steps)

    def beside(self, trial: Trial) -> Rival:
        """The rival of a method, at equal evaluations and at equal time."""
        enough = [each for each in self.tried if each.work >= trial.work - 1e-6]
        rival = min(enough, key=lambda each: each.work, default=None)
        factor = math.nan if rival is None else _over(rival.error, trial.error)
        in_time = _over(self.error_at(trial.speed), trial.error)
        return Rival(rival, factor, in_time, self.needed(trial) < self.steps)

    def error_at(self, speed: float) -> float:
        """Of fewer steps that are `speed` times as fast as exact, between those that were tried (in proportion of
        their logarithms; of what is between exact and the most steps, at most). The exact picture, whose error is 0,
        is as fast as whatever gains nothing. NaN for a speed beyond them."""
        if speed <= 1:
            return 0.0
        points = sorted([(1.0, 0.0), *((each.speed, each.error) for each in self.tried if each.speed > 1)])
        for (low, least), (high, most) in pairwise(points):
            if low <= speed <= high and high > low:
                share = (speed - low) / (high - low)
                if least > 0 and most > 0:
                    return math.exp(math.log(least) * (1 - share) + math.log(most) * share)
                return least * (1 - share) + most * share
        return math.nan


def word(rival: Rival) -> str:
    """What a table says of a method; the factor is stated beside it."""
    if not rival.saves:
        return "saves nothing"
    if math.isnan(rival.factor):
        return "not compared"
    if rival.factor < MARGIN:
        return "not recommended"
    return "recommended" if not rival.factor_in_time < MARGIN else "fewer evaluations, no less time"


def _over(rival: float, own: float) -> float:
    return rival / own if own > 0 else math.inf if rival > 0 else math.nan
