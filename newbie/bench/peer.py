"""diffusers' Lumina2Transformer2DModel, with our weights: the only file that imports diffusers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from newbie.bench.sizes import Given
from newbie.checkpoints.save import save_table
from newbie.checkpoints.translate import untranslate
from newbie.errors import MissingExtra, UsageError
from newbie.model.nextdit import NextDiT

CLIP = ("clip_text_pooled_proj.", "time_text_embed.")  # what the peer has no place for


def peer_of(model: NextDiT) -> torch.nn.Module:
    """The peer with the same weights, device and dtype.

    Raises:
        MissingExtra: diffusers is not installed.
        UsageError: the model has a CLIP branch, which the peer lacks.
    """
    try:
        from diffusers import Lumina2Transformer2DModel
    except ModuleNotFoundError:
        raise MissingExtra("diffusers", "bench", "the comparison with diffusers") from None
    config = model.config
    if config.clip_text_dim is not None:
        raise UsageError("diffusers' model has no CLIP branch", "compare a configuration with clip_text_dim None")
    return _peer(Lumina2Transformer2DModel, model, model.state_dict())


def peer_with_clip(model: NextDiT) -> Any:
    """The same for a model with a CLIP branch, which is put behind the peer's own conditioning.

    Whoever calls it gives the projected vectors of all rows first: `peer.time_caption_embed.pooled`.
    """
    if model.config.clip_text_dim is None:
        return peer_of(model)
    try:
        from diffusers import Lumina2Transformer2DModel
    except ModuleNotFoundError:
        raise MissingExtra("diffusers", "bench", "the comparison with diffusers") from None
    state = {name: each for name, each in model.state_dict().items() if not name.startswith(CLIP)}
    peer: Any = _peer(Lumina2Transformer2DModel, model, state)
    peer.time_caption_embed = _Conditioned(peer.time_caption_embed, copy.deepcopy(model.time_text_embed))
    return peer.eval().requires_grad_(False)


class _Conditioned(torch.nn.Module):
    """Lumina-2's conditioning by the time, and what NewBie's CLIP branch makes of it."""

    def __init__(self, inner: torch.nn.Module, mix: torch.nn.Module) -> None:
        super().__init__()
        self.inner, self.mix = inner, mix
        self.pooled: Tensor | None = None  # (B, clip_text_dim), projected

    def forward(self, *given: Any, **named: Any) -> tuple[Tensor, Tensor]:
        assert self.pooled is not None
        time, words = self.inner(*given, **named)
        return self.mix(torch.cat((time, self.pooled.to(time.dtype)), dim=1)), words


def _peer(kind: Any, model: NextDiT, weights: Mapping[str, Tensor]) -> torch.nn.Module:
    config = replace(model.config, clip_text_dim=None)
    weight = model.x_embedder.weight
    with torch.device("meta"):
        peer = kind(
            in_channels=config.in_channels,
            patch_size=config.patch_size,
            hidden_size=config.dim,
            num_layers=config.n_layers,
            num_refiner_layers=config.n_refiner_layers,
            num_attention_heads=config.n_heads,
            num_kv_heads=config.n_kv_heads,
            multiple_of=config.multiple_of,
            ffn_dim_multiplier=config.ffn_dim_multiplier,
            norm_eps=config.norm_eps,
            axes_dim_rope=config.axes_dims,
            axes_lens=config.axes_lens,
            cap_feat_dim=config.cap_feat_dim,
        )
    state = untranslate(weights, save_table("transformer", "diffusers", config))
    # `norm_final` is in every official checkpoint and used by nobody. Copies: two models must not share the cache.
    own = {name: tensor.clone() for name, tensor in state.items() if not name.startswith("norm_final")}
    peer.load_state_dict(own, assign=True)
    peer.rope_embedder.freqs_cis = _rope_tables(peer, weight.device)
    for name, module in peer.named_modules():
        if name.endswith(("norm_q", "norm_k")):
            module.eps = config.qk_norm_eps  # the peer's own is 1e-5
    return peer.eval().requires_grad_(False)


def _rope_tables(peer: Any, device: torch.device) -> list[Tensor]:
    """The peer's position tables are no buffers: built on `meta` they are empty, and it copies them to the device at
    every call. Made anew, and put where the model is."""
    rope = peer.rope_embedder
    tables = rope._precompute_freqs_cis(rope.axes_dim, rope.axes_lens, rope.theta)
    return [table.to(device) for table in tables]


def velocities(peer: Callable[..., Any], given: Given, *, together: bool) -> Callable[[Tensor, float], Tensor]:
    """(x (1, C, h, w), t) -> conditional and unconditional velocity (2, C, h, w) float32.

    `together`: both rows in one padded call; else one call each without padding, as diffusers' own pipeline does.
    """
    dtype = next(peer.parameters()).dtype  # type: ignore[attr-defined]
    hidden, lengths = given.hidden.to(dtype), given.mask.sum(1).tolist()
    parts = [slice(0, 2)] if together else [slice(0, 1), slice(1, 2)]
    width = [max(lengths[part]) for part in parts]

    def both(x: Tensor, t: float) -> Tensor:
        latents = torch.cat((x, x)).to(dtype)
        times = torch.full((2,), t, dtype=torch.float32, device=x.device)
        outputs = [
            peer(latents[part], times[part], hidden[part, :n], given.mask[part, :n], return_dict=False)[0]
            for part, n in zip(parts, width, strict=True)
        ]
        return torch.cat(outputs).float()

    return both
