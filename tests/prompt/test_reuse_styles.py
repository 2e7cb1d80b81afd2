"""Style presets: words for the whole picture, from a TOML file."""

from __future__ import annotations

from pathlib import Path

import pytest

from newbie.errors import PromptError, UsageError
from newbie.prompt import read, show
from newbie.prompt.reuse import Ingredients, Style, expand, read_styles

INK = Style("ink", {"style": "ink_(medium), monochrome", "lighting": "high contrast"}, "blurry")


def styled(text: str, *styles: Style) -> str:
    return expand(read(text), Ingredients(styles=styles or (INK,))).text


def test_words_go_behind_those_that_are_there_and_are_not_said_twice() -> None:
    text = "<general_tags>\n<style>anime_style, Monochrome</style>\n<background>sea</background>\n</general_tags>\n"
    assert styled(text) == (
        "<general_tags>\n<style>anime_style, Monochrome, ink_(medium)</style>\n<background>sea</background>\n"
        "<lighting>high contrast</lighting>\n</general_tags>\n"
    )


def test_a_block_is_made_where_there_is_none() -> None:
    text = "<character_1><n>a</n></character_1>\n<caption>A girl.</caption>"
    general = read(styled(text)).scene.general
    assert {name: value.text for name, value in general.items()} == {
        "style": "ink_(medium), monochrome", "lighting": "high contrast"
    }  # fmt: skip
    assert styled(text).replace("\n", "").startswith("<character_1><n>a</n></character_1><general_tags>")


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("1girl, monochrome\n", "1girl, monochrome, ink_(medium), high contrast\n"),
        ("1girl,", "1girl, ink_(medium), monochrome, high contrast"),
        ("A girl smiles.", "A girl smiles. ink_(medium), monochrome, high contrast"),
        ("她在走路。", "她在走路。 ink_(medium), monochrome, high contrast"),
        ("", "ink_(medium), monochrome, high contrast"),
    ],
)
def test_a_plain_prompt_stays_plain(text: str, after: str) -> None:
    assert styled(text) == after


def test_styles_are_added_in_order() -> None:
    assert styled("1girl", Style("a", {"other": "x"}), Style("b", {"other": "y, x"})) == "1girl, x, y"


def test_a_style_that_is_there_already_changes_nothing() -> None:
    text = "<general_tags><style>ink_(medium), monochrome</style><lighting>high contrast</lighting></general_tags>"
    expanded = expand(read(text), Ingredients(styles=(INK,)))
    assert (expanded.text, expanded.recipe) == (text, None)


def test_the_record_names_the_styles_and_their_file() -> None:
    recipe = expand(read("1girl"), Ingredients(styles=(INK,), style_file=("styles.toml", "ab"))).recipe
    assert recipe is not None
    assert (recipe.typed, recipe.styles, recipe.files) == ("1girl", ("ink",), {"styles.toml": "ab"})


def test_a_finding_keeps_its_line_behind_words_that_were_put_in() -> None:
    reading = expand(
        read("<general_tags>\n<style>a</style>\n<backgroun>x</backgroun>\n</general_tags>", name="p.xml"),
        Ingredients(styles=(Style("s", {"style": "b\nc"}),)),
    ).reading
    finding = next(d for d in reading.diagnostics if d.code == "NB105")
    assert show(finding, reading.source).startswith("p.xml:3:1: NB105")


def test_a_file_of_presets_is_read(tmp_path: Path) -> None:
    path = tmp_path / "styles.toml"
    path.write_text(
        '[ink]\nabout = "black on white"\nstyle = "ink, monochrome"\nnegative = ["blurry", "lowres"]\n'
        '["水彩"]\nstyle = ["watercolor", "soft,"]\nlighting = ""\n',
        encoding="utf-8",
    )
    styles = read_styles(path)
    ink, water = styles.chosen(["ink", "水彩"])
    assert ink == Style("ink", {"style": "ink, monochrome"}, "blurry, lowres", "black on white")
    assert water == Style("水彩", {"style": "watercolor, soft"})
    assert styles.file == "styles.toml" and len(styles.sha256) == 64


def test_an_unknown_style_is_answered_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "styles.toml"
    path.write_text('[watercolor]\nstyle = "x"\n[ink]\nstyle = "y"\n')
    with pytest.raises(UsageError, match="no style 'watercolour'") as caught:
        read_styles(path).chosen(["watercolour"])
    assert caught.value.hint == "did you mean watercolor? it has: watercolor, ink"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[ink\n", "no TOML"),
        (b"a = " + b"[" * 5_000, "no TOML"),
        (b"style = 'x'\n", "style stands outside a preset"),
        (b"[ink]\nstile = 'x'\n", "stile is no part of a preset"),
        (b"[ink]\nstyle = 3\n", "style is no text"),
        (b"[ink]\nstyle = ['a', 3]\n", "style is no text"),
        (b"[ink]\n[ink.style]\na = 'b'\n", "style is no text"),
        (b"[ink]\nclothing = 'hat'\n", "clothing is no part"),
        (b"[ink]\nstyle = 'a</style><caption>b'\n", "holds tags"),
        (b"[ink]\nstyle = '<!DOCTYPE x>'\n", "DOCTYPE"),
        (b"\xff\xfe", "UTF-16"),
        (b"#" * (300 * 1024), "307,200 bytes"),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "styles.toml"
    path.write_bytes(content)
    with pytest.raises(PromptError) as caught:
        read_styles(path)
    assert message in caught.value.message and caught.value.hint
    assert "styles.toml" in caught.value.message


def test_a_missing_file_and_a_device_are_told(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"no file styles\.toml"):
        read_styles(tmp_path / "styles.toml")
    with pytest.raises(PromptError, match="device"):
        read_styles(Path("/dev/zero"))
