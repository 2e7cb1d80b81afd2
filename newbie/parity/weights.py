"""Golden weights into our networks, through the loader that real checkpoints take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from newbie.checkpoints import load_gemma, load_jina, load_transformer, load_vae
from newbie.parity.folder import Weights

Part = Literal["transformer", "text_encoder", "clip", "vae"]


def load(part: Part, weights: Weights, config: Mapping[str, Any]) -> Any:
    """The network in float32, ready to run. `config` is the cases' own, else that of the weights.

    Raises WeightsError like any load.
    """
    said = dict(config or weights.config)
    return _LOAD[part](list(weights.files), said).module


def _vae_config(said: Mapping[str, Any]) -> dict[str, Any]:
    """The autoencoder's settings, also from the spelling of the original FLUX code."""
    if "ch" not in said:
        return dict(said)
    return {
        "block_out_channels": [said["ch"] * multiplier for multiplier in said["ch_mult"]],
        "layers_per_block": said["num_res_blocks"],
        "latent_channels": said["z_channels"],
        "scaling_factor": said["scale_factor"],
        "shift_factor": said["shift_factor"],
        "norm_num_groups": said.get("norm_groups", 32),
    }


_LOAD: dict[Part, Callable[..., Any]] = {
    "transformer": lambda files, said: load_transformer(files, config=said),
    "text_encoder": lambda files, said: load_gemma(files, config=said, tokenizer=False),
    "clip": lambda files, said: load_jina(files, config=said, tokenizer=False),
    "vae": lambda files, said: load_vae(files, config=_vae_config(said)),
}
