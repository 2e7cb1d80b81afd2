"""Format a prompt file: canonical layout, and nothing lost that its author typed on purpose.

The canonical layout is what a text encoder can be given; it has no comments, no attributes and no system prompt. A file
that people keep has them: comments go on lines of their own in front of the element they stood in or before, attributes
stay with their element, a pasted system prompt and the final line end stay as they are. Formatting what is formatted
changes nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict

from newbie.errors import NewbieError
from newbie.prompt import dialect
from newbie.prompt.canonical import Line, layout
from newbie.prompt.meaning import meaning
from newbie.prompt.read import Reading, read
from newbie.prompt.scan import Scanned, attributes_at, attributes_text, scan
from newbie.prompt.source import Span


def formatted(reading: Reading) -> str:
    """The text of a prompt in canonical layout. A JSON wrapper is returned as it is: the model reads its characters.

    Raises:
        NewbieError: a bug of ours; the formatted text would mean something else, so it is not handed out.
    """
    scanned = scan(reading.source)
    if dialect.is_json(scanned.view):
        return reading.source.text
    lines = list(layout(reading.scene, lambda place: _attributes(scanned, place)))
    body = "\n".join(_with_comments(lines, _comments(reading, scanned)))
    ending = "\n" if "\n" in reading.body[len(reading.body.rstrip()) :] else ""
    blanks = reading.body[: len(reading.body) - len(reading.body.lstrip())] if reading.system_prompt and body else ""
    text = reading.system_prompt + blanks + body + ending
    after = read(text, name=reading.source.name, negative=True)
    if meaning(after.scene) != meaning(reading.scene):
        raise NewbieError(
            f"{reading.source.name}: formatted, it would mean something else", "please report this prompt"
        )
    return text


def _attributes(scanned: Scanned, place: Span) -> str:
    return "" if place.empty else attributes_text(attributes_at(scanned.view, place.start))


def _comments(reading: Reading, scanned: Scanned) -> list[tuple[int, str]]:
    """Every whole comment behind the system prompt: where it stands, and its text."""
    text = reading.source.text
    return [(span.start, text[span.start : span.stop]) for span in scanned.comments if span.start >= reading.body_start]


def _with_comments(lines: list[Line], comments: list[tuple[int, str]]) -> list[str]:
    """The lines with each comment in front of the line that stands for its place, or for the next place behind it."""
    before: defaultdict[int, list[str]] = defaultdict(list)
    ends = sorted((span.stop, i) for i, line in enumerate(lines) for span in line.places)
    for at, comment in comments:
        found = bisect_right(ends, (at, len(lines)))  # places do not overlap: the first that ends behind the comment
        before[ends[found][1] if found < len(ends) else len(lines)].append(comment)
    return [text for i in range(len(lines) + 1) for text in (*before[i], *(line.text for line in lines[i : i + 1]))]
