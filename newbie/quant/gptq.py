"""GPTQ: what rounding one column does wrong is made good by the columns that are still to be rounded.

For a layer that is given tokens with mean square H = E[x x^T], the error of a row is d H d^T with d the difference of
its weights. Rounding column j by e leaves the least error when the columns behind it move by -e U_j / U_jj, where U is
the upper Cholesky factor of H's inverse. Columns go from the first to the last; each group gets its scale when it is
reached, from the columns as they are by then.
Source: Frantar et al. 2022, arXiv 2210.17323, algorithm 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from newbie.quant.four_bit import CODES, SCALE, STEPS, coded, in_steps
from newbie.quant.rounding import step

DAMP = 0.01  # of the mean diagonal of H is added to it: columns that are rarely used stay tame
_BLOCK = 128  # columns, about: what lies behind them is corrected once for all of them


def gptq(rest: Tensor, square: Tensor, group: int) -> dict[str, Tensor]:
    """Codes and scales for a matrix (rows, columns) float32; `square` (columns, columns) is H."""
    upper = _upper(square)
    matrix, scales = rest.clone(), []
    width = max(_BLOCK // group, 1) * group
    for start in range(0, matrix.shape[1], width):
        stop = min(start + width, matrix.shape[1])
        errors = torch.empty_like(matrix[:, start:stop])
        for j in range(start, stop):
            if j % group == 0:
                scales.append(step(matrix[:, j : j + group], STEPS).bfloat16())
            scale, column = scales[-1].squeeze(1).float(), matrix[:, j]
            rounded = in_steps(column, scale) * scale
            error = (column - rounded) / upper[j, j]
            matrix[:, j] = rounded
            matrix[:, j + 1 : stop] -= torch.outer(error, upper[j, j + 1 : stop])
            errors[:, j - start] = error
        matrix[:, stop:] -= errors @ upper[start:stop, stop:]
    scale = torch.cat(scales, dim=1)
    return {CODES: coded(matrix, scale), SCALE: scale}


def _upper(square: Tensor) -> Tensor:
    """The upper Cholesky factor of the inverse of H, a little damped."""
    diagonal = square.diagonal()
    damped = square + torch.diag(torch.full_like(diagonal, DAMP * max(float(diagonal.mean()), 1e-30)))
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped.double()))
    return torch.linalg.cholesky(inverse, upper=True).float()
