"""test.py: the sample picture and its report."""

import importlib.util
from pathlib import Path

import pytest
from PIL import Image

from newbie import images
from newbie.cli.test import draw
from newbie.prompt import read

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sample():
    """The module test.py, which must do nothing when it is only imported."""
    spec = importlib.util.spec_from_file_location("sample_door", ROOT / "test.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_prompt_says_blue_on_the_left_and_yellow_on_the_right(sample):
    reading = read(sample.PROMPT)
    assert not reading.diagnostics
    first, second = reading.scene.characters
    assert {"blue_hair", "twintails"} <= {v.text for v in first["appearance"].items}
    assert first["position"].text == "left"
    assert {"yellow_hair", "pigtails"} <= {v.text for v in second["appearance"].items}
    assert second["position"].text == "right"


def test_the_prompt_block_is_marked(sample):
    source = (ROOT / "test.py").read_text(encoding="utf-8")
    assert "\n# PROMPT" in source
    assert source.index("# PROMPT") < source.index("PROMPT = ")


def test_it_writes_its_picture_and_says_what_ran(sample, fake, tmp_path, capsys, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for _ in range(2):  # the second replaces the first
        assert draw(sample.PROMPT, tmp_path, [], opener=fake.FakePipeline.open) == 0
    assert images.read_record(tmp_path / "success_output.png").request.prompt == sample.PROMPT
    assert not list(elsewhere.iterdir())
    assert len(list(tmp_path.glob("*.png"))) == 1
    out = capsys.readouterr().out
    assert str(tmp_path / "success_output.png") in out
    for word in ("device", "cpu", "dtype", "float32", "attention", "fake", "load", "text", "denoise", "decode"):
        assert word in out


def test_flags_reach_the_request(sample, fake, tmp_path):
    assert draw(sample.PROMPT, tmp_path, ["--steps", "2", "--size", "96"], opener=fake.FakePipeline.open) == 0
    stored = images.read_record(tmp_path / "success_output.png").request
    assert (stored.steps, stored.width) == (2, 96)


def test_a_blank_picture_is_a_failure(sample, fake, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fake, "stripes", lambda *_: Image.new("RGB", (64, 64), "gray"))
    assert draw(sample.PROMPT, tmp_path, [], opener=fake.FakePipeline.open) == 6
    assert "one flat colour" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "code"), [(["--model", "missing"], 4), (["--steps", "0"], 2), (["--stpes", "3"], 2), (["x"], 2)]
)
def test_failures_have_their_codes(sample, fake, tmp_path, flags, code):
    assert draw(sample.PROMPT, tmp_path, flags, opener=fake.FakePipeline.open) == code
    assert not (tmp_path / "success_output.png").exists()


def test_a_folder_that_cannot_be_written_is_an_output_error(sample, fake, tmp_path):
    (tmp_path / "file").write_text("")
    assert draw(sample.PROMPT, tmp_path / "file", [], opener=fake.FakePipeline.open) == 7
