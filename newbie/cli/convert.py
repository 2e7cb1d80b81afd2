"""`python -m newbie convert`: one dialect into another, and what is lost on the way."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from newbie.cli.console import Console
from newbie.cli.files import write_whole
from newbie.cli.sources import negative_text, resolve
from newbie.errors import UsageError
from newbie.flags import Parser
from newbie.prompt.convert import DIALECTS, Converted, convert
from newbie.prompt.read import read
from newbie.request import SAMPLERS

LOSES = 1  # exit code of --strict
_CODES = "exit codes: 0 fine; 1 with --strict: something is lost; 3 the prompt cannot be read"
# Settings of the web UI and the flags of create.py that mean the same.
_FLAGS = {"Steps": "--steps", "CFG scale": "--cfg-scale", "Seed": "--seed", "Size": "--size"}


def parser() -> Parser:
    width = max(map(len, DIALECTS))
    rows = [f"  {name:<{width}}  {each.about}" for name, each in DIALECTS.items()]
    made = Parser(
        prog="python -m newbie convert",
        description="Write a prompt in another dialect. What cannot be said there is told on standard error.",
        epilog="\n".join(["dialects:", *rows, "", _CODES]),
    )
    made.add_argument("prompt", metavar="FILE|TEXT|-")
    made.add_argument("--to", metavar="DIALECT", help="what to write, see below; must be given")
    made.add_argument("--from", dest="source", default="auto", metavar="DIALECT", help="default: look at the prompt")
    made.add_argument("--output", "-o", metavar="FILE", help="default: standard output")
    made.add_argument("--beside", default="", metavar="TEXT|FILE", help="a negative prompt to write into a1111")
    made.add_argument("--negative", action="store_true", help="this is a negative prompt")
    made.add_argument(
        "--unescape-parentheses", action="store_true", help=r"read \( of an XML prompt or a list as a plain parenthesis"
    )
    made.add_argument("--strict", action="store_true", help="exit with 1 when something is lost")
    made.add_argument("--json", action="store_true", help="text, losses and notes as one JSON object")
    made.add_argument("--quiet", "-q", action="store_true", help="leave notes out; losses are always told")
    return made


def main(arguments: Sequence[str]) -> int:
    """Exit code."""
    asked = parser().strict(arguments)
    if asked.to is None:
        raise UsageError("convert was not told what to write", f"add --to and one of {', '.join(DIALECTS)}")
    console = Console(quiet=asked.quiet, json=asked.json)
    sources = resolve(asked.prompt)
    if len(sources) != 1:
        raise UsageError(f"{asked.prompt} is {len(sources)} prompts", "convert takes one at a time")
    reading = sources[0].read(negative=True)  # `convert` looks at the prompt itself, without a negative prompt below it
    if asked.unescape_parentheses:
        plain = reading.source.text.replace("\\(", "(").replace("\\)", ")")
        reading = read(plain, name=reading.source.name, negative=True)
    beside = negative_text(asked.beside, "--beside")
    made = convert(reading, asked.to, source=asked.source, beside=beside, is_negative=asked.negative)
    if asked.output:
        write_whole(Path(asked.output), made.text.encode())
    if asked.json:
        console.object(
            {"from": made.source, "to": made.target, "text": made.text, "lost": made.lost, "notes": made.notes}
        )
    else:
        if not asked.output:
            console.exact(made.text)
        _tell(console, made)
    return LOSES if asked.strict and made.lost else 0


def _tell(console: Console, made: Converted) -> None:
    console.say(f"from {made.source} to {made.target}" + ("" if made.lost else ": nothing is lost"))
    for lost in made.lost:
        console.warn(f"lost: {lost}")
    for note in made.notes:
        console.say(f"note: {note}")
    if made.target != "a1111" and (flags := create_flags(made)):
        console.say(f"note: draw it with {flags}")


def create_flags(made: Converted) -> str:
    """The flags of create.py for what a dialect says beside the prompt."""
    settings = made.settings or {}
    words = ["--negative", made.negative] if made.negative else []
    words += [word for name, flag in _FLAGS.items() if name in settings for word in (flag, settings[name])]
    sampler = settings.get("Sampler", "").lower()
    return shlex.join([*words, "--sampler", sampler] if sampler in SAMPLERS else words)
