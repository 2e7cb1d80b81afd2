"""Findings for programs: JSON objects, and the workflow commands of GitHub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from newbie.errors import PromptError
from newbie.prompt.diagnostics import Diagnostic
from newbie.prompt.rules.refusal import UNREADABLE
from newbie.prompt.source import Source

_LEVELS = {"error": "error", "warning": "warning", "info": "notice"}


def as_object(finding: Diagnostic, source: Source) -> dict[str, Any]:
    """A finding as a JSON object. Lines and columns count from 1, columns in characters; `end_column` is behind it."""
    origin, span = source.origin(finding.span)
    start, end = origin.place(span.start), origin.place(max(span.stop, span.start))
    return {
        "file": origin.name,
        "line": start.line,
        "column": start.column,
        "end_line": end.line,
        "end_column": end.column,
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "hint": finding.hint,
        "fixable": bool(finding.fix),
    }


def unreadable(error: PromptError) -> dict[str, Any]:
    """A prompt that could not be read, in the same form; line 0 is the whole file."""
    message = error.message.removeprefix(f"{error.name}: ").removeprefix(f"{error.name}:{error.line}:{error.column}: ")
    place = {"line": error.line, "column": error.column, "end_line": error.line, "end_column": error.column}
    said = {"code": UNREADABLE.code, "severity": UNREADABLE.severity, "message": message, "hint": error.hint}
    return {"file": error.name, **place, **said, "fixable": False}


def as_github(told: Mapping[str, Any]) -> str:
    """A finding as a line that GitHub shows beside the line it is about."""
    names = {"file": "file", "line": "line", "column": "col", "end_line": "endLine", "end_column": "endColumn"}
    place = ",".join(f"{to}={_escaped(str(told[name]), value=True)}" for name, to in names.items() if told[name])
    text = told["message"] + (f"\n{told['hint']}" if told["hint"] else "")
    return f"::{_LEVELS[told['severity']]} {place},title={told['code']}::{_escaped(text)}"


def _escaped(text: str, *, value: bool = False) -> str:
    for sign in "%\r\n" + (":," if value else ""):
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text
