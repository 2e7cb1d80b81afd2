"""What the probe reads: the questions, their possible answers, and the right ones for a picture.

A character is asked about in a slot: 0 is the only figure; 1 and 2 the left and the right of two; 3, 4 and 5 the
left, the middle and the right of three. So an answer about the wrong figure is a wrong answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from newbie.train.figures import Character, PictureSpec, words

IGNORED: Final = -100  # the index cross entropy skips: not asked, or nothing stands in that slot
FIRST_SLOT: Final = {1: 0, 2: 1, 3: 3}  # by the number of figures
SLOTS: Final = 6
NO_YES: Final = ("no", "yes")
EMPTY_HANDED: Final = "nothing"

OF_PICTURE: Final[dict[str, tuple[str, ...]]] = {
    "count": ("1", "2", "3"),
    "background": words.BACKGROUNDS,
    "framing": words.FRAMINGS,
    "lighting": words.LIGHTS,
    "style": words.STYLES,
}
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
    "prop": (EMPTY_HANDED, *words.PROPS),
    "position": words.POSITIONS,
    **dict.fromkeys(words.ACCESSORIES, NO_YES),
}


@dataclass(frozen=True)
class Asked:
    """What a picture is asked to show, question by question; what is not said is not there and is not judged.

    `figures` stand from left to right. Without figures nothing is asked about any of them.
    """

    picture: dict[str, str]
    figures: tuple[dict[str, str], ...] = ()

    @classmethod
    def of(cls, spec: PictureSpec) -> Asked:
        """Everything `spec` fixes."""
        picture = {"count": str(len(spec.characters))}
        picture |= {name: getattr(spec, name) for name in OF_PICTURE if name != "count"}
        return cls(picture, tuple(_of_character(character) for character in spec.characters))

    @property
    def count(self) -> int:
        """How many figures; 0 where nobody said."""
        return int(self.picture.get("count", len(self.figures)))

    @property
    def slots(self) -> range:
        """The slot of each figure."""
        first = FIRST_SLOT.get(len(self.figures), 0)
        return range(first, first + len(self.figures))


def _of_character(character: Character) -> dict[str, str]:
    told = {
        "blush": NO_YES[character.blush],
        "prop": character.prop or EMPTY_HANDED,
        **{name: NO_YES[name in character.accessories] for name in words.ACCESSORIES},
    }
    told |= {name: getattr(character, name) for name in OF_CHARACTER if name not in told}
    if character.lids == "closed_eyes":
        del told["eye_color"]  # a closed eye has no colour
    return told


def as_asked(what: PictureSpec | Asked) -> Asked:
    """A spec, or what somebody asked for, in one form."""
    return what if isinstance(what, Asked) else Asked.of(what)


def answers(what: Sequence[PictureSpec | Asked]) -> dict[str, Tensor]:
    """The right answers: (B,) for questions about the picture, (B, SLOTS) for those about figures, int64."""
    told = {name: torch.full((len(what),), IGNORED) for name in OF_PICTURE}
    told |= {name: torch.full((len(what), SLOTS), IGNORED) for name in OF_CHARACTER}
    for i, asked in enumerate(map(as_asked, what)):
        for name, value in asked.picture.items():
            told[name][i] = OF_PICTURE[name].index(value)
        for slot, figure in zip(asked.slots, asked.figures, strict=True):
            for name, value in figure.items():
                told[name][i, slot] = OF_CHARACTER[name].index(value)
    return told
