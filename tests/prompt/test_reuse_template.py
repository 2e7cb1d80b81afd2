"""What counts as an alternative, a variable or a wildcard, and what is text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newbie.prompt import read
from newbie.prompt.reuse import Ingredients, expand
from newbie.prompt.reuse.template import MAX_NESTED, Alternatives, Row, Wildcard, Words, parse, replaceable

LITERALS = Path(__file__).parent / "literals"
TEMPLATE = Ingredients(template=True)


def found(text: str) -> list[str]:
    return [text[slice(*span)] for span in replaceable(parse(text).row)]


def filled(text: str, seed: int = 0, **variables: str) -> str:
    return expand(read(text), Ingredients(template=True, variables=variables), seed=seed).text


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a {red|blue}_hair", ["{red|blue}"]),
        ("{red|{light|dark}_blue}", ["{red|{light|dark}_blue}"]),
        ("{|glasses}, {a||b}", ["{|glasses}", "{a||b}"]),
        ("${hair} and ${eyes:blue}", ["${hair}", "${eyes:blue}"]),
        ("${hair:{red|blue}_hair}", ["${hair:{red|blue}_hair}"]),
        ("__hair__, __hair/colors__, __a-b.c__", ["__hair__", "__hair/colors__", "__a-b.c__"]),
        ("light___color___hair", ["__color__"]),
        ("__发色__", ["__发色__"]),
        ("{{red|blue}}", ["{red|blue}"]),
    ],
)
def test_what_is_complete_counts(text: str, parts: list[str]) -> None:
    assert found(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "{tag}", "{{tag}}", "{", "}", "|", "a|b", ":|", "||_||", "|_|", "{a|b", "a|b}", "$character_1$", "$", "${}",
        "${1}", "${a b}", "${a", "__", "__a", "a__", "____", "o__o__o", "__a b__", "__/a__", "__../a__", "__a/__",
        "\\(a|b\\)", "<!-- {a|b} ${x} __y__ -->", "<!-- {a|b", '{"a": [1, 2]}', "((tag))", "[a|b]", ">_<|||",
    ],
)  # fmt: skip
def test_what_is_not_complete_is_text_and_survives(text: str) -> None:
    assert found(text) == []
    assert filled(text) == text


@pytest.mark.parametrize("name", ["angles.txt", "colons.txt"])
def test_literal_tags_survive_with_and_without_a_template(name: str) -> None:
    tags = (LITERALS / name).read_text("utf-8").splitlines()
    ours = {"{a|b}", "__hair__", "${name}"}
    for ingredients, kept in ((Ingredients(), tags), (TEMPLATE, [tag for tag in tags if tag not in ours])):
        text = ", ".join(kept)
        expanded = expand(read(text), ingredients, seed=3)
        assert expanded.text == text
        assert expanded.recipe is None


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (r"\{a|b}", "{a|b}"),
        (r"\${hair}, \${eyes:a}", "${hair}, ${eyes:a}"),
        (r"\__hair__", "__hair__"),
        (r"{a\|b|a\|b}", "a|b"),
        (r"{\{a|b}|\{a|b}}", "{a|b}"),
        (r"{:\}|:\}}", ":}"),
        (r"\{{a|a}|b}", "{a|b}"),
    ],
)
def test_a_backslash_takes_the_meaning_away_and_goes(text: str, kept: str) -> None:
    assert filled(text) == kept


@pytest.mark.parametrize("text", [r"\(blue_archive\)", r"\||/", r"\o/", r"a\|b", r"\}", r"\_", r"\$character_1$", "\\"])
def test_every_other_backslash_stays(text: str) -> None:
    assert filled(text) == text


def nested(depth: int) -> str:
    return "{a|" * depth + "b" + "}" * depth


def test_alternatives_are_read_down_to_the_limit() -> None:
    assert parse(nested(MAX_NESTED)).too_deep is None
    assert all(filled(nested(MAX_NESTED), seed) in ("a", "b") for seed in range(8))


@pytest.mark.parametrize("depth", [MAX_NESTED + 1, 100, 60_000])
def test_deeper_nesting_is_a_finding_with_its_place(depth: int) -> None:
    reading = expand(read(nested(depth)), TEMPLATE, seed=1).reading
    finding = next(d for d in reading.diagnostics if d.code == "NB608")
    assert finding.severity == "error"
    assert f"more than {MAX_NESTED} deep" in finding.message


@pytest.mark.parametrize("seed", range(4))
def test_what_was_not_chosen_is_told_close_to_where_it_stood(seed: int) -> None:
    reading = expand(read("1girl,\nsolo, " + nested(100)), TEMPLATE, seed=seed).reading
    finding = next(d for d in reading.diagnostics if d.code == "NB608")
    origin, span = reading.source.origin(finding.span)
    assert origin.place(span.start).line == 2


def test_braces_without_bars_may_be_nested_as_deep_as_they_like() -> None:
    text = "{" * 100 + "tag" + "}" * 100
    assert parse(text).too_deep is None
    assert filled(text) == text


def spans(row: Row) -> list[tuple[int, int]]:
    """Of all words and parts, outer ones before what is in them."""
    places = []
    for part in row:
        places.append(tuple(part.span))
        if isinstance(part, Alternatives):
            places += [span for option in part.options for span in spans(option)]
    return places


SNIPPETS = [
    "{",
    "}",
    "|",
    "\\",
    "$",
    "${",
    "a",
    "b:",
    ":",
    "__",
    "_",
    "hair",
    "<!--",
    "-->",
    " ",
    ", ",
    "${x}",
    "__x__",
]


@settings(max_examples=2000)
@given(st.lists(st.sampled_from(SNIPPETS) | st.text(max_size=3), max_size=24).map("".join))
def test_parts_follow_one_another_and_leave_out_nothing_but_backslashes(text: str) -> None:
    row = parse(text).row
    at = 0
    for part in row:
        assert part.span.start >= at
        assert set(text[at : part.span.start]) <= {"\\"}
        at = part.span.stop
    assert at == len(text) or set(text[at:]) <= {"\\"}
    assert all(0 <= start <= stop <= len(text) for start, stop in spans(row))
    if all(isinstance(part, Words) for part in row) and "\\" not in text:
        seen = re.sub(r"<!--.*?(-->|\Z)", "", text, flags=re.DOTALL)
        seen = re.sub(r"\$\{[^\W\d]\w*:", "", seen)  # a name, though its braces were never closed
        assert not re.search(r"(?<![^\W_])__x__|\$\{x\}", seen)


def test_the_name_of_a_variable_that_is_never_closed_is_text_whatever_its_underscores() -> None:
    assert all(isinstance(part, Words) for part in parse("${__x__b: {a}").row)
    assert any(isinstance(part, Wildcard) for part in parse("${b: __x__").row)
