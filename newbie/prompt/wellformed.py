"""Make a well-formed document of a prompt and have lxml parse it, hardened.

One root, every element closed, every other `<`, `>`, `&` escaped: what the scanner found goes to lxml in a form that
has one reading. Each element carries the offsets of its place in the source, so values are cut from the text itself
and an emoticon survives byte for byte.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from lxml import etree

from newbie.prompt.balance import Balanced, Node, balance
from newbie.prompt.diagnostics import Diagnostic
from newbie.prompt.scan import Scanned, blank
from newbie.prompt.schema import TOP
from newbie.prompt.source import Source, Span
from newbie.prompt.unknown import add_unknown

# XML 1.0 cannot express control characters; in the document they become U+FFFD, in the values they stay.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Document(NamedTuple):
    """`root` has an lxml element per element of the prompt, with offsets into `view`.

    `view` is the source with blanks in place of what is neither content nor tag: comments, tags that close nothing.
    """

    root: Any
    view: str
    found: list[Diagnostic]


def document(source: Source, scanned: Scanned, start: int = 0) -> Document:
    """Close what is open, drop what closes nothing, escape the rest, parse.

    Raises:
        PromptError: elements are nested too deep.
    """
    balanced = balance(source, scanned.tags)
    add_unknown(balanced, scanned.tags)
    view = _without(scanned.view, balanced.dropped)
    root = parse(write(balanced, view, start))
    return Document(root, view, scanned.found + balanced.found)


def _without(view: str, dropped: list[Span]) -> str:
    """Blank the dropped tags. Behind an open `<` a comma takes their place: `<n</b>>` must not become `<n >`."""
    risky: list[Span] = []
    at = 0
    for span in dropped:
        if view.rfind("<", at, span.start) > view.rfind(">", at, span.start):
            risky.append(span)
        at = span.stop
    return blank(blank(view, dropped), risky, first=",")


def write(balanced: Balanced, view: str, start: int) -> str:
    """The document as XML text. Every attribute is an offset into `view`."""
    parts: list[str] = []
    at = start
    open_nodes = [Node(TOP, None, start, start, len(view), len(view))]
    parts.append(_start_tag(open_nodes[0]))
    for node in balanced.nodes:
        while open_nodes[-1].outer_stop <= node.outer_start and len(open_nodes) > 1:
            at = _finish(open_nodes.pop(), view, at, parts)
        parts += [_escape(view[at : node.outer_start]), _start_tag(node)]
        at = node.start
        open_nodes.append(node)
    while open_nodes:
        at = _finish(open_nodes.pop(), view, at, parts)
    return "".join(parts)


def parse(xml: str) -> Any:
    """lxml's element tree, with entities, DTDs, network and huge trees switched off."""
    parser = etree.XMLParser(
        resolve_entities=False, load_dtd=False, no_network=True, dtd_validation=False, huge_tree=False, recover=False
    )
    return etree.fromstring(xml.encode(), parser)


def _start_tag(node: Node) -> str:
    known = ' known="1"' if node.element else ""
    places = f'from="{node.outer_start}" start="{node.start}" stop="{node.stop}" to="{node.outer_stop}"'
    return f"<{node.name}{known} {places}>"


def _finish(node: Node, view: str, at: int, parts: list[str]) -> int:
    parts += [_escape(view[at : node.stop]), f"</{node.name}>"]
    return node.outer_stop


def _escape(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
