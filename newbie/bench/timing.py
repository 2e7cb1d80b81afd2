"""How long things take, beside one another: the contestants take turns, so that a slow minute falls on all of them."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch

Run = Callable[[], object]


class Timing(NamedTuple):
    """Seconds of every sample, in the order in which they were taken. None is left out as an outlier."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """A quarter of the samples is faster than the first number, a quarter slower than the second."""
        if len(self.seconds) == 1:
            return self.seconds * 2
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return low, high

    def to_json(self) -> dict[str, Any]:
        low, high = self.quartiles
        return {
            "median": significant(self.median),
            "quartiles": [significant(low), significant(high)],
            "fastest": significant(min(self.seconds)),
            "samples": [significant(each) for each in self.seconds],
        }


def significant(value: float, digits: int = 5) -> float:
    """Rounded to what a measurement can mean; results stay readable."""
    return float(f"{value:.{digits}g}")


def synchroniser(device: torch.device) -> Callable[[], None]:
    """Waits until the device has done what it was told; a CPU always has."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return lambda: None


def stopwatch(run: Run, wait: Callable[[], None], calls: int = 1) -> float:
    """Seconds per call of `calls` calls in a row, from an idle device to an idle device."""
    wait()
    began = time.perf_counter()
    for _ in range(calls):
        run()
    wait()
    return (time.perf_counter() - began) / calls


def attempt(run: Run, wait: Callable[[], None]) -> tuple[str, float]:
    """Run something of somebody else for the first time: why it failed, or "", and the seconds it took.

    Compilers and guest packages raise whatever they like, without a common type; what fails is named in the result and
    spoils nobody else's.
    """
    try:
        return "", stopwatch(run, wait)
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        return f"{type(error).__name__}: {lines[0][:300]}", 0.0


def interleave(
    runs: Mapping[str, Run], *, rounds: int, seed: int, device: torch.device, at_least: float = 0.0
) -> dict[str, Timing]:
    """Time each of `runs` once per round, in a new random order every round, after two calls to warm up.

    `at_least`: seconds that a sample should last; what is faster is called several times in a row per sample, so that
    the clock and the first cold cache line do not matter.
    """
    wait = synchroniser(device)
    calls: dict[str, int] = {}
    for name, run in runs.items():
        stopwatch(run, wait)
        calls[name] = max(1, math.ceil(at_least / max(stopwatch(run, wait), 1e-9)))
    order = list(runs)
    shuffle = random.Random(seed).shuffle
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            seconds[name].append(stopwatch(runs[name], wait, calls[name]))
    return {name: Timing(tuple(values)) for name, values in seconds.items()}
