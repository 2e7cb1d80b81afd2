"""The XML dialects: one reader, and four layouts of the same elements."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from newbie.prompt.canonical import layout
from newbie.prompt.convert.sheet import Sheet
from newbie.prompt.read import Reading
from newbie.prompt.scan import attributes_at, attributes_text, scan
from newbie.prompt.schema import CHARACTER, GENERAL, PANEL
from newbie.prompt.source import Span
from newbie.prompt.system_prompts import COMFYUI

_BLOCK = re.compile(rf"<(/?)(?:{CHARACTER}_\d+|{GENERAL}|{PANEL})(?:\s[^<>]*)?(?<!/)>")
_NAME = re.compile(r"<(\w+)")
# The order in which the node packs write the elements of <general_tags>.
_NODES = (
    "count", "artists", "style", "background", "environment", "perspective", "atmosphere", "lighting", "resolution",
    "quality", "objects", "other",
)  # fmt: skip


def read_markup(reading: Reading) -> Sheet:
    """Any XML dialect, and whatever else the reader of the language takes for a scene."""
    scanned = scan(reading.source)
    starts = [tag.start for tag in scanned.tags if tag.attributes]
    return Sheet(
        reading.scene,
        system=reading.system_prompt,
        attributes={at: attributes_text(attributes_at(scanned.view, at)) for at in starts},
        comments=len(scanned.comments),
    )


def canonical(sheet: Sheet) -> str:
    return "\n".join(_lines(sheet))


def readme(sheet: Sheet) -> str:
    """As the model's README has it: two blanks of indentation, an empty line between blocks."""
    return "\n".join(_indented(_lines(sheet)))


def comfyui(sheet: Sheet) -> str:
    """As it is typed into ComfyUI: the system prompt in front, an empty line between blocks."""
    return (sheet.system or COMFYUI) + "\n".join(_indented(_lines(sheet), blanks=0))


def nodes(sheet: Sheet) -> str:
    """As the node packs write it: one root, a name element even when it is empty, an order of their own."""
    lines = list(_lines(sheet))
    if not any(map(_BLOCK.fullmatch, lines)):
        return "\n".join(lines)
    return "\n".join(("<img>", *_named(_in_node_order(lines)), "</img>"))


def _lines(sheet: Sheet) -> Iterator[str]:
    def attributes(place: Span) -> str:
        return "" if place.empty else sheet.attributes.get(place.start, "")

    return (line.text for line in layout(sheet.scene, attributes))


def _indented(lines: Iterable[str], blanks: int = 2) -> Iterator[str]:
    depth, first = 0, True
    for line in lines:
        tag = _BLOCK.fullmatch(line)
        depth -= bool(tag and tag[1])
        starts_anew = depth == 0 and not (tag and tag[1])
        if starts_anew and not first:
            yield ""
        yield " " * blanks * depth + line
        depth += bool(tag and not tag[1])
        first = False


def _named(lines: Iterable[str]) -> Iterator[str]:
    """Every character with a name element."""
    opened = False
    for line in lines:
        if opened and not line.startswith("<n"):
            yield "<n></n>"
        opened = line.startswith(f"<{CHARACTER}_") and not line.endswith("/>")
        yield line


def _in_node_order(lines: list[str]) -> list[str]:
    """The elements of <general_tags> rearranged; elements that the node packs do not have come behind."""

    def rank(line: str) -> int:
        name = _NAME.match(line)
        return _NODES.index(name[1]) if name and name[1] in _NODES else len(_NODES)

    out: list[str] = []
    general: list[str] | None = None
    for line in lines:
        if line == f"</{GENERAL}>" and general is not None:
            out += sorted(general, key=rank)
            general = None
        if general is None:
            out.append(line)
        else:
            general.append(line)
        if line.startswith(f"<{GENERAL}") and not line.endswith("/>"):
            general = []
    return out
