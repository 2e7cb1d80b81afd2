"""Comments that tell the linter to be silent: `<!-- newbie: ignore NB304 -->`.

Such a comment speaks of its own line, or of the next one when nothing else stands in its line; `ignore-file` speaks of
the whole prompt. Several codes may follow one another. It is no part of the prompt: no encoder is given it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from newbie.prompt.diagnostics import Diagnostic
from newbie.prompt.rules.suppression import USELESS
from newbie.prompt.source import Source, Span

_COMMENT = re.compile(r"<!--\s*newbie\s*:\s*(?P<scope>ignore-file|ignore)\b(?P<codes>[^<>]*?)-->", re.IGNORECASE)


class Suppression(NamedTuple):
    """One such comment: its place, the codes it names, and the line it speaks of (0: all)."""

    span: Span
    codes: tuple[str, ...]
    line: int


def is_suppression(comment: str) -> bool:
    return _COMMENT.fullmatch(comment) is not None


def suppressed(found: Iterable[Diagnostic], source: Source) -> list[Diagnostic]:
    """The findings that nobody silenced, and the comments that silenced none. Errors cannot be silenced."""
    comments = _suppressions(source)
    if not comments:
        return list(found)
    speaking: dict[tuple[str, int], list[Suppression]] = {}
    for comment in comments:
        for code in comment.codes:
            speaking.setdefault((code, comment.line), []).append(comment)
    used: set[tuple[Span, str]] = set()
    left = []
    for finding in found:
        line = source.place(finding.span.start).line
        silent = [*speaking.get((finding.code, line), ()), *speaking.get((finding.code, 0), ())]
        if silent and finding.severity != "error":
            used |= {(comment.span, finding.code) for comment in silent}
        else:
            left.append(finding)
    return left + [_useless(c, code) for c in comments for code in c.codes or ("",) if (c.span, code) not in used]


def _useless(comment: Suppression, code: str) -> Diagnostic:
    message = f"this comment silences no {code}" if code else "this comment names no rule"
    return Diagnostic(USELESS, comment.span, message, "delete it" if code else "write the code of a rule behind ignore")


def _suppressions(source: Source) -> list[Suppression]:
    return [_suppression(match, source) for match in _COMMENT.finditer(source.text)]


def _suppression(match: re.Match[str], source: Source) -> Suppression:
    codes = tuple(re.findall(r"[^\s,]+", match["codes"].upper()))
    line = 0
    if match["scope"].lower() == "ignore":
        line = source.place(match.end() - 1).line
        line += source.line(line).strip() == match[0]  # alone in its line: it speaks of the next
    return Suppression(Span(*match.span()), codes, line)


def spans(text: str) -> list[Span]:
    """Where these comments stand, each with its line when it stands alone in it: what is left out of every text."""
    found = []
    for match in _COMMENT.finditer(text) if "<!--" in text else ():
        start, stop = match.span()
        line = text.rfind("\n", 0, start) + 1
        if not text[line:start].strip() and text.startswith("\n", stop):
            start, stop = line, stop + 1
        found.append(Span(start, stop))
    return found
