"""8-bit files: both spellings of the scale, kept in 8 bits, equal to the multiplied weights, and what is refused."""

from __future__ import annotations

import itertools

import pytest
import torch
from safetensors.torch import save_file

from newbie.checkpoints.load import load_gemma, load_transformer
from newbie.checkpoints.save import save_table
from newbie.checkpoints.translate import untranslate
from newbie.errors import WeightsError
from newbie.quant.fp8 import FORMATS
from newbie.quant.layers import Compressed, CompressedEmbedding, CompressedLinear

E4M3 = torch.float8_e4m3fn


def in_fp8(state, kind=E4M3, spelling="scale_weight", per_row=False, scaled=True):
    """A state dict as ComfyUI stores it, and the numbers that it means."""
    stored, meant = {}, {}
    for (name, tensor), factor in zip(state.items(), itertools.cycle((0.5, 0.3, 2.0)), strict=False):
        if tensor.ndim != 2 or not name.endswith(".weight"):
            stored[name] = meant[name] = tensor
            continue
        stem = name.removesuffix(".weight")
        rows = len(tensor) if per_row else 1
        scale = (torch.linspace(0.5, 1, rows) * factor if scaled else torch.ones(rows)).float()
        weight = (tensor.float() / scale.view(-1, 1)).to(kind)
        stored[name], meant[name] = weight, weight.float() * scale.view(-1, 1)
        if scaled:
            stored[f"{stem}.{spelling}"] = scale if per_row else scale.view(())
            if spelling == "weight_scale":
                text = f'{{"format": "{str(kind).removeprefix("torch.")}"}}'.encode()
                stored[f"{stem}.comfy_quant"] = torch.tensor(list(text), dtype=torch.uint8)
    if scaled and spelling == "scale_weight":
        stored["scaled_fp8"] = torch.zeros(2, dtype=kind)
    return {name: tensor.contiguous() for name, tensor in stored.items()}, meant


def numbers(module):
    """The weights that a network computes with, by their official names."""
    found = {}
    for name, part in module.named_modules():
        if isinstance(part, Compressed):
            found[f"{name}.weight"] = part.dense()
    return found | dict(module.named_parameters())


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("spelling", ["scale_weight", "weight_scale"])
@pytest.mark.parametrize("per_row", [False, True])
def test_scaled_weights_stay_in_8_bits_and_mean_the_multiplied_ones(tmp_path, parts, kind, spelling, per_row):
    stored, meant = in_fp8(parts["transformer"].module.state_dict(), kind, spelling, per_row)
    save_file(stored, tmp_path / "a.safetensors")
    loaded = load_transformer(tmp_path / "a.safetensors")
    found = numbers(loaded.module)
    assert all(torch.equal(found[name], tensor) for name, tensor in meant.items())
    kept = dict(loaded.report.compressed)
    assert set(kept) == {name for name in meant if stored[name].dtype == kind}
    assert set(kept.values()) == {str(kind).removeprefix("torch.")}
    assert not loaded.report.converted and not loaded.report.unexpected
    layer = loaded.module.layers[0].feed_forward.w1
    assert isinstance(layer, CompressedLinear) and layer.stored_bytes == layer.codes.numel() + 4 * layer.out_features


def test_the_kept_and_the_multiplied_weights_draw_the_same(tmp_path, parts):
    stored, _ = in_fp8(parts["transformer"].module.state_dict())
    save_file(stored, tmp_path / "a.safetensors")
    kept, plain = (load_transformer(tmp_path / "a.safetensors", decode=d).module for d in (False, True))
    x = torch.randn(2, 5, 36, generator=torch.Generator().manual_seed(0))
    feed = [model.layers[0].feed_forward(x) for model in (kept, plain)]
    assert torch.equal(*feed)
    assert plain.state_dict().keys() == parts["transformer"].module.state_dict().keys()


def test_fused_projections_keep_a_scale_for_each_of_their_parts(tmp_path, parts):
    """diffusers' q, k and v have three scales; ours is one matrix with a scale for each row."""
    config = parts["transformer"].config
    theirs = untranslate(parts["transformer"].module.state_dict(), save_table("transformer", "diffusers", config))
    stored, meant = in_fp8(theirs)
    save_file(stored, tmp_path / "a.safetensors")
    loaded = load_transformer(tmp_path / "a.safetensors")
    together = torch.cat([meant[f"layers.0.attn.to_{part}.weight"] for part in "qkv"])
    layer = loaded.module.layers[0].attention.qkv
    assert isinstance(layer, CompressedLinear) and torch.equal(layer.dense(), together)


def test_a_text_encoders_table_is_looked_up_in_8_bits(tmp_path, parts):
    stored, meant = in_fp8(parts["text_encoder"].module.state_dict())
    save_file(stored, tmp_path / "a.safetensors")
    models = [load_gemma(tmp_path / "a.safetensors", tokenizer=False, decode=d).module for d in (False, True)]
    assert isinstance(models[0].embed_tokens, CompressedEmbedding)
    ids = torch.tensor([[3, 0, 39, 3]])
    assert torch.equal(models[0].embed_tokens(ids), models[1].embed_tokens(ids))
    assert torch.equal(models[1].embed_tokens.weight, meant["embed_tokens.weight"])
    assert torch.equal(*(model(input_ids=ids).last_hidden_state for model in models))


def test_a_plain_cast_stays_in_8_bits_with_a_scale_of_one(tmp_path, parts):
    stored, meant = in_fp8(parts["transformer"].module.state_dict(), scaled=False)
    save_file(stored, tmp_path / "a.safetensors")
    loaded = load_transformer(tmp_path / "a.safetensors")
    assert all(torch.equal(numbers(loaded.module)[name], tensor) for name, tensor in meant.items())
    assert loaded.report.compressed


def remove_scale(stored):
    del stored["layers.0.feed_forward.w1.scale_weight"]


def nan_scale(stored):
    stored["layers.0.feed_forward.w1.scale_weight"] = torch.tensor(float("nan"))


def huge_scale(stored):
    stored["layers.0.feed_forward.w1.scale_weight"] = torch.tensor(3e38)
    stored["layers.0.feed_forward.w1.weight"].view(torch.uint8)[3, 5] = 0x7E  # 448


def nan_code(stored):
    stored["layers.0.feed_forward.w1.weight"].view(torch.uint8)[3, 5] = 0xFF


@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize(
    ("damage", "said"),
    [(remove_scale, "missing"), (nan_scale, "contains"), (huge_scale, "contains"), (nan_code, "NaN")],
)
def test_damaged_quantisation_is_refused_by_the_tensor(tmp_path, parts, damage, said, decode):
    stored, _ = in_fp8(parts["transformer"].module.state_dict())
    damage(stored)
    save_file(stored, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match=rf"layers\.0\.feed_forward\.w1\.weight.*{said}"):
        load_transformer(tmp_path / "a.safetensors", decode=decode)


def test_a_format_text_without_its_scale_is_refused(tmp_path, parts):
    stored, _ = in_fp8(parts["transformer"].module.state_dict(), spelling="weight_scale")
    stored = {name: tensor for name, tensor in stored.items() if not name.endswith(".weight_scale")}
    save_file(stored, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="scale is missing"):
        load_transformer(tmp_path / "a.safetensors")


def test_numbers_beyond_float16_are_found_before_they_are_computed_with(tmp_path, parts):
    stored, _ = in_fp8(parts["transformer"].module.state_dict())
    stored["layers.0.feed_forward.w1.scale_weight"] = torch.tensor(1e7)
    save_file(stored, tmp_path / "a.safetensors")
    load_transformer(tmp_path / "a.safetensors", dtype=torch.bfloat16)
    with pytest.raises(WeightsError, match="too large for float16"):
        load_transformer(tmp_path / "a.safetensors", dtype=torch.float16)
