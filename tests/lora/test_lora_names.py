"""Every spelling of a key leads to the same weights."""

from __future__ import annotations

import pytest
import torch

from newbie.checkpoints.tables import nextdit as table
from newbie.checkpoints.translate import untranslate
from newbie.lora import Worn, merge, read_adapter
from newbie.lora.names import parse_key, resolve, targets
from newbie.model.config import VARIANTS
from newbie.model.nextdit import NextDiT

from .conftest import PEFT, TARGETS, low_rank, pairs, random, written

SIDES = {"A": "down", "B": "up"}
QKV = (96, 32, 32)  # rows of q, k and v: six heads of 16, two, two


def weights(model, tensors, tmp_path, name="adapter.safetensors"):
    adapter = read_adapter(written(tmp_path / name, tensors), model)
    return merge(model, [Worn(adapter)]).state_dict(), adapter.report


@pytest.mark.parametrize(
    ("key", "spelling"),
    [
        ("{name}.lora_{side}.weight", "plain"),
        ("base_model.model.{name}.lora_{side}.default.weight", "PEFT"),
        ("transformer.{name}.lora_{side}.weight", "diffusers"),
        ("transformer.{name}.lora.{down}.weight", "diffusers"),
        ("diffusion_model.{name}.lora_{side}.weight", "ComfyUI"),
        ("diffusion_model.{name}.lora_{down}.weight", "ComfyUI"),
        ("model.diffusion_model.{name}.lora_{down}.weight", "ComfyUI"),
        ("lora_unet_{flat}.lora_{down}.weight", "kohya"),
        ("lora_transformer_{flat}.lora_{down}.weight", "kohya"),
        ("lycoris_{flat}.lora_{down}.weight", "LyCORIS"),
    ],
)
def test_every_spelling_is_the_same_adapter(model, tmp_path, key, spelling):
    wanted, _ = weights(model, pairs(model, PEFT), tmp_path)
    tensors = {}
    for seed, name in enumerate(TARGETS):
        for side, tensor in zip("AB", low_rank(model, name, seed=10 * seed), strict=True):
            tensors[key.format(name=name, flat=name.replace(".", "_"), side=side, down=SIDES[side])] = tensor
    found, report = weights(model, tensors, tmp_path, "other.safetensors")
    assert report.spelling == spelling and not report.unmatched and sorted(report.modules) == sorted(TARGETS)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("flat", [False, True])
def test_diffusers_names_give_what_adding_to_diffusers_own_weights_gives(model, tmp_path, flat):
    """The independent way: our weights under diffusers' names, B A added there, and translated back."""
    names = [
        "layers.1.attn.to_q",
        "layers.1.attn.to_k",
        "layers.1.attn.to_v",
        "noise_refiner.0.attn.to_v",
        "context_refiner.0.attn.to_out.0",
        "layers.0.feed_forward.linear_3",
        "layers.0.norm1.linear",
        "time_caption_embed.timestep_embedder.linear_1",
        "time_caption_embed.clip_text_pooled_proj.1",
        "norm_out.linear_2",
    ]
    rules = table.diffusers(QKV)
    theirs = untranslate(model.state_dict(), rules)
    tensors = {}
    for seed, name in enumerate(names):
        rows, columns = theirs[f"{name}.weight"].shape
        down, up = random(3, columns, seed=seed), random(rows, 3, seed=seed + 100)
        spelled = "lora_unet_" + name.replace(".", "_") if flat else f"transformer.{name}"
        tensors |= {f"{spelled}.lora_A.weight": down, f"{spelled}.lora_B.weight": up}
        theirs[f"{name}.weight"] = theirs[f"{name}.weight"] + up @ down
    found, report = weights(model, tensors, tmp_path)
    assert len(report.modules) == len(names) and not report.unmatched
    assert "layers.1.attention.qkv, rows 96 to 127" in report.modules
    wanted = back(theirs, rules)
    assert found.keys() - {"norm_final.weight"} == wanted.keys()
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-5, rtol=0)


def back(theirs, rules):
    """diffusers' tensors as ours, by the table's own loading."""
    from newbie.checkpoints.rules import fill_in, matches

    ours = {}
    for rule in rules:
        for name in theirs:
            stars = matches(rule.theirs[0], name) if rule.theirs else None
            if stars is not None:
                parts = [theirs[fill_in(pattern, stars)] for pattern in rule.theirs]
                ours |= {fill_in(rule.ours[0], stars): rule.load(parts)[0]}
    return ours


def test_no_name_with_underscores_means_two_modules(model):
    found = targets(model)
    linears = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    assert all(found[name].module == found[name.replace(".", "_")].module == name for name in linears)


def test_keys_that_are_no_adapters_have_no_parts():
    assert parse_key("layers.0.attention.qkv.weight") is None
    assert parse_key("layers.0.lora_A") is None
    assert parse_key("a.b.lora_up.style.weight") == ("a.b", "up", "style")
    assert parse_key("a.lokr_w2_b") == ("a", "lokr_w2_b", "")


def test_a_module_of_another_model_resolves_to_nothing(model):
    assert resolve("lora_unet_down_blocks_0_attn", targets(model)) == (None, "kohya")
    assert resolve("", targets(model)) == (None, "")


def test_what_the_model_has_no_place_for_is_listed_and_the_rest_is_worn(model, tmp_path):
    extra = {
        "base_model.model.layers.99.attention.qkv.lora_A.weight": random(4, 96),
        "lora_te_text_model_layers_0.lora_down.weight": random(4, 8),
        "base_model.model.layers.0.attention_norm1.weight": random(96),
    }
    _, report = weights(model, pairs(model, PEFT) | extra, tmp_path)
    assert sorted(report.unmatched) == sorted(extra) and len(report.modules) == 4 and report.keys == 8
    (warning,) = [line for line in report.warnings() if "not used" in line]
    assert "3 of 11 keys" in warning and "layers.99" in warning
    assert sum(line.startswith("  unmatched, not used: ") for line in report.lines()) == 3


def test_the_trainers_default_adapter_of_the_released_model_is_matched_whole(tmp_path):
    """122 modules and 7,168,000 parameters at rank 8, as counted in the trainer."""
    with torch.device("meta"):
        released = NextDiT(VARIANTS["NextDiT_3B_GQA_patch2_Adaln_Refiner_WHIT_CLIP"])
    ends = ("attention.qkv", "attention.out", "feed_forward.w2", "time_text_embed.1", "clip_text_pooled_proj.1")
    tensors = {}
    for name, module in released.named_modules():
        if name.endswith(ends) and isinstance(module, torch.nn.Linear):
            tensors[PEFT.format(name=name, side="A")] = torch.zeros(8, module.in_features, dtype=torch.bfloat16)
            tensors[PEFT.format(name=name, side="B")] = torch.zeros(module.out_features, 8, dtype=torch.bfloat16)
    report = read_adapter(written(tmp_path / "default.safetensors", tensors), released).report
    assert (len(report.modules), report.parameters, report.unmatched) == (122, 7_168_000, ())
