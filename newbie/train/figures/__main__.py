"""`python -m newbie.train.figures --sheet out.png --count 48 --seed 0`: a contact sheet of drawings."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from newbie.cli.console import run
from newbie.flags import Parser
from newbie.train.figures.draw import draw
from newbie.train.figures.spec import sample


def main(argv: Sequence[str]) -> int:
    """Parse the flags and write the sheet."""
    parser = Parser(prog="python -m newbie.train.figures", description="Write a contact sheet.")
    parser.add_argument("--sheet", type=Path, required=True, help="the picture to write")
    parser.add_argument("--count", type=int, default=48, help="how many drawings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=128, help="side of a square drawing in pixels")
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--characters", type=int, choices=(1, 2, 3), default=None)
    flags = parser.strict(argv)
    rng = random.Random(flags.seed)
    specs = [sample(rng, characters=flags.characters) for _ in range(flags.count)]
    Image.fromarray(sheet([draw(spec, flags.size) for spec in specs], columns=flags.columns)).save(flags.sheet)
    return 0


def sheet(pictures: list[np.ndarray], *, columns: int, gap: int = 2) -> np.ndarray:
    """Lay (H, W, 3) pictures out in rows with white gaps, each in the middle of a cell that fits the largest."""
    height, width = (max(picture.shape[axis] for picture in pictures) for axis in (0, 1))
    rows = -(-len(pictures) // columns)
    page = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        y = gap + (i // columns) * (height + gap) + (height - picture.shape[0]) // 2
        x = gap + (i % columns) * (width + gap) + (width - picture.shape[1]) // 2
        page[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return page


if __name__ == "__main__":
    sys.exit(run(main))
