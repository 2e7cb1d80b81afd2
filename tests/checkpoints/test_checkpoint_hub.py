"""Fetching a model, against a hub on loopback and through the real client library."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from newbie.checkpoints import hub as door
from newbie.checkpoints import locate
from newbie.checkpoints.remote import needed
from newbie.errors import WeightsError

spec = importlib.util.spec_from_file_location("fake_hub", Path(__file__).with_name("fake_hub.py"))
fake_hub = importlib.util.module_from_spec(spec)
sys.modules["fake_hub"] = fake_hub  # dataclasses look their module up
spec.loader.exec_module(fake_hub)

EXTRA = {
    ".gitattributes": b"*.safetensors filter=lfs",
    "README.md": b"# a model",
    "LICENSE.md": b"be kind",
    "clip_model/modeling_clip.py": b"raise SystemExit('executed')",
    "clip_model/pytorch_model.bin": b"\x80\x02 a pickle",
    "clip_model/onnx/model.safetensors": b"not for us",
    "picture.png": b"\x89PNG",
    "optimizer.pt": b"PK",
}


@pytest.fixture(scope="session")
def contents(saved_model) -> dict[str, bytes]:
    own = {p.relative_to(saved_model).as_posix(): p.read_bytes() for p in saved_model.rglob("*") if p.is_file()}
    return own | EXTRA


@pytest.fixture
def hub(contents, monkeypatch, tmp_path):
    """The client library pointed at loopback, with a cache of its own."""
    constants = pytest.importorskip("huggingface_hub").constants
    with fake_hub.serve(dict(contents)) as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
        monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 5)
        monkeypatch.setattr(door, "RESUME_FROM", 1)
        yield server


def test_a_hub_id_is_told_from_a_path():
    ids = ["user/repo", "NewBie-AI/NewBie-image-Exp0.1", "a/b@main", "a/b@refs/pr/1"]
    paths = ["repo", "./a/b", "/a/b", "a/b/c", "~/a", "a\\b", "C:/b", "../b", "a/", "a/.b", "a/b.safetensors/c", ""]
    assert all(door.is_id(text) for text in ids)
    assert not any(door.is_id(text) for text in paths)


def test_a_model_is_fetched_whole_and_only_what_is_needed(hub, contents, saved_model):
    plans = []
    components = locate("someone/tiny", on_download=plans.append)
    assert components.name == "tiny-newbie" and components.recommended.width == 64
    (plan,) = plans
    wanted = {name for name in contents if name not in EXTRA or name == "LICENSE.md"}
    assert {file.path for file in plan.files} == wanted == set(hub.fetched())
    assert plan.size == plan.to_fetch == sum(len(contents[name]) for name in wanted)
    assert "MiB" in plan.lines()[0] and "someone/tiny" in plan.lines()[0]
    root = components.transformer.folder.parent
    assert all((root / name).read_bytes() == contents[name] for name in wanted)


def test_a_second_time_nothing_is_fetched_and_nobody_is_asked(hub):
    first = door.download("someone/tiny")
    hub.log.clear()
    assert door.download("someone/tiny@main", on_download=lambda plan: pytest.fail("asked again")) == first
    assert hub.fetched() == []


def test_the_size_is_shown_before_anything_is_fetched_and_may_be_declined(hub):
    def decline(plan):
        assert hub.fetched() == []
        raise WeightsError("too large", "no")

    with pytest.raises(WeightsError, match="too large"):
        door.download("someone/tiny", on_download=decline)
    assert hub.fetched() == []


def test_without_a_callback_the_size_goes_to_the_notes(hub):
    notes = []
    locate("someone/tiny", on_note=notes.append)
    assert any("someone/tiny" in note and "MiB" in note for note in notes)


def test_a_download_that_breaks_off_continues_where_it_stopped(hub, contents):
    name = "vae/diffusion_pytorch_model.safetensors"
    hub.cut_after = 3000
    hub.cut = contents.keys() - {name}
    root = door.download("someone/tiny")
    ranges = [wanted for method, path, wanted in hub.log if path.endswith(name) and method == "GET"]
    assert ranges == ["", "bytes=3000-"]
    assert (root / name).read_bytes() == contents[name]


def test_a_process_that_died_leaves_a_part_that_the_next_one_continues(hub, contents, tmp_path):
    name = "transformer/diffusion_pytorch_model.safetensors"
    sha = fake_hub.facts(name, contents[name])["lfs"]["oid"]
    blobs = tmp_path / "cache" / "models--someone--tiny" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{sha}.newbie.incomplete").write_bytes(contents[name][:5000])
    root = door.download("someone/tiny")
    assert [wanted for method, path, wanted in hub.log if path.endswith(name) and method == "GET"] == ["bytes=5000-"]
    assert (root / name).read_bytes() == contents[name]
    assert not list(blobs.glob("*.incomplete"))


@pytest.mark.parametrize("damage", ["other content", "too long"])
def test_a_part_that_does_not_belong_is_not_made_a_model(hub, contents, tmp_path, damage):
    name = "transformer/diffusion_pytorch_model.safetensors"
    sha = fake_hub.facts(name, contents[name])["lfs"]["oid"]
    blobs = tmp_path / "cache" / "models--someone--tiny" / "blobs"
    blobs.mkdir(parents=True)
    part = bytes(500) if damage == "other content" else bytes(len(contents[name]) + 1)
    (blobs / f"{sha}.newbie.incomplete").write_bytes(part)
    if damage == "other content":
        with pytest.raises(WeightsError, match="SHA-256"):
            door.download("someone/tiny")
    assert (door.download("someone/tiny") / name).read_bytes() == contents[name]


@pytest.mark.parametrize("resume_from", [1, 2**40])
@pytest.mark.parametrize("name", ["vae/diffusion_pytorch_model.safetensors", "vae/config.json"])
def test_a_file_that_arrives_damaged_is_named_removed_and_fetched_again(hub, contents, monkeypatch, name, resume_from):
    monkeypatch.setattr(door, "RESUME_FROM", resume_from)
    hub.corrupt = name
    with pytest.raises(WeightsError, match=f"{name}: has another") as caught:
        door.download("someone/tiny")
    assert "again" in caught.value.hint
    hub.corrupt = ""
    assert (door.download("someone/tiny") / name).read_bytes() == contents[name]


REFUSALS = {
    "gated": (403, "GatedRepo", "is gated", "accept its terms"),
    "unknown": (404, "RepoNotFound", "neither a folder here nor a model on the hub", "spelling"),
    "private": (401, "", "neither a folder here nor a model on the hub|could not be fetched", ""),
    "broken": (500, "", "could not be fetched", "HF_ENDPOINT"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_the_hub_refuses_is_explained(hub, case):
    hub.refuse, hub.refusal, said, hint = REFUSALS[case]
    with pytest.raises(WeightsError, match=said) as caught:
        locate("someone/tiny")
    assert hint in caught.value.hint and "someone/tiny" in caught.value.message


def test_an_unknown_revision_is_explained(hub):
    with pytest.raises(WeightsError, match="someone/tiny@gone: has no such revision"):
        door.download("someone/tiny@gone")


def test_a_repository_without_weights_is_refused_before_anything_is_fetched(hub):
    hub.files = {"README.md": b"nothing", "config.json": b"{}", "a.bin": b"PK"}
    with pytest.raises(WeightsError, match="holds no weights"):
        door.download("someone/tiny")
    assert hub.fetched() == []


def test_without_a_connection_the_cache_is_enough(hub, monkeypatch):
    first = door.download("someone/tiny")
    constants = sys.modules["huggingface_hub"].constants
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    assert door.download("someone/tiny") == first
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert door.download("someone/tiny") == first
    with pytest.raises(WeightsError, match="not complete in the cache"):
        door.download("someone/other")


def test_a_disk_that_is_too_small_is_known_before_anything_is_fetched(hub, monkeypatch):
    monkeypatch.setattr(door.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(WeightsError, match="the disk has"):
        door.download("someone/tiny")
    assert hub.fetched() == []


@pytest.mark.parametrize("path", ["a.py", "x/y.py", "onnx/m.safetensors", "a.bin", "../a.json", "/a.json", ".x.json"])
def test_programs_other_formats_and_places_outside_are_never_fetched(path):
    assert not needed(path)


def test_pickles_are_fetched_only_when_allowed():
    assert needed("model.bin", allow_pickle=True) and not needed("model.bin")


def test_the_mirror_and_the_offline_switch_are_the_librarys_own_variables(contents, tmp_path):
    """HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE are read when the library is imported: in processes of their own."""
    script = "import sys; from newbie.checkpoints.hub import download; print(download('someone/tiny'))"
    with fake_hub.serve(dict(contents)) as server:
        env = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        env |= {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        first = subprocess.check_output([sys.executable, "-c", script], env=env, text=True)
        assert server.fetched()
        server.log.clear()
        offline = subprocess.check_output([sys.executable, "-c", script], env=env | {"HF_HUB_OFFLINE": "1"}, text=True)
        assert server.log == [] and offline == first
    index = json.loads((Path(first.strip()) / "model_index.json").read_text())
    assert index["_class_name"] == "NewbiePipeline"
