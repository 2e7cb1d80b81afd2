"""What training looks at more closely: a mouth is a few cells of the latents, a sky hundreds; a wink is seen once where
open eyes are seen ten times.

What a perfect model would paint for a prompt does not depend on it: every cell has its own best answer, whatever its
weight and however often it comes. What a model learns first does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from newbie.train.figures import PictureSpec, layout

# What `python -m newbie evaluate` found the model to miss most, by element: how many times more often it is shown.
HARD = {
    "hair_style": {"bob_cut": 5, "braid": 5, "twintails": 2, "ponytail": 2},
    "mouth": {"serious": 1},
    "lids": {"wink": 6},
    "action": {"waving": 8, "peace_sign": 5},
    "prop": {"balloon": 9, "ice_cream": 6, "book": 5, "bouquet": 3, "teddy_bear": 3},
}
HARD_STYLES = {"pixel_art": 4}


def repeats(spec: PictureSpec) -> int:
    """How often a drawing is shown where an easy one is shown once: by what its figures have in `HARD`, on average."""
    found = [table.get(getattr(figure, name), 0) for figure in spec.characters for name, table in HARD.items()]
    return 1 + HARD_STYLES.get(spec.style, 0) + round(sum(found) / len(spec.characters))


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
