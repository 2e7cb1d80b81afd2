"""Scales and gates of every evaluation, made before the first.

They depend on the time and on the pooled prompt, never on the picture, and the times of a generation are known when it
begins. So each block's modulation is one product over all times, instead of a product of one or two rows at every
step; and the weights that make it, a tenth of the model, may be elsewhere meanwhile (see `parking`).

A product over more rows may add in another order: an entry can differ from the one made at its step in the last bit.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from newbie.model.block import Block, Modulation
from newbie.model.nextdit import Modulations, NextDiT

LIMIT = 256 * 2**20  # bytes of one table


class ModulationTable:
    """What is said to the blocks at each time of one generation. Belongs to it, and holds a bounded part at a time.

    A table that would be larger than `limit` bytes is made in pieces, as the times come up. A time that is not among
    `times` (a solver that chooses its steps as it goes) is answered as well, by a piece of one.

    Args:
        model: its blocks may have modulation weights on another device.
        pooled: (B, clip_text_dim), projected, of the rows that the table is for. None: one row serves all.
        times: in the order in which they will be asked for.
    """

    def __init__(
        self, model: NextDiT, pooled: Tensor | None, times: Sequence[float], device: torch.device, limit: int = LIMIT
    ) -> None:
        self.model = model
        self.pooled = pooled
        self.times = list(dict.fromkeys(times))
        self.device = device
        config = model.config
        blocks = config.n_layers + config.n_refiner_layers
        self.rows = 1 if pooled is None else len(pooled)
        row_bytes = (4 * blocks + 1) * config.dim * self.rows * torch.finfo(model.dtype).bits // 8
        self.capacity = max(limit // row_bytes, 1)  # times of one piece
        self.bytes = row_bytes * min(self.capacity, len(self.times))
        self.products = 0  # pieces made so far
        self._piece: dict[float, Modulations] = {}

    def at(self, t: float) -> Modulations:
        """What is said at time t; each tensor (B, 1, dim), or (1, 1, dim) without a pooled prompt."""
        if t not in self._piece:
            self._piece = {}  # before the next one is made: one table's memory, not two
            first = self.times.index(t) if t in self.times else None
            times = [t] if first is None else self.times[first : first + self.capacity]
            self._piece = self._make(times)
            self.products += 1
        return self._piece[t]

    def _make(self, times: Sequence[float]) -> dict[float, Modulations]:
        t = torch.tensor(times, dtype=torch.float32).repeat_interleave(self.rows).to(self.device)
        pooled = None if self.pooled is None else self.pooled.repeat(len(times), 1)
        temb = self.model.conditioning(t, pooled)  # (times * B, cond_dim)
        refiner = _of_each(self.model.noise_refiner, temb)
        layers = _of_each(self.model.layers, temb)
        final = self.model.final_layer.modulation(temb)
        parts = [slice(i * self.rows, (i + 1) * self.rows) for i in range(len(times))]
        return {
            t: Modulations(_cut(refiner, part), _cut(layers, part), final[part])
            for t, part in zip(times, parts, strict=True)
        }


def _of_each(blocks: nn.ModuleList, temb: Tensor) -> list[Modulation]:
    """One product per block, each (times * B, 1, dim)."""
    return [Modulation.of(_on(temb.device, block.adaLN_modulation)(temb)) for block in cast("Iterable[Block]", blocks)]


def _cut(said: Sequence[Modulation], part: slice) -> tuple[Modulation, ...]:
    return tuple(each.rows(part) for each in said)


def _on(device: torch.device, module: nn.Module) -> nn.Module:
    """The module where it is, or a passing copy of it on the device: one block's weights at a time."""
    first = next(module.parameters(), None)  # none: it fetches its weights by itself
    return module if first is None or first.device == device else copy.deepcopy(module).to(device)
