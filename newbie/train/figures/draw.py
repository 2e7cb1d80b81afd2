"""From a spec to pixels: background, then the figures from the back to the front, then raised hands."""

from __future__ import annotations

import random
from typing import Final

import numpy as np
import numpy.typing as npt

from newbie.train.figures import accessories, face, hair, outfit, scene
from newbie.train.figures.palette import hair_tone
from newbie.train.figures.pen import Pen
from newbie.train.figures.spec import Character, PictureSpec

# Where a figure's head is, as a share of the picture's width, by the number of figures.
PLACES: Final[dict[int, dict[str, float]]] = {
    1: {"left": 0.31, "center_left": 0.405, "center": 0.5, "center_right": 0.595, "right": 0.69},
    2: {"left": 0.245, "center_left": 0.3, "center": 0.5, "center_right": 0.7, "right": 0.755},
}
HEAD_Y: Final = {1: 47.5, 2: 45.0}  # hundredths of the picture's height
UNIT: Final = {1: 0.435, 2: 0.33}  # hundredths of the height per unit; a face is 100 units wide
LINE: Final = {1: 0.95, 2: 0.8}  # width of an outline in hundredths of the height


def draw(spec: PictureSpec, size: int | tuple[int, int] = 128) -> npt.NDArray[np.uint8]:
    """Draw `spec` as an (H, W, 3) uint8 RGB picture. `size` is the side of a square, or (width, height) in pixels.

    The same spec gives the same picture at every size, and the same pixels every time.
    """
    width, height = (size, size) if isinstance(size, int) else size
    pixels = np.zeros((height, width, 4), np.uint8)
    count = len(spec.characters)
    pen = Pen(pixels, LINE[count])
    rng = random.Random(spec.seed)
    pen.canvas.scale(height / 100, height / 100)
    scene.PAINTERS[spec.background](pen, 100 * width / height, rng)
    order = list(spec.characters)
    rng.shuffle(order)
    for step in (figure, gesture):
        for character in order:
            pose = character.pose
            x = PLACES[count][character.position] * 100 * width / height + pose.dx
            with pen.placed(x, HEAD_Y[count] + pose.dy, scale=UNIT[count] * pose.scale):
                step(pen, character)
    return pixels[:, :, :3].copy()


def figure(pen: Pen, character: Character) -> None:
    """One character, the head at (0, 0), 100 units across the face."""
    fringe = hair.fringe(character)
    tilt = character.pose.tilt
    with pen.placed(0, 52, degrees=tilt), pen.placed(0, -52):
        hair.back(pen, character)
    outfit.dressed(pen, character)
    with pen.placed(0, 52, degrees=tilt), pen.placed(0, -52):
        face.ears(pen)
        face.skin(pen, character, fringe)
        face.features(pen, character)
        for name in character.accessories:
            if name in accessories.BEHIND_CROWN:
                accessories.BEHIND_CROWN[name](pen, character)
        hair.front(pen, character, fringe)
        face.brows(pen, character, hair_tone(character.hair_color).line)
        hair.over(pen, character)
        for name in character.accessories:
            if name in accessories.ON_HEAD:
                accessories.ON_HEAD[name](pen, character)


def gesture(pen: Pen, character: Character) -> None:
    """A raised hand, towards the middle of the picture so that the frame never cuts it off."""
    if character.action == "waving":
        middle = {"left": 1, "center_left": 1, "center_right": -1, "right": -1}
        outfit.waving(pen, character, middle.get(character.position, character.pose.side))
