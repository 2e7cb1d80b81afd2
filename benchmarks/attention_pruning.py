"""What `--accel prune` saves on newbie-mini and what it costs: on a plain, a busy and a striped picture.

    python benchmarks/attention_pruning.py                          128x128 and 256x256, 12 steps
    python benchmarks/attention_pruning.py --sizes 512 --budgets 0.02,0.1,0.5 --rounds 5

Prompts do not force a pattern on a model, so every picture is given: drawn by the training data's program, encoded, and
buried in noise up to flow time 0.3, from where the model goes on to the end by its usual grid. The striped one is the
plain one with stripes of a token's width in the place of its paper. Errors are those of the final latents, relative to
those without pruning. What is saved are operations of the products with scores, what deciding costs counted against it.
Runs take turns in random order; times are the processor's, so that others on the machine do not count.
Writes benchmarks/results/attention-pruning-SIZE.json.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from newbie import Pipeline, Request
from newbie.bench import machine
from newbie.bench.memory import HOW, peak_bytes
from newbie.bench.results import Result, write
from newbie.bench.timing import significant
from newbie.denoise import Denoiser
from newbie.pipeline.generation import Generation
from newbie.sampling import noise, solvers
from newbie.step import Book
from newbie.train.figures.captions import caption_full
from newbie.train.figures.draw import draw
from newbie.train.figures.spec import Character, PictureSpec
from newbie.vae.pixels import from_uint8

BACKGROUNDS = {"plain": "white_background", "busy": "flower_field", "striped": "white_background"}
PAPER = (252, 252, 254)  # of the white background
TOKEN = 16  # pixels
BEGINS = 0.3  # flow time


def given(name: str, pixels: int) -> tuple[str, np.ndarray]:
    """A picture and its prompt."""
    spec = PictureSpec((Character(),), BACKGROUNDS[name])
    picture = draw(spec, pixels)
    if name == "striped":
        dark = np.arange(pixels) // TOKEN % 2 == 0
        stripes = np.where(dark[None, :, None], (40, 40, 120), PAPER).astype(np.uint8)
        picture = np.where((picture == PAPER).all(-1, keepdims=True), stripes, picture)
    return caption_full(spec), picture


class Drawing:
    """A picture that is drawn again and again, with this acceleration or that."""

    def __init__(self, pipeline: Pipeline, name: str, pixels: int, steps: int) -> None:
        self.pipeline = pipeline
        prompt, picture = given(name, pixels)
        self.request = Request(prompt=prompt, width=pixels, height=pixels, steps=steps, sampler="euler", seed=0)
        latents = pipeline.vae.latents(pipeline.vae.encode(from_uint8(torch.from_numpy(picture)[None])))
        self.latents = latents.float()
        self.start = (1 - BEGINS) * noise.draw([0], tuple(latents.shape[1:])) + BEGINS * self.latents

    def denoiser(self, accel: str) -> Denoiser:
        request = replace(self.request, accel=accel).resolved(self.pipeline.recommended)
        whole = Generation(self.pipeline, request).denoiser()
        return replace(whole, grid=BEGINS + (1 - BEGINS) * whole.grid)

    def __call__(self, denoiser: Denoiser) -> tuple[Tensor, Book]:
        """Final latents, and what was done."""
        velocity = denoiser.velocity(1)
        velocity.prepare()
        final = solvers.SOLVERS["euler"](velocity, self.start, denoiser.grid, None)
        velocity.forget()
        return final, velocity.book


def measured(drawing: Drawing, settings: dict[str, str], rounds: int, *, memory: bool) -> list[dict[str, Any]]:
    """A row for each setting; the first of them is the plain way."""
    denoisers = {name: drawing.denoiser(accel) for name, accel in settings.items()}
    for denoiser in denoisers.values():
        denoiser.velocity(1)(drawing.start, denoiser.times[0])  # warm
    outcomes: dict[str, tuple[Tensor, Book]] = {}
    seconds: dict[str, list[float]] = {name: [] for name in settings}
    for each in range(rounds):
        for name in random.Random(each).sample(list(settings), len(settings)):
            began = time.process_time()
            outcomes[name] = drawing(denoisers[name])
            seconds[name].append(time.process_time() - began)
    plain, *_ = settings
    exact, rows = outcomes[plain][0], []
    for name in settings:
        final, book = outcomes[name]
        layers, pruned = len(drawing.pipeline.transformer.layers), book.pruned
        every = pruned.whole / max(len(pruned.seen), 1) * layers * len(denoisers[name].times)  # of the whole generation
        entropy, mass = (sum(each) / len(each) for each in zip(*pruned.seen, strict=True)) if pruned.seen else (0, 0)
        peak = peak_bytes(partial(drawing, denoisers[name]), torch.device("cpu")) if memory else None
        rows.append({
            "setting": settings[name], "error": significant(float((final - exact).norm() / exact.norm()), 3),
            "likeness": significant(float(torch.cosine_similarity(final.flatten(), drawing.latents.flatten(), 0)), 3),
            "classes": pruned.classes(), "gained": pruned.gained, "overhead": pruned.overhead, "of": pruned.whole,
            "gained_share": significant(pruned.gained / max(pruned.whole, 1), 3),
            "saved": significant(pruned.saved, 3),
            "saved_of_all": significant((pruned.gained - pruned.overhead) / every, 3) if every else 0.0,
            "seconds": [significant(each, 4) for each in seconds[name]],
            "times": significant(statistics.median(seconds[plain]) / statistics.median(seconds[name]), 3),
            "peak_bytes": peak,
            "entropy": significant(entropy, 3), "window_mass": significant(mass, 3), "notes": book.notes,
        })  # fmt: skip
    return rows


@torch.no_grad()
def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    flags.add_argument("--sizes", default="128,256")
    flags.add_argument("--steps", type=int, default=12)
    flags.add_argument("--budgets", default="0.02,0.5")
    flags.add_argument("--rows", type=int, default=16, help="sampled where a budget is named (default: %(default)s)")
    flags.add_argument("--rounds", type=int, default=2)
    flags.add_argument("--note", default="", help="what else the machine was doing")
    flags.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    args = flags.parse_args()
    pipeline = Pipeline.open()
    about = {
        "command": " ".join(["python", "benchmarks/attention_pruning.py", *sys.argv[1:]]),
        "note": args.note, "threads": torch.get_num_threads(), "model": pipeline.describe(),
        **machine.facts(torch.device("cpu")), "peak_bytes": HOW["cpu"],
    }  # fmt: skip
    for pixels in map(int, args.sizes.split(",")):
        rows: list[dict[str, Any]] = []
        shape = f"rows={args.rows},tile={max(pixels // TOKEN // 4, 1)},always=yes"
        settings = {"exact": "", "as it comes": "prune"}
        settings |= {budget: f"prune:budget={budget},{shape}" for budget in args.budgets.split(",")}
        for name in BACKGROUNDS:
            drawing = Drawing(pipeline, name, pixels, args.steps)
            for row in measured(drawing, settings, args.rounds, memory=name == "striped"):
                rows.append({"picture": name, **row})
                shown = ("picture", "setting", "saved", "error", "times", "peak_bytes", "classes", "notes")
                print({key: rows[-1][key] for key in shown}, flush=True)
        values = {"pixels": pixels, "steps": args.steps, "begins": BEGINS, "rows": rows}
        result = Result(f"attention-pruning-{pixels}", "attention-pruning", about, values)
        print(f"measured: {write(result, args.results)}", flush=True)


if __name__ == "__main__":
    main()
