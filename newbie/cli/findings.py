"""What is said about a prompt before any time is spent on it. A prompt with errors is not drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from newbie.cli.console import Console

if TYPE_CHECKING:
    from newbie.prompt import Diagnostic, Reading, Source
    from newbie.prompt.rules.subject import Audience


def look_at(reading: Reading, console: Console, *, force: bool = False, audience: Audience | None = None) -> None:
    """Show what the linter finds. Raises PromptError as `refuse` does."""
    from newbie.prompt.lint import lint  # not for --help

    found = lint(reading, audience=audience)
    console.findings(found, reading.source)
    _refuse(found, reading.source, force)


def refuse(reading: Reading, *, force: bool = False) -> None:
    """Raises PromptError, at the first of them, for a prompt with errors; with `force` never."""
    from newbie.prompt.lint import lint

    _refuse(lint(reading), reading.source, force)


def _refuse(found: Sequence[Diagnostic], source: Source, force: bool) -> None:
    errors = [finding for finding in found if finding.severity == "error"]
    if not errors or force:
        return
    source, span = source.origin(errors[0].span)
    many = f" (the first of {len(errors)} errors)" if len(errors) > 1 else ""
    raise source.error(f"{errors[0].message}{many}", f"{errors[0].hint}; or draw it as it is: --force", span.start)
