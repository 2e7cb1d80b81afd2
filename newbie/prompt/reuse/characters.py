"""Character files: `<character_1 src="miku.xml"/>` is the character in that file, with the number it has here.

Elements written between the tags take the place of those in the file, empty ones take them out, others are added:

    <character_2 src="miku.xml"><position>right</position></character_2>

Character files may build on one another. Their names lead nowhere but beneath the folder of the prompt (folder.py).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from newbie.errors import PromptError
from newbie.prompt.diagnostics import Rule
from newbie.prompt.read import MAX_BYTES, read_bytes, read_source
from newbie.prompt.reuse.choose import Filling, Found, Scope
from newbie.prompt.reuse.composed import Composed, Edit, compose, edited, part, whole, written_for
from newbie.prompt.reuse.folder import Folder, Unusable
from newbie.prompt.reuse.merge import SRC, merged
from newbie.prompt.rules import reuse as rules
from newbie.prompt.scan import AttributeText, attributes_at, scan
from newbie.prompt.scene import Character, Scene
from newbie.prompt.schema import CHARACTER, attributes_of
from newbie.prompt.source import Source, Span

MAX_DEEP = 8  # character files that build on one another
MAX_USES = 100  # of character files in one prompt

_UNREAD = re.compile(r"<character[^<>]*?\s(src\s*=[^<>]*)>", re.IGNORECASE)
_CONTENT = "a character file holds one character: <character_1> with its elements, or the elements alone"


@dataclass(frozen=True)
class Place:
    """Where we are: the file's name relative to the prompt's folder, and the files that led here."""

    name: str
    within: tuple[Path, ...] = ()


@dataclass
class Cast:
    """The character files of one prompt. `folder` is None for a prompt that was not read from a file."""

    folder: Folder | None
    filling: Filling | None = None  # None: templates are text
    files: dict[str, str] = field(default_factory=dict)  # those that were read -> SHA-256
    found: list[Found] = field(default_factory=list)
    ways: list[tuple[Source, Source, Span]] = field(default_factory=list)  # a file, and the tag that led to it

    def expanded(self, source: Source, scope: Scope, place: Place) -> Composed:
        """The text of a file with everything chosen and every character file in its place.

        Raises:
            PromptError: what came together cannot be read, for example because it is too long.
        """
        pieces = self.filling.fill(source, scope) if self.filling else whole(source)
        text = compose(pieces, source.name)
        reading = read_source(text, negative=True)
        named = [(c, attributes) for c in _everyone(reading.scene) if (attributes := _attributes(text, c))]
        edits = [edit for c, attributes in named if (edit := self._edit(text, c, attributes, scope, place))]
        self._tell_unread(text, {c.outer.start for c, _ in named})
        return compose(edited(text, edits), source.name) if edits else text

    def _edit(
        self, text: Composed, character: Character, attributes: list[AttributeText], scope: Scope, place: Place
    ) -> Edit | None:
        """The file's character in place of the tag that names it; None, with a finding, where that cannot be."""
        src = next(each for each in attributes if each.name == SRC)
        if self.folder is None:
            hint = "save it as a file in a folder with the character files"
            self._say(rules.NO_PLACE, text, src.span, "src names a file, and this prompt was not read from one", hint)
            return None
        own = self._scope(text, attributes, scope)
        try:
            file, inner = self._open(self.folder, src.value, place)
            self.ways.append((file, *text.origin(src.span)))
            there = self.expanded(file, own, inner)
            there, other = _only_character(there, src.value)
        except Unusable as error:
            rule = rules.OUTSIDE if error.outside else rules.UNREADABLE
            self._say(rule, text, src.span, error.message, error.hint)
        except _Circle as error:
            self._say(rules.CIRCLE, text, src.span, str(error), "write its elements here, or cut the circle elsewhere")
        except _NoCharacter as error:
            self._say(rules.NO_CHARACTER, text, src.span, str(error), _CONTENT)
        else:
            return Edit(character.outer, merged(text, character, there, other))
        return None

    def _open(self, folder: Folder, written: str, place: Place) -> tuple[Source, Place]:
        """The file that a prompt names. Raises Unusable, _Circle."""
        name = folder.normal(written, place.name)
        path = folder.real_path(name)
        if path in place.within:
            raise _Circle(f"{written} leads back to itself")
        if len(place.within) > MAX_DEEP:
            raise _Circle(f"more than {MAX_DEEP} character files build on one another")
        if len(self.ways) >= MAX_USES:
            raise _Circle(f"more than {MAX_USES} character files in one prompt")
        data = folder.read(name, MAX_BYTES)
        try:
            file = read_bytes(data, str(folder.path / name), negative=True).source
        except PromptError as error:
            raise Unusable(error.message, error.hint) from None
        self.files[name] = hashlib.sha256(data).hexdigest()
        return file, Place(name, (*place.within, path))

    def _scope(self, text: Composed, attributes: list[AttributeText], scope: Scope) -> Scope:
        """The variables of a character file: those known here, and the other attributes of its tag."""
        attributes = [each for each in attributes if each.name not in attributes_of(CHARACTER)]
        if not self.filling:
            for each in attributes:
                note = f"{each.name} is a variable, and variables are not read here"
                self._say(rules.AS_IT_STANDS, text, each.span, note, "--expand reads them")
            return scope
        return scope | {each.name: part(text, *each.span) for each in attributes}

    def _tell_unread(self, text: Composed, read: set[int]) -> None:
        """A tag with a comma in an attribute is text: say so, where it was meant to name a file."""
        for match in _UNREAD.finditer(text.text):
            if match.start() not in read and scan(text).view[match.start()] == "<":
                hint = "attributes hold no commas and no < or >"
                self._say(rules.NO_PLACE, text, Span(*match.span(1)), "this is no tag, and its file is not read", hint)

    def _say(self, rule: Rule, text: Composed, span: Span, message: str, hint: str) -> None:
        self.found.append(Found(rule, *text.origin(span), message, hint))


class _Circle(Exception):
    """Character files without end."""


class _NoCharacter(Exception):
    """Something else than one character."""


def _everyone(scene: Scene) -> Iterator[Character]:
    yield from (character for character in scene.characters if not character.outer.empty)
    for panel in scene.panels:
        yield from _everyone(panel)


def _attributes(text: Source, character: Character) -> list[AttributeText]:
    """Those of a tag that names a file, else none."""
    found = attributes_at(text.text, character.outer.start)
    return found if any(each.name == SRC for each in found) else []


def _only_character(text: Composed, name: str) -> tuple[Composed, Character]:
    """The character of a file, in a block of its own if the file has none. Raises _NoCharacter for anything else."""
    reading = read_source(text, negative=True)
    beside = "text or elements beside its character" if reading.scene.captions else ""
    if reading.dialect == "xml" and not list(_everyone(reading.scene)):
        text = _in_a_block(text)
        reading = read_source(text, negative=True)
    scene = reading.scene
    if len(scene.characters) != 1:
        raise _NoCharacter(f"{name} holds {len(scene.characters) or 'no'} characters")
    beside = "elements of <general_tags>" if scene.general.fields else beside or ("tags" if scene.tags else "")
    beside = "panels" if scene.panels else "a system prompt" if reading.body_start else beside
    if beside:
        raise _NoCharacter(f"{name} holds {beside}")
    return text, scene.characters[0]


def _in_a_block(text: Composed) -> Composed:
    start, stop = Span(0, 0), Span(len(text.text), len(text.text))
    opening, closing = written_for("<character_1>", text, start), written_for("</character_1>", text, stop)
    return compose([opening, *whole(text), closing], text.name)
