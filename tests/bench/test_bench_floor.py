"""The floor counts the work of the model, no more and no less; the peer is the same network."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from newbie.attention.choose import KERNELS
from newbie.bench import floor
from newbie.bench.agreement import rounded
from newbie.bench.contestants import Ours, Theirs
from newbie.bench.peer import peer_of
from newbie.bench.race import evaluate
from newbie.bench.sizes import SIZES, build, given
from newbie.bench.step_kernels import time_grid
from newbie.errors import UsageError

CPU = torch.device("cpu")
TINY = SIZES["tiny"]._replace(words=(7, 7))  # equal captions: no padding, which the floor leaves out


@pytest.fixture(scope="module")
def model():
    return build(TINY.config, CPU, torch.float32, seed=3)


def counted(run) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run()
    return counter.get_total_flops()


def flop_of(model, *, spared: bool) -> int:
    work = floor.Work.of(model, TINY, CPU, torch.float32, spared=spared)
    return work.product_flop + work.attention_flop


def test_the_floor_is_what_torch_counts_in_one_evaluation(model):
    material = given(TINY, CPU, 0)
    prepared = model.prepare(material.hidden, material.mask, None, TINY.latent, attend=KERNELS["reference"])
    times = torch.full((2,), 0.5)
    whole = counted(lambda: model(torch.cat([material.noise] * 2), times, prepared))
    conditioning = counted(lambda: model.modulations(times, None))  # known before the loop
    assert flop_of(model, spared=False) == whole - conditioning


def test_the_lower_floor_is_what_torch_counts_after_all_exact_savings(model):
    material, grid = given(TINY, CPU, 0), time_grid(4)
    with torch.no_grad():
        velocity = Ours("ours", model, TINY, material, grid, "reference").begin()
    assert flop_of(model, spared=True) == counted(lambda: velocity(material.noise, float(grid[0])))


@pytest.mark.parametrize("spared", [False, True])
def test_what_the_floor_runs_is_what_it_counts(model, spared):
    work = floor.products(model, TINY, spared=spared)
    assert counted(floor.multiply(work)) == sum(product.flop for product in work)
    runs = floor.attentions(TINY, floor.attention_work(TINY, spared=spared), CPU, torch.float32)
    assert "sdpa" in runs and not {"reference", "tiled"} & runs.keys()


def test_ceilings_are_positive():
    limits = floor.ceilings(CPU, torch.float32, rounds=1, scale=64)
    assert limits.tflops > 0 and limits.gb_per_second > 0


@pytest.mark.parametrize("name", ["tiny", "mini128"])
def test_our_velocity_is_that_of_diffusers_with_the_same_weights(name):
    size = SIZES[name]
    model = build(size.config, CPU, torch.float32, seed=0)
    material, grid = given(size, CPU, 0), time_grid(28)
    ours = evaluate(Ours("ours", model, size, material, grid, "sdpa").both(), material.noise, 0.3)
    for together in (True, False):
        theirs = evaluate(Theirs("theirs", peer_of(model), material, together).both(), material.noise, 0.3)
        assert theirs.std() > 0.1
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_in_bf16_we_err_at_most_a_fifth_more_than_diffusers():
    size = SIZES["mini128"]
    model = build(size.config, CPU, torch.float32, seed=0)
    material, grid = given(size, CPU, 0), time_grid(28)
    exact = evaluate(Theirs("theirs", peer_of(model), material, True).both(), material.noise, 0.3)
    model = model.bfloat16()
    ours = evaluate(Ours("ours", model, size, material, grid, "sdpa").both(), material.noise, 0.3)
    theirs = evaluate(Theirs("theirs", peer_of(model), material, True).both(), material.noise, 0.3)
    assert 0 < rounded(ours, theirs, exact)["ratio"] <= 1.2


def test_a_model_with_a_clip_branch_has_no_peer():
    from dataclasses import replace

    with pytest.raises(UsageError, match="no CLIP branch"):
        peer_of(build(replace(TINY.config, clip_text_dim=8), CPU, torch.float32, seed=0))


def test_weights_are_the_same_for_the_same_seed_and_others_for_another():
    one, same, other = (build(TINY.config, CPU, torch.float32, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one if "norm" not in name)
