"""Training the probe: fresh drawings at every step, blemished, read, compared."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from newbie.devices import native_bf16
from newbie.train.figures import PictureSpec, sample
from newbie.train.loop import Plan, fit
from newbie.train.optim import Optimizers, split_parameters
from newbie.train.probe import Probe, Scores, judge, pixels, questions
from newbie.train.probe.blemishes import blemished
from newbie.train.probe.labels import IGNORED, Asked, answers
from newbie.train.probe.reader import SIDE, Reader
from newbie.train.probe.roundtrip import of_folder
from newbie.train.probe.scores import shuffled
from newbie.train.studio import Order, Studio


@dataclass(frozen=True)
class ProbeRecipe:
    """How the probe is trained. 900 steps take about 45 core-minutes with bf16, drawing included."""

    steps: int = 900
    batch: int = 64
    width: int = 40
    seed: int = 1
    tripped: float = 1 / 32  # share of the drawings that goes through the autoencoder
    ceiling_pictures: int = 1536


def train(
    recipe: ProbeRecipe,
    folder: Path,
    *,
    vae: Path | None = None,
    device: torch.device | None = None,
    workers: int = 0,
    say: Callable[[str], None],
) -> Probe:
    """Train a probe in `folder` (resuming what is there), then state what it scores on real held-out drawings.

    `vae` is the folder of a trained autoencoder for the round trips among the blemishes; `workers` processes draw.
    """
    device = device or torch.device("cpu")
    dtype = torch.bfloat16 if native_bf16(str(device)) else torch.float32
    torch.manual_seed(recipe.seed)
    reader = Reader(recipe.width).to(device)
    muon, adam = split_parameters(reader, ("heads", "look", "place", "slot"))
    optimizers = Optimizers(muon, adam, muon_lr=0.01, adam_lr=2e-3)
    trip = of_folder(vae, device=device, dtype=dtype) if vae is not None else None

    with Studio(workers, SIDE) as studio:
        batches = Batches(studio, recipe)

        def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
            specs, pictures = batches.at(step)
            generator = torch.Generator(device).manual_seed(recipe.seed * 1_000_003 + step)
            faulty = blemished(pictures.to(device), generator, round_trip=trip, tripped=recipe.tripped)
            scores = reader(faulty, dtype)
            right = {name: index.to(device) for name, index in answers(specs).items()}
            losses = {name: entropy(scores[name], right[name]) for name in scores}
            loss = torch.stack(list(losses.values())).sum()
            loss.backward()
            watched = ("hair_color", "eye_color", "outfit", "mouth", "prop")
            return loss.detach(), {name: float(losses[name].detach()) for name in watched}

        plan = Plan(steps=recipe.steps, report_every=25, save_every=100, warmup=30, decay=0.5, ema=0.99)
        told = f"{recipe}, autoencoder {'no' if vae is None else vae.name}"
        fit(reader, loss_at, optimizers, plan, folder, say=say, recipe=told).copy_to(reader)
        probe = graded(Probe(reader.eval(), {}), recipe, studio)
    card = {**probe.card, "autoencoder": vae is not None}
    return Probe(probe.reader, card)


def specs_at(recipe: ProbeRecipe, step: int) -> list[PictureSpec]:
    """What the batch of a step shows: one, two and three figures in turn, every combination."""
    rng = random.Random(f"probe/{recipe.seed}/{step}")
    return [sample(rng, split="any", characters=1 + i % 3) for i in range(recipe.batch)]


class Batches:
    """The drawings of each step, ordered a few steps before they are needed."""

    def __init__(self, studio: Studio, recipe: ProbeRecipe) -> None:
        self.studio = studio
        self.recipe = recipe
        self.ahead = 3 if studio.workers else 1
        self._ordered: deque[tuple[int, list[PictureSpec], Order]] = deque()

    def at(self, step: int) -> tuple[list[PictureSpec], Tensor]:
        """(specs, (B, 3, 256, 256) in [0, 1]) of `step`; steps are asked for in order."""
        following = self._ordered[-1][0] + 1 if self._ordered else step
        for later in range(following, min(step + self.ahead, self.recipe.steps)):
            specs = specs_at(self.recipe, later)
            self._ordered.append((later, specs, self.studio.order(specs, fit=True)))
        _, specs, order = self._ordered.popleft()
        return specs, pixels(list(order))


def graded(probe: Probe, recipe: ProbeRecipe, studio: Studio) -> Probe:
    """The probe with its card: settings, the ceiling on real drawings, and the score of shuffled specs."""
    rng = random.Random(f"ceiling/{recipe.seed}")
    specs = [sample(rng, split="held_out", characters=1 + i % 3) for i in range(recipe.ceiling_pictures)]
    asked = [Asked.of(spec) for spec in specs]
    pictures = studio.pictures(specs, fit=True)
    card = {
        "what": "reads drawings of newbie.train.figures; see docs/evaluation.md",
        **asdict(recipe),
        "ceiling": Scores.count(judge(pictures, asked, probe)).as_json(),
        "chance": Scores.count(judge(pictures, shuffled(asked), probe)).as_json(),
        "questions": questions(),
    }
    return Probe(probe.reader, card)


def entropy(scores: Tensor, right: Tensor) -> Tensor:
    """Cross entropy over the slots that are filled; zero where none is."""
    asked = (right != IGNORED).sum().clamp(min=1)
    return F.cross_entropy(scores.flatten(0, -2), right.flatten(), ignore_index=IGNORED, reduction="sum") / asked
