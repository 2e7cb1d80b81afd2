"""Every scheme of our own: what it stores, how far it is off, that rows are independent, that names lead back to it."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from newbie.bench.memory import peak_bytes
from newbie.errors import UsageError
from newbie.quant.codec import dense, encoded, some_rows
from newbie.quant.four_bit import FourBit
from newbie.quant.fp8_dynamic import Fp8Dynamic
from newbie.quant.ggml import BY_NAME
from newbie.quant.gguf import Gguf
from newbie.quant.int8 import W8A8, Int8
from newbie.quant.nf4 import LEVELS, Nf4, _nearest
from newbie.quant.nibbles import packed, unpacked
from newbie.quant.products import dynamic
from newbie.quant.schemes import SCHEMES, codec_named, scheme

CODECS = {
    codec.name: codec
    for kind in SCHEMES.values()
    for codec in (kind.codec, kind.calibrated)
    if codec is not None
}  # fmt: skip
# Bits a weight of a 2304 x 9216 matrix, from the table of formats: codes, scales, and the branch of rank 32.
BITS = {
    "int8": 8 + 32 / 9216,
    "w8a8": 8 + 32 / 9216,
    "float8_e4m3fn": 8 + 32 / 9216,
    "nf4": 4 + 8 / 64 + 16 / 9216,
    "int4": 4 + 16 / 64,
    "int4-r32-a4g16": 4 + 16 / 64 + 32 * 16 * (2304 + 9216) / (2304 * 9216),
}


def matrix(rows: int = 24, columns: int = 256, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_codec_stores_what_it_says_and_its_name_leads_back_to_it(codec):
    stored = codec.encode(matrix())
    assert {name: (tuple(each.shape), each.dtype) for name, each in stored.items()} == codec.stored(24, 256)
    assert codec_named(codec.name) == codec
    assert not codec.problem(stored)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@pytest.mark.parametrize("size", [0.0, 1e-45, 1e-43, 1e-38])
def test_rows_that_are_too_small_for_a_scale_become_about_nothing(codec, size):
    stored = codec.encode(matrix().sign() * size)
    assert not codec.problem(stored)
    decoded = dense(codec, stored, torch.float32)
    assert decoded.isfinite().all() and decoded.abs().max() <= 2 * size


def test_a_token_that_is_nan_is_not_made_a_number():
    x = matrix(rows=2)
    x[1, 3] = math.nan
    y = dynamic(x, *W8A8().encode(matrix(8)).values())
    assert y[0].isfinite().all() and y[1].isnan().all()


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_rows_are_independent_of_those_around_them(codec):
    stored = codec.encode(matrix())
    whole = dense(codec, stored, torch.float32)
    assert torch.equal(dense(codec, some_rows(stored, slice(5, 9), codec.shared), torch.float32), whole[5:9])
    chosen = torch.tensor([3, 0, 3])
    assert torch.equal(dense(codec, some_rows(stored, chosen, codec.shared), torch.float32), whole[chosen])


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_decoding_in_pieces_changes_nothing(codec, monkeypatch):
    stored = codec.encode(matrix())
    whole = codec.decode(stored)
    monkeypatch.setattr("newbie.quant.codec.PIECE", 1000)
    torch.testing.assert_close(dense(codec, stored, torch.float32), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_rounding_in_pieces_changes_no_bit(codec, monkeypatch):
    wanted = codec.encode(matrix().bfloat16())
    monkeypatch.setattr("newbie.quant.codec.ROUNDED", 5 * 256)  # the last piece is a smaller one
    found = encoded(codec, matrix().bfloat16())
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_a_matrix_is_decoded_without_a_second_one_beside_it():
    codec = scheme("int8").codec
    stored = codec.encode(matrix(2048, 1024))
    peak = peak_bytes(lambda: dense(codec, stored, torch.bfloat16), torch.device("cpu"))
    assert peak <= 2048 * 1024 * 2 + 4 * 4 * 2**18  # and a piece in float32, a few times


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_zeros_stay_zeros_and_nothing_is_divided_by_them(codec):
    zeros = torch.zeros(24, 256)
    stored = codec.encode(zeros)
    assert not codec.problem(stored) and torch.equal(dense(codec, stored, torch.float32), zeros)
    assert torch.equal(codec.linear(stored, zeros, None), torch.zeros(24, 24))


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_numbers_that_are_not_finite_are_found_without_decoding(codec):
    for name, tensor in codec.encode(matrix()).items():
        if not tensor.is_floating_point():
            continue
        for bad in (math.nan, math.inf):
            stored = codec.encode(matrix())
            stored[name].flatten()[0] = bad
            assert codec.problem(stored)


@pytest.mark.parametrize(("name", "bits"), BITS.items())
def test_bytes_are_those_of_the_accounting(name, bits):
    specs = codec_named(name).stored(2304, 9216).values()
    size = sum(math.prod(spec.shape) * spec.dtype.itemsize for spec in specs)
    assert size * 8 / (2304 * 9216) == pytest.approx(bits, rel=1e-9)


@settings(max_examples=30)
@given(st.floats(-1e4, 1e4, width=32), st.floats(1e-4, 1e4), st.integers(0, 2**31))
def test_no_weight_is_off_by_more_than_half_a_step(odd, size, seed):
    weights = matrix(4, 128, seed) * size
    weights[1, 7] = odd
    of_row, of_group = weights.abs().amax(1, keepdim=True), weights.view(4, 2, 64).abs().amax(2)
    steps = {Int8(): of_row / 127, FourBit(): (of_group / 7.5).repeat_interleave(64, 1)}
    for codec, step in steps.items():
        error = (codec.decode(codec.encode(weights)) - weights).abs()
        # A scale in bfloat16 is off by up to 1/256, of which seven and a half steps make a 34th of one.
        assert (error <= step * (0.5 + 7.5 / 256 + 1e-3) + 1e-30).all()


def test_levels_of_nf4_are_the_quantiles_of_its_paper():
    normal, offset = torch.distributions.Normal(0.0, 1.0), 0.9677083
    above = normal.icdf(torch.linspace(offset, 0.5, 9, dtype=torch.float64)[:-1])
    below = -normal.icdf(torch.linspace(offset, 0.5, 8, dtype=torch.float64)[:-1])
    wanted = torch.cat((above, torch.zeros(1), below)).sort().values
    torch.testing.assert_close(torch.tensor(LEVELS).double(), wanted / wanted.max(), rtol=0, atol=2e-6)


def test_nf4_takes_the_nearest_level_of_each_block():
    weights = matrix(6, 256, 3)
    codec = Nf4()
    stored = codec.encode(weights)
    scale = (stored["block_scale"].float() * stored["row_scale"].float())[..., None]
    every = torch.tensor(LEVELS) * scale[..., None]  # (rows, blocks, 1, 16)
    best = (every - weights.view(6, 4, 64, 1)).abs().amin(-1)
    error = (codec.decode(stored).view(6, 4, 64) - weights.view(6, 4, 64)).abs()
    torch.testing.assert_close(error, best, rtol=0, atol=1e-6)
    assert (scale[..., 0] >= weights.view(6, 4, 64).abs().amax(-1)).all()  # nothing lies beyond the last level


def test_double_quantisation_costs_next_to_nothing():
    weights = matrix(64, 2304, 5)
    block = weights.view(64, -1, 64)
    scale = block.abs().amax(-1, keepdim=True)
    levels = torch.tensor(LEVELS)
    plain = levels[((block / scale)[..., None] - levels).abs().argmin(-1)] * scale
    ours = Nf4().decode(Nf4().encode(weights))
    assert (ours - weights).norm() <= 1.01 * (plain.view_as(weights) - weights).norm()


def test_two_numbers_in_a_byte_the_first_in_the_high_half():
    assert packed(torch.tensor([[1, 15, 0, 8]])).tolist() == [[0x1F, 0x08]]
    codes = torch.randint(0, 16, (5, 64), generator=torch.Generator().manual_seed(1))
    assert torch.equal(unpacked(packed(codes)).long(), codes)


@pytest.mark.parametrize("name", ["nf4", "int4", "svdquant"])
def test_rows_that_are_no_whole_number_of_groups_are_refused(name):
    with pytest.raises(ValueError, match="96 numbers are no whole number of groups of 64"):
        SCHEMES[name].codec.stored(8, 96)


def test_inputs_of_products_in_8_bit_floats_are_rounded_like_weights():
    codec = Fp8Dynamic()
    tokens = matrix(7, 128, 9) * torch.logspace(-3, 3, 7)[:, None]
    stored = codec.encode(tokens)
    largest = torch.finfo(torch.float8_e4m3fn).max
    assert torch.equal(stored["scale"], tokens.abs().amax(1, keepdim=True) / largest)
    assert ((codec.decode(stored) - tokens).abs() <= tokens.abs() / 16 + stored["scale"] * 2**-9).all()


def test_products_in_8_bit_floats_are_those_of_the_rounded_numbers(monkeypatch):
    """On a CPU torch has the card's product too, slowly; so its scales and layouts can be held to their meaning."""
    monkeypatch.setattr(Fp8Dynamic, "slow", lambda *given: "")
    codec, weights = Fp8Dynamic(), matrix(64, 128, 2)
    x, bias = matrix(21, 128, 3).bfloat16().view(3, 7, 128), matrix(1, 64, 4)[0]
    stored = codec.encode(weights)
    tokens = codec.decode(codec.encode(x.flatten(0, 1)))
    wanted = (tokens @ codec.decode(stored).T + bias).view(3, 7, 64)
    found = codec.linear(stored, x, bias)
    assert found.dtype == torch.bfloat16
    assert (found.float() - wanted).norm() < 4e-3 * wanted.norm()


def test_cards_without_8_bit_floats_decode_and_say_so():
    assert "no products of 8-bit floats on cpu" in Fp8Dynamic().slow(torch.device("cpu"), 64, 128)


def test_formats_that_are_only_read_say_so():
    with pytest.raises(UsageError, match="not put into the format Q4_K"):
        Gguf(BY_NAME["Q4_K"]).encode(matrix())


def test_unknown_schemes_and_codecs_are_refused():
    with pytest.raises(UsageError, match="no quantisation 'nf5'") as caught:
        scheme("nf5")
    assert "did you mean nf4?" in caught.value.hint
    for name in ("", "int5", "int4-g0", "int4-g7", "int4-r", "int4-g99999", "int4-a4g0", "Q4_K"):
        assert codec_named(name) is None


def test_nf4_takes_the_nearest_level():
    numbers = torch.linspace(-1, 1, 64 * 64 * 10).view(-1, 64)
    numbers[:, 0] = 1.0  # so that a block's scale is one
    levels = torch.tensor(LEVELS)
    wanted = (numbers[..., None] - levels).abs().argmin(-1)
    middle = (numbers[..., None] - (levels[1:] + levels[:-1]) / 2).abs().amin(-1) < 1e-6  # as near to two of them
    assert torch.equal(_nearest(numbers)[~middle].long(), wanted[~middle])
    assert torch.equal(_nearest(numbers).long(), torch.bucketize(numbers, (levels[1:] + levels[:-1]) / 2))
