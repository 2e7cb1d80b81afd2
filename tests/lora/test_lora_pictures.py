"""newbie-mini wearing adapters, from a file to a picture and its record."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from newbie import images
from newbie.checkpoints import load_transformer
from newbie.cli import lora as command
from newbie.errors import OutputError, UsageError, WeightsError
from newbie.images import parameters_text
from newbie.request import AdapterChoice, Request

from .conftest import PEFT, pairs, peft, random, written

ASKED = {"height": 64, "width": 64, "num_inference_steps": 3, "seed": 5}
PROMPT = "1girl, red_hair"


@pytest.fixture(scope="module")
def folder(mini, tmp_path_factory):
    names = [name for name, module in mini.transformer.named_modules() if isinstance(module, nn.Linear)]
    tensors = pairs(mini.transformer, PEFT, *(name for name in names if name.startswith("layers")))
    return peft(tmp_path_factory.mktemp("loras") / "style", tensors, r=4, lora_alpha=2)


def pixels(pipeline):
    return np.asarray(pipeline(PROMPT, **ASKED).images[0]).astype(int)


def test_wearing_changes_the_picture_and_taking_off_brings_the_first_one_back(mini, folder):
    bare = pixels(mini)
    worn = mini.with_adapters(f"{folder}:0.3")
    assert np.abs(pixels(worn) - bare).max() > 20
    assert np.array_equal(pixels(worn.with_adapters()), bare)
    assert np.array_equal(pixels(mini), bare)
    assert worn.with_adapters().transformer is mini.transformer and worn.with_adapters().blocks is mini.blocks


def test_strengths_change_without_a_trace_of_the_one_before(mini, folder):
    first = mini.with_adapters(f"{folder}:0.3")
    again = first.with_adapters(f"{folder}:0.9").with_adapters(AdapterChoice(str(folder), 0.3))
    assert np.array_equal(pixels(first), pixels(again))
    merged = first.with_adapters(f"{folder}:0.3", merge=True)
    assert np.abs(pixels(merged) - pixels(first)).max() <= 8
    assert merged.describe()["adapters"][0]["how"] == "merged"
    assert (
        merged.with_adapters(folder).describe()["adapters"][0] | {"strength": 1.0, "how": "merged"}
        == (merged.with_adapters(folder).describe()["adapters"][0])
    )


def test_the_record_names_adapters_by_the_hash_of_their_files(mini, folder, tmp_path):
    result = mini.with_adapters(f"{folder}:0.3").generate(Request(prompt=PROMPT, width=64, height=64, steps=2, seed=5))
    path = images.save(result.images[0], tmp_path / "p.png", result.records[0])
    sha256, config = (
        hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("adapter_model.safetensors", "adapter_config.json")
    )
    (worn,) = images.read_record(path).record["ran"]["adapters"]
    assert worn == {"file": "style", "sha256": sha256, "config_sha256": config, "strength": 0.3, "how": "attached"}
    assert f'Lora hashes: "style: {sha256[:12]}"' in parameters_text(result.records[0])
    assert "Lora" not in parameters_text({"request": {}, "ran": mini.describe()})


def test_a_person_is_told_what_is_worn_and_what_is_left_out(mini, folder, tmp_path):
    notes: list[str] = []
    tensors = load_file(folder / "adapter_model.safetensors") | {"lora_te_x.lora_up.weight": random(2, 2)}
    mini.with_adapters(f"{written(tmp_path / 'more.safetensors', tensors)}:0.5", folder, on_note=notes.append)
    assert "more.safetensors: LoRA (PEFT names) for 42 modules, rank 4, scale 1, strength 0.5" in notes
    assert any("lora_te_x" in note and "not used" in note for note in notes)
    assert "style: LoRA (PEFT names) for 42 modules, rank 4, scale 0.5 by adapter_config.json, strength 1" in notes


def test_an_adapter_that_does_not_fit_leaves_the_pipeline_as_it_was(mini, folder, tmp_path):
    worn = mini.with_adapters(f"{folder}:0.3")
    wrong = written(tmp_path / "wrong.safetensors", {"a.lora_A.weight": random(2, 2), "a.lora_B.weight": random(2, 2)})
    with pytest.raises(WeightsError, match="another model"):
        worn.with_adapters(folder, wrong)
    with pytest.raises(UsageError, match="strength"):
        worn.with_adapters(f"{folder}:1000")
    assert worn.describe()["adapters"][0]["strength"] == 0.3


def said(*arguments):
    lines: list[str] = []
    code = command.main([str(each) for each in arguments], lines.append)
    return code, lines


def test_the_command_tells_what_an_adapter_holds_without_reading_weights(folder):
    code, lines = said(folder, "--keys")
    assert code == 0 and lines[0].startswith("style: LoRA (PEFT names) for 42 modules, rank 4, scale 0.5")
    assert sum(line.startswith("  matched: layers.") for line in lines) == 42
    code, (line,) = said(folder, "--json")
    about = json.loads(line)
    assert about["ranks"] == [4] and about["unmatched"] == [] and len(about["sha256"]) == 64


@pytest.mark.parametrize("layout", ["official", "diffusers", "comfyui"])
def test_a_merged_file_loads_to_the_weights_that_merging_gives(mini, folder, tmp_path, layout):
    merged = mini.with_adapters(f"{folder}:0.5", merge=True).transformer.state_dict()
    output = tmp_path / "merged.safetensors"
    code, lines = said(f"{folder}:0.5", "--output", output, "--layout", layout)
    assert code == 0 and "1 adapter merged" in lines[-1]
    loaded = load_transformer(output).module.state_dict()
    stored = {tensor.dtype for tensor in load_file(output).values()}
    assert stored == {torch.bfloat16}  # as newbie-mini is stored
    for name, tensor in merged.items():
        if name != "norm_final.weight":  # diffusers has no place for it, and nothing uses it
            torch.testing.assert_close(loaded[name], tensor.bfloat16().float(), atol=0, rtol=2**-7)
    with pytest.raises(OutputError, match="exists already"):
        said(folder, "--output", output)
