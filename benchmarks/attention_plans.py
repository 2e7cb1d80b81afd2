"""What searched attention plans save on newbie-mini, and what they cost: the paper's greedy search and our extensions.

    python benchmarks/attention_plans.py                          256x256, 28 steps, levels D1 to D6
    python benchmarks/attention_plans.py --pictures 1 --levels D2,D6 --ways paper

Plans are searched on some pictures of a guided batch, and judged on others with other prompts and other noise: the
error is that of the final latents, relative to those without a plan; what is saved is counted (`accel.work`).
Writes benchmarks/results/attention-plans.json.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from newbie import Pipeline, Request
from newbie.accel.fastattn import FastAttention
from newbie.accel.runner import InOrder, RunBlock
from newbie.accel.search import FEED_METHODS, LEVELS, Found, Outcome, Search, at_equal_error, velocity_judge
from newbie.accel.work import Work, saved
from newbie.attention.sdpa import Sdpa
from newbie.attention.window import Tiles, Windowed
from newbie.bench import machine
from newbie.bench.results import Result, write
from newbie.bench.timing import significant
from newbie.calibrate.plans import Batch
from newbie.calibrate.prompts import drawn_up

WAYS: dict[str, dict[str, Any]] = {
    "paper": {},
    "paper, feed-forward too": {"feed_methods": FEED_METHODS},
    "ratio, feed-forward too": {"feed_methods": FEED_METHODS, "objective": "ratio"},
}


def batch_of(pipeline: Pipeline, prompts: list[str], pixels: int, steps: int, seed: int) -> Batch:
    """Some prompts as one guided batch."""
    request = Request(width=pixels, height=pixels, steps=steps, sampler="euler", seed=seed, regions="off")
    return Batch.of(pipeline, prompts, request.resolved(pipeline.recommended))


@torch.no_grad()
def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    flags.add_argument("--pixels", type=int, default=256)
    flags.add_argument("--steps", type=int, default=28)
    flags.add_argument("--pictures", type=int, default=2, help="searched on, and as many judged on")
    flags.add_argument("--levels", default=",".join(LEVELS))
    flags.add_argument("--ways", default=";".join(WAYS), help="separated by semicolons (default: %(default)s)")
    flags.add_argument("--tile", type=int, default=4)
    flags.add_argument("--note", default="", help="what else the machine was doing")
    flags.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    args = flags.parse_args()
    pipeline = Pipeline.open()
    prompts = drawn_up(2 * args.pictures)
    mine, others = (batch_of(pipeline, prompts[n::2], args.pixels, args.steps, seed=1000 * n) for n in (0, 1))
    model, side = pipeline.transformer, args.pixels // 16
    window = Windowed(Sdpa(), (side, side), Tiles(args.tile, 1))
    leaves = mine.leaves
    exact = others.draw(InOrder(RunBlock(leaves)))
    judge = velocity_judge(model, mine.prepared(2 * args.pictures).pooled, args.pictures, mine.guidance.combine)
    work = Work(model.config, mine.lengths, window)
    layers = model.config.n_layers
    fronts: dict[str, list[Outcome]] = {}
    rows: list[dict[str, Any]] = []

    def share(found: Found) -> float:
        gone, everything = saved(lambda i: work, found.action, found.feed_action, evaluations=args.steps, layers=layers)
        return gone / everything

    for way in args.ways.split(";"):
        for level in args.levels.split(","):
            search = Search(leaves, window, args.pictures, judge, LEVELS[level], work=lambda rows: work, **WAYS[way],
                            found=Found())  # fmt: skip
            began = time.perf_counter()
            mine.draw(search)
            seconds = time.perf_counter() - began
            found = search.found
            fast = FastAttention(leaves, window, found.action, args.pictures, found.feed_action)
            final = others.draw(InOrder(RunBlock(leaves, attend=fast.attend, feed=fast.feed)))
            outcome = Outcome(float((final - exact).norm() / exact.norm()), share(found))
            fronts.setdefault(way, []).append(outcome)
            rows.append({
                "way": way, "level": level, "error": significant(outcome.error, 3),
                "saved": significant(outcome.saved, 3), "search_seconds": significant(seconds, 3),
                "trials": found.tried, "block_runs": found.blocks, "actions": found.counts(),
                "feed_actions": dict(Counter(action for row in found.feed for action in row)),
            })  # fmt: skip
            print(f"{way}, {level}: saved {outcome.saved:.1%}, error {outcome.error:.3g}, {seconds:.0f} s, "
                  f"{found.counts()}", flush=True)  # fmt: skip
    compared: dict[str, Any] = {
        way: at_equal_error(front, fronts["paper"]) for way, front in fronts.items() if way != "paper" in fronts
    }
    about = {
        "command": " ".join(["python", "benchmarks/attention_plans.py", *sys.argv[1:]]),
        "note": args.note, "threads": torch.get_num_threads(), **machine.facts(torch.device("cpu")),
    }  # fmt: skip
    values = {
        "pixels": args.pixels, "steps": args.steps, "window": str(window.window), "rows": rows,
        "at_equal_error": {"columns": ["error of the paper's plan", "saved", "saved by the paper's plan"], **compared},
    }  # fmt: skip
    print(f"measured: {write(Result('attention-plans', 'attention-plans', about, values), args.results)}")


if __name__ == "__main__":
    main()
