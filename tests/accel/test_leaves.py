"""Blocks run by leaves are the blocks of the model."""

from __future__ import annotations

import math

import pytest
import torch

from newbie import devices
from newbie.accel.cpu import CpuBlocks
from newbie.accel.leaves import Leaves
from newbie.accel.runner import InOrder, RunBlock
from newbie.attention.cpu import Folded
from newbie.attention.kernel import SequenceInfo
from newbie.attention.sdpa import Sdpa
from newbie.model.block import Modulation, TokenSequence
from newbie.model.nextdit import run_in_order
from newbie.model.rope import Rope

from .conftest import denoiser, draw_velocity, small_model

BF16 = pytest.mark.skipif(not devices.native_bf16("cpu"), reason="this processor has no bfloat16 in hardware")


def material(model, rows=2, length=11, per_token=False):
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(rows, length, model.config.dim, generator=generator)
    said = torch.randn(4, rows, length if per_token else 1, model.config.dim, generator=generator)
    angles = torch.rand(rows, length, 1, model.config.head_dim // 2, generator=generator)
    mask = torch.ones(rows, length, dtype=torch.bool)
    seq = TokenSequence(Rope(angles.cos(), angles.sin()), SequenceInfo.of(mask), Sdpa(), slice(0, None))
    return x.to(model.dtype), Modulation(*said.to(model.dtype)), seq


def on_a_cpu(model, **options):
    return CpuBlocks.of([*model.noise_refiner, *model.layers], **options).leaves()


def own_attention(step, layer, block, x, scale, seq):
    return block.project(seq.attend(*block.qkv(x, scale, seq), seq.info))


def own_feed(step, layer, block, x, scale):
    return block.feed(x, scale)


@pytest.mark.parametrize(
    "policies", [{}, {"attend": own_attention}, {"feed": own_feed}], ids=["whole", "attend", "feed"]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_run_block_gives_the_bits_of_the_blocks_own_forward(policies, dtype):
    model = small_model(dtype=dtype)
    x, m, seq = material(model)
    run = RunBlock(Leaves.plain(), **policies)
    assert torch.equal(run(None, 0, model.layers[0], x, m, seq), model.layers[0](x, m, seq))


def test_in_order_gives_the_bits_of_the_models_loop():
    model = small_model()
    x, m, seq = material(model)
    ours = InOrder(RunBlock(Leaves.plain()))(None, model.layers, x, [m] * 3, seq)
    assert torch.equal(ours, run_in_order(model.layers, x, [m] * 3, seq))


@pytest.mark.parametrize("arrange", [True, False])
@pytest.mark.parametrize("per_token", [True, False])
def test_leaves_for_a_cpu_are_the_block_up_to_rounding(arrange, per_token):
    model = small_model()
    x, m, seq = material(model, per_token=per_token)
    ours = InOrder(RunBlock(on_a_cpu(model, arrange=arrange)))(None, model.layers, x, [m] * 3, seq)
    theirs = run_in_order(model.layers, x, [m] * 3, seq)
    # The same sums in another order: float32 has seven digits, and three blocks follow one another.
    torch.testing.assert_close(ours, theirs, atol=2e-5 * theirs.abs().max().item(), rtol=0)


def test_the_branches_of_a_cpu_alone_are_those_of_the_block():
    model = small_model()
    x, m, _seq = material(model)
    block, leaves = model.layers[1], on_a_cpu(model)
    o = torch.randn(2, 11, 6, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(leaves.project(block, o), block.project(o), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(leaves.feed(block, x, m.scale_ffn), block.feed(x, m.scale_ffn), atol=1e-5, rtol=1e-5)


def test_no_leaf_writes_into_what_it_is_given():
    model = small_model()
    x, m, seq = material(model)
    leaves, kept = on_a_cpu(model), x.clone()
    q, k, v = leaves.qkv(model.layers[0], x, m.scale_attn, seq)
    o = seq.attend(q, k, v, seq.info)
    before = o.clone()
    leaves.rest(model.layers[0], x, o, m)
    assert torch.equal(x, kept)
    assert torch.equal(o, before)


def test_nothing_is_stored_on_the_model():
    model = small_model()
    before = {name: set(vars(module)) for name, module in model.named_modules()}
    keys = list(model.state_dict())
    draw_velocity(model, InOrder(RunBlock(on_a_cpu(model))))
    assert {name: set(vars(module)) for name, module in model.named_modules()} == before
    assert list(model.state_dict()) == keys


@BF16
@pytest.mark.parametrize("kernel", [Sdpa(), Folded()], ids=lambda kernel: kernel.name)
def test_in_bfloat16_leaves_for_a_cpu_are_not_less_exact_than_the_models_own(kernel):
    exact_model, model = small_model(), small_model(dtype=torch.bfloat16)
    blocks = InOrder(RunBlock(on_a_cpu(model)))
    squares = {"ours": 0.0, "plain": 0.0}
    for seed in range(4):
        exact = draw_velocity(exact_model, seed=seed)
        for name, run in {"ours": blocks, "plain": None}.items():
            got = draw_velocity(model, run, seed=seed, kernel=kernel if run else None)
            squares[name] += (got - exact).square().mean().item()
    assert 0 < math.sqrt(squares["ours"]) <= 1.2 * math.sqrt(squares["plain"])


def test_two_generations_at_once_are_each_as_if_alone():
    model = small_model()
    blocks = InOrder(RunBlock(on_a_cpu(model)))
    requests = [{"words": (9, 4), "side": 8, "seed": 1}, {"words": (3, 7), "side": 12, "seed": 2}]
    alone = [draw_velocity(model, blocks, **request) for request in requests]
    both = [denoiser(model, blocks, **request).velocity(1) for request in requests]
    noises = [torch.randn(1, 16, r["side"], r["side"], generator=torch.Generator().manual_seed(7)) for r in requests]
    first = float(denoiser(model).grid[0])
    together = [v(noise, first) for v, noise in zip(both, noises, strict=True)]
    again = [v(noise, first) for v, noise in zip(reversed(both), reversed(noises), strict=True)]
    for one, two, three in zip(alone, together, reversed(again), strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, three)
