"""Previews: the linear map is found where there is one, and fits a real autoencoder's latents."""

from __future__ import annotations

import torch
from torch import Tensor

from newbie.sampling import preview


def test_a_linear_relation_between_latents_and_colours_is_found() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(17, 3, generator=generator) * 0.05
    latents = torch.randn(4, 16, 8, 8, generator=generator)
    colours = torch.einsum("bchw,cr->brhw", latents, truth[:-1]) + truth[-1][:, None, None]
    pixels = colours.repeat_interleave(8, 2).repeat_interleave(8, 3)
    matrix = preview.fit(latents, pixels)
    assert matrix.shape == (17, 3)
    torch.testing.assert_close(matrix, truth, rtol=0, atol=1e-3)
    torch.testing.assert_close(preview.apply(matrix, latents), colours.clamp(-1, 1), rtol=0, atol=0.01)


def test_a_preview_is_small_bounded_and_leaves_the_latents_alone() -> None:
    latents = torch.randn(2, 16, 5, 7) * 100
    kept = latents.clone()
    picture = preview.apply(torch.randn(17, 3), latents.bfloat16())
    assert picture.shape == (2, 3, 5, 7) and picture.dtype == torch.float32
    assert picture.min() >= -1 and picture.max() <= 1
    assert torch.equal(latents, kept)


def test_calibration_recovers_colours_from_an_encoder_that_mixes_them() -> None:
    mix = torch.randn(3, 16, generator=torch.Generator().manual_seed(3))

    def encode(pixels: Tensor) -> Tensor:
        small = torch.nn.functional.avg_pool2d(pixels, 8)
        return torch.einsum("brhw,rc->bchw", small, mix) * 0.3 + 0.1

    matrix = preview.calibrate(encode)
    pixels = torch.rand(1, 3, 64, 64) * 1.6 - 0.8
    seen = preview.apply(matrix, encode(pixels))
    torch.testing.assert_close(seen, torch.nn.functional.avg_pool2d(pixels, 8), rtol=0, atol=0.02)


def test_channels_that_never_vary_get_no_weight() -> None:
    latents = torch.randn(4, 16, 8, 8)
    latents[:, 5] = 0.3
    assert preview.fit(latents, torch.rand(4, 3, 64, 64))[5].abs().max() < 1e-6
