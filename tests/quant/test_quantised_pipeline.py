"""A model with weights in fewer bits draws, says what it is, and wears adapters."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from newbie import Pipeline, Request, Settings
from newbie.accel import choose as accel
from newbie.accel.cpu import CpuBlocks
from newbie.calibrate.distance import ssim
from newbie.calibrate.quantise import quantise
from newbie.model.adapted import AdaptedLinear, Branch
from newbie.model.swap import with_modules
from newbie.quant import products
from newbie.quant.choice import Rule
from newbie.quant.layers import CompressedLinear
from newbie.quant.schemes import SCHEMES

REQUEST = Request(prompt="1girl, blue_hair, twintails, smile", seed=7, steps=3)
WEIGHTS_ONLY = ("int8", "fp8", "nf4", "int4")


def opened(quant: str, **more) -> tuple[Pipeline, list[str]]:
    notes: list[str] = []
    return Pipeline.open(settings=Settings(device="cpu", quant=quant, **more), on_note=notes.append), notes


@pytest.mark.parametrize(("quant", "least"), [("w8a8", 0.97), ("int8", 0.98), ("nf4", 0.8), ("svdquant", 0.7)])
def test_pictures_are_near_those_of_the_model_as_it_is(quant, least, mini):
    pipeline, _ = opened(quant)
    codec = SCHEMES[quant].codec.name
    assert pipeline.describe()["quant"] == {
        "transformer": f"{codec} 55", "text_encoder": f"{codec} 28", "clip": f"{codec} 8",
    }  # fmt: skip
    result = pipeline.generate(REQUEST)
    assert result.ran["quant"]["transformer"] == f"{codec} 55"
    assert ssim(mini.generate(REQUEST).images[0], result.images[0]) > least


def test_a_model_as_it_is_says_so(mini):
    assert mini.describe()["quant"] == {}


def test_what_must_be_decoded_is_told_once_for_each_part(monkeypatch):
    monkeypatch.setattr(products, "slow_cpu", lambda: "this processor is old")
    pipeline, notes = opened("transformer=w8a8")
    assert notes == ["55 w8a8 layers decode their weights: this processor is old"]
    assert pipeline.describe()["leaves"] == "cpu"


def test_leaves_for_a_cpu_serve_every_scheme(mini):
    for name in SCHEMES:
        network = quantise(mini.transformer, Rule(name)).network
        assert accel.choose(network).name == "cpu"


# Where a number lies between two steps its last bit decides: rounding inputs makes the smallest differences larger.
@pytest.mark.parametrize(("name", "least"), [("w8a8", 0.95), ("nf4", 0.9999)])
def test_with_and_without_arranged_copies_the_picture_is_the_same_but_for_rounding(name, least):
    pipeline, _ = opened(f"transformer={name}")
    short = replace(pipeline, blocks=accel.choose(pipeline.transformer, free=0))
    ample, plain = pipeline.generate(REQUEST).images[0], short.generate(REQUEST).images[0]
    assert ssim(ample, plain) > least


@pytest.mark.parametrize("name", WEIGHTS_ONLY)
def test_adapters_on_compressed_layers_are_adapters_on_decoded_ones(name):
    torch.manual_seed(0)
    linear = nn.Linear(128, 64, bias=False).requires_grad_(False)
    base = quantise(nn.Sequential(linear), Rule(name)).network[0]
    assert isinstance(base, CompressedLinear)
    decoded = nn.Linear(128, 64, bias=False).requires_grad_(False)
    decoded.weight = nn.Parameter(base.dense(), requires_grad=False)
    branch = Branch(nn.Linear(128, 32, bias=False).requires_grad_(False), 16, 48)
    x = torch.randn(3, 5, 128)
    ours, theirs = (AdaptedLinear(each, [branch])(x) for each in (base, decoded))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["w8a8", "nf4"])
def test_adapters_inside_the_leaves_of_a_cpu_are_those_of_the_layers(name, mini):
    torch.manual_seed(1)
    network = quantise(mini.transformer, Rule(name)).network
    worn = {}
    for path in ("attention.qkv", "feed_forward.w1", "feed_forward.w2"):
        base = network.get_submodule(f"layers.0.{path}")
        beside = nn.Linear(base.in_features, base.out_features, bias=False).requires_grad_(False)
        worn[f"layers.0.{path}"] = AdaptedLinear(base, [Branch(beside, 0, base.out_features)])
    block = with_modules(network, worn).layers[0]
    x, scale = torch.randn(1, 40, 192), torch.ones(1, 1, 192)
    wanted = block.feed(x, scale)
    assert (CpuBlocks.of([block]).feed(block, x, scale) - wanted).norm() < 5e-3 * wanted.norm()
