"""200 pictures of mixed sizes in one process: do all succeed, and does memory stay where it is?

    python benchmarks/endurance.py [--pictures 200] [--out FILE.json]

With the bundled model, two steps each: sizes and samplers vary, each prompt is new. Resident memory is the process's
own, after what was freed has gone back to the system. Each new size takes some, once: oneDNN compiles and keeps its
programs by shape. So one picture of each size comes first, and is told apart. What counts is from the first quarter of
the 200 to the last: the mean of each, below two per cent apart.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import random
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

SIDES = (64, 96, 128, 160, 192, 256)
SAMPLERS = ("euler", "midpoint", "dpmpp_2m")
WORDS = ("red_hair", "blue_hair", "smile", "hat", "green_eyes", "twintails", "dress", "cherry_blossoms")
LIMIT = 0.02


def requests(sizes: Iterable[tuple[int, int]], seed: int) -> Iterator[dict[str, object]]:
    """Fields of requests for pictures of these sizes, the same at each run; prompts differ by the seed."""
    draw = random.Random(seed)
    for number, (width, height) in enumerate(sizes):
        yield {
            "prompt": f"1girl, {', '.join(draw.sample(WORDS, 3))}, number_{seed}_{number}",
            "width": width,
            "height": height,
            "sampler": draw.choice(SAMPLERS),
            "steps": 2,
            "seed": number,
        }


def main() -> int:
    """Exit code: 0 when all pictures were drawn and memory grew by less than two per cent."""
    from newbie import Pipeline, Request
    from newbie.bench.machine import facts
    from newbie.memory.heap import give_back
    from newbie.memory.meter import Resident

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    pipeline = Pipeline.open()

    def after(fields: dict[str, object]) -> int:
        """Bytes that are held after such a picture."""
        image = pipeline.generate(Request(**fields)).images[0]  # type: ignore[arg-type]
        assert image.size == (fields["width"], fields["height"])
        gc.collect()
        give_back()
        return Resident.now().own

    began = time.perf_counter()
    sizes = list(itertools.product(SIDES, SIDES))
    new = [after(fields) for fields in requests(sizes, seed=1)]
    print(
        f"{len(new)} new sizes: own memory {new[0] / 1e6:.0f} MB after the first, {new[-1] / 1e6:.0f} MB at their end"
    )
    mixed = random.Random(0).choices(sizes, k=given.pictures)
    held = [after(fields) for fields in requests(mixed, seed=2)]
    quarter = max(len(held) // 4, 1)
    first, last = statistics.mean(held[:quarter]), statistics.mean(held[-quarter:])
    growth = last / first - 1
    print(f"{len(held)} pictures in {time.perf_counter() - began:.0f} s, own memory {first / 1e6:.0f} MB in the first")
    print(f"quarter, {last / 1e6:.0f} MB in the last: {100 * growth:+.2f} %, at most {max(held) / 1e6:.0f} MB")
    if given.out is not None:
        values = {"pictures": len(held), "growth": growth, "own_bytes": held, "own_bytes_of_new_sizes": new}
        values |= facts(torch.device("cpu"))
        given.out.write_text(json.dumps(values, indent=1) + "\n")
    return 0 if growth < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
