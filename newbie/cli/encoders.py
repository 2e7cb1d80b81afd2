"""The encoders of a model as far as they read text: tokenizers and limits, without weights and without torch."""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import newbie
from newbie.errors import WeightsError
from newbie.prompt.rules.subject import Audience, Encoder

if TYPE_CHECKING:
    from newbie.prompt.tokens import Encoding
    from newbie.request import Recommended
    from newbie.text.tokens import Kind, Tokenizer

BUNDLED = Path(newbie.__file__).resolve().parent.parent / "weights" / "newbie-mini"
# Folders of the tokenizers in the official layout, and how many tokens the official pipeline lets each encoder read.
ENCODERS: dict[Kind, tuple[str, int]] = {"gemma": ("text_encoder", 512), "jina": ("clip_model", 2048)}


def tokenizers_of(folder: Path) -> dict[Kind, Tokenizer]:
    """Raises WeightsError: the folder has no tokenizers where the official layout has them."""
    there = _there(folder)
    if "gemma" not in there:
        hint = "name a folder in the official layout; create.py --explain --model reads every layout"
        raise WeightsError(f"{folder} has no folder text_encoder with a tokenizer", hint)
    return {name: _tokenizer(folder, name) for name in there}


def _there(folder: Path) -> list[Kind]:
    return [name for name, (part, _) in ENCODERS.items() if (folder / part).is_dir()]


def _tokenizer(folder: Path, name: Kind) -> Tokenizer:
    from newbie.text.tokens import Tokenizer

    return Tokenizer.from_folder(folder / ENCODERS[name][0], name)


def recommended_by(folder: Path) -> Recommended:
    """What the model's card recommends."""
    from newbie.request import Recommended

    return Recommended.from_json(_card(folder))


def _card(folder: Path) -> dict[str, Any]:
    card = folder / "newbie.json"
    found: dict[str, Any] = json.loads(card.read_text(encoding="utf-8")) if card.is_file() else {}
    return found


def audience(folder: Path = BUNDLED) -> Audience | None:
    """Who reads prompts with the model in this folder, None where it is not in the official layout.

    A tokenizer is loaded when the first text has to be counted with it: most prompts are too short for that.
    """
    there = _there(folder)
    if "gemma" not in there:
        return None
    load = cache(_tokenizer)

    def encode(name: Kind, text: str) -> Encoding:
        return load(folder, name).encode(text)

    encoders = tuple(Encoder(name, partial(encode, name), ENCODERS[name][1]) for name in there)
    card = _card(folder)  # as `recommended_by`, without its row: a linter has to start at once
    return Audience(folder.name, encoders, bool(card.get("canonical")), card.get("system_prompt"))
