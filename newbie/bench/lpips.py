"""LPIPS, the learnt distance of two pictures (Zhang et al. 2018, arXiv 1801.03924), where its weights lie here already.

The package `lpips` fetches the weights of its network (AlexNet, from torchvision) from the net at first use. Nothing
is fetched here: without them the distance is left out, and that is told.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

WEIGHTS = "alexnet-owt-7be5be79.pth"  # as torchvision names them


def distance() -> tuple[Callable[[Image.Image, Image.Image], float] | None, str]:
    """The distance, or None and why there is none."""
    if find_spec("lpips") is None:
        return None, "the package lpips is not installed"
    place = Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS
    if not place.is_file():
        return None, f"the weights of its network, {WEIGHTS}, are not in torch's folder of checkpoints"
    import lpips

    network = lpips.LPIPS(net="alex", verbose=False).eval()

    def measured(first: Image.Image, second: Image.Image) -> float:
        with torch.no_grad():
            return float(network(_scaled(first), _scaled(second)))

    return measured, ""


def _scaled(image: Image.Image) -> Tensor:
    """(1, 3, H, W), from -1 to 1."""
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float() / 127.5 - 1
