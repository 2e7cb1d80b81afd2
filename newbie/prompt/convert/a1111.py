"""Prompts of AUTOMATIC1111's web UI: tags with blanks and weights, a negative prompt, a line of settings.

    masterpiece, 1girl, (blue hair:1.2), aris \\(blue archive\\)
    Negative prompt: lowres
    Steps: 28, Sampler: Euler, CFG scale: 5.5, Seed: 1, Size: 832x1216

BREAK, and AND and ADDCOL likewise, cuts a prompt into parts: one for the picture, then one per person, as its regional
add-ons read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from newbie.prompt.canonical import tag as canonical_tag
from newbie.prompt.convert import emphasis
from newbie.prompt.convert.flat import apart, lists_of
from newbie.prompt.convert.sheet import Sheet, without_comments
from newbie.prompt.convert.sort import regional, sort
from newbie.prompt.dialect import looks_like_tag, plain_dialect
from newbie.prompt.infotext import CUT, parts
from newbie.prompt.read import Reading
from newbie.prompt.scene import Scene, Value
from newbie.prompt.weights import marks

_NETWORK = re.compile(r"<(lora|lyco|hypernet):([^:<>]+):([\d.]+)[^<>]*>")
# Underscores between words and before a bracket with words; an emoticon such as o_o has none.
_JOINT = re.compile(r"(?:(?<=[^\W_]{2})|(?<=[^\W_]\)))_(?=\(?[^\W_]{2})")


def looks_like_a1111(text: str) -> bool:
    """Whether a text uses anything that is the web UI's own. In sentences, AND is a loud word."""
    cuts = re.search(CUT, text) and ("BREAK" in text or plain_dialect(text) == "tags")
    return bool(cuts or _NETWORK.search(text)) or emphasis.has_emphasis(text)


def read_a1111(reading: Reading) -> Sheet:
    found = parts(without_comments(reading))
    sections = [_section(part) for part in re.split(CUT, found.prompt)]
    everything = [each for tags, _ in sections for each in tags]
    notes = _notes(found.prompt, everything)
    return Sheet(scene_of(sections), reading.system_prompt, found.negative, found.settings, notes=notes)


def scene_of(sections: Sequence[tuple[Sequence[emphasis.Tag], Sequence[str]]]) -> Scene:
    """The scene of the parts of a prompt, each with its tags and its sentences: of several persons, or one list."""
    tags = [tags for tags, _ in sections]
    captions = tuple(Value(line) for _, lines in sections for line in lines)
    if len(tags) > 1 and (rows := regional([[str(each) for each in part] for part in tags])):
        made = sort(rows)
        return replace(made, captions=(*made.captions, *captions))
    values = tuple(Value(str(each)) for part in tags for each in part)
    return Scene(tags=values, captions=captions, dialect="tags") if values else Scene(captions=captions)


def _section(text: str) -> tuple[list[emphasis.Tag], list[str]]:
    """The tags of a part, and its lines that are sentences."""
    rest, sentences = apart(text)
    found = [each._replace(text=canonical_tag(each.text)) for each in emphasis.tags(rest)]
    return found, [emphasis.unescape(line) for line in sentences]


def _notes(prompt: str, tags: Iterable[emphasis.Tag]) -> tuple[str, ...]:
    notes = [
        f"{match[0]} stays as text, which means nothing here; draw with --lora {match[2]}.safetensors:{match[3]}"
        for match in _NETWORK.finditer(prompt)
    ]
    notes += [f"{each} stays as text: words cannot change while drawing" for each in emphasis.schedules(prompt)]
    notes += [f"the weight of a part of {each.text!r} is that of all of it" for each in tags if each.mixed]
    return tuple(notes)


# ---- to the web UI


def write_a1111(sheet: Sheet) -> str:
    text = " BREAK\n".join(", ".join(map(spelt, row)) for row in rows_of(sheet.scene))
    captions = [emphasis.escape(line) for each in sheet.scene.captions if (line := " ".join(each.text.split()))]
    body = "\n".join(filter(None, [text, *captions]))
    if sheet.negative:
        body += f"\nNegative prompt: {sheet.negative}"
    if sheet.settings:
        body += "\n" + ", ".join(f"{key}: {value}" for key, value in sheet.settings.items())
    return body


def rows_of(scene: Scene) -> list[list[str]]:
    """One list of tags, or, with several persons, one for the picture and one for each of them."""
    lists = lists_of(scene)
    if len(lists.people) > 1:
        return [[*lists.first, *lists.rest], *map(list, lists.people)]
    return [list(dict.fromkeys([*lists.first, *(t for person in lists.people for t in person), *lists.rest]))]


def spelt(tag: str) -> str:
    """A tag as the web UI wants it: blanks for underscores, a backslash before brackets that belong to the name."""
    for outer, inner, _ in marks(tag):
        if outer == (0, len(tag)):
            return f"({_bare(tag[1 : inner.stop])}{tag[inner.stop :]}"
    return _bare(tag)


def _bare(tag: str) -> str:
    return emphasis.escape(spaced(tag))


def spaced(tag: str) -> str:
    """A tag with blanks for underscores, where they are read back as underscores."""
    written = _JOINT.sub(" ", tag) if looks_like_tag(tag) else tag
    return written if canonical_tag(written) == tag else tag
