"""Layouts are recognised from names; configurations are inferred from shapes."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from newbie.checkpoints import infer
from newbie.checkpoints.layouts import recognise, spiece, unrecognised
from newbie.checkpoints.save import save_table
from newbie.checkpoints.translate import untranslate
from newbie.errors import WeightsError
from newbie.model.config import VARIANTS, NextDiTConfig
from newbie.model.nextdit import NextDiT
from newbie.text.gemma import GemmaConfig, build_gemma
from newbie.text.jina import JinaConfig, JinaTextTower
from newbie.vae import Autoencoder, AutoencoderConfig


def shapes_of(state, prefix=""):
    return {prefix + name: tuple(tensor.shape) for name, tensor in state.items()}


def on_meta(build, config):
    with torch.device("meta"):
        return shapes_of(build(config).state_dict())


def saved(parts, component, layout="", prefix=""):
    part = parts[component]
    state = untranslate(dict(part.module.state_dict()), save_table(component, layout, part.config))
    return shapes_of(state, prefix)


PREFIXES = [
    "", "module.", "model.diffusion_model.", "diffusion_model.", "model.", "transformer.", "net.", "module.model.",
]  # fmt: skip


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("layout", ["official", "diffusers"])
def test_a_transformer_is_recognised_behind_any_prefix(parts, prefix, layout):
    (part,) = recognise(saved(parts, "transformer", layout, prefix))
    assert (part.component, part.layout, part.prefix, part.has_clip) == ("transformer", layout, prefix, True)


def test_a_transformer_without_the_pooled_branch_is_told_apart(parts):
    shapes = saved(parts, "transformer")
    (part,) = recognise({name: s for name, s in shapes.items() if "clip_text" not in name and "time_text" not in name})
    assert not part.has_clip


@pytest.mark.parametrize("prefix", ["model.", "language_model.model.", "model.language_model.", "language_model.", ""])
def test_gemma_is_recognised_behind_the_prefixes_in_use(parts, prefix):
    shapes = saved(parts, "text_encoder", prefix=prefix) | {"vision_tower.layers.0.self_attn.q_proj.weight": (1,)}
    (part,) = recognise(shapes)
    assert (part.component, part.prefix) == ("text_encoder", prefix)


@pytest.mark.parametrize(
    ("component", "layout", "prefix"),
    [
        ("clip", "merged", "model."),
        ("clip", "merged", ""),
        ("clip", "transformers", ""),
        ("vae", "original", ""),
        ("vae", "original", "first_stage_model."),
        ("vae", "diffusers", "vae."),
    ],
)
def test_other_parts_are_recognised(parts, component, layout, prefix):
    (part,) = recognise(saved(parts, component, layout, prefix))
    assert (part.component, part.layout, part.prefix) == (component, layout, prefix)


def all_in_one(parts):
    return {
        **saved(parts, "transformer", prefix="model.diffusion_model."),
        **saved(parts, "text_encoder", prefix="text_encoders.gemma3.transformer.model."),
        **saved(parts, "clip", prefix="text_encoders.jina_clip.model."),
        **saved(parts, "vae", "original", prefix="vae."),
        "text_encoders.gemma_spiece_model": (10,),
        "text_encoders.jina_spiece_model": (10,),
    }


def test_an_all_in_one_file_is_all_four_parts_and_each_answers_for_its_own_names(parts):
    shapes = all_in_one(parts)
    found = recognise(shapes)
    assert [part.component for part in found] == ["transformer", "text_encoder", "clip", "vae"]
    names = [name for part in found for name in part.names]
    assert len(names) == len(set(names)) == len(shapes) - 2
    assert {part.component: spiece(shapes, part) for part in found} == {
        "transformer": None,
        "text_encoder": "text_encoders.gemma_spiece_model",
        "clip": "text_encoders.jina_spiece_model",
        "vae": None,
    }


@pytest.mark.parametrize("place", ["", "model.", "text_encoders.gemma3.", "text_encoders.gemma3.transformer."])
def test_an_embedded_tokenizer_is_found_at_or_above_the_weights(parts, place):
    prefix = "text_encoders.gemma3.transformer.model." if place.startswith("text") else "model."
    shapes = saved(parts, "text_encoder", prefix=prefix) | {f"{place}spiece_model": (10,)}
    (part,) = recognise(shapes)
    assert spiece(shapes, part) == f"{place}spiece_model"


def test_the_same_part_twice_is_refused(parts):
    twice = saved(parts, "vae") | saved(parts, "vae", prefix="ema.")
    with pytest.raises(WeightsError, match=r"2 times.*'', 'ema\.'"):
        recognise(twice, "f.safetensors")


@pytest.mark.parametrize("sign", ["tokens", "width"])
def test_z_image_is_refused_by_name(parts, sign):
    shapes = saved(parts, "transformer")
    if sign == "tokens":
        shapes["x_pad_token"] = (1, 36)
    else:
        shapes |= {"layers.0.attention.q_norm.weight": (128,), "layers.0.attention.out.weight": (3840, 3840)}
    with pytest.raises(WeightsError, match="Z-Image"):
        recognise(shapes)


def test_a_vae_with_quant_convolutions_is_refused(parts):
    with pytest.raises(WeightsError, match=r"post_quant_conv\.weight"):
        recognise(saved(parts, "vae") | {"post_quant_conv.weight": (16, 16, 1, 1)})


FOREIGN = {
    "model.diffusion_model.input_blocks.0.0.weight": "Stable Diffusion",
    "double_blocks.0.img_attn.qkv.weight": "FLUX",
    "model.layers.0.pre_feedforward_layernorm.weight": "Gemma 2",
    "model.layers.0.self_attn.q_norm.weight": "Qwen 3",
    "base_model.model.layers.0.attention.qkv.lora_A.weight": "LoRA",
    "something.else": "something.else",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_other_models_are_not_recognised_but_named(name):
    shapes = {name: (1,)}
    assert recognise(shapes) == []
    assert FOREIGN[name] in unrecognised(shapes, "f.safetensors")[0]


# ---- configurations


@pytest.mark.parametrize("name", VARIANTS)
def test_every_published_transformer_is_inferred_from_its_shapes_alone(name):
    config = VARIANTS[name]
    found = infer.transformer(on_meta(NextDiT, config), {})
    expected = dataclasses.replace(config, axes_lens=found.config.axes_lens)  # has no effect, is in no shape
    rebuilt = dataclasses.replace(found.config, multiple_of=256, ffn_dim_multiplier=None)
    assert rebuilt == expected and found.config.ffn_dim == config.ffn_dim
    assert not found.notes


def test_more_blocks_than_any_model_has_are_refused_before_they_are_built():
    config = NextDiTConfig(dim=96, n_layers=1, n_heads=6, n_kv_heads=2, axes_dims=(8, 4, 4))
    shapes = on_meta(NextDiT, config) | {f"layers.{number}.x": (1,) for number in range(2000)}
    with pytest.raises(WeightsError, match=r"2,000 blocks layers\.N"):
        infer.transformer(shapes, {})


@pytest.mark.parametrize(
    "ffn", [{"multiple_of": 48}, {"ffn_dim_multiplier": 0.7}, {"ffn_dim_multiplier": 1.9, "multiple_of": 1}]
)
def test_any_feed_forward_width_is_inferred(parts, ffn):
    config = dataclasses.replace(parts["transformer"].config, **ffn)
    found = infer.transformer(on_meta(NextDiT, config), {}).config
    assert found.ffn_dim == config.ffn_dim
    assert on_meta(NextDiT, found) == on_meta(NextDiT, config)


def test_uneven_axes_must_be_said_and_the_error_says_so(parts):
    config = dataclasses.replace(parts["transformer"].config, dim=48, axes_dims=(8, 4, 4))
    shapes = on_meta(NextDiT, config)
    with pytest.raises(WeightsError, match="heads of 16") as caught:
        infer.transformer(shapes, {})
    assert "axes_dims" in caught.value.hint and "16" in caught.value.hint
    assert infer.transformer(shapes, {"axes_dims": [8, 4, 4]}).config.axes_dims == (8, 4, 4)
    assert infer.transformer(shapes, {"axes_dim_rope": [8, 4, 4]}).config.axes_dims == (8, 4, 4)


@pytest.mark.parametrize("wrong", [[8, 4], [8, 8, 8], ["a", "b", "c"], "444", 12, [5, 3, 4]])
def test_axes_that_do_not_fit_are_not_used_and_that_is_noted(parts, wrong):
    found = infer.transformer(on_meta(NextDiT, parts["transformer"].config), {"axes_dims": wrong})
    assert found.config.axes_dims == (4, 4, 4)
    assert "axes_dims" in found.notes[0]


def test_where_a_config_and_the_shapes_disagree_the_shapes_win_and_it_is_noted(parts):
    said = {
        "n_layers": 30,
        "dim": 36,
        "n_kv_heads": None,
        "clip_text_dim": 1024,
        "norm_eps": 1e-6,
        "axes_dims": [4, 4, 4],
    }
    found = infer.transformer(on_meta(NextDiT, parts["transformer"].config), said)
    assert found.config.n_layers == 2 and found.config.clip_text_dim == 64 and found.config.norm_eps == 1e-6
    assert len(found.notes) == 2
    assert "n_layers 30, the weights 2" in found.notes[0]


@pytest.mark.parametrize("key", ["norm_eps", "qk_norm_eps", "rope_theta"])
def test_a_config_value_of_the_wrong_type_is_named(parts, key):
    with pytest.raises(WeightsError, match=key):
        infer.transformer(on_meta(NextDiT, parts["transformer"].config), {key: "tiny"})


def test_a_gap_in_the_block_numbers_is_named_and_a_huge_number_builds_nothing(parts):
    shapes = on_meta(NextDiT, parts["transformer"].config)
    far = {name.replace("layers.1.", "layers.999999."): shape for name, shape in shapes.items()}
    with pytest.raises(WeightsError, match=r"layers\.1 is missing"):
        infer.transformer(far, {})


VAES = [
    AutoencoderConfig(),
    AutoencoderConfig(block_out_channels=(32, 64, 32, 64), layers_per_block=1),
    AutoencoderConfig(block_out_channels=(32, 96), layers_per_block=3, latent_channels=4),
]


@pytest.mark.parametrize("config", VAES)
@pytest.mark.parametrize("half", ["", "encoder.", "decoder."])
def test_an_autoencoder_is_inferred_from_its_shapes_or_either_half_of_them(config, half):
    shapes = {name: shape for name, shape in on_meta(Autoencoder, config).items() if name.startswith(half)}
    assert infer.vae(shapes, {}).config == config


def test_norm_groups_that_cannot_be_guessed_must_be_said(parts):
    shapes = on_meta(Autoencoder, parts["vae"].config)
    with pytest.raises(WeightsError, match="norm groups") as caught:
        infer.vae(shapes, {})
    assert "norm_num_groups" in caught.value.hint
    assert infer.vae(shapes, {"norm_num_groups": 8}).config == parts["vae"].config


def test_the_published_gemma_is_inferred_with_and_without_its_unused_last_layer():
    config = GemmaConfig()
    lacking = on_meta(build_gemma, config)
    last = {name.replace("layers.0.", "layers.33."): s for name, s in lacking.items() if name.startswith("layers.0.")}
    assert infer.gemma(lacking, {}).config == config
    assert infer.gemma(lacking | last | {"norm.weight": (2560,)}, {}).config == config
    # The published config.json states little more than this.
    said = {
        "model_type": "gemma3",
        "text_config": {"num_hidden_layers": 34, "hidden_size": 2560, "sliding_window": 1024},
    }
    assert infer.gemma(lacking, said).config == config
    assert not infer.gemma(lacking, said).notes


def test_a_small_gemma_keeps_what_only_its_config_says(parts):
    config = parts["text_encoder"].config
    found = infer.gemma(on_meta(build_gemma, config), json.loads(json.dumps(config.to_dict())))
    assert found.config == config and not found.notes


def test_the_published_jina_tower_is_inferred_and_small_ones_need_their_heads():
    assert infer.jina(on_meta(JinaTextTower, JinaConfig()), {}).config == JinaConfig()
    small = JinaConfig(vocab_size=120, hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96)
    shapes = on_meta(JinaTextTower, small)
    with pytest.raises(WeightsError, match="48 wide") as caught:
        infer.jina(shapes, {})
    assert "num_attention_heads" in caught.value.hint
    assert infer.jina(shapes, {"num_attention_heads": 4}).config == small


@pytest.mark.parametrize("component", ["transformer", "text_encoder", "clip", "vae"])
def test_any_missing_or_oddly_shaped_tensor_is_a_weights_error_or_a_report(parts, component):
    shapes = saved(parts, component)
    raw = {"norm_num_groups": 8} if component == "vae" else {}
    known = {"transformer": infer.transformer, "text_encoder": infer.gemma, "clip": infer.jina, "vae": infer.vae}
    for name in shapes:
        for shape in (None, (), (0,), (1, 1, 1), (0, 0)):
            damaged = {key: value for key, value in shapes.items() if key != name}
            damaged |= {} if shape is None else {name: shape}
            try:
                known[component](damaged, raw)
            except WeightsError as error:
                assert error.hint
