"""Weights for training from nothing."""

from __future__ import annotations

import torch

from newbie.attention.sdpa import Sdpa
from newbie.model.init import initialise


def test_same_generator_same_weights_and_every_parameter_is_set(make_model):
    one, two = make_model(seed=1), make_model(seed=2)
    for model in (one, two):
        initialise(model, torch.Generator().manual_seed(5))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    other = initialise(make_model(), torch.Generator().manual_seed(6))
    assert not torch.equal(other.x_embedder.weight, one.x_embedder.weight)


def test_fresh_model_says_zero_and_its_blocks_are_the_identity(make_model, make_inputs):
    model, given = initialise(make_model(), torch.Generator().manual_seed(5)), make_inputs()
    prepared = model.prepare(*given.text, given.size, attend=Sdpa())
    with torch.no_grad():
        assert not model(given.latents, given.t, prepared).any()
        x = torch.randn(2, 14, 48)
        temb = model.conditioning(given.t, prepared.pooled)
        block = model.layers[0]
        assert torch.equal(block(x, block.modulation(temb), prepared.seq), x)


def test_fresh_model_learns(make_model, make_inputs):
    model, given = initialise(make_model(), torch.Generator().manual_seed(5)), make_inputs()
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        prepared = model.prepare(*given.text, given.size, attend=Sdpa())
        loss = (model(given.latents, given.t, prepared) + given.latents).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
