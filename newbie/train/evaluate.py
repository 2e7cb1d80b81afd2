"""How well a model obeys: draw held-out prompts, let the probe read the pictures.

    python -m newbie.train.probe train --out runs/probe
    python -m newbie evaluate --probe runs/probe --count 256

The prompts are full captions of attribute combinations that training never shows (`figures.held_out`). The probe sees
pixels only. Beside its reading stand its own accuracy on real drawings (the ceiling) and, with the prompts shuffled
among the pictures, what a model that ignores its prompt would score (chance).
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from newbie import Pipeline, Request
from newbie.train.figures import PictureSpec, caption_full, sample
from newbie.train.probe import Probe, Scores, chance, evaluate, load

SHEET_COLUMNS, SHEET_PICTURES = 8, 24


def held_out_specs(count: int, seed: int) -> list[PictureSpec]:
    """`count` specs, one figure and two figures in turn, of combinations that are never trained."""
    return [sample(random.Random(f"evaluate/{seed}/{i}"), split="held_out", characters=1 + i % 2) for i in range(count)]


def drawn(
    pipeline: Pipeline, specs: Sequence[PictureSpec], request: Request, say: Callable[[str], None]
) -> list[np.ndarray]:
    """One picture (H, W, 3) uint8 for each spec; picture i has the seed `request.seed` + i."""
    pictures = []
    for i, spec in enumerate(specs):
        asked = Request.from_json({**request.to_json(), "prompt": caption_full(spec), "seed": request.seed + i})
        pictures.append(np.asarray(pipeline.generate(asked).images[0]))
        if (i + 1) % 32 == 0:
            say(f"drawn {i + 1} of {len(specs)}")
    return pictures


def sheet(pictures: Sequence[np.ndarray], columns: int = SHEET_COLUMNS) -> Image.Image:
    """The first pictures, at most 24, side by side in full rows: nothing is selected."""
    rows = min(len(pictures), SHEET_PICTURES) // columns
    lines = [np.concatenate(pictures[row * columns : (row + 1) * columns], axis=1) for row in range(rows)]
    return Image.fromarray(np.concatenate(lines, axis=0))


def report(pictures: Sequence[np.ndarray], specs: Sequence[PictureSpec], probe: Probe) -> dict[str, Scores]:
    """The model's scores, the probe's ceiling, and chance."""
    return {
        "model": evaluate(pictures, specs, probe),
        "real drawings": probe.ceiling,
        "shuffled prompts": chance(pictures, specs, probe),
    }


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(prog="python -m newbie evaluate", description=__doc__.splitlines()[0])
    flags.add_argument("--model", "-m", help="folder, file or hub id (default: the bundled model)")
    flags.add_argument("--probe", type=Path, default=Path("runs/probe"), help="default: %(default)s")
    flags.add_argument("--count", type=int, default=256, help="pictures (default: %(default)s)")
    flags.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    flags.add_argument("--cfg-scale", type=float, help="default: as the model recommends")
    flags.add_argument("--shift", type=float, help="default: as the model recommends")
    flags.add_argument("--steps", type=int, help="default: as the model recommends")
    flags.add_argument("--canonical", action=argparse.BooleanOptionalAction, help="default: as the model recommends")
    flags.add_argument("--sheet", type=Path, help="write the first pictures as one PNG")
    flags.add_argument("--json", type=Path, help="write the scores as JSON")
    return flags


def main(argv: Sequence[str], say: Callable[[str], None]) -> int:
    """Exit code 0; raises NewbieError."""
    args = parser().parse_args(argv)
    probe = load(args.probe)
    pipeline = Pipeline.open(args.model)
    request = Request(
        cfg_scale=args.cfg_scale, shift=args.shift, steps=args.steps, canonical=args.canonical, seed=args.seed
    ).resolved(pipeline.recommended)
    specs = held_out_specs(args.count, args.seed)
    pictures = drawn(pipeline, specs, request, say)
    found = report(pictures, specs, probe)
    for name, scores in found.items():
        say(f"{name}, percent\n{scores.table()}\n")
    if args.sheet:
        args.sheet.parent.mkdir(parents=True, exist_ok=True)
        sheet(pictures).save(args.sheet)
    if args.json:
        values: dict[str, Any] = {"ran": pipeline.describe(), "request": request.to_json(), "pictures": len(pictures)}
        values |= {name: scores.as_json() for name, scores in found.items()}
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    return 0
