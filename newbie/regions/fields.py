"""Boxes on the grid of image tokens: 1 well inside, 0 well outside, and a soft edge between."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from newbie.prompt.boxes import Box

EDGE = 0.06  # half the width of a soft edge, in shares of the picture's width or height


def field(box: Box, grid: tuple[int, int], edge: float = EDGE) -> Tensor:
    """How much each image token lies in the box: (N,) float32 in 0..1, row by row. `grid`: rows and columns of tokens.

    Edges at the frame of the picture do not fade.
    """
    down, along = (
        _along(start, start + size, count, edge)
        for start, size, count in ((box.y, box.height, grid[0]), (box.x, box.width, grid[1]))
    )
    return (down[:, None] * along).flatten()


def belonging(fields: Sequence[Tensor]) -> Tensor:
    """(characters, N) in -1..1: how much more each token lies in a character's box than in anybody else's.

    1 where it is theirs alone, -1 where it is another's alone, 0 where it is nobody's, or theirs and another's alike.
    All that is not in the box of the only one there is somebody else's.
    """
    own = torch.stack(list(fields))
    if len(own) == 1:
        return 2 * own - 1
    best, second = own.topk(2, dim=0).values
    others = torch.where(own == best, second, best)
    return own - others


def _along(start: float, stop: float, count: int, edge: float) -> Tensor:
    """One axis: (count,)."""
    middles = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    inside = torch.ones(count, dtype=torch.float64)
    if start > 0:
        inside = torch.minimum(inside, _step((middles - start) / edge))
    if stop < 1:
        inside = torch.minimum(inside, _step((stop - middles) / edge))
    return inside.float()


def _step(distance: Tensor) -> Tensor:
    """A smooth step from 0 at -1 to 1 at +1."""
    share = ((distance + 1) / 2).clamp(0, 1)
    return share * share * (3 - 2 * share)
