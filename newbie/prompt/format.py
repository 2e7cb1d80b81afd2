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
from newbie.prompt import dialect, infotext
from newbie.prompt.canonical import Line, layout
from newbie.prompt.meaning import meaning
from newbie.prompt.read import Reading, read
from newbie.prompt.scan import Scanned, attributes_at, attributes_text, scan
from newbie.prompt.source import Span
from newbie.prompt.suppress import is_suppression


def formatted(reading: Reading) -> str:
    """The text of a prompt in canonical layout; what `foreign` names is returned as it is.

    Raises:
        NewbieError: a bug of ours; the formatted text would mean something else, so it is not handed out.
    """
    if foreign(reading):
        return reading.source.text
    scanned = scan(reading.source)
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


def foreign(reading: Reading) -> str:
    """Why a prompt has no canonical layout: the form of another program, whose lines matter; "" if it is ours."""
    if not infotext.parts(reading.body).bare:
        return "a web UI's prompt with its negative prompt or its settings"
    if reading.dialect == "outline":
        return "a list with headings; python -m newbie convert --to xml makes elements of them"
    return "JSON" if dialect.is_json(scan(reading.source).view) else ""


def _attributes(scanned: Scanned, place: Span) -> str:
    return "" if place.empty else attributes_text(attributes_at(scanned.view, place.start))


def _comments(reading: Reading, scanned: Scanned) -> list[tuple[int, str]]:
    """Every whole comment behind the system prompt: where it stands, and its text.

    A comment to the linter speaks of its own line, so behind an element it goes where that element goes.
    """
    text, found = reading.source.text, []
    for span in scanned.comments:
        if span.start >= reading.body_start:
            comment, at = text[span.start : span.stop], span.start
            if is_suppression(comment):
                line = text.rfind("\n", 0, at) + 1
                before = scanned.view[line:at].rstrip()
                at = line + len(before) - 1 if before else at
            found.append((at, comment))
    return found


def _with_comments(lines: list[Line], comments: list[tuple[int, str]]) -> list[str]:
    """The lines with each comment in front of the line that stands for its place, or for the next place behind it."""
    before: defaultdict[int, list[str]] = defaultdict(list)
    ends = sorted((span.stop, i) for i, line in enumerate(lines) for span in line.places)
    for at, comment in comments:
        found = bisect_right(ends, (at, len(lines)))  # places do not overlap: the first that ends behind the comment
        before[ends[found][1] if found < len(ends) else len(lines)].append(comment)
    return [text for i in range(len(lines) + 1) for text in (*before[i], *(line.text for line in lines[i : i + 1]))]
