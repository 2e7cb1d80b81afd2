"""Modulation weights leave the device and come back. They are a tenth of the model: 10.3 % of the published 3.5B.

With a modulation table a generation reads them before its loop and never again, so they may wait in main memory; the
table fetches one block's weights at a time. Nothing else computes with them: without the table, bring them back first.
A generation that runs meanwhile keeps the modules it began with.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from itertools import chain
from typing import cast

import torch
from torch import nn

from newbie.model.block import Block
from newbie.model.nextdit import NextDiT


def park(model: NextDiT, place: torch.device | str = "cpu") -> int:
    """Move the modulation weights of all blocks to `place`; bytes that left their device. 0: they were there."""
    place = torch.device(place)
    moved = 0
    for block in chain(*(cast("Iterable[Block]", blocks) for blocks in (model.noise_refiner, model.layers))):
        weights = block.adaLN_modulation
        if next(weights.parameters()).device != place:
            moved += modulation_bytes(weights)
            # A copy in its place, in one assignment: who reads the old one at this moment reads it to the end.
            block.adaLN_modulation = copy.deepcopy(weights).to(place)
    return moved


def modulation_bytes(module: nn.Module) -> int:
    """Bytes of all parameters."""
    return sum(p.numel() * p.element_size() for p in module.parameters())
