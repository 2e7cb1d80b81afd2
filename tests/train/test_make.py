"""All stages of training, in miniature: what comes out is a model folder that opens and draws."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
from tokenizers.models import WordLevel

pytest.importorskip("skia", reason="the drawing library of the extra `train` is not installed", exc_type=ImportError)

from newbie import Pipeline
from newbie.checkpoints import verify
from newbie.errors import UsageError, WeightsError
from newbie.pipeline import BUNDLED
from newbie.train import autoencoder, learnt, mini
from newbie.train.autoencoder import AutoencoderRecipe, _crop, train_autoencoder
from newbie.train.data import Drawings, drawn
from newbie.train.flow import CaptionBatches, Painter
from newbie.train.latents import Latents
from newbie.train.loop import saved_average
from newbie.train.main import main
from newbie.train.recipes import MiniRecipe
from newbie.train.start import fingerprint, painter_like, same_pieces
from newbie.vae import AutoencoderConfig


class Few(MiniRecipe):
    """All stages, with networks of a few channels and batches of a few pictures."""

    def stages(self):
        return tuple(dataclasses.replace(stage, batch=4) for stage in super().stages())

    def autoencoder(self):
        whole = super().autoencoder()
        narrow = dataclasses.replace(whole.config, block_out_channels=(8, 8, 16, 16))
        return dataclasses.replace(whole, config=narrow, batch=4)

    def flow(self, vocabulary):
        return dataclasses.replace(super().flow(vocabulary), part=2)


TINY = Few(
    size=64, pictures=6, vocabulary=420, width=64, layers=1, autoencoder_steps=2,
    half_steps=1, full_steps=1, double_steps=1, seed=1,
)  # fmt: skip


@pytest.mark.slow
def test_training_from_nothing_gives_a_model_that_opens_and_a_second_run_finds_everything_done(tmp_path, monkeypatch):
    monkeypatch.setattr(mini, "CAPTIONS_FOR_WORDS", 300)
    monkeypatch.setattr(mini, "AUTOENCODER_CHECK", 4)
    monkeypatch.setattr(learnt, "CAPTIONS", 20)
    said: list[str] = []
    run, folder = tmp_path / "run", tmp_path / "model"
    painter = mini.make(TINY, run, device=torch.device("cpu"), say=said.append)
    assert painter is not None
    mini.export(TINY, painter, run, folder)
    assert verify(folder).ok
    assert json.loads((folder / "newbie.json").read_text())["licence"] == "Apache-2.0"
    pipeline = Pipeline.open(folder)
    noise = pipeline("1girl", width=64, height=64, num_inference_steps=1, seed=0).images[0]
    assert noise.size == (64, 64)

    again: list[str] = []
    second = mini.make(TINY, run, device=torch.device("cpu"), say=again.append)
    assert again == ["resuming at step 3 of 3"]
    assert second is not None
    theirs = second.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in painter.state_dict().items())
    standing = mini.as_it_stands(TINY, run).state_dict()
    assert all(torch.equal(tensor, standing[name]) for name, tensor in painter.state_dict().items())

    mini.export_autoencoder(run, tmp_path / "eyes")
    mini.adopt_autoencoder(tmp_path / "eyes", tmp_path / "other")
    adopted = mini.trained_autoencoder(tmp_path / "other" / "vae", torch.device("cpu"))
    ours = mini.trained_autoencoder(run / "vae", torch.device("cpu"))
    assert adopted.config == ours.config
    for name, tensor in ours.state_dict().items():
        assert torch.equal(adopted.state_dict()[name], tensor.bfloat16().float()), name

    flow = TINY.flow(painter.text_encoder.config.vocab_size)
    other = painter_like(folder, flow, run / "words")
    assert fingerprint(other) != fingerprint(Painter(flow)) == fingerprint(Painter(flow))
    begun = other.state_dict()
    for name, tensor in painter.state_dict().items():
        assert torch.equal(begun[name].bfloat16(), tensor.bfloat16()), name
    wide = dataclasses.replace(TINY, width=128).flow(painter.text_encoder.config.vocab_size)
    with pytest.raises(UsageError, match=r"x_embedder.weight is \(64, 64\) in the model to start from, \(128, 64\)"):
        painter_like(folder, wide, run / "words")


def test_two_vocabularies_share_the_pieces_that_both_have(tmp_path):
    def saved(name: str, pieces: list[str]) -> Path:
        path = tmp_path / f"{name}.json"
        tokenizers.Tokenizer(WordLevel({piece: i for i, piece in enumerate(pieces)}, unk_token=pieces[0])).save(
            str(path)
        )
        return path

    theirs, ours = saved("theirs", ["?", "hair", "red", "cat"]), saved("ours", ["?", "red", "dog", "hair"])
    assert same_pieces(theirs, ours) == {0: 0, 1: 2, 3: 1}


def test_latents_of_one_autoencoder_are_not_mixed_with_another(tmp_path):
    (tmp_path / "latents").mkdir()
    with pytest.raises(UsageError, match="latents of another autoencoder"):
        mini.adopt_autoencoder(BUNDLED / "vae", tmp_path)


def test_a_run_that_has_saved_nothing_has_nothing_to_export(tmp_path):
    with pytest.raises(WeightsError, match="nothing is saved"):
        saved_average(tmp_path, torch.nn.Linear(1, 1))


def test_a_batch_comes_in_parts_of_one_size_and_loses_no_picture():
    sizes = torch.tensor([[8, 8], [9, 7], [7, 9]])[torch.arange(30) % 3]
    values = torch.arange(30.0)[:, None, None].expand(30, 2, 64).half()
    pictures = Latents(values, sizes)
    captions = CaptionBatches(Drawings(3, 64), Letters(), Letters())  # type: ignore[arg-type]
    numbers = list(range(29, -1, -1))
    parts = list(captions.parts(numbers, pictures, visit=0, limit=4))
    assert max(len(part.latents) for part in parts) <= 4
    assert sorted(int(part.latents[i, 0, 0, 0]) for part in parts for i in range(len(part.latents))) == list(range(30))
    for part in parts:
        shown = part.latents[:, 0, 0, 0].int().tolist()
        assert {tuple(sizes[number].tolist()) for number in shown} == {tuple(part.latents.shape[2:])}
        for row, number in enumerate(shown):
            text = captions.drawings.caption(number, 0)
            assert part.words[row, : part.mask[row].sum()].tolist() == [*map(ord, text[:500]), 0]


def test_crops_about_eyes_have_their_middle_there_and_others_lie_anywhere():
    picture = np.stack(np.meshgrid(np.arange(80), np.arange(64)), axis=-1)  # each pixel is its (column, row)
    box, generator = (30, 20, 50, 30), torch.Generator().manual_seed(0)
    near = [_crop(picture, 32, generator, [box])[16, 16].tolist() for _ in range(200)]
    assert {column for column, _ in near} == set(range(30, 51)) and {row for _, row in near} == set(range(20, 31))
    corner = _crop(picture, 32, generator, [(0, 0, 0, 0)])  # as near as the frame allows
    assert corner[0, 0].tolist() == [0, 0] and corner.shape == (32, 32, 2)
    anywhere = [_crop(picture, 32, generator)[16, 16].tolist() for _ in range(2000)]
    assert {column for column, _ in anywhere} == set(range(16, 65)) and {row for _, row in anywhere} == set(
        range(16, 49)
    )


def test_the_autoencoder_looks_at_the_eyes_of_its_share_of_crops(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(autoencoder, "_crop", lambda picture, size, generator, boxes=(): seen.append(boxes) or _crop(
        picture, size, generator, boxes))  # fmt: skip
    config = AutoencoderConfig(block_out_channels=(8, 8, 8, 8), layers_per_block=1, norm_num_groups=2)
    pictures = drawn(Drawings(5, 64), 30, tmp_path / "pictures.bin", workers=1, say=lambda text: None)
    for share in (0.0, 0.25, 1.0):
        seen.clear()
        recipe = AutoencoderRecipe(config=config, steps=10, batch=20, crop=16, eyes=share)
        train_autoencoder(recipe, pictures, tmp_path / str(share), device=torch.device("cpu"), say=lambda text: None,
                          eyes=lambda i: [(i, 0, i, 0)])  # fmt: skip
        assert sum(map(bool, seen)) / len(seen) == pytest.approx(share, abs=0.1 if share % 1 else 0)
    assert {box[0] for boxes in seen for box in boxes} == set(range(30))  # each picture is asked for its own


class Letters:
    """A tokenizer whose ids are letters."""

    pad_id = 1

    def encode(self, text: str) -> Letters:
        self.ids = [*map(ord, text[:500]), 0]
        return self


def test_the_second_stage_follows_the_first_and_the_third_is_spread_among_it():
    recipe = MiniRecipe(half_steps=2, full_steps=3, double_steps=2).flow(500)
    assert [stage.size for stage in recipe.stages] == [128, 256, 512]
    order = [recipe.stage_at(step) for step in range(recipe.steps)]
    assert order[:2] == [(0, 0), (0, 1)]
    assert order[2:] == [(1, 0), (2, 0), (1, 1), (2, 1), (1, 2)]


def test_a_stage_without_steps_is_left_out():
    recipe = MiniRecipe(half_steps=3, full_steps=0, double_steps=2).flow(500)
    assert [stage.size for stage in recipe.stages] == [128, 512]
    assert sorted(recipe.stage_at(step) for step in range(recipe.steps)) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]


def test_the_recipe_of_the_bundled_model_fits_its_files():
    from newbie.checkpoints import load_transformer

    loaded = load_transformer(BUNDLED / "transformer")
    wanted = MiniRecipe().flow(vocabulary=1500).transformer
    assert loaded.config == dataclasses.replace(wanted, multiple_of=loaded.config.multiple_of,
                                                ffn_dim_multiplier=loaded.config.ffn_dim_multiplier)  # fmt: skip
    assert loaded.config.ffn_dim == wanted.ffn_dim


@pytest.mark.parametrize(
    ("flags", "said"),
    [(["--rate", "0.4"], "for a round that goes on"), (["--start", "m", "--rate", "0"], "no share of a step"),
     (["--start", "m", "--rate", "nan"], "no share"), (["--start", "m", "--rate", "2"], "no share")],
)  # fmt: skip
def test_a_rate_that_cannot_be_is_refused_before_anything_is_made(tmp_path, flags, said):
    with pytest.raises(UsageError, match=said):
        main(["--run", str(tmp_path / "run"), *flags])
    assert not (tmp_path / "run").exists()
