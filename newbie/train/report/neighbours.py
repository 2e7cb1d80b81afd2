"""The training drawings nearest to generated pictures, so that memorising would be visible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from newbie.train.probe import Seen
from newbie.train.report.sheets import sheet
from newbie.train.studio import Picture

NEAREST = 4


@dataclass(frozen=True)
class Neighbours:
    """For each picture its nearest training drawings, nearest first, and how far they are."""

    numbers: Tensor  # (N, NEAREST)
    distances: Tensor  # (N, NEAREST)

    @property
    def median(self) -> float:
        """The middle of the distances to the very nearest."""
        return float(self.distances[:, 0].median())


def nearest(pictures: Seen, training: Seen) -> Neighbours:
    """By everything the probe sees, sixteenth by sixteenth, each feature in units of its spread over training."""
    known = training.features.flatten(1)
    spread = known.std(0).clamp(min=1e-6)
    distances = torch.cdist(pictures.features.flatten(1) / spread, known / spread) / known.shape[1] ** 0.5
    found = distances.topk(min(NEAREST, len(known)), largest=False)
    return Neighbours(found.indices, found.values)


def neighbour_sheet(pictures: Sequence[Picture], drawings: Sequence[Picture], found: Neighbours) -> Image.Image:
    """A row for each picture: itself, then its nearest training drawings. `drawings[i]` is training drawing i."""
    cells: list[tuple[Picture, str]] = []
    for i, picture in enumerate(pictures):
        cells.append((picture, "generated"))
        near = zip(found.numbers[i].tolist(), found.distances[i].tolist(), strict=True)
        cells += [(drawings[number], f"drawing {number}, {distance:.2f}") for number, distance in near]
    return sheet(cells, columns=1 + found.numbers.shape[1], side=160)
