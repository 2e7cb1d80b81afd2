"""The prompts of a request, read, and rendered as the encoders will get them: what is drawn, and what is explained."""

from __future__ import annotations

from typing import NamedTuple

from newbie.prompt.read import Reading, read
from newbie.prompt.render import RenderedPair, render_pair
from newbie.request import Request


class Prompt(NamedTuple):
    """What the encoders are given for one request."""

    reading: Reading
    negative: Reading | None
    rendered: RenderedPair


def understood(request: Request, reading: Reading | None = None) -> Prompt:
    """Read both prompts of a request; `reading` is that of the first where somebody has it already.

    Raises:
        PromptError: a prompt cannot be read, or will not be drawn.
    """
    reading = read(request.prompt) if reading is None else reading
    negative = read(request.negative, name="negative prompt", negative=True) if request.negative else None
    rendered = render_pair(
        reading,
        negative,
        mode=request.prompt_mode,
        canonical=bool(request.canonical),
        system_prompt=request.system_prompt,
        unescape_parentheses=request.unescape_parentheses,
        read_weights=request.weights,
    )
    return Prompt(reading, negative, rendered)
