"""`diff --images`: two pictures for one seed, and how much changed where."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from newbie.cli.diff import main
from newbie.cli.pictures import amounts
from newbie.images import read_record
from newbie.prompt.boxes import Box

DUO = (
    "<character_1><n>a</n><position>left</position></character_1>"
    "<character_2><n>b</n><position>right</position></character_2>"
)


def test_amounts_are_shares_and_means_of_the_pixels_inside_and_outside():
    change = np.zeros((10, 20, 3), dtype=np.int16)
    change[:, :5] = 40  # a quarter of the picture, all of it left
    change[0, 19, 2] = 200
    (left,) = amounts(change, {"character_1": [Box(0, 0, 0.5, 1)]})
    assert left.inside == (0.5, 20.0)
    assert left.outside == (0.01, 200 / 300)


def test_one_who_moved_has_both_areas():
    change = np.full((4, 4, 3), 100, dtype=np.int16)
    (place,) = amounts(change, {"character_1": [Box(0, 0, 0.5, 1), Box(0.5, 0, 0.5, 1)]})
    assert place.inside == (1.0, 100.0) and math.isnan(place.outside.levels)


@pytest.fixture
def diff(fake, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = main([*arguments, "--images"], opener=lambda *a, **k: fake.FakePipeline.open(*a, **k))
        return code, capsys.readouterr()

    return run


def test_both_are_drawn_with_one_seed_and_saved_with_their_requests(diff):
    code, told = diff(DUO, DUO.replace("<n>a", "<n>c"), "--seed", "5", "--json")
    assert code == 1
    record = json.loads(told.out)["pictures"]
    first, second, change = map(Path, record["paths"])
    assert {path.name for path in (first, second, change)} == {
        "newbie-a-5.png", "newbie-b-5.png", "newbie-a-newbie-b-5-change.png"
    }  # fmt: skip
    stored = [read_record(path).request for path in (first, second)]
    assert [request.seed for request in stored] == [5, 5]
    assert "<n>c" in stored[1].prompt and "<n>c" not in stored[0].prompt
    assert set(record["characters"]) == {"character_1", "character_2"}


def test_the_numbers_are_those_of_the_pictures(diff):
    _, told = diff(DUO, DUO.replace("<n>a", "<n>c"), "--seed", "5", "--json")
    record = json.loads(told.out)["pictures"]
    pixels = [np.asarray(Image.open(path).convert("RGB")).astype(int) for path in record["paths"][:2]]
    assert record["whole"]["levels"] == pytest.approx(np.abs(pixels[0] - pixels[1]).mean())


def test_a_random_seed_is_the_same_for_both_and_told(diff):
    code, told = diff(DUO, DUO)
    assert code == 0  # the prompts say the same
    assert "character_1, inside" in told.out and "0.0%" in told.out
