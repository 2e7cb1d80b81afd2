"""The JSON form and the template of ComfyUI: what they hold, and how wrong ones are refused."""

from __future__ import annotations

import json

import pytest

from newbie.errors import PromptError, PromptRefused
from newbie.prompt import Reading, read
from newbie.prompt.convert import convert, recognise

XML = (
    "<character_1>\n<appearance>blue_hair, >_<</appearance>\n<appearance>smile</appearance>\nhat\n</character_1>\n"
    "<character_1>\n<tail>long_tail</tail>\n</character_1>\n<general_tags>\n<count>1girl</count>\n</general_tags>\n"
    "<danbooru_tags>a, b</danbooru_tags>\n<inset_panel>\n<caption>Far.</caption>\n</inset_panel>\n"
    "<caption>One.</caption>\n<caption>Two.</caption>"
)


def as_json(values: object) -> Reading:
    return read(json.dumps(values))


def test_the_form_is_this():
    assert json.loads(convert(read(XML), "json").text) == {
        "character_1": {"#text": ["hat"], "appearance": ["blue_hair", ">_<"], "appearance~2": ["smile"]},
        "character_1~2": {"tail": ["long_tail"]},
        "general_tags": {"count": ["1girl"]},
        "danbooru_tags": ["a", "b"],
        "inset_panel": [{"caption": "Far."}],
        "caption": ["One.", "Two."],
    }


def test_it_is_read_back_as_the_same_prompt():
    text = convert(read(XML), "json").text
    assert convert(read(text), "xml").text == convert(read(XML), "xml").text


@pytest.mark.parametrize(
    "values",
    [
        {"character_1": {"appearance": "blue hair, smile"}},
        {"character 1": {"Appearance": ["blue_hair", "smile"]}},
        {"character_1": {"appearance": ["blue_hair, smile"]}},
    ],
)
def test_spellings_do_not_matter(values: object):
    expected = "<character_1>\n<appearance>blue_hair, smile</appearance>\n</character_1>"
    assert convert(as_json(values), "xml").text == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"caption": }', "this is no JSON"),
        ('{"caption": "a", "caption": "b"}', "given twice"),
        ('{"hair": "blue"}', "no part of a prompt"),
        ('{"character": {}}', "no part of a prompt"),
        ('{"character_1": "1girl"}', "is a text, not an object"),
        ('{"character_1": {"appearance": 7}}', "holds a number, not a text"),
        ('{"character_1": {"appearance": [null]}}', "holds null"),
        ('{"character_1": {"a b": "x"}}', "no name of an element"),
        ('{"caption": "</caption><n>a</n>"}', "holds tags of the prompt language"),
        ('{"character_1": {"n": "a</n><gender>1boy</gender>"}}', "holds tags of the prompt language"),
        ('{"image": {"tags": 3}}', "no texts"),
        ('{"a":' * 40_000 + "1" + "}" * 40_000, "nested too deep"),
        ('{"inset_panel":' * 100 + "{}" + "}" * 100, "nested more than"),
    ],
)
def test_a_wrong_one_is_refused_with_a_hint(text: str, message: str):
    with pytest.raises(PromptError, match=message) as caught:
        name = "template" if '"image"' in text else "json"
        convert(read(text), "xml", source=name)
    assert caught.value.hint


def test_an_error_in_json_has_its_place():
    with pytest.raises(PromptError) as caught:
        convert(read('{"caption": "a",\n "count" 3}'), "xml", source="json")
    assert (caught.value.line, caught.value.column) == (2, 10)


def test_escaped_letters_do_not_hide_what_is_refused():
    hidden = json.dumps({"caption": "nude loli"}).replace("loli", "\\u006co\\u006ci")
    with pytest.raises(PromptRefused):
        convert(read(hidden, negative=True), "xml")


def test_a_template_keeps_its_box_and_its_name():
    values = {
        "character_1": {"bbox": [0, 0, 500, 1000], "name": "miku"},
        "image": {"tags": "<character_1><gender>1girl</gender></character_1>", "caption": "A girl."},
    }
    made = convert(as_json(values), "xml")
    assert made.source == "template"
    assert "<n>miku</n>" in made.text and made.text.endswith("<caption>A girl.</caption>")
    assert '<position x="0" y="0" width="0.5" height="1"/>' in made.text


def test_a_template_may_hold_a_plain_list():
    made = convert(as_json({"image": {"tags": "1girl, blue hair", "caption": ""}}), "xml")
    assert "<appearance>blue_hair</appearance>" in made.text


def test_text_in_braces_that_is_no_json_is_text():
    assert recognise(read("{red|blue} hair, smile")) != "json"
    assert recognise(read('{"caption": "a"}')) == "json"


def test_a_list_of_characters_and_elements_outside_their_block_are_read():
    made = convert(
        read('{"characters": [{"name": "a", "bbox": [0, 0, 500, 1000]}, {"name": "b"}], "background": "sea, sky"}'),
        "xml",
    )
    assert made.text == (
        '<character_1>\n<n>a</n>\n<position x="0" y="0" width="0.5" height="1"/>\n</character_1>\n'
        "<character_2>\n<n>b</n>\n</character_2>\n<general_tags>\n<background>sea, sky</background>\n</general_tags>"
    )


def test_what_a_program_is_asked_for_is_read_in_the_dialect_of_its_prompt():
    asked = {"prompt": "1girl, ((blue hair))", "negative_prompt": "bad hands", "steps": 20, "seed": 7, "model": "x"}
    made = convert(read(json.dumps(asked)), "danbooru")
    assert made.text == "1girl, (blue_hair:1.21)"
    assert made.negative == "bad hands" and made.settings == {"Steps": "20", "Seed": "7"}
    assert "left out: model" in made.notes
    with pytest.raises(PromptError, match="'steps' is no part"):
        convert(read('{"steps": 20}'), "xml")
