"""The probe: right answers score 1, swapped figures are noticed, a small reader learns, a card tells the truth."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from newbie.errors import UsageError, WeightsError
from newbie.train.figures import Character, PictureSpec, draw, sample
from newbie.train.probe import Probe, Rate, Scores, evaluate, load, pixels, questions, save
from newbie.train.probe.blemishes import blemished
from newbie.train.probe.labels import IGNORED, OF_CHARACTER, OF_PICTURE, answers
from newbie.train.probe.reader import Reader
from newbie.train.probe.scores import score, shuffled
from newbie.train.probe.training import ProbeRecipe, _entropy, drawings, train


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pair() -> PictureSpec:
    left = Character(hair_color="blue", eye_color="red", outfit="hoodie", position="left")
    right = Character(hair_color="blonde", hair_style="twintails", outfit_color="pink", position="right")
    return PictureSpec((left, right), background="night")


def test_wilson_intervals_have_their_published_values():
    assert Rate(95, 100).interval == pytest.approx((0.8882, 0.9785), abs=1e-4)
    assert Rate(0, 10).interval == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert Rate(0, 0).interval == (0.0, 1.0)


def test_right_answers_score_one_everywhere():
    specs = [sample(random.Random(i)) for i in range(40)]
    scores = score(answers(specs), specs)
    for rates in scores.of.values():
        assert all(rate.value == 1.0 for rate in rates.values() if rate.total)
    assert scores.rate("hair_pair").total == sum(len(spec.characters) == 2 for spec in specs)


def test_two_figures_that_changed_places_fail_the_pair_but_not_the_background():
    asked = pair()
    left, right = asked.characters
    drawn = replace(asked, characters=(replace(right, position="left"), replace(left, position="right")))
    scores = score(answers([drawn]), [asked])
    assert scores.rate("hair_pair") == (0, 1)
    assert scores.rate("hair_color", 2) == (0, 2)
    assert scores.rate("all") == (0, 1)
    assert scores.rate("background") == (1, 1)
    assert scores.rate("count") == (1, 1)


def test_one_wrong_eye_fails_the_whole_figure_and_nothing_else():
    asked = pair()
    drawn = replace(asked, characters=(replace(asked.characters[0], eye_color="aqua"), asked.characters[1]))
    scores = score(answers([drawn]), [asked])
    assert scores.rate("eye_color") == (1, 2)
    assert scores.rate("all") == (0, 1)
    assert scores.rate("hair_pair") == (1, 1)


def test_closed_eyes_have_no_colour_to_be_wrong_about():
    spec = PictureSpec((Character(lids="closed_eyes"),))
    assert answers([spec])["eye_color"].tolist() == [[IGNORED] * 3]
    assert score(answers([spec]), [spec]).rate("eye_color").total == 0
    assert score(answers([spec]), [spec]).rate("all") == (1, 1)


def test_shuffling_keeps_every_spec_and_the_number_of_figures_in_each_place():
    specs = [sample(random.Random(i)) for i in range(60)]
    mixed = shuffled(specs)
    assert sorted(map(repr, mixed)) == sorted(map(repr, specs))
    assert [len(spec.characters) for spec in mixed] == [len(spec.characters) for spec in specs]
    assert sum(a == b for a, b in zip(mixed, specs, strict=True)) < 12


def test_scores_survive_json_and_print_every_number_of_figures():
    specs = [sample(random.Random(i)) for i in range(20)]
    scores = score(answers(specs), shuffled(specs))
    again = Scores.from_json(json.loads(json.dumps(scores.as_json())))
    assert again.rate("hair_color", 1) == scores.rate("hair_color", 1)
    assert "1 figure" in scores.table()
    assert "2 figures" in scores.table()


def test_blemishes_are_seeded_stay_in_range_and_leave_the_picture_recognisable():
    _, clean = drawings(16, "blemishes")
    first, second = (blemished(clean, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == clean.shape
    assert 0 <= float(first.min()) <= float(first.max()) <= 1
    assert torch.equal(first[:2], clean[:2])
    assert not torch.equal(first[2:], clean[2:])
    nearest = torch.cdist(first.flatten(1), clean.flatten(1)).argmin(1)
    assert nearest.tolist() == list(range(16))


def test_the_reader_answers_every_question_for_every_slot():
    scores = Reader(16)(torch.rand(2, 3, 128, 128))
    assert {name: tuple(values.shape) for name, values in scores.items()} == {
        **{name: (2, len(values)) for name, values in OF_PICTURE.items()},
        **{name: (2, 3, len(values)) for name, values in OF_CHARACTER.items()},
    }


def test_half_precision_reads_the_same_as_float32():
    torch.manual_seed(0)
    reader = Reader(16)
    _, batch = drawings(2, "precision")
    with torch.no_grad():
        full, half = (reader(batch, dtype)["hair_color"] for dtype in (torch.float32, torch.bfloat16))
    assert (full - half).abs().max() < 0.02 + 0.05 * full.abs().max()


def test_a_small_reader_learns_eight_drawings_by_heart():
    torch.manual_seed(0)
    reader = Reader(16)
    specs, batch = drawings(8, "by heart")
    right = answers(specs)
    optimizer = torch.optim.Adam(reader.parameters(), lr=4e-3)
    losses = []
    for _ in range(40):
        scores = reader(batch)
        loss = torch.stack([_entropy(scores[name], right[name]) for name in scores]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.35 * losses[0]


def test_a_saved_probe_reads_the_same_and_one_of_another_vocabulary_is_refused(tmp_path: Path):
    probe = Probe(Reader(16).eval(), {"width": 16, "questions": questions(), "ceiling": {}})
    save(probe, tmp_path)
    picture = draw(pair(), 96)
    before, after = probe.read([picture]), load(tmp_path).read([picture])
    assert all(torch.equal(before[name], after[name]) for name in before)
    card = json.loads((tmp_path / "probe.json").read_text())
    card["questions"]["hair_color"].append("tartan")
    (tmp_path / "probe.json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="another vocabulary"):
        load(tmp_path)
    with pytest.raises(WeightsError, match="no probe"):
        load(tmp_path / "nothing")


def test_pictures_of_any_size_are_brought_to_the_probes():
    assert pixels([np.full((256, 256, 3), 51, np.uint8)]).shape == (1, 3, 128, 128)
    assert pixels([np.full((256, 256, 3), 51, np.uint8)]).mean().item() == pytest.approx(0.2, abs=1e-6)


def test_pictures_without_a_spec_each_are_a_usage_error():
    probe = Probe(Reader(16).eval(), {})
    with pytest.raises(UsageError, match="1 pictures and 0 specs"):
        evaluate([draw(pair(), 32)], [], probe)


def test_a_training_run_states_its_ceiling_and_chance_and_is_repeatable(tmp_path: Path):
    recipe = ProbeRecipe(steps=2, batch=4, width=16, ceiling_pictures=6)
    first, second = (train(recipe, tmp_path / name, say=lambda text: None) for name in "ab")
    assert first.card == second.card
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.reader.state_dict().values(), second.reader.state_dict().values(), strict=True)
    )
    assert first.ceiling.rate("count").total == 6
    assert set(first.card["chance"]) == set(first.card["ceiling"])
