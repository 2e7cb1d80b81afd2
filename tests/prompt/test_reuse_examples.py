"""The examples in prompts/reuse/ and the page about them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from newbie.cli.args import parse
from newbie.prompt import read_file
from newbie.prompt.reuse import Expanded, Folder, Ingredients, Wildcards, expand, read_prompt_file, read_styles

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "prompts" / "reuse"
PAGE = (ROOT / "docs" / "reuse.md").read_text("utf-8")


def expanded(name: str, seed: int, *styles: str) -> Expanded:
    path = FOLDER / name
    ingredients = Ingredients(
        prompt=path,
        template=True,
        wildcards=Wildcards(Folder(FOLDER / "wildcards")),
        styles=tuple(read_styles(FOLDER / "styles.toml").chosen(styles)),
    )
    return expand(read_file(path), ingredients, seed=seed)


@pytest.mark.parametrize("name", ["duo.xml", "crowd.xml", "tags.txt"])
def test_an_example_has_no_finding_whatever_is_chosen(name: str) -> None:
    for seed in range(20):
        reading = expanded(name, seed, "paper", "cel").reading
        assert reading.diagnostics == ()
        assert not re.search(r"\$\{|__|[{|}]|src=", reading.source.text)


def test_duo_is_one_girl_twice_with_other_clothes_and_hair() -> None:
    left, right = read_prompt_file(FOLDER / "duo.xml").scene.characters
    assert (left["n"].text, right["n"].text) == ("$character_1$", "$character_2$")
    assert left["appearance"].text == "blue_hair, twintails, green_eyes"
    assert right["appearance"].text == "blonde_hair, ponytail, red_eyes"
    assert (left["clothing"].text, right["clothing"].text) == ("white_serafuku", "yellow_dress")
    assert left["expression"].text == right["expression"].text == "smile"


def test_the_colour_of_the_tags_example_is_one_for_hair_and_eyes() -> None:
    for seed in range(10):
        words = expanded("tags.txt", seed).reading.scene.tags
        assert words[2].text.removesuffix("_hair") == words[3].text.removesuffix("_eyes")


def test_the_commands_of_the_page_are_understood() -> None:
    commands = [line for line in PAGE.splitlines() if line.startswith("python create.py ")]
    assert len(commands) >= 6
    for command in commands:
        asked = parse(shlex.split(command, comments=True)[2:])
        for group in asked.prompts:
            assert all((ROOT / value).exists() or not value.startswith("prompts/") for value in group)


def test_the_page_shows_the_files_as_they_are() -> None:
    shown = re.findall(r"`(prompts/reuse/[^`]+)`:\n\n```\w*\n(.*?)```", PAGE, re.DOTALL)
    assert len(shown) >= 3
    for name, text in shown:
        assert (ROOT / name).read_text("utf-8") == text


def test_the_page_tells_of_every_limit() -> None:
    from newbie.prompt.reuse import characters, choose, template, wildcards

    for limit in (characters.MAX_DEEP, characters.MAX_USES, choose.MAX_LISTS, template.MAX_NESTED):
        assert str(limit) in PAGE
    assert f"{choose.MAX_CHOICES:,}" in PAGE
    assert f"{wildcards.MAX_FILE_BYTES // 2**20} MiB" in PAGE


def test_the_python_block_runs_and_gives_the_words_of_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    block = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    names: dict[str, Expanded] = {}
    exec(block[1], names)
    assert names["expanded"].text == expanded("crowd.xml", 7).text
