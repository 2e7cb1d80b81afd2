"""What a value of --prompt means: a file, a folder, standard input, or the words themselves."""

import io
from pathlib import Path

import pytest

from newbie.cli.sources import MAX_PROMPT_BYTES, negative_text, read_stdin, resolve, resolve_all
from newbie.errors import UsageError


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("prompts").mkdir()
    Path("prompts/duo.xml").write_text("<character_1></character_1>")
    Path("LICENSE").write_text("1girl")
    Path("with space.txt").write_text("1girl")


@pytest.mark.parametrize(
    "text",
    [
        "1girl, blue_hair",
        "",
        " ",
        "smile",
        "fate/stay_night",
        "<character_1><n>x.xml</n></character_1>.xml",
        "a\nb.xml",
        "x" * 5000 + ".xml",
        "~nobody_of_this_name",
        "what?",
        "a * b",
        "蓝发.",
    ],
    ids=repr,
)
def test_words_are_words(text):
    (source,) = resolve(text)
    assert source.path is None
    assert source.data == text
    assert source.stem == "newbie"


@pytest.mark.parametrize("name", ["prompts/duo.xml", "LICENSE", "with space.txt", "./LICENSE"])
def test_an_existing_file_is_that_file(name):
    (source,) = resolve(name)
    assert source.path == Path(name)
    assert source.stem == Path(name).stem


@pytest.mark.parametrize(
    "name", ["duo.xml", "prompts/dou.xml", "a b.TXT", "nowhere/duo.xml", "nowhere/", "no\\where\\"]
)
def test_what_looks_like_a_file_must_be_there(name):
    with pytest.raises(UsageError, match="no such prompt file"):
        resolve(name)


def test_the_nearest_name_is_offered():
    with pytest.raises(UsageError) as caught:
        resolve("prompts/dou.xml")
    assert str(Path("prompts/duo.xml")) in caught.value.hint


def test_a_missing_folder_is_named():
    with pytest.raises(UsageError) as caught:
        resolve("nowhere/duo.xml")
    assert "no folder nowhere" in caught.value.hint


def test_standard_input_is_read_up_to_one_byte_too_many():
    assert read_stdin(io.BytesIO(b"x" * 10**6)) == b"x" * (MAX_PROMPT_BYTES + 1)


def test_words_without_quotes_are_not_several_prompts():
    with pytest.raises(UsageError) as caught:
        resolve_all([["1girl,", "blue_hair"]])
    assert "quotes" in caught.value.hint
    assert len(resolve_all([["LICENSE", "prompts"]])) == 2


def test_a_negative_prompt_is_one_text():
    assert negative_text("blurry") == "blurry"
    assert negative_text("") == ""
    assert negative_text("LICENSE") == "1girl"
    Path("prompts/b.txt").write_text("x")
    with pytest.raises(UsageError, match="one text"):
        negative_text("prompts")
