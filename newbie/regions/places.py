"""What position words say: `center_left`, "in the upper right corner", 左边. No torch.

Left, right, above and below are the viewer's, as in the training captions.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class Place(NamedTuple):
    """Where somebody asked to be: the middle of the place as shares of width and height; None: not said."""

    x: float | None = None
    y: float | None = None
    everywhere: bool = False  # in front of or behind everybody, or filling the frame: no area of one's own

    @property
    def said(self) -> bool:
        return self.x is not None or self.y is not None


_CENTER: Final = "center"
# Every word is one step from the middle; `center_left` has both words and lies between them.
_WORDS: Final[dict[str, str]] = {
    "left": "left", "leftmost": "left", "right": "right", "rightmost": "right",
    "center": _CENTER, "centre": _CENTER, "middle": _CENTER, "central": _CENTER, "centered": _CENTER,
    "top": "top", "upper": "top", "above": "top", "bottom": "bottom", "lower": "bottom", "below": "bottom",
    "左": "left", "右": "right", "中": _CENTER, "上": "top", "下": "bottom",
}  # fmt: skip
_EVERYWHERE: Final = frozenset({"foreground", "background", "frame", "solo", "closeup", "shot", "前景", "背景"})
_WORD: Final = re.compile(r"[a-z]+|前景|背景|[左右中上下]")
LEFT, HALF_LEFT, MIDDLE, HALF_RIGHT, RIGHT = 0.2, 0.35, 0.5, 0.65, 0.8


def place_of(text: str) -> Place:
    """The place that the content of a <position> element speaks of."""
    words = _WORD.findall(text.lower().replace("close-up", "closeup").replace("close_up", "closeup"))
    sides = {_WORDS[word] for word in words if word in _WORDS}
    x = _along(sides, "left", "right")
    y = _along(sides, "top", "bottom")
    if x is None and y is None:
        if _CENTER in sides:
            return Place(MIDDLE)
        return Place(everywhere=not _EVERYWHERE.isdisjoint(words))
    if y is not None and x is None and _CENTER in sides:
        x = MIDDLE  # top center: the middle of the upper edge
        y = RIGHT if "bottom" in sides else LEFT
    return Place(x, y)


def _along(sides: set[str], first: str, last: str) -> float | None:
    """The middle along one axis; None where it is not spoken of, or both ends are."""
    if (first in sides) == (last in sides):
        return None
    half = _CENTER in sides
    if first in sides:
        return HALF_LEFT if half else LEFT
    return HALF_RIGHT if half else RIGHT
