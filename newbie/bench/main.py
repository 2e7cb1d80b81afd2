"""`python -m newbie bench`: measure, write JSON, and make tables and plots of it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from newbie.bench import attention, characters, model, profile, report, step_kernels, waterfall
from newbie.bench.options import Options, parser, resolve, threads
from newbie.bench.results import Result, write
from newbie.bench.sizes import Size

Say = Callable[[str], None]
Measure = Callable[[Size, Options, Say], dict[str, Any]]

# What is asked for -> its results, each with the function that measures one size. The most important come first.
MEASURES: dict[str, dict[str, Measure]] = {
    "model": {"model": model.measure},
    "attention": {"attention": attention.measure, "steps": step_kernels.measure},
    "waterfall": {"waterfall": waterfall.measure},
    "profile": {"profile": profile.measure},
    "characters": {"characters": characters.measure},
}
ONCE = ("attention",)  # for one size only: it has lengths of its own


def main(argv: Sequence[str], say: Say) -> int:
    """Returns 0; raises NewbieError."""
    if argv[:1] == ["quality"]:
        from newbie.bench import quality  # with flags of its own, and the drawing program

        return quality.main(argv[1:], say)
    args = parser().strict(argv)
    if args.what == "report":
        report.run(args.out, args.readme, say)
        return 0
    options = resolve(args, argv)
    began = time.monotonic()
    wanted = list(MEASURES) if args.what == "all" else [args.what]
    with threads(options.threads), torch.no_grad():
        for bench, measure in (each for name in wanted for each in MEASURES[name].items()):
            for size in options.sizes[:1] if bench in ONCE else options.sizes:
                passed = (time.monotonic() - began) / 60
                if options.minutes is not None and passed > options.minutes:
                    say(f"left out, {passed:.0f} minutes have passed: {bench} {size.name}")
                    continue
                say(f"measured: {write(_result(bench, measure, size, options, say), options.out)}")
    return 0


def _result(bench: str, measure: Measure, size: Size, options: Options, say: Say) -> Result:
    about = options.about()
    values = measure(size, options, say)
    gc.collect()  # compiled functions and models hold one another in circles
    if options.device.type == "cuda":
        torch.cuda.empty_cache()
    return Result(options.name(bench, None if bench in ONCE else size), bench, about, values)
