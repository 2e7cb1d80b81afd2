"""Alpha is found wherever it is written, and means what the program that wrote it means by it."""

from __future__ import annotations

import json
import math

import pytest
import torch

from newbie.errors import WeightsError
from newbie.lora import read_adapter
from newbie.lora.scales import from_config, from_metadata

from .conftest import PEFT, pairs, peft, random, written

NAME = "layers.0.attention.qkv"


def scales(path, model, **options):
    return {patch.module: patch.delta.scale for patch in read_adapter(path, model, **options).patches}


def test_the_trainers_folder_is_worn_at_half_strength_as_its_config_says(model, tmp_path):
    """Rank 8 and alpha 4 are the trainer's defaults; a loader that reads no JSON is twice too strong."""
    folder = peft(tmp_path / "out", pairs(model, PEFT, rank=8), r=8, lora_alpha=4)
    assert set(scales(folder, model).values()) == {0.5}
    assert set(scales(folder / "adapter_model.safetensors", model).values()) == {0.5}
    report = read_adapter(folder, model).report
    assert report.name == "out" and report.source == "adapter_config.json" and not report.warnings()


def test_without_a_word_on_alpha_it_is_the_rank_and_that_is_told(model, tmp_path):
    alone = written(tmp_path / "alone.safetensors", pairs(model, PEFT, rank=8))
    assert set(scales(alone, model).values()) == {1.0}
    (warning,) = read_adapter(alone, model).report.warnings()
    assert "4 modules" in warning and "adapter_config.json" in warning


def test_a_config_of_a_neighbour_is_not_taken_for_ones_own(model, tmp_path):
    folder = peft(tmp_path, pairs(model, PEFT), r=4, lora_alpha=400)
    other = written(folder / "other.safetensors", pairs(model, PEFT))
    assert set(scales(other, model).values()) == {1.0}


def test_an_alpha_in_the_file_goes_before_all_others(model, tmp_path):
    tensors = pairs(model, PEFT, NAME) | {f"base_model.model.{NAME}.alpha": torch.tensor(1.0)}
    folder = peft(tmp_path, tensors, r=4, lora_alpha=400)
    assert scales(folder, model) == {NAME: 0.25}


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_an_alpha_may_be_stored_in_any_form(model, tmp_path, shape, dtype):
    tensors = pairs(model, PEFT, NAME) | {f"base_model.model.{NAME}.alpha": torch.full(shape, 6.0, dtype=dtype)}
    assert scales(written(tmp_path / "a.safetensors", tensors), model) == {NAME: 1.5}


def test_diffusers_metadata_is_read(model, tmp_path):
    said = {"transformer.r": 4, "transformer.lora_alpha": 2, "transformer.use_rslora": True}
    metadata = {"format": "pt", "lora_adapter_metadata": json.dumps(said)}
    path = written(tmp_path / "pytorch_lora_weights.safetensors", pairs(model, PEFT, NAME), metadata)
    assert scales(path, model) == {NAME: 2 / math.sqrt(4)}


@pytest.mark.parametrize(
    ("metadata", "scale"),
    [
        ({"lora_alpha": "2", "lora_rank": "4"}, 0.5),
        ({"ss_network_alpha": "8.0", "ss_network_dim": "Dynamic"}, 2.0),
        ({"ss_network_alpha": "Dynamic"}, 1.0),
        ({"lora_alpha": "nan"}, 1.0),
        ({"lora_adapter_metadata": "[]"}, 1.0),
    ],
)
def test_other_metadata_is_read_where_it_is_a_number(model, tmp_path, metadata, scale):
    path = written(tmp_path / "a.safetensors", pairs(model, PEFT, NAME), metadata)
    assert scales(path, model) == {NAME: scale}


def test_patterns_of_peft_mean_whole_parts_at_the_end_of_a_name():
    said = from_config(
        {
            "r": 4,
            "lora_alpha": 4,
            "alpha_pattern": {"w2": 8, "^layers.0.attention.qkv": 2, r"layers\.\d+\.attention\.out": 12, "ers.1": 99},
            "rank_pattern": {"feed_forward.w2": 16},
        },
        "f",
    )
    assert said.scale("layers.0.feed_forward.w2", 16, None) == 0.5
    assert said.scale("layers.0.feed_forward.xw2", 4, None) == 1.0
    assert said.scale("layers.0.attention.qkv", 4, None) == 0.5
    assert said.scale("noise_refiner.layers.0.attention.qkv", 4, None) == 1.0
    assert said.scale("layers.7.attention.out", 4, None) == 3.0
    said.require_rank("layers.0.feed_forward.w2", 16, "f")
    with pytest.raises(WeightsError, match=r"rank 4, adapter_config\.json says 16"):
        said.require_rank("layers.0.feed_forward.w2", 4, "f")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "[a-z]+", "a{2,}", ".*.*.*.*x", "(?i)w2", "w2|w1", "\\w+"])
def test_patterns_that_could_take_for_ever_are_refused(pattern):
    with pytest.raises(WeightsError, match="pattern"):
        from_config({"r": 4, "lora_alpha": 4, "alpha_pattern": {pattern: 1}}, "f")


@pytest.mark.parametrize(
    "values",
    [
        {"lora_alpha": "much"},
        {"lora_alpha": math.nan},
        {"lora_alpha": 10**400},
        {"lora_alpha": -1},
        {"lora_alpha": True},
        {"lora_alpha": [1]},
        {"r": "4"},
        {"alpha_pattern": [1]},
        {"alpha_pattern": {"w2": "x"}},
        {"peft_type": "LOHA"},
        {"peft_type": "LYCORIS", "lycoris_type": "loha"},
        {"use_dora": True},
        {"lora_bias": True},
    ],
)
def test_settings_that_cannot_be_honoured_are_refused(values):
    with pytest.raises(WeightsError):
        from_config({"peft_type": "LORA", "lora_alpha": 1} | values, "f")


def test_settings_of_another_adapter_are_refused(model, tmp_path):
    folder = peft(tmp_path, pairs(model, PEFT, NAME, rank=8), r=4, lora_alpha=2)
    with pytest.raises(WeightsError, match=rf"{NAME} has rank 8, adapter_config.json says 4"):
        read_adapter(folder, model)


def test_broken_settings_are_refused(model, tmp_path):
    folder = peft(tmp_path, pairs(model, PEFT, NAME))
    (folder / "adapter_config.json").write_text("{")
    with pytest.raises(WeightsError, match="not valid JSON"):
        read_adapter(folder, model)
    with pytest.raises(WeightsError, match="no JSON"):
        from_metadata({"lora_adapter_metadata": "{"}, "f")


def lokr(**parts):
    return {f"lycoris_layers_0_attention_qkv.{role}": tensor for role, tensor in parts.items()}  # (160, 96)


@pytest.mark.parametrize(
    ("parts", "scale"),
    [
        ({"lokr_w1": (8, 8), "lokr_w2": (20, 12)}, 1.0),  # full matrices: alpha means nothing
        ({"lokr_w1": (8, 8), "lokr_w2_a": (20, 2), "lokr_w2_b": (2, 12)}, 57257.0),
        ({"lokr_w1_a": (8, 2), "lokr_w1_b": (2, 8), "lokr_w2": (20, 12)}, 57257.0),
        ({"lokr_w1_a": (8, 4), "lokr_w1_b": (4, 8), "lokr_w2_a": (20, 4), "lokr_w2_b": (4, 12)}, 28628.5),
    ],
)
def test_alpha_of_lokr_counts_only_where_a_factor_is_itself_a_product(model, tmp_path, parts, scale):
    tensors = lokr(**{role: random(*shape) for role, shape in parts.items()}, alpha=torch.tensor(114514.0))
    config = {"peft_type": "LYCORIS", "lycoris_type": "lokr", "r": 114514, "lora_alpha": 114514}
    assert scales(peft(tmp_path, tensors, **config), model) == {NAME: scale}
