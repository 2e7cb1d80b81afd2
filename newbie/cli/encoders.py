"""The encoders of a model as far as they read text: tokenizers and limits, without weights and without torch."""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import newbie
from newbie.errors import WeightsError
from newbie.prompt.rules.subject import Audience, Encoder
from newbie.request import Recommended

if TYPE_CHECKING:
    from newbie.prompt.tokens import Encoding

BUNDLED = Path(newbie.__file__).resolve().parent.parent / "weights" / "newbie-mini"
# Folders of the tokenizers in the official layout, and how many tokens the official pipeline lets each encoder read.
ENCODERS = {"gemma": ("text_encoder", 512), "jina": ("clip_model", 2048)}


def tokenizers_of(folder: Path) -> dict[str, Any]:
    """Raises WeightsError: the folder has no tokenizers where the official layout has them."""
    from newbie.text.tokens import Tokenizer

    found = {}
    for name, (part, _) in ENCODERS.items():
        if (folder / part).is_dir():
            found[name] = Tokenizer.from_folder(folder / part, "gemma" if name == "gemma" else "jina")
    if "gemma" not in found:
        hint = "name a folder in the official layout; create.py --explain --model reads every layout"
        raise WeightsError(f"{folder} has no folder text_encoder with a tokenizer", hint)
    return found


def recommended_by(folder: Path) -> Recommended:
    """What the model's card recommends."""
    card = folder / "newbie.json"
    return Recommended.from_json(json.loads(card.read_text(encoding="utf-8"))) if card.is_file() else Recommended()


def audience(folder: Path = BUNDLED) -> Audience | None:
    """Who reads prompts with the model in this folder, None where it is not in the official layout.

    Tokenizers are loaded when the first text has to be counted: most prompts are too short for that.
    """
    there = [name for name, (part, _) in ENCODERS.items() if (folder / part).is_dir()]
    if "gemma" not in there:
        return None
    load = cache(tokenizers_of)

    def encode(name: str, text: str) -> Encoding:
        found: Encoding = load(folder)[name].encode(text)
        return found

    encoders = tuple(Encoder(name, partial(encode, name), ENCODERS[name][1]) for name in there)
    told = recommended_by(folder)
    return Audience(folder.name, encoders, bool(told.canonical), told.system_prompt)
