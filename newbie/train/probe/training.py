"""Training the probe: fresh drawings at every step, blemished, read, compared."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from newbie.devices import native_bf16
from newbie.train.figures import PictureSpec, draw, sample
from newbie.train.loop import Plan, fit
from newbie.train.optim import Optimizers, split_parameters
from newbie.train.probe import Probe, chance, evaluate, pixels, questions
from newbie.train.probe.blemishes import blemished
from newbie.train.probe.labels import IGNORED, answers
from newbie.train.probe.reader import SIDE, Reader


@dataclass(frozen=True)
class ProbeRecipe:
    """How the probe is trained. 800 steps take about fourteen minutes of one core with bf16."""

    steps: int = 800
    batch: int = 64
    width: int = 64
    seed: int = 1
    ceiling_pictures: int = 1024


def train(recipe: ProbeRecipe, folder: Path, *, say: Callable[[str], None]) -> Probe:
    """Train a probe in `folder` (resuming what is there), then state what it scores on real held-out drawings."""
    torch.manual_seed(recipe.seed)
    reader = Reader(recipe.width)
    muon, adam = split_parameters(reader, ("heads", "look", "place", "slot"))
    optimizers = Optimizers(muon, adam, muon_lr=0.01, adam_lr=2e-3)
    dtype = torch.bfloat16 if native_bf16("cpu") else torch.float32

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        specs, pictures = drawings(recipe.batch, f"probe/{recipe.seed}/{step}")
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        scores = reader(blemished(pictures, generator), dtype)
        right = answers(specs)
        losses = {name: _entropy(scores[name], right[name]) for name in scores}
        watched = {name: float(losses[name].detach()) for name in ("hair_color", "eye_color", "outfit", "mouth")}
        loss = torch.stack(list(losses.values())).sum()
        loss.backward()
        return loss.detach(), watched

    plan = Plan(steps=recipe.steps, report_every=25, save_every=100, warmup=30, decay=0.5, ema=0.99)
    fit(reader, loss_at, optimizers, plan, folder, say=say).copy_to(reader)
    return graded(Probe(reader.eval(), {}), recipe)


def drawings(count: int, seed: str, split: str = "any") -> tuple[list[PictureSpec], Tensor]:
    """`count` drawings: what they show, and (count, 3, 128, 128) in [0, 1]."""
    rng = random.Random(seed)
    specs = [sample(rng, split=split) for _ in range(count)]  # type: ignore[arg-type]
    return specs, pixels([draw(spec, SIDE) for spec in specs])


def graded(probe: Probe, recipe: ProbeRecipe) -> Probe:
    """The probe with its card: settings, the ceiling on real drawings, and the score of shuffled specs."""
    rng = random.Random(f"ceiling/{recipe.seed}")
    specs = [sample(rng, split="held_out") for _ in range(recipe.ceiling_pictures)]
    pictures = [draw(spec, SIDE) for spec in specs]
    card = {
        "what": "reads drawings of newbie.train.figures; see docs/drawing.md",
        "steps": recipe.steps,
        "batch": recipe.batch,
        "width": recipe.width,
        "seed": recipe.seed,
        "ceiling_pictures": recipe.ceiling_pictures,
        "ceiling": evaluate(pictures, specs, probe).as_json(),
        "chance": chance(pictures, specs, probe).as_json(),
        "questions": questions(),
    }
    return Probe(probe.reader, card)


def _entropy(scores: Tensor, right: Tensor) -> Tensor:
    """Cross entropy over the slots that are filled; zero where none is."""
    asked = (right != IGNORED).sum().clamp(min=1)
    return F.cross_entropy(scores.flatten(0, -2), right.flatten(), ignore_index=IGNORED, reduction="sum") / asked
