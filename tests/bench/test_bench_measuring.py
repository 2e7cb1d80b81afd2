"""The instruments: taking turns, medians, memory, races."""

from __future__ import annotations

import random
from itertools import groupby

import pytest
import torch

from newbie.bench.memory import peak_bytes
from newbie.bench.race import Contestant, race
from newbie.bench.timing import Timing, interleave

CPU = torch.device("cpu")


def test_every_contestant_runs_once_per_round_after_two_calls_to_warm_up():
    called = []
    runs = {name: (lambda name=name: called.append(name)) for name in "abc"}
    timings = interleave(runs, rounds=4, seed=0, device=CPU)
    assert called[:6] == ["a", "a", "b", "b", "c", "c"]
    rounds = [called[6 + 3 * n : 9 + 3 * n] for n in range(4)]
    assert all(sorted(each) == ["a", "b", "c"] for each in rounds)
    assert len({tuple(each) for each in rounds}) > 1  # the order changes
    assert all(len(timing.seconds) == 4 for timing in timings.values())


def test_a_short_call_is_repeated_until_a_sample_lasts():
    calls = []
    interleave({"short": lambda: calls.append(0)}, rounds=1, seed=0, device=CPU, at_least=0.001)
    assert len(calls) > 50


def test_median_and_quartiles_are_those_of_the_samples():
    samples = [float(n) for n in range(1, 10)]
    random.Random(0).shuffle(samples)
    timing = Timing(tuple(samples))
    assert (timing.median, timing.quartiles) == (5.0, (3.0, 7.0))
    assert timing.to_json()["samples"] == samples
    assert Timing((2.0,)).quartiles == (2.0, 2.0)


def test_peak_memory_counts_what_is_held_at_the_same_time():
    x = torch.randn(256, 1024)  # 1 MiB; a few bytes more are the number 1 as a tensor

    def mebibytes(run):
        return pytest.approx(peak_bytes(run, CPU) / x.nbytes, rel=1e-3)

    assert mebibytes(lambda: x + 1) == 1
    assert mebibytes(lambda: ((x + 1) + 1) + 1) == 2  # each frees the one before
    assert mebibytes(lambda: (x + 1, x + 1, x + 1)) == 3


def _straight(name: str, log: list[str]) -> Contestant:
    """Its velocity is constant, so Euler is exact on every grid."""

    def begin():
        log.append(f"{name} begins")

        def velocity(x, t):
            log.append(name)
            return torch.full_like(x, 2.0)

        return velocity

    return Contestant(name, begin)


def test_a_race_in_turns_ends_where_a_generation_ends(monkeypatch):
    monkeypatch.setattr("newbie.bench.race.turn_length", lambda *_: 2)  # 5 steps: turns of 2, 2 and 1
    log: list[str] = []
    noise, grid = torch.zeros(1, 1, 2, 2), torch.linspace(0, 1, 6)
    records, probed = race(
        [_straight("a", log), _straight("b", log)], noise, grid, generations=2, seed=1,
        probes={"probe": lambda: log.append("probe")}, probe_rounds=7,
    )  # fmt: skip
    for record in records.values():
        assert (len(record.begin), len(record.step), len(record.generation)) == (2, 6, 2)
        torch.testing.assert_close(record.final, torch.full_like(noise, 2.0))
    assert len(probed["probe"].seconds) == 7
    assert log.count("a") == log.count("b") == 10
    turns = [(name, len(list(run))) for name, run in groupby(log) if name in "ab"]
    assert turns[0][0] != turns[1][0] and max(count for _, count in turns) <= 4  # nobody runs through


def test_a_generation_is_its_beginning_and_its_steps():
    records, _ = race([_straight("a", [])], torch.zeros(1, 1, 2, 2), torch.linspace(0, 1, 4), generations=1, seed=0)
    (record,) = records.values()
    assert record.generation[0] == pytest.approx(record.begin[0] + 3 * record.step[0])
