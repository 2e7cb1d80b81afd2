"""Triton's kernels beside the block they stand for. They need a card, or Triton's interpreter: TRITON_INTERPRET=1."""

from __future__ import annotations

import os

import pytest
import torch

from newbie.accel.runner import RunBlock
from newbie.model.block import Modulation

from .conftest import small_model
from .test_leaves import material

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
pytestmark = pytest.mark.gpu


@pytest.fixture
def triton_leaves():
    pytest.importorskip("triton", reason="triton is not installed")
    if not (torch.cuda.is_available() or INTERPRETED):
        pytest.skip("there is no CUDA device, and TRITON_INTERPRET is not 1")
    from newbie.accel import triton

    return triton.leaves()


@pytest.mark.parametrize("per_token", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_a_block_by_triton_is_the_block(triton_leaves, per_token, dtype, tolerance):
    device = "cpu" if INTERPRETED else "cuda"
    model = small_model(dtype=dtype).to(device)
    x, m, seq = material(model, per_token=per_token)
    x, m = x.to(device), Modulation(*(numbers.to(device) for numbers in m))
    seq = seq._replace(rope=type(seq.rope)(*(numbers.to(device) for numbers in seq.rope)))
    ours = RunBlock(triton_leaves)(None, 0, model.layers[0], x, m, seq).float()
    theirs = model.layers[0](x, m, seq).float()
    # bfloat16 keeps eight bits, and the kernels round once where the block rounds four times.
    torch.testing.assert_close(ours, theirs, atol=tolerance * theirs.abs().max().item(), rtol=0)
