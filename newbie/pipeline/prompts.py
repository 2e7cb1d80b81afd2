"""Stage 1: the prompts of a request, read, and rendered as the encoders will get them. Runs no network."""

from __future__ import annotations

from typing import NamedTuple

from newbie.prompt import Reading, RenderedPair, read, render_pair
from newbie.request import Request


class Prompt(NamedTuple):
    """What the encoders are given for one request."""

    reading: Reading
    negative: Reading | None
    rendered: RenderedPair


def understood(request: Request) -> Prompt:
    """Read both prompts of a request.

    Raises:
        PromptError: a prompt cannot be read, or will not be drawn.
    """
    reading = read(request.prompt)
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
