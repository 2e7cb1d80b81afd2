"""`python -m newbie bench`: measure, write JSON, and make tables and plots of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from newbie.bench import attention, characters, model, profile, report, step_kernels
from newbie.bench.options import Options, parser, resolve, threads
from newbie.bench.results import Result, write

Say = Callable[[str], None]
Bench = Callable[[Options, Say], list[Result]]

BENCHES: dict[str, tuple[Bench, ...]] = {
    "model": (model.run,),
    "attention": (attention.run, step_kernels.run),
    "profile": (profile.run,),
    "characters": (characters.run,),
}


def main(argv: Sequence[str], say: Say) -> int:
    """Returns 0; raises NewbieError."""
    args = parser().parse_args(argv)
    if args.what == "report":
        report.run(args.out, args.readme, say)
        return 0
    options = resolve(args, argv)
    chosen = BENCHES.values() if args.what == "all" else [BENCHES[args.what]]
    with threads(options.threads), torch.no_grad():
        for bench in (each for group in chosen for each in group):
            for result in bench(options, say):
                say(f"written: {write(result, options.out)}")
    return 0
