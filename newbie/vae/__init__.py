"""The autoencoder between pictures and latents."""

from newbie.vae.autoencoder import Autoencoder, Posterior
from newbie.vae.config import AutoencoderConfig
from newbie.vae.pixels import from_uint8, to_uint8

__all__ = ["Autoencoder", "AutoencoderConfig", "Posterior", "from_uint8", "to_uint8"]
