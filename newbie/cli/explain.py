"""`python -m newbie explain` and `create.py --explain`: what each encoder is given, to the token. Nothing is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from newbie.cli.args import Asked, add_request_flags, request_fields
from newbie.cli.console import Console, report
from newbie.cli.encoders import BUNDLED, ENCODERS, recommended_by, tokenizers_of
from newbie.cli.reuse import Words, add_reuse_flags, reuse_of
from newbie.cli.sources import negative_text, resolve
from newbie.errors import PromptError
from newbie.flags import Parser
from newbie.prompt import EncoderInput, EncoderText, Reading, Rendered, encoder_input
from newbie.prompt.asked import understood
from newbie.prompt.explain import Speaker, rows, speakers, unread
from newbie.prompt.lint import lint
from newbie.regions.boxes import boxes
from newbie.regions.sketch import sketch
from newbie.request import Request, Settings

if TYPE_CHECKING:
    from newbie.cli.draw import OpenEngine
    from newbie.text.tokens import Kind, Tokenizer

FIELDS = (
    "negative",
    "canonical",
    "system_prompt",
    "prompt_mode",
    "unescape_parentheses",
    "weights",
    "regions",
    "size",
    "width",
    "height",
)

_SEED = 0  # of choices between words, where --expand-seed gives none

Given = dict[str, EncoderInput]  # by encoder


class Explained(NamedTuple):
    """One prompt and what each side of it gives to each encoder."""

    label: str
    reading: Reading
    sides: Mapping[str, Given]
    shape: float = 1.0  # of the picture: width / height


# ---- python -m newbie explain: tokenizers alone, no networks


def parser() -> Parser:
    made = Parser(
        prog="python -m newbie explain",
        description="Show what the text encoders are given: text, tokens per element, what is cut off, whose words.",
        epilog="exit codes: 0 fine; 3 a prompt cannot be read; 4 no tokenizer",
    )
    made.add_argument("prompts", nargs="+", metavar="FILE|FOLDER|TEXT|-")
    made.add_argument("--model", "-m", metavar="FOLDER", help="whose tokenizers; default: newbie-mini")
    made.add_argument("--tags", action="store_true", help="count the tokens of every single tag")
    made.add_argument("--json", action="store_true", help="one JSON object per prompt")
    add_request_flags(made.add_argument_group("as for create.py"), FIELDS)
    add_reuse_flags(made.add_argument_group("reuse, as for create.py"))
    return made


def main(arguments: Sequence[str]) -> int:
    """Exit code. A prompt that cannot be read does not keep the others from being explained."""
    asked = parser().strict(arguments)
    console = Console(json=asked.json)
    folder = Path(asked.model).expanduser() if asked.model else BUNDLED
    tokenizers = tokenizers_of(folder)
    fields = request_fields(vars(asked))
    fields["negative"] = negative_text(fields.get("negative", ""))
    reuse = reuse_of(vars(asked))
    code = 0
    for source in [source for value in asked.prompts for source in resolve(value)]:
        try:
            reading = Words.of(source, reuse).at(_SEED).reading
            request = Request(prompt=reading.source.text, **fields).resolved(recommended_by(folder))
            console.findings(lint(reading), reading.source)
            explained = Explained(source.label, reading, _sides(reading, request, tokenizers), _shape(request))
        except PromptError as error:
            code = report(error, console)
            continue
        show(explained, console, single_tags=asked.tags)
    return code


def _sides(reading: Reading, request: Request, tokenizers: Mapping[Kind, Tokenizer]) -> dict[str, Given]:
    pair = understood(request, reading).rendered

    def given(rendered: Rendered) -> Given:
        texts: dict[Kind, EncoderText] = {"gemma": rendered.gemma, "jina": rendered.jina}
        return {
            name: encoder_input(texts[name], tokenizer.encode(texts[name].text), ENCODERS[name][1])
            for name, tokenizer in tokenizers.items()
        }

    return {"prompt": given(pair.positive), "negative prompt": given(pair.negative)}


# ---- create.py --explain: the model that would draw


def explain(requests: Sequence[tuple[str, Request]], asked: Asked, console: Console, opener: OpenEngine | None) -> None:
    """Show every request as the model that would draw it reads it.

    Raises:
        PromptError: a prompt that would not be drawn either.
    """
    from newbie.cli.draw import open_engine

    engine: Any = open_engine(asked.model, Settings(**asked.settings), console, opener)
    for label, request in requests:
        whole = request.resolved(engine.recommended)
        prompt = engine.read(whole)
        given = engine.text.inputs([prompt.rendered.positive, prompt.rendered.negative])
        sides = dict(zip(("prompt", "negative prompt"), given, strict=True))
        show(Explained(label, prompt.reading, sides, _shape(whole)), console, single_tags=True)


# ---- both


def _shape(request: Request) -> float:
    """Width / height of the picture."""
    return (request.width or 1) / (request.height or 1)


def show(explained: Explained, console: Console, *, single_tags: bool = False) -> None:
    """Print it, or one JSON object of it."""
    if console.json:
        console.object(as_object(explained))
        return
    for side, given in explained.sides.items():
        if side != "prompt" and not any(row.text for row in given.values()):
            continue
        label = f"{explained.label}: {side}"
        for encoder, row in given.items():
            console.result(f"== {label}, {encoder}: {row.total} of {row.limit} tokens", "bold")
            console.result(row.text or "(empty)")
        if table := list(_table(given, single_tags)):
            console.result(f"== {label}: tokens of each element", "bold")
            for line in table:
                console.result(line)
        _tell_cut(given, console)
    _show_people(explained, console)
    _show_areas(explained, console)


def _table(given: Given, single_tags: bool) -> Iterable[str]:
    found = rows(given, single_tags=single_tags)
    if found:
        yield "  ".join([*(f"{name:>6}" for name in given), "element"])
    width = max((2 * row.depth + len(row.path) for row in found), default=0)
    for row in found:
        counts = ["" if row.tokens[name] is None else str(row.tokens[name]) for name in given]
        path = "  " * row.depth + row.path
        cut = f"  (cut off: {', '.join(row.cut)})" if row.cut else ""
        weight = f"  (weight {row.weight:g})" if row.weight != 1 else ""
        yield "  ".join([*(f"{count:>6}" for count in counts), f"{path:<{width}}  {row.words}"]).rstrip() + weight + cut


def _tell_cut(given: Given, console: Console) -> None:
    for encoder, row in given.items():
        if end := unread(row):
            lost = ", ".join(dict.fromkeys(span.path for span in row.lost))
            console.warn(f"{encoder} reads {row.limit} of {row.total} tokens; these fall off the end: {lost or 'text'}")
            console.warn(f"not read by {encoder}: {end}")


def _show_people(explained: Explained, console: Console) -> None:
    """Whose words are whose, and where everybody stands."""
    said = [each for each in speakers(explained.reading.scene) if each.words]
    if any(each.path for each in said):
        console.result(f"== {explained.label}: whose words", "bold")
        for each in said:
            console.result(f"{_who(each)}: {', '.join(each.words)}")


def _show_areas(explained: Explained, console: Console) -> None:
    """Where everybody stands: boxes that are written, and what position words and order say."""
    found = boxes(explained.reading)
    if found:
        console.result(f"== {explained.label}: areas", "bold")
        for line in sketch(found, explained.shape):
            console.result(line)
        if not all(box.explicit for box in found.values()):
            console.say("areas that words and order speak of act with --regions auto")


def _who(speaker: Speaker) -> str:
    return speaker.path or "nobody in particular"


def as_object(explained: Explained) -> dict[str, Any]:
    """For `--json`."""
    texts = {
        f"{side} texts": {
            encoder: {
                "text": row.text,
                "tokens": row.total,
                "limit": row.limit,
                "elements": [{"path": s.path, "start": s.start, "stop": s.stop} for s in row.spans],
                "lost": [span.path for span in row.lost],
                "unread": unread(row),
            }
            for encoder, row in given.items()
        }
        for side, given in explained.sides.items()
    }
    words = {_who(each): list(each.words) for each in speakers(explained.reading.scene)}
    areas = {path: box._asdict() for path, box in boxes(explained.reading).items()}
    return {"prompt": explained.label, **texts, "words": words, "areas": areas}
