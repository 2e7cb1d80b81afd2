"""What becomes of a prompt: tokens of every element, what is cut off, whose words are whose, where everybody stands."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from newbie.cli.main import main
from newbie.prompt import EncoderInput, encoder_input, read, render
from newbie.prompt.explain import rows, speakers, unread

Capture = pytest.CaptureFixture[str]
DUO = (
    "<character_1><n>a</n><appearance>(blue_hair:1.2), hat</appearance></character_1>"
    "<character_2><appearance>red_hair</appearance></character_2><caption>Two girls stand here.</caption>"
)


class Letters(NamedTuple):
    """A tokenizer with a token per letter and one in front: every count is known."""

    ids: list[int]
    offsets: list[tuple[int, int]]

    @classmethod
    def of(cls, text: str) -> Letters:
        return cls([0, *map(ord, text)], [(0, 0), *((i, i + 1) for i in range(len(text)))])


def given(text: str, limit: int = 1000) -> EncoderInput:
    rendered = render(read(text), system_prompt="").gemma
    return encoder_input(rendered, Letters.of(rendered.text), limit)


def test_an_element_has_as_many_tokens_as_letters():
    found = {row.path: row for row in rows({"gemma": given(DUO)})}
    assert found["character_1.n"].tokens == {"gemma": 1}
    assert found["character_1.appearance"].tokens == {"gemma": len("blue_hair, hat")}
    assert found["character_1.appearance"].words == "blue_hair, hat"
    assert found["caption"].words == "Two girls stand here."
    assert found["character_1"].words == "" and found["character_1"].depth == 0


def test_single_tags_are_listed_when_asked_for_or_weighed():
    few = [row.path for row in rows({"gemma": given(DUO)}) if row.is_part]
    assert few == ["character_1.appearance[0]"]  # the one with a weight
    every = {row.path: row for row in rows({"gemma": given(DUO)}, single_tags=True)}
    assert {"character_1.appearance[1]", "character_2.appearance[0]"} <= every.keys()
    assert every["character_1.appearance[0]"].weight == 1.2


def test_a_plain_list_lists_its_tags():
    assert [row.path for row in rows({"gemma": given("1girl, hat")})] == ["tags[0]", "tags[1]"]


@pytest.mark.parametrize("limit", [2, 10, 50, 120, len(DUO) + 1])
def test_what_is_read_and_what_is_not_are_the_whole_text(limit: int):
    row = given(DUO, limit)
    assert row.text[: row.read_to] + unread(row) == row.text
    assert row.read_to == min(limit - 1, len(row.text))


def test_an_element_that_is_cut_says_by_whom():
    short, whole = given(DUO, 60), given(DUO)
    found = {row.path: row for row in rows({"gemma": short, "jina": whole})}
    assert found["caption"].cut == ("gemma",) and found["character_1.n"].cut == ()
    assert found["caption"].tokens["jina"] == len("Two girls stand here.")


def test_words_belong_to_their_character_and_the_rest_to_nobody():
    scene = read(DUO + "<count>2girls</count>").scene
    assert [(each.path, each.words) for each in speakers(scene)] == [
        ("character_1", ("a", "(blue_hair:1.2)", "hat")),
        ("character_2", ("red_hair",)),
        ("", ("2girls", "Two girls stand here.")),
    ]


# ---- the command


def test_the_command_shows_texts_tokens_words_and_areas(capsys: Capture):
    assert main(["explain", DUO]) == 0
    shown = capsys.readouterr().out
    assert "<appearance>blue_hair, hat</appearance>" in shown  # as the encoders get it: without the weight
    assert re.search(r"gemma: \d+ of 512 tokens", shown) and re.search(r"jina: \d+ of 2048 tokens", shown)
    assert re.search(r"\d+ +\d+ +character_1\.appearance\[0\] +blue_hair +\(weight 1\.2\)", shown)
    assert "character_2: red_hair\nnobody in particular: Two girls stand here." in shown
    assert "1" * 20 + "2" * 20 in shown and "character_1: x 0.00 to 0.50" in shown


def test_without_weights_they_are_text(capsys: Capture):
    assert main(["explain", "--no-weights", DUO]) == 0
    assert "(blue_hair:1.2), hat</appearance>" in capsys.readouterr().out


def test_json_has_exact_texts_and_places(capsys: Capture):
    assert main(["explain", "--no-canonical", "--system-prompt", "none", "--negative", "lowres", DUO, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["prompt texts"]["gemma"]["text"] == DUO.replace("(blue_hair:1.2)", "blue_hair")
    assert told["negative prompt texts"]["jina"]["text"] == "lowres"
    assert told["words"]["character_2"] == ["red_hair"]
    assert told["areas"]["character_2"]["x"] == 0.5


def test_the_end_of_a_long_prompt_is_told_to_be_unread(capsys: Capture):
    text = "<caption>" + "a girl smiles " * 300 + "</caption><count>1girl</count><caption>The end.</caption>"
    assert main(["explain", text]) == 0
    told = capsys.readouterr()
    assert "(cut off: gemma)" in told.out
    assert "gemma reads 512 of" in told.err and "not read by gemma:" in told.err and "The end." in told.err


def test_choices_are_made_when_asked_for(capsys: Capture):
    assert main(["explain", "1girl, {red|red}_hair"]) == 0
    assert "{red|red}_hair" in capsys.readouterr().out
    assert main(["explain", "--expand", "1girl, {red|red}_hair"]) == 0
    assert "1girl, red_hair" in capsys.readouterr().out


def test_a_prompt_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path, capsys: Capture):
    (tmp_path / "a.xml").write_bytes(b"\xff\xfe1")
    (tmp_path / "b.xml").write_text("1girl, hat")
    assert main(["explain", str(tmp_path)]) == 3
    told = capsys.readouterr()
    assert "UTF-16" in told.err and "1girl, hat" in told.out


def test_a_folder_without_tokenizers_is_refused(tmp_path: Path, capsys: Capture):
    assert main(["explain", "--model", str(tmp_path), "1girl"]) == 4
    assert "hint:" in capsys.readouterr().err


def test_what_is_wrong_with_weights_and_boxes_is_told(capsys: Capture):
    text = '<character_1><n>a</n><appearance>(hat:9)</appearance><position x="2">left</position></character_1>'
    assert main(["explain", text]) == 0
    told = capsys.readouterr().err
    assert "NB411" in told and "NB701" in told
