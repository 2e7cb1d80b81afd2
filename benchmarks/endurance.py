"""200 pictures of mixed sizes in one process: do all succeed, and does memory stay where it is?

    python benchmarks/endurance.py [--pictures 200] [--out FILE.json]

With the bundled model, four steps each: sizes and samplers vary, each prompt is new. Resident memory is the process's
own, after what was freed has gone back to the system. What counts is by how much it grows from the first picture to
the last: less than two per cent. How much of that came with sizes that were drawn for the first time is told apart: for
each shape oneDNN compiles programs, of which it keeps a number (`newbie.devices.PROGRAMS`).
"""

from __future__ import annotations

import argparse
import gc
import json
import random
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
            "steps": 4,
            "seed": number,
        }
        for number in range(count)
    ]


def main() -> int:
    """Exit code: 0 when all were drawn and memory grew by less than two per cent."""
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
    sizes: list[object] = []
    for fields in requests(given.pictures):
        image = pipeline.generate(Request(**fields)).images[0]  # type: ignore[arg-type]
        assert image.size == (fields["width"], fields["height"])
        gc.collect()
        give_back()
        held.append(Resident.now().own)
        sizes.append(image.size)
    new = [number for number, size in enumerate(sizes) if size not in sizes[:number]]
    grown = {number: held[number] - held[number - 1] for number in range(1, len(held))}
    by_new = sum(grown[number] for number in new[1:])
    by_known = held[-1] - held[0] - by_new
    growth, of_known = (held[-1] - held[0]) / held[0], by_known / held[0]
    print(f"{len(held)} pictures in {time.perf_counter() - began:.0f} s")
    print(f"own memory {held[0] / 1e6:.0f} MB after the first, {held[-1] / 1e6:.0f} MB at the end: {growth:+.2%}")
    print(f"{by_new / 1e6:+.1f} MB by {len(new)} sizes when they were new,")
    print(f"{by_known / 1e6:+.1f} MB ({of_known:+.2%}) by all others")
    if given.out is not None:
        values = {"pictures": len(held), "growth": growth, "growth_by_known_sizes": of_known}
        values |= {"new_sizes": new, "own_bytes": held, **facts(torch.device("cpu"))}
        given.out.write_text(json.dumps(values, indent=1) + "\n")
    return 0 if growth < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
