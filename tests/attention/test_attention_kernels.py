"""The reference against arithmetic by hand, and PyTorch's kernel against the reference."""

from __future__ import annotations

import math

import pytest
import torch

from newbie.attention.kernel import SequenceInfo
from newbie.attention.reference import Reference
from newbie.attention.sdpa import Sdpa

REFERENCE, SDPA = Reference(), Sdpa()


def draw(rows=2, length=7, heads=4, kv_heads=2, head_dim=8, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(rows, length, n, head_dim) for n in (heads, kv_heads, kv_heads)]
    return [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]


def info(lengths, width):
    return SequenceInfo.of(torch.arange(width) < torch.tensor(lengths)[:, None])


def everything(q):
    return info([q.shape[1]] * q.shape[0], q.shape[1])


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


@pytest.mark.parametrize("kernel", [REFERENCE, SDPA], ids=lambda kernel: kernel.name)
def test_kernel_equals_the_formula_computed_with_python_floats(kernel):
    q, k, v = draw(rows=3, length=4, heads=6, kv_heads=2, head_dim=4)
    valid = [[1, 1, 1, 0], [1, 0, 0, 1], [0, 0, 0, 0]]
    seq = SequenceInfo.of(torch.tensor(valid, dtype=torch.bool))
    torch.testing.assert_close(kernel(q, k, v, seq), by_hand(q, k, v, valid), atol=2e-6, rtol=0)


@pytest.mark.parametrize("head_dim", [16, 32, 96, 120])
@pytest.mark.parametrize(("heads", "kv_heads"), [(3, 3), (6, 2), (8, 1)])
@pytest.mark.parametrize("lengths", [[1, 1], [7, 7], [64, 3], [129, 0]])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.bfloat16, 2e-2)])
def test_sdpa_equals_the_reference(head_dim, heads, kv_heads, lengths, dtype, tolerance):
    q, k, v = draw(2, max(lengths), heads, kv_heads, head_dim, dtype)
    seq = info(lengths, max(lengths))
    ours, exact = SDPA(q, k, v, seq), REFERENCE(q.float(), k.float(), v.float(), seq)
    assert ours.dtype == dtype and ours.shape == q.shape
    torch.testing.assert_close(ours.float(), exact, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("kernel", [REFERENCE, SDPA], ids=lambda kernel: kernel.name)
def test_query_without_any_key_gives_zeros_and_finite_gradients(kernel):
    q, k, v = (x.requires_grad_() for x in draw())
    o = kernel(q, k, v, info([5, 0], 7))
    assert torch.equal(o[1], torch.zeros_like(o[1]))
    o.sum().backward()
    assert all(torch.isfinite(x.grad).all() for x in (q, k, v))


@pytest.mark.parametrize("kernel", [REFERENCE, SDPA], ids=lambda kernel: kernel.name)
def test_padding_keys_have_no_effect_whatever_they_hold(kernel):
    q, k, v = draw()
    seq = info([5, 3], 7)
    before = kernel(q, k, v, seq)
    for row, n in enumerate([5, 3]):
        k[row, n:], v[row, n:] = 1e4, -1e4
    assert torch.equal(kernel(q, k, v, seq), before)


@pytest.mark.parametrize("kernel", [REFERENCE, SDPA], ids=lambda kernel: kernel.name)
def test_order_of_keys_does_not_matter(kernel):
    q, k, v = draw(length=9)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    mask = torch.arange(9) < torch.tensor([9, 4])[:, None]
    there = kernel(q, k, v, SequenceInfo.of(mask))
    back = kernel(q, k[:, order], v[:, order], SequenceInfo.of(mask[:, order]))
    torch.testing.assert_close(back, there, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kernel", [REFERENCE, SDPA], ids=lambda kernel: kernel.name)
def test_huge_logits_do_not_overflow(kernel):
    q, k, v = draw()
    o = kernel(100 * q, 100 * k, v, everything(q))
    assert torch.isfinite(o).all() and o.abs().max() <= v.abs().max() + 1e-5


def test_gradients_of_sdpa_equal_those_of_the_reference():
    grads = []
    for kernel in (REFERENCE, SDPA):
        q, k, v = (x.requires_grad_() for x in draw(heads=6, kv_heads=3, head_dim=16))
        o = kernel(q, k, v, info([7, 4], 7))
        (o * torch.linspace(-1, 1, o.numel()).view_as(o)).sum().backward()
        grads.append((q.grad, k.grad, v.grad))
    for ours, exact in zip(*grads, strict=True):
        torch.testing.assert_close(ours, exact, atol=2e-6, rtol=1e-5)


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
    assert seq.lengths == (3, 3) and seq.longest == 3 and seq.starts.tolist() == [0, 3, 6]


def test_packed_form_names_the_real_tokens_row_by_row():
    mask = torch.tensor([[1, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1], [1, 0, 1, 1]], dtype=torch.bool)
    seq = SequenceInfo.of(mask)
    assert seq.lengths == (3, 0, 4, 3) and seq.longest == 4
    assert seq.starts.tolist() == [0, 3, 3, 7, 10] and seq.starts.dtype == torch.int32
    assert seq.packed.tolist() == [0, 1, 3, 8, 9, 10, 11, 12, 14, 15]
    assert [group.tolist() for group in seq.groups] == [[[0, 1, 3], [12, 14, 15]], [[8, 9, 10, 11]]]
