"""Attention in tiles against the formula: every tile size, both passes, and the edges where exp goes wrong."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from newbie.attention.kernel import SequenceInfo
from newbie.attention.reference import Reference
from newbie.attention.tiled import Tiled, merge
from newbie.errors import UsageError

REFERENCE = Reference()


def draw(rows=2, length=7, heads=4, kv_heads=2, head_dim=8, dtype=torch.float32, seed=0, keys=None):
    generator = torch.Generator().manual_seed(seed)
    sizes = [(length, heads), (keys or length, kv_heads), (keys or length, kv_heads)]
    return [torch.randn(rows, n, h, head_dim, generator=generator).to(dtype) for n, h in sizes]


def real(lengths, width):
    return torch.arange(width) < torch.tensor(lengths)[:, None]


def formula(q, k, v, keys=None, bias=None):
    """o (B, L, H, D) and lse (B, H, L) in float64, all scores at once."""
    q, k, v = (x.double() for x in (q, k, v))
    group = q.shape[2] // k.shape[2]
    k, v = (x.repeat_interleave(group, 2) for x in (k, v))
    s = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(q.shape[3])
    s = s if bias is None else s + bias.double()
    s = s if keys is None else s.masked_fill(~keys[:, None, None], -math.inf)
    return torch.einsum("bhqk,bkhd->bqhd", s.softmax(-1).nan_to_num(0), v), s.logsumexp(-1)


def gradients(kernel, q, k, v, *arguments):
    q, k, v = (x.detach().requires_grad_() for x in (q, k, v))
    o = kernel(q, k, v, *arguments)
    weights = torch.linspace(-1, 1, o.numel(), dtype=o.dtype).view_as(o)
    return torch.autograd.grad((o * weights).sum(), (q, k, v))


@pytest.mark.parametrize("block_q", range(1, 10))
def test_every_tile_size_gives_the_reference_and_its_gradients(block_q):
    q, k, v = draw(rows=3, length=9, heads=6, kv_heads=2)
    seq = SequenceInfo.of(real([9, 4, 0], 9))
    exact, exact_gradients = REFERENCE(q, k, v, seq), gradients(REFERENCE, q, k, v, seq)
    for block_k in range(1, 10):
        kernel = Tiled(block_q, block_k)
        torch.testing.assert_close(kernel(q, k, v, seq), exact, atol=1e-6, rtol=0)
        for ours, theirs in zip(gradients(kernel, q, k, v, seq), exact_gradients, strict=True):
            torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=1e-6)


@pytest.mark.parametrize("head_dim", [8, 32, 96, 120, 128])
@pytest.mark.parametrize(("heads", "kv_heads"), [(1, 1), (3, 3), (6, 2), (8, 1)])
@pytest.mark.parametrize("lengths", [[1, 1], [64, 3], [129, 0]])
def test_head_sizes_grouped_heads_and_lengths(head_dim, heads, kv_heads, lengths):
    q, k, v = draw(2, max(lengths), heads, kv_heads, head_dim)
    seq = SequenceInfo.of(real(lengths, max(lengths)))
    torch.testing.assert_close(Tiled(50, 40)(q, k, v, seq), REFERENCE(q, k, v, seq), atol=1e-6, rtol=0)


def test_a_sequence_of_4500_tokens():
    q, k, v = draw(1, 4500, 1, 1, 32)
    o, lse = Tiled().with_lse(q, k, v)
    expected, expected_lse = formula(q, k, v)
    torch.testing.assert_close(o.double(), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(lse.double(), expected_lse, atol=2e-6, rtol=0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
def test_half_precision_is_rounded_once_at_the_end(dtype, tolerance):
    q, k, v = draw(2, 70, dtype=dtype)
    o, lse = Tiled(32, 16).with_lse(q, k, v)
    assert o.dtype == dtype and lse.dtype == torch.float32
    torch.testing.assert_close(o.double(), formula(q, k, v)[0], atol=1e-6, rtol=tolerance)


@pytest.mark.parametrize("shape", [(2, 4, 7, 7), (1, 4, 7, 7), (2, 1, 1, 7), (4, 7, 1), (7, 7), ()])
def test_bias_of_every_broadcastable_shape_and_its_gradient(shape):
    q, k, v = draw()
    bias = torch.randn(shape, generator=torch.Generator().manual_seed(1)).requires_grad_()
    keys = real([7, 5], 7)
    weights = torch.linspace(-1, 1, q.numel()).view_as(q)
    o, _ = Tiled(3, 2).with_lse(q, k, v, keys=keys, bias=bias)
    expected, _ = formula(q, k, v, keys, bias)
    torch.testing.assert_close(o.double(), expected, atol=1e-6, rtol=0)
    ours, theirs = (torch.autograd.grad((x * weights).sum(), bias)[0] for x in (o, expected))
    torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("queries", [7, 3])
def test_bias_and_mask_of_a_sequence_also_for_its_last_queries_alone(queries):
    q, k, v = draw()
    bias = torch.randn(2, 4, 7, 7, generator=torch.Generator().manual_seed(1))
    seq = SequenceInfo.of(real([7, 5], 7))._replace(bias=bias)
    expected = REFERENCE(q, k, v, seq)[:, -queries:]
    torch.testing.assert_close(Tiled(2, 3)(q[:, -queries:], k, v, seq), expected, atol=1e-6, rtol=0)


def test_minus_infinity_in_a_bias_hides_keys():
    q, k, v = draw(rows=1)
    visible = torch.tril(torch.ones(7, 7, dtype=torch.bool), -1)  # the first query sees nothing
    bias = torch.zeros(7, 7).masked_fill(~visible, -math.inf)
    o, lse = Tiled(2, 3).with_lse(q, k, v, bias=bias)
    torch.testing.assert_close(o.double(), formula(q, k, v, bias=bias)[0], atol=1e-6, rtol=0)
    assert not o[:, 0].any() and lse[:, :, 0].isneginf().all()


def test_query_without_any_key_gives_zeros_minus_infinity_and_no_gradient():
    q, k, v = (x.requires_grad_() for x in draw())
    o, lse = Tiled(2, 3).with_lse(q, k, v, keys=real([5, 0], 7))
    assert not o[1].any() and lse[1].isneginf().all() and lse[0].isfinite().all()
    o.sum().backward()
    assert all(x.grad.isfinite().all() and not x.grad[1].any() for x in (q, k, v))


def test_padding_keys_have_no_effect_whatever_they_hold():
    q, k, v = draw()
    seq = SequenceInfo.of(real([5, 3], 7))
    before = Tiled(4, 2)(q, k, v, seq)
    for row, n in enumerate([5, 3]):
        k[row, n:], v[row, n:] = 1e4, -1e4
    assert torch.equal(Tiled(4, 2)(q, k, v, seq), before)


def test_lse_is_the_logarithm_of_the_sum_of_weights():
    q, k, v = draw(rows=3, length=9)
    keys = real([9, 4, 0], 9)
    _, lse = Tiled(4, 2).with_lse(q, k, v, keys=keys)
    torch.testing.assert_close(lse.double(), formula(q, k, v, keys)[1], atol=1e-6, rtol=0)


def test_order_of_key_tiles_does_not_matter():
    q, k, v = draw(length=12)
    order = torch.cat([torch.arange(12).split(3)[n] for n in (2, 0, 3, 1)])
    kernel = Tiled(5, 3)
    (there, lse), (back, lse_back) = kernel.with_lse(q, k, v), kernel.with_lse(q, k[:, order], v[:, order])
    torch.testing.assert_close(back, there, atol=1e-6, rtol=0)
    torch.testing.assert_close(lse_back, lse, atol=1e-6, rtol=0)


def test_adding_a_hundred_to_all_scores_changes_only_lse():
    q, k, v = draw(dtype=torch.float64)
    (o, lse), (shifted, lse_shifted) = (
        Tiled(4, 2).with_lse(q, k, v, bias=torch.full((1, 1), b, dtype=q.dtype)) for b in (0.0, 100.0)
    )
    torch.testing.assert_close(shifted, o, atol=1e-12, rtol=0)
    torch.testing.assert_close(lse_shifted, lse + 100, atol=1e-12, rtol=0)


def test_adding_a_hundred_in_float32_costs_the_digits_that_a_hundred_takes():
    q, k, v = draw()
    o, shifted = (Tiled(4, 2).with_lse(q, k, v, bias=torch.tensor(b))[0] for b in (0.0, 100.0))
    torch.testing.assert_close(shifted, o, atol=2e-5, rtol=0)  # float32 near 100 has steps of 7.6e-6


@pytest.mark.parametrize("sign", [1, -1, 0], ids=["+1e4", "-1e4", "both"])
def test_scores_of_ten_thousand_do_not_overflow(sign):
    q, k, v = draw(rows=1, heads=2, kv_heads=2)
    noise = torch.randn(1, 1, 7, 7, generator=torch.Generator().manual_seed(1))
    bias = noise + 1e4 * (sign or noise.sign())
    o, lse = Tiled(2, 2).with_lse(q, k, v, bias=bias)
    expected, expected_lse = formula(q, k, v, bias=bias)
    torch.testing.assert_close(o.double(), expected, atol=5e-3, rtol=0)  # steps of 1e-3 near 1e4
    torch.testing.assert_close(lse.double(), expected_lse, atol=2e-3, rtol=0)
    assert all(g.isfinite().all() for g in gradients(lambda *x: Tiled(2, 2).with_lse(*x, bias=bias)[0], q, k, v))


@pytest.mark.parametrize("where", range(3), ids="qkv")
def test_nan_is_shown_and_not_hidden(where):
    inputs = draw()
    inputs[where][0, 2] = math.nan
    assert Tiled(2, 3)(*inputs, SequenceInfo.of(real([7, 7], 7)))[0].isnan().any()


def test_an_empty_sequence_gives_an_empty_result():
    q, k, v = (x[:, :0].requires_grad_() for x in draw())
    o, lse = Tiled().with_lse(q, k, v)
    assert o.shape == (2, 0, 4, 8) and lse.shape == (2, 4, 0)
    o.sum().backward()


def test_no_keys_at_all_give_zeros():
    q, k, v = draw()
    o, lse = Tiled().with_lse(q, k[:, :0], v[:, :0])
    assert not o.any() and lse.isneginf().all()


@pytest.mark.parametrize("cut", [0, 1, 4, 9])
def test_attention_over_two_parts_of_the_keys_merges_exactly(cut):
    q, k, v = draw(keys=9, dtype=torch.float64)
    keys = real([9, 2], 9)
    parts = [Tiled(3, 2).with_lse(q, k[:, p], v[:, p], keys=keys[:, p]) for p in (slice(cut), slice(cut, None))]
    o, lse = merge(*parts[0], *parts[1])
    expected, expected_lse = formula(q, k, v, keys)
    torch.testing.assert_close(o, expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(lse, expected_lse, atol=1e-12, rtol=0)


def test_two_empty_parts_merge_to_an_empty_one_without_nan():
    q, k, v = (x.requires_grad_() for x in draw())
    empty = Tiled().with_lse(q, k, v, keys=real([0, 0], 7))
    o, lse = merge(*empty, *empty)
    assert not o.any() and lse.isneginf().all()
    o.sum().backward()
    assert not q.grad.any()


def test_merged_attention_passes_gradcheck():
    q, k, v = (x.requires_grad_() for x in draw(1, 2, 2, 1, 2, torch.float64, keys=3))

    def merged(q, k, v):
        parts = [Tiled(2, 2).with_lse(q, k[:, p], v[:, p]) for p in (slice(2), slice(2, None))]
        return merge(*parts[0], *parts[1])

    assert torch.autograd.gradcheck(merged, (q, k, v))


@pytest.mark.parametrize("blocks", [(1, 1), (2, 2), (8, 8)])
def test_gradcheck_in_float64_for_inputs_bias_and_lse(blocks):
    q, k, v = (x.requires_grad_() for x in draw(2, 2, 2, 1, 2, torch.float64, keys=3))
    bias = torch.randn(2, 1, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    keys = real([3, 1], 3)
    assert torch.autograd.gradcheck(lambda *x: Tiled(*blocks).with_lse(*x[:3], keys=keys, bias=x[3]), (q, k, v, bias))


@settings(max_examples=60)
@given(
    data=st.data(),
    rows=st.integers(0, 3),
    length=st.integers(1, 20),
    keys=st.integers(1, 20),
    kv_heads=st.integers(1, 3),
    group=st.integers(1, 3),
    head_dim=st.integers(1, 9),
    block_q=st.integers(1, 24),
    block_k=st.integers(1, 24),
)
def test_any_shape_and_any_tiles(data, rows, length, keys, kv_heads, group, head_dim, block_q, block_k):
    q, k, v = draw(rows, length, kv_heads * group, kv_heads, head_dim, torch.float64, keys=keys)
    bits = st.lists(st.booleans(), min_size=keys, max_size=keys)
    mask = torch.tensor(data.draw(st.lists(bits, min_size=rows, max_size=rows)), dtype=torch.bool).view(rows, keys)
    o, lse = Tiled(block_q, block_k).with_lse(q, k, v, keys=mask)
    expected, expected_lse = formula(q, k, v, mask)
    torch.testing.assert_close(o, expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(lse, expected_lse, atol=1e-12, rtol=0)


def test_backward_keeps_nothing_that_grows_with_the_square_of_the_length():
    sizes = []

    def kept(x):
        sizes.append(x.numel())
        return x

    q, k, v = (x.requires_grad_() for x in draw(1, 300, 2, 2, 8))
    with torch.autograd.graph.saved_tensors_hooks(kept, lambda x: x):
        Tiled().with_lse(q, k, v)
    assert sizes == [q.numel()] * 4 + [2 * 300]  # q, k, v, o and lse


def test_stays_float32_under_autocast_in_both_passes():
    q, k, v = draw()
    seq = SequenceInfo.of(real([7, 4], 7))
    plain, plain_gradients = Tiled(4, 4)(q, k, v, seq), gradients(Tiled(4, 4), q, k, v, seq)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(Tiled(4, 4)(q, k, v, seq), plain)
        for ours, exact in zip(gradients(Tiled(4, 4), q, k, v, seq), plain_gradients, strict=True):
            assert torch.equal(ours, exact)


def test_a_second_derivative_is_refused_and_not_wrong():
    q, k, v = (x.requires_grad_() for x in draw())
    o = Tiled()(q, k, v, SequenceInfo.of(real([7, 7], 7)))
    (first,) = torch.autograd.grad(o.square().sum(), q, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


@pytest.mark.parametrize("blocks", [(0, 8), (8, 0), (-1, 8)])
def test_tiles_without_rows_or_columns_are_refused(blocks):
    with pytest.raises(UsageError, match="tiles of"):
        Tiled(*blocks)
