"""What the probe reads: the questions, their possible answers, and the right ones for a spec.

A character is asked about in a slot: 0 is the only figure, 1 the left and 2 the right of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from newbie.train.figures import Character, PictureSpec, words

IGNORED: Final = -100  # the index cross entropy skips: nothing stands in that slot, or a closed eye has no colour
SLOTS: Final = 3
NO_YES: Final = ("no", "yes")

OF_PICTURE: Final[dict[str, tuple[str, ...]]] = {"count": ("1", "2"), "background": words.BACKGROUNDS}
OF_CHARACTER: Final[dict[str, tuple[str, ...]]] = {
    "gender": words.GENDERS,
    "hair_color": words.HAIR_COLORS,
    "hair_style": words.HAIR_STYLES,
    "eye_color": words.EYE_COLORS,
    "outfit": words.OUTFITS,
    "outfit_color": words.OUTFIT_COLORS,
    "mouth": words.MOUTHS,
    "lids": words.LIDS,
    "blush": NO_YES,
    "action": words.ACTIONS,
    "position": words.POSITIONS,
    **dict.fromkeys(words.ACCESSORIES, NO_YES),
}


def slots(spec: PictureSpec) -> tuple[int, ...]:
    """The slot of each character of `spec`."""
    return (0,) if len(spec.characters) == 1 else (1, 2)


def answers(specs: Sequence[PictureSpec]) -> dict[str, Tensor]:
    """The right answers: (B,) for questions about the picture, (B, 3) for those about characters, int64."""
    told = {name: torch.zeros(len(specs), dtype=torch.long) for name in OF_PICTURE}
    told |= {name: torch.full((len(specs), SLOTS), IGNORED) for name in OF_CHARACTER}
    for i, spec in enumerate(specs):
        told["count"][i] = len(spec.characters) - 1
        told["background"][i] = OF_PICTURE["background"].index(spec.background)
        for slot, character in zip(slots(spec), spec.characters, strict=True):
            for name in OF_CHARACTER:
                told[name][i, slot] = _answer(character, name)
    return told


def _answer(character: Character, name: str) -> int:
    if name in words.ACCESSORIES:
        return int(name in character.accessories)
    if name == "blush":
        return int(character.blush)
    if name == "eye_color" and character.lids == "closed_eyes":
        return IGNORED
    return OF_CHARACTER[name].index(getattr(character, name))
