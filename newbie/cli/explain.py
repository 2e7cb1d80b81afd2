"""`--explain`: what each encoder would be given, to the token, and what falls off its end. Nothing is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from newbie.cli.args import Asked
from newbie.cli.console import Console
from newbie.request import Request, Settings

if TYPE_CHECKING:
    from newbie.cli.draw import OpenEngine


def explain(requests: Sequence[tuple[str, Request]], asked: Asked, console: Console, opener: OpenEngine | None) -> None:
    """Print the texts of every request (or one JSON object for each).

    Raises:
        PromptError: a prompt that would not be drawn either.
    """
    from newbie.cli.draw import open_engine

    engine: Any = open_engine(asked.model, Settings(**asked.settings), console, opener)
    for label, request in requests:
        given = _texts(engine, request.resolved(engine.recommended))
        if console.json:
            console.object({"prompt": label, **{f"{side} texts": encoders for side, encoders in given.items()}})
            continue
        for side, encoders in given.items():
            for encoder, text in encoders.items():
                console.result(f"== {label}: {side}, {encoder}: {text['tokens']} of {text['limit']} tokens")
                console.result(text["text"] or "(empty)")
                for span in text["elements"]:
                    console.result(f"   {span['path']:<32} tokens {span['start']}-{span['stop']}")
                if text["lost"]:
                    console.warn(f"these fall off the end: {', '.join(text['lost'])}")


def _texts(engine: Any, request: Request) -> dict[str, dict[str, Any]]:
    rendered = engine.read(request).rendered
    rows = engine.text.inputs([rendered.positive, rendered.negative])
    return {
        side: {
            encoder: {
                "text": given.text,
                "tokens": given.total,
                "limit": given.limit,
                "elements": [{"path": s.path, "start": s.start, "stop": s.stop} for s in given.spans],
                "lost": [getattr(span, "path", span) for span in given.lost],
            }
            for encoder, given in row.items()
        }
        for side, row in zip(("prompt", "negative prompt"), rows, strict=True)
    }
