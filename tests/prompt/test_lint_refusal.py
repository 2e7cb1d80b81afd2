"""A prompt that sexualises minors is an error with its place, however it is spelt, and nothing takes it away."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from newbie.prompt import read, safety
from newbie.prompt.lint import lint

# The prompts of the safety tests, which are the ground of these.
_TREE = ast.parse(Path(__file__).with_name("test_prompt_safety.py").read_text("utf-8"))
LISTS = {
    node.targets[0].id: ast.literal_eval(node.value)
    for node in _TREE.body
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
}


def refusals(text: str) -> list:  # type: ignore[type-arg]
    return [d for d in lint(read(text, negative=True)) if d.code == "NB002"]


@pytest.mark.parametrize("text", LISTS["REFUSED"])
def test_what_is_refused_is_an_error_at_words_that_weigh(text: str) -> None:
    (finding,) = refusals(text)
    assert finding.severity == "error" and finding.fix == ()
    words = text[finding.span.start : finding.span.stop]
    assert words and any(safety.has(kind, words) for kind in ("alone", "minor", "sexual"))
    assert len(words) <= 40


@pytest.mark.parametrize("text", LISTS["READ"])
def test_what_is_read_is_no_error(text: str) -> None:
    assert refusals(text) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1girl, child, nude", "child"),
        ("1girl, nude, solo, child", "nude"),
        (
            "<character_1>\n<appearance>12_years_old</appearance>\n</character_1>\n<caption>She is naked.</caption>",
            "12",
        ),
        ("smile, " * 2000 + "lolicon", "lolicon"),
    ],
)
def test_the_place_is_that_of_the_first_word(text: str, words: str) -> None:
    (finding,) = refusals(text)
    assert text[finding.span.start :].startswith(words)


def test_a_negative_prompt_may_say_what_is_not_wanted() -> None:
    assert lint(read("child, nude", negative=True), negative=True) == ()
