"""The FLUX-layout autoencoder: pictures (B, 3, H, W) in [-1, 1] to latents (B, C, H/f, W/f), and back.

Source: the FLUX.1 autoencoder of Black Forest Labs, in the parameter names of diffusers' `AutoencoderKL`.
Scale and shift of the latents are applied here and nowhere else: what leaves `latents` and enters `decode` is
what the diffusion transformer works on.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from newbie.errors import UsageError
from newbie.vae.config import AutoencoderConfig
from newbie.vae.layers import DownBlock, GroupNorm, MidBlock, UpBlock, silu


class Posterior(NamedTuple):
    """A normal distribution over unscaled latents, (B, C, h, w) float32 each."""

    mean: Tensor
    logvar: Tensor  # clamped to [-30, 20]

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw from it; the noise is made on the generator's device, so it is the same on every other."""
        noise = torch.randn(self.mean.shape, generator=generator, device=generator.device)
        return self.mean + (0.5 * self.logvar).exp() * noise.to(self.mean.device)

    def kl(self) -> Tensor:
        """Divergence from the standard normal in nats, summed over a picture: (B,)."""
        return 0.5 * (self.mean.square() + self.logvar.exp() - 1.0 - self.logvar).flatten(1).sum(1)


class Encoder(nn.Module):
    """Pixels to the 2C moments of the latents."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        channels, groups = config.block_out_channels, config.norm_num_groups
        steps = list(pairwise((channels[0], *channels)))
        self.conv_in = nn.Conv2d(3, channels[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            DownBlock(cin, cout, layers=config.layers_per_block, groups=groups, last=level == len(steps) - 1)
            for level, (cin, cout) in enumerate(steps)
        )
        self.mid_block = MidBlock(channels[-1], groups)
        self.conv_norm_out = GroupNorm(groups, channels[-1])
        self.conv_out = nn.Conv2d(channels[-1], 2 * config.latent_channels, 3, padding=1)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.conv_in(pixels)
        for block in self.down_blocks:
            x = block(x)
        x = self.mid_block(x)
        moments: Tensor = self.conv_out(silu(self.conv_norm_out(x)))
        return moments


class Decoder(nn.Module):
    """Unscaled latents to pixels."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        channels, groups = config.block_out_channels[::-1], config.norm_num_groups
        steps = list(pairwise((channels[0], *channels)))
        self.conv_in = nn.Conv2d(config.latent_channels, channels[0], 3, padding=1)
        self.mid_block = MidBlock(channels[0], groups)
        self.up_blocks = nn.ModuleList(
            UpBlock(cin, cout, layers=config.layers_per_block + 1, groups=groups, last=level == len(steps) - 1)
            for level, (cin, cout) in enumerate(steps)
        )
        self.conv_norm_out = GroupNorm(groups, channels[-1])
        self.conv_out = nn.Conv2d(channels[-1], 3, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        x = self.mid_block(self.conv_in(latents))
        for block in self.up_blocks:
            x = block(x)
        pixels: Tensor = self.conv_out(silu(self.conv_norm_out(x)))
        return pixels


class Autoencoder(nn.Module):
    """Encoder, decoder, and the scale between them. Keeps the state of nothing."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def channels_last(self) -> Autoencoder:
        """Keep the numbers of one place side by side in the decoder's weights. Its convolutions then keep them so in
        the picture too, whatever comes in: on most processors they run faster, and add in another order."""
        self.decoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
        return self

    def encode(self, pixels: Tensor) -> Posterior:
        """Pixels (B, 3, H, W) in [-1, 1] to the unscaled posterior, float32.

        Raises:
            UsageError: a side is not a multiple of `config.factor`.
        """
        height, width = pixels.shape[2:]
        if height % self.config.factor or width % self.config.factor:
            raise UsageError(
                f"a picture of {width}x{height} cannot be encoded",
                f"make both sides a multiple of {self.config.factor} pixels",
            )
        moments = self.encoder(pixels.to(self.encoder.conv_in.weight.dtype)).float()
        mean, logvar = moments.chunk(2, dim=1)
        return Posterior(mean, logvar.clamp(-30.0, 20.0))

    def latents(self, posterior: Posterior, generator: torch.Generator | None = None) -> Tensor:
        """Scaled latents (B, C, h, w) float32: the mean, or a sample when there is a generator."""
        z = posterior.mean if generator is None else posterior.sample(generator)
        return (z - self.config.shift_factor) * self.config.scaling_factor

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents (B, C, h, w) to float32 pixels (B, 3, H, W), nominally in [-1, 1], not clamped."""
        z = latents.float() / self.config.scaling_factor + self.config.shift_factor
        pixels: Tensor = self.decoder(z.to(self.decoder.conv_in.weight.dtype))
        return pixels.float()
