"""Files that are damaged, incomplete, of another model or of another method are refused by name; none is half worn."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from newbie.errors import NewbieError, WeightsError
from newbie.lora import Adapter, Worn, attach, read_adapter
from newbie.lora.names import FOREIGN

from .conftest import PEFT, pairs, peft, random, small_model, written

NAME = "layers.0.attention.qkv"  # (160, 96)
A, B = (PEFT.format(name=NAME, side=side) for side in "AB")


def refused(model, tmp_path, tensors, match):
    path = written(tmp_path / "bad.safetensors", tensors)
    with pytest.raises(WeightsError, match=match) as error:
        read_adapter(path, model)
    assert error.value.message.startswith("bad.safetensors: ") and error.value.hint
    return error.value


@pytest.mark.parametrize(
    ("key", "origin"),
    [
        ("lora_unet_down_blocks_0_attentions_0_proj_in.lora_{side}.weight", "Stable Diffusion"),
        ("transformer.single_transformer_blocks.0.attn.to_q.lora_{side}.weight", "FLUX"),
        ("base_model.model.model.layers.0.self_attn.q_proj.lora_{side}.weight", "a language model"),
        ("lora_te_text_model_encoder_layers_0_mlp_fc1.lora_{side}.weight", "a text encoder"),
        ("something.else.lora_{side}.weight", "another model"),
    ],
)
def test_an_adapter_for_another_model_is_named(model, tmp_path, key, origin):
    tensors = {key.format(side="A"): random(4, 8), key.format(side="B"): random(8, 4)}
    error = refused(model, tmp_path, tensors, f"for another model.*{origin}" if origin != "another model" else origin)
    assert next(iter(tensors)) in error.message


def test_an_adapter_for_a_larger_model_of_the_family_is_refused_by_its_shapes(model, tmp_path):
    tensors = {A: random(4, 2304), B: random(3840, 4)}
    refused(model, tmp_path, tensors, rf"{NAME} is adapted by a matrix of 3840x2304, it has 160x96")


def test_a_model_is_no_adapter(model, tmp_path):
    path = written(tmp_path / "model.safetensors", model.state_dict())
    with pytest.raises(WeightsError, match=r"is the transformer .* itself") as error:
        read_adapter(path, model)
    assert "--transformer" in error.value.hint


def test_a_file_without_any_adapter_is_none(model, tmp_path):
    refused(model, tmp_path, {"x": random(2)}, "none of its 1 tensors is part of a LoRA or LoKr")


@pytest.mark.parametrize(
    ("tensors", "match"),
    [
        ({A: (4, 96), B: (160, 8)}, "factors of ranks 8 and 4"),
        ({A: (0, 96), B: (160, 0)}, "factors of ranks 0 and 0"),
        ({A: (4, 96)}, "has only down"),
        ({B: (160, 4)}, "has only up"),
        ({A: (4, 95), B: (160, 4)}, "matrix of 160x95, it has 160x96"),
        ({A: (4, 96), B: (96, 4)}, "matrix of 96x96, it has 160x96"),
        ({A: (4, 96, 3, 3), B: (160, 4, 1, 1)}, r"\[4, 96, 3, 3\]"),
        ({A: (4,), B: (160, 4)}, "is adapted by"),
        ({A.replace("A.weight", "A.one.weight"): (4, 96), B.replace("B.weight", "B.two.weight"): (160, 4)}, "one, two"),
        ({A: (4, 96), B: (160, 4), f"lora_unet_{NAME.replace('.', '_')}.lora_down.weight": (4, 96)}, "has down twice"),
        ({f"lycoris_{NAME}.lokr_w1": (8, 8)}, "lokr_w2 is missing"),
        ({f"lycoris_{NAME}.lokr_w1": (8, 8), f"lycoris_{NAME}.lokr_w2_a": (20, 2)}, "lokr_w2 is missing"),
        ({f"{NAME}.lokr_w1": (8, 8), f"{NAME}.lokr_w2": (20, 12), f"{NAME}.lokr_w2_a": (2, 2)}, "given twice"),
        ({f"{NAME}.lokr_w1": (8, 8), f"{NAME}.lokr_w2": (20, 13)}, "matrix of 160x104"),
        ({f"{NAME}.lokr_w1": (8, 8), f"{NAME}.lokr_w2": (20, 12), A: (4, 96)}, "LoRA and LoKr at once"),
        ({f"{NAME}.alpha": ()}, "an alpha and no matrices"),
        ({A: (4, 96), B: (160, 4), f"{NAME}.alpha": (2,)}, "an alpha of 2 numbers"),
        (
            {"layers.0.attention_norm1.lora_A.weight": (4, 96), "layers.0.attention_norm1.lora_B.weight": (96, 4)},
            "norm",
        ),
        ({"layers.0.attention_norm1.w_norm": (95,)}, "its weight has 96 numbers"),
        ({f"{NAME}.w_norm": (160,)}, "its weight has no numbers"),
        ({f"{NAME}.b_norm": (160,)}, "its bias has no numbers"),
        ({"layers.0.attn.to_k.diff_b": (32,)}, "its bias has no numbers"),
        ({"layers.0.attention_norm1.b_norm": (96,)}, "its bias has no numbers"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_halves_ranks_and_shapes_that_do_not_fit_are_refused_with_the_module(model, tmp_path, tensors, match):
    error = refused(model, tmp_path, {name: random(*shape) for name, shape in tensors.items()}, match)
    text = error.message + error.hint
    assert "layers.0.att" in text or "several adapters" in text


def test_factors_of_two_ranks_in_one_lokr_are_refused(model, tmp_path):
    shapes = {"lokr_w1_a": (8, 2), "lokr_w1_b": (2, 8), "lokr_w2_a": (20, 3), "lokr_w2_b": (3, 12)}
    tensors = {f"lycoris_{NAME}.{role}": random(*shape) for role, shape in shapes.items()}
    refused(model, tmp_path, tensors, "ranks 2 and 3")


def test_halves_of_a_matrix_that_no_memory_holds_are_refused_before_they_are_multiplied(model, tmp_path):
    shapes = {"lokr_w1_a": (2**22, 1), "lokr_w1_b": (1, 2**22), "lokr_w2": (20, 12)}
    tensors = {f"lycoris_{NAME}.{role}": torch.zeros(shape, dtype=torch.bfloat16) for role, shape in shapes.items()}
    refused(model, tmp_path, tensors, "adapted by a matrix of 4194304x4194304")


def test_modules_may_have_ranks_of_their_own(model, tmp_path):
    tensors = pairs(model, PEFT, NAME, rank=4) | pairs(model, PEFT, "layers.1.feed_forward.w2", rank=2)
    assert read_adapter(written(tmp_path / "a.safetensors", tensors), model).report.ranks == (2, 4)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("key", [A, B, f"{NAME}.alpha"])
def test_nan_and_infinity_are_refused_with_the_tensors_name(model, tmp_path, bad, key):
    tensors = pairs(model, PEFT, NAME) | {f"{NAME}.alpha": torch.tensor(4.0)}
    tensors[key].view(-1)[-1] = bad
    refused(model, tmp_path, tensors, f"{key} contains NaN or infinity")


def test_whole_numbers_are_no_weights(model, tmp_path):
    tensors = pairs(model, PEFT, NAME)
    refused(model, tmp_path, tensors | {A: tensors[A].to(torch.int8)}, "whole numbers")


def test_an_alpha_may_be_a_whole_number(model, tmp_path):
    tensors = pairs(model, PEFT, NAME, rank=4)
    whole = read_adapter(written(tmp_path / "a.safetensors", tensors | {f"{NAME}.alpha": torch.tensor(2)}), model)
    assert whole.report.scales == (0.5,)


@pytest.mark.parametrize("part", FOREIGN)
def test_other_methods_are_named_and_refused(model, tmp_path, part):
    tensors = pairs(model, PEFT, NAME) | {f"base_model.model.{NAME}{part}x": random(2, 2)}
    refused(model, tmp_path, tensors, f"{FOREIGN[part]} adapter")


def test_a_truncated_file_is_refused(model, tmp_path):
    path = written(tmp_path / "bad.safetensors", pairs(model, PEFT))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="truncated"):
        read_adapter(path, model)


def test_a_pickle_is_read_only_when_that_is_asked_for(model, tmp_path):
    path = tmp_path / "old.pt"
    torch.save(pairs(model, PEFT), path)
    with pytest.raises(WeightsError, match="pickle"):
        read_adapter(path, model)
    assert len(read_adapter(path, model, allow_pickle=True).patches) == 4


def test_folders_are_taken_by_the_names_that_trainers_use(model, tmp_path):
    folder = peft(tmp_path, pairs(model, PEFT), r=4, lora_alpha=2)
    written(folder / "optimizer.safetensors", {"x": random(2)})
    assert read_adapter(folder, model).report.scales == (0.5,)
    (folder / "adapter_model.safetensors").rename(folder / "second.safetensors")
    with pytest.raises(WeightsError, match="several files"):
        read_adapter(folder, model)
    (folder / "optimizer.safetensors").unlink()
    assert read_adapter(folder, model).report.scales == (0.5,)
    (folder / "second.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"no \.safetensors file"):
        read_adapter(folder, model)
    with pytest.raises(WeightsError, match="no such file"):
        read_adapter(tmp_path / "nowhere.safetensors", model)


STEMS = st.sampled_from([NAME, "layers.0.attn.to_q", "x_embedder", "layers.0.attention_norm1", "other", "", "."])
PREFIXES = st.sampled_from(["", "base_model.model.", "transformer.", "lora_unet_", "lycoris_", "diffusion_model."])
SUFFIXES = st.sampled_from(
    [
        ".lora_A.weight", ".lora_B.weight", ".lora_up.x.weight", ".lora.down.weight", ".alpha", ".lokr_w1", ".lokr_w2",
        ".lokr_w1_a", ".lokr_w2_b", ".w_norm", ".b_norm", ".diff", ".diff_b", ".weight", "", ".lora_A",
    ]
)  # fmt: skip
KEYS = st.builds(lambda *parts: "".join(parts) or "x", PREFIXES, STEMS, SUFFIXES)
SHAPES = st.lists(st.sampled_from([0, 1, 2, 4, 8, 12, 20, 64, 96, 160]), max_size=3).map(tuple)
TENSORS = st.dictionaries(
    KEYS, st.tuples(SHAPES, st.sampled_from([torch.float32, torch.bfloat16, torch.int32])), max_size=5
)
METADATA = st.dictionaries(
    st.sampled_from(["lora_adapter_metadata", "lora_alpha", "ss_network_alpha"]),
    st.sampled_from(["1", "x", "{}", '{"transformer.r": 1}', "inf", '{"transformer.lora_alpha": []}', "[" * 99]),
)
MODEL = small_model()


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TENSORS, METADATA)
def test_any_file_is_an_adapter_or_refused(tmp_path_factory, tensors, metadata):
    path = tmp_path_factory.getbasetemp() / "fuzz.safetensors"
    held = {name: torch.ones(shape, dtype=dtype) for name, (shape, dtype) in tensors.items()}
    path.write_bytes(save(held, metadata))
    check(path)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_an_adapter_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    whole = bytearray(save(pairs(MODEL, PEFT, "x_embedder")))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1) | st.integers(0, 300))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[: data.draw(st.sampled_from([len(whole), len(whole) // 2, 40, 7]))])
    check(path)


def check(path):
    try:
        adapter = read_adapter(path, MODEL)
    except NewbieError as error:
        assert error.message
    else:
        assert isinstance(adapter, Adapter)
        attach(MODEL, [Worn(adapter)])
