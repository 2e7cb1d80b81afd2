"""What is computed beside a layer is what would be added to its matrix."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from newbie.lora.deltas import Full, Kronecker, LowRank
from newbie.model.adapted import AdaptedLinear, Branch

from .conftest import random

SIZES = st.integers(1, 5)


def close(delta):
    x = random(2, 3, delta.shape[1], seed=9)
    torch.testing.assert_close(delta(x), F.linear(x, delta.dense()), atol=1e-4, rtol=1e-4)
    assert delta.dense().shape == delta.shape


@settings(max_examples=40)
@given(SIZES, SIZES, SIZES, st.floats(-2, 2))
def test_low_rank(rows, columns, rank, scale):
    up, down = random(rows, rank), random(rank, columns, seed=1)
    delta = LowRank(up, down, scale=scale)
    close(delta)
    np.testing.assert_allclose(delta.dense(), scale * np.dot(up.numpy(), down.numpy()), atol=1e-4)


@settings(max_examples=40)
@given(SIZES, SIZES, SIZES, SIZES, st.floats(-2, 2))
def test_kronecker(out1, in1, out2, in2, scale):
    w1, w2 = random(out1, in1), random(out2, in2, seed=1)
    delta = Kronecker(w1, w2, scale=scale)
    close(delta)
    np.testing.assert_allclose(delta.dense(), scale * np.kron(w1.numpy(), w2.numpy()), atol=1e-4)


@settings(max_examples=40)
@given(SIZES, SIZES, st.floats(-2, 2))
def test_the_whole_difference(rows, columns, scale):
    close(Full(random(rows, columns), scale=scale))


@pytest.mark.parametrize(
    "delta", [LowRank(random(6, 2), random(2, 4), scale=0.5), Kronecker(random(2, 2), random(3, 2), scale=0.5)]
)
def test_strength_multiplies_and_shares_the_numbers(delta):
    twice = delta.scaled(2.0)
    torch.testing.assert_close(twice.dense(), 2 * delta.dense())
    assert [a.data_ptr() for a in twice.buffers()] == [b.data_ptr() for b in delta.buffers()]
    moved = delta.scaled(1.0).to(torch.bfloat16)
    assert all(numbers.dtype == torch.bfloat16 for numbers in moved.buffers())
    assert all(numbers.dtype == torch.float32 for numbers in delta.buffers())


def test_branches_add_to_their_rows_and_to_no_others():
    base = torch.nn.Linear(4, 6)
    first, second = (LowRank(random(2, 1, seed=s), random(1, 4, seed=s + 1), scale=1.0) for s in (1, 3))
    adapted = AdaptedLinear(base, [Branch(first, 0, 2), Branch(second, 4, 6)])
    x = random(3, 4, seed=8)
    wanted = base(x) + torch.cat((first(x), torch.zeros(3, 2), second(x)), dim=-1)
    torch.testing.assert_close(adapted(x), wanted)
    assert torch.equal(adapted(x)[:, 2:4], base(x)[:, 2:4])
    assert not hasattr(adapted, "weight")


def test_gradients_reach_the_adapter():
    with torch.enable_grad():
        up, down = random(6, 2).requires_grad_(), random(2, 4).requires_grad_()
        delta = LowRank(up, down, scale=0.5)
        adapted = AdaptedLinear(torch.nn.Linear(4, 6).requires_grad_(False), [Branch(delta, 0, 6)])
        adapted(random(3, 4)).sum().backward()
        assert up.grad is not None and down.grad is not None
