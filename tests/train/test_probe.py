"""The probe: right answers score 1, swapped figures are noticed, a small reader learns, a card tells the truth."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("skia", reason="the drawing library of the extra `train` is not installed", exc_type=ImportError)

from newbie.errors import UsageError, WeightsError
from newbie.train.figures import Character, PictureSpec, draw, sample
from newbie.train.probe import BUNDLED, Asked, Probe, Scores, chance, evaluate, judge, load, pixels, questions, save
from newbie.train.probe.blemishes import blemished
from newbie.train.probe.labels import IGNORED, OF_CHARACTER, OF_PICTURE, SLOTS, answers
from newbie.train.probe.reader import Reader, quarters
from newbie.train.probe.roundtrip import round_trip
from newbie.train.probe.scores import shuffled, verdicts
from newbie.train.probe.training import Batches, ProbeRecipe, entropy, specs_at, train
from newbie.train.studio import Studio, fitted
from newbie.vae import Autoencoder, AutoencoderConfig


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


def specs_of(count: int) -> list[PictureSpec]:
    return [sample(random.Random(f"test/{i}"), split="any", characters=1 + i % 3) for i in range(count)]


def read_as(specs: list[PictureSpec]) -> dict[str, torch.Tensor]:
    """Log-probabilities of a probe that reads exactly what `specs` show, and takes the first answer elsewhere."""
    told = answers(specs)
    sizes = {name: len(values) for name, values in {**OF_PICTURE, **OF_CHARACTER}.items()}
    hot = {name: torch.nn.functional.one_hot(told[name].clamp(min=0), sizes[name]).float() for name in told}
    return {name: (values * 8 - 8) for name, values in hot.items()}


def scored(drawn: list[PictureSpec], asked: list[PictureSpec]) -> Scores:
    return Scores.count(verdicts(read_as(drawn), [Asked.of(spec) for spec in asked]))


def clean(count: int) -> tuple[list[PictureSpec], torch.Tensor]:
    specs = specs_of(count)
    return specs, pixels(Studio().pictures(specs))


def test_right_answers_score_one_everywhere():
    specs = specs_of(60)
    scores = scored(specs, specs)
    assert set(scores.of) == {1, 2, 3}
    for rates in scores.of.values():
        assert all(rate.value == 1.0 for rate in rates.values() if rate.total)
    assert scores.rate("hair_sides").total == 40
    assert scores.rate("hair_color").total == 20 + 40 + 60


def test_two_figures_that_changed_places_fail_the_sides_but_not_the_background():
    asked = pair()
    left, right = asked.characters
    swapped = replace(asked, characters=(replace(right, position="left"), replace(left, position="right")))
    scores = scored([swapped], [asked])
    assert scores.rate("hair_sides") == (0, 1)
    assert scores.rate("hair_color", 2) == (0, 2)
    assert scores.rate("all") == (0, 1)
    assert scores.rate("background") == (1, 1)
    assert scores.rate("position") == (2, 2)


def test_a_figure_too_few_is_a_wrong_count():
    asked = pair()
    alone = replace(asked, characters=(replace(asked.characters[0], position="center"),))
    scores = scored([alone], [asked])
    assert scores.rate("count", 2) == (0, 1)


def test_one_wrong_eye_fails_everything_together_and_nothing_else():
    asked = pair()
    drawn = replace(asked, characters=(replace(asked.characters[0], eye_color="aqua"), asked.characters[1]))
    scores = scored([drawn], [asked])
    assert scores.rate("eye_color") == (1, 2)
    assert scores.rate("all") == (0, 1)
    assert scores.rate("hair_sides") == (1, 1)
    verdict = verdicts(read_as([drawn]), [Asked.of(asked)])[0]
    assert [(told.question, told.figure, told.asked, told.read) for told in verdict.wrong] == [
        ("eye_color", 1, "red", "aqua")
    ]
    assert verdict.surprise > verdicts(read_as([asked]), [Asked.of(asked)])[0].surprise


def test_closed_eyes_have_no_colour_to_be_wrong_about():
    spec = PictureSpec((Character(lids="closed_eyes"),))
    assert answers([spec])["eye_color"].tolist() == [[IGNORED] * SLOTS]
    scores = scored([spec], [spec])
    assert scores.rate("eye_color").total == 0
    assert scores.rate("all") == (1, 1)


def test_what_is_not_asked_is_not_judged():
    asked = Asked({"background": "forest"}, ({"hair_color": "green"},))
    scores = Scores.count(verdicts(read_as([pair()]), [asked]))
    assert scores.rate("background") == (0, 1)
    assert scores.rate("hair_color", 1) == (0, 1)
    assert scores.rate("count").total == scores.rate("outfit").total == 0


def test_shuffling_keeps_every_prompt_and_the_number_of_figures_in_each_place():
    asked = [Asked.of(spec) for spec in specs_of(60)]
    mixed = shuffled(asked)
    assert sorted(map(repr, mixed)) == sorted(map(repr, asked))
    assert [len(each.figures) for each in mixed] == [len(each.figures) for each in asked]
    assert sum(a == b for a, b in zip(mixed, asked, strict=True)) < 12


def test_scores_survive_json_and_print_every_number_of_figures():
    specs = specs_of(24)
    scores = scored(specs, list(reversed(specs)))
    again = Scores.from_json(json.loads(json.dumps(scores.as_json())))
    assert again.rate("hair_color", 1) == scores.rate("hair_color", 1)
    assert "1 figure" in scores.table() and "3 figures" in scores.table()


def test_blemishes_are_seeded_stay_in_range_and_leave_the_picture_recognisable():
    _, batch = clean(16)
    first, second = (blemished(batch, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == batch.shape
    assert 0 <= float(first.min()) <= float(first.max()) <= 1
    assert torch.equal(first[:2], batch[:2])
    assert not torch.equal(first[2:], batch[2:])
    nearest = torch.cdist(first.flatten(1), batch.flatten(1)).argmin(1)
    assert nearest.tolist() == list(range(16))


def test_only_the_end_of_a_batch_goes_through_the_autoencoder():
    torch.manual_seed(0)
    config = AutoencoderConfig(block_out_channels=(8, 8, 8, 8), layers_per_block=1, norm_num_groups=4)
    trip = round_trip(Autoencoder(config).eval())
    batch = torch.rand(4, 3, 32, 32)
    seen: list[int] = []

    def counted(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        seen.append(len(pictures))
        return trip(pictures, generator)

    faulty = blemished(batch, torch.Generator().manual_seed(1), round_trip=counted, tripped=0.25)
    assert seen == [1]
    assert faulty.shape == batch.shape
    assert 0 <= float(faulty.min()) <= float(faulty.max()) <= 1


def test_the_reader_answers_every_question_for_every_slot():
    reader = Reader(8)
    batch = torch.rand(2, 3, 256, 256)
    scores = reader(batch)
    assert {name: tuple(values.shape) for name, values in scores.items()} == {
        **{name: (2, len(values)) for name, values in OF_PICTURE.items()},
        **{name: (2, SLOTS, len(values)) for name, values in OF_CHARACTER.items()},
    }
    seen = reader.seen(batch)
    assert quarters(seen).shape == (2, 16, seen.shape[2])
    assert torch.allclose(quarters(seen).mean(1), seen.mean(1), atol=1e-5)
    assert torch.allclose(quarters(seen)[:, 0], seen.unflatten(1, (16, 16))[:, :4, :4].mean((1, 2)), atol=1e-5)


def test_half_precision_reads_the_same_as_float32():
    torch.manual_seed(0)
    reader = Reader(8)
    _, batch = clean(2)
    with torch.no_grad():
        full, half = (reader(batch, dtype)["hair_color"] for dtype in (torch.float32, torch.bfloat16))
    assert (full - half).abs().max() < 0.02 + 0.05 * full.abs().max()


def test_a_small_reader_learns_four_drawings_by_heart():
    torch.manual_seed(0)
    reader = Reader(8)
    specs, batch = clean(4)
    right = answers(specs)
    optimizer = torch.optim.Adam(reader.parameters(), lr=4e-3)
    losses = []
    for _ in range(24):
        scores = reader(batch)
        loss = torch.stack([entropy(scores[name], right[name]) for name in scores]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_a_saved_probe_reads_the_same_and_one_of_another_vocabulary_is_refused(tmp_path: Path):
    probe = Probe(Reader(8).eval(), {"width": 8, "questions": questions(), "ceiling": {}})
    save(probe, tmp_path)
    picture = draw(pair(), 96)
    before, after = probe.look([picture]), load(tmp_path).look([picture])
    assert all(torch.equal(before.log_p[name], after.log_p[name]) for name in before.log_p)
    assert torch.equal(before.features, after.features)
    card = json.loads((tmp_path / "probe.json").read_text())
    card["questions"]["hair_color"].append("tartan")
    (tmp_path / "probe.json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="another vocabulary"):
        load(tmp_path)
    with pytest.raises(WeightsError, match="no probe"):
        load(tmp_path / "nothing")


def test_pictures_of_any_shape_are_whole_in_the_middle_of_grey_paper():
    page = fitted(np.full((288, 224, 3), 51, np.uint8), 256)
    assert page.shape == (256, 256, 3)
    assert page[128, 128].tolist() == page[0, 128].tolist() == [51, 51, 51]
    assert page[128, 5].tolist() == page[128, 250].tolist() == [128, 128, 128]
    both = pixels([np.full((512, 512, 3), 51, np.uint8), np.full((64, 128, 3), 51, np.uint8)])
    assert both.shape == (2, 3, 256, 256)
    assert both[0].mean().item() == pytest.approx(0.2, abs=1e-6)
    assert both[1, :, 64:192].mean().item() == pytest.approx(0.2, abs=1e-6)


def test_pictures_without_a_spec_each_are_a_usage_error():
    probe = Probe(Reader(8).eval(), {})
    with pytest.raises(UsageError, match="1 pictures and 0 specs"):
        evaluate([draw(pair(), 32)], [], probe)


def test_an_untrained_probe_sees_nothing_in_either_order():
    probe = Probe(Reader(8).eval(), {})
    specs = specs_of(6)
    pictures = Studio().pictures(specs)
    assert len(judge(pictures, specs, probe)) == 6
    assert chance(pictures, specs, probe).rate("count").total == 6


def test_worker_processes_draw_the_same_pictures_in_the_same_order():
    specs = specs_of(20)
    here = Studio(0, 64).pictures(specs, fit=True)
    with Studio(2, 64) as studio:
        there = studio.pictures(specs, fit=True)
    assert all(np.array_equal(a, b) for a, b in zip(here, there, strict=True))


def test_the_batch_of_a_step_is_the_same_whether_or_not_the_run_was_resumed():
    recipe = ProbeRecipe(steps=4, batch=3, width=8)
    whole = Batches(Studio(), recipe)
    batches = [whole.at(step) for step in range(4)]
    resumed = Batches(Studio(), recipe).at(2)
    assert batches[2][0] == resumed[0] == specs_at(recipe, 2)
    assert torch.equal(batches[2][1], resumed[1])
    assert not torch.equal(batches[1][1], batches[2][1])


def test_a_training_run_states_its_ceiling_and_chance_and_is_repeatable(tmp_path: Path):
    recipe = ProbeRecipe(steps=2, batch=3, width=8, ceiling_pictures=6)
    first, second = (train(recipe, tmp_path / name, say=lambda text: None) for name in "ab")
    assert first.card == second.card
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.reader.state_dict().values(), second.reader.state_dict().values(), strict=True)
    )
    assert first.ceiling.rate("count").total == 6
    assert set(first.card["chance"]) == set(first.card["ceiling"])
    with pytest.raises(UsageError, match="another recipe"):
        train(replace(recipe, batch=4), tmp_path / "a", say=lambda text: None)


def test_the_probe_that_comes_along_reads_fresh_drawings_as_its_card_says_and_notices_swapped_sides():
    probe = load(BUNDLED)
    specs = [sample(random.Random(f"fresh/{i}"), split="held_out", characters=1 + i % 3) for i in range(48)]
    pictures = Studio().pictures(specs)
    found = evaluate(pictures, specs, probe)
    for figures, rates in found.of.items():
        for name in ("count", "background", "hair_color", "eye_color", "outfit", "outfit_color", "hair_sides"):
            if name in rates:  # one figure has no sides
                assert rates[name].value >= max(0.9, probe.ceiling.of[figures][name].value - 0.1), (figures, name)
    two = [i for i, spec in enumerate(specs) if len({figure.hair_color for figure in spec.characters}) == 2]
    swapped = evaluate([np.ascontiguousarray(pictures[i][:, ::-1]) for i in two], [specs[i] for i in two], probe)
    assert all(rates["hair_sides"].value <= 0.2 for figures, rates in swapped.of.items() if figures == 2)
    assert all(rates["background"].value >= 0.8 for rates in swapped.of.values() if "background" in rates)
