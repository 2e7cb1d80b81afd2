"""From the parsed document to the scene."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from newbie.prompt.diagnostics import Diagnostic, Edit, Rule
from newbie.prompt.dialect import plain_dialect
from newbie.prompt.rules import elements, numbering, structure
from newbie.prompt.scene import SEPARATORS, STRAY, Block, Character, Field, Scene, Value, cut
from newbie.prompt.schema import BY_NAME, CAPTION, CHARACTER, GENERAL, LOOSE, TAGS, TOP, Element, lookup
from newbie.prompt.source import NOWHERE, Span
from newbie.prompt.wellformed import Document


class Built(NamedTuple):
    scene: Scene
    found: list[Diagnostic]


def build(document: Document) -> Built:
    """The scene of an XML prompt, and what is odd about where its elements stand."""
    reader = _Reader(document.view)
    scene = reader.scene(document.root, outer=NOWHERE)
    return Built(scene, reader.found)


@dataclass
class _Parts:
    """A scene while its parts are being collected."""

    characters: list[Character] = field(default_factory=list)
    homeless: list[Field] = field(default_factory=list)  # elements of a character outside any character
    general: list[Field] = field(default_factory=list)
    general_at: tuple[Span, Span] = (NOWHERE, NOWHERE)
    tags: list[Value] = field(default_factory=list)
    captions: list[Value] = field(default_factory=list)
    loose: list[Value] = field(default_factory=list)
    panels: list[Scene] = field(default_factory=list)


class _Reader:
    def __init__(self, view: str) -> None:
        self.view = view
        self.found: list[Diagnostic] = []

    def scene(self, node: Any, outer: Span) -> Scene:
        parts = _Parts()
        self._collect(node, parts)
        for value in parts.loose:
            note = "this text stands outside all elements; it is read as a caption"
            hint = f"write <{CAPTION}>…</{CAPTION}> around it"
            if plain_dialect(value.text) == "tags":
                hint = f"put tags into <{GENERAL}>: <quality>, <style>, <other> or the like"
            self.found.append(Diagnostic(structure.LOOSE_TEXT, value.span, note, hint))
        if any(leaf.value.text for leaf in parts.homeless):  # a character sheet without its block
            parts.characters.insert(0, Character(tuple(parts.homeless), number=_free(parts.characters)))
        general_outer, general_inner = parts.general_at
        return Scene(
            characters=tuple(parts.characters),
            general=Block(tuple(parts.general), general_outer, general_inner),
            tags=tuple(parts.tags),
            captions=(*parts.captions, *parts.loose),
            panels=tuple(parts.panels),
            outer=outer,
        )

    def _collect(self, node: Any, parts: _Parts) -> None:
        """Everything below the top, a wrapper or a panel."""
        for child in self._children(node, parts.loose):
            element = _element(child)
            kind = element.kind if element else "leaf"
            if kind == "wrapper":
                self._collect(child, parts)
            elif kind == "panel":
                parts.panels.append(self.scene(child, _outer(child)))
            elif kind == "character":
                parts.characters.append(self._character(child, parts.characters))
            elif kind == "general":
                if parts.general_at[0].empty:
                    parts.general_at = (_outer(child), _inner(child))
                else:
                    message, hint = f"a second <{GENERAL}> block", "put its elements into the first one"
                    self._say(elements.REPEATED_ELEMENT, child, message, hint)
                parts.general += self._general(child, parts)
            else:
                self._leaf_at_top(child, element, parts)

    def _leaf_at_top(self, child: Any, element: Element | None, parts: _Parts) -> None:
        leaf = self._field(child)
        if leaf.name == CAPTION:
            if leaf.value.text:
                parts.captions.append(leaf.value)
            return
        if leaf.name == TAGS:
            parts.tags += leaf.value.items
            return
        if element and TOP not in element.parents:
            block = f"{CHARACTER}_1" if element.parents == (CHARACTER,) else GENERAL
            message, hint = f"<{leaf.name}> stands outside <{block}>", f"put it into <{block}> … </{block}>"
            self._say(structure.MISPLACED, child, message, hint)
        if element and element.parents == (CHARACTER,):
            parts.homeless.append(leaf)
        else:
            parts.general.append(leaf)

    def _character(self, node: Any, before: list[Character]) -> Character:
        known = lookup(node.tag)
        assert known is not None  # the tag came from the schema
        number = known.number
        if number is None:
            number = _free(before)
            hint = f"write <{CHARACTER}_{number}>"
            self._say(numbering.UNNUMBERED, node, "a character without a number", hint, self._numbered(node, number))
        loose: list[Value] = []
        fields = tuple(self._fields(node, CHARACTER, loose))
        return Character((*self._loose_fields(loose), *fields), _outer(node), _inner(node), number=number)

    def _general(self, node: Any, parts: _Parts) -> Iterator[Field]:
        loose: list[Value] = []
        fields = list(self._fields(node, GENERAL, loose))
        yield from self._loose_fields(loose)
        for leaf in fields:
            if leaf.name == CAPTION:
                parts.captions += [leaf.value] if leaf.value.text else []
            elif leaf.name == TAGS:
                parts.tags += leaf.value.items
            else:
                yield leaf

    def _fields(self, node: Any, block: str, loose: list[Value]) -> Iterator[Field]:
        for child in self._children(node, loose):
            element = _element(child)
            if element and element.kind == "wrapper":
                yield from self._fields(child, block, loose)
                continue
            if element and block not in element.parents:
                message = f"<{child.tag}> does not belong into <{node.tag}>"
                self._say(structure.MISPLACED, child, message, _belongs(element))
            yield self._field(child)

    def _field(self, node: Any) -> Field:
        inner = _inner(node)
        return Field(node.tag, cut(self.view, inner.start, inner.stop), _outer(node))

    def _children(self, node: Any, loose: list[Value]) -> Iterator[Any]:
        """The elements below `node`; the text between them goes to `loose`."""
        at, stop = _inner(node)
        for child in node:
            outer = _outer(child)
            self._loose(at, outer.start, loose)
            at = outer.stop
            yield child
        self._loose(at, stop, loose)

    def _loose(self, start: int, stop: int, loose: list[Value]) -> None:
        if not STRAY.fullmatch(self.view, start, stop):
            separators = SEPARATORS.match(self.view, start, stop)
            loose.append(cut(self.view, separators.end() if separators else start, stop))

    def _loose_fields(self, loose: list[Value]) -> Iterator[Field]:
        for value in loose:
            note = "this text stands in a block but in none of its elements"
            hint = "put it into <appearance>, <other> or the like"
            self.found.append(Diagnostic(structure.LOOSE_TEXT, value.span, note, hint))
            yield Field(LOOSE, value, value.span)

    def _numbered(self, node: Any, number: int) -> tuple[Edit, ...]:
        """Write the number behind the name in both tags, which may carry attributes."""
        outer, inner = _outer(node), _inner(node)
        names = [outer.start + len("<" + CHARACTER)]
        if inner.stop < outer.stop:
            names.append(inner.stop + len("</" + CHARACTER))
        return tuple(Edit(Span(at, at), f"_{number}") for at in names)

    def _say(self, rule: Rule, node: Any, message: str, hint: str, fix: tuple[Edit, ...] = ()) -> None:
        outer, inner = _outer(node), _inner(node)
        self.found.append(Diagnostic(rule, Span(outer.start, inner.start), message, hint, fix))


def _free(characters: list[Character]) -> int:
    """The smallest number that no character has."""
    taken = {c.number for c in characters}
    return next(n for n in range(1, len(taken) + 2) if n not in taken)


def _belongs(element: Element) -> str:
    homes = [f"<{p}_1>" if p == CHARACTER else f"<{p}>" for p in element.parents if p != TOP]
    return "it belongs into " + " or ".join(homes) if homes else "write it outside the blocks"


def _element(node: Any) -> Element | None:
    if not node.get("known"):
        return None
    known = lookup(node.tag)
    return known.element if known else BY_NAME.get(node.tag)


def _outer(node: Any) -> Span:
    return Span(int(node.get("from")), int(node.get("to")))


def _inner(node: Any) -> Span:
    return Span(int(node.get("start")), int(node.get("stop")))
