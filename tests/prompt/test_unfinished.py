"""While a prompt is typed, mistakes are shown, and what is merely not finished is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newbie.prompt.unfinished import MAX_CHARACTERS, mistakes

PROMPTS = Path(__file__).parent.parent.parent / "prompts"
DUO = (PROMPTS / "duo.xml").read_text("utf-8")


def found(text: str) -> list[tuple[str, str]]:
    """Code and underlined words, with the cursor at `|` or at the end."""
    cursor = text.index("|") if "|" in text else len(text)
    text = text.replace("|", "", 1)
    return [(m.code, text[slice(*m.span)]) for m in mistakes(text, cursor)]


def test_a_good_prompt_has_no_mistake_at_any_moment_while_it_is_typed() -> None:
    for cursor in range(len(DUO) + 1):
        assert mistakes(DUO[:cursor], cursor) == (), DUO[:cursor]


def test_an_element_that_is_still_open_is_no_mistake_and_a_forgotten_end_tag_is_one() -> None:
    assert found("<character_1>\n<appearance>blue_hair") == []
    assert found("<character_1>\n<appearance>blue_hair\n<clothing>dress") == [("NB101", "<appearance>")]


def test_a_misspelt_element_is_underlined_and_the_right_one_named() -> None:
    text = "<character_1>\n<apperance>blue_hair</apperance>\n"
    (mistake,) = mistakes(text, len(text))
    assert text[slice(*mistake.span)] == "<apperance>"
    assert (mistake.severity, mistake.hint) == ("warning", "did you mean <appearance>?")


def test_the_word_being_typed_is_not_judged_before_it_ends() -> None:
    assert found("1girl, bleu_hair") == []
    assert [words for _, words in found("1girl, bleu_hair,")] == ["bleu_hair"]
    assert found("1girl, bleu_hair|, smile") == []
    assert [words for _, words in found("1girl|, bleu_hair, smile")] == ["bleu_hair"]


def test_the_cursor_inside_an_old_word_leaves_its_line() -> None:
    assert [words for _, words in found("1girl, bleu|_hair, smile")] == ["bleu_hair"]


def test_what_is_never_drawn_is_an_error_at_once() -> None:
    (mistake,) = mistakes("1girl, child, nude, smile", 25)
    assert mistake.severity == "error"


@pytest.mark.parametrize("text", ["1girl <!DOCTYPE x> a", "1girl,\n\0 blue_hair", "a" * 10 + "\ud800" + "b"])
def test_what_cannot_be_read_is_an_error_at_its_place(text: str) -> None:
    (mistake,) = mistakes(text, len(text))
    assert (mistake.severity, mistake.code) == ("error", "")
    assert text[mistake.span.start] in "<\0\ud800"
    assert "prompt:" not in mistake.message and mistake.hint


def test_an_empty_text_and_a_huge_one_are_left_alone() -> None:
    assert mistakes("", 0) == mistakes(" \n", 2) == ()
    huge = "bleu_hair, " * MAX_CHARACTERS
    assert mistakes(huge, 0) == ()


@settings(max_examples=300)
@given(st.lists(st.sampled_from([*DUO.split(), "<apperance>", "bleu_hair", ">_<", "<n", "\n", "<!--"]), max_size=12))
def test_every_line_lies_within_the_text(pieces: list[str]) -> None:
    text = " ".join(pieces)
    for cursor in {0, len(text) // 2, len(text)}:
        for mistake in mistakes(text, cursor):
            assert 0 <= mistake.span.start <= mistake.span.stop <= len(text)
