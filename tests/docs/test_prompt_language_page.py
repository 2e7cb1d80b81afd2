"""The reference of the language is complete, its examples are right, and its pictures can be made from them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

from newbie.prompt import read
from newbie.prompt.lint import lint
from newbie.prompt.schema import ELEMENTS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "prompt-language.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    """The example's module, imported from its folder."""
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "examples"))
    import prompt_elements

    yield prompt_elements
    sys.modules.pop("prompt_elements", None)


def xml_blocks() -> list[str]:
    return re.findall(r"```xml\n(.*?)\n```", TEXT, re.DOTALL)


def test_every_element_has_a_section_with_an_example_and_a_place_for_its_picture(script: Any) -> None:
    titles = " ".join(re.findall(r"^### (.*)$", TEXT, re.MULTILINE))
    names = {each.name for each in script.examples(TEXT)}
    for element in ELEMENTS:
        assert re.search(rf"`{element.name}(_1)?`", titles), element.name
        if element.name != "custom_section":  # it shares the section of the other wrapper
            assert element.name in {re.sub(r"_\d+$", "", name) for name in names}, element.name


def test_every_example_shows_its_element_and_the_other_picture_does_not(script: Any) -> None:
    for each in script.examples(TEXT):
        assert f"<{each.name}" in each.prompt and f"<{each.name}" not in each.without
        if each.name not in ("danbooru_tags", "general_tags", "count", "artists"):  # alone in their prompts
            assert each.without


@pytest.mark.parametrize("prompt", xml_blocks())
def test_the_linter_has_nothing_to_say_about_an_example(prompt: str) -> None:
    found = [finding for finding in lint(read(prompt)) if finding.severity != "info"]
    assert found == []


def test_elements_that_the_bundled_model_knows_are_those_without_a_circle() -> None:
    from newbie.train.figures.facts import CHARACTER_ELEMENTS, GENERAL_ELEMENTS

    sections = re.findall(r"^### `(\w+)`.*?\n\n(.)", TEXT, re.MULTILINE)
    known = {name for name, first in sections if first != "○"}
    assert known == {*CHARACTER_ELEMENTS, *GENERAL_ELEMENTS, "character_1", "general_tags", "caption", "img"}


def test_relative_links_and_their_anchors_lead_somewhere() -> None:
    def anchors(page: Path) -> set[str]:
        titles = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}

    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]+))?\)", TEXT):
        page = PAGE.parent / target if target else PAGE
        assert page.exists(), target
        assert not anchor or anchor in anchors(page), f"{target}#{anchor}"


class Drawn(NamedTuple):
    images: list[Image.Image]


class Painter:
    """Paints the length of the prompt."""

    def generate(self, request: Any) -> Drawn:
        return Drawn([Image.new("RGB", (8, 6), (len(request.prompt) % 256, request.seed, 0))])


def test_the_script_draws_both_sides_and_puts_them_into_the_page(script: Any, tmp_path: Path) -> None:
    page, folder = tmp_path / "page.md", tmp_path / "images" / "elements"
    bare = re.sub(r"^!\[without and with .*\n", "", TEXT, flags=re.MULTILINE)
    page.write_text(bare, encoding="utf-8")
    script.main(["--only", "appearance", "--only", "img", "--seed", "3"], Painter(), page, folder)
    assert {path.name for path in folder.iterdir()} == {"appearance.webp", "img.webp"}
    example = next(each for each in script.examples(TEXT) if each.name == "appearance")
    with Image.open(folder / "appearance.webp") as picture:
        assert picture.size == (8 + script.GAP + 8, 6)
        assert picture.getpixel((2, 2)) == pytest.approx((len(example.without), 3, 0), abs=4)  # lossy
        assert picture.getpixel((picture.width - 3, 2)) == pytest.approx((len(example.prompt), 3, 0), abs=4)  # lossy
    filled = page.read_text("utf-8")
    assert "<!-- picture: appearance -->\n![without and with appearance](images/elements/appearance.webp)\n" in filled
    assert script.with_pictures(filled, ["appearance", "img"], "images/elements") == filled
    assert len(filled.splitlines()) == len(bare.splitlines()) + 2


def test_every_picture_is_there(script: Any) -> None:
    for each in script.examples(TEXT):
        picture = f"images/elements/{each.name}.webp"
        assert f"![without and with {each.name}]({picture})" in TEXT
        with Image.open(ROOT / "docs" / picture) as drawn:
            assert drawn.width > drawn.height


def test_the_examples_of_known_elements_use_words_that_the_bundled_model_learns(script: Any) -> None:
    pytest.importorskip("skia")
    from newbie.prompt.learnt import unlearnt
    from newbie.train.learnt import learnt

    vocabulary = learnt()
    for each in script.examples(TEXT):
        section = TEXT[TEXT.index(f"### `{each.title}`") :].split("\n\n", 2)[1]
        if not section.startswith("○"):
            assert unlearnt(read(each.prompt).scene, vocabulary) == [], each.name
