"""The sentences that stand before a prompt. Trailing blanks and line ends are significant: they become tokens."""

from __future__ import annotations

import re

# Source: the official training code (both), the community's ComfyUI template. A prompt is drawn best with the
# sentence it was trained with.
TRAIN_XML = (
    "You are an assistant designed to generate high-quality anime images based on xml format prompts. <Prompt Start> "
)
TRAIN_OTHER = (
    "You are an assistant designed to generate high-quality anime images "
    "with the highest degree of image-text alignment based on textual prompts. <Prompt Start> "
)
COMFYUI = (
    "You are an assistant designed to generate high-quality anime images "
    "with the highest degree of image-text alignment based on xml format textual prompts. <Prompt Start>\n"
)

_XML = re.compile(r"<character[_ ]|<general[_ ]tags", re.IGNORECASE)


def for_prompt(text: str) -> str:
    """The training sentence for a prompt; an empty prompt has none, it is the unconditional picture."""
    if not text.strip():
        return ""
    return TRAIN_XML if _XML.search(text) else TRAIN_OTHER
