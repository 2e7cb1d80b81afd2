"""Products of 8-bit integers: the integers are exact, and everything else is the reference's arithmetic."""

from __future__ import annotations

import pytest
import torch

from newbie.accel import integers
from newbie.accel.cpu import CpuBlocks
from newbie.model.block import Block
from newbie.model.config import NextDiTConfig
from newbie.quant import products
from newbie.quant.int8 import W8A8, Int8

NO_INTEGERS = products.slow_cpu() or (not integers.available() and "this torch has no product of integers by oneDNN")


def material(tokens: int = 33, columns: int = 192, rows: int = 64, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(tokens, columns, generator=generator) * torch.logspace(-2, 2, tokens)[:, None]
    x[:, 5] *= 20  # a channel that stands out
    return x, torch.randn(rows, columns, generator=generator)


def reference(x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """As it is defined, in 64 bits: scales by token and by row, integers, their product, the scales."""
    of_row = (weights.abs().amax(1, keepdim=True) / 127).double()
    of_token = (x.abs().amax(1, keepdim=True) / 127).double()
    q_weights = (weights / of_row.float()).round().clamp(-127, 127).long()
    q_x = (x / of_token.float()).round().clamp(-127, 127).long()
    return (q_x @ q_weights.T).double() * of_token * of_row.T


def test_the_product_is_that_of_the_definition():
    x, weights = material()
    codec = W8A8()
    stored = codec.encode(weights)
    ours = products.dynamic(x, stored["codes"], stored["scale"])
    torch.testing.assert_close(ours.double(), reference(x, weights), rtol=1e-6, atol=0)


def test_tokens_are_rounded_each_by_itself_and_the_integers_are_exact():
    x, weights = material()
    stored = W8A8().encode(weights)
    tokens = products.rounded(x)
    assert tokens.codes.abs().amax(1).tolist() == [127] * len(x)
    exact = products.multiplied(tokens._replace(scale=torch.ones(len(x), 1)), stored["codes"], torch.ones(64, 1))
    assert torch.equal(exact.long(), tokens.codes.long() @ stored["codes"].long().T)
    alone = torch.cat([products.rounded(row[None]).codes for row in x])
    assert torch.equal(alone, tokens.codes)


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_pieces_change_nothing(piece, monkeypatch):
    x, weights = material()
    stored = W8A8().encode(weights)
    whole = W8A8().linear(stored, x.view(3, 11, -1), torch.ones(64))
    monkeypatch.setattr(products, "PIECE", piece)
    assert torch.equal(W8A8().linear(stored, x.view(3, 11, -1), torch.ones(64)), whole)
    assert whole.shape == (3, 11, 64)


def test_not_a_number_goes_through_and_touches_no_other_token():
    x, weights = material()
    stored = W8A8().encode(weights)
    whole = W8A8().linear(stored, x, None)
    x[4, 9] = torch.nan
    found = W8A8().linear(stored, x, None)
    assert found[4].isnan().all()
    others = torch.arange(len(x)) != 4
    assert torch.equal(found[others], whole[others])


def test_where_integers_are_slow_weights_are_decoded_and_it_is_told(monkeypatch):
    x, weights = material()
    stored = W8A8().encode(weights)
    monkeypatch.setattr(products, "slow_cpu", lambda: "this processor is old")
    assert W8A8().slow(torch.device("cpu"), 64, 192) == "this processor is old"
    assert torch.equal(W8A8().linear(stored, x, None), Int8().linear(stored, x, None))


def test_cards_multiply_multiples_of_eight():
    cuda = torch.device("cuda")
    assert not products.slow(cuda, 64, 192)
    assert "multiples of eight" in products.slow(cuda, 63, 192)
    assert "mps" in products.slow(torch.device("mps"), 64, 192)


def quantised_block(arrange: bool, dtype: torch.dtype = torch.float32):
    from newbie.calibrate.quantise import quantise
    from newbie.quant.choice import Rule

    torch.manual_seed(2)
    config = NextDiTConfig(dim=128, n_layers=1, n_heads=4, n_kv_heads=2, axes_dims=(8, 12, 12), cap_feat_dim=64)
    block = Block(config).requires_grad_(False).to(dtype).eval()
    ours = quantise(block, Rule("w8a8")).network
    return block, ours, CpuBlocks.of([ours], arrange=arrange)


@pytest.mark.skipif(bool(NO_INTEGERS), reason=str(NO_INTEGERS))
@pytest.mark.parametrize("arrange", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_leaves_for_a_cpu_compute_what_the_layers_do(arrange, dtype):
    _, ours, leaves = quantised_block(arrange, dtype)
    x = torch.randn(2, 300, 128, generator=torch.Generator().manual_seed(3))
    scale = torch.ones(1, 1, 128, dtype=dtype)
    theirs = ours.feed(x.to(dtype), scale).float()
    found = leaves.feed(ours, x, scale.float())
    # Both round to 8 bits: where a number lies between two steps, its last bit decides, and the whole row with it.
    assert (found - theirs).norm() <= (2e-3 if dtype == torch.float32 else 2e-2) * theirs.norm()


@pytest.mark.skipif(bool(NO_INTEGERS), reason=str(NO_INTEGERS))
def test_onednn_is_given_bytes_around_128_and_answers_the_same_integers():
    x, weights = material()
    stored = W8A8().encode(weights)
    tokens = integers.unsigned(x)
    assert torch.equal(tokens.codes.int() - 128, products.rounded(x).codes.int())
    product = integers.Integers.of(stored, torch.float32, None)
    torch.testing.assert_close(product(x), products.dynamic(x, **stored), rtol=1e-6, atol=0)


@pytest.mark.skipif(bool(NO_INTEGERS), reason=str(NO_INTEGERS))
def test_a_feed_forward_in_pieces_never_mixes_tokens(monkeypatch):
    _, ours, leaves = quantised_block(True)
    x = torch.randn(1, 50, 128, generator=torch.Generator().manual_seed(4))
    whole = leaves.feed(ours, x, torch.ones(1, 1, 128))
    monkeypatch.setattr(integers, "PIECE", 7)
    torch.testing.assert_close(leaves.feed(ours, x, torch.ones(1, 1, 128)), whole, rtol=0, atol=1e-5)


def test_the_error_is_about_one_percent():
    x = torch.randn(500, 768, generator=torch.Generator().manual_seed(6))
    weights = torch.randn(96, 768, generator=torch.Generator().manual_seed(7))
    wanted = x @ weights.T
    # Not through W8A8.linear: where the processor has no fast product, or is busy, that rounds the weights alone.
    error = (products.dynamic(x, **W8A8().encode(weights)) - wanted).norm() / wanted.norm()
    assert 0.008 < error < 0.014
