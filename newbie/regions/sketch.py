"""Areas drawn with letters, for terminals. No torch."""

from __future__ import annotations

from collections.abc import Mapping

from newbie.prompt.boxes import Box

NOBODY = "·"
_LETTERS = "123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def sketch(areas: Mapping[str, Box], shape: float = 1.0, columns: int = 40) -> list[str]:
    """Lines of a picture `shape` times as wide as high: each place has the number of the character whose area it is.

    Where areas overlap there is a `+`; below stand the numbers with their characters and boxes. A letter is taken to be
    twice as high as wide.
    """
    rows = max(round(columns / shape / 2), 1)
    letters = {path: _LETTERS[i % len(_LETTERS)] for i, path in enumerate(areas)}
    lines = []
    for row in range(rows):
        y = (row + 0.5) / rows
        line = ""
        for column in range(columns):
            x = (column + 0.5) / columns
            there = [letters[path] for path, box in areas.items() if box.x <= x < box.right and box.y <= y < box.bottom]
            line += there[0] if len(there) == 1 else "+" if there else NOBODY
        lines.append(line)
    for path, box in areas.items():
        written = ", written" if box.explicit else ""
        lines.append(
            f"{letters[path]}  {path}: x {box.x:.2f} to {box.right:.2f}, y {box.y:.2f} to {box.bottom:.2f}{written}"
        )
    return lines
