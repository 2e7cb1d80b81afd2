"""`python -m newbie fmt`: prompt files in canonical layout, with their comments."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from newbie.cli.console import Console, report
from newbie.cli.files import as_in_file, write_whole
from newbie.cli.sources import Source, resolve
from newbie.errors import PromptError
from newbie.flags import Parser
from newbie.prompt.format import foreign, formatted

CHANGED = 1  # exit code of --check and --diff
_COLOURS = {"+": "green", "-": "red", "@": "blue"}


def parser() -> Parser:
    made = Parser(
        prog="python -m newbie fmt",
        description="Write prompt files in canonical layout. What they mean, comments and attributes stay.",
        epilog="exit codes: 0 fine; 1 with --check or --diff: something would change; 3 a prompt cannot be read",
    )
    made.add_argument("prompts", nargs="+", metavar="FILE|FOLDER|-|TEXT", help="text and - go to standard output")
    made.add_argument("--check", action="store_true", help="write nothing; say what would change")
    made.add_argument("--diff", action="store_true", help="write nothing; show what would change")
    made.add_argument("--negative", action="store_true", help="these are negative prompts")
    made.add_argument("--quiet", "-q", action="store_true", help="say nothing about files that were formatted")
    return made


def main(arguments: Sequence[str]) -> int:
    """Exit code. A file that cannot be read does not keep the others from being formatted."""
    asked = parser().strict(arguments)
    console = Console(quiet=asked.quiet)
    run = _Run(console, check=asked.check, diff=asked.diff, negative=asked.negative)
    for source in [source for value in asked.prompts for source in resolve(value)]:
        try:
            run.format(source)
        except PromptError as error:
            run.code = report(error, console)
    run.tell()
    if run.code:
        return run.code
    return CHANGED if run.changed and (asked.check or asked.diff) else 0


@dataclass
class _Run:
    console: Console
    check: bool
    diff: bool
    negative: bool
    changed: int = 0
    same: int = 0
    code: int = 0

    def format(self, source: Source) -> None:
        reading = source.read(negative=self.negative)
        after = formatted(reading)
        before = reading.source.text
        data = source.path.read_bytes() if source.path else None
        wanted = as_in_file(after, data or b"")
        if why := foreign(reading):
            self.console.say(f"left as it is: {source.label} is {why}; python -m newbie convert reads it")
        elif data == wanted if data is not None else before == after:
            self.same += 1
        else:
            self.changed += 1
            self._tell_change(source, before, after)
        if self.check or self.diff:
            return
        if source.path is None:
            self.console.exact(after)
        elif data != wanted:
            write_whole(source.path, wanted)

    def _tell_change(self, source: Source, before: str, after: str) -> None:
        if self.diff:
            for line in _unified(before, after, source.label):
                self.console.result(line, _COLOURS.get(line[:1], ""))
        elif self.check:
            self.console.result(f"would be formatted: {source.label}")
        elif source.path is not None:
            self.console.say(f"formatted {source.path}")

    def tell(self) -> None:
        """One line about all files."""
        verb = "would change" if self.check or self.diff else "formatted"
        self.console.say(f"{self.changed} {verb}, {self.same} in canonical layout already")


def _unified(before: str, after: str, name: str) -> Iterator[str]:
    return difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"{name}, as it is", f"{name}, formatted", lineterm=""
    )
