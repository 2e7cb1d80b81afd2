"""Draw the gallery of the README: the first held-out prompts and their pictures, none of them selected.

    python docs/examples/gallery.py                             12 pictures, into docs/images/gallery.png
    python docs/examples/gallery.py --model path/to/weights --count 24 --columns 6 --output gallery.png

They are those with which `python -m newbie evaluate` begins: one, two and three figures in turn, of combinations that
are never trained, and picture i has the seed i.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from newbie import Pipeline, Request
from newbie.train.report import draw_pictures, suites
from newbie.train.report.sheets import sheet

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str], pipeline: Any = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="default: newbie-mini")
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--steps", type=int, help="default: as the model recommends")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "gallery.png")
    typed = parser.parse_args(arguments)
    pipeline = pipeline or Pipeline.open(typed.model)
    request = Request(seed=0, steps=typed.steps).resolved(pipeline.recommended)
    pictures = draw_pictures(pipeline, suites.held_out(typed.count, seed=0), request, say=print)
    cells = [(picture, "") for picture in pictures]
    sheet(cells, columns=typed.columns, side=request.height or 256).save(typed.output, optimize=True)
    print(typed.output)


if __name__ == "__main__":
    main(sys.argv[1:])
