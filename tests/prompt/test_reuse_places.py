"""A text of pieces knows the file behind each of its characters."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from newbie.prompt import Source, Span
from newbie.prompt.reuse.composed import Composed, Edit, Piece, compose, edited, part, whole, written_for
from newbie.prompt.source import Place

FILE, OTHER = Source("abc\ndef\nghi", "file.xml"), Source("12\n34", "other.xml")


def joined() -> Composed:
    """`abc` of the file, a glue, `34` of the other, the rest of the file."""
    glue = written_for("<>", FILE, Span(3, 4))
    return compose([*part(FILE, 0, 3), glue, *part(OTHER, 3, 5), *part(FILE, 4, 11)], "all")


def test_the_text_is_that_of_its_pieces() -> None:
    assert joined().text == "abc<>34def\nghi"


def test_every_character_is_found_in_its_file() -> None:
    text = joined()
    for at, character in enumerate(text.text):
        source, span = text.origin(Span(at, at + 1))
        if character not in "<>":
            assert source.text[slice(*span)] == character


def test_what_stands_in_no_file_is_found_where_it_was_asked_for() -> None:
    assert joined().origin(Span(4, 5)) == (FILE, Span(3, 4))


def test_what_was_left_out_is_just_behind_what_was_kept_before_it() -> None:
    text = compose([*part(FILE, 0, 3), *part(FILE, 8, 11)], "all")
    assert text.text == "abcghi"
    assert text.before(FILE, Span(5, 6)) == Span(2, 3)
    assert text.before(OTHER, Span(1, 2)).empty


def test_lines_are_those_of_the_text_and_lead_to_those_of_the_files() -> None:
    text = joined()
    assert (text.place(7), text.line(2)) == (Place(1, 8), "ghi")
    source, span = text.origin(Span(5, 6))
    assert (source.name, source.place(span.start)) == ("other.xml", Place(2, 1))
    source, span = text.origin(Span(len(text.text), len(text.text)))
    assert (source.name, source.place(span.start)) == ("file.xml", Place(3, 4))


def test_an_error_names_the_file() -> None:
    error = joined().error("bad", "hint", joined().text.index("4"))
    assert (error.name, error.line, error.column) == ("other.xml", 2, 2)


def test_a_part_of_several_pieces_is_found_by_its_first() -> None:
    text = joined()
    assert text.origin(Span(1, len(text.text))) == (FILE, Span(1, 3))


def test_pieces_of_pieces_lead_to_the_files_at_once() -> None:
    outer = compose([*whole(OTHER), *part(joined(), 5, 10)], "outer")
    assert {piece.source.name for piece in outer.pieces} == {"file.xml", "other.xml"}
    assert outer.text == "12\n34" + "34def"


def test_a_place_in_a_file_is_found_in_the_text() -> None:
    text = joined()
    assert text.find(FILE, Span(5, 6)) == Span(8, 9)
    assert text.find(FILE, Span(3, 4)) == Span(3, 5), "what was written in its place"
    assert text.find(OTHER, Span(0, 1)) == Span(0, 0), "it was left out"


def test_an_empty_text_has_places_too() -> None:
    assert compose([], "none").origin(Span(0, 0))[1] == Span(0, 0)


@given(st.text(max_size=30), st.data())
def test_edits_do_what_slicing_does(text: str, data: st.DataObject) -> None:
    source = Source(text)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), min_size=4, max_size=4)))
    first, second = Span(*cuts[:2]), Span(*cuts[2:])
    new = Piece("NEW", OTHER, Span(0, 1))
    done = compose(edited(source, [Edit(second, [new]), Edit(first, [])]), "done")
    assert done.text == text[: first.start] + text[first.stop : second.start] + "NEW" + text[second.stop :]
    for at in range(first.start):
        assert done.origin(Span(at, at + 1)) == (source, Span(at, at + 1))
