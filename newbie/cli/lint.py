"""`python -m newbie lint`: what is odd about prompts, before any time is spent on drawing them.

Findings go to standard output, for people, as JSON lines, or as GitHub's workflow commands; the summary and what cannot
be read go to standard error.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from newbie.cli.console import Console, report
from newbie.cli.encoders import BUNDLED, audience
from newbie.cli.formats import as_github, as_object, unreadable
from newbie.cli.sources import Source, resolve
from newbie.errors import OutputError, PromptError, UsageError, WeightsError
from newbie.flags import Parser
from newbie.prompt import Reading, read
from newbie.prompt.diagnostics import Diagnostic, Rule
from newbie.prompt.lint import fixed, lint
from newbie.prompt.rules.subject import Audience
from newbie.prompt.rules.table import RULES
from newbie.prompt.vocabulary import Vocabulary, bundled

FOUND, UNREADABLE = 1, 3  # exit codes
_PARTS = re.compile(r"\bsrc\s*=|\{|__", re.IGNORECASE)  # what newbie.prompt.reuse may have something to say about


def parser() -> Parser:
    made = Parser(
        prog="python -m newbie lint",
        description="Say what is odd about prompts: mistakes in the structure, misspelt tags, contradictions, counts.",
        epilog="exit codes: 0 nothing found; 1 findings; 2 usage; 3 a file cannot be read",
    )
    made.add_argument("files", nargs="*", metavar="FILE|FOLDER|-")
    made.add_argument("--explain", metavar="CODE", help="what a rule finds and why; all: every rule in a line")
    made.add_argument(
        "--format", choices=("text", "json", "github"), default="text", help="json: an object per finding"
    )
    made.add_argument("--fix", action="store_true", help="correct what can be corrected without changing the meaning")
    made.add_argument("--ignore", action="append", default=[], metavar="CODE,…", help="leave these rules out")
    made.add_argument("--negative", action="store_true", help="these are negative prompts: they name what is unwanted")
    made.add_argument("--vocabulary", metavar="FILE", help="know the tags of this CSV file too; it is read once")
    made.add_argument("--model", "-m", metavar="FOLDER", help="whose tokenizers count; default: newbie-mini")
    made.add_argument("--quiet", "-q", action="store_true", help="no summary")
    return made


def main(arguments: Sequence[str]) -> int:
    """Exit code. A file that cannot be read does not keep the others from being looked at."""
    asked = parser().strict(arguments)
    console = Console(json=asked.format == "json", quiet=asked.quiet)
    if asked.explain:
        explain(asked.explain, console)
        return 0
    if not asked.files:
        raise UsageError("lint was given no file", "python -m newbie lint prompts/, or - for standard input")
    linter = _Linter(
        console,
        style=asked.format,
        fix=asked.fix,
        negative=asked.negative,
        ignored=frozenset(_codes(asked.ignore)),
        vocabulary=_vocabulary(asked.vocabulary),
        audience=_audience(asked.model),
    )
    for source in [source for value in asked.files for source in _sources(value)]:
        linter.look_at(source)
    return linter.end()


@dataclass
class _Linter:
    """What was asked for, and what was found so far."""

    console: Console
    style: str
    fix: bool
    negative: bool
    ignored: frozenset[str]
    vocabulary: Vocabulary
    audience: Audience | None
    found: Counter[str] = field(default_factory=Counter)  # severities, "fixable", "corrected", "unreadable"

    def look_at(self, source: Source) -> None:
        try:
            typed = source.read(negative=True)  # a refusal is a finding here, with its place
            if self.fix:
                typed = self._corrected(typed, source)
            reading = typed if self.negative else _put_together(typed, source.path)
        except PromptError as error:
            self.found["unreadable"] += 1
            self._tell_unreadable(error)
            return
        for finding in lint(reading, vocabulary=self.vocabulary, audience=self.audience, negative=self.negative):
            if finding.code not in self.ignored:
                self._tell(finding, reading, typed)

    def _corrected(self, typed: Reading, source: Source) -> Reading:
        """The prompt with what can be corrected corrected, in its file too."""
        after = fixed(typed, vocabulary=self.vocabulary, negative=self.negative, ignored=self.ignored)
        self.found["corrected"] += after.corrected
        if source.path is None:
            self.console.exact(after.text)
        elif after.corrected:
            _write_back(source.path, typed.source.text, after.text)
        return read(after.text, name=typed.source.name, negative=True)

    def _tell(self, finding: Diagnostic, reading: Reading, typed: Reading) -> None:
        self.found[finding.severity] += 1
        here = reading.source.origin(finding.span)[0].name == typed.source.name  # a character file is a file of its own
        self.found["fixable"] += bool(finding.fix) and here
        if self.style == "json":
            self.console.object(as_object(finding, reading.source))
        elif self.style == "github":
            self.console.result(as_github(as_object(finding, reading.source)))
        else:
            self.console.finding(finding, reading.source)

    def _tell_unreadable(self, error: PromptError) -> None:
        if self.style == "json":
            self.console.object(unreadable(error))
        elif self.style == "github":
            self.console.result(as_github(unreadable(error)))
        else:
            report(error, self.console)

    def end(self) -> int:
        """Say how much was found, and give the exit code."""
        kinds = [kind for kind in ("error", "warning", "info") if self.found[kind]]
        counts = ", ".join(f"{self.found[kind]} {kind}{'s' if self.found[kind] > 1 else ''}" for kind in kinds)
        said = [counts] if counts else []
        if self.found["corrected"]:
            said.append(f"{self.found['corrected']} corrected")
        elif self.found["fixable"] and not self.fix:
            said.append(f"--fix corrects {self.found['fixable']}")
        if said:
            self.console.say("; ".join(said))
        if self.found["unreadable"]:
            return UNREADABLE
        return FOUND if kinds else 0


# ---- what was asked for


def _sources(value: str) -> list[Source]:
    """The prompts that an argument means. It is always a file, a folder or `-`, never the prompt itself."""
    path = Path(value).expanduser()
    if value == "-" or path.is_dir() or (not path.exists() and ("*" in value or "?" in value)):
        return resolve(value)
    return [Source(stem=path.stem, path=path)]


def _codes(values: Sequence[str]) -> Iterator[str]:
    for code in ",".join(values).split(","):
        if code.strip():
            rule = _rule(code)
            if rule.severity == "error":
                raise UsageError(f"{rule.code} cannot be left out: it is an error", "correct the prompt")
            yield rule.code


def _rule(code: str) -> Rule:
    rule = RULES.get(code.strip().upper())
    if rule is None:
        close = difflib.get_close_matches(code.strip().upper(), RULES, 1)
        hint = f"did you mean {close[0]}?" if close else "--explain all lists them"
        raise UsageError(f"there is no rule {code.strip()}", hint)
    return rule


def _vocabulary(value: str | None) -> Vocabulary:
    if value is None:
        return bundled()
    import platformdirs

    from newbie.prompt.vocabulary.community import read_list

    cache = platformdirs.user_cache_path("newbie", appauthor=False)
    return bundled().with_list(*read_list(Path(value).expanduser(), cache))


def _audience(value: str | None) -> Audience | None:
    found = audience(Path(value).expanduser() if value else BUNDLED)
    if value and found is None:
        raise WeightsError(f"{value} has no folder text_encoder", "name a model folder in the official layout")
    return found


def _put_together(typed: Reading, path: Path | None) -> Reading:
    """The prompt with its character files in their places."""
    if not _PARTS.search(typed.source.text):
        return typed
    from newbie.prompt.reuse import Ingredients, expand  # few prompts need it, and lint has to start at once

    return expand(typed, Ingredients(prompt=path), negative=True).reading


# ---- --fix


def _write_back(path: Path, before: str, after: str) -> None:
    """Write a corrected text with the line ends and the byte order mark that the file has. Raises OutputError."""
    from newbie.cli.files import as_in_file, write_whole

    data = path.read_bytes()
    if as_in_file(before, data) != data:
        raise OutputError(f"{path} has lines that end in different ways; it was not corrected", "save it with one kind")
    write_whole(path, as_in_file(after, data))


# ---- --explain


def explain(code: str, console: Console) -> None:
    """Print what a rule is about, or a line for each. Raises UsageError: no such rule."""
    import textwrap

    if code.lower() == "all":
        for rule in RULES.values():
            console.result(f"{rule.code}  {rule.severity:<7}  {rule.about}")
        return
    rule = _rule(code)
    console.result(f"{rule.code} ({rule.severity}): {rule.about}", "bold")
    console.result("\n" + textwrap.fill(rule.why, 100))
    for title, text in (("Example:", rule.example), ("Instead:", rule.instead)):
        console.result(f"\n{title}\n" + textwrap.indent(text, "    "))
    if is_fixable(rule):
        console.result("\n--fix corrects it.")


def is_fixable(rule: Rule) -> bool:
    """Whether `--fix` corrects the rule's own example."""
    try:
        found: Any = lint(read(rule.example, negative=True))
    except PromptError:
        return False
    return any(finding.code == rule.code and finding.fix for finding in found)
