"""Parity passes where the arithmetic is right, in every spelling, and fails where anything is wrong or left out."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from newbie import parity
from newbie.checkpoints.tables import vae as vae_table
from newbie.checkpoints.translate import untranslate
from newbie.errors import UsageError
from newbie.parity.dit import Change
from newbie.parity.result import Case, Check, compare, same_text

GOLDEN = Path(__file__).parents[1] / "golden"


def copied(to: Path, *patterns: str) -> Path:
    """A folder with the golden files that fit the patterns."""
    for pattern in patterns:
        for file in GOLDEN.glob(pattern):
            shutil.copy(file, to / file.name)
    return to


def verdicts(folder: Path) -> dict[str, str]:
    return {f"{case.family}/{case.name}": case.verdict for case in parity.run(folder)}


def rewrite(file: Path, tensors: Mapping[str, Tensor]) -> None:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file)


def written(folder: Path, name: str, about: dict[str, Any], tensors: Mapping[str, Tensor]) -> None:
    (folder / f"{name}.json").write_text(json.dumps(about | {"file": f"{name}.safetensors"}))
    rewrite(folder / f"{name}.safetensors", tensors)


def test_every_golden_file_of_the_repository_is_within_tolerance(tmp_path: Path) -> None:
    said: list[str] = []
    code = parity.main([str(copied(tmp_path, "[!v]*.json", "[!v]*.safetensors"))], said.append)
    assert code == 0, "\n".join(line for line in said if not line.startswith("ok"))
    assert said[-1].endswith("0 beyond it, 0 skipped")
    for family in ("dit_clip_gqa_forward", "dit_noclip_mha_trajectory", "gemma_tiny_io", "jina_tiny_io on original",
                   "jina_tiny_io on merged", "comfy_sampling", "prompts", "prompt_assembly", "lora_peft_adapter",
                   "lora_peft_comfy", "lora_peft_kohya", "lokr_factored_adapter", "lokr_full_adapter"):  # fmt: skip
        assert any(line.startswith("ok") and f" {family} " in line for line in said), family


def test_the_networks_are_held_to_one_in_a_hundred_thousand(tmp_path: Path) -> None:
    folder = copied(tmp_path, "dit_noclip_mha_forward*", "dit_noclip_mha_weights*", "gemma*", "jina*")
    tolerances = {
        (case.name, check.what): check.tolerance
        for case in parity.run(folder)
        for check in case.checks
        if not check.what.startswith(("inter.", "attention_mask"))
    }
    assert {t for (name, _), t in tolerances.items() if not name.startswith("eps_small")} == {1e-5}
    assert {t for (name, _), t in tolerances.items() if name.startswith("eps_small")} == {2e-4}


def test_intermediate_states_are_compared_block_by_block(tmp_path: Path) -> None:
    folder = copied(tmp_path, "dit_clip_gqa_forward*", "dit_clip_gqa_weights*")
    cases = {case.name: {check.what for check in case.checks} for case in parity.run(folder)}
    golden = load_file(GOLDEN / "dit_clip_gqa_forward.safetensors")
    for name in ("b2", "varres"):
        wanted = {key.removeprefix(f"{name}/") for key in golden if key.startswith(f"{name}/inter.")}
        assert len(wanted) == 20
        assert wanted <= cases[name]


@pytest.mark.parametrize("key", ["layers.1.feed_forward.w1.weight", "layers.0.attention.k_norm.weight"])
def test_a_slightly_wrong_weight_is_beyond_tolerance(tmp_path: Path, key: str) -> None:
    folder = copied(tmp_path, "dit_noclip_mha_forward*", "dit_noclip_mha_weights*")
    weights = load_file(folder / "dit_noclip_mha_weights.safetensors")
    weights[key] = weights[key] * 1.001
    rewrite(folder / "dit_noclip_mha_weights.safetensors", weights)
    said: list[str] = []
    assert parity.main([str(folder)], said.append) == 1
    assert any(line.startswith("FAIL") and "<= 1.0e-05" in line for line in said)


def test_a_wrong_intermediate_alone_is_beyond_tolerance(tmp_path: Path) -> None:
    folder = copied(tmp_path, "dit_noclip_mha_forward*", "dit_noclip_mha_weights*")
    tensors = load_file(folder / "dit_noclip_mha_forward.safetensors")
    tensors["b3/inter.noise_refiner.0"][0, 0, 0] += 0.01
    rewrite(folder / "dit_noclip_mha_forward.safetensors", tensors)
    assert verdicts(folder)["dit_noclip_mha_forward/b3"] == "FAIL"


@pytest.mark.parametrize(
    ("prefix", "stem"),
    [
        ("model.diffusion_model.", "dit_noclip_mha_weights"),
        ("diffusion_model.", "dit_noclip_mha_weights"),
        ("language_model.model.", "gemma_tiny_weights"),
        ("", "gemma_tiny_weights"),
        ("text_encoders.jina.", "jina_tiny_weights_merged"),
    ],
)
def test_names_may_carry_any_prefix(tmp_path: Path, prefix: str, stem: str) -> None:
    key = stem.partition("_weights")[0]
    folder = copied(tmp_path, f"{stem}.*", f"{key}_io.*", f"{key}_cfg.*")
    weights = load_file(folder / f"{stem}.safetensors")
    rewrite(folder / f"{stem}.safetensors", {prefix + name.removeprefix("model."): t for name, t in weights.items()})
    assert set(verdicts(folder).values()) == {"ok"}


def test_weights_in_several_files_are_put_together(tmp_path: Path) -> None:
    folder = copied(tmp_path, "gemma_tiny_*")
    weights = load_file(folder / "gemma_tiny_weights.safetensors")
    about = json.loads((folder / "gemma_tiny_weights.json").read_text())
    names = sorted(weights)
    for number, part in enumerate((names[::2], names[1::2]), 1):
        written(folder, f"gemma_tiny_weights-0000{number}-of-00002", about, {name: weights[name] for name in part})
    for suffix in ("json", "safetensors"):
        (folder / f"gemma_tiny_weights.{suffix}").unlink()
    assert verdicts(folder) == {"gemma_tiny_io/short": "ok", "gemma_tiny_io/beyond_window": "ok"}


def test_a_gemma_of_another_shape_is_run_from_its_json_alone(tmp_path: Path) -> None:
    from transformers import Gemma3TextConfig, Gemma3TextModel

    torch.manual_seed(3)
    shape = {
        "vocab_size": 50, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 4,
        "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 8, "query_pre_attn_scalar": 8,
        "sliding_window": 5, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
    }  # fmt: skip
    rope = {
        "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 5e5},
        "sliding_attention": {"rope_type": "default", "rope_theta": 2e4},
    }
    peer = Gemma3TextModel(Gemma3TextConfig(**shape, rope_parameters=rope, attn_implementation="eager")).eval()
    said = shape | {"rope_theta": 5e5, "rope_factor": 4.0, "rope_local_base_freq": 2e4}
    ids = torch.randint(3, 50, (2, 16))
    mask = torch.ones_like(ids)
    mask[0, 4:] = 0
    with torch.no_grad():
        states = peer(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
    about = {"kind": "gemma3_text", "config": said}
    decoys = {"lm_head.weight": torch.zeros(50, 24), "vision_tower.patch.weight": torch.zeros(3)}
    names = {f"language_model.model.{name}": tensor for name, tensor in peer.state_dict().items()}
    written(tmp_path, "other_weights", about, names | decoys)
    written(tmp_path, "other_io", about | {"cases": {"any name": {}}}, {
        "any name/input_ids": ids, "any name/attention_mask": mask, "any name/hidden_2": states[2],
        "any name/penultimate": states[-2], "any name/last_normed": states[-1],
    })  # fmt: skip
    (case,) = parity.run(tmp_path)
    assert case.verdict == "ok", case
    assert {check.what for check in case.checks} == {"hidden_2", "penultimate"}


@pytest.mark.parametrize("layout", ["diffusers", "original"])
def test_an_autoencoder_in_either_layout_is_run_from_its_halves(tmp_path: Path, layout: str) -> None:
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    channels = (8, 16, 16)
    peer = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, block_out_channels=channels, layers_per_block=1,
        down_block_types=["DownEncoderBlock2D"] * 3, up_block_types=["UpDecoderBlock2D"] * 3, norm_num_groups=4,
        scaling_factor=0.5, shift_factor=0.2, use_quant_conv=False, use_post_quant_conv=False,
    ).eval()  # fmt: skip
    image, latents = torch.rand(1, 3, 16, 24) * 2 - 1, torch.randn(2, 4, 3, 2)
    with torch.no_grad():
        posterior = peer.encode(image).latent_dist
        decoded = peer.decode(latents / 0.5 + 0.2).sample
    weights = dict(peer.state_dict())
    said: dict[str, Any] = {"config_diffusers": {
        "block_out_channels": list(channels), "layers_per_block": 1, "latent_channels": 4, "norm_num_groups": 4,
        "scaling_factor": 0.5, "shift_factor": 0.2,
    }}  # fmt: skip
    if layout == "original":
        weights = untranslate(weights, vae_table.original(3))
        said = {"config_original": {
            "ch": 8, "ch_mult": [1, 2, 2], "num_res_blocks": 1, "z_channels": 4, "scale_factor": 0.5,
            "shift_factor": 0.2, "norm_groups": 4,
        }}  # fmt: skip
    about = {"kind": "vae", "layout": layout, **said}
    for half in ("encoder", "decoder"):
        part = {f"first_stage_model.{name}": t for name, t in weights.items() if name.startswith(half)}
        written(tmp_path, f"vae_any_{half}_weights", about, part)
    written(tmp_path, "vae_any_io", about | {"cases": {"one": {}}}, {
        "one/image": image, "one/mean": posterior.mean, "one/logvar": posterior.logvar,
        "one/latents_from_image": (posterior.mean - 0.2) * 0.5, "one/latents": latents, "one/decoded": decoded,
    })  # fmt: skip
    (case,) = parity.run(tmp_path)
    assert case.verdict == "ok", case
    assert len(case.checks) == 4


@pytest.mark.parametrize("missing", ["gemma_tiny_weights.json", "gemma_tiny_weights.safetensors"])
def test_cases_without_their_weights_are_skipped_and_that_is_a_failure(tmp_path: Path, missing: str) -> None:
    folder = copied(tmp_path, "gemma_tiny_*")
    (folder / missing).unlink()
    said: list[str] = []
    assert parity.main([str(folder)], said.append) == 1
    assert any(line.startswith("SKIP") and "gemma_tiny" in line for line in said)


def test_half_a_network_is_skipped_with_the_name_of_a_missing_tensor(tmp_path: Path) -> None:
    folder = copied(tmp_path, "jina_tiny_io*", "jina_tiny_weights_merged*")
    weights = load_file(folder / "jina_tiny_weights_merged.safetensors")
    del weights["model.encoder.layers.2.mlp.fc2.bias"]
    rewrite(folder / "jina_tiny_weights_merged.safetensors", weights)
    (case,) = parity.run(folder)
    assert case.verdict == "SKIP"
    assert "encoder.layers.2.mlp.fc2.bias" in case.skipped


def test_a_derived_case_in_unknown_words_is_skipped_rather_than_guessed(tmp_path: Path) -> None:
    folder = copied(tmp_path, "dit_noclip_mha_forward*", "dit_noclip_mha_weights*")
    about = json.loads((folder / "dit_noclip_mha_forward.json").read_text())
    about["cases"]["eps_small"] = {"inputs_from": "b3", "call": "forward after dinner"}
    (folder / "dit_noclip_mha_forward.json").write_text(json.dumps(about))
    assert verdicts(folder)["dit_noclip_mha_forward/eps_small"] == "SKIP"


def test_a_case_that_cannot_be_run_leaves_the_others_running(tmp_path: Path) -> None:
    folder = copied(tmp_path, "gemma_tiny_*", "comfy_sampling*")
    tensors = load_file(folder / "gemma_tiny_io.safetensors")
    del tensors["short/input_ids"]
    rewrite(folder / "gemma_tiny_io.safetensors", tensors)
    found = verdicts(folder)
    assert found["gemma_tiny_io/short"] == "SKIP"
    assert found["gemma_tiny_io/beyond_window"] == "ok"
    assert found["comfy_sampling/sigmas/simple/shift6/steps20"] == "ok"
    assert found["comfy_sampling/euler_simple8"] == "SKIP"  # its model is not in the folder


def test_cases_that_only_the_tensors_show_are_run_too(tmp_path: Path) -> None:
    folder = copied(tmp_path, "gemma_tiny_*")
    about = json.loads((folder / "gemma_tiny_io.json").read_text())
    del about["cases"]["short"]
    (folder / "gemma_tiny_io.json").write_text(json.dumps(about))
    assert verdicts(folder)["gemma_tiny_io/short"] == "ok"


def test_unknown_kinds_and_files_without_a_json_are_named(tmp_path: Path) -> None:
    written(tmp_path, "mystery_io", {"kind": "mystery", "cases": {"a": {}}}, {"a/x": torch.zeros(1)})
    rewrite(tmp_path / "stray.safetensors", {"x": torch.zeros(1)})
    found = verdicts(tmp_path)
    assert found == {"mystery_io/all": "SKIP", "stray.safetensors/all": "SKIP"}


def test_a_wrong_alpha_is_seen(tmp_path: Path) -> None:
    folder = copied(tmp_path, "lora_peft_adapter*", "lora_peft_out*", "dit_clip_gqa_weights.*", "dit_clip_gqa_forward*")
    about = json.loads((folder / "lora_peft_adapter.json").read_text())
    about["adapter_config_json"]["lora_alpha"] *= 2
    (folder / "lora_peft_adapter.json").write_text(json.dumps(about))
    found = verdicts(folder)
    assert found["lora_peft_adapter/strength 0"] == "ok"
    assert found["lora_peft_adapter/strength 0.6"] == found["lora_peft_adapter/merged weights"] == "FAIL"


def test_adapters_without_their_base_or_their_outputs_are_skipped_and_named(tmp_path: Path) -> None:
    alone = copied(tmp_path, "lora_peft_adapter*")
    assert verdicts(alone)["lora_peft_adapter/all"] == "SKIP"
    assert verdicts(copied(tmp_path, "lora_peft_out*"))["lora_peft_adapter/all"] == "SKIP"


def test_derived_cases_are_read_from_their_descriptions() -> None:
    about = json.loads((GOLDEN / "dit_clip_gqa_forward.json").read_text())["cases"]
    factors = (
        ("*.attention.qkv.weight", 0.002),
        ("x_embedder.weight", 0.01),
        ("x_embedder.bias", 0.01),
        ("cap_embedder.1.weight", 0.01),
        ("cap_embedder.1.bias", 0.01),
        ("cap_feats", 0.002),
        ("clip_text_pooled", 0.002),
    )
    assert {name: Change.read(case) for name, case in about.items()} == {
        **dict.fromkeys(("b1", "b2", "b3", "varres"), Change()),
        "no_pooled": Change(no_pooled=True),
        "no_pooled_comfy": Change(no_pooled=True, zeros_for_pooled=True),
        "zero_pooled": Change(zero_pooled=True),
        "eps_small": Change(factors=factors),
        "eps_small_apex": Change(factors=factors, qk_norm_eps=1e-5),
    }


def test_nan_and_other_shapes_are_never_within_tolerance() -> None:
    assert not compare("x", torch.tensor([math.nan]), torch.zeros(1), 1.0).fine
    assert not compare("x", torch.zeros(2), torch.zeros(1), 1.0).fine
    assert Case("f", "c", (Check("x", math.nan, 1.0),)).verdict == "FAIL"
    assert Case("f", "c").verdict == "SKIP"


def test_texts_are_equal_or_differ_at_a_place() -> None:
    assert same_text("t", "abc", "abc").fine
    assert same_text("t", "abc", "abd") == Check("t differs from character 3", 3.0, 0.0)
    assert same_text("t", "abc", "abcd") == Check("t differs from character 4", 4.0, 0.0)


def test_a_line_shows_the_worst_error_beside_its_tolerance() -> None:
    cases = [Case("dit", "b1", (Check("out", 2e-6, 1e-5), Check("inter.x", 1e-6, 1e-5)))]
    line, _, total = parity.lines(cases)
    assert line.split() == ["ok", "dit", "b1", "2.0e-06", "<=", "1.0e-05", "out"]
    assert total == "1 cases: 1 within tolerance, 0 beyond it, 0 skipped"
    assert len(parity.lines(cases, verbose=True)) == 4


def test_an_unknown_attention_kernel_is_a_wrong_call_and_no_skipped_case(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="magic"):
        parity.main([str(copied(tmp_path, "gemma_tiny_*")), "--attention", "magic"], print)


@pytest.mark.parametrize("argv", [[], ["a", "b"], ["--what"], ["no such folder"]])
def test_a_wrong_call_says_how_to_call(argv: list[str]) -> None:
    with pytest.raises(UsageError, match=r"folder") as error:
        parity.main(argv, print)
    assert "python -m newbie parity" in error.value.hint


def test_a_folder_without_golden_files_is_an_error_not_a_success(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no golden files"):
        parity.run(tmp_path)
