"""The shape of an autoencoder of the FLUX family, read from and written to `vae/config.json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from newbie.errors import WeightsError

NORM_EPS = 1e-6

# What our layers do without being asked; a file that says otherwise describes another network.
FIXED: dict[str, Any] = {
    "act_fn": "silu",
    "use_quant_conv": False,
    "use_post_quant_conv": False,
    "mid_block_add_attention": True,
    "in_channels": 3,
    "out_channels": 3,
}

READ: dict[str, Callable[[Any], Any]] = {
    "block_out_channels": lambda channels: tuple(int(c) for c in channels),
    "layers_per_block": int,
    "latent_channels": int,
    "norm_num_groups": int,
    "scaling_factor": float,
    "shift_factor": float,
}


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """Channels of each level from the pixels inwards; the defaults are the published FLUX.1 autoencoder.

    Each level but the last halves the picture, so four levels make latents of one eighth of its sides.
    `layers_per_block` counts the encoder's residual blocks; a level of the decoder has one more.

    Raises:
        WeightsError: a number that no autoencoder of this family can have.
    """

    block_out_channels: tuple[int, ...] = (128, 256, 512, 512)
    layers_per_block: int = 2
    latent_channels: int = 16
    norm_num_groups: int = 32
    scaling_factor: float = 0.3611
    shift_factor: float = 0.1159

    def __post_init__(self) -> None:
        numbers = (
            *self.block_out_channels,
            self.layers_per_block,
            self.latent_channels,
            self.norm_num_groups,
        )
        if not self.block_out_channels or min(numbers) < 1 or self.scaling_factor == 0:
            raise WeightsError(
                f"autoencoder configuration {self} has a zero, a negative number or no level",
                "check vae/config.json against the weights",
            )
        for channels in self.block_out_channels:
            if channels % self.norm_num_groups:
                raise WeightsError(
                    f"autoencoder: {channels} channels cannot be normalised in {self.norm_num_groups} groups",
                    "norm_num_groups must divide every number of block_out_channels",
                )

    @property
    def factor(self) -> int:
        """Pixels per latent, along each side."""
        return 2 ** (len(self.block_out_channels) - 1)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> AutoencoderConfig:
        """Read a diffusers `vae/config.json`; keys that do not shape the network are ignored.

        Raises:
            WeightsError: the file describes an autoencoder of another family, or a value has the wrong type.
        """
        for key, ours in FIXED.items():
            if values.get(key, ours) != ours:
                raise WeightsError(
                    f"autoencoder configuration: {key} is {values[key]!r}, only {ours!r} is supported",
                    "pass the FLUX.1 autoencoder (16 latent channels, no quant convolutions) with --vae",
                )
        try:
            known = {name: read(values[name]) for name, read in READ.items() if name in values}
        except (TypeError, ValueError) as error:
            raise WeightsError(
                f"autoencoder configuration cannot be read: {error}", "compare it with a FLUX vae/config.json"
            ) from error
        return cls(**known)

    def to_json(self) -> dict[str, Any]:
        """The `vae/config.json` that `from_json` and diffusers' AutoencoderKL both read."""
        levels = len(self.block_out_channels)
        return {
            "_class_name": "AutoencoderKL",
            **FIXED,
            "block_out_channels": list(self.block_out_channels),
            "down_block_types": ["DownEncoderBlock2D"] * levels,
            "up_block_types": ["UpDecoderBlock2D"] * levels,
            "layers_per_block": self.layers_per_block,
            "latent_channels": self.latent_channels,
            "norm_num_groups": self.norm_num_groups,
            "scaling_factor": self.scaling_factor,
            "shift_factor": self.shift_factor,
            "force_upcast": True,
            "sample_size": 1024,
        }
