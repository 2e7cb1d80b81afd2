"""Style presets: named lists of words for the whole picture, in a TOML file.

    [ink]
    style = "ink_(medium), monochrome"
    lighting = ["high_contrast"]
    negative = "blurry"

The keys of a preset are elements of <general_tags>; its words go behind those that are there already, and words that
are there are not said twice. `negative` goes to the negative prompt; `about` is for people.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from newbie.errors import PromptError, UsageError, did_you_mean
from newbie.prompt.canonical import tag
from newbie.prompt.edit import set_value
from newbie.prompt.read import decode, read_source
from newbie.prompt.reuse.composed import Composed, Edit, compose, edited, whole
from newbie.prompt.reuse.folder import Folder, Unusable
from newbie.prompt.scan import scan
from newbie.prompt.scene import Value
from newbie.prompt.schema import GENERAL, fields_of
from newbie.prompt.source import Source, Span

MAX_FILE_BYTES = 256 * 1024
ABOUT, NEGATIVE = "about", "negative"


@dataclass(frozen=True)
class Style:
    """One preset. `words`: element of <general_tags> -> its tags, separated by commas."""

    name: str
    words: Mapping[str, str]
    negative: str = ""
    about: str = ""


@dataclass(frozen=True)
class Styles:
    """The presets of one file."""

    file: str  # its name without its folder
    sha256: str
    presets: Mapping[str, Style]

    def chosen(self, names: Iterable[str]) -> list[Style]:
        """Raises UsageError for a name that is not there; the hint gives the nearest."""
        for name in names:
            if name not in self.presets:
                guess = did_you_mean(name, self.presets)
                raise UsageError(f"{self.file} has no style {name!r}", f"{guess}it has: {', '.join(self.presets)}")
        return [self.presets[name] for name in names]


def read_styles(path: Path) -> Styles:
    """The presets in a TOML file.

    Raises:
        PromptError: the file is missing, too large, no TOML, or a preset in it is none.
    """
    import tomllib  # only who asks for a style waits for it

    name = str(path)
    try:
        real = path.resolve()
        data = Folder(real.parent).read(real.name, MAX_FILE_BYTES)
    except Unusable as error:
        raise PromptError(error.message, error.hint, name=name) from None
    try:
        tables = tomllib.loads(decode(data, name).replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:  # RecursionError: thousands of brackets
        reason = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "it is nested too deep"
        hint = 'a preset is a line [name], then lines such as style = "ink"'
        raise PromptError(f"this is no TOML: {reason}", hint, name=name) from None
    presets = {key: _style(key, value, name) for key, value in tables.items()}
    return Styles(path.name, hashlib.sha256(data).hexdigest(), presets)


def add(text: Composed, style: Style) -> Composed:
    """The prompt with the words of a preset. A plain prompt stays plain: the words stand at its end.

    Raises:
        PromptError: what came together cannot be read.
    """
    reading = read_source(text, negative=True)
    if reading.dialect == "outline" and style.words:
        stop = len(text.text.rstrip())
        return _replaced(text, Span(stop, stop), f"\nScene: {', '.join(style.words.values())}", style)
    if reading.dialect != "xml":
        return _appended(text, _new(", ".join(style.words.values()), reading.scene.tags), style)
    for element, words in style.words.items():
        text = _with_element(text, element, words, style)
    return text


def _with_element(text: Composed, element: str, words: str, style: Style) -> Composed:
    reading = read_source(text, negative=True)
    there = reading.scene.general.get(element)
    new = _new(words, there.items if there else ())
    if not new:
        return text
    value = f"{there.text}, {new}" if there and there.text else new
    return _rewritten(text, set_value(reading, f"{GENERAL}.{element}", value), style)


def _new(words: str, there: Iterable[Value]) -> str:
    """The words that are not there yet."""
    known = {tag(item.text).casefold() for item in there}
    return ", ".join(item.text for item in Value(words).items if tag(item.text).casefold() not in known)


def _rewritten(text: Composed, after: str, style: Style) -> Composed:
    """`text` made into `after`, which differs from it in one place; the rest keeps its places."""
    before = text.text
    start = _common(before, after)
    rest = min(len(before), len(after)) - start
    back = _common(before[::-1][:rest], after[::-1][:rest])
    return _replaced(text, Span(start, len(before) - back), after[start : len(after) - back], style)


def _common(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _appended(text: Composed, words: str, style: Style) -> Composed:
    stop = len(text.text.rstrip())
    gap = "" if not stop else " " if text.text[stop - 1] in ".!?,。！？，" else ", "
    return _replaced(text, Span(stop, stop), gap + words, style) if words else text


def _replaced(text: Composed, span: Span, words: str, style: Style) -> Composed:
    source = Source(words, f"style {style.name}")
    return compose(edited(text, [Edit(span, whole(source))]), text.name)


def _style(name: str, table: object, file: str) -> Style:
    """A preset of the file. Raises PromptError."""
    known = (*fields_of(GENERAL), NEGATIVE, ABOUT)
    if not isinstance(table, dict):
        raise PromptError(
            f"{name} stands outside a preset", f"write a line [name] above it, for example [{name}]", name=file
        )
    for key in table:
        if key not in known:
            hint = f"{did_you_mean(key, known)}known: {', '.join(known)}"
            raise PromptError(f"[{name}] {key} is no part of a preset", hint, name=file)
    texts = {key: _text(value, f"[{name}] {key}", file) for key, value in table.items()}
    about, negative = texts.pop(ABOUT, ""), texts.pop(NEGATIVE, "")
    return Style(name, {key: text for key, text in texts.items() if text}, negative, about)


def _text(value: Any, where: str, file: str) -> str:
    """The words of an element: a text, or a list of texts."""
    parts = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in parts):
        raise PromptError(f"{where} is no text", f'write {where.split()[-1]} = "words, more_words"', name=file)
    text = ", ".join(each.strip().strip(",").strip() for each in parts)
    if any(known.known for known in scan(Source(text, file)).tags):
        raise PromptError(f"{where} holds tags of the prompt language", "write the words alone", name=file)
    return text
