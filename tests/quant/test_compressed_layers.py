"""Layers that keep their weights compressed are the plain layers with the decoded weights."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from newbie.model.adapted import is_linear
from newbie.quant import gguf_package
from newbie.quant.fp8 import CODES, SCALE, Fp8, encode, factor_for
from newbie.quant.ggml import BY_NAME
from newbie.quant.gguf import BLOCKS, Gguf
from newbie.quant.layers import CompressedEmbedding, CompressedLinear, compressed, told
from newbie.text.gemma import ScaledEmbedding

MATRIX = torch.randn(24, 64, generator=torch.Generator().manual_seed(0))


def stored(codec):
    if isinstance(codec, Gguf):
        return {BLOCKS: gguf_package.quantise(MATRIX, codec.kind)}
    factor = factor_for(MATRIX.abs().max().item(), codec.dtype)
    return {CODES: encode(MATRIX, codec.dtype, factor).view(torch.uint8), SCALE: torch.full((24, 1), factor)}


def filled(module, codec, dtype):
    layer = compressed(module, codec, dtype)
    layer.load_state_dict(stored(codec), strict=False)
    if getattr(layer, "bias", None) is not None:
        nn.init.uniform_(layer.bias)  # it comes without values, as its layer is built to be loaded
    return layer


CODECS = [Gguf(BY_NAME["Q8_0"]), Gguf(BY_NAME["Q4_0"]), Fp8(torch.float8_e4m3fn), Fp8(torch.float8_e5m2)]


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_linear_layer_multiplies_with_the_decoded_matrix(codec, dtype):
    layer = filled(nn.Linear(64, 24, dtype=dtype), codec, dtype)
    with torch.no_grad():
        layer.bias.fill_(0.5)
    x = torch.randn(2, 7, 64).to(dtype)
    assert torch.equal(layer(x), F.linear(x, layer.dense(dtype), layer.bias))
    assert layer.dense().dtype == torch.float32 and layer.dense().shape == (24, 64)
    assert is_linear(layer) and (layer.in_features, layer.out_features) == (64, 24)


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
@pytest.mark.parametrize("kind", [nn.Embedding, ScaledEmbedding])
def test_an_embedding_looks_up_the_decoded_rows(codec, kind):
    layer = filled(kind(24, 64), codec, torch.bfloat16)
    plain = kind(24, 64)
    plain.weight = nn.Parameter(layer.dense(torch.bfloat16))
    ids = torch.tensor([[0, 23, 5], [5, 5, 1]])
    assert torch.equal(layer(ids), plain(ids))
    assert isinstance(layer, CompressedEmbedding)


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
def test_changing_the_number_format_leaves_codes_and_scales_alone(codec):
    layer = filled(nn.Linear(64, 24), codec, torch.float32)
    before = copy.deepcopy(layer.stored)
    layer.to(torch.bfloat16)
    assert layer.bias.dtype == torch.bfloat16
    assert all(torch.equal(layer.stored[name], tensor) for name, tensor in before.items())
    assert {name: tensor.dtype for name, tensor in layer.stored.items()} == {n: t.dtype for n, t in before.items()}


def test_it_is_built_without_memory_and_saved_as_it_is_stored():
    with torch.device("meta"):
        plain = nn.Linear(64, 24, bias=False)
    layer = compressed(plain, CODECS[0], torch.float32)
    assert layer.blocks.is_meta and layer.bias is None
    assert layer.state_dict().keys() == {"blocks"}
    assert layer.stored_bytes == 24 * 64 // 32 * 34


def test_only_layers_with_a_matrix_are_replaced():
    assert compressed(nn.LayerNorm(4), CODECS[0], torch.float32) is None
    assert compressed(nn.Conv2d(1, 1, 1), CODECS[0], torch.float32) is None


def test_what_is_compressed_is_told_with_the_most_frequent_first():
    layers = [compressed(nn.Linear(64, 24), codec, torch.float32) for codec in (*CODECS[:2], CODECS[1])]
    assert told(nn.Sequential(*layers, nn.Linear(2, 2))) == "Q4_0 2, Q8_0 1"
    assert told(nn.Linear(2, 2)) == ""


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
def test_a_compressed_layer_is_one_graph_for_the_compiler(codec):
    layer = filled(nn.Linear(64, 24), codec, torch.float32)
    x = torch.randn(3, 64)
    graph = torch.compile(CompressedLinear.forward, fullgraph=True, backend="eager")
    assert torch.equal(graph(layer, x), layer(x))


def test_a_matrix_beyond_the_range_is_scaled_into_it_or_cut_at_its_ends():
    big = MATRIX * 1000
    factor = factor_for(big.abs().max().item(), torch.float8_e4m3fn)
    back = encode(big, torch.float8_e4m3fn, factor).float() * factor
    assert (back - big).abs().max() <= big.abs().max() / 16
    assert encode(big, torch.float8_e4m3fn).float().abs().max() == 448
    assert factor_for(0.0, torch.float8_e4m3fn) == 1.0
