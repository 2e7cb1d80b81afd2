"""What a file is, is decided by its content; pickles are never executed; shards never leave their folder."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from newbie.checkpoints.readers import Content, content, open_weights
from newbie.checkpoints.source import candidates
from newbie.errors import WeightsError

EXECUTED: list[str] = []


class Trap:
    """What a malicious pickle does when it is unpickled."""

    def __reduce__(self):
        return EXECUTED.append, ("executed",)


@pytest.fixture(autouse=True)
def _nothing_was_executed():
    EXECUTED.clear()
    yield
    assert not EXECUTED


def tensors() -> dict[str, torch.Tensor]:
    return {"a.weight": torch.arange(6.0).reshape(2, 3), "b.weight": torch.ones(2)}


def trapped(path: Path, *, zipped: bool) -> Path:
    if zipped:
        torch.save({"a": torch.ones(2), "trap": Trap()}, path)
    else:
        path.write_bytes(pickle.dumps({"trap": Trap()}))
    return path


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("allowed", [True, False])
def test_a_pickle_that_is_called_safetensors_is_recognised_and_not_opened(tmp_path, zipped, allowed):
    path = trapped(tmp_path / "model.safetensors", zipped=zipped)
    with pytest.raises(WeightsError, match=r"model\.safetensors.*although its name says safetensors"):
        open_weights(path, allow_pickle=allowed)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_wants_to_run_code_is_refused_even_when_pickles_are_allowed(tmp_path, zipped):
    path = trapped(tmp_path / "model.pth", zipped=zipped)
    with pytest.raises(WeightsError, match=r"model\.pth.*plain tensors"):
        open_weights(path, allow_pickle=True)


def test_pickles_are_read_only_when_asked_for(tmp_path):
    torch.save(tensors(), tmp_path / "model.pth")
    with pytest.raises(WeightsError, match="only read when asked for") as caught:
        open_weights(tmp_path / "model.pth")
    assert "--allow-pickle" in caught.value.hint


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("wrapper", [None, "model", "state_dict", "ema"])
def test_both_pickle_forms_give_their_tensors_below_any_known_wrapper(tmp_path, modern, wrapper):
    table = tensors() if wrapper is None else {wrapper: tensors(), "step": 3, "args": None}
    torch.save(table, tmp_path / "m.pth", _use_new_zipfile_serialization=modern)
    index = open_weights(tmp_path / "m.pth", allow_pickle=True)
    assert {name: tuple(t.shape) for name, t in tensors().items()} == index.shapes
    assert all(torch.equal(index[name].read(), tensor) for name, tensor in tensors().items())


def test_averaged_weights_come_before_raw_ones_and_that_is_noted(tmp_path):
    torch.save({"model": {"a": torch.zeros(2)}, "ema": {"a": torch.ones(2)}}, tmp_path / "m.pth")
    index = open_weights(tmp_path / "m.pth", allow_pickle=True)
    assert torch.equal(index["a"].read(), torch.ones(2))
    assert "'ema'" in index.notes[0]


def test_a_safetensors_file_called_pth_is_read_as_what_it_is(tmp_path):
    save_file(tensors(), tmp_path / "m.pth")
    assert open_weights(tmp_path / "m.pth").kind == "safetensors"


def test_a_read_pickled_tensor_is_independent_of_the_next_read(tmp_path):
    torch.save(tensors(), tmp_path / "m.pth")
    index = open_weights(tmp_path / "m.pth", allow_pickle=True)
    index["b.weight"].read().zero_()
    assert torch.equal(index["b.weight"].read(), torch.ones(2))


@pytest.mark.parametrize("damage", ["cut", "flip", "text", "numbers"])
def test_a_damaged_or_empty_pickle_is_named(tmp_path, damage):
    path = tmp_path / "m.pth"
    torch.save(tensors(), path)
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "flip":
        path.write_bytes(b"\x80\x02" + whole[2:])
    elif damage == "text":
        torch.save({"a": "text"}, path)
    else:
        torch.save([1, 2], path)
    with pytest.raises(WeightsError, match=r"m\.pth"):
        open_weights(path, allow_pickle=True)


OTHERS = {
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", Content.POINTER, "git-lfs"),
    "page": (b"<!DOCTYPE html><html>", Content.PAGE, "web page"),
    "json": (b'{"error": "not found"}', Content.JSON, "JSON"),
    "empty": (b"", Content.EMPTY, "empty"),
    "noise": (bytes(range(200, 256)), Content.UNKNOWN, "truncated|not a safetensors|header"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_files_that_only_look_like_weights_are_told_apart(tmp_path, case):
    data, kind, said = OTHERS[case]
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    assert content(path) is kind
    with pytest.raises(WeightsError, match=said) as caught:
        open_weights(path)
    assert caught.value.hint and "model.safetensors" in caught.value.message


def test_a_folder_and_a_missing_file_are_named(tmp_path):
    with pytest.raises(WeightsError, match="is a folder"):
        open_weights(tmp_path)
    with pytest.raises(WeightsError, match=r"gone\.safetensors: no such file"):
        open_weights(tmp_path / "gone.safetensors")


# ---- shards


def shards(folder: Path, *, index: bool = True, **more: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    table = tensors()
    for name, (tensor, value) in zip(names, table.items(), strict=True):
        save_file({tensor: value}, folder / name)
    path = folder / "model.safetensors.index.json"
    if index:
        path.write_text(json.dumps({"weight_map": dict(zip(table, names, strict=True)) | more}))
    return path


def test_shards_are_one_checkpoint_with_and_without_an_index(tmp_path):
    with_index = open_weights(shards(tmp_path / "a"))
    shards(tmp_path / "b", index=False)
    (files,) = candidates(tmp_path / "b")
    for index in (with_index, open_weights(files)):
        assert all(torch.equal(index[name].read(), tensor) for name, tensor in tensors().items())
        assert len(index.files) == 2


def test_an_index_and_its_shards_are_one_candidate(tmp_path):
    path = shards(tmp_path)
    assert candidates(tmp_path) == [(path,)]


OUTSIDE = [
    "../secret.safetensors", "/etc/secret.safetensors", "a/../../secret.safetensors", "..", ".", "",
    "..\\secret.safetensors", "C:\\secret.safetensors", "C:secret.safetensors", "sub/secret.safetensors",
    "//host/share/secret.safetensors", "\\\\host\\share\\s.safetensors", "model.safetensors\0.txt",
]  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_shard_name_cannot_leave_the_folder(tmp_path, name):
    (tmp_path / "m").mkdir()
    save_file({"x": torch.ones(1)}, tmp_path / "secret.safetensors")
    path = shards(tmp_path / "m", x=name)
    with pytest.raises(WeightsError) as caught:
        open_weights(path)
    assert repr(name) in caught.value.message and "not a plain file name" in caught.value.message


@pytest.mark.skipif(os.name != "posix", reason="making links needs rights on Windows")
def test_a_shard_that_is_a_link_out_of_the_folder_is_refused(tmp_path):
    path = shards(tmp_path / "m", x="linked.safetensors")
    save_file({"x": torch.ones(1)}, tmp_path / "secret.safetensors")
    (tmp_path / "m" / "linked.safetensors").symlink_to("../secret.safetensors")
    with pytest.raises(WeightsError, match="leads out of its folder"):
        open_weights(path)


@pytest.mark.skipif(os.name != "posix", reason="making links needs rights on Windows")
def test_the_links_of_the_hubs_cache_are_followed(tmp_path):
    repository = tmp_path / "models--user--name"
    path = shards(repository / "snapshots" / "abc" / "text_encoder")
    (repository / "blobs").mkdir()
    for shard in sorted(path.parent.glob("*.safetensors")):
        shard.rename(repository / "blobs" / shard.stem)
        shard.symlink_to(f"../../../blobs/{shard.stem}")
    assert len(open_weights(path)) == 2


def test_an_index_that_names_itself_or_another_is_refused(tmp_path):
    path = shards(tmp_path, x="model.safetensors.index.json")
    with pytest.raises(WeightsError, match=r"shard 'model\.safetensors\.index\.json', which is an index"):
        open_weights(path)


def test_a_missing_shard_is_named_whoever_misses_it(tmp_path):
    path = shards(tmp_path)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"model-00002-of-00002\.safetensors: missing"):
        open_weights(path)
    path.unlink()
    with pytest.raises(WeightsError, match=r"model-00002-of-00002\.safetensors: missing"):
        candidates(tmp_path)


def test_a_tensor_that_is_not_in_its_shard_is_named(tmp_path):
    path = shards(tmp_path, **{"c.weight": "model-00001-of-00002.safetensors"})
    with pytest.raises(WeightsError, match=r"model-00001.*does not hold tensor c\.weight"):
        open_weights(path)


def test_a_tensor_in_two_shards_is_named(tmp_path):
    path = shards(tmp_path)
    save_file(tensors(), tmp_path / "model-00002-of-00002.safetensors")
    with pytest.raises(WeightsError, match=r"a\.weight is in both"):
        open_weights(path)


@pytest.mark.parametrize("text", ["[]", "{", '{"weight_map": {}}', '{"weight_map": {"a": 1}}', "{}"])
def test_a_malformed_index_is_named(tmp_path, text):
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(text)
    with pytest.raises(WeightsError, match=r"model\.safetensors\.index\.json"):
        open_weights(path)
