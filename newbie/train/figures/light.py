"""The four lights: how the figures' layer comes onto the background."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]  # (H, W, 3)
Layer = npt.NDArray[np.uint8]  # (H, W, 4), premultiplied RGBA
Array = npt.NDArray[np.float32]


def lit(background: Picture, figures: Layer, lighting: str, seed: int) -> Picture:
    """The figures before the background, in a light of `words.LIGHTS`."""
    alpha = figures[:, :, 3:].astype(np.float32) / 255
    picture = background * (1 - alpha) + figures[:, :, :3]
    return (picture + 0.5).clip(0, 255).astype(np.uint8)
