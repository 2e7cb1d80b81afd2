"""What is said about a prompt before any time is spent on it. A prompt with errors is not drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newbie.cli.console import Console

if TYPE_CHECKING:
    from newbie.prompt import Reading


def look_at(reading: Reading, console: Console, *, force: bool = False) -> None:
    """Show what is odd about a prompt. Raises PromptError as `refuse` does."""
    console.diagnostics(reading)
    refuse(reading, force=force)


def refuse(reading: Reading, *, force: bool = False) -> None:
    """Raises PromptError, at the first of them, for a prompt with errors; with `force` never."""
    errors = [finding for finding in reading.diagnostics if finding.severity == "error"]
    if not errors or force:
        return
    source, span = reading.source.origin(errors[0].span)
    many = f" (the first of {len(errors)} errors)" if len(errors) > 1 else ""
    raise source.error(f"{errors[0].message}{many}", f"{errors[0].hint}; or draw it as it is: --force", span.start)
