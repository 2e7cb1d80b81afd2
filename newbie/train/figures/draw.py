"""From a spec to pixels: background, the figures from the back to the front, raised hands, then light and style."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
import numpy.typing as npt

from newbie.train.figures import accessories, face, hair, hands, legs, outfit, props, scene, tails
from newbie.train.figures.body import inner
from newbie.train.figures.layout import GROUND, Place, canvas, order, places
from newbie.train.figures.light import lit
from newbie.train.figures.palette import hair_tone
from newbie.train.figures.pen import Pen, oval
from newbie.train.figures.spec import Character, PictureSpec
from newbie.train.figures.style import finish, look

LINE: Final = (0.38, 1.35)  # width of an outline in hundredths of the height: a constant, and more for large figures


def draw(spec: PictureSpec, size: int | tuple[int, int] = 128) -> npt.NDArray[np.uint8]:
    """Draw `spec` as an (H, W, 3) uint8 RGB picture.

    `size` is the side of a square, from which `canvas` derives the other shapes, or (width, height) in pixels. The
    same spec gives the same picture at every size, and the same pixels every time.
    """
    width, height = canvas(spec.shape, size) if isinstance(size, int) else size
    wide = 100 * width / height
    rng = random.Random(spec.seed)
    where = places(spec, wide)
    line = LINE[0] + LINE[1] * where[0].unit
    back = np.zeros((height, width, 4), np.uint8)

    pen = Pen(back, line, look(spec.style))
    pen.canvas.scale(height / 100, height / 100)
    scene.PAINTERS[spec.background](pen, wide, rng)
    standing = [(spec.characters[i], where[i]) for i in order(spec, rng)]
    if spec.framing == "full_body":
        for character, place in standing:
            _shadow(pen, character, place)

    front = back
    if spec.lighting != "daylight":  # which needs no layer of its own, and leaves the figures as they are
        front = np.zeros_like(back)
        pen = Pen(front, line, look(spec.style))
        pen.canvas.scale(height / 100, height / 100)
    for step in (behind, figure, before):
        for character, place in standing:
            with pen.placed(place.x, place.y, scale=place.unit):
                step(pen, character, place)
    picture = np.ascontiguousarray(back[:, :, :3])
    if front is not back:
        picture = lit(picture, front, spec.lighting, spec.seed)
    return finish(picture, spec.style, spec.seed)


def _shadow(pen: Pen, character: Character, place: Place) -> None:
    """A soft shadow on the ground."""
    wide = 74 if character.action == "sitting" else 54
    for share in (1.25, 1.0, 0.75):
        pen.fill(oval(place.x, GROUND + 0.2, wide * share * place.unit, 9 * share * place.unit), (40, 30, 70), 36)


def behind(pen: Pen, character: Character, place: Place) -> None:
    """What is behind every body and every head."""
    if character.action == "sitting":
        legs.cushion(pen)
    if character.prop == "balloon":
        s = inner(character)
        props.balloon(pen, *props.float_at(s, place.room[s > 0]))
    with _head(pen, character):
        hair.back(pen, character)


def figure(pen: Pen, character: Character, place: Place) -> None:
    """Body and head, the head at (0, 0), 100 units across the face."""
    fringe = hair.fringe(character)
    outfit.dressed(pen, character, (100 - place.y) / place.unit)
    with _head(pen, character):
        face.ears(pen)
        face.skin(pen, character, fringe)
        face.features(pen, character)
        for name in character.accessories:
            if name in accessories.BEHIND_CROWN:
                accessories.BEHIND_CROWN[name](pen, character)
        hair.front(pen, character, fringe)
        face.brows(pen, character, hair_tone(character.hair_color).line)
        tails.over(pen, character)
        for name in character.accessories:
            if name in accessories.ON_HEAD:
                accessories.ON_HEAD[name](pen, character)


def before(pen: Pen, character: Character, place: Place) -> None:
    """Raised hands and what they hold, in front of everybody."""
    hands.gesture(pen, character, place.room)


@contextmanager
def _head(pen: Pen, character: Character) -> Iterator[None]:
    """Draw on a head that is tilted about the chin."""
    with pen.placed(0, 52, degrees=character.pose.tilt), pen.placed(0, -52):
        yield
