"""`bench report`: the tables and plots of benchmarks/README.md, made from the results."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from newbie.bench import plots, tables
from newbie.bench.results import Result, read_all
from newbie.errors import OutputError, UsageError

BEGIN, END = "<!-- results: made by `python -m newbie bench report` -->", "<!-- end of results -->"
_BETWEEN = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)


def run(results: Path, readme: Path, say: Callable[[str], None]) -> None:
    """Draw the plots beside `readme` and fill its tables.

    Raises:
        UsageError: no results, or no place for them in the file.
        OutputError: a file cannot be written.
    """
    found = ordered(read_all(results))
    try:
        text = readme.read_text(encoding="utf-8")
        drawn = plots.draw_all(found, readme.parent / "plots")
        readme.write_text(filled(text, found, {path.stem: f"plots/{path.name}" for path in drawn}), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{readme}: {error.strerror}", "name another file with --readme") from error
    say(f"{readme}: {len(found)} results, {len(drawn)} plots")


def filled(text: str, results: Sequence[Result], drawn: dict[str, str]) -> str:
    """A Markdown text with the sections between its two marks. Raises UsageError when the marks are missing."""
    if not _BETWEEN.search(text):
        raise UsageError(f"the README has no lines {BEGIN!r} and {END!r}", "put them where the tables shall stand")
    sections = "\n\n".join(tables.section(result, drawn.get(result.name, "")) for result in results)
    return _BETWEEN.sub(lambda _: f"{BEGIN}\n\n{sections}\n\n{END}", text)


def ordered(results: Sequence[Result]) -> list[Result]:
    """In the order of the benches, small before large. What scripts in benchmarks/ measured has no table here."""
    order = list(tables.TABLES)
    shown = [result for result in results if result.bench in order]
    return sorted(shown, key=lambda r: (order.index(r.bench), "cpu" in r.name, r.values.get("parameters", 0), r.name))
