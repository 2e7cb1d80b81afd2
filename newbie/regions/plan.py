"""What a request's prompts say about areas and loudness, ready for the denoiser, and what of it is to be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch

from newbie.prompt import boxes as prompt_boxes
from newbie.prompt import weights
from newbie.prompt.boxes import Box
from newbie.prompt.read import Reading
from newbie.prompt.tokens import EncoderInput
from newbie.regions.bias import Bias, bias_of
from newbie.regions.boxes import boxes
from newbie.regions.schedule import OFF, Regions


class Plan(NamedTuple):
    """Biases of the prompt and of the negative prompt; the areas that act, by the path of their character."""

    biases: tuple[Bias | None, Bias | None]
    areas: Mapping[str, Box]
    notes: tuple[str, ...] = ()

    def told(self) -> list[str]:
        """The areas as they are stored with a picture: `character_1 0,0 0.5x1`."""
        return [f"{path} {box.x:g},{box.y:g} {box.width:.3g}x{box.height:.3g}" for path, box in self.areas.items()]


def plan(
    readings: tuple[Reading, Reading | None],
    inputs: Sequence[EncoderInput],
    said: str,
    grid: tuple[int, int],
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Plan:
    """For pictures of (rows, columns) image tokens.

    Args:
        readings: prompt and negative prompt.
        inputs: both, as the main encoder reads them.
        said: what `--regions` says. Areas are those of the prompt: a negative prompt has weights only.

    Raises:
        UsageError: `said` cannot be read.
    """
    regions = Regions.parse(said)
    off = Regions.parse(OFF)
    found = boxes(readings[0], explicit_only=not regions.words) if regions.strength else {}
    areas = {path: box for path, box in found.items() if inputs[0].span(path) is not None}
    biases = (bias_of(inputs[0], areas, regions, grid, device, dtype), bias_of(inputs[1], {}, off, grid, device, dtype))
    notes = [f"{each.message}: {each.hint}" for each in prompt_boxes.troubles(readings[0])]
    for reading in readings:
        notes += [f"{each.message}: {each.hint}" for each in weights.troubles(reading)] if reading else []
    if not regions.strength and prompt_boxes.written(readings[0]):
        notes.append("the prompt has boxes, and regions are off: --regions boxes lets them act")
    return Plan(biases, areas, tuple(dict.fromkeys(notes)))
