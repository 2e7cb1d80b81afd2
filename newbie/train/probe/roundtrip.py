"""Pictures as a trained autoencoder decodes them from latents that are not quite right, as a generator's never are."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from newbie.checkpoints import load_vae
from newbie.train.probe.blemishes import NOISE, RoundTrip
from newbie.vae import Autoencoder


def round_trip(autoencoder: Autoencoder, dtype: torch.dtype = torch.float32) -> RoundTrip:
    """A blemish: encode, add a little noise to the latents (they have spread 1), decode."""

    @torch.no_grad()
    def trip(pictures: Tensor, generator: torch.Generator) -> Tensor:
        """(B, 3, H, W) in [0, 1] → the same."""
        with torch.autocast(pictures.device.type, dtype, enabled=dtype != torch.float32):
            latents = autoencoder.latents(autoencoder.encode(pictures * 2 - 1)).float()
            strength = NOISE * torch.rand(len(latents), 1, 1, 1, generator=generator, device=latents.device)
            wrong = torch.randn(latents.shape, generator=generator, device=latents.device)
            decoded = autoencoder.decode(latents + strength * wrong).float()
        return ((decoded + 1) / 2).clamp(0, 1)

    return trip


def of_folder(folder: Path, *, device: torch.device, dtype: torch.dtype) -> RoundTrip:
    """The round trip of the autoencoder in `folder`.

    Raises:
        WeightsError: there is none.
    """
    return round_trip(load_vae(folder, device=device).module, dtype)
