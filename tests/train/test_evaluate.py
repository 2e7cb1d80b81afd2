"""The evaluation: prompts that were never trained, and a judge that tells obedience from chance."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("skia", reason="the drawing library of the extra `train` is not installed", exc_type=ImportError)

from newbie.train.evaluate import held_out_specs, report, sheet
from newbie.train.figures import held_out
from newbie.train.probe import Probe, Scores
from newbie.train.probe.labels import answers


def test_every_evaluated_combination_is_held_out_and_the_seed_fixes_them():
    specs = held_out_specs(24, seed=3)
    assert all(held_out(spec) for spec in specs)
    assert [len(spec.characters) for spec in specs] == [1, 2] * 12
    assert specs == held_out_specs(24, seed=3) != held_out_specs(24, seed=4)


class _Knowing(Probe):
    """Reads from the number in a picture's first pixel what the spec of that number shows."""

    def __init__(self, specs) -> None:
        super().__init__(reader=None, card={"ceiling": Scores({}).as_json()})
        object.__setattr__(self, "truth", answers(specs))

    def read(self, pictures):
        numbers = torch.tensor([int(picture[0, 0, 0]) for picture in pictures])
        return {name: values[numbers] for name, values in self.truth.items()}


def test_an_obedient_model_scores_everything_and_shuffled_prompts_do_not():
    specs = held_out_specs(40, seed=0)
    pictures = [np.full((4, 4, 3), i, np.uint8) for i in range(40)]
    found = report(pictures, specs, _Knowing(specs))
    assert found["model"].rate("hair_color").value == 1.0
    assert found["model"].rate("hair_pair").value == 1.0
    assert found["shuffled prompts"].rate("hair_color").value < 0.4


def test_the_sheet_shows_full_rows():
    pictures = [np.full((4, 6, 3), i, np.uint8) for i in range(9)]
    picture = sheet(pictures, columns=4)
    assert picture.size == (24, 8)
    assert picture.getpixel((7, 5)) == (5, 5, 5)
