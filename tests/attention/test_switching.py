"""One loaded model, several kernels: switched while it is warm, and back, with nothing left behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from newbie.attention.choose import KERNELS
from newbie.errors import MissingExtra, UsageError
from newbie.model.config import NextDiTConfig
from newbie.model.nextdit import NextDiT
from newbie.pipeline import Pipeline
from newbie.request import Settings

CPU = [name for name in ("tiled", "sdpa", "sdpa-flash", "sdpa-math") if name in KERNELS]


@pytest.fixture(scope="module")
def pipeline():
    return Pipeline.open(settings=Settings(device="cpu", dtype="float32", vae_dtype="float32", attention="reference"))


def draw(pipeline):
    result = pipeline("1girl, red_hair", height=32, width=32, num_inference_steps=2, seed=1)
    return np.asarray(result.images[0]).astype(int), result.ran["attention"]


@pytest.mark.slow
def test_pictures_are_the_same_with_every_kernel_and_identical_after_switching_back(pipeline):
    before, ran = draw(pipeline)
    assert ran == "reference"
    for name in CPU:
        picture, ran = draw(pipeline.with_attention(name))
        assert ran == name
        assert abs(picture - before).max() <= 1  # a last bit of float32 may cross the border between two grey values
    after, ran = draw(pipeline)
    assert ran == "reference" and (after == before).all()


def test_switching_shares_the_weights_and_leaves_the_first_as_it_was(pipeline):
    other = pipeline.with_attention("tiled")
    assert other.transformer is pipeline.transformer and other.text is pipeline.text and other.vae is pipeline.vae
    assert (other.describe()["attention"], pipeline.describe()["attention"]) == ("tiled", "reference")


def test_switching_to_a_kernel_that_cannot_serve_is_refused_at_once(pipeline):
    with pytest.raises(UsageError, match="no attention kernel 'flashy'"):
        pipeline.with_attention("flashy")
    with pytest.raises(UsageError, match="not on cpu"):
        pipeline.with_attention("flash-varlen")
    with pytest.raises(UsageError, match="float32 is none of bfloat16"):
        pipeline.with_attention("folded")


def test_opening_with_a_kernel_that_cannot_serve_is_refused_before_anything_is_drawn():
    with pytest.raises(UsageError, match="xformers cannot serve") as caught:
        Pipeline.open(settings=Settings(device="cpu", attention="xformers"))
    assert not isinstance(caught.value, MissingExtra)  # installing it would not help on a CPU


def test_two_generations_on_one_model_use_two_kernels_in_turn():
    config = NextDiTConfig(
        dim=64, n_layers=2, n_heads=4, n_kv_heads=2, axes_dims=(8, 4, 4), n_refiner_layers=1, cap_feat_dim=24,
        clip_text_dim=None, multiple_of=32,
    )  # fmt: skip
    model = NextDiT(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.1, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    hidden, mask = torch.randn(2, 9, 24, generator=generator), torch.arange(9) < torch.tensor([9, 3])[:, None]
    latents, t = torch.randn(2, 16, 4, 6, generator=generator), torch.tensor([0.2, 0.7])
    calls = []

    def prepared(name):
        def attend(q, k, v, seq):
            calls.append(name)
            return KERNELS[name](q, k, v, seq)

        return model.prepare(hidden, mask, None, (4, 6), attend=attend)

    with torch.no_grad():
        one, two = prepared("tiled"), prepared("sdpa")
        calls.clear()
        first, other, again = model(latents, t, one), model(latents, t, two), model(latents, t, one)
    assert calls == ["tiled"] * 3 + ["sdpa"] * 3 + ["tiled"] * 3
    assert torch.equal(first, again)
    torch.testing.assert_close(other, first, atol=1e-5, rtol=1e-5)
