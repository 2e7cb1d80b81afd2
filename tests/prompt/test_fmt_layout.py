"""Formatting keeps what a prompt says and what its author added: comments, attributes, a system prompt."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newbie.prompt import canonical_text, read
from newbie.prompt.format import formatted
from newbie.prompt.meaning import meaning

MESSY = """\
You are an assistant. <Prompt Start>
<!-- ignore the count -->
<general tags><!-- of the scene --><count>1girl , solo</count> <!-- that is all -->
</general tags>
<character 1 src="miku.xml"/>
<character_2 id='a "b"'><n><!-- nobody --></n><position x=0.1 y="0.2"/>
    <appearance>blue hair,<!-- or red? -->
        smile</appearance><!-- last --></character_2>
<!-- the end -->

"""
CLEAN = """\
You are an assistant. <Prompt Start>
<character_1 src="miku.xml"/>
<character_2 id='a "b"'>
<!-- or red? -->
<appearance>blue_hair, smile</appearance>
<!-- nobody -->
<position x="0.1" y="0.2"/>
<!-- last -->
</character_2>
<!-- ignore the count -->
<general_tags>
<!-- of the scene -->
<count>1girl, solo</count>
<!-- that is all -->
</general_tags>
<!-- the end -->
"""


def test_comments_and_attributes_stay_with_their_elements():
    assert formatted(read(MESSY)) == CLEAN


def test_what_is_formatted_stays_as_it_is():
    assert formatted(read(CLEAN)) == CLEAN


def test_a_comment_moves_with_the_element_behind_it():
    text = "<character_2><n>b</n></character_2>\n<!-- first -->\n<character_1><n>a</n></character_1>"
    assert formatted(read(text)).startswith("<!-- first -->\n<character_1>")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1girl,blue hair\n\n\n", "1girl, blue_hair\n"),
        ("1girl,blue hair", "1girl, blue_hair"),
        ("<!-- who -->1girl,<!-- hair -->blue hair", "<!-- who -->\n<!-- hair -->\n1girl, blue_hair"),
        ("A girl\n  smiles. ", "A girl\nsmiles."),
        ("<!--\n two lines\n--><n>a</n>", "<character_1>\n<!--\n two lines\n-->\n<n>a</n>\n</character_1>"),
        ("<caption>Hi.</caption><!-- half", "<caption>Hi.</caption>\n<caption>half</caption>"),
        ('{"caption":  "A girl."}\n', '{"caption":  "A girl."}\n'),
        ("You are. <Prompt Start>\n", "You are. <Prompt Start>\n"),
        ("You are. <Prompt Start>\n\n 1girl", "You are. <Prompt Start>\n\n 1girl"),
        ("", ""),
    ],
)
def test_every_kind_of_prompt_has_its_layout(text: str, expected: str):
    assert formatted(read(text)) == expected
    assert formatted(read(expected)) == expected


def test_without_comments_and_attributes_it_is_the_canonical_text():
    text = "<img><caption>A  girl.</caption><character 1><clothes>red dress</clothes></character 1></img>"
    reading = read(text)
    assert formatted(reading) == canonical_text(reading.scene)


pieces = st.sampled_from(
    [
        "<n>a</n>", "<!-- c -->", "<character_1>", "</character_1>", "<general_tags>", "</general_tags>", " smile, ",
        "<style", ">", "<position x=0.5 />", "<count>", "</count>", "\n", "A girl.", "<inset_panel>", "</inset_panel>",
        "<tail a='1'>",
    ]
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(pieces, max_size=14).map("".join))
def test_formatting_twice_is_formatting_once_and_keeps_every_comment(text: str):
    reading = read(text)
    once = formatted(reading)
    again = read(once)
    assert formatted(again) == once
    assert meaning(again.scene) == meaning(reading.scene)
    assert once.count("<!-- c -->") == text.count("<!-- c -->")


def test_many_comments_and_tags_take_no_longer_than_their_number():
    text = "<character_1><appearance>" + "blue hair, <!-- c -->" * 4000 + "</appearance></character_1>"
    assert formatted(read(text)).count("<!-- c -->") == 4000
