"""NovelAI's braces, brackets and numbers: what weighs, what is left alone, both ways between its spelling and ours."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from newbie.prompt import read
from newbie.prompt.convert import convert, recognise
from newbie.prompt.format import formatted
from newbie.prompt.lint import fixed, lint
from newbie.prompt.novelai import is_novelai, weighed
from newbie.prompt.weights import marks

LITERALS = [
    line
    for name in ("angles.txt", "colons.txt")
    for line in (Path(__file__).parent / "literals" / name).read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]


def weights(text: str) -> dict[str, float]:
    """The weights of a NovelAI prompt in our spelling."""
    found = convert(read(text), "danbooru", source="novelai").text
    spoken = {found[m.inner.start : m.inner.stop]: m.weight for m in marks(found)}
    return {tag.strip(): spoken.get(tag.strip(), 1.0) for tag in "".join(_bare(found)).split(", ")}


def _bare(text: str) -> list[str]:
    kept = list(text)
    for outer, inner, _ in marks(text):
        for at in (*range(outer.start, inner.start), *range(inner.stop, outer.stop)):
            kept[at] = ""
    return kept


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{smile}, hat", {"smile": 1.05, "hat": 1}),
        ("{{{smile}}}", {"smile": 1.05**3}),
        ("{{smile}}, [[hat]]", {"smile": 1.05**2, "hat": 1.05**-2}),
        ("{blue hair, [long hair]}", {"blue_hair": 1.05, "long_hair": 1}),
        ("1.5::rain, night sky::, hat", {"rain": 1.5, "night_sky": 1.5, "hat": 1}),
        ("1.5::rain ::, hat", {"rain": 1.5, "hat": 1}),
        ("1.5::rain, 0.6::hat, scarf", {"rain": 1.5, "hat": 0.6, "scarf": 0.6}),  # a number ends the one before it
        ("2::{rain}::", {"rain": 2.1}),
        ("1.2::maccha (mochancc)::", {"maccha_(mochancc)": 1.2}),
        ("9::rain::", {"rain": 4}),
    ],
)
def test_braces_brackets_and_numbers_weigh_as_its_documentation_says(text: str, expected: dict[str, float]):
    found = weights(text)
    assert found.keys() == expected.keys()
    assert all(math.isclose(found[tag], expected[tag], rel_tol=5e-3) for tag in expected)
    assert recognise(read(f"1girl, solo, {text}")) == "novelai"


@pytest.mark.parametrize(
    "text",
    [
        "1girl, {red|blue}_hair, smile",
        "1girl, {red|blue}, {smile}",
        "1girl, ${hair}, {smile}",
        "1girl, __colour__, {smile}",
        "1girl, [smile]",  # the web UI's, too
        "1girl, (smile:1.2), {hat}",  # ours, and the web UI's
        "1girl, [cat:dog:0.5], [a|b]",
        "1girl, re:zero, nier::automata, x::y",
        "1girl, {}, {:3}, :{, 1:1, 16::9",
        "1girl, a{b}c, {open",
    ],
)
def test_what_others_write_is_not_taken_for_it(text: str):
    assert recognise(read(text)) != "novelai"


def test_no_tag_of_the_lists_is_taken_for_it():
    assert len(LITERALS) > 120
    assert [tag for tag in LITERALS if is_novelai(f"1girl, {tag}, smile")] == ["{smile}", "{{smile}}"]
    for tag in LITERALS:
        if not tag.startswith(("[", "{")):
            assert not [w for w in weighed(f"{{smile}}, {tag}, hat") if w.start > 6], tag


def test_parts_behind_bars_are_persons():
    text = "2girls, {{beach}} | girl, 1.3::blue hair::, source#hug | girl, red hair, target#hug"
    made = convert(read(text), "xml")
    assert made.text == (
        "<character_1>\n<gender>1girl</gender>\n<appearance>(blue_hair:1.3)</appearance>\n"
        "<interaction>hug</interaction>\n</character_1>\n<character_2>\n<gender>1girl</gender>\n"
        "<appearance>red_hair</appearance>\n<interaction>hug</interaction>\n</character_2>\n<general_tags>\n"
        "<count>2girls</count>\n<background>(beach:1.1)</background>\n</general_tags>"
    )
    assert any("source#hug" in note for note in made.notes)
    assert convert(read(made.text), "novelai").text == (
        "2girls, 1.1::beach:: | 1girl, 1.3::blue hair::, hug | 1girl, red hair, hug"
    )


def test_what_weighs_less_than_nothing_is_told_and_becomes_the_negative_prompt():
    made = convert(read("1girl, {smile}, -1::blurry, bad hands::, hat"), "danbooru")
    assert made.text == "1girl, (smile:1.05), hat"
    assert made.negative == "blurry, bad_hands"
    assert "the negative prompt: blurry, bad_hands" in made.lost
    assert sum("less than nothing" in note for note in made.notes) == 2


def test_the_linter_weighs_brackets_as_the_rest_of_the_prompt_does():
    def hint(text: str, tag: str) -> str:
        return next(d.hint for d in lint(read(text)) if d.code == "NB401" and tag in d.message)

    assert hint("1girl, {{hat}}, [smile]", "[smile]").startswith("write (smile:0.952)")
    assert hint("1girl, hat, [smile]", "[smile]").startswith("write (smile:0.909)")
    assert hint("1girl, hat, -1::blurry::", "blurry") == "put blurry into the negative prompt"
    reading = read("1girl, {blue_hair, smile}, hat")
    (group,) = [d for d in lint(reading) if d.code == "NB401"]
    assert reading.source.text[slice(*group.span)] == "{blue_hair, smile}"


def test_a_bar_between_characters_is_no_underscore():
    text = "2girls, {{beach}} | girl, blue hair, smile | girl, red hair"
    assert fixed(read(text)).text == "2girls, {{beach}} | girl, blue_hair, smile | girl, red_hair"
    assert formatted(read(text)) == fixed(read(text)).text


def test_brackets_around_a_name_with_a_colon_weaken_it_and_a_switch_does_not():
    made = convert(read("1girl, {{beach}}, [artist:someone], [artist:a:b], [cat:5]"), "danbooru")
    assert "(artist:someone:0.952)" in made.text
    assert {"[artist:a:b]", "[cat:5]"} <= set(made.text.split(", "))
