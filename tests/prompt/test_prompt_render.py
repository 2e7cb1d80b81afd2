"""What the encoders are given, against the strings that the official front ends send."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from newbie.errors import PromptRefused, UsageError
from newbie.prompt import EncoderText, canonical_text, read, render, render_pair, system_prompts

GOLDEN = Path(__file__).parent.parent / "golden"
CASES = json.loads((GOLDEN / "prompt_assembly.json").read_text("utf-8"))["cases"]
SYSTEMS = {p["id"]: p["text"] for p in json.loads((GOLDEN / "prompts.json").read_text("utf-8"))["system_prompts"]}
XML = (
    "<character_1>\n<n>a</n>\n<expression>smile, >_<, blush</expression>\n</character_1>\n<caption>Hi there.</caption>"
)


def piece(text: EncoderText, path: str) -> str:
    (element,) = [e for e in text.elements if e.path == path]
    return text.text[element.start : element.stop]


@pytest.mark.parametrize("case", CASES, ids=[f"{i}-{c['mode']}" for i, c in enumerate(CASES)])
def test_texts_are_those_of_the_golden_file(case: dict[str, str]) -> None:
    pair = render_pair(
        read(case["prompt"]),
        read(case["negative_prompt"], negative=True),
        mode=case["mode"],
        system_prompt=case["system_prompt"],
    )
    assert [pair.positive.gemma.text, pair.negative.gemma.text] == case["texts"]["gemma"]  # type: ignore[index]
    assert [pair.positive.jina.text, pair.negative.jina.text] == case["texts"]["jina"]  # type: ignore[index]


def test_the_automatic_system_prompts_are_the_training_strings() -> None:
    assert SYSTEMS["train_xml"] == system_prompts.TRAIN_XML
    assert SYSTEMS["train_tags"] == system_prompts.TRAIN_OTHER


@pytest.mark.parametrize("text", [XML, "<general_tags>x</general_tags>", "<character 1>x</character 1>"])
def test_xml_prompts_get_the_xml_sentence(text: str) -> None:
    assert render(read(text)).gemma.text == SYSTEMS["train_xml"] + text


@pytest.mark.parametrize("text", ["1girl", "A girl smiles.", "<caption>A girl.</caption>", "一个女孩"])
def test_other_prompts_get_the_other_sentence(text: str) -> None:
    assert render(read(text)).gemma.text == SYSTEMS["train_tags"] + text


def test_a_prompt_with_its_own_system_prompt_gets_no_second_one() -> None:
    text = SYSTEMS["comfy_template"] + XML
    rendered = render(read(text))
    assert rendered.gemma.text == text
    assert rendered.jina.text == XML
    assert piece(rendered.gemma, "system_prompt") == SYSTEMS["comfy_template"]


def test_the_empty_prompt_is_the_unconditional_picture() -> None:
    rendered = render(read(""))
    assert rendered.gemma == EncoderText("", ()) and rendered.jina == EncoderText("", ())


def test_an_empty_system_prompt_adds_none() -> None:
    assert render(read("1girl"), system_prompt="").gemma.text == "1girl"


@pytest.mark.parametrize("mode", ["official", "nodes", "comfyui"])
@pytest.mark.parametrize("front", ["", SYSTEMS["train_xml"], " \n You are. <Prompt Start>,  "])
@pytest.mark.parametrize("canonical", [False, True])
def test_every_element_is_found_in_every_text(mode: str, front: str, canonical: bool) -> None:
    for text in render(read(front + XML), mode=mode, canonical=canonical):
        assert piece(text, "character_1.n") == "a"
        assert piece(text, "character_1").startswith("<character_1>") and piece(text, "character_1").endswith("_1>")
        assert piece(text, "character_1.expression") == "smile, >_<, blush"
        assert piece(text, "character_1.expression[1]") == ">_<"
        assert piece(text, "caption") == "Hi there."


def test_tags_and_repeated_elements_have_paths_of_their_own() -> None:
    text = render(read("1girl, blue_hair")).jina
    assert piece(text, "tags[0]") == "1girl" and piece(text, "tags[1]") == "blue_hair"
    twice = render(read("<character_1><n>a</n><n>b</n></character_1><character_1><n>c</n></character_1>")).jina
    assert [piece(twice, p) for p in ("character_1.n", "character_1.n~2", "character_1~2.n")] == ["a", "b", "c"]


def test_canonical_sends_the_canonical_layout() -> None:
    reading = read("You are. <Prompt Start>\n <character 1><n> a </n></character 1>")
    rendered = render(reading, canonical=True)
    assert rendered.jina.text == canonical_text(reading.scene)
    assert rendered.gemma.text == "You are. <Prompt Start>\n " + canonical_text(reading.scene)


def test_unescaping_removes_backslashes_before_parentheses_and_moves_the_elements() -> None:
    text = "<character_1><n>aris_\\(blue archive\\)</n><appearance>a\\b, hair</appearance></character_1>"
    plain = render(read(text), unescape_parentheses=True)
    assert piece(plain.gemma, "character_1.n") == "aris_(blue archive)"
    assert piece(plain.jina, "character_1.appearance[1]") == "hair"
    assert "a\\b" in plain.jina.text
    assert render(read(text)).jina.text == text
    assert piece(render(read(text), mode="comfyui").jina, "character_1.n") == "aris_(blue archive)"


def test_the_negative_prompt_follows_the_system_prompt_of_the_positive_one() -> None:
    pair = render_pair(read(XML), read("lowres", negative=True))
    assert pair.negative.gemma.text == SYSTEMS["train_xml"] + "lowres"
    assert pair.negative.jina.text == "lowres"
    pasted = render_pair(read("You are. <Prompt Start> " + XML), read("lowres", negative=True))
    assert pasted.negative.gemma.text == "You are. <Prompt Start> lowres"


def test_without_a_negative_prompt_both_encoders_get_the_empty_text() -> None:
    pair = render_pair(read(XML))
    assert pair.negative.gemma.text == pair.negative.jina.text == ""


def test_a_negative_prompt_with_its_own_system_prompt_keeps_it() -> None:
    negative = SYSTEMS["comfy_template_negative"] + "lowres"
    assert render_pair(read(XML), read(negative, negative=True)).negative.gemma.text == negative


def test_an_unknown_mode_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="official, nodes, comfyui"):
        render(read("1girl"), mode="webui")


def test_the_assembled_text_is_checked_whatever_way_it_came() -> None:
    with pytest.raises(PromptRefused):
        render(read("nude"), system_prompt="Draw a loli. <Prompt Start> ")
    with pytest.raises(PromptRefused):
        render(read("loli, nude", negative=True))
