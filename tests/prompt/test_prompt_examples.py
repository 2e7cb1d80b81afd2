"""The prompts in prompts/ are read without a finding, each shows its idea, and the language's table is documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from newbie.prompt import canonical_text, is_complete, read_file, render
from newbie.prompt.schema import ELEMENTS, PLACES, lookup

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = sorted(path for path in (ROOT / "prompts").iterdir() if path.is_file())  # reuse/: test_reuse_examples.py
GALLERY = sorted((ROOT / "prompts" / "gallery").iterdir())


@pytest.mark.parametrize("path", EXAMPLES + GALLERY, ids=lambda p: p.name)
def test_an_example_is_read_without_a_finding_and_sent_unchanged(path: Path) -> None:
    reading = read_file(path)
    assert reading.diagnostics == ()
    assert render(reading).jina.text == path.read_text("utf-8")
    assert is_complete(reading.source.text)
    assert canonical_text(reading.scene)


def test_duo_has_blue_twintails_on_the_left_and_a_blonde_ponytail_on_the_right() -> None:
    left, right = read_file(ROOT / "prompts/duo.xml").scene.characters
    assert left["position"].text == "left" and {"blue_hair", "twintails"} <= {v.text for v in left["appearance"].items}
    assert right["position"].text == "right" and {"blonde_hair", "ponytail"} <= {
        v.text for v in right["appearance"].items
    }


def test_the_wrapper_example_says_what_its_canonical_form_says() -> None:
    assert canonical_text(read_file(ROOT / "prompts/wrapper.xml").scene) == (
        "<character_1>\n<gender>1girl</gender>\n<appearance>white_hair, braid, aqua_eyes</appearance>\n"
        "<clothing>red_sweater, glasses</clothing>\n</character_1>\n"
        "<general_tags>\n<count>1girl, solo</count>\n<artists>artist:original</artists>\n<style>anime_style</style>\n"
        "<background>snow</background>\n</general_tags>\n<caption>A girl with a white braid in the snow.</caption>"
    )


def test_the_examples_cover_every_dialect() -> None:
    assert {read_file(path).dialect for path in EXAMPLES} == {"xml", "tags", "text"}


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("1girl, smile", True),
        ("A girl smiles.", True),
        ("", True),
        ("<3 >_< &", True),
        ("<character_1>", False),
        ("<character_1><n>a</n>", False),
        ("<character_1><n>a</n></character_1>", True),
        ("<character 1><n>a</n></character_1>", True),
        ("<character_1><n>a<gender>1girl</gender></character_1>", True),
        ("<img><character_1></character_1>", False),
        ("<character_1/>", True),
        ("<caption>a</caption> <!-- open", False),
        ("</n>", True),
    ],
)
def test_a_pasted_prompt_is_complete_when_its_tags_balance(text: str, complete: bool) -> None:
    assert is_complete(text) is complete


def test_the_documentation_has_a_row_for_every_element_alias_and_place() -> None:
    page = (ROOT / "docs/prompt-language.md").read_text("utf-8")
    for element in ELEMENTS:
        assert f"| `{element.name}" in page, element.name
        assert all(f"`{alias}`" in page for alias in element.aliases)
        assert re.split("[:,;]", element.about)[0] in page, element.about
    assert all(f"`{place}`" in page for place in PLACES)


def test_every_name_in_the_table_is_found_by_its_name() -> None:
    for element in ELEMENTS:
        for name in (element.name, *element.aliases, element.name.upper()):
            known = lookup(name)
            assert known is not None and known.element is element
    assert lookup("character_07") == lookup("Character 7") == lookup("character-7") == lookup("character7")
    assert lookup("character_") is None and lookup("character_12345") is None and lookup("o") is None
