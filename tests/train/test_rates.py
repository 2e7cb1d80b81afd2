"""Intervals: published values, limits, and coverage counted by simulation."""

from __future__ import annotations

import math
import random

import pytest

pytest.importorskip("skia", reason="the drawing library of the extra `train` is not installed", exc_type=ImportError)

from newbie.train.probe.rates import Paired, Rate, ratio


def test_wilson_intervals_have_their_published_values():
    assert Rate(95, 100).interval == pytest.approx((0.8882, 0.9785), abs=1e-4)
    assert Rate(0, 10).interval == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert Rate(0, 0).interval == (0.0, 1.0)


def test_the_ratio_of_two_shares_has_an_interval_on_both_sides_even_at_the_top():
    reached = ratio(Rate(100, 100), Rate(100, 100))
    assert reached.value == 1.0
    assert 0.95 < reached.low < 1.0 < reached.high < 1.05
    wide, narrow = ratio(Rate(90, 100), Rate(95, 100)), ratio(Rate(900, 1000), Rate(950, 1000))
    assert wide.value == narrow.value == pytest.approx(0.9474, abs=1e-4)
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_a_ratio_to_nothing_is_not_a_number():
    assert math.isnan(ratio(Rate(5, 10), Rate(0, 10)).value)
    assert math.isnan(ratio(Rate(0, 0), Rate(9, 10)).value)


def test_the_ratio_covers_the_truth_about_as_often_as_it_says():
    rng = random.Random(0)
    truth, inside = 0.9 / 0.97, 0
    for _ in range(400):
        part = Rate(sum(rng.random() < 0.9 for _ in range(200)), 200)
        whole = Rate(sum(rng.random() < 0.97 for _ in range(200)), 200)
        found = ratio(part, whole)
        inside += found.low <= truth <= found.high
    assert 0.92 <= inside / 400 <= 0.99


def test_the_paired_difference_has_newcombes_published_interval():
    # Newcombe 1998 (paired data), table II, method 10: a = 36, b = 12, c = 2, d = 0; difference 0.20.
    assert Paired(36, 2, 12, 0).difference == pytest.approx(0.2)
    assert Paired(36, 2, 12, 0).interval == pytest.approx((0.0569, 0.3404), abs=2e-4)


def test_mcnemars_test_is_exact_and_symmetric():
    assert Paired(10, 0, 0, 10).p_value == 1.0
    assert Paired(0, 1, 9, 0).p_value == pytest.approx(2 * 11 / 1024)
    assert Paired(5, 3, 8, 2).p_value == Paired(5, 8, 3, 2).p_value


def test_a_paired_comparison_is_sharper_than_two_separate_shares():
    paired = Paired(both=900, first_only=20, second_only=10, neither=70)
    low, high = paired.interval
    first, second = Rate(920, 1000).interval, Rate(910, 1000).interval
    assert high - low < (first[1] - first[0]) + (second[1] - second[0])
    assert low < paired.difference < high
