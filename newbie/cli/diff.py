"""`python -m newbie diff A B`: what two prompts say otherwise; with `--images`, what that does to the picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newbie.cli.args import add_model_flags, add_request_flags, model_choice, request_fields
from newbie.cli.console import Console
from newbie.cli.reuse import Reuse, Words
from newbie.cli.sources import Source, negative_text, resolve
from newbie.errors import UsageError
from newbie.flags import Parser
from newbie.prompt import Reading
from newbie.prompt.diff import Change, attribute_differences, differences
from newbie.request import Settings

if TYPE_CHECKING:
    from newbie.cli.draw import OpenEngine

DIFFERENT = 1
_COLOURS = {"+": "green", "-": "red"}


def parser() -> Parser:
    made = Parser(
        prog="python -m newbie diff",
        description="Compare what two prompts say, element by element. Layout does not count.",
        epilog="exit codes: 0 they say the same; 1 they do not; 3 a prompt cannot be read; others as create.py",
    )
    made.add_argument("before", metavar="A", help="a file, - for standard input, or the text itself")
    made.add_argument("after", metavar="B", help="what A is compared with, given in the same way")
    made.add_argument("--json", action="store_true", help="one JSON object")
    made.add_argument("--quiet", "-q", action="store_true", help="the exit code alone, or with --images the numbers")
    made.add_argument("--negative-prompts", action="store_true", help="A and B are negative prompts")
    pictures = made.add_argument_group("pictures")
    pictures.add_argument("--images", action="store_true", help="draw both with one seed and measure what changed")
    pictures.add_argument("--output", "-o", metavar="FOLDER", default="outputs", help="where they go; default: outputs")
    add_request_flags(pictures)
    add_model_flags(made.add_argument_group("model"))
    return made


def main(arguments: Sequence[str], *, opener: OpenEngine | None = None) -> int:
    """Exit code. `opener` takes the place of `Pipeline.open` in tests."""
    asked = vars(parser().strict(arguments))
    console = Console(quiet=asked["quiet"], json=asked["json"])
    sources = [_one(asked[side]) for side in ("before", "after")]
    before, after = (_read(source, negative=asked["negative_prompts"]) for source in sources)
    found = differences(before.scene, after.scene)
    found += attribute_differences(before, after, found)
    told: dict[str, Any] = {
        "before": sources[0].label,
        "after": sources[1].label,
        "same_text": before.source.text == after.source.text,
        "changes": [asdict_of(change) for change in found],
    }
    if not (asked["quiet"] or asked["json"]):
        _tell(console, sources, (before, after), found)
    if asked["images"]:
        from newbie.cli.pictures import compare

        fields = request_fields(asked)
        fields["negative"] = negative_text(fields.get("negative", ""))
        settings = Settings(**{name: asked[name] for name in asdict(Settings()) if name in asked})
        told["pictures"] = compare(
            (before, after),
            [source.stem for source in sources],
            fields,
            Path(asked["output"]).expanduser(),
            console,
            lambda: _engine(asked, settings, console, opener),
        )
    if asked["json"]:
        console.object(told)
    return DIFFERENT if found else 0


def _one(value: str) -> Source:
    sources = resolve(value)
    if len(sources) != 1:
        raise UsageError(f"{value} is {len(sources)} prompts", "diff compares one with one")
    return sources[0]


def _read(source: Source, *, negative: bool) -> Reading:
    """The prompt as it is drawn, with its character files in it."""
    return source.read(negative=True) if negative else Words.of(source, Reuse()).at(0).reading


def _engine(asked: dict[str, Any], settings: Settings, console: Console, opener: OpenEngine | None) -> Any:
    from newbie.cli.draw import open_engine

    return open_engine(model_choice(asked), settings, console, opener)


def _tell(console: Console, sources: Sequence[Source], readings: Sequence[Reading], found: list[Change]) -> None:
    if not found:
        same = readings[0].source.text == readings[1].source.text
        console.result("the two prompts are the same text" if same else "both say the same; only the layout differs")
        return
    console.result(f"--- {sources[0].label}", "red")
    console.result(f"+++ {sources[1].label}", "green")
    for change in found:
        for line in lines(change):
            console.result(line, _COLOURS.get(line[0], ""))
    if readings[0].dialect != readings[1].dialect:
        console.say(f"{sources[0].label} is {readings[0].dialect}, {sources[1].label} is {readings[1].dialect}")


def lines(change: Change) -> Iterator[str]:
    """A change as lines: `-` for what was, `+` for what is, `~` for what moved."""
    if change.how == "renumbered":
        yield f"~ {change.before[0]} is {change.after[0]} now, otherwise the same"
    elif change.how == "reordered":
        yield f"~ {change.path}: the order is now {', '.join(change.after)}"
    else:
        whole = " (all of it)" if change.how in ("added", "removed") else ""
        if change.before or change.how == "removed":
            yield f"- {change.path}{whole}: {', '.join(change.before)}"
        if change.after or change.how == "added":
            yield f"+ {change.path}{whole}: {', '.join(change.after)}"


def asdict_of(change: Change) -> dict[str, Any]:
    """For `--json`."""
    return {"how": change.how, "path": change.path, "before": list(change.before), "after": list(change.after)}
