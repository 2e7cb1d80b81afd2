"""Noise: the same for a seed, wherever it is drawn and whatever is drawn beside it."""

from __future__ import annotations

import torch

from newbie.sampling.noise import draw

SHAPE = (16, 6, 4)


def test_a_picture_has_the_same_noise_alone_and_in_any_batch() -> None:
    batch = draw([7, 3, 2**63 - 1, 3], SHAPE)
    assert batch.shape == (4, *SHAPE) and batch.dtype == torch.float32 and batch.device.type == "cpu"
    for row, seed in enumerate((7, 3, 2**63 - 1, 3)):
        assert torch.equal(batch[row], draw([seed], SHAPE)[0])
    assert not torch.equal(batch[0], batch[1])


def test_drawing_neither_reads_nor_moves_the_global_generator() -> None:
    torch.manual_seed(1)
    first = draw([5], SHAPE)
    state = torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(draw([5], SHAPE), first)
    torch.manual_seed(1)
    draw([5], SHAPE)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_noise_is_the_one_a_cpu_generator_draws_for_one_picture() -> None:
    # ComfyUI draws (1, 16, h, w) with a CPU generator of that seed.
    assert torch.equal(draw([42], SHAPE), torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(42)))


def test_the_default_device_does_not_matter() -> None:
    with torch.device("meta"):
        drawn = draw([5], SHAPE)
    assert drawn.device.type == "cpu" and torch.equal(drawn, draw([5], SHAPE))


def test_it_is_standard_normal() -> None:
    x = draw([1, 2], (16, 64, 64))
    assert abs(x.mean().item()) < 0.01 and abs(x.std().item() - 1) < 0.01
    assert abs((x[0] * x[1]).mean().item()) < 0.02
