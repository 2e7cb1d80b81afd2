"""The web UI's brackets: what weighs, what is part of a name, and both ways between its spelling and ours."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newbie.prompt import read
from newbie.prompt.convert import convert, emphasis, recognise
from newbie.prompt.convert.a1111 import spelt
from newbie.prompt.infotext import parts


def weights(text: str) -> dict[str, float]:
    return {tag.text: float(tag.weight or 1) for tag in emphasis.tags(text)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(smile)", {"smile": 1.1}),
        ("((smile))", {"smile": 1.21}),
        ("(((smile)))", {"smile": 1.331}),
        ("[smile]", {"smile": 1 / 1.1}),
        ("[[smile]]", {"smile": 1 / 1.21}),
        ("([smile])", {"smile": 1.0}),
        ("(smile:1.3)", {"smile": 1.3}),
        ("(smile: 0.5 )", {"smile": 0.5}),
        ("((smile:1.2))", {"smile": 1.32}),
        ("(blue hair, long hair:1.2), hat", {"blue hair": 1.2, "long hair": 1.2, "hat": 1.0}),
        ("(blue hair, (long hair:1.5):0.5)", {"blue hair": 0.5, "long hair": 0.75}),
        ("((a cat), dog)", {"a cat": 1.21, "dog": 1.1}),
    ],
)
def test_brackets_weigh_as_in_the_web_ui(text: str, expected: dict[str, float]):
    """Round multiplies by 1.1, square divides by it, a number is the factor; three digits are kept."""
    found = weights(text)
    assert found.keys() == expected.keys()
    assert all(math.isclose(found[tag], expected[tag], rel_tol=5e-3) for tag in expected)


@pytest.mark.parametrize(
    "text",
    [
        ":(", ":)", "(:", "(:3)", "(o)_(o)", "(^_^)", "()", "((", "))", "(", "maccha_(mochancc)",
        "saber_(fate)_(alter)", "roots_(hair)", "[=_=]", "[]", "x:3", "reverse:1999", "re:zero", "(a", "b)",
        "2b_(nier:automata)", "[a|b]", "[cat:dog:0.5]",
    ],
)  # fmt: skip
def test_names_and_faces_are_not_weighed(text: str):
    assert [str(tag) for tag in emphasis.tags(text)] == [text]
    assert [str(tag) for tag in emphasis.tags(f"smile, {text}, hat")] == ["smile", text, "hat"]


def test_an_escaped_bracket_is_a_bracket():
    assert [tag.text for tag in emphasis.tags(r"aris \(blue archive\), \[x\], a\\b")] == [
        "aris (blue archive)",
        "[x]",
        "a\\b",
    ]
    assert weights(r"(aris \(blue archive\):1.2)") == {"aris (blue archive)": 1.2}


@settings(max_examples=300)
@given(st.text(st.sampled_from("ab()[]\\:12.,_ "), max_size=14))
def test_what_is_escaped_is_read_letter_for_letter(text: str):
    tag = " ".join(text.replace(",", " ").split())
    assert [each.text for each in emphasis.tags(emphasis.escape(tag))] == ([tag] if tag else [])
    assert all(not each.weight for each in emphasis.tags(emphasis.escape(tag)))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("blue_hair", "blue hair"),
        ("maccha_(mochancc)", r"maccha \(mochancc\)"),
        ("(blue_hair:1.2)", "(blue hair:1.2)"),
        ("o_o", "o_o"),
        (">_<", ">_<"),
        ("(reverse:1999)", r"\(reverse:1999\)"),
        ("[smile]", r"\[smile\]"),
        ("\\(", r"\\\("),
        ("__hair__", "__hair__"),
    ],
)
def test_a_tag_is_spelt_as_the_web_ui_reads_it(ours: str, theirs: str):
    assert spelt(ours) == theirs


UNDER_A_PICTURE = """\
masterpiece, (1girl), blue hair <lora:detail:0.8>
A girl smiles at the sea.
Negative prompt: lowres, (bad hands:1.3),
worst quality
Steps: 20, Sampler: Euler a, CFG scale: 5.5, Seed: 1, Size: 832x1216, Lora hashes: "a: 1, b: 2", Version: 1.9"""


def test_the_text_under_a_picture_has_three_parts():
    found = parts(UNDER_A_PICTURE)
    assert found.prompt.endswith("sea.") and found.negative == "lowres, (bad hands:1.3),\nworst quality"
    assert found.settings["Sampler"] == "Euler a" and found.settings["Lora hashes"] == "a: 1, b: 2"


def test_what_xml_cannot_hold_of_it_is_told():
    made = convert(read(UNDER_A_PICTURE), "xml")
    assert made.source == "a1111"
    assert "<caption>A girl smiles at the sea.</caption>" in made.text
    assert any("lowres, (bad hands:1.3)" in lost for lost in made.lost)
    assert any("CFG scale: 5.5" in lost for lost in made.lost)
    assert any("--lora detail.safetensors:0.8" in note for note in made.notes)
    assert made.negative.startswith("lowres") and made.settings is not None and made.settings["Seed"] == "1"


def test_its_own_dialect_keeps_all_of_it():
    assert convert(read(UNDER_A_PICTURE), "a1111").lost == ()
    assert "Steps: 20" in convert(read(UNDER_A_PICTURE), "a1111").text


def test_xml_in_the_web_ui_keeps_its_structure():
    text = "<character_1>\n<gender>1girl</gender>\n</character_1>\nNegative prompt: lowres\nSteps: 20, Seed: 1"
    made = convert(read(text), "a1111")
    assert made.source == "xml"
    assert made.text == "1girl\nNegative prompt: lowres\nSteps: 20, Seed: 1"


def test_parts_of_one_list_are_persons():
    text = "2girls, beach BREAK 1girl, red hair, smile BREAK 1girl, blue hair, left"
    made = convert(read(text), "xml")
    assert made.text == (
        "<character_1>\n<gender>1girl</gender>\n<appearance>red_hair</appearance>\n<expression>smile</expression>\n"
        "</character_1>\n<character_2>\n<gender>1girl</gender>\n<appearance>blue_hair</appearance>\n"
        "<position>left</position>\n</character_2>\n"
        "<general_tags>\n<count>2girls</count>\n<background>beach</background>\n</general_tags>"
    )
    assert convert(read(convert(read(made.text), "a1111").text), "xml").text == made.text


def test_a_weight_over_several_tags_becomes_one_of_each():
    text = "<appearance>(blue hair, long hair:1.30), hat</appearance>"
    assert convert(read(text), "a1111").text == "(blue hair:1.30), (long hair:1.30), hat"


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("1girl, smile", "danbooru"),
        ("1girl, maccha_(mochancc), :3", "danbooru"),
        ("1girl, (smile:1.2)", "a1111"),
        ("1girl, ((smile))", "a1111"),
        (r"aris \(blue archive\), 1girl", "a1111"),
        ("1girl\nSteps: 20, Seed: 1", "a1111"),
        ("1girl, <lora:a:1>", "a1111"),
        ("A girl smiles.", "text"),
        ("<n>a</n>", "xml"),
        ("", "xml"),
    ],
)
def test_the_dialect_is_recognised(text: str, dialect: str):
    assert recognise(read(text)) == dialect
