"""Text that does not fit into an encoder."""

from __future__ import annotations

from collections.abc import Iterator

from newbie.errors import PromptRefused
from newbie.prompt.diagnostics import Diagnostic, Rule
from newbie.prompt.elements import elements
from newbie.prompt.render import Rendered, render
from newbie.prompt.rules.subject import Encoder, Subject
from newbie.prompt.source import Span
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
_NAMED = 4  # elements that are listed in a message


def cut_off(subject: Subject) -> Iterator[Diagnostic]:
    if not subject.encoders:
        return
    try:
        rendered = render(subject.reading)
    except PromptRefused:  # another rule says so
        return
    for encoder in subject.encoders:
        yield from _of(encoder, rendered, subject)


def _of(encoder: Encoder, rendered: Rendered, subject: Subject) -> Iterator[Diagnostic]:
    text = rendered.gemma if encoder.name == "gemma" else rendered.jina
    if len(text.text.encode()) + 2 <= encoder.limit:  # no token is shorter than a byte
        return
    given = encoder_input(text, encoder.encode(text.text), encoder.limit)
    if given.total <= given.limit:
        return
    places = {e.path: Span(e.start, e.stop) for e in elements(subject.reading.scene)}
    lost = [span.path for span in given.lost if span.path in places]
    # The smallest pieces that are lost: not the block when it is known which of its elements.
    pieces = [p for p in lost if not any(q != p and q.startswith((p + ".", p + "[")) for q in lost)]
    end = len(subject.source.text)
    place = min((places[path] for path in pieces), default=Span(end, end))
    more = f" and {len(pieces) - _NAMED} more" if len(pieces) > _NAMED else ""
    what = ", ".join(pieces[:_NAMED]) + more or "the end of the text"
    message = f"{NAMES[encoder.name]} reads {given.limit} of {given.total} tokens; lost: {what}"
    yield Diagnostic(CUT_OFF, place, message, f"shorten the prompt by {given.total - given.limit} tokens")


CHECKS = (cut_off,)
