"""python -m newbie quantize: a folder that loads back identically, a report, refusals, distances of pictures."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from newbie import Pipeline, Request, Settings
from newbie.calibrate import prompts
from newbie.calibrate.distance import psnr, ssim
from newbie.calibrate.main import main
from newbie.calibrate.write import require_free, room
from newbie.checkpoints import locate
from newbie.errors import OutputError, UsageError
from newbie.pipeline import bundled
from newbie.prompt import read
from newbie.quant.choice import Choice
from newbie.quant.layers import told

FAST = ["--count", "1", "--pictures", "1", "--steps", "1", "--side", "64", "--device", "cpu"]

SKIP = "refiner,layers.2,layers.3,layers.4,layers.5,layers.6"  # two blocks tell as much as seven


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, list[str]]:
    """The bundled model with three schemes, and what was said."""
    out = tmp_path_factory.mktemp("quantize") / "mini"
    said: list[str] = []
    scheme = "transformer=int4,text-encoder=int8,clip=nf4"
    assert main([scheme, "--out", str(out), "--rounding", "gptq", "--quant-skip", SKIP, *FAST], said.append) == 0
    return out, said


def test_the_folder_loads_like_any_other_and_says_what_it_is(made):
    pipeline = Pipeline.open(made[0], settings=Settings(device="cpu"))
    assert pipeline.describe()["quant"]["text_encoder"] == "int8 14"
    assert pipeline.describe()["quant"]["clip"] == "nf4 8"
    assert told(pipeline.transformer.layers[:2]).startswith("int4")
    assert not told(pipeline.transformer.layers[2:]) and not told(pipeline.transformer.noise_refiner)
    assert pipeline.recommended == Pipeline.open(settings=Settings(device="cpu")).recommended
    assert pipeline.vocabulary is None or pipeline.vocabulary == Pipeline.open().vocabulary


def test_it_draws_the_picture_that_the_report_compared(made):
    report = json.loads((made[0] / "quantised.json").read_text())
    pipeline, plain = (Pipeline.open(place, settings=Settings(device="cpu")) for place in (made[0], None))
    request = Request(prompt=prompts.drawn_up(1)[0], seed=0, steps=1, width=64, height=64)
    first, second = (each.generate(request).images[0] for each in (plain, pipeline))
    assert ssim(first, second) == pytest.approx(report["pictures"]["ssim"][0], abs=1e-6)


def test_the_report_has_sizes_and_every_layers_error(made):
    report = json.loads((made[0] / "quantised.json").read_text())
    files = {"transformer": "transformer/diffusion_pytorch_model", "text_encoder": "text_encoder/model"}
    for part, file in files.items():
        size = (made[0] / f"{file}.safetensors").stat().st_size
        assert report["parts"][part]["bytes after"] == pytest.approx(size, rel=0.03)  # all but the header
    layers = report["parts"]["transformer"]["layers"]
    assert len(layers) == 10 and all(0 < layer["output"] < 0.3 for layer in layers)
    assert report["facts"]["quant"].startswith("transformer=int4") and report["facts"]["rounding"] == "gptq"
    assert any("structural similarity" in line for line in made[1])


def test_parts_that_stay_are_written_as_they_were(made):
    vae = Path("vae/diffusion_pytorch_model.safetensors")
    bundled = Path(__file__).resolve().parents[2] / "weights" / "newbie-mini"
    from newbie.checkpoints.header import open_safetensors

    ours, theirs = open_safetensors(made[0] / vae), open_safetensors(bundled / vae)
    assert all(torch.equal(ours[name].read(), theirs[name].read()) for name in theirs)


def test_what_is_there_is_not_replaced_unasked(made, monkeypatch):
    monkeypatch.setattr(Pipeline, "open", lambda *args, **more: pytest.fail("the long part began first"))
    with pytest.raises(UsageError, match="is there already"):
        main(["int8", "--out", str(made[0]), "--count", "0", "--pictures", "0"], lambda text: None)


def test_the_room_that_is_asked_for_beforehand_is_what_is_taken(made):
    """Twice: into a new folder, and over the one that is there, of which each file stays until its own is whole."""
    parts = locate(bundled())
    choice = Choice.parse("transformer=int4,text-encoder=int8,clip=nf4", SKIP)
    written = [path for path in made[0].rglob("*") if path.suffix == ".safetensors" or "tokenizer" in path.name]
    whole = sum(path.stat().st_size for path in written)
    new = require_free(parts, made[0].with_name("absent"), overwrite=False)
    assert room(new, choice, calibrated=True) == pytest.approx(whole, rel=0.02)
    over = require_free(parts, made[0], overwrite=True)
    sizes = [file.path.stat().st_size for file in over]
    assert room(over, choice, calibrated=True) == pytest.approx(max(sizes), rel=0.05)


def test_a_disk_without_room_is_told_before_the_long_part(monkeypatch, tmp_path):
    monkeypatch.setattr(Pipeline, "open", lambda *args, **more: pytest.fail("the long part began first"))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("newbie.calibrate.write.shutil.disk_usage", lambda place: usage._replace(free=10**6))
    out = tmp_path / "new" / "folder"
    with pytest.raises(OutputError, match=r"folder: needs \d+\.\d MB, the disk has 1\.00 MB free") as refused:
        main(["int8", "--out", str(out)], lambda text: None)
    assert "--out" in refused.value.hint and not out.parent.exists()


def test_a_place_that_cannot_be_written_to_is_told_before_the_long_part(monkeypatch, tmp_path):
    monkeypatch.setattr(Pipeline, "open", lambda *args, **more: pytest.fail("the long part began first"))

    def refused(dir):
        raise PermissionError(f"Permission denied: {dir}")

    monkeypatch.setattr("newbie.calibrate.write.tempfile.TemporaryFile", refused)
    with pytest.raises(OutputError, match="cannot be written to"):
        main(["int8", "--out", str(tmp_path / "new")], lambda text: None)


def test_the_model_itself_is_never_the_target():
    bundled = Path(__file__).resolve().parents[2] / "weights" / "newbie-mini"
    with pytest.raises(UsageError, match="is the model that is to be quantised"):
        main(["int8", "--out", str(bundled)], lambda text: None)


@pytest.mark.parametrize("out", ["file", "file/folder"])
def test_a_file_in_the_place_of_the_folder_is_told_before_the_long_part(monkeypatch, tmp_path, out):
    monkeypatch.setattr(Pipeline, "open", lambda *args, **more: pytest.fail("the long part began first"))
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file: is a file, where a folder is needed"):
        main(["int8", "--out", str(tmp_path / out)], lambda text: None)


@pytest.mark.parametrize(
    ("flags", "said"), [(["--side", "100"], "100 is not a multiple of 16"), (["--prompts", "nowhere"], "no prompts")]
)
def test_pictures_that_cannot_be_drawn_are_told_before_the_long_part(monkeypatch, tmp_path, flags, said):
    monkeypatch.setattr(Pipeline, "open", lambda *args, **more: pytest.fail("the long part began first"))
    with pytest.raises(UsageError, match=said):
        main(["int8", "--out", str(tmp_path / "new"), *flags], lambda text: None)


def test_nothing_to_do_is_said(tmp_path):
    with pytest.raises(UsageError, match="nothing is to be put into fewer bits"):
        main(["transformer=none", "--out", str(tmp_path / "new")], lambda text: None)


@pytest.mark.parametrize("flag", ["--count", "--pictures"])
def test_fewer_pictures_than_none_are_refused(flag, tmp_path):
    with pytest.raises(UsageError, match=f"{flag} -1 is no number of pictures"):
        main(["int8", "--out", str(tmp_path / "new"), f"{flag}=-1"], lambda text: None)


def test_guests_are_not_written(monkeypatch, tmp_path):
    monkeypatch.setattr("newbie.quant.guests.importlib.util.find_spec", lambda name: object())
    with pytest.raises(UsageError, match="quantised while loading, not written"):
        main(["bnb-nf4", "--out", str(tmp_path)], lambda text: None)


def test_calibration_prompts_are_the_same_each_time_and_read_without_complaint():
    found = prompts.drawn_up(40)
    assert found == prompts.drawn_up(40) and len(set(found)) == 40
    for text in found:
        reading = read(text)
        assert not [each for each in reading.diagnostics if each.severity != "info"]
    assert sum("character_2" in text for text in found) == 5


def test_prompts_of_a_folder_are_taken_by_name(tmp_path):
    (tmp_path / "b.txt").write_text("1girl", encoding="utf-8")
    (tmp_path / "a.txt").write_text("1boy", encoding="utf-8")
    (tmp_path / "c.md").write_text("no prompt", encoding="utf-8")
    assert prompts.of_folder(tmp_path) == ["1boy", "1girl"]
    with pytest.raises(UsageError, match="no prompts there"):
        prompts.of_folder(tmp_path / "nowhere")


def picture(level: float | np.ndarray, side: int = 32) -> Image.Image:
    pixels = np.broadcast_to(np.asarray(level, dtype=float), (side, side))
    return Image.fromarray(np.repeat(pixels.round().astype(np.uint8)[..., None], 3, axis=2))


def test_a_picture_is_like_itself():
    noise = np.random.default_rng(0).integers(0, 256, (32, 32))
    assert ssim(picture(noise), picture(noise)) == pytest.approx(1)
    assert psnr(picture(noise), picture(noise)) == math.inf


def test_similarity_of_flat_pictures_is_that_of_their_means():
    a, b, c = 100 / 255, 150 / 255, 0.01**2
    assert ssim(picture(100), picture(150)) == pytest.approx((2 * a * b + c) / (a * a + b * b + c))
    assert psnr(picture(100), picture(150)) == pytest.approx(-20 * math.log10(50 / 255))


def test_similarity_falls_with_noise():
    rng = np.random.default_rng(1)
    clean = np.linspace(40, 200, 32)[:, None] + 30 * np.sin(np.arange(32))
    found = [ssim(picture(clean), picture(clean + rng.normal(0, s, (32, 32)))) for s in (0, 5, 20, 60)]
    assert found == sorted(found, reverse=True) and found[0] == pytest.approx(1) and found[-1] < 0.6
