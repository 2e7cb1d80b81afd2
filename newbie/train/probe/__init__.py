"""A probe that sees pixels only: a small classifier trained on drawings with a generator's faults.

    probe = load(Path("runs/probe"))
    scores = evaluate(pictures, specs, probe)      # uint8 (N, H, W, 3) and what each was asked to show
    print(scores.table(), probe.ceiling.table())   # beside what the probe scores on real drawings

It judges a model, so it never sees the model's pictures in training, nor any prompt.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from newbie.errors import UsageError, WeightsError
from newbie.train.figures import PictureSpec
from newbie.train.probe.labels import OF_CHARACTER, OF_PICTURE
from newbie.train.probe.reader import SIDE, Reader
from newbie.train.probe.scores import Rate, Scores, as_indices, score, shuffled

__all__ = ["Probe", "Rate", "Scores", "chance", "evaluate", "load", "pixels", "save"]

WEIGHTS = "probe.safetensors"
CARD = "probe.json"


@dataclass(frozen=True)
class Probe:
    """A trained reader and its card: how it was trained and what it scores on real held-out drawings."""

    reader: Reader
    card: dict[str, Any]

    @property
    def ceiling(self) -> Scores:
        """The accuracy on real drawings: no generator can be expected to score higher."""
        return Scores.from_json(self.card["ceiling"])

    @torch.inference_mode()
    def read(self, pictures: npt.NDArray[np.uint8] | Sequence[npt.NDArray[np.uint8]]) -> dict[str, Tensor]:
        """The best answer to every question: indices in the layout of `labels.answers`."""
        parts = [as_indices(self.reader(pixels(pictures[start : start + 64]))) for start in range(0, len(pictures), 64)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def pixels(pictures: npt.NDArray[np.uint8] | Sequence[npt.NDArray[np.uint8]]) -> Tensor:
    """uint8 pictures (H, W, 3) of one size → (B, 3, 128, 128) float32 in [0, 1]."""
    batch = torch.from_numpy(np.ascontiguousarray(np.stack(list(pictures)))).permute(0, 3, 1, 2).float() / 255
    if batch.shape[-2:] != (SIDE, SIDE):
        batch = F.interpolate(batch, (SIDE, SIDE), mode="bilinear", antialias=True)
    return batch


def evaluate(
    pictures: npt.NDArray[np.uint8] | Sequence[npt.NDArray[np.uint8]], specs: Sequence[PictureSpec], probe: Probe
) -> Scores:
    """Score pictures against what they were asked to show.

    Raises:
        UsageError: no pictures, or not one spec for each.
    """
    if not len(pictures) or len(pictures) != len(specs):
        raise UsageError(f"{len(pictures)} pictures and {len(specs)} specs", "pass one spec for each picture")
    return score(probe.read(pictures), specs)


def chance(
    pictures: npt.NDArray[np.uint8] | Sequence[npt.NDArray[np.uint8]],
    specs: Sequence[PictureSpec],
    probe: Probe,
    *,
    seed: int = 0,
) -> Scores:
    """The same with the specs shuffled among the pictures: what a model that ignores its prompt would score."""
    return evaluate(pictures, shuffled(specs, seed), probe)


def save(probe: Probe, folder: Path) -> None:
    """Write `probe.safetensors` and `probe.json` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in probe.reader.state_dict().items()}, folder / WEIGHTS)
    (folder / CARD).write_text(json.dumps(probe.card, indent=1) + "\n", encoding="utf-8")


def load(folder: Path) -> Probe:
    """Read a probe.

    Raises:
        WeightsError: there is none, or it was trained on another vocabulary.
    """
    hint = f"train one: python -m newbie.train.probe train --out {folder.name}"
    if not (folder / WEIGHTS).is_file() or not (folder / CARD).is_file():
        raise WeightsError(f"no probe in {folder.name}: looked for {WEIGHTS} and {CARD}", hint)
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    if card.get("questions") != questions():
        raise WeightsError(f"the probe in {folder.name} was trained on another vocabulary", hint)
    reader = Reader(card["width"])
    reader.load_state_dict(load_file(folder / WEIGHTS))
    return Probe(reader.eval(), card)


def questions() -> dict[str, list[str]]:
    """Every question and its answers, as written into the card."""
    return {name: list(values) for name, values in {**OF_PICTURE, **OF_CHARACTER}.items()}
