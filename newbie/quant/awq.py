"""AWQ's two searches: how far to lift the channels that are used most, and how far to cut each group's range.

Source: Lin et al. 2023, arXiv 2306.00978, section 3.2, and the clipping of its published code.
"""

from __future__ import annotations

import torch
from torch import Tensor

from newbie.quant.four_bit import CODES, SCALE, STEPS, coded, in_steps
from newbie.quant.rounding import step

SHRINK = tuple(1 - i / 20 for i in range(11))  # of a group's range, 1 down to 0.5


def clipped(rest: Tensor, square: Tensor, group: int) -> dict[str, Tensor]:
    """Codes and scales for a matrix (rows, columns) float32, each group with the range that does least harm.

    The harm is the squared error of each weight times the mean square of its input, the diagonal of `square`.
    """
    groups = rest.unflatten(1, (-1, group))  # (rows, groups, group)
    used = square.diagonal().unflatten(0, (-1, group))
    whole = step(groups, STEPS)
    best, least = whole, torch.full_like(whole, torch.inf)
    for share in SHRINK:
        scale = (whole * share).bfloat16().float()
        rounded = in_steps(groups, scale) * scale
        harm = ((groups - rounded).square() * used).sum(-1, keepdim=True)
        best, least = torch.where(harm < least, scale, best), torch.minimum(harm, least)
    scale = best.squeeze(-1).bfloat16()
    return {CODES: coded(rest, scale), SCALE: scale}
