"""What a caller is told while pictures are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image


@dataclass(frozen=True)
class StepEvent:
    """One interval of one batch of pictures is done."""

    index: int
    count: int
    picture: int  # number of the first picture of the batch
    pictures: int  # how many share it
    t: float
    preview: Callable[[], Image.Image] = field(repr=False)


OnStep = Callable[[StepEvent], None]
OnPicture = Callable[[int, Image.Image, dict[str, Any]], None]
