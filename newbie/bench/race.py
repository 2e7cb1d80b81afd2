"""Whole generations of several contestants, a few steps of each in turn, from the same noise on the same time grid."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from newbie.bench.timing import Run, Timing, stopwatch, synchroniser
from newbie.sampling.solvers import euler

Velocity = Callable[[Tensor, float], Tensor]  # guided, (1, C, h, w) float32
TURN = 0.25  # seconds that a contestant keeps the machine, so that its caches are nearly as warm as when it is alone


@dataclass(frozen=True)
class Contestant:
    """Someone who can generate. `begin` does what a generation does once, and gives its velocity."""

    name: str
    begin: Callable[[], Velocity]


@dataclass
class Record:
    """What was measured of one contestant."""

    begin: list[float] = field(default_factory=list)  # seconds, per generation
    step: list[float] = field(default_factory=list)  # seconds per step, one number per turn
    generation: list[float] = field(default_factory=list)  # seconds: begin and all steps
    final: Tensor | None = None  # the last generation's result

    def to_json(self) -> dict[str, Any]:
        return {name: Timing(tuple(getattr(self, name))).to_json() for name in ("begin", "step", "generation")}


def race(
    contestants: Sequence[Contestant],
    noise: Tensor,
    times: Tensor,
    *,
    generations: int,
    seed: int,
    probes: Mapping[str, Run] | None = None,
    probe_rounds: int = 7,
    turn: float = TURN,
) -> tuple[dict[str, Record], dict[str, Timing]]:
    """Generate with every contestant, and time `probes` in between.

    Contestants must be warm: each has run before. Every turn is in a new random order and lasts
    about `turn` seconds, but at least a step.
    """
    wait, order = synchroniser(noise.device), random.Random(seed)
    records = {one.name: Record() for one in contestants}
    probed: dict[str, list[float]] = {name: [] for name in probes or {}}
    length, steps = turn_length(contestants, noise, times, turn), len(times) - 1
    turns = [(first, min(first + length, steps)) for first in range(0, steps, length)]
    due = _spread(probe_rounds, len(turns) * generations)
    for generation in range(generations):
        running = {one.name: Running(one, noise, times) for one in contestants}
        spent = {name: stopwatch(running[name].begin, wait) for name in order.sample(list(running), len(running))}
        for name, seconds in spent.items():
            records[name].begin.append(seconds)
        for number, (first, last) in enumerate(turns):
            for name in order.sample(list(running), len(running)):
                seconds = stopwatch(partial(running[name].advance, first, last), wait)
                records[name].step.append(seconds / (last - first))
                spent[name] += seconds
            for _ in range(due[generation * len(turns) + number]):
                for name in order.sample(list(probed), len(probed)):
                    probed[name].append(stopwatch((probes or {})[name], wait))
        for name, record in records.items():
            record.generation.append(spent[name])
            record.final = running[name].x
    return records, {name: Timing(tuple(values)) for name, values in probed.items()}


class Running:
    """One generation of one contestant."""

    def __init__(self, contestant: Contestant, noise: Tensor, times: Tensor) -> None:
        self.contestant = contestant
        self.x = noise
        self.times = times
        self.velocity: Velocity

    def begin(self) -> None:
        self.velocity = self.contestant.begin()

    def advance(self, first: int, last: int) -> None:
        """From time `first` to `last`: Euler keeps nothing in between, so a part of the grid is a part of the whole."""
        self.x = euler(self.velocity, self.x, self.times[first : last + 1])


def _spread(rounds: int, turns: int) -> list[int]:
    """How many of `rounds` fall on each turn, evenly: (7, 3) -> [2, 2, 3]."""
    return [rounds * (turn + 1) // turns - rounds * turn // turns for turn in range(turns)]


def turn_length(contestants: Sequence[Contestant], noise: Tensor, times: Tensor, turn: float) -> int:
    """Steps per turn: as many as the fastest contestant makes in `turn` seconds. Warms all of them up."""
    wait, fastest = synchroniser(noise.device), math.inf
    for one in contestants:
        running = Running(one, noise, times)
        running.begin()
        running.advance(0, 1)
        fastest = min(fastest, stopwatch(partial(running.advance, 1, 2), wait))
    return max(1, min(len(times) - 1, round(turn / fastest)))


@torch.no_grad()
def evaluate(contestant: Contestant, noise: Tensor, t: float) -> Tensor:
    """One guided velocity, float32."""
    return contestant.begin()(noise, t).float()
