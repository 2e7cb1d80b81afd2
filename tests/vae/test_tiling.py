"""Decoding in tiles against decoding at once."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from newbie.errors import UsageError
from newbie.memory.activations import of_decoding
from newbie.vae import Autoencoder, AutoencoderConfig
from newbie.vae.tiling import Tiling

SMALL = AutoencoderConfig(block_out_channels=(8, 8, 8), latent_channels=4, norm_num_groups=4, layers_per_block=1)


@pytest.fixture(scope="module")
def vae() -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(SMALL).eval().requires_grad_(False)


class Nearest(Autoencoder):
    """A decoder that sees single places: tiles cannot change what it makes."""

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return latents[:, :3].float().repeat_interleave(4, 2).repeat_interleave(4, 3)


@given(size=st.integers(1, 400), side=st.integers(64, 600), factor=st.sampled_from([1, 2, 4, 8]))
def test_tiles_cover_a_side_are_of_one_length_and_never_larger_than_asked(size, side, factor):
    tiling = Tiling(side)
    cuts = tiling.cuts(size, factor)
    assert (cuts[0].start, cuts[-1].stop) == (0, size)
    (length,) = {cut.stop - cut.start for cut in cuts}
    assert length <= max(side // factor, 2)
    overlaps = [a.stop - b.start for a, b in pairwise(cuts)]
    assert not overlaps or (max(overlaps) <= min(overlaps) + 1 and min(overlaps) >= max(side // factor // 4, 1))
    assert [cut.before for cut in cuts] == [0, *overlaps] and [cut.after for cut in cuts] == [*overlaps, 0]
    assert all(cut.before + cut.after <= length for cut in cuts)  # no place is in three tiles


@pytest.mark.parametrize("size", [(33, 47), (16, 64), (40, 16)])
def test_a_decoder_that_sees_places_alone_makes_the_same_in_tiles(size):
    latents = torch.randn(2, 4, *size)
    pixels = Tiling(64).decode(Nearest(SMALL), latents)
    torch.testing.assert_close(pixels, Nearest(SMALL).decode(latents), rtol=0, atol=1e-5)


def test_a_picture_that_one_tile_holds_is_decoded_as_ever(vae):
    latents = torch.randn(1, 4, 16, 12)
    assert torch.equal(Tiling(64).decode(vae, latents), vae.decode(latents))


def test_pictures_of_a_batch_are_decoded_by_themselves(vae):
    latents = torch.randn(3, 4, 24, 24)
    together = Tiling(64).decode(vae, latents)
    apart = torch.cat([Tiling(64).decode(vae, row[None]) for row in latents])
    assert torch.equal(together, apart)


def test_no_seam_is_left_in_a_picture(mini):
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 384), torch.linspace(-1, 1, 384), indexing="ij")
    picture = torch.stack((torch.sin(7 * rows + 3 * columns), torch.cos(9 * columns), rows * columns))[None] * 0.8
    latents = mini.vae.latents(mini.vae.encode(picture))
    tiling = Tiling(192)
    with torch.no_grad():
        pixels, whole = tiling.decode(mini.vae, latents), mini.vae.decode(latents)
    factor = mini.vae.config.factor
    steps = pixels.diff(dim=3).abs().mean((0, 1, 2))  # between neighbouring columns
    across = torch.zeros(len(steps), dtype=torch.bool)
    for cut in tiling.cuts(latents.shape[3], factor)[1:]:
        across[cut.start * factor - 1 : cut.start * factor + int(192 * 0.25)] = True
    assert 0 < across.sum() < len(steps) / 2
    assert steps[across].mean() <= 1.2 * steps[~across].mean()
    assert (pixels - whole).abs().mean() < 0.1


def test_a_tiled_picture_needs_a_fraction_of_the_memory():
    config, latent = AutoencoderConfig(), (256, 256)  # the published one, 2048x2048
    whole = of_decoding(config, latent, torch.bfloat16, None)
    assert whole > 3 * of_decoding(config, latent, torch.bfloat16, Tiling(512))


def test_tiles_need_a_side():
    with pytest.raises(UsageError, match="too small"):
        Tiling(8)
