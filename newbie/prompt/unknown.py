"""Tags with names outside the language: further elements, foreign wrappers, or just text such as `<o>_<o>`.

`<hair>blue</hair>` in a block becomes a further element of that block. A pair around known elements is a wrapper and
is looked through. Everything else is text. The rules depend on nothing outside the block a tag stands in, so that
reordering a prompt never turns text into elements or back.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right

from newbie.prompt.balance import Balanced, Loose, Node
from newbie.prompt.diagnostics import Diagnostic
from newbie.prompt.rules import structure
from newbie.prompt.scan import Tag
from newbie.prompt.schema import CHARACTER, lookup, similar

MIN_NAME = 3  # shorter names are emoticons
_MAX_GUESSES = 64  # different names that are compared with ours


def add_unknown(balanced: Balanced, tags: list[Tag]) -> None:
    """Add further elements to `balanced.nodes`, the tags of foreign wrappers to `balanced.dropped`."""
    edges = sorted(offset for n in balanced.nodes for offset in (n.outer_start, n.outer_stop))
    people = sorted(n.outer_start for n in balanced.nodes if n.kind == CHARACTER)
    inner_stop = -1
    paired = set(balanced.misspelt_ends)
    for opener, closer in _pairs(balanced.loose):
        if opener.start < inner_stop:
            continue  # inside another unknown element: part of its text
        paired |= {opener.start, closer.start}
        if bisect_right(edges, opener.start) != bisect_left(edges, closer.stop):
            balanced.dropped += [opener.span, closer.span]
            holds_people = bisect_left(people, opener.start) < bisect_left(people, closer.stop)
            balanced.found.append(_wrapper(opener, holds_people=holds_people))
            continue
        inner_stop = closer.stop
        balanced.nodes.append(Node(opener.name, None, opener.start, opener.stop, closer.start, closer.stop))
        balanced.found.append(_unknown(opener, "it was read as a further element", _hint(opener.name)))
    balanced.nodes.sort(key=lambda n: n.outer_start)
    balanced.dropped.sort()
    balanced.found += misspelt([t for t in tags if t.known is None and t.start not in paired])


def _pairs(loose: list[Loose]) -> list[tuple[Tag, Tag]]:
    """Openers with their closers, in order. An end tag that fits nothing makes all that is open in its block text."""
    pairs: list[tuple[Tag, Tag]] = []
    opened: dict[int, list[Tag]] = {}
    for tag, home in loose:
        if len(tag.name) < MIN_NAME or tag.form == "empty":
            continue
        waiting = opened.setdefault(home, [])
        if tag.form == "open":
            waiting.append(tag)
        elif waiting and waiting[-1].name == tag.name:
            pairs.append((waiting.pop(), tag))
        else:
            waiting.clear()
    return sorted(pairs, key=lambda pair: pair[0].start)


def _unknown(tag: Tag, how: str, hint: str) -> Diagnostic:
    message = f"<{tag.name}> is not an element of the prompt language; {how}"
    return Diagnostic(structure.UNKNOWN_ELEMENT, tag.span, message, hint)


def _wrapper(tag: Tag, *, holds_people: bool) -> Diagnostic:
    """Whatever is around characters, such as <scene>, is no block of the language."""
    delete = f"delete <{tag.name}> and its end tag"
    return _unknown(tag, "it was looked through", delete if holds_people else _hint(tag.name, delete))


def _hint(name: str, otherwise: str = "see docs/prompt-language.md") -> str:
    """What to write instead of an unknown element."""
    from newbie.prompt.outline import MEANT, NEGATIVE  # headings of lists, which most prompts have nothing to do with

    meant = _meant(name) or MEANT.get(name.lower(), "")
    if meant == NEGATIVE:
        return "what is not wanted goes into the negative prompt, --negative; here it is drawn like all else"
    return f"did you mean <{meant}>?" if lookup(meant) else otherwise


def _meant(name: str) -> str:
    """The element of which a name is a slip of the pen, a character with its number; or ""."""
    meant = similar(name)
    number = re.search(r"\d{1,4}\Z", name) if meant == CHARACTER else None
    return f"{meant}_{number[0]}" if number else meant


def misspelt(tags: list[Tag]) -> list[Diagnostic]:
    """Unpaired tags that look like a slip of the pen."""
    names = {t.name for t in tags if len(t.name) >= MIN_NAME}
    meant = {name: _meant(name) for name in sorted(names)[:_MAX_GUESSES]}
    rule = structure.MISSPELT_ELEMENT
    return [
        Diagnostic(
            rule, t.span, f"<{'/' * (t.form == 'close')}{t.name}> is read as text", f"did you mean <{meant[t.name]}>?"
        )
        for t in tags
        if meant.get(t.name)
    ]
