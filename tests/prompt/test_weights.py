"""Weights are found where they are meant, and nowhere else; what the encoders read has none of their markup."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newbie.errors import PromptRefused
from newbie.prompt import read, render, render_pair
from newbie.prompt.elements import Element
from newbie.prompt.encoder_text import EncoderText, Weight
from newbie.prompt.source import Span
from newbie.prompt.tokens import encoder_input
from newbie.prompt.weights import MOST, marks, of_elements, troubles, without

LITERALS = [
    line
    for name in ("angles", "colons")
    for line in (Path(__file__).parent / "literals" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    if line not in ("", "(blue_hair:1.2)", "(long_hair:0.85)")  # these two are meant
]
TAG = st.from_regex(r"[a-z]{2,8}(_[a-z]{2,8}){0,2}", fullmatch=True)


def words(text: str) -> list[tuple[str, float]]:
    return [(text[m.inner.start : m.inner.stop], m.weight) for m in marks(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(blue_hair:1.3), smile", [("blue_hair", 1.3)]),
        ("smile, (blue hair: 1.3 )", [("blue hair", 1.3)]),
        ("(long_hair, blue_eyes:0.5), hat", [("long_hair, blue_eyes", 0.5)]),
        ("(蓝发:1.2)、帽子", [("蓝发", 1.2)]),
        ("(maccha_(mochancc):1.2)", [("maccha_(mochancc)", 1.2)]),
        ("(re:zero:.5)", [("re:zero", 0.5)]),
        (r"(aris_\(blue_archive\):1.1)", [(r"aris_\(blue_archive\)", 1.1)]),
        ("((red_dress:1.2), hat:1.5)", [("red_dress", 1.2), ("(red_dress:1.2), hat", 1.5)]),
        ("<appearance>(blue_hair:2)</appearance>", [("blue_hair", 2.0)]),
        ("(no_hat:0)", [("no_hat", 0.0)]),
    ],
)
def test_weights_are_found(text: str, found: list[tuple[str, float]]) -> None:
    assert words(text) == found


@pytest.mark.parametrize(
    "text",
    [
        *LITERALS,
        "regulus_(reverse:1999)", "regulus (reverse:1.9)", "(reverse:1999)", "nier:automata", "(>_<:1.2)", "(16:9)",
        "(:3)", "(o:3)", r"\(blue_hair:1.3\)", r"\(blue_hair:1.3)", "(blue_hair:1.3", "blue_hair:1.3)", "blue_hair:1.3",
        "(blue_hair:1.3)_kun", "hair(blue:1.3)", "(blue_hair:)", "(:1.2)", "((blue_hair))", "[blue_hair]",
        "(a<appearance>ab:1.2)", "(blue_hair:1.2.3)", "(blue_hair:1,2)", "<lora:detail:0.8>",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_weight_stays_as_it_is(text: str) -> None:
    assert words(text) == []
    assert without(text) == text
    for canonical in (False, True):
        plain, literal = (
            render(read(text, negative=True), system_prompt="", canonical=canonical, read_weights=on)
            for on in (True, False)
        )
        assert plain == literal


@given(st.lists(st.tuples(TAG, st.floats(0, MOST).map(lambda w: round(w, 3))), min_size=1, max_size=5))
def test_what_is_written_with_weights_is_read_back(tags: list[tuple[str, float]]) -> None:
    text = ", ".join(f"({tag}:{weight})" for tag, weight in tags)
    assert words(text) == tags
    assert without(text) == ", ".join(tag for tag, _ in tags)


@given(st.text(alphabet="()ab:1.,<>\\ \n_", max_size=60))
def test_any_text_is_cut_to_what_stands_between_the_marks(text: str) -> None:
    found = marks(text)
    assert all(text[m.outer.start] == "(" and text[m.outer.stop - 1] == ")" for m in found)
    removed = len(text) - len(without(text))
    assert removed == sum((m.outer.stop - m.outer.start) - (m.inner.stop - m.inner.start) for m in found)


@pytest.mark.parametrize("number", ["nan", "NaN", "inf", "-inf", "1e9", "-3", "-0.5", "99", "4.01", "+1e5"])
def test_numbers_that_are_no_weights_are_told_with_their_place(number: str) -> None:
    text = f"<appearance>smile, (blue_hair:{number})</appearance>"
    (trouble,) = troubles(read(text))
    assert text[trouble.span.start : trouble.span.stop] == f":{number})"
    assert number in trouble.message and "0 to 4" in trouble.hint
    assert without(text) == text
    assert [t.span for t in troubles(read(f'<clothing weight="{number}">hat</clothing>'))] == [
        Span(18, 18 + len(number))
    ]


def test_elements_have_weights_by_attribute() -> None:
    text = '<character_1 weight="1.5"><n>miku</n><clothing weight="0.5">hat</clothing></character_1>'
    assert of_elements(read(text)) == {"character_1": 1.5, "character_1.clothing": 0.5}
    for canonical in (False, True):
        gemma = render(read(text), system_prompt="", canonical=canonical).gemma
        assert "weight" not in gemma.text
        assert [(gemma.text[w.start : w.stop].partition(">")[0], w.weight) for w in gemma.weights] == [
            ("<character_1", 1.5),
            ("hat", 0.5),
        ]
    literal = render(read(text), system_prompt="", read_weights=False).gemma
    assert literal.text == text and not literal.weights


def test_boxes_are_never_sent_to_the_encoders() -> None:
    text = '<character_1>\n<n>miku</n>\n<position x="0.1" y="0.2">left</position>\n</character_1>'
    plain = text.replace(' x="0.1" y="0.2"', "")
    for on in (True, False):
        assert render(read(text), system_prompt="", read_weights=on) == render(read(plain), system_prompt="")
    empty = '<character_1><n>miku</n><position x="0.1"/><position y="0.1"></position></character_1>'
    assert render(read(empty), system_prompt="").gemma.text == "<character_1><n>miku</n></character_1>"


def test_a_weight_of_one_is_no_weight() -> None:
    for canonical in (False, True):
        weighed, plain = (
            render(read(f"<appearance>{tag}, smile</appearance>"), canonical=canonical)
            for tag in ("(blue_hair:1.0)", "blue_hair")
        )
        assert weighed == plain


def test_both_encoders_and_both_sides_read_the_words_alone() -> None:
    pair = render_pair(read("(blue_hair:1.3)"), read("(bad_hands:1.4)", negative=True), system_prompt="")
    assert [text.text for side in pair for text in side] == ["blue_hair", "blue_hair", "bad_hands", "bad_hands"]
    assert pair.negative.gemma.weights == (Weight(0, 9, 1.4),)


def test_markup_does_not_hide_words_from_the_refusal() -> None:
    with pytest.raises(PromptRefused):
        render(read("(nude:1.1), (lo" + "li:1.2)"))


def test_weights_fall_on_the_tokens_of_their_words() -> None:
    class Encoding:
        ids = (1, 2, 3, 4, 5)
        offsets = ((0, 0), (0, 4), (4, 5), (5, 9), (9, 15))

    text = EncoderText("blue_hair smile", (), (Weight(0, 9, 1.3), Weight(10, 15, 0.5)))
    assert [tuple(w) for w in encoder_input(text, Encoding(), 5).weights] == [(1, 4, 1.3), (4, 5, 0.5)]
    assert [tuple(w) for w in encoder_input(text, Encoding(), 4).weights] == [(1, 4, 1.3)]


@given(st.text("abc", min_size=1, max_size=30), st.data())
def test_places_follow_what_is_taken_out(text: str, data: st.DataObject) -> None:
    edges = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    gone = [Span(*pair) for pair in zip(edges[::2], edges[1::2], strict=False)]
    kept = [i for i in range(len(text)) if not any(cut.start <= i < cut.stop for cut in gone)]
    start, stop = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    found = EncoderText(text, (Element("x", start, stop),)).without(gone)
    assert found.text == "".join(text[i] for i in kept)
    place = found.elements[0]
    assert found.text[place.start : place.stop] == "".join(text[i] for i in kept if start <= i < stop)


@pytest.mark.parametrize("piece", ["(", "(a", ")", "(ab:1),", ":1)", "(ab", "<a", "\\", "(((ab:1)", "(a,"])
def test_hostile_text_takes_bounded_work(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    assert len(without(text)) <= len(text)
    nested = "(" * 20_000 + "ab" + ":1)" * 20_000
    assert len(marks(nested)) <= 32
