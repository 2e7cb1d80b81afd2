"""What the loss looks at more closely: a mouth is a few cells of the latents, a sky hundreds.

What a perfect model would paint does not depend on it: every cell has its own best answer, whatever its weight. What a
model learns first does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from newbie.train.figures import PictureSpec, layout


def weights(spec: PictureSpec, size: int, cells: tuple[int, int], faces: float) -> Tensor:
    """(h, w): how much each cell of a picture's latents counts: `faces` in a face, its root in the rest of a figure,
    1 elsewhere. `size` is that of the drawing, as in `Drawings`."""
    weight = torch.ones(cells)
    side = layout.canvas(spec.shape, size)[1] / cells[0]  # pixels per cell
    for boxes, value in ((layout.figures(spec, size), faces**0.5), (layout.faces(spec, size), faces)):
        for box in boxes:
            left, top, right, bottom = (round(edge / side) for edge in box)
            weight[top:bottom, left:right] = value
    return weight
