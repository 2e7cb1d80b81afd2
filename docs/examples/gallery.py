"""Draw the gallery of the README: every prompt of prompts/gallery with the seeds 1, 2, ..., none left out.

python docs/examples/gallery.py                              docs/images/gallery.webp
python docs/examples/gallery.py --seeds 1 --model path/to/weights --output other.png
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from newbie import Pipeline, Request
from newbie.prompt import read_file
from newbie.train.report.sheets import sheet

ROOT = Path(__file__).resolve().parents[2]
PROMPTS = ROOT / "prompts" / "gallery"
PAGE = ROOT / "docs" / "images" / "gallery.webp"
COLUMNS = 6


def main(argv: Sequence[str], pipeline: Any = None) -> int:
    """Draw and write the sheet."""
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--model", help="default: the bundled one")
    flags.add_argument("--seeds", type=int, default=2, help="pictures of each prompt (default: %(default)s)")
    flags.add_argument("--side", type=int, default=208, help="pixels of a picture in the sheet (default: %(default)s)")
    flags.add_argument("--output", type=Path, default=PAGE, help="default: docs/images/gallery.webp")
    args = flags.parse_args(argv)
    pipeline = pipeline or Pipeline.open(args.model)
    cells = []
    for seed in range(1, args.seeds + 1):
        for path in sorted(PROMPTS.iterdir()):
            picture = pipeline.generate(Request(prompt=read_file(path).source.text, seed=seed)).images[0]
            cells.append((np.asarray(picture), ""))
    sheet(cells, columns=COLUMNS, side=args.side).save(args.output, quality=92)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
