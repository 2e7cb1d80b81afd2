"""Adapters at the command line and in the prompt loop. What they do to weights is tested in tests/lora."""

from pathlib import Path

import pytest

from newbie import images
from newbie.cli.wearing import changed, told
from newbie.errors import UsageError
from newbie.request import AdapterChoice

STYLE, PEN = AdapterChoice("loras/style.safetensors", 0.8), AdapterChoice("loras/pen.safetensors")


def worn(picture):
    ran = images.read_record(Path("outputs", picture)).record["ran"]
    return [(adapter["file"], adapter["strength"]) for adapter in ran["adapters"]]


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("style.safetensors", ("style.safetensors", 1.0)),
        ("style.safetensors:0.8", ("style.safetensors", 0.8)),
        ("a folder/with:colon:-1.5", ("a folder/with:colon", -1.5)),
        (r"C:\loras\style.safetensors", (r"C:\loras\style.safetensors", 1.0)),
        (r"C:\loras\style.safetensors:.5", (r"C:\loras\style.safetensors", 0.5)),
        ("style:2e-1", ("style", 0.2)),
    ],
)
def test_a_strength_stands_behind_the_last_colon(text, choice):
    assert AdapterChoice.parse(text) == choice


def test_a_file_whose_name_ends_in_a_colon_and_a_number_is_that_file(tmp_path):
    (tmp_path / "style:3").touch()
    assert AdapterChoice.parse(f"{tmp_path}/style:3") == (f"{tmp_path}/style:3", 1.0)
    assert AdapterChoice.parse(f"{tmp_path}/style:4") == (f"{tmp_path}/style", 4.0)


@pytest.mark.parametrize("text", ["", ":0.5", "style:nan", "style:inf", "style:1e9", " :1"])
def test_a_strength_that_is_none_is_refused(text):
    with pytest.raises(UsageError):
        AdapterChoice.parse(text)


def test_a_name_too_long_for_a_file_is_no_crash():
    assert AdapterChoice.parse("x" * 5000 + ":0.5").strength == 0.5


@pytest.mark.parametrize(
    ("argument", "after"),
    [
        (
            "loras/ink.safetensors:0.5",
            "loras/style.safetensors:0.8, loras/pen.safetensors:1, loras/ink.safetensors:0.5",
        ),
        ("style:0.3", "loras/style.safetensors:0.3, loras/pen.safetensors:1"),
        ("pen.safetensors:0.2", "loras/style.safetensors:0.8, loras/pen.safetensors:0.2"),
        ("loras/pen.safetensors:0.2", "loras/style.safetensors:0.8, loras/pen.safetensors:0.2"),
        ("off style", "loras/pen.safetensors:1"),
        ("none", "none"),
        ("default", "loras/style.safetensors:0.8"),
    ],
)
def test_the_loops_command_adds_changes_and_takes_off(argument, after):
    assert told(changed((STYLE, PEN), argument, (STYLE,))) == after


def test_what_is_not_worn_cannot_be_taken_off():
    with pytest.raises(UsageError, match="no adapter ink is worn") as error:
        changed((STYLE,), "off ink", ())
    assert "style" in error.value.hint


def test_adapters_of_the_command_line_are_in_the_pictures_record(create):
    create("--prompt", "1girl", "--seed", 1, "--lora", "loras/style.safetensors:0.8", "--lora", "pen.safetensors")
    assert worn("newbie-1.png") == [("style.safetensors", 0.8), ("pen.safetensors", 1.0)]


def test_the_loop_wears_changes_and_takes_off_adapters(script):
    ended = script(
        "/seed 1\n1girl\n/lora pen.safetensors:0.5\n/seed 2\n1girl\n/lora pen:0.7\n/seed 3\n1girl\n"
        "/attention tiled\n/seed 4\n1girl\n/lora off style\n/seed 5\n1girl\n/lora none\n/seed 6\n1girl\n"
        "/lora default\n/seed 7\n1girl\n",
        "--lora",
        "style.safetensors",
    )
    assert ended.code == 0
    style = ("style.safetensors", 1.0)
    assert [worn(f"newbie-{seed}.png") for seed in range(1, 8)] == [
        [style],
        [style, ("pen.safetensors", 0.5)],
        [style, ("pen.safetensors", 0.7)],
        [style, ("pen.safetensors", 0.7)],
        [("pen.safetensors", 0.7)],
        [],
        [style],
    ]
    assert images.read_record(Path("outputs/newbie-5.png")).record["ran"]["attention"] == "tiled"


def test_undo_takes_back_an_adapter(script):
    script("/lora pen.safetensors\n/seed 1\n1girl\n/undo\n/undo\n/undo\n/seed 2\n1girl\n")
    assert [worn(f"newbie-{seed}.png") for seed in (1, 2)] == [[("pen.safetensors", 1.0)], []]


def test_an_adapter_that_cannot_be_read_leaves_the_loop_as_it_was(script):
    ended = script("/lora pen.safetensors\n/lora missing.safetensors\n/seed 1\n1girl\n/lora\n")
    assert "missing.safetensors: no such file" in ended.err
    assert worn("newbie-1.png") == [("pen.safetensors", 1.0)]
    assert "adapters pen.safetensors:1" in ended.err


def test_a_picture_drawn_with_other_adapters_is_not_finished_before(create):
    for _ in range(2):
        create("--prompt", "1girl", "--prompt", "1boy", "--seed", 1)
    again = create("--prompt", "1girl", "--prompt", "1boy", "--seed", 1, "--lora", "pen.safetensors")
    assert len(again.drawn) == 2


def test_drawing_like_a_picture_with_an_adapter_names_it_when_it_is_not_worn(create):
    create("--prompt", "1girl", "--seed", 1, "--lora", "loras/pen.safetensors:0.5")
    without = create("--like", "outputs/newbie-1.png")
    assert "was drawn with the adapters pen.safetensors:0.5 (" in without.err
    assert (
        "drawn with the adapters"
        not in create("--like", "outputs/newbie-1.png", "--lora", "loras/pen.safetensors:0.5").err
    )


def test_loading_a_picture_in_the_loop_names_its_adapters(create, script):
    create("--prompt", "1girl", "--seed", 1, "--lora", "pen.safetensors:0.5")
    assert "pen.safetensors:0.5" in script("/load outputs/newbie-1.png\n").err
