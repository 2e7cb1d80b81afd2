"""Findings inside JSON: every rule looks at the texts of it, and points at the letters that were typed."""

from __future__ import annotations

import json

import pytest

from newbie.prompt import read
from newbie.prompt.lint import fixed, lint

FORM = """{
  "character_1": {
    "gender": ["1girl"],
    "appearance": ["blue_hiar", "long hair", "short_hair"],
    "clothing": "red_dress, red_dress"
  },
  "general_tags": {"count": "2girls"},
  "caption": "A girl."
}
"""
XML = (
    "<character_1>\n<n>miku</n>\n<appearance>blue_hiar, long_hair, short_hair\n</character_1>\n"
    '<general_tags>\n<other>say_"hi", lnog_hair</other>\n</general_tags>'
)


def found(text: str) -> dict[str, tuple[int, int, str]]:
    """By code: line, column, and the letters that are pointed at."""
    reading = read(text)
    places = {d.code: (*reading.source.place(d.span.start), text[slice(*d.span)]) for d in lint(reading)}
    assert places.pop("NB114")[:2] == reading.source.place(text.index("{"))
    return places


def test_the_plain_form_is_looked_into():
    assert found(FORM) == {
        "NB301": (4, 21, "blue_hiar"),
        "NB302": (4, 34, "long hair"),
        "NB304": (4, 47, "short_hair"),
        "NB303": (5, 29, "red_dress"),
        "NB207": (7, 30, "2girls"),
    }


@pytest.mark.parametrize("wrapped", ["{}", "```json\n{}\n```", "\n\n  {}"])
def test_the_xml_in_a_template_is_looked_into(wrapped: str):
    text = wrapped.replace("{}", json.dumps({"image": {"tags": XML, "caption": "A girl."}}))
    reading = read(text)
    misspelt = [text[slice(*d.span)] for d in lint(reading) if d.code == "NB301"]
    assert misspelt == ["blue_hiar", "lnog_hair"]  # the second stands behind an escaped quotation mark
    assert found(text)["NB101"][2] == "<appearance>"


def test_an_escaped_letter_is_one_place():
    text = '{"general_tags": {"other": ["\\u00e9toile, \\ud83d\\ude00, lnog_hair"]}, "caption": ""}'
    assert found(text)["NB301"] == (1, text.index("lnog") + 1, "lnog_hair")


def test_a_key_is_the_place_of_its_element():
    assert found('{"character_1": {"appearance": ["a"], "appearance~2": ["b"]}}')["NB202"][2] == "appearance~2"


def test_panels_are_looked_into():
    text = '{"inset_panel": [{"character_1": {"expression": ["smlie"]}}, {"caption": "Far."}]}'
    assert found(text)["NB301"][2] == "smlie"


def test_a_plain_list_in_a_template_is_looked_into():
    assert found('{"image": {"tags": "1girl, blue hair", "caption": ""}}')["NB302"][2] == "blue hair"


@pytest.mark.parametrize(
    "text",
    [
        '{"caption": }',
        '{"a": [[[[1]]]], "b": null}',
        '{"image": {"tags": 7}}',
        '{"character_1": {"appearance": ["\\ud800"]}}',
        '{"inset_panel": ' * 60 + "{}" + "}" * 60,
        '{"a b": "lnog_hair", "character_1": {"c d": "lnog_hair", "appearance": 7}}',
    ],
)
def test_what_is_no_prompt_in_json_is_no_error_here(text: str):
    assert {d.code for d in lint(read(text))} <= {"NB114", "NB206"}


def test_nothing_in_json_is_corrected():
    assert fixed(read(FORM)).text == FORM
    assert not any(d.fix for d in lint(read(FORM)))


def test_escaped_letters_do_not_hide_what_is_refused():
    hidden = json.dumps({"caption": "nude loli"}).replace("loli", "\\u006co\\u006ci")
    assert "NB002" in {d.code for d in lint(read(hidden, negative=True))}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"character_1": {"n": "miku",}}', "line 1, column 30: this is no JSON"),
        ('```json\n{\n "caption": "a",\n}\n```', "line 4, column 1: this is no JSON"),
        ("{'caption': 'A girl.'}", "line 1, column 2: this is no JSON"),
        ("{“caption”: “A girl.”}", "line 1, column 2: this is no JSON"),
        ('{"caption": "A girl.", "mood": "sad"}', "'mood' is no part of a prompt"),
        ('{"image": {"tags": "1girl", "caption": 5}}', '"image" has no texts'),
    ],
)
def test_a_prompt_that_convert_cannot_take_out_of_json_is_told_with_the_reason(text: str, why: str):
    (finding,) = [each for each in lint(read(text)) if each.code == "NB114"]
    assert why in finding.hint and "takes the prompt" not in finding.hint and "\n" not in finding.hint


def test_a_list_of_characters_and_a_request_are_looked_into():
    listed = '{"characters": [{"appearance": "lnog_hair"}, {"appearance": "short hair"}], "lighting": "moonlight"}'
    assert {code: place[2] for code, place in found(listed).items()} == {
        "NB301": "lnog_hair",
        "NB302": "short hair",
        "NB110": "lighting",
    }
    assert found('{"prompt": "1girl, lnog_hair", "negative_prompt": "bad hnads"}').keys() == {"NB301"}
