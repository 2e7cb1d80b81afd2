"""What is written: the official folder, readable by other libraries, complete or absent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from newbie.checkpoints import save_model, save_weights
from newbie.checkpoints.save import Trained, config_json, replacing, save_table, write_bytes
from newbie.errors import OutputError, UsageError
from newbie.model.config import RELEASE, NextDiTConfig
from newbie.request import Recommended


def test_the_folder_has_the_official_names(saved_model):
    files = {path.relative_to(saved_model).as_posix() for path in saved_model.rglob("*") if path.is_file()}
    assert files == {
        "model_index.json",
        "newbie.json",
        "transformer/config.json",
        "transformer/diffusion_pytorch_model.safetensors",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "text_encoder/tokenizer.json",
        "clip_model/config.json",
        "clip_model/model.safetensors",
        "clip_model/tokenizer.json",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    }
    index = json.loads((saved_model / "model_index.json").read_text())
    assert index == {
        "_class_name": "NewbiePipeline",
        "transformer": ["transformer", "NextDiT_CLIP"],
        "text_encoder": ["text_encoder", "Gemma3Model"],
        "tokenizer": ["text_encoder", "AutoTokenizer"],
        "clip_model": ["clip_model", "JinaCLIPModel"],
        "clip_tokenizer": ["clip_model", "AutoTokenizer"],
        "vae": ["vae", "AutoencoderKL"],
    }
    card = json.loads((saved_model / "newbie.json").read_text())
    assert card["name"] == "tiny-newbie" and card["steps"] == 4 and card["trained_on"] == "nothing at all"
    assert Recommended.from_json(card) == Recommended(width=64, height=64, steps=4)


def test_the_weights_are_bf16_and_carry_their_configuration(saved_model, parts):
    path = saved_model / "transformer" / "diffusion_pytorch_model.safetensors"
    assert {tensor.dtype for tensor in load_file(path).values()} == {torch.bfloat16}
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["config"])
    assert NextDiTConfig.from_dict(config) == parts["transformer"].config
    assert config["model_type"] == "nextdit_clip"


def test_the_release_is_written_under_its_official_class_name():
    assert config_json("transformer", RELEASE)["_class_name"] == "NextDiT_3B_GQA_patch2_Adaln_Refiner_WHIT_CLIP"


def test_diffusers_opens_the_written_autoencoder(saved_model, parts):
    diffusers = pytest.importorskip("diffusers")
    peer = diffusers.AutoencoderKL.from_pretrained(saved_model / "vae", low_cpu_mem_usage=False)
    ours = parts["vae"].module.state_dict()
    assert all(torch.equal(tensor.float(), ours[name]) for name, tensor in peer.state_dict().items())


def test_transformers_reads_the_written_text_configuration(saved_model, parts):
    transformers = pytest.importorskip("transformers")
    config = transformers.AutoConfig.from_pretrained(saved_model / "text_encoder")
    ours = parts["text_encoder"].config
    assert (config.hidden_size, config.num_hidden_layers, config.sliding_window) == (32, 3, 8)
    assert tuple(config.layer_types) == ours.layer_types


def test_the_same_model_is_written_as_the_same_bytes(tmp_path, parts, saved_model):
    settings = Recommended(width=64, height=64, steps=4)
    save_model(
        tmp_path, parts, name="tiny-newbie", licence="Apache-2.0", trained_on="nothing at all", recommended=settings
    )
    for path in saved_model.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / path.relative_to(saved_model)).read_bytes()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, parts, monkeypatch):
    path = tmp_path / "vae.safetensors"
    part = parts["vae"]
    save_weights(path, dict(part.module.state_dict()), "vae", part.config)
    before = path.read_bytes()

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("newbie.checkpoints.save.write_safetensors", full)
    with pytest.raises(OutputError, match=r"vae\.safetensors: could not be written .*No space left"):
        save_weights(path, dict(part.module.state_dict()), "vae", part.config)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(tmp_path, parts):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match="could not be written"):
        save_model(tmp_path / "file" / "model", {"vae": parts["vae"]})


@pytest.mark.parametrize(("component", "layout"), [("clip", "original"), ("vae", "comfyui"), ("transformer", "merged")])
def test_a_layout_that_cannot_be_written_is_refused(component, layout, parts):
    with pytest.raises(UsageError, match=layout):
        save_table(component, layout, parts[component].config)


def test_a_module_in_training_is_written_without_its_gradients(tmp_path, parts):
    module = parts["vae"].module
    for parameter in module.parameters():
        parameter.requires_grad_(True)
    try:
        save_model(tmp_path, {"vae": Trained(module, parts["vae"].config)})
    finally:
        module.requires_grad_(False)
    assert load_file(tmp_path / "vae" / "diffusion_pytorch_model.safetensors")


KILLED = """
import os, signal, sys
from pathlib import Path
from newbie.checkpoints.save import replacing

with replacing(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_what_a_killed_process_left_goes_with_the_next_writing(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"the one before")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"the one before" and len(list(tmp_path.iterdir())) == 2
    write_bytes(path, b"whole")
    assert [each.name for each in tmp_path.iterdir()] == [path.name] and path.read_bytes() == b"whole"


def test_what_another_process_is_writing_stays(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    path, other = tmp_path / "a.json", tmp_path / ".a.json.0123abcd.tmp"
    neighbour = tmp_path / ".b.json.0123abcd.tmp"  # of another file
    neighbour.touch()
    with other.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        write_bytes(path, b"{}")
        assert other.exists()
    write_bytes(path, b"{}")
    assert not other.exists() and neighbour.exists()


def test_writers_lock_what_they_write(tmp_path):
    path = tmp_path / "a.json"
    with replacing(path) as file:
        write_bytes(path, b"first")  # by somebody else meanwhile
        file.write(b"second")
    assert path.read_bytes() == b"second" and len(list(tmp_path.iterdir())) == 1
