"""Training the transformer: which step is of which stage, and ways of running the blocks that have one gradient."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from newbie.model.nextdit import RunBlocks, run_in_order
from newbie.train.flow import FlowRecipe, Painter, run_compiled
from newbie.train.optim import learning_rate
from newbie.train.recipes import MiniRecipe


def gradients(painter: Painter, run_blocks: RunBlocks) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(2, 16, 4, 6, generator=generator)
    words = torch.randint(4, 40, (2, 8), generator=generator)
    mask = torch.ones(2, 8, dtype=torch.bool)
    mask[1, 5:] = False
    velocity = painter(latents, torch.tensor([0.3, 0.8]), words, mask, words, run_blocks)
    trained = [parameter for parameter in painter.parameters() if parameter.requires_grad]
    found = torch.autograd.grad((velocity - latents).square().mean(), trained, allow_unused=True)
    return [gradient for gradient in found if gradient is not None]


@pytest.fixture(scope="module")
def recipe() -> FlowRecipe:
    return MiniRecipe(width=64, layers=2).flow(vocabulary=40)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch's tracer looks where tensors warn of being looked at
def test_compiled_blocks_have_the_gradients_of_the_written_ones(recipe: FlowRecipe) -> None:
    # Traced but not turned into C++, which would take a minute.
    painter = Painter(recipe)
    # Fresh gates are zero and would let no gradient through.
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in painter.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.02)
    plain, compiled = gradients(painter, run_in_order), gradients(painter, run_compiled("eager"))
    assert len(plain) == len(compiled) > 50
    assert all(bool(gradient.abs().max() > 0) for gradient in plain)
    for a, b in zip(plain, compiled, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-3, atol=1e-6)


def test_every_step_of_every_stage_comes_once_and_in_its_order() -> None:
    recipe = MiniRecipe(half_steps=30, full_steps=50, double_steps=7).flow(vocabulary=40)
    order = [recipe.stage_at(step) for step in range(recipe.steps)]
    for number, stage in enumerate(recipe.stages):
        assert [place for which, place in order if which == number] == list(range(stage.steps))
    assert [which for which, _ in order[:30]] == [0] * 30


def test_the_steps_with_the_largest_pictures_are_spread_among_those_before() -> None:
    recipe = MiniRecipe(half_steps=30, full_steps=50, double_steps=7).flow(vocabulary=40)
    places = [step for step in range(recipe.steps) if recipe.stage_at(step)[0] == 2]
    gaps = [b - a for a, b in pairwise(places)]
    assert set(gaps) <= {8, 9}  # 57 steps for 7
    assert places[0] - 30 in range(3, 6) and recipe.steps - places[-1] in range(3, 7)


def test_a_round_that_goes_on_takes_smaller_steps_and_slows_down_from_the_start() -> None:
    fresh = MiniRecipe(full_steps=50).flow(vocabulary=40)
    on = fresh.going_on("newbie-mini", seed=5)
    assert (on.start, on.seed, on.stages, on.transformer) == ("newbie-mini", 5, fresh.stages, fresh.transformer)
    assert on.muon_lr < fresh.muon_lr and on.adam_lr < fresh.adam_lr
    rates = [learning_rate(step, 1000, 100, on.decay) for step in range(1000)]
    assert all(b < a for a, b in pairwise(rates[101:980])) and max(rates) == 1.0
