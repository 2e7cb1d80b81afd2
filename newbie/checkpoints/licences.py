"""Which terms come with the weights in use: recognised by size and layout, told once per installation.

The facts are the makers' own statements; their texts decide. We ship none of these weights but newbie-mini.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs

from newbie.checkpoints.source import Opened


class Licence(NamedTuple):
    """Terms of one set of weights, in the words of a user."""

    weights: str
    name: str
    meaning: str
    source: str

    def line(self) -> str:
        return f"{self.weights}: {self.name}. {self.meaning} ({self.source})"


NEWBIE = Licence(
    "NewBie-image-Exp0.1 (transformer)",
    "Newbie-NC-1.0",
    "Non-commercial; fine-tunes, merges, converted and quantised copies stay under the same terms.",
    "https://huggingface.co/NewBie-AI/NewBie-image-Exp0.1",
)
LUMINA = Licence(
    "Lumina-Image 2.0 kind (transformer)",
    "Apache-2.0 according to its makers",
    "A fine-tune may have other terms: see where you got it.",
    "https://huggingface.co/Alpha-VLLM/Lumina-Image-2.0",
)
GEMMA = Licence(
    "Gemma 3 (text encoder)",
    "Gemma Terms of Use",
    "Comes with a prohibited use policy; accept the terms where you download it.",
    "https://ai.google.dev/gemma/terms",
)
JINA = Licence(
    "Jina CLIP v2 (CLIP model)",
    "CC BY-NC 4.0",
    "Non-commercial, with attribution.",
    "https://huggingface.co/jinaai/jina-clip-v2",
)
FLUX_VAE = Licence(
    "FLUX.1 autoencoder (VAE)",
    "Apache-2.0 according to its makers",
    "The FLUX.1-dev repository as a whole is non-commercial: prefer the copy of FLUX.1-schnell.",
    "https://huggingface.co/black-forest-labs/FLUX.1-schnell",
)


def of_part(opened: Opened) -> Licence | None:
    """The terms of one part, recognised by its shapes; None for weights we do not know."""
    part, index = opened.part, opened.index

    def shape(name: str) -> tuple[int, ...]:
        return index[part.prefix + name].shape if part.prefix + name in index else ()

    def layers(prefix: str) -> int:
        start = part.prefix + prefix
        return len({name.removeprefix(start).split(".")[0] for name in part.names if name.startswith(start)})

    match part.component:
        case "transformer" if shape("x_embedder.weight") == (2304, 64):
            return {(36, True): NEWBIE, (26, False): LUMINA}.get((layers("layers."), part.has_clip))
        case "text_encoder" if shape("embed_tokens.weight")[1:] == (2560,) and layers("layers.") in (33, 34):
            return GEMMA
        case "text_encoder" if shape("token_embd.weight")[1:] == (2560,) and layers("blk.") in (33, 34):
            return GEMMA
        case "clip" if shape("emb_ln.weight") == (1024,) and layers("encoder.layers.") == 24:
            return JINA
        case "vae" if shape("decoder.conv_in.weight") == (512, 16, 3, 3):
            return FLUX_VAE
    return None


def of_card(card: Mapping[str, Any], name: str) -> Licence | None:
    """The terms that a model folder states itself, in newbie.json."""
    said = card.get("licence")
    return Licence(name, str(said), str(card.get("trained_on", "")), "newbie.json") if said else None


def unseen(lines: Iterable[str], state: Path | None = None) -> list[str]:
    """Those that this installation has not told its user yet."""
    told = set(_told(state or state_file()))
    return [line for line in lines if line not in told]


def remember(lines: Iterable[str], state: Path | None = None) -> None:
    """Do not tell these again. Where nothing can be written they are told again, which harms nobody."""
    path = state or state_file()
    keys = list(dict.fromkeys([*_told(path), *lines]))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(keys, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError:
        return


def state_file() -> Path:
    """Where this installation remembers what it has told."""
    return Path(platformdirs.user_state_dir("newbie", appauthor=False)) / "licences-told.json"


def _told(path: Path) -> list[str]:
    try:
        keys = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []
