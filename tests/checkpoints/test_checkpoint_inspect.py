"""inspect and verify: what a file is, and whether it is whole, also for 7 GB that are not there."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from newbie.checkpoints import inspect, licences, load_transformer, locate, verify
from newbie.checkpoints.inspect import main as inspect_main
from newbie.checkpoints.load import fill
from newbie.checkpoints.plan import plan_load
from newbie.checkpoints.readers import open_weights
from newbie.checkpoints.source import find
from newbie.checkpoints.verify import main as verify_main
from newbie.errors import WeightsError
from newbie.model.config import RELEASE
from newbie.model.nextdit import NextDiT

VAE = Path("vae/diffusion_pytorch_model.safetensors")


def edit(path: Path, alter) -> None:
    tensors = load_file(path)
    alter(tensors)
    save_file(tensors, path)


def run(main, *arguments: object) -> tuple[int, str]:
    lines: list[str] = []
    return main([str(argument) for argument in arguments], lines.append), "\n".join(lines)


# ---- a synthetic file with the header of the release


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    """The official 3.5B file without its numbers: 6.97 GB that take no room on the disk."""
    with torch.device("meta"):
        names = {name: list(tensor.shape) for name, tensor in NextDiT(RELEASE).state_dict().items()}
    header, end = {}, 0
    for name, shape in names.items():
        start, end = end, end + 2 * torch.Size(shape).numel()
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    path = tmp_path_factory.mktemp("release") / "NewBie-Image-Exp0.1-bf16.safetensors"
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    used = path.stat().st_blocks * 512 if hasattr(path.stat(), "st_blocks") else end
    if used > 2**26:
        path.unlink()
        pytest.skip("this file system has no sparse files")
    return path


def test_the_release_has_its_published_number_of_tensors_and_parameters(release):
    index = open_weights(release)
    assert (len(index), index.parameters, index.nbytes) == (535, 3_486_636_096, 6_973_272_192)


def test_the_release_is_recognised_inferred_and_complete_from_its_header(release):
    began = time.perf_counter()
    plan = plan_load(find("transformer", release))
    assert plan.config == RELEASE
    assert plan.part.has_clip
    assert plan.report.complete and len(plan.report.matched) == 535 and not plan.report.notes
    assert sum(p.numel() for p in plan.module.parameters()) == 3_486_636_096
    assert time.perf_counter() - began < 60  # seconds, on a busy machine; reading 7 GB would take longer


def test_the_release_is_inspected_without_reading_it(release):
    code, text = run(inspect_main, release)
    assert code == 0
    for said in ("official names", "535 tensors, 3,486,636,096 parameters: bfloat16", "6.49 GiB", "Newbie-NC-1.0"):
        assert said in text
    assert '"n_layers": 36' in text


def test_the_release_is_verified_quickly_by_name_and_shape(release):
    found = verify(release, quick=True)
    assert found.ok and found.weights_hash.startswith("sampled:") and not found.hashes


def test_the_first_numbers_of_the_release_are_really_in_its_file(release):
    """The mapping is used: one tensor of 17 MB is taken from a file of 7 GB."""
    entry = open_weights(release)["layers.35.attention.qkv.weight"]
    assert entry.view is not None and entry.view().shape == (3840, 2304)
    assert not entry.view().any()


def test_a_release_without_one_tensor_is_refused_before_a_byte_is_read(release):
    plan = plan_load(find("transformer", release))
    missing = "layers.17.feed_forward.w3.weight"
    report = dataclasses.replace(
        plan.report, matched=tuple(n for n in plan.report.matched if n != missing), missing=(missing,)
    )
    with pytest.raises(WeightsError, match=rf"1 of 535 tensors .* missing: {missing}"):
        fill(dataclasses.replace(plan, report=report), "cpu", torch.bfloat16)


# ---- inspect


def test_a_model_folder_is_described_part_by_part(saved_model):
    found = inspect(saved_model)
    assert set(found.components) == {"transformer", "text_encoder", "clip", "vae"}
    text = "\n".join(found.lines())
    for said in (
        "official names, with CLIP branch",
        "tokenizer: tokenizer.json",
        "newbie.json: licence = Apache-2.0",
        "bfloat16",
    ):
        assert said in text
    assert found.parameters == locate(saved_model).parameters
    assert all(part.loadable for one in found.checkpoints for part in one.parts)


def test_inspect_as_json_can_be_read_by_a_program(saved_model):
    code, text = run(inspect_main, saved_model / VAE, "--json")
    (checkpoint,) = json.loads(text)["checkpoints"]
    assert code == 0
    assert checkpoint["parts"][0]["component"] == "vae"
    assert checkpoint["parts"][0]["config"]["norm_num_groups"] == 8


def test_inspect_says_what_it_cannot_infer(golden):
    _, text = run(inspect_main, golden / "dit_clip_gqa_weights.safetensors")
    assert "axes_dims" in text and "106 tensors" in text


def test_inspect_names_foreign_files_and_goes_on_past_damaged_ones(model):
    save_file({"double_blocks.0.img_attn.qkv.weight": torch.ones(1)}, model / "flux.safetensors")
    (model / VAE).write_bytes((model / VAE).read_bytes()[:-1])
    code, text = run(inspect_main, model)
    assert code == 4
    assert "looks like a FLUX transformer" in text and "truncated" in text and "text encoder (Gemma 3)" in text


def test_inspect_of_nothing_is_an_error(tmp_path):
    with pytest.raises(WeightsError, match="no weights in it"):
        inspect(tmp_path)
    with pytest.raises(WeightsError, match="no such file"):
        inspect(tmp_path / "gone")


# ---- verify


def test_a_whole_model_passes_and_its_hashes_are_given(saved_model):
    code, text = run(verify_main, saved_model)
    assert code == 0
    assert text.splitlines()[-1] == "tiny-newbie is whole: 11 checks passed"
    assert text.count("sha256 ") == 4 and "weights sha256:" in text
    assert run(verify_main, saved_model / VAE, "--json")[0] == 0


DAMAGE = {
    "a missing tensor": (lambda t: t.pop("encoder.conv_in.bias"), "missing: encoder.conv_in.bias"),
    "a wrong shape": (
        lambda t: t.update({"encoder.conv_in.bias": torch.ones(3)}),
        r"encoder.conv_in.bias has the shape [3]",
    ),
    "nan": (lambda t: t["encoder.conv_in.bias"].fill_(torch.nan), "NaN or infinity in 1 tensors: encoder.conv_in.bias"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found_and_named(model, damage):
    alter, said = DAMAGE[damage]
    edit(model / VAE, alter)
    code, text = run(verify_main, model)
    assert code == 4 and said in text and "BAD" in text
    assert "NOT sound: 1 of" in text


@pytest.mark.parametrize("quick", [True, False])
def test_only_a_full_check_finds_nan(model, quick):
    edit(model / VAE, lambda tensors: tensors["encoder.conv_in.bias"].fill_(torch.nan))
    assert verify(model, quick=quick).ok is quick


def test_everything_that_is_wrong_is_found_in_one_go(model):
    (model / VAE).write_bytes((model / VAE).read_bytes()[:-1])
    shutil.rmtree(model / "clip_model")
    (model / "text_encoder" / "tokenizer.json").write_text("{")
    found = verify(model, quick=True)
    text = " ".join(f"{problem.what}: {problem.detail}" for problem in found.problems)
    assert len(found.problems) == 3
    assert "truncated" in text and "CLIP model (Jina CLIP v2, text) is missing" in text and "tokenizer" in text
    with pytest.raises(WeightsError):
        found.require()


def test_parts_of_different_models_are_found(model, tmp_path):
    edit(model / "transformer" / "diffusion_pytorch_model.safetensors", _widen)
    (problem,) = verify(model, quick=True).problems
    assert problem.what == "parts" and "caption features of 32" in problem.detail


def _widen(tensors):
    tensors["cap_embedder.0.weight"] = torch.ones(48)
    tensors["cap_embedder.1.weight"] = torch.ones(36, 48)


def test_a_single_part_can_be_verified_alone(saved_model, tmp_path):
    assert verify(saved_model / "vae").ok
    assert verify(saved_model / "text_encoder", quick=True).ok
    shutil.copy(saved_model / VAE, tmp_path / "ae.safetensors")
    assert verify(tmp_path / "ae.safetensors").ok


def test_a_file_of_something_else_is_not_sound(tmp_path):
    save_file({"something": torch.ones(1)}, tmp_path / "a.safetensors")
    assert not verify(tmp_path / "a.safetensors").ok
    (tmp_path / "b.safetensors").write_bytes(b"PK\x03\x04 a pickle")
    (problem,) = verify(tmp_path / "b.safetensors").problems
    assert "its name says safetensors" in problem.detail


def test_a_file_in_the_hubs_cache_is_compared_with_its_name(saved_model, tmp_path):
    blobs = tmp_path / "models--a--b" / "blobs"
    folder = tmp_path / "models--a--b" / "snapshots" / "abc" / "vae"
    blobs.mkdir(parents=True)
    folder.mkdir(parents=True)
    shutil.copy(saved_model / VAE, blobs / ("0" * 64))
    try:
        (folder / VAE.name).symlink_to(f"../../../blobs/{'0' * 64}")
    except OSError:
        pytest.skip("making links needs rights here")
    shutil.copy(saved_model / "vae" / "config.json", folder)
    found = verify(folder)
    (problem,) = found.problems
    assert "hash" in problem.what and "0" * 64 in problem.detail
    real = next(iter(found.hashes.values()))
    (folder / VAE.name).unlink()
    (blobs / ("0" * 64)).rename(blobs / real)
    (folder / VAE.name).symlink_to(f"../../../blobs/{real}")
    assert verify(folder).ok


def test_verify_of_nothing_is_an_error(tmp_path):
    with pytest.raises(WeightsError, match="no such file"):
        verify(tmp_path / "gone")
    assert not verify(tmp_path).ok


# ---- licences


def test_the_release_comes_with_its_non_commercial_terms(release):
    licence = licences.of_part(find("transformer", release).open())
    assert licence is licences.NEWBIE
    assert "Non-commercial" in licence.line()


def test_weights_nobody_knows_have_no_terms_and_a_models_own_statement_counts(saved_model, tmp_path):
    assert locate(saved_model).licences == ("tiny-newbie: Apache-2.0. nothing at all (newbie.json)",)
    bare = Path(shutil.copytree(saved_model, tmp_path / "bare"))
    (bare / "newbie.json").unlink()
    assert locate(bare).licences == ()


def test_terms_are_told_once_per_installation(tmp_path):
    state = tmp_path / "deep" / "told.json"
    assert licences.unseen(["a", "b"], state) == ["a", "b"]
    licences.remember(["a"], state)
    assert licences.unseen(["a", "b"], state) == ["b"]
    licences.remember(["b"], state)
    assert licences.unseen(["a", "b"], state) == []


@pytest.mark.parametrize("content", ["", "{", "{}", "[1, 2]", "null"])
def test_a_damaged_memory_of_what_was_told_only_tells_again(tmp_path, content):
    state = tmp_path / "told.json"
    state.write_text(content)
    assert licences.unseen(["a"], state) == ["a"]
    licences.remember(["a"], state)
    assert licences.unseen(["a"], state) == []


def test_where_nothing_can_be_remembered_nothing_fails(tmp_path):
    (tmp_path / "file").write_text("")
    licences.remember(["a"], tmp_path / "file" / "told.json")
    assert licences.unseen(["a"], tmp_path / "file" / "told.json") == ["a"]


def test_messages_name_files_without_the_folders_above_them(saved_model):
    loaded = load_transformer(str(saved_model / "transformer"))
    assert loaded.report.source == "transformer/diffusion_pytorch_model.safetensors"
