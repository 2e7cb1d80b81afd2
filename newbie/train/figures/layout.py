"""Where the figures of a picture stand and how large they are. Lengths are hundredths of the picture's height."""

from __future__ import annotations

import math
import random
from typing import Final, NamedTuple

from newbie.train.figures.face import EYE_Y
from newbie.train.figures.legs import sole
from newbie.train.figures.spec import Character, PictureSpec

# Where a figure's head is, as a share of the picture's width, by the number of figures.
PLACES: Final[dict[int, dict[str, float]]] = {
    1: {"left": 0.31, "center_left": 0.405, "center": 0.5, "center_right": 0.595, "right": 0.69},
    2: {"left": 0.245, "center_left": 0.3, "center": 0.5, "center_right": 0.7, "right": 0.755},
    3: {"left": 0.18, "center_left": 0.3, "center": 0.5, "center_right": 0.7, "right": 0.82},
}
# Hundredths of the height per unit of a figure (a face is 100 units wide): the most a bust may take, the most by the
# picture's width, and the size at which a whole chibi with ears on its head fits.
BUST: Final = {1: 0.415, 2: 0.4, 3: 0.345}
BY_WIDTH: Final = {1: 0.495, 2: 0.33, 3: 0.27}
WHOLE: Final = 0.252
GROUND: Final = 94.5
JITTER: Final = {1: 1.0, 2: 0.8, 3: 0.45}  # how much of the pose's own shift a crowd leaves
MARGIN: Final = 16.0  # what busy hands leave free at the frame, in units
HAIR: Final = 62.0  # half the width of a head in units: what is kept inside the frame

Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels

SIDES: Final = {"square": (1.0, 1.0), "portrait": (7 / 8, 9 / 8), "landscape": (9 / 8, 7 / 8)}


class Place(NamedTuple):
    """One figure's head: its centre, its size, and the room in units to its left and right."""

    x: float
    y: float
    unit: float
    room: tuple[float, float]


def canvas(shape: str, size: int) -> tuple[int, int]:
    """Width and height in pixels of a shape of `words.SHAPES` about `size` pixels wide: multiples of 16."""
    width, height = (max(16, int(size * share / 16 + 0.5) * 16) for share in SIDES[shape])
    return width, height


def places(spec: PictureSpec, width: float) -> list[Place]:
    """A place for every figure in a picture `width` wide: as large as they can be without hiding each other's faces."""
    figures = spec.characters
    count = len(figures)
    whole = spec.framing == "full_body"
    unit = min(WHOLE if whole else BUST[count], BY_WIDTH[count] * width / 100)
    centres = []
    for figure in figures:
        x = PLACES[count][figure.position] * width + figure.pose.dx * JITTER[count]
        edge = reach(figure, count) * unit
        centres.append(min(max(x, edge), width - edge))
    found = []
    for i, figure in enumerate(figures):
        left = (centres[i] - centres[i - 1]) / 2 if i else centres[i] - MARGIN * unit
        right = (centres[i + 1] - centres[i]) / 2 if i + 1 < count else width - centres[i] - MARGIN * unit
        size = unit * (1 + (figure.pose.scale - 1) * JITTER[count])
        y = GROUND - size * sole(figure) if whole else 46 + (0.415 - unit) * 34
        found.append(Place(centres[i], y + figure.pose.dy * (0.5 if whole else JITTER[count]), size, (left, right)))
    return [place._replace(room=(place.room[0] / unit, place.room[1] / unit)) for place in found]


def eyes(spec: PictureSpec, size: int) -> list[Box]:
    """Where the eyes of each figure are: one box for both, cut at the frame."""
    return _boxes(spec, size, (44, 20, 44, 20))


def faces(spec: PictureSpec, size: int) -> list[Box]:
    """Where the face of each figure is, from the brows to the chin, cut at the frame."""
    return _boxes(spec, size, (52, 41, 52, 42))


def figures(spec: PictureSpec, size: int) -> list[Box]:
    """A box about each figure, its hair and its hands, from what is on its head to the lower frame."""
    return _boxes(spec, size, (100, 104, 100, 10_000))


def _boxes(spec: PictureSpec, size: int, reach: tuple[float, float, float, float]) -> list[Box]:
    """Of each figure: the box that reaches so many units to the left, up, right and down of the point between
    its eyes."""
    width, height = canvas(spec.shape, size)
    boxes = []
    for character, place in zip(spec.characters, places(spec, 100 * width / height), strict=True):
        unit = place.unit * height / 100
        angle = math.radians(character.pose.tilt)
        lean = 52 - EYE_Y  # a head is tilted about the chin
        x = place.x * height / 100 + (math.sin(angle) * lean + character.pose.turn * 6.5) * unit
        y = place.y * height / 100 + (52 - math.cos(angle) * lean) * unit
        left, up, right, down = reach
        box = (x - left * unit, y - up * unit, x + right * unit, y + down * unit)
        limits = (width, height, width, height)
        boxes.append(tuple(int(min(max(edge, 0), limit)) for edge, limit in zip(box, limits, strict=True)))
    return boxes  # type: ignore[return-value]


def reach(figure: Character, count: int) -> float:
    """How far from the head the frame may begin."""
    if figure.action == "arms_up":
        return 86.0 if count < 3 else 70.0
    if figure.action == "hands_on_hips":
        return 86.0 if count < 3 else 72.0
    if figure.action == "sitting":
        return 82.0
    if count == 1:
        return 78.0 if figure.hair_style == "twintails" else 68.0
    return HAIR


def order(spec: PictureSpec, rng: random.Random) -> list[int]:
    """From the back to the front. The middle one of three stands before or behind both others."""
    indices = list(range(len(spec.characters)))
    rng.shuffle(indices)
    if len(indices) == 3:
        middle_first = indices[0] < 1
        indices.remove(1)
        indices.insert(0 if middle_first else 2, 1)
    return indices
