"""The network against tensors recorded from the official code, block by block and as a whole."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from newbie.attention.reference import Reference
from newbie.attention.sdpa import Sdpa
from newbie.model.block import Attention
from newbie.model.config import NextDiTConfig
from newbie.model.nextdit import NextDiT, Prepared

GOLDEN = Path(__file__).parents[1] / "golden"
FAMILIES = {
    "dit_clip_gqa": ["b1", "b2", "b3", "varres", "no_pooled", "no_pooled_comfy", "zero_pooled"],
    "dit_noclip_mha": ["b1", "b3"],
}
CASES = [(family, case) for family, cases in FAMILIES.items() for case in cases]
ATTEND = [Reference(), Sdpa()]


@cache
def load(family: str, *, apex: bool = False, shrunk: bool = False) -> NextDiT:
    sidecar = json.loads((GOLDEN / f"{family}_weights.json").read_text())
    config = NextDiTConfig.from_dict(sidecar["config"])
    model = NextDiT(replace(config, qk_norm_eps=1e-5) if apex else config)
    weights = load_file(GOLDEN / f"{family}_weights.safetensors")
    if shrunk:
        for name, value in weights.items():
            if name.endswith("attention.qkv.weight"):
                value *= 0.002
            if name.startswith(("x_embedder", "cap_embedder.1")):
                value *= 0.01
    model.load_state_dict(weights)
    assert sum(p.numel() for p in model.parameters()) == sidecar["parameter_count"]
    return model.eval()


@cache
def golden(family: str) -> tuple[dict[str, Tensor], dict[str, dict]]:
    cases = json.loads((GOLDEN / f"{family}_forward.json").read_text())["cases"]
    return load_file(GOLDEN / f"{family}_forward.safetensors"), cases


def inputs(family: str, case: str) -> tuple[list[Tensor] | Tensor, Tensor, Tensor, Tensor, Tensor | None]:
    tensors, cases = golden(family)
    source = cases[case].get("inputs_from", case)
    latents = tensors.get(f"{source}/in.x")
    if latents is None:
        latents = [tensors[f"{source}/in.x.{row}"] for row in range(2)]
    features, mask, t = (tensors[f"{source}/in.{name}"] for name in ("cap_feats", "cap_mask", "t"))
    pooled = tensors.get(f"{source}/in.clip_text_pooled")
    if case.startswith("eps_small"):
        features, pooled = features * 0.002, None if pooled is None else pooled * 0.002
    if case == "zero_pooled":
        pooled = torch.zeros_like(pooled)
    if case.startswith("no_pooled"):
        pooled = None
    return latents, t, features, mask, pooled


def prepare(model: NextDiT, family: str, case: str, attend=ATTEND[1]) -> Prepared:
    latents, _, features, mask, pooled = inputs(family, case)
    without = "zeros" if case == "no_pooled_comfy" else "skip"
    sizes = [tuple(latent.shape[-2:]) for latent in latents]
    return model.prepare(features, mask, pooled, sizes, attend=attend, without_pooled=without)


def largest_error(ours: Tensor | list[Tensor], family: str, case: str) -> float:
    tensors, _ = golden(family)
    if isinstance(ours, list):
        pairs = [(row, tensors[f"{case}/out.{index}"]) for index, row in enumerate(ours)]
    else:
        pairs = [(ours, tensors[f"{case}/out"])]
    assert all(a.shape == b.shape and a.dtype == b.dtype for a, b in pairs)
    return max((a - b).abs().max().item() for a, b in pairs)


@pytest.mark.parametrize("attend", ATTEND, ids=lambda kernel: kernel.name)
@pytest.mark.parametrize(("family", "case"), CASES)
def test_velocity_equals_the_official_codes(family, case, attend):
    model = load(family)
    latents, t, *_ = inputs(family, case)
    with torch.no_grad():
        velocity = model(latents, t, prepare(model, family, case, attend))
    assert largest_error(velocity, family, case) < 1e-5


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("apex", [False, True])
def test_every_epsilon_stands_where_the_official_code_has_it(family, apex):
    case = "eps_small_apex" if apex else "eps_small"
    model = load(family, apex=apex, shrunk=True)
    latents, t, *_ = inputs(family, case)
    with torch.no_grad():
        velocity = model(latents, t, prepare(model, family, case))
    # Inputs this small amplify rounding: the golden README allows 2e-4 here.
    assert largest_error(velocity, family, case) < 2e-4
    assert largest_error(velocity, family, "eps_small" if apex else "eps_small_apex") > 1


@pytest.mark.parametrize(
    ("family", "case"), [("dit_clip_gqa", "b2"), ("dit_clip_gqa", "varres"), ("dit_noclip_mha", "b3")]
)
def test_every_stage_equals_the_official_codes(family, case):
    model = load(family)
    tensors, cases = golden(family)
    latents, t, *_ = inputs(family, case)
    prepared = prepare(model, family, case)
    lengths, width = cases[case]["caption_lengths"], prepared.words.shape[1]
    counts = prepared.grid.counts
    seen: dict[str, Tensor] = {}

    def record(name):
        def hook(module, args, output):
            seen[name] = output

        return hook

    watched = ["t_embedder", "x_embedder", "noise_refiner", "layers", "final_layer"]
    names = [
        name
        for name, module in model.named_modules()
        if name.split(".")[0] in watched and not isinstance(module, Attention)
    ]
    handles = [model.get_submodule(name).register_forward_hook(record(name)) for name in names]
    with torch.no_grad():
        model(latents, t, prepared)
    for handle in handles:
        handle.remove()
    seen["adaln_input"] = model.conditioning(t, prepared.pooled)
    seen[f"context_refiner.{model.config.n_refiner_layers - 1}"] = prepared.words
    if prepared.pooled is not None:
        seen["clip_text_pooled_proj"] = prepared.pooled
    seen["seq_in"] = torch.cat((prepared.words, seen[f"noise_refiner.{model.config.n_refiner_layers - 1}"]), 1)
    seen["rope_cos"], seen["rope_sin"] = (table.squeeze(2) for table in prepared.seq.rope)

    seen = {name.removesuffix(".out"): value for name, value in seen.items()}  # the attention's last part

    compared = 0
    for name, ours in seen.items():
        if f"{case}/inter.{name}" not in tensors:
            continue
        theirs = tensors[f"{case}/inter.{name}"]
        for row, (n, count) in enumerate(zip(lengths, counts, strict=True)):
            if name.startswith(("layers", "seq_in", "rope")):
                real = torch.cat((ours[row, :n], ours[row, width : width + count]))
                torch.testing.assert_close(real, theirs[row, : n + count], atol=1e-5, rtol=1e-5)
            elif name == "final_layer":
                torch.testing.assert_close(ours[row, :count], theirs[row, n : n + count], atol=1e-5, rtol=1e-5)
            elif name.startswith(("noise", "x_emb")):
                torch.testing.assert_close(ours[row, :count], theirs[row, :count], atol=1e-5, rtol=1e-5)
            elif name.startswith("context"):
                torch.testing.assert_close(ours[row, :n], theirs[row, :n], atol=1e-5, rtol=1e-5)
            else:
                torch.testing.assert_close(ours[row], theirs[row], atol=1e-5, rtol=1e-5)
        compared += 1
    assert compared >= 10
