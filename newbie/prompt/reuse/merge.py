"""One character of two: what a character file says, and what stands between the tags that name it."""

from __future__ import annotations

import re

from newbie.prompt.reuse.composed import Composed, Edit, Piece, compose, edited, part, written_for
from newbie.prompt.scan import attributes_at
from newbie.prompt.scene import Character, Field
from newbie.prompt.schema import CHARACTER, LOOSE, attributes_of
from newbie.prompt.source import Span

SRC = "src"
_OPENING = re.compile(r"<character(?:[\s_\-]*\d{1,4})?", re.IGNORECASE)


def merged(text: Composed, here: Character, there: Composed, other: Character) -> list[Piece]:
    """The character `other` of the file `there`, numbered and changed as its tag `here` says.

    Elements between the tags take the place of those in the file, empty ones take them out, others are added.
    """
    opening = Span(here.outer.start, here.inner.start)
    written = _OPENING.match(text.text, opening.start)
    assert written is not None  # the reader found a character here
    own = {each.name for each in here.fields} - {LOOSE}
    known = {each.name for each in other.fields} - {LOOSE}
    edits = [edit for name in own & known for edit in _replaced(text, _named(here, name), there, _named(other, name))]
    if "n" not in own:
        edits += [edit for each in _named(other, "n") if (edit := _renumbered(there, each, other.number, here.number))]
    kept = compose(edited(there, edits, other.inner), there.name)
    pieces = [*part(text, opening.start, written.end()), *_attributes(text, here, there, other)]
    pieces.append(written_for(">\n", text, opening))
    first, last = _lines(kept.text)
    pieces += part(kept, first, last)
    indent = kept.text[first : len(kept.text) - len(kept.text.lstrip())]
    for each in here.fields:
        if each.name not in known:
            pieces += [written_for("\n" + indent, text, each.outer), *part(text, *each.outer)]
    pieces.append(written_for("\n", text, opening))
    if text.text[opening.start : opening.stop].endswith("/>"):
        return [*pieces, written_for(f"</{written[0][1:]}>", text, opening)]
    return pieces + part(text, here.inner.stop, here.outer.stop)


def _attributes(text: Composed, here: Character, there: Composed, other: Character) -> list[Piece]:
    """Those of both tags that mean something in a prompt, such as a weight; here they count more than there."""
    found = {
        each.name: (source, each.span)
        for source, character in ((there, other), (text, here))
        for each in attributes_at(source.text, character.outer.start)
        if each.name in attributes_of(CHARACTER) and each.name != SRC
    }
    pieces: list[Piece] = []
    for name, (source, span) in found.items():
        quote = "'" if '"' in source.text[slice(*span)] else '"'
        pieces += [written_for(f" {name}={quote}", source, span), *part(source, *span)]
        pieces.append(written_for(quote, source, span))
    return pieces


def _named(character: Character, name: str) -> list[Field]:
    return [each for each in character.fields if each.name == name]


def _replaced(text: Composed, mine: list[Field], there: Composed, theirs: list[Field]) -> list[Edit]:
    """My elements for theirs of the same name: the first makes way, the others go; so does the first for nothing."""
    pieces: list[Piece] = []
    for each in mine:
        if each.value.text or attributes_at(text.text, each.outer.start):
            gap = [written_for("\n", text, each.outer)] if pieces else []
            pieces += [*gap, *part(text, *each.outer)]
    first = Edit(theirs[0].outer, pieces) if pieces else Edit(_with_gap(there.text, theirs[0].outer), ())
    return [first, *(Edit(_with_gap(there.text, each.outer), ()) for each in theirs[1:])]


def _renumbered(there: Composed, name: Field, old: int, new: int) -> Edit | None:
    """`$character_1$`, the name of the file's own block, becomes that of the block it goes into."""
    if old == new or name.value.text != f"$character_{old}$":
        return None
    span = name.value.span
    return Edit(span, [written_for(f"$character_{new}$", there, span)])


def _with_gap(text: str, span: Span) -> Span:
    """An element with the line end and the blanks in front of it."""
    before = text[: span.start].rstrip(" \t").removesuffix("\n")
    return Span(len(before), span.stop)


def _lines(text: str) -> Span:
    """Without empty lines around it; the indentation of the first line stays."""
    leading = text[: len(text) - len(text.lstrip())]
    return Span(leading.rfind("\n") + 1, len(text.rstrip()))
