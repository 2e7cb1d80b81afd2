"""Twenty prompts as people write them, each in every dialect: all of them have one canonical form.

found/NAME.txt holds the canonical form and one section per dialect. A list of tags or a sentence says less; where that
shows, the section behind it holds what is left of the prompt.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from newbie.prompt import read
from newbie.prompt.convert import DIALECTS, convert, recognise
from newbie.prompt.format import formatted

FOLDER = Path(__file__).with_name("found")
FOUND = sorted(FOLDER.glob("*.txt"))
SEEN_AS = {"readme": {"xml"}, "nodes": {"xml"}, "comfyui": {"xml"}}
# Without weights or a line of settings, a list of the web UI is a list like any other, and a sentence a sentence.
SEEN_AS |= {"a1111": {"a1111", "danbooru", "text"}, "danbooru": {"danbooru", "a1111"}}


def sections(path: Path) -> dict[str, str]:
    parts = re.split(r"^=== (.+)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {name: text.removesuffix("\n") for name, text in zip(parts[::2], parts[1::2], strict=True)}


CASES = [(path.stem, name) for path in FOUND for name in sections(path) if name in DIALECTS]


def test_there_are_twenty_and_every_dialect_is_among_them():
    assert len(FOUND) == 20
    assert {name for _, name in CASES} == set(DIALECTS) - {"xml"}  # canonical XML is the form itself
    for path in FOUND:
        assert {"readme", "nodes", "comfyui", "template", "json"} <= sections(path).keys()


@pytest.mark.parametrize(("stem", "name"), CASES, ids=lambda value: value)
def test_every_dialect_has_the_canonical_form(stem: str, name: str):
    found = sections(FOLDER / f"{stem}.txt")
    reading = read(found[name], negative=stem == "negative")
    assert recognise(reading) in SEEN_AS.get(name, {name})
    made = convert(reading, "xml", is_negative=True)
    assert made.text == found.get(f"{name}, canonical", found["canonical"])
    named = convert(reading, "xml", source=name, is_negative=True)
    assert named.text == made.text  # recognised or named: the same


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_a_canonical_form_is_its_own(path: Path):
    text = sections(path)["canonical"]
    assert formatted(read(text, negative=True)) == text
    assert convert(read(text, negative=True), "xml", is_negative=True).text == text


@pytest.mark.parametrize("target", [name for name, each in DIALECTS.items() if each.whole])
@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_dialects_that_hold_everything_give_it_back(path: Path, target: str):
    text = sections(path)["canonical"]
    there = convert(read(text, negative=True), target, is_negative=True)
    assert there.lost == ()
    back = convert(read(there.text, negative=True), "xml", source=target, is_negative=True)
    assert back.text == text


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_what_a_list_loses_is_told(path: Path):
    """Every tag of the canonical form is in the list, or named among the losses."""
    reading = read(sections(path)["canonical"], negative=True)
    made = convert(reading, "danbooru", is_negative=True)
    told = " ".join(made.lost)
    words = made.text.split(", ")
    for block in (*reading.scene.characters, reading.scene.general):
        for name, value in block.items():
            assert all(item.text.replace(" ", "_") in words or item.text in told for item in value.items), name
    assert all(caption.text in told for caption in reading.scene.captions)
