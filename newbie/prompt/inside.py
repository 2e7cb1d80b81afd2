"""The prompt inside JSON, with its places: what the linter looks at when a prompt is wrapped in JSON.

The texts of the JSON are put together as XML whose pieces know where in the JSON they were written, letter by letter,
also where a letter is an escape such as `\\u00e9`. Tags that we write ourselves stand for the key they were made of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from newbie.errors import PromptError
from newbie.prompt.convert.as_json import ASKED, BBOX, ELEMENT, PEOPLE, load, named
from newbie.prompt.convert.dialects import recognise, sheet_of
from newbie.prompt.diagnostics import Diagnostic
from newbie.prompt.read import Reading, read_source
from newbie.prompt.reuse.composed import Piece, compose
from newbie.prompt.scan import scan
from newbie.prompt.schema import CAPTION, CHARACTER, LOOSE, PANEL, lookup
from newbie.prompt.source import Source, Span

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
_LETTERS = re.compile(r"\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|\\u\w{4}|\\.|[^\\]+", re.DOTALL)


class _Text(NamedTuple):
    """A text of the JSON: what it says, and where it stands, without its quotes."""

    said: str
    span: Span


class _Object(NamedTuple):
    pairs: tuple[tuple[_Text, Any], ...]

    def get(self, name: str) -> Any:
        return next((value for key, value in self.pairs if key.said == name), None)


def inside(reading: Reading) -> Reading | None:
    """What the JSON around a prompt holds, read as a prompt; None where that is no JSON, or no prompt."""
    source = reading.source
    try:
        load(source.text, source.name)  # it is JSON, and of a depth that can be walked
        start = source.text.index("{")
        value, _ = _value([*_TOKEN.finditer(source.text, start)], 0)
        text = compose(_Writer(source).template(value), source.name)
        return read_source(text, negative=True) if text.text.strip() else None
    except PromptError:  # what is wrong with it is told by whoever wants it as a prompt
        return None


def why_not(reading: Reading) -> str:
    """Why `convert` cannot take a prompt out of JSON, with the place; "" where it can."""
    try:
        sheet_of(reading, recognise(reading))
    except PromptError as error:
        place = f"{error.name}:{error.line}:{error.column}: " if error.line else f"{error.name}: "
        what = f"{error.message.removeprefix(place)}; {error.hint}"
        return f"line {error.line}, column {error.column}: {what}" if error.line else what
    return ""


def outside(finding: Diagnostic, read: Reading) -> Diagnostic:
    """The same finding at its place in the JSON. Corrections are left out: a JSON text has rules of its own."""
    return replace(finding, span=read.source.origin(finding.span)[1], fix=())


def _value(tokens: list[re.Match[str]], at: int) -> tuple[Any, int]:
    """The value that begins at a token, and the token behind it; the text is known to be JSON."""
    token = tokens[at]
    if token[0] == "{":
        pairs = []
        at += 1
        while tokens[at][0] != "}":
            key, _ = _value(tokens, at)
            value, at = _value(tokens, at + 2)
            pairs.append((key, value))
            at += tokens[at][0] == ","
        return _Object(tuple(pairs)), at + 1
    if token[0] == "[":
        values = []
        at += 1
        while tokens[at][0] != "]":
            value, at = _value(tokens, at)
            values.append(value)
            at += tokens[at][0] == ","
        return values, at + 1
    if token[0][0] == '"':
        return _Text(json.loads(token[0]), Span(token.start() + 1, token.end() - 1)), at + 1
    return None, at + 1  # a number, true, null: nothing to read


class _Writer:
    """Writes pieces of XML."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def template(self, value: _Object) -> Iterator[Piece]:
        """The wrapper of a ComfyUI template holds XML already, or a list; all else is one key per element."""
        image = value.get("image")
        asked = value.get(ASKED)
        if isinstance(asked, _Text):
            yield from self.text(asked)
            return
        if not isinstance(image, _Object):
            yield from self.scene(value)
            return
        tags, caption = image.get("tags"), image.get(CAPTION)
        if isinstance(tags, _Text):
            yield from self.text(tags)
            if isinstance(caption, _Text) and any(tag.known for tag in scan(Source(tags.said)).tags):
                yield from self.element(CAPTION, caption, caption)

    def scene(self, value: _Object) -> Iterator[Piece]:
        for key, inner in value.pairs:
            if key.said.lower() == PEOPLE and isinstance(inner, list):
                for i, each in enumerate(inner, 1):
                    if isinstance(each, _Object):
                        yield self.tag(f"<{CHARACTER}_{i}>", key)
                        yield from self.fields(each)
                        yield self.tag(f"</{CHARACTER}_{i}>\n", key)
                continue
            written = named(key.said)
            known = lookup(written)
            for each in inner if isinstance(inner, list) and known and known.element.name == PANEL else [inner]:
                if known and isinstance(each, _Object):
                    yield self.tag(f"<{known.name}>", key)
                    is_scene = known.element.name == PANEL
                    yield from self.scene(each) if is_scene else self.fields(each)
                    yield self.tag(f"</{known.name}>\n", key)
                elif known and known.element.kind == "leaf":
                    yield from self.element(known.name, key, each)

    def fields(self, block: _Object) -> Iterator[Piece]:
        for key, value in block.pairs:
            written = named(key.said)
            known = lookup(written)
            if written == LOOSE:
                yield from self.texts(value)
                yield self.tag("\n", key)
            elif (known or ELEMENT.fullmatch(written)) and written != BBOX:
                yield from self.element(known.name if known else written.lower(), key, value)

    def element(self, name: str, key: _Text, value: Any) -> Iterator[Piece]:
        yield self.tag(f"<{name}>", key)
        yield from self.texts(value)
        yield self.tag(f"</{name}>\n", key)

    def texts(self, value: Any) -> Iterator[Piece]:
        found = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, _Text)]
        for i, each in enumerate(found):
            if i:
                yield self.tag(", ", each)
            yield from self.text(each)

    def text(self, text: _Text) -> Iterator[Piece]:
        for part in _LETTERS.finditer(self.source.text, *text.span):
            said = part[0] if part[0][0] != "\\" else json.loads(f'"{part[0]}"')
            yield Piece(said, self.source, Span(*part.span()))

    def tag(self, written: str, key: _Text) -> Piece:
        return Piece(written, self.source, key.span)
