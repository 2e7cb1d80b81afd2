"""Text that does not fit into an encoder."""

from __future__ import annotations

from collections.abc import Iterator

from newbie.errors import PromptError
from newbie.prompt.diagnostics import Diagnostic, Rule
from newbie.prompt.elements import elements
from newbie.prompt.read import Reading, read
from newbie.prompt.render import Rendered, render
from newbie.prompt.rules.subject import Encoder, Subject
from newbie.prompt.source import Source, Span
from newbie.prompt.tokens import encoder_input

CUT_OFF = Rule(
    "NB501",
    "warning",
    "text that an encoder cuts off",
    "A text encoder reads a fixed number of tokens and nothing behind them. What is last in the prompt, often the "
    "caption, then draws nothing.",
    "1girl, solo" + ", blue_hair" * 60,
    "1girl, solo, blue_hair",
)
RULES = (CUT_OFF,)

NAMES = {"gemma": "Gemma", "jina": "Jina CLIP"}
_BEGINNING = 24 * 1024  # characters: more than 2,048 tokens, whatever the writing
_NAMED = 4  # elements that are listed in a message


def cut_off(subject: Subject) -> Iterator[Diagnostic]:
    audience = subject.audience
    if audience is None:
        return
    reading = _beginning(subject)
    try:
        rendered = render(reading, canonical=audience.canonical, system_prompt=audience.system_prompt)
    except PromptError:  # it is refused, and another rule says so; or it has too many tags in canonical layout
        return
    for encoder in audience.encoders:
        yield from _by(encoder, audience.name, rendered, reading, subject.source)


def _beginning(subject: Subject) -> Reading:
    """As much of the prompt as any encoder can read: of a very long text the rest need not be counted."""
    text = subject.source.text
    if len(text) <= _BEGINNING:
        return subject.reading
    try:
        return read(text[:_BEGINNING], negative=True)
    except PromptError:
        return subject.reading


def _by(encoder: Encoder, model: str, rendered: Rendered, reading: Reading, source: Source) -> Iterator[Diagnostic]:
    text = rendered.gemma if encoder.name == "gemma" else rendered.jina
    if len(text.text.encode()) + 2 <= encoder.limit:  # no token is shorter than a byte; two are special ones
        return
    given = encoder_input(text, encoder.encode(text.text), encoder.limit)
    if given.total <= given.limit:
        return
    places = {e.path: Span(e.start, e.stop) for e in elements(reading.scene)}
    lost = [span.path for span in given.lost if span.path in places]
    # The smallest pieces that are lost: not the block when it is known which of its elements.
    parents = {path.rpartition(sign)[0] for path in lost for sign in ".["}
    pieces = [path for path in lost if path not in parents]
    end = len(reading.source.text)
    more = f" and {len(pieces) - _NAMED} more" if len(pieces) > _NAMED else ""
    what = ", ".join(pieces[:_NAMED]) + more or "the end of the text"
    least = "more than " if end < len(source.text) else ""
    over = given.total - given.limit
    yield Diagnostic(
        CUT_OFF,
        min((places[path] for path in pieces), default=Span(end, end)),
        f"{NAMES[encoder.name]} of {model} reads {given.limit} of {least}{given.total} tokens; lost: {what}",
        f"shorten the prompt by {least}{over} tokens",
    )


CHECKS = (cut_off,)
