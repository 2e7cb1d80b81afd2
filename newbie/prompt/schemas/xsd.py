"""The language as a W3C XML Schema 1.0, for editors that know no RELAX NG.

XSD says it more loosely in some places, see docs/schema/README.md: `xs:all` (any order, each at most once) serves
the elements of characters and general tags, but blocks and captions, which may repeat, need `xs:choice`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lxml import etree
from lxml.builder import ElementMaker

from newbie.prompt.schema import (
    BY_NAME,
    CHARACTER,
    CHARACTERS_NAMED,
    GENERAL,
    PANEL,
    PLACES,
    TOP,
    Attribute,
    Element,
    children_of,
)

_XSD = "http://www.w3.org/2001/XMLSchema"
X: Any = ElementMaker(namespace=_XSD, nsmap={"xs": _XSD})
_ROOT = BY_NAME["img"]


def text() -> str:
    """The schema as the text of a file."""
    schema = X.schema(
        *(X.element(_about(_ROOT.about), name=name, type=TOP) for name in _names(_ROOT)),
        *(_freely(block) for block in (TOP, PANEL)),
        *(_each_once(block) for block in (CHARACTER, GENERAL)),
        *_places(),
        *_measures(),
    )
    etree.indent(schema)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + etree.tostring(schema, encoding="unicode") + "\n"


def _freely(block: str) -> Any:
    """A block whose children come in any order and number."""
    return X.complexType(
        X.choice(*_declarations(block), minOccurs="0", maxOccurs="unbounded"), *_carried(block), name=block
    )


def _each_once(block: str) -> Any:
    """A block whose children come in any order, each at most once."""
    return X.complexType(X.all(*_declarations(block, minOccurs="0")), *_carried(block), name=block)


def _carried(block: str) -> Iterator[Any]:
    if block in BY_NAME:
        attributes = BY_NAME[block].attributes
        yield from map(_attribute, attributes)
        if any(each.measure == "file" for each in attributes):  # all others are variables for the file
            yield X.anyAttribute(processContents="skip")


def _declarations(block: str, **occurs: str) -> Iterator[Any]:
    for child in children_of(block):
        if child is _ROOT:  # it is nowhere else
            continue
        for name in _names(child):
            about = _about(child.about)
            if child.kind == "leaf" and child.attributes:
                yield X.element(about, _with_attributes(child), name=name, **occurs)
            else:
                kind = {"wrapper": block, "leaf": _text(child)}.get(child.kind, child.name)
                yield X.element(about, name=name, type=kind, **occurs)


def _names(element: Element) -> tuple[str, ...]:
    if element.name == CHARACTER:
        return tuple(f"{CHARACTER}_{number}" for number in range(1, CHARACTERS_NAMED + 1))
    return (element.name, *element.aliases)


def _text(leaf: Element) -> str:
    return "place" if leaf.content == "place" else "xs:string"


def _with_attributes(leaf: Element) -> Any:
    return X.complexType(X.simpleContent(X.extension(*map(_attribute, leaf.attributes), base=_text(leaf))))


def _attribute(attribute: Attribute) -> Any:
    return X.attribute(_about(attribute.about), name=attribute.name, type=attribute.measure)


def _places() -> Iterator[Any]:
    """The usual words are listed for completion; any other text is right too."""
    words = (X.enumeration(value=place) for place in PLACES)
    yield X.simpleType(X.restriction(*words, base="xs:token"), name="place_word")
    yield X.simpleType(X.union(memberTypes="place_word xs:string"), name="place")


def _measures() -> Iterator[Any]:
    for name, most in (("fraction", "1"), ("weight", "4")):
        limits = X.minInclusive(value="0"), X.maxInclusive(value=most)
        yield X.simpleType(X.restriction(*limits, base="xs:decimal"), name=name)
    yield X.simpleType(X.restriction(X.minLength(value="1"), base="xs:token"), name="file")


def _about(text: str) -> Any:
    return X.annotation(X.documentation(text))
