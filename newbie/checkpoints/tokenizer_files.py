"""Where a text encoder's tokenizer lies: in the weights, in their folder, or in a tokenizer folder in or beside it.

Where it lies in none of these, another model's may serve that has as many tokens as the table of words has rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from newbie.checkpoints.layouts import SPOKEN, Component, spiece
from newbie.checkpoints.places import as_bytes
from newbie.checkpoints.plan import Plan, plan_load
from newbie.checkpoints.source import Source
from newbie.errors import WeightsError
from newbie.text.tokens import JSON_NAME, SPIECE_NAMES, Kind, Tokenizer

NAMES = (JSON_NAME, *SPIECE_NAMES)
_MORE = ("tokenizer_config.json", "special_tokens_map.json")  # for other programs
BESIDE: dict[Component, tuple[str, ...]] = {
    "text_encoder": ("tokenizer", "tokenizer_1"),
    "clip": ("tokenizer_2", "clip_tokenizer"),
}  # folders
KINDS: dict[str, Kind] = {"text_encoder": "gemma", "clip": "jina"}
PADDING = 64  # tables of words are filled up to a multiple of so many rows


def folder(source: Source) -> Path | None:
    """The folder with the tokenizer of a text encoder, its own before one that stands in; None where there is none."""
    if source.component not in BESIDE:
        return None
    near, names = source.folder, BESIDE[source.component]
    # Before the folder itself: where one file holds both encoders, what lies beside it can be that of one only.
    places = (*(near / name for name in names), near, *(near.parent / name for name in names))
    return next(filter(_is_there, places), source.tokenizer)


def _is_there(place: Path) -> bool:
    return any((place / name).is_file() for name in NAMES)


def with_tokenizer(source: Source, places: Iterable[Path], say: Callable[[str], None]) -> Source:
    """The source of a text encoder; where it has no tokenizer, with the first among `places` whose tokens fit.

    What is taken, or why none is, goes to `say`.
    """
    if folder(source) is not None:
        return source
    opened = source.open()
    if spiece(opened.index, opened.part) or opened.index.spiece is not None:
        return source
    rows = plan_load(source).config.vocab_size
    for place in filter(_is_there, dict.fromkeys(places)):
        try:
            tokens = Tokenizer.from_folder(place, KINDS[source.component]).vocab_size
        except WeightsError:  # that of the other encoder, or broken: whoever needs it will say so
            continue
        spoken = f"{SPOKEN[source.component]}: {source.name} has no tokenizer; that of {place.parent.name}/{place.name}"
        if 0 <= rows - tokens < PADDING:
            say(f"{spoken} ({tokens:,} tokens) is used")
            return replace(source, tokenizer=place)
        say(f"{spoken} has {tokens:,} tokens for {rows:,} rows of its table: not used")
    return source


def files(plan: Plan) -> Iterator[Path]:
    """The tokenizer's files on disk."""
    place = folder(plan.source)
    if place is not None:
        yield from (place / name for name in (*NAMES, *_MORE) if (place / name).is_file())


def embedded(plan: Plan) -> bytes | None:
    """The SentencePiece model that lies in the weights, as bytes or as a list of tokens."""
    if plan.part.component not in BESIDE:
        return None
    if name := spiece(plan.index, plan.part):
        return bytes(as_bytes(plan.index[name].read()))
    return plan.index.spiece() if plan.index.spiece is not None else None


def model(plan: Plan) -> bytes | None:
    """The SentencePiece model of a text encoder, wherever it lies; None where there is another kind, or none."""
    found = embedded(plan)
    if found is not None:
        return found
    return next((path.read_bytes() for path in files(plan) if path.name in SPIECE_NAMES), None)
