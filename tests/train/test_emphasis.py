"""Which cells of the latents the loss looks at more closely, and which drawings are shown more often."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch

from newbie.train.emphasis import HARD, HARD_STYLES, repeats, weights
from newbie.train.figures import Character, PictureSpec, layout, sample, words

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


def test_what_is_hard_to_learn_is_something_that_can_be_drawn() -> None:
    there = {"hair_style": words.HAIR_STYLES, "mouth": words.MOUTHS, "lids": words.LIDS, "action": words.ACTIONS,
             "prop": words.PROPS}  # fmt: skip
    assert {name: set(table) - set(there[name]) for name, table in HARD.items()} == {name: set() for name in there}
    assert set(HARD_STYLES) <= set(words.STYLES)


def test_a_drawing_comes_more_often_by_what_its_figures_show_on_average() -> None:
    plain, winking = Character(), Character(lids="wink")
    assert repeats(PictureSpec((plain,))) == 1
    assert repeats(PictureSpec((winking,))) == 1 + HARD["lids"]["wink"] == 7
    left, right = replace(plain, position="left"), replace(plain, position="right")
    assert repeats(PictureSpec((left, winking, right))) == 3
    both = replace(winking, action="waving")
    extra = 6 + HARD["action"]["waving"] + HARD_STYLES["pixel_art"]
    assert repeats(PictureSpec((both,), style="pixel_art")) == 1 + extra
