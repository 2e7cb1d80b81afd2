"""Compute this time? The question that every cache asks once per evaluation, and its four answers.

    Every(n)        by the clock
    Mask(bits)      by a list that was made before
    Change(t)       when the picture has moved since it was last computed (FBCache, DBCache)
    Accumulate(t)   when its small moves since then add up (TeaCache)

All of them compute the first and the last evaluation, and what `warmup`, `cooldown` and the limits say. A rule is a
value; what it remembers lies in `step.memory`. A comparison asks the device for one number, and only where the answer
is still open. The parts of one evaluation follow the first of them (`Book.settled`), whose rows are the prompt's.

Rows that are drawn together are computed together: as soon as one picture moves too far, all are computed.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING

from newbie.step import Step

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTINGS = ("dt_floor", "dt", "none")
FLOOR = 0.5
Probe = Callable[[], "Tensor"]  # (pictures, tokens, channels): what is looked at; made only for who looks


@dataclass
class State:
    """What a rule remembers of one slot."""

    last: int = -1  # the evaluation that was computed last; -1: none
    skipped: int = 0  # in all
    moved: float = 0.0  # since then
    seen: Tensor | None = None

    @property
    def nbytes(self) -> int:
        return 0 if self.seen is None else self.seen.nbytes


@dataclass(frozen=True, kw_only=True)
class Decide(ABC):
    """(step, slot, probe) -> compute?

    Args:
        warmup, cooldown: the first and the last evaluations that are computed in any case, one at least.
        in_a_row: nothing older than so many evaluations is used; 0: however old.
        at_most: evaluations skipped in all; 0: any number.
    """

    warmup: int = 1
    cooldown: int = 1
    in_a_row: int = 0
    at_most: int = 0

    def __call__(self, step: Step, slot: Hashable, probe: Probe, *, must: bool = False) -> bool:
        """`must`: whoever asks has nothing to use instead."""
        state: State = step.memory.setdefault(("decide", slot), State())
        settled = (step.index, slot)
        compute = must or self._must(step, state)
        if not compute:
            known = step.book.settled.get(settled)
            compute = self._wants(step, state, probe) if known is None else known
        step.book.settled.setdefault(settled, compute)
        self._note(state, probe, compute)
        if compute:
            state.last, state.moved = step.index, 0.0
        else:
            state.skipped += 1
        return compute

    def _must(self, step: Step, state: State) -> bool:
        return (
            state.last < 0
            or step.index < max(self.warmup, 1)
            or step.index >= step.count - max(self.cooldown, 1)
            or (self.in_a_row > 0 and step.index - state.last > self.in_a_row)
            or (self.at_most > 0 and state.skipped >= self.at_most)
        )

    @abstractmethod
    def _wants(self, step: Step, state: State, probe: Probe) -> bool:
        """The rule itself."""

    def _note(self, state: State, probe: Probe, computed: bool) -> None:
        """Remember what the next evaluation is compared with; here nothing."""
        return


@dataclass(frozen=True, kw_only=True)
class Every(Decide):
    """When what was computed is `interval` evaluations old; 1: always."""

    interval: int = 1

    def _wants(self, step: Step, state: State, probe: Probe) -> bool:
        return step.index - state.last >= self.interval


@dataclass(frozen=True, kw_only=True)
class Mask(Decide):
    """As `bits` say, one for each evaluation, True = compute.

    `catch_up`: guided evaluations and others remember by themselves; one that was to compute and was of the other kind
    is made up for by the next of this kind.
    """

    bits: tuple[bool, ...] = ()
    catch_up: bool = False

    def _wants(self, step: Step, state: State, probe: Probe) -> bool:
        first = state.last + 1 if self.catch_up else step.index
        return any(self.bits[first : step.index + 1])


@dataclass(frozen=True, kw_only=True)
class Change(Decide):
    """Unless the probe has moved by less than `threshold`, relative to its size, since it was last computed.

    Args:
        weights: what each evaluation's move is multiplied with (`weighted`); (): 1.
        total: moves of skipped evaluations may add up to this; 0: to anything.
        also: evaluations that are computed in any case.
    """

    threshold: float = 0.0
    weights: tuple[float, ...] = ()
    total: float = 0.0
    also: frozenset[int] = frozenset()

    def _wants(self, step: Step, state: State, probe: Probe) -> bool:
        if step.index in self.also:
            return True
        moved = _move(step, state, probe, self.weights)
        step.book.drift[step.index] = moved
        state.moved += moved
        # NaN is less than nothing, so it computes; and so does a threshold of 0 for what has not moved at all.
        return not moved < self.threshold or (self.total > 0 and not state.moved < self.total)

    def _note(self, state: State, probe: Probe, computed: bool) -> None:
        if computed:
            state.seen = probe()


@dataclass(frozen=True, kw_only=True)
class Accumulate(Decide):
    """When the moves from one evaluation to the next have added up to `threshold` since it was last computed.

    Args:
        curve: move of the probe -> move of what it stands for, never negative (`Curve`).
        weights: see `Change`.
    """

    threshold: float = 0.0
    curve: Callable[[float], float] = float
    weights: tuple[float, ...] = ()

    def _wants(self, step: Step, state: State, probe: Probe) -> bool:
        state.moved += self.curve(_move(step, state, probe, ())) * _weight(self.weights, step)
        step.book.drift[step.index] = state.moved
        return not self.threshold > 0 or not state.moved < self.threshold  # a raw curve may be below 0

    def _note(self, state: State, probe: Probe, computed: bool) -> None:
        state.seen = probe()


@dataclass(frozen=True)
class Freeze:
    """When words stand still (`accel.freeze`): behind `first` and before `stop`, until what is kept is `refresh` old.

    All in evaluations.
    """

    first: int
    stop: int
    refresh: int

    @classmethod
    def between(cls, share: float, stop: int, refresh: int, evaluations: int) -> Freeze | None:
        """From a share of all evaluations on; None where none of them would be frozen."""
        first = math.ceil(share * evaluations)
        return cls(first, stop, refresh) if refresh > 1 and first + 1 < stop else None


@dataclass(frozen=True)
class Curve:
    """A polynomial inside the domain that it was fitted on, never negative; a straight line beyond.

    TeaCache's published polynomials leave their domain downwards: one that was not clamped would pay moves back.
    `raw` takes it as it is, for comparison with other programs.
    """

    coefficients: tuple[float, ...]  # highest power first
    low: float = 0.0
    high: float = float("inf")
    raw: bool = False

    def __call__(self, x: float) -> float:
        if self.raw:
            return self._at(x)
        inside = min(max(x, self.low), self.high)
        value = max(self._at(inside), 0.0)
        return value * x / inside if x > inside > 0 else value

    def _at(self, x: float) -> float:
        value = 0.0
        for coefficient in self.coefficients:
            value = value * x + coefficient
        return value


def weighted(intervals: Sequence[float], kind: str) -> tuple[float, ...]:
    """What a move at each evaluation weighs, by the flow time that the evaluation answers for.

    With a shifted grid the last evaluations cross half of the path. `dt`: in proportion, 1 on average; `dt_floor`: but
    at least 0.5, because an early error can still change the layout; `none`: all alike, as published.
    """
    if kind == "none":
        return tuple(1.0 for _ in intervals)
    mean, floor = fmean(intervals), FLOOR if kind == "dt_floor" else 0.0
    return tuple(max(interval / mean, floor) for interval in intervals)


def intervals(times: Sequence[float], evaluations: int) -> list[float]:
    """The flow time that each evaluation answers for: the stages of an interval share it."""
    stages = evaluations // (len(times) - 1)
    return [(end - begin) / stages for begin, end in pairwise(times) for _ in range(stages)]


def _move(step: Step, state: State, probe: Probe, weights: tuple[float, ...]) -> float:
    """mean |now - seen| / mean |seen| of the picture that moved most: the only place where a policy asks the device."""
    assert state.seen is not None
    now, seen = probe().float(), state.seen.float()
    moved = (now - seen).abs().mean((1, 2)) / seen.abs().mean((1, 2))
    return float(moved.amax().item()) * _weight(weights, step)


def _weight(weights: tuple[float, ...], step: Step) -> float:
    return weights[step.index] if weights else 1.0
