"""Block formats: the table is ggml's, and what we decode is what the gguf package decodes, bit for bit."""

from __future__ import annotations

import warnings

import gguf
import numpy as np
import pytest
import torch

from newbie.quant import gguf_package
from newbie.quant.blocks import DECODERS
from newbie.quant.codec import dense, some_rows, stacked
from newbie.quant.ggml import BLOCK_TYPES, BY_NAME, OTHER_TYPES, PLAIN_TYPES, WRITABLE
from newbie.quant.gguf import BLOCKS, Gguf

NAMES = [block.name for block in BLOCK_TYPES]
# What the issue of reading "any file" asks for, without another package.
OWN = {"Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"}


def random_rows(name: str, rows: int = 24, blocks: int = 3, seed: int = 0) -> torch.Tensor:
    """Any bytes at all: every quant, every scale, NaN and infinite scales among them."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (rows, blocks * BY_NAME[name].bytes), generator=generator, dtype=torch.uint8)


def packages_numbers(rows: torch.Tensor, name: str) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return gguf.dequantize(rows.numpy(), gguf.GGMLQuantizationType[name])


def same_bits(ours: torch.Tensor, theirs: np.ndarray) -> bool:
    """The same bits; only which of the many NaN a NaN is may differ."""
    ours_, nan = ours.numpy(), np.isnan(theirs)
    return bool((np.isnan(ours_) == nan).all() and (ours_.view(np.uint32) == theirs.view(np.uint32))[~nan].all())


def test_the_table_is_ggmls_own():
    for block in BLOCK_TYPES:
        kind = gguf.GGMLQuantizationType(block.id)
        assert (kind.name, *gguf.GGML_QUANT_SIZES[kind]) == (block.name, block.numbers, block.bytes)
    for number, dtype in PLAIN_TYPES.items():
        assert gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(number)] == (1, dtype.itemsize)
    known = {block.id for block in BLOCK_TYPES} | PLAIN_TYPES.keys() | OTHER_TYPES.keys()
    assert {kind.value for kind in gguf.GGMLQuantizationType} <= known


def test_the_usual_formats_are_decoded_without_the_package():
    assert DECODERS.keys() >= OWN


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(4))
def test_random_blocks_decode_to_the_packages_numbers_bit_for_bit(name, seed):
    rows = random_rows(name, seed=seed)
    assert same_bits(Gguf.named(name).decode({BLOCKS: rows}), packages_numbers(rows, name))


@pytest.mark.parametrize("name", sorted(DECODERS))
def test_every_value_of_a_scale_decodes_to_the_packages_numbers(name):
    kind = BY_NAME[name]
    rows = random_rows(name, rows=2**16, blocks=1)
    for at in kind.scales[:1] or (0,):
        size = 2 if kind.scales else 1
        rows[:, at : at + size] = torch.arange(2**16).view(-1, 1).view(torch.uint8)[:, :size]
    assert same_bits(Gguf.named(name).decode({BLOCKS: rows}), packages_numbers(rows, name))


@pytest.mark.parametrize("name", [name for name in NAMES if name in WRITABLE])
def test_what_the_package_writes_we_read_and_the_bytes_are_its_own(name):
    matrix = torch.randn(40, 512, generator=torch.Generator().manual_seed(1))
    rows = gguf_package.quantise(matrix, BY_NAME[name])
    assert np.array_equal(rows.numpy(), gguf.quantize(matrix.numpy(), gguf.GGMLQuantizationType[name]))
    codec = Gguf.named(name)
    assert codec.stored(40, 512)[BLOCKS].shape == tuple(rows.shape)
    assert same_bits(codec.decode({BLOCKS: rows}), packages_numbers(rows, name))


@pytest.mark.parametrize("name", ["Q8_0", "Q5_1", "Q4_0"])
def test_no_weight_is_off_by_more_than_half_a_step(name):
    matrix = torch.randn(8, 256, generator=torch.Generator().manual_seed(2))
    rows = gguf_package.quantise(matrix, BY_NAME[name])
    decoded = Gguf.named(name).decode({BLOCKS: rows})
    in_blocks = matrix.view(8, -1, 32)
    span = {
        "Q8_0": in_blocks.abs().amax(-1) / 127,
        "Q4_0": in_blocks.abs().amax(-1) / 8,
        "Q5_1": (in_blocks.amax(-1) - in_blocks.amin(-1)) / 31,
    }[name]
    error = (decoded - matrix).view_as(in_blocks).abs().amax(-1)
    # Q4_0 has fifteen steps for the side of the largest number and one less for the other; scales are rounded too.
    assert (error <= (1.0 if name == "Q4_0" else 0.5) * span * 1.01 + 1e-3).all()


@pytest.mark.parametrize("name", ["Q8_0", "Q4_K", "IQ2_XS"])
def test_rows_are_independent_cut_gathered_and_stacked(name):
    codec, rows = Gguf.named(name), {BLOCKS: finite_rows(name)}
    whole = codec.decode(rows)
    assert torch.equal(codec.decode(some_rows(rows, slice(5, 9))), whole[5:9])
    chosen = torch.tensor([3, 0, 3])
    assert torch.equal(codec.decode(some_rows(rows, chosen)), whole[chosen])
    both = stacked([some_rows(rows, slice(0, 7)), some_rows(rows, slice(7, None))])
    assert torch.equal(codec.decode(both), whole)


def finite_rows(name: str) -> torch.Tensor:
    rows = random_rows(name)
    blocks = rows.view(-1, BY_NAME[name].bytes)
    for at in BY_NAME[name].scales:
        blocks[:, at + 1] &= 0x3B  # a float16 below two
    return rows


def test_decoding_in_pieces_changes_nothing(monkeypatch):
    codec, rows = Gguf.named("Q4_K"), {BLOCKS: finite_rows("Q4_K")}
    whole = dense(codec, rows, torch.bfloat16)
    monkeypatch.setattr("newbie.quant.codec.PIECE", 1000)
    assert torch.equal(dense(codec, rows, torch.bfloat16), whole)
    assert torch.equal(whole, codec.decode(rows).bfloat16())


@pytest.mark.parametrize("name", NAMES)
def test_a_scale_that_is_not_finite_is_found_without_decoding(name):
    kind, codec = BY_NAME[name], Gguf.named(name)
    rows = finite_rows(name) if kind.scales else torch.zeros(24, 3 * kind.bytes, dtype=torch.uint8)
    assert not codec.problem({BLOCKS: rows})
    for at in kind.scales:
        bad = rows.clone()
        bad[7, kind.bytes + at : kind.bytes + at + 2] = torch.tensor([0, 0x7C], dtype=torch.uint8)  # infinity
        assert "scale" in codec.problem({BLOCKS: bad})


def test_a_format_that_needs_the_package_says_so(monkeypatch):
    from newbie.errors import MissingExtra

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    Gguf.named("Q4_K").require()
    with pytest.raises(MissingExtra, match="IQ2_XXS"):
        Gguf.named("IQ2_XXS").require()
