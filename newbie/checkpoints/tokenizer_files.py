"""Where a text encoder's tokenizer lies: in the weights, in their folder, or in a tokenizer folder in or beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from newbie.checkpoints.layouts import spiece
from newbie.checkpoints.plan import Plan
from newbie.text.tokens import JSON_NAME, SPIECE_NAMES

NAMES = (JSON_NAME, *SPIECE_NAMES)
_MORE = ("tokenizer_config.json", "special_tokens_map.json")  # for other programs
BESIDE = {"text_encoder": ("tokenizer", "tokenizer_1"), "clip": ("tokenizer_2", "clip_tokenizer")}


def folder(plan: Plan) -> Path | None:
    """The folder with the tokenizer of a text encoder; None where there is none, or none is needed."""
    if plan.part.component not in BESIDE:
        return None
    near, names = plan.source.folder, BESIDE[plan.part.component]
    # Before the folder itself: where one file holds both encoders, what lies beside it can be that of one only.
    places = (*(near / name for name in names), near, *(near.parent / name for name in names))
    return next((place for place in places if any((place / name).is_file() for name in NAMES)), None)


def files(plan: Plan) -> Iterator[Path]:
    """The tokenizer's files on disk."""
    place = folder(plan)
    if place is not None:
        yield from (place / name for name in (*NAMES, *_MORE) if (place / name).is_file())


def embedded(plan: Plan) -> bytes | None:
    """The SentencePiece model that lies in the weights, as bytes or as a list of tokens."""
    if plan.part.component not in BESIDE:
        return None
    if name := spiece(plan.index, plan.part):
        return plan.index[name].read().contiguous().view(torch.uint8).numpy().tobytes()
    return plan.index.spiece() if plan.index.spiece is not None else None


def model(plan: Plan) -> bytes | None:
    """The SentencePiece model of a text encoder, wherever it lies; None where there is another kind, or none."""
    found = embedded(plan)
    if found is not None:
        return found
    return next((path.read_bytes() for path in files(plan) if path.name in SPIECE_NAMES), None)
