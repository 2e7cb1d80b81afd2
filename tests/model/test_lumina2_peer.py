"""diffusers' Lumina2Transformer2DModel as a live peer, for models without the CLIP branch."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from newbie.attention.sdpa import Sdpa
from newbie.model.config import NextDiTConfig
from newbie.model.nextdit import NextDiT

GOLDEN = Path(__file__).parents[1] / "golden"

GROUPED = NextDiTConfig(
    dim=96,
    n_layers=3,
    n_heads=6,
    n_kv_heads=2,
    axes_dims=(8, 4, 4),
    n_refiner_layers=2,
    cap_feat_dim=40,
    clip_text_dim=None,
    multiple_of=32,
)
CONFIGS = {
    "grouped": GROUPED,
    "equal": replace(GROUPED, n_kv_heads=6),
    "one kv head, wide": replace(GROUPED, n_kv_heads=1, axes_dims=(4, 6, 6), ffn_dim_multiplier=1.3),
}
RENAMED = {
    "t_embedder.mlp.0": "time_caption_embed.timestep_embedder.linear_1",
    "t_embedder.mlp.2": "time_caption_embed.timestep_embedder.linear_2",
    "cap_embedder": "time_caption_embed.caption_embedder",
    "attention.out": "attn.to_out.0",
    "attention.q_norm": "attn.norm_q",
    "attention.k_norm": "attn.norm_k",
    "feed_forward.w": "feed_forward.linear_",
    "attention_norm2": "norm2",
    "final_layer.adaLN_modulation.1": "norm_out.linear_1",
    "final_layer.linear": "norm_out.linear_2",
    "adaLN_modulation.1": "norm1.linear",
}


def to_diffusers(state, config):
    """The mapping of the model specification, section 2.6, for this test only."""
    renamed = {}
    heads = [config.n_heads * config.head_dim, *2 * [config.n_kv_heads * config.head_dim]]
    for name, value in state.items():
        if name == "norm_final.weight":
            continue
        if name.endswith("attention.qkv.weight"):
            block = name.removesuffix("attention.qkv.weight")
            renamed |= {f"{block}attn.to_{x}.weight": part for x, part in zip("qkv", value.split(heads), strict=True)}
            continue
        for ours, theirs in RENAMED.items():
            name = name.replace(ours, theirs)
        plain = "norm1" if name.startswith("context_refiner") else "norm1.norm"
        renamed[name.replace("attention_norm1", plain)] = value
    return renamed


def peer_of(model):
    from diffusers import Lumina2Transformer2DModel  # which takes seconds, here and not in every worker

    config = model.config
    peer = Lumina2Transformer2DModel(
        in_channels=config.in_channels,
        hidden_size=config.dim,
        num_layers=config.n_layers,
        num_refiner_layers=config.n_refiner_layers,
        num_attention_heads=config.n_heads,
        num_kv_heads=config.n_kv_heads,
        multiple_of=config.multiple_of,
        ffn_dim_multiplier=config.ffn_dim_multiplier,
        norm_eps=config.norm_eps,
        axes_dim_rope=config.axes_dims,
        axes_lens=(300, 64, 64),
        cap_feat_dim=config.cap_feat_dim,
    )
    peer.load_state_dict(to_diffusers(model.state_dict(), config))
    for name, module in peer.named_modules():
        if name.endswith(("norm_q", "norm_k")):
            module.eps = config.qk_norm_eps
    return peer.eval()


def run_peer(peer, given, dtype=torch.float32):
    return peer(
        hidden_states=given.latents.to(dtype),
        timestep=given.t,
        encoder_hidden_states=given.hidden.to(dtype),
        encoder_attention_mask=given.mask,
        return_dict=False,
    )[0]


def run_ours(model, given):
    return model(given.latents, given.t, model.prepare(*given.text, given.size, attend=Sdpa()))


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("lengths", [(11, 4, 16), (7,)])
def test_velocity_agrees_with_diffusers(make_model, make_inputs, config, lengths):
    model = make_model(config, seed=4)
    given = make_inputs(lengths, size=(8, 12), config=config, seed=2)
    with torch.no_grad():
        ours, theirs = run_ours(model, given), run_peer(peer_of(model), given)
    assert ours.std() > 0.1
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def golden_model():
    sidecar = json.loads((GOLDEN / "dit_noclip_mha_weights.json").read_text())
    model = NextDiT(NextDiTConfig.from_dict(sidecar["config"]))
    model.load_state_dict(load_file(GOLDEN / "dit_noclip_mha_weights.safetensors"))
    return model.eval()


@pytest.mark.parametrize("weights", ["golden", *CONFIGS])
def test_bfloat16_error_is_at_most_that_of_diffusers(make_model, make_inputs, weights):
    model = golden_model() if weights == "golden" else make_model(CONFIGS[weights], seed=4)
    peer = peer_of(model)
    many = [make_inputs((11, 4), size=(8, 12), config=model.config, seed=seed) for seed in range(8)]
    with torch.no_grad():
        exact = [run_ours(model, given) for given in many]
        model.bfloat16()
        peer.bfloat16()
        ours = [run_ours(model, given) for given in many]
        theirs = [run_peer(peer, given, torch.bfloat16).float() for given in many]

    def rms(outputs):
        errors = [(a - b).square().mean().item() for a, b in zip(outputs, exact, strict=True)]
        return math.sqrt(sum(errors) / len(errors))

    assert 0 < rms(ours) <= 1.2 * rms(theirs)
