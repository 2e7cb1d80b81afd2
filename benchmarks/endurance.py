"""200 pictures of mixed sizes in one process: do all succeed, and does memory stay where it is?

    python benchmarks/endurance.py [--pictures 200] [--out FILE.json]

With the bundled model, two steps each: sizes, prompts, counts, samplers and regions vary, each prompt is new. Resident
memory is the process's own, after what was freed has gone back to the system. It grows while caches fill and libraries
come in; what counts is from the first quarter to the last: the mean of each, below two per cent apart.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

SIDES = (64, 96, 128, 160, 192, 256)
SAMPLERS = ("euler", "midpoint", "dpmpp_2m")
WORDS = ("red_hair", "blue_hair", "smile", "hat", "green_eyes", "twintails", "dress", "cherry_blossoms")
LIMIT = 0.02


def requests(count: int) -> list[dict[str, object]]:
    """Fields of requests, the same at each run."""
    draw = random.Random(0)
    return [
        {
            "prompt": f"1girl, {', '.join(draw.sample(WORDS, 3))}, number_{number}",
            "width": draw.choice(SIDES),
            "height": draw.choice(SIDES),
            "sampler": draw.choice(SAMPLERS),
            "steps": 2,
            "seed": number,
        }
        for number in range(count)
    ]


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
    began = time.perf_counter()
    held: list[int] = []
    for fields in requests(given.pictures):
        image = pipeline.generate(Request(**fields)).images[0]  # type: ignore[arg-type]
        assert image.size == (fields["width"], fields["height"])
        gc.collect()
        give_back()
        held.append(Resident.now().own)
    quarter = max(len(held) // 4, 1)
    first, last = statistics.mean(held[:quarter]), statistics.mean(held[-quarter:])
    growth = last / first - 1
    print(f"{len(held)} pictures in {time.perf_counter() - began:.0f} s, own memory {first / 1e6:.0f} MB in the first")
    print(f"quarter, {last / 1e6:.0f} MB in the last: {100 * growth:+.2f} %, at most {max(held) / 1e6:.0f} MB")
    if given.out is not None:
        values = {"pictures": len(held), "growth": growth, "own_bytes": held, **facts(torch.device("cpu"))}
        given.out.write_text(json.dumps(values, indent=1) + "\n")
    return 0 if growth < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
