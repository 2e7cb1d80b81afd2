"""What pruned attention heads save on newbie-mini, on plain and on busy pictures, and what deciding costs.

    python benchmarks/attention_pruning.py                        512x512, 20 steps
    python benchmarks/attention_pruning.py --budgets 0.05 --rounds 1

Errors are those of the final latents, relative to those without pruning. Times take turns in random order.
Writes benchmarks/results/attention-pruning.json.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from attention_plans import batch_of

from newbie import Pipeline
from newbie.accel.leaves import Leaves
from newbie.accel.prune import PrunedHeads, Report
from newbie.accel.runner import InOrder, RunBlock
from newbie.attention.sdpa import Sdpa
from newbie.attention.window import Tiles, Windowed
from newbie.bench import machine
from newbie.bench.results import Result, write
from newbie.bench.timing import interleave, significant
from newbie.calibrate.plans import Batch

FIGURE = "<character_1><gender>1girl</gender><appearance>blue_hair, twintails</appearance></character_1>"
SCENES = ("simple_background", "classroom", "cherry_blossoms", "night_sky")


@torch.no_grad()
def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    flags.add_argument("--pixels", type=int, default=512)
    flags.add_argument("--steps", type=int, default=20)
    flags.add_argument("--budgets", default="0.05,0.2,0.5")
    flags.add_argument("--rounds", type=int, default=2)
    flags.add_argument("--note", default="", help="what else the machine was doing")
    flags.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    args = flags.parse_args()
    pipeline, side = Pipeline.open(), args.pixels // 16
    leaves = pipeline.blocks.runner.run_block.leaves if pipeline.blocks.runner else Leaves.plain()
    window, rows = Windowed(Sdpa(), (side, side), Tiles(8, 1)), []
    for scene in SCENES:
        prompt = f"{FIGURE}<general_tags><count>solo</count><background>{scene}</background></general_tags>"
        batch = batch_of(pipeline, [prompt], args.pixels, args.steps, seed=0)
        plain = InOrder(RunBlock(leaves))
        exact = batch.draw(plain)
        for budget in map(float, args.budgets.split(",")):

            def pruned(report: Report, batch: Batch = batch, budget: float = budget) -> torch.Tensor:
                heads = PrunedHeads(leaves, window, pipeline.transformer.config.n_layers, 1,
                                    scale=batch.guidance.scale, budget=budget, report=report)  # fmt: skip
                return batch.draw(InOrder(RunBlock(leaves, attend=heads.attend)))

            report = Report()
            final = pruned(report)
            runs = {"plain": partial(batch.draw, plain), "pruned": lambda run=pruned: run(Report())}
            timings = interleave(runs, rounds=args.rounds, seed=0, device=torch.device("cpu"))
            row: dict[str, Any] = {
                "scene": scene, "budget": budget, "error": significant(float((final - exact).norm() / exact.norm()), 3),
                "saved": significant(report.saved, 3), "classes": report.classes(),
                "gained": report.gained, "overhead": report.overhead, "of": report.whole,
                "times": significant(timings["plain"].median / timings["pruned"].median, 3),
                "entropy": significant(sum(report.entropy) / max(len(report.entropy), 1), 3),
                "window_mass": significant(sum(report.window_mass) / max(len(report.window_mass), 1), 3),
                "notes": report.notes,
            }  # fmt: skip
            rows.append(row)
            print(
                {name: row[name] for name in ("scene", "budget", "saved", "error", "times", "classes", "notes")},
                flush=True,
            )
    about = {
        "command": " ".join(["python", "benchmarks/attention_pruning.py", *sys.argv[1:]]),
        "note": args.note, "threads": torch.get_num_threads(), **machine.facts(torch.device("cpu")),
    }  # fmt: skip
    values = {"pixels": args.pixels, "steps": args.steps, "window": str(window.window), "rows": rows}
    print(f"measured: {write(Result('attention-pruning', 'attention-pruning', about, values), args.results)}")


if __name__ == "__main__":
    main()
