"""Completion offers what the language allows at the cursor and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newbie.prompt import read
from newbie.prompt.complete import complete
from newbie.prompt.schema import BY_NAME, ELEMENTS, PLACES, fields_of
from newbie.prompt.vocabulary import bundled


def offered(text: str, *, asked: bool = False) -> list[str]:
    """What is offered at `|`, or at the end."""
    cursor = text.index("|") if "|" in text else len(text)
    return [c.text for c in complete(text.replace("|", "", 1), cursor, bundled(), asked=asked)]


def test_an_empty_prompt_is_offered_its_blocks() -> None:
    assert offered("<") == [
        "<character_1>", "<general_tags>", "<style>", "<danbooru_tags>", "<inset_panel>", "<caption>", "<img>",
        "<custom_section>",
    ]  # fmt: skip


def test_a_character_is_offered_its_elements_in_canonical_order() -> None:
    leaves = offered("<character_1>\n<")
    assert leaves[:-1] == [f"<{name}>" for name in fields_of("character")]


def test_what_is_there_already_is_not_offered_again_before_and_behind_the_cursor() -> None:
    left = offered("<character_1><n>a</n>\n<|\n<action>waving</action></character_1><general_tags>")
    assert "<n>" not in left and "<action>" not in left and "<appearance>" in left


def test_the_next_character_has_the_next_number() -> None:
    assert offered("<character_1></character_1>\n<ch") == ["<character_2>"]
    assert offered("<character_1></character_1><character_3></character_3>\n<ch") == ["<character_2>"]
    assert offered("<character_1></character_1><inset_panel><ch") == ["<character_1>"]


def test_captions_and_panels_may_come_again() -> None:
    left = offered("<caption>a</caption><inset_panel></inset_panel><general_tags></general_tags>\n<")
    assert {"<caption>", "<inset_panel>"} <= set(left) and "<general_tags>" not in left


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("<character_1><appearance>blue_hair</", ["</appearance>", "</character_1>"]),
        ("<character_1><appearance>blue_hair</ch", ["</character_1>"]),
        ("<character_1><appearance>blue_hair <", ["</appearance>"]),
        ("<character_1></", ["</character_1>"]),
        ("1girl</", []),
    ],
)
def test_an_end_tag_ends_what_is_open_the_innermost_first(text: str, ends: list[str]) -> None:
    assert offered(text) == ends


@pytest.mark.parametrize("text", ["1girl, >_<", "<character_1><expression>>_<", "<3", "a <3 b", "<character_1><n>x<"])
def test_faces_are_no_tags(text: str) -> None:
    assert offered(text) == []


def test_tags_are_those_usual_in_the_element_first() -> None:
    def elements(text: str) -> list[str]:
        return [bundled().element_of(name) for name in offered(text)]

    assert elements("<character_1><appearance>blue")[0] == "appearance"
    assert elements("<character_1><clothing>blue")[0] == "clothing"
    assert "blue_hair" in offered("1girl, blue")


def test_another_name_leads_to_the_usual_one() -> None:
    assert "blonde_hair" in offered("1girl, blond h")


def test_a_weight_around_a_tag_is_kept() -> None:
    found = complete("1girl, ((twint", 14, bundled())
    assert found[0][:2] == ("twintails", 9)


def test_the_tag_replaces_the_typed_word_with_its_blanks() -> None:
    text = "<character_1><appearance>red_eyes, blue ha"
    first = next(c for c in complete(text, len(text), bundled()) if c.text == "blue_hair")
    assert text[first.start :] == "blue ha"


def test_places_are_offered_as_the_language_spells_them() -> None:
    assert offered("<character_1><position>ce") == ["center", "center_left", "center_right"]
    assert offered("<character_1><position>", asked=True) == list(PLACES)
    assert offered("<character_1><position>") == []


def test_a_name_is_the_placeholder_of_its_own_character() -> None:
    assert offered("<character_2><n>$") == ["$character_2$"]
    assert offered("<character_2><n>", asked=True) == ["$character_2$", "original_character"]


def test_sentences_and_the_space_between_elements_are_left_alone() -> None:
    assert offered("<caption>a blue", asked=True) == []
    assert offered("<character_1>\nblue", asked=True) == []
    assert offered("<character_1></character_1>\nblue", asked=True) == []
    assert offered("") == []


def test_asked_for_an_empty_word_it_shows_the_usual_tags_of_the_element() -> None:
    usual = offered("<character_1><expression>", asked=True)
    assert "smile" in usual and {bundled().element_of(name) for name in usual} == {"expression"}


starts = st.sampled_from(["", *(f"<{e.name}>" for e in ELEMENTS if e.kind != "character"), "<character_1>"])


@settings(max_examples=300)
@given(
    st.lists(starts | st.text("<>/abc, _\n", max_size=6), max_size=5).map("".join), st.integers(0, 60), st.booleans()
)
def test_any_text_has_completions_that_begin_before_the_cursor(text: str, cursor: int, asked: bool) -> None:
    cursor = min(cursor, len(text))
    for candidate in complete(text, cursor, bundled(), asked=asked):
        assert 0 <= candidate.start <= cursor and candidate.text


@settings(max_examples=200)
@given(st.data())
def test_a_prompt_made_of_offered_elements_has_no_finding_about_their_places(data: st.DataObject) -> None:
    text = ""
    for _ in range(data.draw(st.integers(1, 12))):
        candidates = complete(text + "<", len(text) + 1, bundled())
        ends = complete(text + "</", len(text) + 2, bundled())[:1]
        chosen = data.draw(st.sampled_from(candidates + ends)) if candidates or ends else None
        if chosen is None:
            break
        name = chosen.text.strip("</>")
        text += chosen.text
        if name in BY_NAME and BY_NAME[name].kind == "leaf" and not chosen.text.startswith("</"):
            text += f"x</{name}>"
    while ends := complete(text + "</", len(text) + 2, bundled()):
        text += ends[0].text
    assert not {"NB101", "NB102", "NB103", "NB104", "NB105", "NB110", "NB201", "NB202"} & {
        d.code for d in read(text, negative=True).diagnostics
    }, text
