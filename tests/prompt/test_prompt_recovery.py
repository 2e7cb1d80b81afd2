"""Flawed prompts are read with the likeliest meaning, and the finding says where and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from newbie.prompt import Reading, read
from newbie.prompt.lint import lint
from newbie.prompt.rules import structure
from newbie.prompt.source import Source


def codes(reading: Reading) -> list[str]:
    return [d.code for d in reading.diagnostics]


def test_an_unclosed_element_ends_where_the_next_begins() -> None:
    reading = read("<character_1>\n<appearance>blue_hair\n<clothing>dress</clothing>\n</character_1>")
    character = reading.scene.characters[0]
    assert character["appearance"].text == "blue_hair" and character["clothing"].text == "dress"
    (finding,) = reading.diagnostics
    assert finding.code == "NB101" and reading.source.place(finding.span.start) == (2, 1)
    assert finding.message == "<appearance> is never closed; it was read up to <clothing>"
    assert finding.hint == "write </appearance> where it ends, at the latest in line 3, column 1"


def test_an_unclosed_block_ends_where_the_next_block_begins() -> None:
    scene = read("<character_1><n>a</n>\n<character_2><n>b</n>\n<general_tags><count>2girls</count>").scene
    assert [(c.number, c["n"].text) for c in scene.characters] == [(1, "a"), (2, "b")]
    assert scene.general["count"].text == "2girls"


def test_a_closing_tag_without_an_opening_one_is_left_out() -> None:
    reading = read("<character_1><n>a</n></clothing></character_1>")
    assert codes(reading) == ["NB102"] and dict(reading.scene.characters[0]).keys() == {"n"}


def test_the_wrong_closing_tag_closes() -> None:
    reading = read("<character_1><appearance>blue</clothing><action>waving</action></character_1>")
    assert codes(reading) == ["NB103"]
    assert {k: v.text for k, v in reading.scene.characters[0].items()} == {"appearance": "blue", "action": "waving"}


def test_a_block_closed_with_another_number_is_closed() -> None:
    reading = read("<character_1><n>a</n></character_2><general_tags><count>1girl</count></general_tags>")
    assert codes(reading) == ["NB103"] and reading.diagnostics[0].hint == "write </character_1>"
    assert reading.scene.characters[0].number == 1


def test_crossed_elements_keep_their_own_text() -> None:
    reading = read("<character_1><appearance>blue<clothing>red</appearance> dress</clothing></character_1>")
    character = reading.scene.characters[0]
    assert character["appearance"].text == "blue"
    assert character["clothing"].text.split() == ["red", "dress"]
    assert codes(reading) == ["NB101", "NB104"]


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("<character_1><apperance>blue</apperance></character_1>", "NB105", "did you mean <appearance>?"),
        ("<character_1><n>a</n><hobby>chess</hobby></character_1>", "NB105", "see docs/prompt-language.md"),
        ("<general_tags><other><backgroud>, x</other></general_tags>", "NB106", "did you mean <background>?"),
        ('<character_1 id="x"><n>a</n></character_1>', "NB107", "write <character_1>"),
        ("<general_tags><count>1girl</count></general_tags> A girl.", "NB109", "write <caption>…</caption> around it"),
        ("<general_tags><clothing>hat</clothing></general_tags>", "NB110", "it belongs into <character_1>"),
        (
            '{"image": {"tags": "1girl"}}',
            "NB114",
            "python -m newbie convert --to xml takes the prompt out of it",
        ),
        ("<caption>a</caption> <Prompt Start> b", "NB111", "it ends a system prompt; put it in front of everything"),
        ("<character_1></character_1><character_1></character_1>", "NB201", "number it <character_2>, at both ends"),
        ("<character_1><n>a</n><n>b</n></character_1>", "NB202", "join them into one, with commas"),
        ("<general_tags></general_tags><general_tags></general_tags>", "NB202", "put its elements into the first one"),
        ("<character_1></character_1><character_3></character_3>", "NB203", "number it <character_2>, at both ends"),
        ("<character><n>a</n></character>", "NB204", "write <character_1>"),
        ("<character_1><n>$character_2$</n></character_1>", "NB205", "write $character_1$"),
        ("<!-- x --><caption>a</caption>", "NB108", "remove it, or use --canonical"),
        ("<caption>a <!-- b</caption>", "NB108", "write -->, or delete it"),
        ("```xml\n<caption>a</caption>\n```", "NB115", "delete it"),
    ],
)
def test_each_finding_says_what_to_write_instead(text: str, code: str, hint: str) -> None:
    found = {d.code: d.hint for d in lint(read(text))}
    assert found.get(code) == hint


def test_every_kind_of_finding_occurs_in_these_tests() -> None:
    here = Path(__file__).read_text("utf-8")
    assert [rule.code for rule in structure.RULES if rule.code not in here] == []


def test_an_emoticon_like_tag_is_no_further_element_but_a_word_is() -> None:
    character = read("<character_1><n>x</n><o>y</o><tail>z</tail></character_1>").scene.characters[0]
    assert set(character) == {"n", "#text", "tail"} and character["#text"].text == "<o>y</o>"


def test_further_elements_are_kept_in_the_order_written() -> None:
    character = read(
        "<character_1><tail>a</tail><xmlns>b</xmlns><a.b-c>c<d3e>f</d3e></a.b-c></character_1>"
    ).scene.characters[0]
    assert [(f.name, f.value.text) for f in character.fields] == [
        ("tail", "a"),
        ("xmlns", "b"),
        ("a.b-c", "c<d3e>f</d3e>"),
    ]


def test_a_flawless_prompt_has_no_findings() -> None:
    assert (
        read("<character_1>\n<n>a</n>\n</character_1>\n\n<general_tags><count>1girl</count></general_tags>").diagnostics
        == ()
    )


def test_findings_come_in_reading_order() -> None:
    found = read("</n>" * 500).diagnostics
    assert len(found) == 500
    assert [d.span for d in found] == sorted(d.span for d in found)


@pytest.mark.parametrize("text", ["", "a", "a\n", "a\nb", "\n\n", "ä\r\nb\n"])
def test_places_count_lines_and_columns_from_one(text: str) -> None:
    source = Source(text)
    for offset in range(len(text) + 1):
        line, column = source.place(offset)
        before = text[:offset]
        assert line == before.count("\n") + 1 and column == offset - (before.rfind("\n") + 1) + 1
    assert [source.line(n).rstrip("\r") for n in range(1, text.count("\n") + 2)] == [
        row.rstrip("\r") for row in text.split("\n")
    ]
