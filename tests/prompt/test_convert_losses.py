"""Conversion says what is lost, and only that."""

from __future__ import annotations

import pytest

from newbie.errors import PromptRefused, UsageError
from newbie.prompt import read
from newbie.prompt.convert import DIALECTS, convert
from newbie.prompt.convert.sort import element_of, people_of
from newbie.prompt.vocabulary import bundled

DUO = (
    "You are. <Prompt Start><!-- mine -->\n<character_1 weight='1.2'>\n<n>$character_1$</n>\n<gender>1girl</gender>\n"
    "<appearance>red_hair</appearance>\n</character_1>\n<character_2>\n<gender>1boy</gender>\n"
    "<appearance>blue_hair</appearance>\n</character_2>\n<general_tags>\n<count>1girl, 1boy</count>\n</general_tags>\n"
    "<caption>Two people.</caption>"
)


def lost(text: str, target: str, **how: str) -> str:
    return "; ".join(convert(read(text), target, **how).lost)


def test_a_list_loses_sentences_placeholders_and_who_is_who():
    told = lost(DUO, "danbooru")
    for part in (
        "character_1.n: $character_1$", "caption: Two people.", "red_hair (character_1.appearance)", "1 comment",
        "attributes: weight=", "the pasted system prompt",
    ):  # fmt: skip
        assert part in told


def test_parts_of_a_list_keep_who_is_who():
    told = lost(DUO, "a1111")
    assert "red_hair" not in told and "Two people" not in told


def test_xml_dialects_keep_attributes_and_say_that_comments_go():
    made = convert(read(DUO), "nodes")
    assert '<character_1 weight="1.2">' in made.text
    assert "1 comment" in "; ".join(made.lost) and "attributes" not in "; ".join(made.lost)


def test_a_system_prompt_is_lost_unless_the_dialect_has_one():
    assert "system prompt" in lost(DUO, "xml")
    made = convert(read(DUO), "comfyui")
    assert made.text.startswith("You are. <Prompt Start>") and "system prompt" not in "; ".join(made.lost)


def test_a_negative_prompt_beside_is_lost_where_it_has_no_place():
    assert "the negative prompt: lowres" in lost("1girl", "xml", beside="lowres")
    assert convert(read("1girl"), "a1111", beside="lowres").text == "1girl\nNegative prompt: lowres"


def test_words_in_sentences_lose_their_place_alone():
    told = lost("<character_1><gender>1girl</gender><appearance>red_hair</appearance></character_1>", "text")
    assert told == "where these belong: 1girl (character_1.gender), red_hair (character_1.appearance)"


@pytest.mark.parametrize("target", ["danbooru", "a1111"])
def test_a_plain_list_loses_nothing(target: str):
    text = "2girls, red_hair, blue_hair, >_<, maccha_(mochancc), beach"
    made = convert(read(text), target)
    assert made.lost == ()
    assert convert(read(made.text), "danbooru").text == text


def test_a_list_of_several_persons_does_not_guess_whose_hair_it_is():
    made = convert(read("2girls, red hair, blue hair, beach"), "xml")
    assert "<other>red_hair, blue_hair</other>" in made.text and "<character" not in made.text
    assert "red hair, blue hair" in made.notes[0]


@pytest.mark.parametrize(
    ("tags", "number", "alone"),
    [
        (["1girl", "solo"], 1, "1girl"),
        (["1boy"], 1, "1boy"),
        (["2girls"], 2, ""),
        (["1girl", "1boy"], 2, ""),
        (["6+girls"], 6, ""),
        (["1girl", "multiple_boys"], 2, ""),
        (["no_humans"], 0, ""),
        (["smile"], 1, ""),
    ],
)
def test_people_are_counted(tags: list[str], number: int, alone: str):
    assert people_of(tags)[0] == number
    if alone:
        assert people_of(tags).alone == alone


@pytest.mark.parametrize(
    ("tag", "element"),
    [
        ("blue hair", "appearance"), ("(blue_hair:1.2)", "appearance"), ("shiny_violet_hair", "appearance"),
        ("school uniform", "clothing"), ("smile", "expression"), ("sitting", "action"), ("beach", "background"),
        ("masterpiece", "quality"), ("artist:someone", "artists"), ("year 2024", "artists"), ("left", "position"),
        ("max_high_resolution", "resolution"), ("1girl", "count"), ("quux_of_nowhere", "other"),
    ],
)  # fmt: skip
def test_a_tag_is_sorted_by_what_it_means(tag: str, element: str):
    assert element_of(tag, bundled()) == element


def test_a_negative_prompt_may_name_what_is_not_wanted_and_the_prompt_may_not():
    text = "1girl, nude{}\nNegative prompt: lowres{}\nSteps: 20, Seed: 1"
    assert convert(read(text.format("", ", loli"), negative=True), "a1111").negative == "lowres, loli"
    for target in DIALECTS:
        with pytest.raises(PromptRefused):
            convert(read(text.format(", loli", ""), negative=True), target)


def test_braces_are_not_always_json():
    assert convert(read("{red|blue}_hair, smile, 1girl"), "xml").source == "danbooru"


def test_an_unknown_dialect_is_told_the_known_ones():
    with pytest.raises(UsageError) as caught:
        convert(read("1girl"), "yaml")
    assert all(name in caught.value.hint for name in DIALECTS)


def test_a_hostile_list_is_sorted_in_a_moment():
    text = "(" * 60_000 + "a, " * 20_000 + ")" * 60_000
    assert convert(read(text), "danbooru").lost is not None
