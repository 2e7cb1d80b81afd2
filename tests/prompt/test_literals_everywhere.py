"""Sixty tags with `<`, `>` or `&`, and sixty with colons or parentheses, go through every command byte for byte.

The tags lie in literals/, one in each line.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from newbie.cli.main import main
from newbie.prompt import canonical_text, read, render, set_value
from newbie.prompt.convert import DIALECTS, convert
from newbie.prompt.diff import differences
from newbie.prompt.explain import speakers
from newbie.prompt.format import formatted
from newbie.prompt.lint import fixed
from newbie.prompt.reuse import Ingredients, expand
from newbie.prompt.weights import marks

FOLDER = Path(__file__).with_name("literals")
ANGLES, COLONS = (FOLDER.joinpath(f"{name}.txt").read_text("utf-8").splitlines() for name in ("angles", "colons"))
LITERALS = ANGLES + COLONS
ELEMENT = "<character_1>\n<gender>1girl</gender>\n<expression>smile, {}, blush</expression>\n</character_1>"
LIST = "1girl, smile, {}, blush"


def test_the_lists_are_long_enough_and_hold_what_they_are_for():
    assert len(set(ANGLES)) >= 60 and all(set(tag) & set("<>&") for tag in ANGLES)
    assert len(set(COLONS)) >= 60
    without = [tag for tag in COLONS if not set(tag) & set(":()")]
    assert len(set(COLONS)) - len(without) >= 60  # the rest are other signs that tools give a meaning


def test_reading_and_sending():
    for tag in LITERALS:
        text = ELEMENT.format(tag)
        reading = read(text)
        assert reading.scene.characters[0]["expression"].text == f"smile, {tag}, blush"
        assert render(reading, read_weights=False).jina.text == text
        if not marks(tag):
            assert render(reading).jina.text == text


@pytest.mark.parametrize("layout", [ELEMENT, LIST], ids=["element", "list"])
def test_fmt(layout: str):
    for tag in LITERALS:
        text = layout.format(tag)
        assert formatted(read(text)) == text
        assert canonical_text(read(text).scene) == text


@pytest.mark.parametrize("target", [name for name, each in DIALECTS.items() if each.whole])
def test_convert_to_dialects_that_hold_everything(target: str):
    for tag in LITERALS:
        text = ELEMENT.format(tag)
        assert convert(read(convert(read(text), target).text), "xml", source=target).text == text


@pytest.mark.parametrize("target", ["danbooru", "a1111"])
def test_convert_to_lists(target: str):
    """A list keeps the tag, though perhaps not its place."""
    for tag in LITERALS:
        for source, text in (("xml", ELEMENT.format(tag)), ("danbooru", LIST.format(tag))):
            made = convert(read(text), target, source=source)
            assert convert(read(made.text), "danbooru", source=target).text == LIST.format(tag)


def test_convert_to_sentences():
    for tag in LITERALS:
        assert tag.replace("_", " ") in convert(read(ELEMENT.format(tag)), "text").text.replace("_", " ")


def test_explain():
    for tag in LITERALS:
        assert tag in speakers(read(ELEMENT.format(tag)).scene)[0].words


def test_diff():
    for tag in LITERALS:
        (change,) = differences(read(ELEMENT.format(tag)).scene, read(ELEMENT.format("hat")).scene)
        assert (change.how, change.path) == ("changed", "character_1.expression")
        assert (change.before, change.after) == ((tag,), ("hat",))


@pytest.mark.parametrize("layout", [ELEMENT, LIST], ids=["element", "list"])
def test_lint_fix_and_character_files(layout: str):
    for tag in LITERALS:
        text = layout.format(tag)
        assert fixed(read(text)).text == text
        assert expand(read(text), Ingredients()).reading.source.text == text


def test_set():
    for tag in LITERALS:
        assert set_value(ELEMENT.format("hat"), "character_1.expression[1]", tag) == ELEMENT.format(tag)


@pytest.mark.parametrize("layout", [ELEMENT, LIST], ids=["element", "list"])
def test_the_commands_print_all_of_them(layout: str, capsysbinary: pytest.CaptureFixture[bytes]):
    """Not in one prompt: a `<` without its `>` may find one in the next tag."""
    for tag in LITERALS:
        text = layout.format(tag)
        assert main(["fmt", text]) == 0
        assert capsysbinary.readouterr().out == text.encode()
        assert main(["convert", text, "--from", "xml", "--to", "xml" if layout is ELEMENT else "danbooru"]) == 0
        assert capsysbinary.readouterr().out == text.encode()
        assert main(["diff", text, layout.format("hat")]) == 1
        assert tag.encode() in capsysbinary.readouterr().out
        assert main(["explain", "--no-canonical", "--no-weights", text]) == 0
        assert text.encode() in capsysbinary.readouterr().out
