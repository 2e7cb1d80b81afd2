"""Drawings to learn from: characters drawn by program, each of which knows what it shows.

spec = sample(random.Random(0))            # what to draw
picture = draw(spec, 256)                  # (256, 256, 3) uint8; portraits and landscapes have about as many pixels
prompt = caption(spec, random.Random(1))   # one of the forms people type
"""

from newbie.train.figures.captions import FORMS, caption, caption_full
from newbie.train.figures.draw import draw
from newbie.train.figures.layout import canvas
from newbie.train.figures.spec import (
    HELD_OUT_PAIRS,
    Character,
    PictureSpec,
    Pose,
    has_held_out_pair,
    held_out,
    sample,
    sample_pair,
)

__all__ = [
    "FORMS",
    "HELD_OUT_PAIRS",
    "Character",
    "PictureSpec",
    "Pose",
    "canvas",
    "caption",
    "caption_full",
    "draw",
    "has_held_out_pair",
    "held_out",
    "sample",
    "sample_pair",
]
