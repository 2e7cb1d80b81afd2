"""Comments silence a rule where they stand, say so when they are useless, and never reach an encoder."""

from __future__ import annotations

import pytest

from newbie.prompt import read, render
from newbie.prompt.lint import fixed, lint


def codes(text: str) -> list[str]:
    return [finding.code for finding in lint(read(text, negative=True))]


TWO = "<character_1>\n<appearance>blue hair</appearance>\n<clothing>red hat</clothing>\n</character_1>"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (TWO, ["NB302", "NB302"]),
        (TWO.replace("<cl", "<!-- newbie: ignore NB302 --><cl"), ["NB302"]),
        (TWO.replace("<cl", "<!-- newbie: ignore NB302 -->\n<cl"), ["NB302"]),
        (TWO.replace("<ap", "  <!-- newbie: ignore NB302 -->  \n<ap"), ["NB302"]),
        (TWO + "<!-- newbie: ignore-file NB302 -->", []),
        ("<!-- newbie: ignore-file nb302, nb206 -->\n" + TWO + "<general_tags>\n<style></style>\n</general_tags>", []),
        ("<!--newbie:ignore-file NB302-->" + TWO, []),
        ("1girl, blue hair, <!-- newbie: ignore NB302 -->\nred hat, solo", ["NB302"]),
    ],
)
def test_a_comment_silences_its_line_the_next_line_or_the_whole_prompt(text: str, left: list[str]) -> None:
    assert codes(text) == left


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("<!-- newbie: ignore NB302 -->", "this comment silences no NB302"),
        ("<!-- newbie: ignore-file NB999 -->", "this comment silences no NB999"),
        ("<!-- newbie: ignore -->", "this comment names no rule"),
    ],
)
def test_a_comment_that_silences_nothing_is_a_finding(comment: str, message: str) -> None:
    (finding,) = lint(read(f"{comment}\n<caption>A girl waves.</caption>"))
    assert (finding.code, finding.message) == ("NB113", message)


@pytest.mark.parametrize("scope", ["ignore", "ignore-file"])
def test_errors_cannot_be_silenced(scope: str) -> None:
    assert codes(f"<!-- newbie: {scope} NB002 -->\n1girl, child, nude") == ["NB113", "NB002"]
    assert codes(f"<!-- newbie: {scope} NB411 -->\n1girl, (hat:1e9), solo") == ["NB113", "NB411"]


def test_these_comments_are_sent_to_no_encoder_and_all_others_are() -> None:
    text = "<!-- newbie: ignore-file NB302 -->\n<caption>A <!-- newbie: ignore NB109 -->girl</caption>\n<!-- mine -->"
    sent = render(read(text), system_prompt="")
    assert sent.jina.text == sent.gemma.text == "<caption>A girl</caption>\n<!-- mine -->"
    (caption,) = [place for place in sent.jina.elements if place.path == "caption"]
    assert sent.jina.text[caption.start : caption.stop] == "A girl"


def test_what_is_silenced_is_not_corrected() -> None:
    text = TWO.replace("<cl", "<!-- newbie: ignore NB302 --><cl")
    assert fixed(read(text)).text == text.replace("blue hair", "blue_hair")
