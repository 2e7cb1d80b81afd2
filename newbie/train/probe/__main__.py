"""`python -m newbie.train.probe train --out runs/probe`, and `... card runs/probe` to read its scores again."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from newbie import devices
from newbie.cli.console import Console, run
from newbie.pipeline import BUNDLED
from newbie.train.probe import Scores, load, save
from newbie.train.probe.training import ProbeRecipe, train


def main(argv: Sequence[str]) -> int:
    """Parse the flags, train or show."""
    parser = argparse.ArgumentParser(prog="python -m newbie.train.probe", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    trained = commands.add_parser("train", help="train a probe; resumes an interrupted run")
    trained.add_argument("--out", type=Path, default=Path("runs/probe"), help="default: %(default)s")
    trained.add_argument("--steps", type=int, default=ProbeRecipe.steps)
    trained.add_argument("--batch", type=int, default=ProbeRecipe.batch)
    trained.add_argument("--seed", type=int, default=ProbeRecipe.seed)
    trained.add_argument("--device", default="auto", help="auto, cpu, cuda (default: %(default)s)")
    trained.add_argument(
        "--workers", type=int, default=min(os.cpu_count() or 1, 16), help="processes that draw (default: one per core)"
    )
    trained.add_argument(
        "--vae", type=Path, default=BUNDLED / "vae", help="a trained autoencoder (default: newbie-mini's)"
    )
    trained.add_argument("--no-vae", action="store_true", help="without round trips through an autoencoder")
    shown = commands.add_parser("card", help="show what a probe scores on real drawings")
    shown.add_argument("folder", type=Path)
    flags = parser.parse_args(argv)
    console = Console()
    if flags.command == "train":
        recipe = ProbeRecipe(steps=flags.steps, batch=flags.batch, seed=flags.seed)
        device = torch.device(devices.device(flags.device).value)
        vae = None if flags.no_vae or not flags.vae.exists() else flags.vae
        console.say(f"{recipe} on {device}, {flags.workers} workers, autoencoder {vae or 'none'}")
        probe = train(recipe, flags.out, vae=vae, device=device, workers=flags.workers, say=console.say)
        save(probe, flags.out)
    probe = load(flags.out if flags.command == "train" else flags.folder)
    console.result(f"on real held-out drawings (the ceiling), percent\n{probe.ceiling.table()}\n")
    console.result(f"with the specs shuffled (chance), percent\n{Scores.from_json(probe.card['chance']).table()}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
