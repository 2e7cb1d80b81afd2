"""A bias on the scores and a window of visible keys: against the formula with one big float mask."""

from __future__ import annotations

import math

import pytest
import torch

from newbie.attention.choose import KERNELS
from newbie.attention.kernel import SequenceInfo

CARD_ONLY = ("sdpa-efficient", "sdpa-cudnn")
BIASED = [kernel for name, kernel in KERNELS.items() if kernel.needs.bias and name not in CARD_ONLY]
WINDOWED = [kernel for name, kernel in KERNELS.items() if kernel.needs.window and name not in CARD_ONLY]
LENGTH, HEADS = 9, 4
WINDOWS = [(0, 0), (2, 1), (-1, 0), (3, -1), (-1, -1), (50, 50)]
# Rows of words, padding, image: real tokens are not neighbours, as in the joint layers.
HOLES = torch.tensor([[1, 1, 1, 1, 1, 1, 1, 1, 1], [1, 0, 0, 0, 1, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1, 1, 1]]).bool()
FULL = torch.ones_like(HOLES)


def named(kernels):
    return pytest.mark.parametrize("kernel", kernels, ids=lambda kernel: kernel.name)


def draw(kernel, kv_heads=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    half = torch.float32 not in (kernel.needs.dtypes or [torch.float32])
    shapes = [(3, LENGTH, n, 16) for n in (HEADS, kv_heads, kv_heads)]
    return [torch.randn(shape, generator=generator).to(torch.bfloat16 if half else torch.float32) for shape in shapes]


def by_formula(q, k, v, added):
    """All scores at once in float64; `added` broadcasts to (B, H, L, L)."""
    q, k, v = (x.double().transpose(1, 2) for x in (q, k, v))
    k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], 1) for x in (k, v))
    scores = q @ k.mT / math.sqrt(q.shape[3]) + added.double()
    return (scores.softmax(-1).nan_to_num(0) @ v).transpose(1, 2)


def hidden(mask):
    return torch.zeros(len(mask), 1, 1, LENGTH).masked_fill(~mask[:, None, None], -math.inf)


def band(mask, left, right):
    """Rank by rank with Python loops: who sees whom among the real tokens of a row."""
    added = torch.full((len(mask), 1, LENGTH, LENGTH), -math.inf)
    for row, real in enumerate(mask.tolist()):
        places = [place for place, there in enumerate(real) if there]
        for i, query in enumerate(places):
            for j, key in enumerate(places):
                if (left < 0 or i - j <= left) and (right < 0 or j - i <= right):
                    added[row, 0, query, key] = 0
    return added


def check(ours, exact, mask):
    close = 1e-6 if ours.dtype == torch.float32 else 2e-2
    torch.testing.assert_close(ours[mask].double(), exact[mask], atol=close, rtol=close)


@named(BIASED)
@pytest.mark.parametrize("shape", [(3, 4, 9, 9), (1, 1, 9, 9), (3, 1, 1, 9), (4, 9, 9), (9, 9), (1, 1, 1, 1)])
@pytest.mark.parametrize("mask", [FULL, HOLES], ids=["full", "holes"])
@pytest.mark.parametrize("kv_heads", [4, 1])
def test_bias_is_added_to_the_scores(packages, kernel, shape, mask, kv_heads):
    q, k, v = draw(kernel, kv_heads)
    bias = 3 * torch.randn(shape, generator=torch.Generator().manual_seed(1))
    o = kernel(q, k, v, SequenceInfo.of(mask)._replace(bias=bias))
    check(o, by_formula(q, k, v, bias + hidden(mask)), mask)


@named([kernel for kernel in BIASED if not kernel.needs.package])
def test_bias_may_hide_everything_from_a_query(kernel):
    q, k, v = (x.requires_grad_() for x in draw(kernel))
    bias = torch.zeros(LENGTH, LENGTH)
    bias[3] = -math.inf
    o = kernel(q, k, v, SequenceInfo.of(FULL)._replace(bias=bias))
    assert not o[:, 3].any() and o[:, 4].any()
    o.sum().backward()
    assert all(torch.isfinite(x.grad).all() for x in (q, k, v))


@named(BIASED)
def test_row_without_tokens_stays_zero_under_a_bias(packages, kernel):
    q, k, v = draw(kernel)
    mask = FULL.clone()
    mask[1] = False
    o = kernel(q, k, v, SequenceInfo.of(mask)._replace(bias=torch.ones(LENGTH, LENGTH)))
    assert not o[1].any() and torch.isfinite(o).all()


@named(WINDOWED)
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("mask", [FULL, HOLES], ids=["full", "holes"])
def test_window_counts_real_tokens(packages, kernel, window, mask):
    q, k, v = draw(kernel)
    o = kernel(q, k, v, SequenceInfo.of(mask)._replace(window=window))
    check(o, by_formula(q, k, v, band(mask, *window)), mask)


@named([kernel for kernel in BIASED if kernel.needs.window])
def test_bias_and_window_together(packages, kernel):
    q, k, v = draw(kernel)
    bias = torch.randn(LENGTH, LENGTH, generator=torch.Generator().manual_seed(1))
    o = kernel(q, k, v, SequenceInfo.of(HOLES)._replace(bias=bias, window=(2, 1)))
    check(o, by_formula(q, k, v, bias + band(HOLES, 2, 1)), HOLES)


@named([kernel for kernel in BIASED if kernel.needs.window and kernel.needs.key_mask and kernel.needs.fewer_queries])
def test_last_queries_alone_keep_their_bias_and_window(packages, kernel):
    q, k, v = draw(kernel)
    bias = torch.randn(LENGTH, LENGTH, generator=torch.Generator().manual_seed(1))
    seq = SequenceInfo.of(HOLES)._replace(bias=bias, window=(2, 1))
    whole, part = kernel(q, k, v, seq), kernel(q[:, 4:], k, v, seq)
    torch.testing.assert_close(part, whole[:, 4:], atol=1e-6, rtol=1e-6)


@named([kernel for kernel in BIASED if not kernel.needs.package and kernel.needs.backward])
def test_gradients_under_a_bias_equal_those_of_the_formula(kernel):
    bias = torch.randn(HEADS, LENGTH, LENGTH, generator=torch.Generator().manual_seed(1))
    seq, grads = SequenceInfo.of(HOLES)._replace(bias=bias), []
    for each in (lambda q, k, v: kernel(q, k, v, seq), lambda q, k, v: by_formula(q, k, v, bias + hidden(HOLES))):
        q, k, v = (x.requires_grad_() for x in draw(kernel))
        o = each(q, k, v)[HOLES]
        (o * torch.linspace(-1, 1, o.numel()).view_as(o)).sum().backward()
        grads.append((q.grad, k.grad, v.grad))
    for ours, exact in zip(*grads, strict=True):
        torch.testing.assert_close(ours, exact, atol=5e-6, rtol=1e-5)


def test_a_bias_of_a_thousand_million_keeps_small_differences():
    """In float32 a bias of 1e9 swallows the scores: the kernels do not hide that, and add what they are given."""
    kernel = KERNELS["sdpa"]
    q, k, v = draw(kernel)
    small = torch.zeros(LENGTH, LENGTH)
    small[:, 0] = 1.0
    there = kernel(q.bfloat16(), k.bfloat16(), v.bfloat16(), SequenceInfo.of(FULL)._replace(bias=small + 300))
    exact = by_formula(q.bfloat16(), k.bfloat16(), v.bfloat16(), small)
    torch.testing.assert_close(there.double(), exact, atol=3e-2, rtol=3e-2)  # bf16 would round 301 to 300 or 302
