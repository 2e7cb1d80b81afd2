"""A probe that sees pixels only: a small classifier trained on drawings with a generator's faults.

    probe = load(BUNDLED)                          # the one that comes with newbie-mini, or the folder of another
    found = judge(pictures, specs, probe)          # uint8 pictures (H, W, 3) of any size, what each was asked to show
    print(Scores.count(found).table())             # beside probe.ceiling.table(), its scores on real drawings

It judges a model, so it never sees the model's pictures in training, nor any prompt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from newbie.errors import UsageError, WeightsError
from newbie.pipeline.opening import BUNDLED as MODEL
from newbie.train.figures import PictureSpec
from newbie.train.probe.labels import OF_CHARACTER, OF_PICTURE, Asked, as_asked
from newbie.train.probe.rates import Paired, Rate, Ratio, ratio
from newbie.train.probe.reader import SIDE, Reader, quarters
from newbie.train.probe.scores import ATTRIBUTES, Scores, Told, Verdict, shuffled, verdicts
from newbie.train.studio import Picture, fitted

__all__ = [
    "ATTRIBUTES",
    "BUNDLED",
    "Asked",
    "Paired",
    "Probe",
    "Rate",
    "Ratio",
    "Scores",
    "Seen",
    "Told",
    "Verdict",
    "chance",
    "evaluate",
    "judge",
    "load",
    "pixels",
    "ratio",
    "save",
    "shuffled",
    "verdicts",
]

BUNDLED = MODEL.with_name("newbie-mini-probe")
WEIGHTS = "probe.safetensors"
CARD = "probe.json"
BATCH = 32


class Seen(NamedTuple):
    """What the probe makes of pictures, on the CPU: log-probabilities of all answers, and its features."""

    log_p: dict[str, Tensor]  # (N, answers), or (N, slots, answers) for questions about figures
    features: Tensor  # (N, 16, C): the means over the sixteenths of each picture


@dataclass(frozen=True)
class Probe:
    """A trained reader and its card: how it was trained and what it scores on real held-out drawings."""

    reader: Reader
    card: dict[str, Any]

    @property
    def ceiling(self) -> Scores:
        """The accuracy on real drawings: no generator can be expected to score higher."""
        return Scores.from_json(self.card["ceiling"])

    @torch.no_grad()
    def look(self, pictures: Iterable[Picture]) -> Seen:
        """Look at uint8 pictures (H, W, 3) of any sizes."""
        device = self.reader.place.device
        log_p: list[dict[str, Tensor]] = []
        features = []
        for batch in _batches(pictures, BATCH):
            seen = self.reader.seen(pixels(batch).to(device))
            judged = self.reader.judged(seen)
            log_p.append({name: scores.log_softmax(-1).cpu() for name, scores in judged.items()})
            features.append(quarters(seen).cpu())
        if not features:
            raise UsageError("there is no picture to look at", "pass at least one")
        return Seen({name: torch.cat([each[name] for each in log_p]) for name in log_p[0]}, torch.cat(features))


def _batches(pictures: Iterable[Picture], size: int) -> Iterable[list[Picture]]:
    batch: list[Picture] = []
    for picture in pictures:
        batch.append(picture)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def pixels(pictures: Sequence[Picture]) -> Tensor:
    """uint8 pictures (H, W, 3) of any sizes → (B, 3, 256, 256) float32 in [0, 1], see `studio.fitted`."""
    batch = np.stack([fitted(picture, SIDE) for picture in pictures])
    return torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255


def judge(pictures: Sequence[Picture], what: Sequence[PictureSpec | Asked], probe: Probe) -> list[Verdict]:
    """A verdict on each picture: what it was asked to show, and what the probe reads.

    Raises:
        UsageError: no pictures, or not one spec for each.
    """
    if not len(pictures) or len(pictures) != len(what):
        raise UsageError(f"{len(pictures)} pictures and {len(what)} specs", "pass one spec for each picture")
    return verdicts(probe.look(pictures).log_p, [as_asked(each) for each in what])


def evaluate(pictures: Sequence[Picture], what: Sequence[PictureSpec | Asked], probe: Probe) -> Scores:
    """Score pictures against what they were asked to show."""
    return Scores.count(judge(pictures, what, probe))


def chance(pictures: Sequence[Picture], what: Sequence[PictureSpec | Asked], probe: Probe, *, seed: int = 0) -> Scores:
    """The same with the specs shuffled among the pictures: what a model that ignores its prompt would score."""
    return evaluate(pictures, shuffled([as_asked(each) for each in what], seed), probe)


def save(probe: Probe, folder: Path) -> None:
    """Write `probe.safetensors` and `probe.json` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.cpu().contiguous() for name, tensor in probe.reader.state_dict().items()}
    save_file(state, folder / WEIGHTS)
    (folder / CARD).write_text(json.dumps(probe.card, indent=1) + "\n", encoding="utf-8")


def load(folder: Path, device: str = "cpu") -> Probe:
    """Read a probe.

    Raises:
        WeightsError: there is none, or it was trained on another vocabulary.
    """
    hint = f"train one: python -m newbie.train.probe train --out {folder}"
    if not (folder / WEIGHTS).is_file() or not (folder / CARD).is_file():
        raise WeightsError(f"no probe in {folder}: looked for {WEIGHTS} and {CARD}", hint)
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    if card.get("questions") != questions():
        raise WeightsError(f"the probe in {folder} was trained on another vocabulary", hint)
    reader = Reader(card["width"])
    reader.load_state_dict(load_file(folder / WEIGHTS))
    return Probe(reader.to(device).eval(), card)


def questions() -> dict[str, list[str]]:
    """Every question and its answers, as written into the card."""
    return {name: list(values) for name, values in {**OF_PICTURE, **OF_CHARACTER}.items()}
