"""All stages of training, in miniature: what comes out is a model folder that opens and draws."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

pytest.importorskip("skia", reason="the drawing library of the extra `train` is not installed", exc_type=ImportError)

from newbie import Pipeline
from newbie.checkpoints import verify
from newbie.train import mini
from newbie.train.recipes import MiniRecipe

TINY = MiniRecipe(
    size=64, pictures=36, vocabulary=420, width=64, layers=1, autoencoder_steps=2, flow_steps=2, seed=1
)  # fmt: skip


@pytest.mark.slow
def test_training_from_nothing_gives_a_model_that_opens_and_a_second_run_finds_everything_done(tmp_path, monkeypatch):
    monkeypatch.setattr(mini, "CAPTIONS_FOR_WORDS", 300)
    monkeypatch.setattr(mini, "AUTOENCODER_CHECK", 4)
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
    assert again == ["resuming at step 2 of 2"]
    assert second is not None
    theirs = second.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in painter.state_dict().items())


def test_the_recipe_of_the_bundled_model_fits_its_files():
    from newbie.checkpoints import load_transformer
    from newbie.pipeline import BUNDLED

    loaded = load_transformer(BUNDLED / "transformer")
    wanted = MiniRecipe().flow(vocabulary=1500).transformer
    assert loaded.config == dataclasses.replace(wanted, multiple_of=loaded.config.multiple_of,
                                                ffn_dim_multiplier=loaded.config.ffn_dim_multiplier)  # fmt: skip
    assert loaded.config.ffn_dim == wanted.ffn_dim
