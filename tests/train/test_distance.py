"""Frechet distance and variety: closed forms, and neighbours that are what they should be."""

from __future__ import annotations

import math

import pytest
import torch

pytest.importorskip("skia", reason="the drawing library of the extra `train` is not installed", exc_type=ImportError)

from newbie.train.probe import Seen
from newbie.train.probe.labels import OF_PICTURE
from newbie.train.report.distance import frechet, variety
from newbie.train.report.neighbours import nearest


def normal(mean: list[float], spread: list[float], count: int, seed: int) -> torch.Tensor:
    """Samples whose mean and covariance are exactly these."""
    raw = torch.randn(count, len(mean), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    raw = raw - raw.mean(0)
    values, vectors = torch.linalg.eigh(raw.mT @ raw / (count - 1))
    white = raw @ vectors / values.sqrt() @ vectors.mT
    return white * torch.tensor(spread) + torch.tensor(mean)


def test_the_frechet_distance_of_gaussians_has_its_closed_form():
    # Covariances that commute: |m1 - m2|^2 + sum (s1 - s2)^2.
    a, b = normal([0, 0, 0], [1, 2, 3], 200, 0), normal([1, -2, 0.5], [2, 2, 1], 300, 1)
    assert frechet(a, b) == pytest.approx(1 + 4 + 0.25 + 1 + 0 + 4, rel=1e-9)


def test_the_frechet_distance_of_correlated_gaussians_has_its_closed_form():
    # One covariance is the identity: tr(C) + D - 2 tr(C^(1/2)), whatever the axes of C.
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    turned = normal([0, 0], [1, 3], 100, 2) @ turn
    assert frechet(normal([0, 0], [1, 1], 100, 3), turned) == pytest.approx(0 + 4, rel=1e-9)


def test_the_frechet_distance_to_oneself_is_nothing_and_it_is_symmetric():
    a, b = normal([0, 1], [1, 2], 50, 4), normal([2, 1], [3, 1], 60, 5)
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet(a, b) == pytest.approx(frechet(b, a))


def seen(log_p: dict[str, torch.Tensor], features: torch.Tensor) -> Seen:
    return Seen(log_p, features)


def test_variety_counts_the_answers_that_occur():
    def reading(kinds: int) -> Seen:
        log_p = {}
        for name, values in OF_PICTURE.items():
            probabilities = torch.full((12, len(values)), 1e-9)
            for i in range(12):
                probabilities[i, i % kinds if name == "background" else 0] = 1.0
            log_p[name] = probabilities.log()
        return seen(log_p, torch.zeros(12, 16, 2))

    assert variety(reading(1)) == pytest.approx(1.0, abs=1e-3)
    assert variety(reading(4)) == pytest.approx(4.0, rel=1e-3)


def test_a_copied_drawing_is_its_own_nearest_neighbour():
    features = torch.randn(20, 16, 5, generator=torch.Generator().manual_seed(0))
    training = seen({}, features)
    copied = seen({}, features[[7, 3]])
    found = nearest(copied, training)
    assert found.numbers[:, 0].tolist() == [7, 3]
    assert found.median == pytest.approx(0, abs=1e-2)
    other = seen({}, torch.randn(2, 16, 5, generator=torch.Generator().manual_seed(1)))
    assert nearest(other, training).median > 0.5
    assert not math.isnan(nearest(other, training).median)
