"""Change one element in the text of a prompt and leave every other character as it is."""

from __future__ import annotations

import re
from typing import NamedTuple

from newbie.errors import PromptError
from newbie.prompt.canonical import canonical_text
from newbie.prompt.elements import elements
from newbie.prompt.read import Reading, read
from newbie.prompt.scene import Block, Field, Scene
from newbie.prompt.schema import CAPTION, CHARACTER, GENERAL, LOOSE, ORDER, fields_of, lookup, similar
from newbie.prompt.source import Span

_PATH = re.compile(r"(?:(character_\d{1,4}|general_tags|general)\.)?([\w#\-]+)(?:\[(\d{1,6})\])?", re.ASCII)
_ATTRIBUTE = re.compile(r"\s+[\w:.\-]+\s*=")
_TAGS = "tags"
_HINT = "for example character_1.appearance, character_1.appearance[0], general_tags.background, caption, tags[0]"


class _Target(NamedTuple):
    block: str  # "character_2", "general_tags", or "" for what stands outside
    leaf: str
    item: int | None  # a single tag, counted from 0

    @property
    def path(self) -> str:
        whole = f"{self.block}.{self.leaf}" if self.block else self.leaf
        return whole if self.item is None else f"{whole}[{self.item}]"


def set_value(prompt: str | Reading, path: str, value: str) -> str:
    """The prompt's text with the element at `path` set to `value`; an empty value takes the element out.

    A missing element is written where it belongs, and its block with it. A plain prompt becomes an XML prompt when an
    XML element is set: its sentences turn into the caption, its tags into <other>. Blocks may be left out of the
    path where only one can be meant ("background"; "appearance" is that of character_1).

    Raises:
        PromptError: no such element in the language, an index behind the end, or a value with tags in it.
    """
    reading = read(prompt, negative=True) if isinstance(prompt, str) else prompt
    target = _parse(path, reading.scene)
    value = value.strip()
    if target.leaf != _TAGS and reading.dialect != "xml" and not (target.path == CAPTION and reading.scene.captions):
        reading = read(_as_xml(reading), negative=True)
    changed = _changed(reading, target, value)
    after = read(changed, negative=True)
    if value and _text_at(after, target) != value:
        raise PromptError(f"{path} cannot be set to {value[:60]!r}", "a value holds text only, no tags of the language")
    return changed


def _parse(path: str, scene: Scene) -> _Target:
    match = _PATH.fullmatch(path.strip())
    if not match:
        raise PromptError(f"{path[:60]!r} names no element", _HINT)
    block, leaf, index = match[1] or "", match[2], None if match[3] is None else int(match[3])
    block = GENERAL if block == "general" else block
    if not block and leaf == _TAGS:
        return _Target("", leaf, index)
    known = lookup(leaf)
    name = known.name if known else leaf.lower()
    if not block and name == CAPTION:
        return _Target("", name, None)
    if not block:
        block = GENERAL if name in fields_of(GENERAL) else f"{CHARACTER}_1"
    kind = GENERAL if block == GENERAL else CHARACTER
    written = _block(scene, block)
    if name == LOOSE or (name not in fields_of(kind) and not (written and name in written)):
        guess = similar(leaf)
        hint = f"did you mean {guess}? " if guess else ""
        raise PromptError(f"{block} has no element {leaf!r}", f"{hint}known: {', '.join(fields_of(kind))}")
    return _Target(block, name, index)


def _as_xml(reading: Reading) -> str:
    """A plain prompt as XML, so that elements can be added."""
    scene = reading.scene
    if scene.dialect == "text":
        body = f"<{CAPTION}>{reading.body.strip()}</{CAPTION}>"
    elif scene.dialect == "tags":
        body = f"<{GENERAL}>\n<other>{reading.body.strip()}</other>\n</{GENERAL}>"
    else:
        body = canonical_text(scene)
    return reading.system_prompt + body


def _changed(reading: Reading, target: _Target, value: str) -> str:
    text = reading.source.text
    block = _block(reading.scene, target.block)
    field = next((f for f in block.fields if f.name == target.leaf), None) if block else None
    place = _place(reading, target)
    if target.item is not None:
        return _set_item(reading, target, value)
    if place and value:
        return text[: place.start] + value + text[place.stop :]
    if field:
        element = f"<{target.leaf}>{value}</{target.leaf}>" if value else ""
        return text[: field.outer.start] + element + text[field.outer.stop :] if value else _cut(text, field.outer)
    if not value:
        return _cut(text, _with_tags(text, place)) if place else text
    if target.leaf == _TAGS:
        return f"{text.rstrip()}, {value}" if text.strip() else value
    element = f"<{target.leaf}>{value}</{target.leaf}>"
    if block is not None and not block.outer.empty:
        return _into_block(text, block, target.leaf, element)
    if target.block:
        element = f"<{target.block}>\n{element}\n</{target.block}>"
    at, behind = _home(reading, target)
    before, after = text[:at], text[at:]
    if behind:
        return f"{before.rstrip()}\n{element}{after}" if before.strip() else f"{element}{after}"
    return f"{before}{element}\n{after}" if after.strip() else f"{before}{element}"


def _set_item(reading: Reading, target: _Target, value: str) -> str:
    text = reading.source.text
    whole = target._replace(item=None)
    if place := _place(reading, target):
        if value:
            return text[: place.start] + value + text[place.stop :]
        stop = re.compile(r"\s*[,，、]?[^\S\n]*").match(text, place.stop)
        return text[: place.start] + text[stop.end() if stop else place.stop :]
    before = _place(reading, whole)
    count = sum(1 for e in elements(reading.scene) if e.path.startswith(f"{whole.path}["))
    if target.item != count or not value:
        raise PromptError(f"{target.path} does not exist", f"{whole.path} has {count} tags; they count from 0")
    if before is None:
        return _changed(reading, whole, value)
    return f"{text[: before.stop].rstrip(' ,')}, {value}{text[before.stop :]}"


def _into_block(text: str, block: Block, leaf: str, element: str) -> str:
    """Behind the element that comes before it in the order of the language."""
    inside = [f for f in block.fields if f.outer.start >= block.inner.start and f.outer.stop <= block.inner.stop]
    earlier = [f for f in inside if ORDER.get(f.name, -1) <= ORDER.get(leaf, len(ORDER))]
    if "\n" not in text[block.inner.start : block.inner.stop]:
        gap = "" if inside or block.inner.empty else "\n"
    else:
        gap = "\n" + _indent(text, inside)
    at = max((f.outer.stop for f in earlier), default=block.inner.start)
    opening = text[block.outer.start : block.inner.start]
    if opening.endswith("/>"):
        tag = opening[1:-2].rstrip()
        name = _ATTRIBUTE.split(tag, 1)[0]
        return f"{text[: block.outer.start]}<{tag}>\n{element}\n</{name}>{text[block.outer.stop :]}"
    return text[:at] + gap + element + text[at:]


def _indent(text: str, fields: list[Field]) -> str:
    for field in fields:
        line = text[text.rfind("\n", 0, field.outer.start) + 1 : field.outer.start]
        if not line.strip():
            return line
    return ""


def _home(reading: Reading, target: _Target) -> tuple[int, bool]:
    """Where a new block or caption goes: an offset, and whether it stands behind (True) or before what is there."""
    scene, text = reading.scene, reading.source.text
    start = reading.body_start + len(reading.body) - len(reading.body.lstrip())
    end = len(text.rstrip())
    written = [c for c in scene.characters if not c.outer.empty]
    if target.leaf == CAPTION:
        return end, True
    if target.block == GENERAL:
        return (max(c.outer.stop for c in written), True) if written else (start, False)
    number = int(target.block.rpartition("_")[2])
    if before := [c for c in written if c.number < number]:
        return max(c.outer.stop for c in before), True
    firsts = [b.outer.start for b in (*written, scene.general) if not b.outer.empty]
    return min(firsts, default=start), False


def _block(scene: Scene, name: str) -> Block | None:
    if name == GENERAL:
        return scene.general
    return scene.character(int(name.rpartition("_")[2])) if name else None


def _place(reading: Reading, target: _Target) -> Span | None:
    if target.leaf == _TAGS and target.item is None:
        tags = reading.scene.tags
        return Span(tags[0].span.start, tags[-1].span.stop) if tags else None
    return next((Span(e.start, e.stop) for e in elements(reading.scene) if e.path == target.path), None)


def _text_at(reading: Reading, target: _Target) -> str | None:
    place = _place(reading, target)
    return reading.source.text[place.start : place.stop] if place else None


def _with_tags(text: str, place: Span) -> Span:
    """A caption with the tags around it."""
    before = re.compile(r"<[^<>]*>\s*\Z").search(text[: place.start])
    after = re.compile(r"\s*</[^<>]*>").match(text, place.stop)
    return Span(before.start(), after.end()) if before and after else place


def _cut(text: str, place: Span) -> str:
    """Take a stretch out, with its line if nothing else stands in it."""
    start, stop = place
    line = text.rfind("\n", 0, start) + 1
    ending = re.compile(r"[^\S\n]*(\n|\Z)").match(text, stop)
    if not text[line:start].strip() and ending:
        start, stop = line, ending.end()
        if stop == len(text) and not ending[1]:
            start = max(start - 1, 0)  # the last line goes with the line end before it
    return text[:start] + text[stop:]
