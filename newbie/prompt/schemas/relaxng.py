"""The language as a RELAX NG grammar (ISO/IEC 19757-2): which element stands where, in any order, each once.

`in.P` is what may stand in an element P. Documentation is that of RELAX NG's DTD compatibility, which editors show.
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
    Measure,
    children_of,
)

_NOTES = "http://relaxng.org/ns/compatibility/annotations/1.0"
_TYPES = "http://www.w3.org/2001/XMLSchema-datatypes"
_RNG = "http://relaxng.org/ns/structure/1.0"
_BLOCKS = (TOP, CHARACTER, GENERAL, PANEL)  # whatever holds elements
_MEASURES: dict[Measure, tuple[str, dict[str, str]]] = {
    "fraction": ("decimal", {"minInclusive": "0", "maxInclusive": "1"}),
    "weight": ("decimal", {"minInclusive": "0", "maxInclusive": "4"}),  # weights.MOST
    "file": ("token", {"minLength": "1"}),
}
R: Any = ElementMaker(namespace=_RNG, nsmap={None: _RNG, "a": _NOTES})
A: Any = ElementMaker(namespace=_NOTES, nsmap={"a": _NOTES})


def text() -> str:
    """The grammar as the text of a file."""
    grammar = R.grammar(
        R.start(_element(BY_NAME["img"], TOP)),
        *(R.define(_inside(block), name=f"in.{block}") for block in _BLOCKS),
        datatypeLibrary=_TYPES,
    )
    etree.indent(grammar)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + etree.tostring(grammar, encoding="unicode") + "\n"


def _inside(block: str) -> Any:
    """Every child of a block, in any order."""
    children = [child for child in children_of(block) if child.name != "img"]  # the root is nowhere else
    return R.interleave(*(part for child in children for part in _times(child, block)))


def _times(child: Element, block: str) -> Iterator[Any]:
    """An element as often as it may stand there. All parts of an interleave are listed side by side: lxml's libxml2
    loses its way in one interleave inside another.
    """
    if child.name == CHARACTER:
        yield from (R.optional(_element(child, block, f"{CHARACTER}_{n}")) for n in range(1, CHARACTERS_NAMED + 1))
    else:
        yield (R.zeroOrMore if child.repeats else R.optional)(_element(child, block))


def _element(element: Element, block: str, name: str = "") -> Any:
    names = [R.name(each) for each in ([name] if name else [element.name, *element.aliases])]
    return R.element(
        A.documentation(element.about),
        names[0] if len(names) == 1 else R.choice(*names),
        *_attributes(element),
        _content(element, block),
    )


def _content(element: Element, block: str) -> Any:
    """The text of a leaf, the elements of a block; a wrapper holds what the block around it holds."""
    if element.kind == "leaf":
        if element.content == "place":  # the usual words first, for completion; any other text is right too
            return R.choice(*(R.value(place, type="token") for place in PLACES), R.text())
        return R.text()
    return R.ref(name=f"in.{block if element.kind == 'wrapper' else element.name}")


def _attributes(element: Element) -> Iterator[Any]:
    for attribute in element.attributes:
        if attribute.measure != "file":
            yield R.optional(_attribute(attribute))
            continue
        own = (R.name(each.name) for each in element.attributes)  # all others are variables for the file
        variables = R.zeroOrMore(R.attribute(R.anyName(R("except", *own)), R.text()))
        yield R.choice(R.group(_attribute(attribute), variables), R.empty())


def _attribute(attribute: Attribute) -> Any:
    kind, limits = _MEASURES[attribute.measure]
    value = R.data(*(R.param(limit, name=name) for name, limit in limits.items()), type=kind)
    return R.attribute(A.documentation(attribute.about), R.name(attribute.name), value)
