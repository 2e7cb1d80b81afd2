"""The reference against arithmetic by hand, and every kernel against the reference.

Kernels that need a package run on its stand-in; see stand_ins.py for what that proves.
"""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from newbie.attention.choose import KERNELS
from newbie.attention.kernel import SequenceInfo, takes_fewer_queries

REFERENCE, SDPA = KERNELS["reference"], KERNELS["sdpa"]
CARD_ONLY = ("sdpa-efficient", "sdpa-cudnn")  # torch refuses them on a CPU, and there is no stand-in for torch
HERE = [kernel for name, kernel in KERNELS.items() if name not in CARD_ONLY]
OWN = [kernel for kernel in HERE if not kernel.needs.package]  # run for real, in float32 and with gradients
UNPADDED = [kernel for kernel in HERE if kernel.needs.fewer_queries]
HIDE_NAN = ("sdpa", "sdpa-flash")  # on a CPU torch's flash answers a query of NaN with zeros where there is no mask
TOLERANCE = {torch.float32: 4e-6, torch.bfloat16: 2e-2, torch.float16: 2e-3}


def named(kernels):
    return pytest.mark.parametrize("kernel", kernels, ids=lambda kernel: kernel.name)


def draw(rows=2, length=7, heads=4, kv_heads=2, head_dim=8, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(rows, length, n, head_dim) for n in (heads, kv_heads, kv_heads)]
    return [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]


def info(lengths, width):
    return SequenceInfo.of(torch.arange(width) < torch.tensor(lengths)[:, None])


def everything(q):
    return info([q.shape[1]] * q.shape[0], q.shape[1])


def real(o, lengths):
    return torch.cat([row[:n] for row, n in zip(o, lengths, strict=True)])


def dtype_of(kernel):
    return torch.float32 if torch.float32 in (kernel.needs.dtypes or [torch.float32]) else torch.bfloat16


def by_hand(q, k, v, valid):
    """Loops and Python floats: nothing in common with the kernels but the formula."""
    rows, length, heads, size = q.shape
    o = torch.zeros_like(q)
    for b in range(rows):
        for h in range(heads):
            j = h * k.shape[2] // heads
            for i in range(length):
                keys = [n for n in range(length) if valid[b][n]]
                logits = [
                    sum(float(q[b, i, h, d]) * float(k[b, n, j, d]) for d in range(size)) / math.sqrt(size)
                    for n in keys
                ]
                weights = [math.exp(logit - max(logits)) for logit in logits]
                for n, weight in zip(keys, weights, strict=True):
                    o[b, i, h] += weight / sum(weights) * v[b, n, j]
    return o


@named([kernel for kernel in OWN if kernel.name != "folded"])
def test_kernel_equals_the_formula_computed_with_python_floats(kernel):
    q, k, v = draw(rows=3, length=4, heads=6, kv_heads=2, head_dim=4)
    valid = [[1, 1, 1, 0], [1, 0, 0, 1], [0, 0, 0, 0]]
    seq = SequenceInfo.of(torch.tensor(valid, dtype=torch.bool))
    torch.testing.assert_close(kernel(q, k, v, seq), by_hand(q, k, v, valid), atol=2e-6, rtol=0)


@named([kernel for kernel in HERE if kernel is not REFERENCE])
@pytest.mark.parametrize(("heads", "kv_heads"), [(2, 2), (3, 1), (8, 1)])
@pytest.mark.parametrize("lengths", [[1, 1], [7, 7], [64, 3], [129, 0]])
def test_every_kernel_equals_the_reference(packages, kernel, heads, kv_heads, lengths):
    sizes = (32, 96) if kernel.needs.package else (32, 64, 96, 120, 128)
    for dtype, head_dim in itertools.product((torch.float32, torch.bfloat16), sizes):
        if dtype not in (kernel.needs.dtypes or (dtype,)):
            continue
        q, k, v = draw(2, max(lengths), heads, kv_heads, head_dim, dtype)
        seq = info(lengths, max(lengths))
        ours, exact = kernel(q, k, v, seq), REFERENCE(q.float(), k.float(), v.float(), seq)
        assert ours.dtype == dtype and ours.shape == q.shape
        assert torch.isfinite(ours).all()
        close = TOLERANCE[dtype]
        torch.testing.assert_close(real(ours, lengths).float(), real(exact, lengths), atol=close, rtol=close)


@named([kernel for kernel in OWN if kernel is not REFERENCE])
@pytest.mark.parametrize(("lengths", "heads", "kv_heads", "head_dim"), [([1124, 1001], 3, 1, 96), ([4500], 1, 1, 32)])
def test_long_rows_equal_the_reference(kernel, lengths, heads, kv_heads, head_dim):
    for dtype in (torch.float32, torch.bfloat16):
        q, k, v = draw(len(lengths), max(lengths), heads, kv_heads, head_dim, dtype)
        seq = info(lengths, max(lengths))
        ours, exact = kernel(q, k, v, seq), REFERENCE(q.float(), k.float(), v.float(), seq)
        error = (real(ours, lengths).float() - real(exact, lengths)).square().mean().sqrt() / exact.std()
        assert error < (2e-6 if dtype == torch.float32 else 2e-2)


@named([kernel for kernel in OWN if kernel.needs.backward])
@pytest.mark.parametrize(("heads", "kv_heads"), [(2, 2), (6, 2), (8, 1)])
@pytest.mark.parametrize("lengths", [[1, 1], [7, 7], [37, 5]])
def test_gradients_equal_those_of_the_reference(kernel, heads, kv_heads, lengths):
    grads = []
    for each in (REFERENCE, kernel):
        q, k, v = (x.requires_grad_() for x in draw(2, max(lengths), heads, kv_heads, 32))
        o = real(each(q, k, v, info(lengths, max(lengths))), lengths)
        (o * torch.linspace(-1, 1, o.numel()).view_as(o)).sum().backward()
        grads.append((q.grad, k.grad, v.grad))
    for exact, ours in zip(*grads, strict=True):
        torch.testing.assert_close(ours, exact, atol=5e-6, rtol=1e-5)


@named(OWN)
def test_query_without_any_key_gives_zeros_and_finite_gradients(kernel):
    q, k, v = (x.requires_grad_(kernel.needs.backward) for x in draw())
    o = kernel(q, k, v, info([5, 0], 7))
    assert torch.equal(o[1], torch.zeros_like(o[1]))
    if kernel.needs.backward:
        o.sum().backward()
        assert all(torch.isfinite(x.grad).all() for x in (q, k, v))


@named(HERE)
@pytest.mark.parametrize("lengths", [[0, 0], [0]])
def test_a_mask_that_hides_everything_gives_zeros(packages, kernel, lengths):
    q, k, v = draw(len(lengths), 6, 4, 2, dtype=dtype_of(kernel))
    assert torch.equal(kernel(q, k, v, info(lengths, 6)), torch.zeros_like(q))


@named(HERE)
def test_rows_without_tokens_come_back_empty(packages, kernel):
    q, k, v = draw(2, 0, 4, 2, dtype=dtype_of(kernel))
    assert kernel(q, k, v, info([0, 0], 0)).shape == (2, 0, 4, 8)


@named(HERE)
def test_a_single_token_sees_itself(packages, kernel):
    q, k, v = draw(2, 1, 4, 2, dtype=dtype_of(kernel))
    torch.testing.assert_close(kernel(q, k, v, everything(q)), v.repeat_interleave(2, 2), atol=1e-6, rtol=1e-6)


@named(OWN)
def test_padding_keys_have_no_effect_whatever_they_hold(kernel):
    q, k, v = draw()
    seq = info([5, 3], 7)
    before = kernel(q, k, v, seq)
    for row, n in enumerate([5, 3]):
        k[row, n:], v[row, n:] = 1e4, -1e4
    assert torch.equal(kernel(q, k, v, seq), before)


@named(HERE)
@pytest.mark.parametrize("lengths", [[7, 7, 7], [7, 4, 5]])
@pytest.mark.parametrize("what", [0, 1, 2])
def test_nan_stays_in_its_row(packages, kernel, lengths, what):
    qkv = draw(3, 7, 4, 2, dtype=dtype_of(kernel))
    seq = info(lengths, 7)
    before = kernel(*qkv, seq)
    qkv[what][1, 2] = math.nan
    after = kernel(*qkv, seq)
    if not (what == 0 and kernel.name in HIDE_NAN):
        assert after[1, 2].isnan().all(), "an error must not vanish"
    for row in (0, 2):
        assert torch.equal(after[row, : lengths[row]], before[row, : lengths[row]])
    if what == 0:  # a broken query harms nobody else in its row either
        there = torch.tensor([0, 1, 3])
        torch.testing.assert_close(after[1, there], before[1, there], atol=1e-2, rtol=1e-2)


@named(OWN)
def test_order_of_keys_does_not_matter(kernel):
    q, k, v = draw(length=9)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    mask = torch.arange(9) < torch.tensor([9, 4])[:, None]
    there = kernel(q, k, v, SequenceInfo.of(mask))
    back = kernel(q, k[:, order], v[:, order], SequenceInfo.of(mask[:, order]))
    torch.testing.assert_close(back, there, atol=1e-6, rtol=1e-6)


@named(OWN)
@pytest.mark.parametrize("size", [100.0, 1e4])
def test_huge_logits_do_not_overflow(kernel, size):
    q, k, v = draw()
    o = kernel(size**0.5 * q, size**0.5 * k, v, everything(q))
    assert torch.isfinite(o).all() and o.abs().max() <= v.abs().max() + 1e-5


@named(OWN)
def test_adding_a_hundred_to_all_logits_changes_nothing(kernel):
    q, k, v = draw(head_dim=16)
    q[..., 0], k[..., 0] = 0, 0
    before = kernel(q, k, v, everything(q))
    q[..., 0], k[..., 0] = 20, 20  # 20 * 20 / sqrt(16) = 100 for every pair
    torch.testing.assert_close(kernel(q, k, v, everything(q)), before, atol=5e-5, rtol=0)


@named(UNPADDED)
def test_last_queries_alone_give_the_last_rows(packages, kernel):
    q, k, v = draw(2, 9, 4, 2, dtype=dtype_of(kernel))
    for lengths in ([9, 9], [9, 6]):
        seq = info(lengths, 9)
        if takes_fewer_queries(kernel, seq):
            whole, part = kernel(q, k, v, seq), kernel(q[:, 4:], k, v, seq)
            torch.testing.assert_close(part, whole[:, 4:], atol=1e-6, rtol=1e-2)


def test_packing_kernels_say_that_they_want_all_queries():
    padded, full = info([3, 2], 3), info([3, 3], 3)
    assert {name for name, kernel in KERNELS.items() if not takes_fewer_queries(kernel, full)} == {
        "flash-packed", "flash-varlen", "sdpa-varlen"
    }  # fmt: skip
    takes = {name for name, kernel in KERNELS.items() if takes_fewer_queries(kernel, padded)}
    assert {"reference", "sdpa", "tiled"} <= takes
    assert not takes & {"flash", "flash3", "xformers", "sdpa-flash", "flash-varlen"}


def test_reference_stays_float32_under_autocast():
    q, k, v = draw()
    plain = REFERENCE(q, k, v, info([7, 4], 7))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(REFERENCE(q, k, v, info([7, 4], 7)), plain)


def test_reference_passes_gradcheck_in_float64():
    q, k, v = (x.requires_grad_() for x in draw(1, 3, 2, 1, 2, torch.float64))
    seq = info([2], 3)
    assert torch.autograd.gradcheck(lambda q, k, v: REFERENCE(q, k, v, seq), (q, k, v))


def test_sequence_without_padding_has_no_mask():
    seq = info([3, 3], 3)
    assert seq.mask is None and seq.packed is None and seq.groups == ()
    assert seq.bias is None and seq.window is None
    assert seq.lengths == (3, 3) and seq.longest == 3 and seq.starts.tolist() == [0, 3, 6]


def test_packed_form_names_the_real_tokens_row_by_row():
    mask = torch.tensor([[1, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1], [1, 0, 1, 1]], dtype=torch.bool)
    seq = SequenceInfo.of(mask)
    assert seq.lengths == (3, 0, 4, 3) and seq.longest == 4
    assert seq.starts.tolist() == [0, 3, 3, 7, 10] and seq.starts.dtype == torch.int32
    assert seq.packed.tolist() == [0, 1, 3, 8, 9, 10, 11, 12, 14, 15]
    assert [group.tolist() for group in seq.groups] == [[[0, 1, 3], [12, 14, 15]], [[8, 9, 10, 11]]]
