"""Drawings to learn from: characters drawn by program, each of which knows what it shows.

spec = sample(random.Random(0))            # what to draw
picture = draw(spec, 128)                  # (128, 128, 3) uint8
prompt = caption(spec, random.Random(1))   # one of the forms people type
"""

from newbie.train.figures.captions import FORMS, caption, caption_full
from newbie.train.figures.draw import draw
from newbie.train.figures.spec import Character, PictureSpec, Pose, held_out, sample

__all__ = ["FORMS", "Character", "PictureSpec", "Pose", "caption", "caption_full", "draw", "held_out", "sample"]
