"""--like: a picture repeats itself from its own record."""

import json
from pathlib import Path

import pytest
from PIL import Image

from newbie import images


@pytest.fixture
def first(create):
    create(
        "--prompt", "1girl, 蓝发", "--negative", "模糊", "--seed", 7, "--steps", 5, "--size", "96x64", "-o", "first.png"
    )
    return Path("first.png")


def test_a_picture_repeats_itself_and_the_pixels_are_said_to_be_identical(create, first):
    ended = create("--like", first, "-o", "second.png")
    assert ended.code == 0
    assert "pixels identical to first.png" in ended.out
    assert first.read_bytes() == Path("second.png").read_bytes()


def test_one_of_a_batch_repeats_alone(create):
    create("--prompt", "1girl", "--seed", 7, "-n", 4, "--batch-size", 4)
    ended = create("--like", "outputs/newbie-9.png", "-o", "x.png")
    assert "identical" in ended.out
    assert [seed for _, seed in ended.drawn] == [9]


def test_json_says_identical(create, first):
    assert json.loads(create("--like", first, "--json").out)["identical"] is True


def test_pixels_that_differ_are_told_with_what_was_otherwise(create, first, fake, monkeypatch):
    monkeypatch.setattr(fake, "stripes", lambda request, seed: Image.effect_noise((96, 64), 80).convert("RGB"))
    ended = create("--like", first, weights="00" * 32)
    assert ended.code == 0
    assert "pixels differ from first.png" in ended.out
    assert "weights: " + "f0" * 32 + " then, " + "00" * 32 + " now" in ended.err


def test_other_weights_are_told_even_before_the_pixels(create, first):
    ended = create("--like", first, weights="00" * 32)
    assert "other weights" in ended.err


def test_flags_change_the_request_and_nothing_is_compared(create, first):
    ended = create("--like", first, "--seed", 8, "--steps", 9, "-o", "other.png")
    stored = images.read_record(Path("other.png")).request
    assert (stored.seed, stored.steps, stored.prompt, stored.width) == (8, 9, "1girl, 蓝发", 96)
    assert "changed: seed, steps" in ended.err
    assert "identical" not in ended.out


def test_the_number_format_is_that_of_the_picture(create):
    create("--prompt", "1girl", "--seed", 1, "--dtype", "bf16", "-o", "a.png")
    assert create("--like", "a.png").pipeline.settings.dtype == "bf16"
    assert create("--like", "a.png", "--dtype", "float32").pipeline.settings.dtype == "float32"


def test_a_retouched_picture_is_noticed(create, first):
    with Image.open(first) as image:
        text = dict(image.text)
        image = image.copy()
    image.putpixel((3, 3), (1, 2, 3))
    images_info = images.PngInfo()
    images_info.add_itxt("newbie", text["newbie"])
    image.save(first, pnginfo=images_info)
    ended = create("--like", first)
    assert "was changed after it was made" in ended.err
    assert "pixels differ" in ended.out


def test_the_output_name_follows_the_prompt_file(create):
    Path("duo.xml").write_text("<character_1><appearance>x</appearance></character_1>")
    create("--prompt", "duo.xml", "--seed", 3, "-o", "a.png")
    create("--like", "a.png")
    assert Path("outputs/duo-3.png").exists()


@pytest.mark.parametrize("name", ["../../evil.xml", "/etc/passwd", "..\\..\\evil", "CON.xml", 5, None])
def test_a_record_cannot_lead_out_of_the_output_folder(create, first, name):
    stored = images.read_record(first).record | {"prompt_name": name}
    record = {k: v for k, v in stored.items() if k not in ("format", "pixels_sha256")}
    data = images.encode(images.read_pixels(first), {**record, "request": record["request"]})
    Path("evil.png").write_bytes(data)
    before = set(Path().rglob("*"))
    assert create("--like", "evil.png").code == 0
    new = set(Path().rglob("*")) - before - {Path("outputs")}
    assert len(new) == 1
    assert next(iter(new)).parent == Path("outputs")


def test_a_picture_without_record_is_a_usage_error(create):
    Image.new("RGB", (16, 16)).save("plain.png")
    ended = create("--like", "plain.png")
    assert (ended.code, ended.pipeline) == (2, None)
    assert "plain.png has no newbie record" in ended.err


def test_a_refused_prompt_in_a_record_stays_refused(create, first):
    record = images.read_record(first).record
    record["request"]["prompt"] = "refuse_me"
    Path("bad.png").write_bytes(images.encode(images.read_pixels(first), record))
    assert create("--like", "bad.png").code == 3
