"""`python -m newbie.train.probe train --out runs/probe`, and `... card --out runs/probe` to read its scores again."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from newbie import devices
from newbie.cli.console import Console, run
from newbie.flags import Parser
from newbie.pipeline import BUNDLED
from newbie.train.probe import Scores, load, save
from newbie.train.probe.training import ProbeRecipe, train


def main(argv: Sequence[str]) -> int:
    """Parse the flags, train or show."""
    parser = Parser(prog="python -m newbie.train.probe", description=__doc__)
    parser.add_argument("what", choices=("train", "card"), help="train one (an interrupted run goes on), or show it")
    parser.add_argument("--out", type=Path, default=Path("runs/probe"), help="its folder (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=ProbeRecipe.steps, help="default: %(default)s")
    parser.add_argument("--batch", type=int, default=ProbeRecipe.batch, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=ProbeRecipe.seed, help="default: %(default)s")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda (default: %(default)s)")
    parser.add_argument(
        "--workers", type=int, default=min(os.cpu_count() or 1, 16), help="processes that draw (default: one per core)"
    )
    parser.add_argument(
        "--vae", type=Path, default=BUNDLED / "vae", help="a trained autoencoder (default: newbie-mini's)"
    )
    parser.add_argument("--no-vae", action="store_true", help="without round trips through an autoencoder")
    flags = parser.strict(argv)
    console = Console()
    if flags.what == "train":
        recipe = ProbeRecipe(steps=flags.steps, batch=flags.batch, seed=flags.seed)
        device = torch.device(devices.device(flags.device).value)
        vae = None if flags.no_vae or not flags.vae.exists() else flags.vae
        console.say(f"{recipe} on {device}, {flags.workers} workers, autoencoder {vae or 'none'}")
        probe = train(recipe, flags.out, vae=vae, device=device, workers=flags.workers, say=console.say)
        save(probe, flags.out)
    probe = load(flags.out)
    console.result(f"on real held-out drawings (the ceiling), percent\n{probe.ceiling.table()}\n")
    console.result(f"with the specs shuffled (chance), percent\n{Scores.from_json(probe.card['chance']).table()}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
