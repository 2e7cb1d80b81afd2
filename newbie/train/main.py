"""`python -m newbie train`: make newbie-mini, or part of it, in a run folder that can be stopped and resumed."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

from newbie.errors import UsageError
from newbie.flags import Parser
from newbie.train.flow import RATE
from newbie.train.recipes import MiniRecipe

STAGES = ("words", "vae", "latents", "flow")


def parser() -> Parser:
    """The flags; every field of MiniRecipe is one."""
    flags = Parser(prog="python -m newbie train", description=__doc__)
    flags.add_argument("--run", type=Path, default=Path("runs/mini"), help="folder of the run (default: %(default)s)")
    flags.add_argument("--until", choices=STAGES, default="flow", help="last stage to run (default: %(default)s)")
    flags.add_argument("--export", type=Path, help="write the finished model (or autoencoder) here, bf16")
    flags.add_argument(
        "--as-it-stands", action="store_true", help="train nothing: --export the run's last saved state, unfinished"
    )
    flags.add_argument("--start", type=Path, help="begin with this finished model's weights, not with random ones")
    flags.add_argument(
        "--rate",
        type=float,
        help=f"with --start: the share of the usual step size (default: {RATE})",
    )
    flags.add_argument("--autoencoder", type=Path, help="use this finished autoencoder (a folder), train none")
    flags.add_argument("--device", default="auto", help="auto, cpu, cuda (default: %(default)s)")
    flags.add_argument("--workers", type=int, default=1, help="processes that draw (default: %(default)s)")
    flags.add_argument("--compile", action="store_true", help="compile the blocks (needs a C++ compiler)")
    for field in dataclasses.fields(MiniRecipe):
        name = "--" + field.name.replace("_", "-")
        flags.add_argument(name, type=int, default=field.default, help="default: %(default)s")
    return flags


def main(argv: Sequence[str]) -> int:
    """Returns 0; raises NewbieError."""
    args = parser().strict(argv)
    if args.export and args.until in ("words", "latents"):
        raise UsageError(f"--until {args.until} ends with nothing to export", "leave --export away, or --until")
    if args.rate is not None and not args.start:
        raise UsageError("--rate is for a round that goes on", "name the model it begins with: --start MODEL")
    if args.rate is not None and not 0 < args.rate <= 1:
        raise UsageError(f"--rate {args.rate:g} is no share of a step", "more than 0 and at most 1, for example 0.4")
    import torch

    from newbie import devices
    from newbie.cli.console import Console
    from newbie.train.mini import as_it_stands, export, export_autoencoder, make

    names = [field.name for field in dataclasses.fields(MiniRecipe)]
    recipe = MiniRecipe(**{name: getattr(args, name) for name in names})
    device = torch.device(devices.device(args.device).value)
    console = Console()

    def say(text: str) -> None:
        console.say(f"{time.strftime('%H:%M:%S')}  {text}")

    say(f"{recipe} on {device}, {devices.threads()} threads")
    if args.as_it_stands:
        if not args.export:
            raise UsageError("--as-it-stands exports, and no folder is named", "add --export FOLDER")
        export(recipe, as_it_stands(recipe, args.run), args.run, args.export)
        say(f"written to {args.export}")
        return 0
    painter = make(
        recipe,
        args.run,
        device=device,
        workers=args.workers,
        compiled=args.compile,
        until=args.until,
        start=args.start,
        rate=RATE if args.rate is None else args.rate,
        autoencoder=args.autoencoder,
        say=say,
    )
    if args.export and args.until == "vae":
        export_autoencoder(args.run, args.export)
        say(f"autoencoder written to {args.export}")
    elif args.export and painter is not None:
        export(recipe, painter, args.run, args.export)
        say(f"written to {args.export}")
    return 0
