"""Prompts of NovelAI: tags with blanks, weights in braces, brackets or numbers, `|` before each character.

2girls, {{beach}}, [crowd] | girl, 1.3::blue hair::, source#hug | girl, red hair, target#hug
"""

from __future__ import annotations

import re

from newbie.prompt.canonical import tag as canonical_tag
from newbie.prompt.convert import emphasis
from newbie.prompt.convert.a1111 import rows_of, scene_of, spaced
from newbie.prompt.convert.flat import apart
from newbie.prompt.convert.sheet import Sheet, without_comments
from newbie.prompt.infotext import parts
from newbie.prompt.novelai import CUT, weighed
from newbie.prompt.read import Reading
from newbie.prompt.weights import MOST, marks

_ROLE = re.compile(r"(source|target|mutual)#\s*")
_ALONE = {"girl": "1girl", "boy": "1boy", "other": "1other"}  # how its parts for characters begin


def read_novelai(reading: Reading) -> Sheet:
    found = parts(without_comments(reading))
    cut = CUT.split(found.prompt)
    notes: list[str] = []
    unwanted = [found.negative] if found.negative else []
    sections = []
    for i, part in enumerate(cut):
        rest, sentences = apart(part)
        tags = []
        for each in emphasis.tags(rest, weighed(rest)):
            if float(each.weight or 1) < 0:
                unwanted.append(canonical_tag(each.text))
                notes.append(
                    f"{each.text} weighs {each.weight}, less than nothing: it belongs into the negative prompt"
                )
            else:
                tags.append(_ours(each, notes, is_person=i > 0))
        sections.append((tags, sentences))
    return Sheet(scene_of(sections), reading.system_prompt, ", ".join(unwanted), found.settings, notes=tuple(notes))


def _ours(read: emphasis.Tag, notes: list[str], *, is_person: bool) -> emphasis.Tag:
    """A tag with a weight that we have, and without who does what to whom."""
    text = _ROLE.sub("", read.text)
    if text != read.text:
        notes.append(f"{read.text} says who does it; here it is {text}")
    if float(read.weight or 1) > MOST:
        notes.append(f"{text} weighs {read.weight}; the most here is {MOST:g}")
        read = read._replace(weight=f"{MOST:g}")
    if read.mixed:
        notes.append(f"the weight of a part of {text!r} is that of all of it")
    return read._replace(text=_ALONE.get(text, canonical_tag(text)) if is_person else canonical_tag(text))


def write_novelai(sheet: Sheet) -> str:
    text = " | ".join(", ".join(map(_spelt, row)) for row in rows_of(sheet.scene))
    captions = [line for each in sheet.scene.captions if (line := " ".join(each.text.split()))]
    body = "\n".join(filter(None, [text, *captions]))
    return body + (f"\nNegative prompt: {sheet.negative}" if sheet.negative else "")


def _spelt(tag: str) -> str:
    """A tag with blanks, and its weight as a number."""
    for outer, inner, weight in marks(tag):
        if outer == (0, len(tag)):
            return f"{weight:g}::{spaced(tag[inner.start : inner.stop])}::"
    return spaced(tag)
