"""create.py: one prompt, many prompts, and everything that can be wrong with them."""

import json
import re
from pathlib import Path

import pytest

from newbie import images

DUO = """<character_1>
<appearance>blue_hair, twintails</appearance>
<position>left</position>
</character_1>
<general_tags>
<count>1girl</count>
</general_tags>
"""


def pictures(folder="outputs"):
    return sorted(p.name for p in Path(folder).iterdir())


def test_a_text_becomes_a_picture_named_by_its_seed_and_not_by_its_words(create):
    ended = create("--prompt", "1girl, secret_words", "--seed", 7)
    assert ended.code == 0
    assert pictures() == ["newbie-7.png"]
    stored = images.read_record(Path("outputs/newbie-7.png"))
    assert (stored.request.prompt, stored.request.seed, stored.request.count) == ("1girl, secret_words", 7, 1)
    assert (stored.width, stored.height) == (64, 64)
    assert stored.request.steps == 4, "what the model recommends is written out"


def test_what_a_preset_costs_is_told_before_it_draws_and_once(create):
    ended = create("--prompt", "1girl", "--prompt", "1girl, hat", "--plan", "fast")
    assert ended.code == 0
    both = ended.err.splitlines()
    (told,) = (i for i, line in enumerate(both) if "preset fast: expected to be fast" in line)
    assert told < next(i for i, line in enumerate(both) if "denoise" in line)


def test_a_file_gives_its_name(create):
    Path("双人.xml").write_text(DUO, encoding="utf-8")
    assert create("--prompt", "双人.xml", "--seed", 7).code == 0
    assert pictures() == ["双人-7.png"]
    stored = images.read_record(Path("outputs/双人-7.png"))
    assert stored.request.prompt == DUO
    assert stored.record["prompt_name"] == "双人.xml"


def test_the_random_seed_is_printed_and_repeats_the_picture(create):
    first = create("--prompt", "1girl")
    seed = re.search(r"seed (\d+)", first.out)[1]
    second = create("--prompt", "1girl", "--seed", seed, "-o", "again.png")
    assert second.code == 0
    assert images.read_pixels(next(Path("outputs").iterdir())) == images.read_pixels(Path("again.png"))


def test_two_random_runs_differ(create):
    create("--prompt", "1girl", "--seed", -1)
    create("--prompt", "1girl")
    assert len(pictures()) == 2


def test_the_report_says_what_ran_and_how_long_it_took(create):
    ended = create("--prompt", "1girl", "--seed", 7)
    for word in ("newbie-fake", "cpu", "float32", "attention fake", "text", "denoise", "decode"):
        assert word in ended.err
    assert f"{Path('outputs') / 'newbie-7.png'}  seed 7  64x64" in ended.out


def test_what_was_chosen_automatically_is_told_once_with_its_reason(create):
    told = create("--prompt", "1girl").err
    assert told.count("device cpu (no graphics device here), dtype float32 (the model is small)") == 1
    told = create("--prompt", "1girl", "--device", "cpu", "--dtype", "bf16").err
    assert "the model is small" not in told and "no graphics device here" not in told


def test_the_terms_of_the_weights_are_told_once(create, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    told = [create("--prompt", "1girl", "--seed", seed).err.count("newbie-fake: Apache-2.0") for seed in (1, 2)]
    assert told == [1, 0]


def test_json_is_one_object_per_picture_and_nothing_else(create):
    ended = create("--prompt", "女孩", "--seed", 7, "-n", 3, "--json")
    objects = [json.loads(line) for line in ended.out.splitlines()]
    assert [o["seed"] for o in objects] == [7, 8, 9]
    for o in objects:
        assert Path(o["path"]).is_file()
        assert o["request"]["prompt"] == "女孩"
        assert o["pixels_sha256"] == images.pixel_hash(images.read_pixels(Path(o["path"])))
        assert o["ran"]["attention"] == "fake"
        assert set(o["seconds"]) == {"load", "text", "denoise", "decode"}
    assert ended.out.isascii()


def test_json_tells_the_pictures_saved_before_a_failure(create, fake, monkeypatch):
    steps = fake.FakePipeline.steps

    def interrupted(self, request, number, on_step):
        if len(self.drawn) == 2:
            raise KeyboardInterrupt
        steps(self, request, number, on_step)

    monkeypatch.setattr(fake.FakePipeline, "steps", interrupted)
    ended = create("--prompt", "1girl", "--seed", 7, "-n", 3, "--json")
    assert ended.code == 130
    assert [json.loads(line)["seed"] for line in ended.out.splitlines()] == [7, 8]


def test_quiet_prints_the_files_alone(create):
    ended = create("--prompt", "1girl", "--seed", 7, "-n", 2, "--quiet")
    assert ended.out.splitlines() == [str(Path("outputs/newbie-7.png")), str(Path("outputs/newbie-8.png"))]
    assert ended.err == ""


def test_nothing_is_overwritten_unless_told(create):
    Path("cat.png").write_bytes(b"mine")
    assert create("--prompt", "1girl", "-o", "cat.png", "--seed", 1).code == 0
    assert Path("cat.png").read_bytes() == b"mine"
    assert Path("cat-2.png").exists()
    assert create("--prompt", "1girl", "-o", "cat.png", "--seed", 1, "--overwrite").code == 0
    assert images.read_record(Path("cat.png")).request.seed == 1


def test_one_name_for_several_pictures_is_numbered(create):
    for flags in ((), ("--overwrite",)):
        assert create("--prompt", "1girl", "-o", "a/cat.png", "-n", 3, "--seed", 5, *flags).code == 0
        assert pictures("a") == ["cat-2.png", "cat-3.png", "cat.png"]
        seeds = [images.read_record(Path("a", n)).request.seed for n in ("cat.png", "cat-2.png", "cat-3.png")]
        assert seeds == [5, 6, 7]
        if not flags:
            for path in Path("a").iterdir():
                path.write_bytes(b"old")


def test_a_pattern_places_its_fields(create):
    Path("duo.xml").write_text(DUO)
    assert (
        create("--prompt", "duo.xml", "-n", 2, "--seed", 3, "-o", "o/{index:03d}_{name}_{seed}_{width}x{height}").code
        == 0
    )
    assert pictures("o") == ["001_duo_3_64x64.png", "002_duo_4_64x64.png"]


def test_no_metadata_leaves_only_pixels(create):
    create("--prompt", "1girl", "--seed", 1, "--no-metadata")
    assert b"1girl" not in Path("outputs/newbie-1.png").read_bytes()


def test_the_file_tells_no_path_and_no_user(create, tmp_path):
    folder = tmp_path / "home" / "alice"
    folder.mkdir(parents=True)
    (folder / "duo.xml").write_text(DUO)
    create("--prompt", folder / "duo.xml", "--seed", 1, "-o", folder / "x.png")
    data = (folder / "x.png").read_bytes()
    assert b"alice" not in data
    assert str(tmp_path).encode() not in data


def test_several_pictures_share_evaluations_when_asked(create):
    ended = create("--prompt", "1girl", "--seed", 7, "-n", 5, "--batch-size", 2)
    assert [seed for _, seed in ended.drawn] == [7, 8, 9, 10, 11]


def test_a_negative_prompt_may_be_a_file(create):
    Path("bad.txt").write_text("blurry, loli\n")  # what is not wanted may be named
    create("--prompt", "1girl", "--negative", "bad.txt", "--seed", 1)
    assert images.read_record(Path("outputs/newbie-1.png")).request.negative == "blurry, loli\n"


def test_standard_input_is_a_prompt(create, monkeypatch):
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(DUO.encode())))
    assert create("--prompt", "-", "--seed", 1).code == 0
    assert images.read_record(Path("outputs/newbie-1.png")).request.prompt == DUO


def test_what_is_odd_about_a_prompt_is_shown_with_a_caret_before_the_model_is_loaded(create):
    Path("odd.xml").write_text("<character_1>\n<apearance>blue_hair</apearance>\n</character_1>\n")
    ended = create("--prompt", "odd.xml", "--seed", 1)
    assert ended.code == 0
    assert "odd.xml:2:1" in ended.err
    assert "^^^" in ended.err
    assert ended.err.index("^^^") < ended.err.index("loaded")


def test_elements_that_fall_off_are_told(create):
    assert "warning: character_2.position falls off the end" in create("--prompt", "too_long", "--seed", 1).err


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--prompt", "missing.xml"], 2, "no such prompt file: missing.xml"),
        (["--prompt", "1girl", "--steps", "0"], 2, "nearest is 1"),
        (["--prompt", "1girl", "--width", "100"], 2, "nearest is 96"),
        (["--prompt", "1girl", "--size", "99999"], 2, "nearest is 8192"),
        (["--prompt", "1girl", "--seed", "-2"], 2, "nearest is -1"),
        (["--prompt", "1girl,", "blue_hair"], 2, "quotes"),
        (["--prompt", "1girl", "-o", "a.jpg"], 2, "a.png"),
        (["--prompt", "<!DOCTYPE x><character_1></character_1>"], 3, "prompt:1:1"),
        (["--prompt", "1girl\ud800"], 3, "surrogate"),
        (["--prompt", "refuse_me"], 3, "not drawn"),
        (["--prompt", "1girl", "--model", "missing"], 4, "no model at missing"),
        (["--prompt", "huge_me"], 5, "memory"),
        (["--prompt", "blank_me"], 6, "flat colour"),
        (["--prompt", "bug_me"], 1, "RuntimeError: a bug"),
        (["--prompt", "1girl", "-o", "there/x.png"], 7, "there"),
    ],
    ids=str,
)
def test_every_failure_has_its_code_and_one_message(create, flags, code, message):
    Path("there").write_text("a file where a folder should be")
    ended = create(*flags)
    assert ended.code == code
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""
    assert not list(Path().glob("**/*.png"))


def test_a_bad_prompt_costs_no_model(create):
    Path("empty.xml").write_text("")
    for flags in (["--prompt", "empty.xml"], ["--prompt", "a\0b"], ["--prompt", "x" * 300_000]):
        ended = create(*flags)
        assert ended.code == 3
        assert ended.pipeline is None


def test_a_place_that_cannot_be_written_costs_no_model(create):
    Path("there").write_text("")
    assert create("--prompt", "1girl", "-o", "there/x.png").pipeline is None


def test_a_missing_file_is_answered_with_the_nearest_and_never_drawn(create):
    Path("duo.xml").write_text(DUO)
    ended = create("--prompt", "dou.xml")
    assert ended.code == 2
    assert "did you mean duo.xml" in ended.err


# ---- batches


@pytest.fixture
def folder(create):
    Path("prompts").mkdir()
    for name in ("a.xml", "b.txt", "c.XML"):
        Path("prompts", name).write_text(DUO.replace("blue", name[0]))
    for name in ("notes.md", ".hidden.xml"):
        Path("prompts", name).write_text("no prompt")
    return "prompts"


def test_a_folder_is_a_batch_with_one_load(create, folder):
    ended = create("--prompt", folder, "--seed", 1, "-o", "gallery/")
    assert ended.code == 0
    assert pictures("gallery") == ["a-1.png", "b-1.png", "c-1.png"]


def test_finished_pictures_are_skipped_on_a_second_run(create, folder):
    create("--prompt", folder, "--seed", 1, "-n", 2)
    Path("outputs/b-2.png").unlink()
    before = {p: p.stat().st_mtime_ns for p in Path("outputs").iterdir()}
    ended = create("--prompt", folder, "--seed", 1, "-n", 2, "--json")
    assert [seed for _, seed in ended.drawn] == [2]
    assert len(pictures()) == 6
    assert all(p.stat().st_mtime_ns == t for p, t in before.items())
    objects = [json.loads(line) for line in ended.out.splitlines()]
    assert [o["skipped"] for o in objects] == [True, True, True, False, True, True]


def test_finished_with_random_seeds_means_any_picture_of_the_same_request(create, folder):
    create("--prompt", folder, "-n", 2)
    ended = create("--prompt", folder, "-n", 2)
    assert ended.drawn == []
    assert len(create("--prompt", folder, "-n", 3).drawn) == 3


@pytest.mark.parametrize(
    "change", [["--steps", "9"], ["--size", "96"], ["--negative", "x"], ["--dtype", "bf16"]], ids=str
)
def test_other_settings_are_other_pictures(create, folder, change):
    create("--prompt", folder, "--seed", 1)
    ended = create("--prompt", folder, "--seed", 1, *change)
    assert len(ended.drawn) == 3
    assert "a-1-2.png" in pictures()
    assert create("--prompt", folder, "--seed", 1, *change).drawn == []


def test_other_weights_and_other_prompts_are_other_pictures(create, folder):
    create("--prompt", folder, "--seed", 1)
    assert len(create("--prompt", folder, "--seed", 1, weights="00" * 32).drawn) == 3
    Path("prompts/a.xml").write_text(DUO)
    assert len(create("--prompt", folder, "--seed", 1).drawn) == 1


def test_a_half_written_or_foreign_file_is_not_finished(create, folder):
    create("--prompt", folder, "--seed", 1)
    Path("outputs/a-1.png").write_bytes(Path("outputs/a-1.png").read_bytes()[:40])
    assert len(create("--prompt", folder, "--seed", 1).drawn) == 1
    assert "a-1-2.png" in pictures()


def test_overwrite_draws_everything_again(create, folder):
    create("--prompt", folder, "--seed", 1)
    assert len(create("--prompt", folder, "--seed", 1, "--overwrite").drawn) == 3
    assert len(pictures()) == 3


def test_without_metadata_the_name_decides(create, folder):
    create("--prompt", folder, "--seed", 1, "--no-metadata")
    assert create("--prompt", folder, "--seed", 1, "--no-metadata").drawn == []
    assert len(create("--prompt", folder, "--seed", 1).drawn) == 3


def test_a_single_prompt_is_always_drawn(create):
    Path("duo.xml").write_text(DUO)
    create("--prompt", "duo.xml", "--seed", 1)
    assert len(create("--prompt", "duo.xml", "--seed", 1).drawn) == 1
    assert pictures() == ["duo-1-2.png", "duo-1.png"]


def test_a_folder_with_one_prompt_is_a_batch_too(create):
    Path("one").mkdir()
    Path("one/duo.xml").write_text(DUO)
    assert len(create("--prompt", "one").drawn) == 1
    assert create("--prompt", "one").drawn == []


def test_two_files_of_one_name_keep_their_own_pictures(create):
    for name in ("x", "y"):
        Path(name).mkdir()
        Path(name, "duo.xml").write_text(DUO.replace("blue", name))
    flags = ["--prompt", "x/duo.xml", "--prompt", "y/duo.xml", "--seed", 1]
    assert len(create(*flags).drawn) == 2
    assert pictures() == ["duo-1-2.png", "duo-1.png"]
    assert create(*flags).drawn == []


def test_overwrite_replaces_what_was_there_and_nothing_of_this_run(create):
    for name in ("x", "y"):
        Path(name).mkdir()
        Path(name, "duo.xml").write_text(DUO.replace("blue", name))
    for _ in range(2):
        create("--prompt", "x/duo.xml", "--prompt", "y/duo.xml", "--seed", 1, "--overwrite")
        assert pictures() == ["duo-1-2.png", "duo-1.png"]
    assert "y_hair" in images.read_record(Path("outputs/duo-1-2.png")).request.prompt


def test_texts_in_a_batch_are_numbered(create):
    ended = create("--prompt", "1girl", "--prompt", "1boy", "--seed", 1)
    assert pictures() == ["newbie-1-1.png", "newbie-2-1.png"]
    assert [prompt for prompt, _ in ended.drawn] == ["1girl", "1boy"]


def test_files_after_one_flag_are_a_batch_as_a_shell_writes_it(create, folder):
    assert len(create("--prompt", "prompts/a.xml", "prompts/b.txt", "--seed", 1).drawn) == 2


def test_a_glob_works_where_no_shell_expands_it(create, folder):
    assert len(create("--prompt", "prompts/*.xml", "--seed", 1).drawn) == 1
    assert create("--prompt", "prompts/*.xyz.xml").code == 2


def test_one_bad_prompt_does_not_stop_the_others_and_its_code_stays(create, folder):
    Path("prompts/a.xml").write_text("")
    Path("prompts/b.txt").write_text("blank_me")
    ended = create("--prompt", folder, "--seed", 1)
    assert ended.code == 3
    assert pictures() == ["c-1.png"]
    assert "a.xml" in ended.err
    assert "b.txt: the picture is one flat colour" in ended.err


def test_a_batch_of_nothing_but_bad_prompts_loads_no_model(create):
    for name in ("a.xml", "b.xml"):
        Path(name).write_text("\0")
    ended = create("--prompt", "a.xml", "--prompt", "b.xml")
    assert (ended.code, ended.pipeline) == (3, None)


def test_an_empty_folder_is_a_usage_error(create):
    Path("none").mkdir()
    ended = create("--prompt", "none")
    assert ended.code == 2
    assert "no prompt" in ended.err


def test_running_out_of_memory_stops_a_batch(create):
    ended = create("--prompt", "huge_me", "--prompt", "1girl")
    assert (ended.code, ended.drawn) == (5, [])


def test_heat_maps_that_go_with_a_shortage_are_told(create):
    ended = create("--prompt", "hungry_me", "--seed", "5", "-n", "3", "--heatmaps", "--output", "{seed}.png")
    assert ended.code == 0 and [seed for _, seed in ended.drawn] == [5, 6, 7]
    lost = [line for line in ended.err.splitlines() if "has no heat-map" in line]
    assert len(lost) == 1 and "5.png" in lost[0] and "--like 5.png --heatmaps" in lost[0]


def test_running_out_of_memory_goes_on_in_a_leaner_way_and_draws_no_picture_twice(create):
    ended = create("--prompt", "hungry_me", "--prompt", "1girl", "--count", 3, "--seed", 5)
    assert ended.code == 0
    assert [seed for prompt, seed in ended.drawn if "hungry" in prompt] == [5, 6, 7]
    assert len(ended.drawn) == 6
    assert "too little memory: from here on lean" in ended.err


def test_a_full_disk_stops_a_batch_and_leaves_no_part(create, folder, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(images.os, "fsync", full)
    ended = create("--prompt", folder, "--seed", 1)
    assert ended.code == 7
    assert pictures() == []


def test_ctrl_c_in_a_batch_keeps_what_is_finished(create, fake, folder, monkeypatch):
    steps = fake.FakePipeline.steps

    def interrupted(self, request, number, on_step):
        if self.drawn:
            raise KeyboardInterrupt
        steps(self, request, number, on_step)

    monkeypatch.setattr(fake.FakePipeline, "steps", interrupted)
    ended = create("--prompt", folder, "--seed", 1)
    assert ended.code == 130
    assert pictures() == ["a-1.png"]
    assert "1 finished" in ended.err
