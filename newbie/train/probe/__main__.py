"""`python -m newbie.train.probe train --out runs/probe`, and `... card runs/probe` to read its scores again."""

from __future__ import annotations

import argparse
from pathlib import Path

from newbie.cli.console import Console
from newbie.train.probe import Scores, load, save
from newbie.train.probe.training import ProbeRecipe, train


def main() -> None:
    """Parse the flags, train or show."""
    parser = argparse.ArgumentParser(prog="python -m newbie.train.probe", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    trained = commands.add_parser("train", help="train a probe; resumes an interrupted run")
    trained.add_argument("--out", type=Path, default=Path("runs/probe"))
    trained.add_argument("--steps", type=int, default=ProbeRecipe.steps)
    trained.add_argument("--batch", type=int, default=ProbeRecipe.batch)
    trained.add_argument("--seed", type=int, default=ProbeRecipe.seed)
    shown = commands.add_parser("card", help="show what a probe scores on real drawings")
    shown.add_argument("folder", type=Path)
    flags = parser.parse_args()
    console = Console()
    if flags.command == "train":
        recipe = ProbeRecipe(steps=flags.steps, batch=flags.batch, seed=flags.seed)
        save(train(recipe, flags.out, say=console.say), flags.out)
    probe = load(flags.out if flags.command == "train" else flags.folder)
    console.result(f"on real held-out drawings (the ceiling), percent\n{probe.ceiling.table()}\n")
    console.result(f"with the specs shuffled (chance), percent\n{Scores.from_json(probe.card['chance']).table()}")


if __name__ == "__main__":
    main()
