"""Tags with `<`, `>` and `&` are letters, not markup: they survive every step byte for byte."""

from __future__ import annotations

import pytest

from newbie.prompt import canonical_text, read, render, set_value

LITERALS = [
    ">_<", ">_>", "<_<", ":<", ":>", "<3", "</3", ">:)", ">:(", ">o<", "o_<", ">_o", ">:3", "=<", "<o>_<o>", "<|>_<|>",
    "d_>", "</>", "<>", "<><", "<-", "->", "=>", "<=", ">>", "<<", "&", "&&", "tiger_&_bunny", "panty_&_stocking",
    "a<b>c", "r&b", "&amp;", "&lt;3", "&#39;", "&lol;", "<3_mouth", ">3", ":<>", "<)", "(>_<)", "x<y", "t_<_0", "<!",
    "<?", "?>", "-->", "<lora:detail:0.8>", "<tag:1.2>", "(>_<:1.2)", "\\(>_<\\)", "<1girl>", "<-->", "&nbsp", "<n",
    "n>", "< n>", "<n,>", "</", "]]>",
]  # fmt: skip


@pytest.mark.parametrize("tag", LITERALS)
def test_a_literal_survives_in_an_element(tag: str) -> None:
    text = f"<character_1>\n<n>a</n>\n<expression>smile, {tag}, blush</expression>\n</character_1>"
    reading = read(text)
    assert reading.scene.characters[0]["expression"].text == f"smile, {tag}, blush"
    assert [v.text for v in reading.scene.characters[0]["expression"].items] in (
        ["smile", tag, "blush"],
        ["smile", *tag.split(","), "blush"],
    )
    assert reading.scene.characters[0]["n"].text == "a"
    assert render(reading).jina.text == text
    assert render(reading).gemma.text.endswith(text)


@pytest.mark.parametrize("tag", [t for t in LITERALS if "," not in t])
def test_a_literal_survives_the_canonical_layout(tag: str) -> None:
    element = f"<expression>{tag}, smile</expression>"
    assert element in canonical_text(read(f"<character_1>{element}</character_1>").scene)
    assert canonical_text(read(f"1girl, smile,{tag}, solo").scene) == f"1girl, smile, {tag}, solo"


@pytest.mark.parametrize("tag", LITERALS)
def test_a_literal_survives_editing(tag: str) -> None:
    text = "<character_1>\n<expression>smile</expression>\n</character_1>"
    assert set_value(text, "character_1.expression", tag) == text.replace("smile", tag)


def test_literals_cause_no_diagnostics() -> None:
    text = f"<character_1><expression>{', '.join(t for t in LITERALS if t != '<!')}</expression></character_1>"
    assert read(text).diagnostics == ()


def test_known_names_with_junk_are_text() -> None:
    reading = read("<caption>an <action movie poster> and <Prompt Starting> and <style: anime></caption>")
    assert reading.scene.caption is not None
    assert reading.scene.caption.text == "an <action movie poster> and <Prompt Starting> and <style: anime>"
