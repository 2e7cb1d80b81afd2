"""Which cells of the latents the loss looks at more closely."""

from __future__ import annotations

import random

import pytest
import torch

from newbie.train.emphasis import weights
from newbie.train.figures import layout, sample

CELL = 8  # pixels


def test_without_emphasis_every_cell_counts_the_same() -> None:
    spec = sample(random.Random(1))
    width, height = layout.canvas(spec.shape, 256)
    cells = (height // CELL, width // CELL)
    assert torch.equal(weights(spec, 256, cells, 1.0), torch.ones(cells))


@pytest.mark.parametrize("size", [128, 256, 512])
@pytest.mark.parametrize("number", range(6))
def test_faces_count_most_and_every_figure_more_than_the_background(number: int, size: int) -> None:
    spec = sample(random.Random(number), characters=1 + number % 3)
    width, height = layout.canvas(spec.shape, size)
    weight = weights(spec, size, (height // CELL, width // CELL), 9.0)
    assert set(weight.unique().tolist()) <= {1.0, 3.0, 9.0}
    for left, top, right, bottom in layout.faces(spec, size):
        assert weight[(top + bottom) // 2 // CELL, (left + right) // 2 // CELL] == 9
    for left, top, right, bottom in layout.eyes(spec, size):
        covered = weight[top // CELL + 1 : bottom // CELL, left // CELL + 1 : right // CELL]
        assert bool((covered == 9).all())  # eyes are in the face
    assert (weight == 9).sum() < (weight > 1).sum()
    assert weight[0, 0] == 1 or layout.figures(spec, size)[0][:2] == (0, 0)
