"""The face: skin, glossy eyes, brows, mouth. Origin between the temples, chin at y = 52, eyes at y = 12."""

from __future__ import annotations

from typing import Final

from newbie.train.figures.palette import EYES, INK, SKIN_TONE, WHITE, Rgb, mix
from newbie.train.figures.pen import Path, Pen, flow, oval, shape
from newbie.train.figures.spec import Character

EYE_X: Final = 23.5
EYE_Y: Final = 12.0
LIP: Final[Rgb] = (160, 62, 66)
BLUSH: Final[Rgb] = (255, 104, 118)


def outline(character: Character) -> Path:
    """The skin of the face; boys have a firmer jaw."""
    if character.gender == "boy":
        jaw = ((-47, 30, -34, 41), (-12, 56, 0, 56), (12, 56, 34, 41), (47, 30, 49, 4))
    else:
        jaw = ((-48, 27, -31, 39), (-10, 53, 0, 53), (10, 53, 31, 39), (48, 27, 49, 4))
    return shape((-49, 4), *jaw, (52, -52, 0, -54), (-52, -52, -49, 4))


def ears(pen: Pen) -> None:
    """Both ears; the hair in front decides what is seen of them."""
    for x in (-50, 50):
        ear = oval(x, 15, 8, 11)
        pen.cel(ear, SKIN_TONE, (0, -3))
        pen.stroke(oval(x, 15, 3.5, 6), SKIN_TONE.shade, 0.8)


def skin(pen: Pen, character: Character, fringe: Path) -> None:
    """The face with the soft shadow that the bangs cast on it."""
    face = outline(character)
    pen.fill(face, SKIN_TONE.base)
    with pen.clip(face):
        pen.canvas.translate(-2, 8)
        pen.fill(fringe, SKIN_TONE.shade)
    pen.stroke(face, SKIN_TONE.line)


def features(pen: Pen, character: Character) -> None:
    """Blush, nose, mouth and eyes, moved together when the head turns."""
    turn = character.pose.turn
    with pen.placed(turn * 6.5, 0):
        if character.blush:
            _blush(pen)
        pen.stroke(shape((turn * 4 - 1, 25.5), (turn * 4 + 1, 27), close=False), SKIN_TONE.line, 0.9)
        with pen.placed(turn * 1.5, 0):
            _mouth(pen, character)
        for side in (-1, 1):
            squeeze = 1.0 - 0.14 * max(0.0, turn * side)  # the far eye is narrower
            with pen.placed(side * EYE_X, EYE_Y, scale_x=squeeze):
                _eye(pen, character, side)


def brows(pen: Pen, character: Character, hair: Rgb) -> None:
    """Brows show through the bangs, as in every anime."""
    turn = character.pose.turn
    inner, outer = {"serious": (5.0, -3.5), "sad": (-5.0, 3.0)}.get(character.mouth, (0.0, 1.0))
    thick = 2.3 if character.gender == "boy" else 1.5
    for side in (-1, 1):
        brow = shape(
            (side * 12 + turn * 6.5, -13 + inner),
            (side * 23 + turn * 6.5, -18 + (inner + outer) / 2, side * 34 + turn * 6, -13 + outer),
            close=False,
        )
        pen.stroke(brow, hair, thick, alpha=225)


def _blush(pen: Pen) -> None:
    for side in (-1, 1):
        pen.fill(oval(side * 31, 31, 11, 6.5), BLUSH, alpha=120)
        for k in (-1, 0, 1):
            x = side * 31 + 6 * k
            pen.stroke(shape((x + 1.5, 28), (x - 1.5, 33.5), close=False), (226, 62, 84), 0.9)


def _mouth(pen: Pen, character: Character) -> None:
    kind = character.mouth
    if kind == "smile":
        pen.stroke(shape((-9, 36), (0, 44.5, 9, 36), close=False), LIP, 1.25)
    elif kind == "serious":
        pen.stroke(shape((-7, 39.5), (0, 38.5, 7, 39.5), close=False), LIP, 1.35)
    elif kind == "sad":
        pen.stroke(shape((-8, 42.5), (0, 34.5, 8, 42.5), close=False), LIP, 1.35)
    else:
        mouth = shape((-11, 33), (0, 35.5, 11, 33), (10, 47.5, 0, 47.5), (-10, 47.5, -11, 33))
        pen.fill(mouth, (150, 26, 44))
        with pen.clip(mouth):
            pen.fill(oval(0, 47, 7.5, 5.5), (255, 128, 136))
            pen.fill(shape((-11, 31), (0, 38.5, 11, 31)), WHITE)
        pen.stroke(mouth, (112, 26, 40), 0.9)


def _closed(pen: Pen, character: Character, side: int) -> None:
    happy = character.mouth in ("smile", "open_mouth")
    bend, ends = (-13.0, 6.0) if happy else (14.0, -1.0)
    lid = shape((-15, ends), (0, ends + bend * 1.35, 15, ends), close=False)
    pen.stroke(lid, INK, 2.4)
    for x, dx in ((15, 4.5), (11.5, 4)):
        start = (side * x, ends + (0 if happy else 0.5) + (x - 15) * (0.9 if happy else -0.9))
        pen.stroke(shape(start, (start[0] + side * dx, start[1] + 3), close=False), INK, 1.1)


def _eye(pen: Pen, character: Character, side: int) -> None:
    """One eye about (0, 0). Lashes are mirrored, the light is not: it comes from the left on both."""
    winking = character.lids == "wink" and side == character.pose.side
    if character.lids == "closed_eyes" or winking:
        return _closed(pen, character, side)
    tall = 0.84 if character.gender == "boy" else 1.0
    sleepy = 3.0 if character.mouth in ("serious", "sad") else 0.0
    white = flow([(x * side, y * tall) for x, y in _WHITE])
    look_x, look_y = character.pose.gaze_x * 2.4, character.pose.gaze_y * 1.5 + 0.5
    color = EYES[character.eye_color]
    pen.fill(white, WHITE)
    with pen.clip(white):
        _iris(pen, color, look_x, look_y * tall, tall)
        pen.fill(shape((-20, -24), (20, -24), (20, -10 * tall), (0, -15 * tall, -20, -10 * tall)), INK, 70)
    lash = [(x * side, y * tall + (sleepy if y < -9 else 0)) for x, y in _LASH]
    pen.fill(flow(lash), INK)
    pen.fill(shape(*((x * side, y * tall + sleepy * 0.3) for x, y in _WING)), INK)
    lower = [(x * side, y * tall) for x, y in ((-7, 17.0), (1, 18), (9, 15.5), (13.5, 10))]
    pen.stroke(flow(lower, close=False), mix(INK, SKIN_TONE.line, 0.5), 0.7)
    pen.fill(oval(look_x - 5, (look_y - 7) * tall + sleepy, 4.6, 5.2 * tall), WHITE)
    pen.fill(oval(look_x + 5.2, (look_y + 8) * tall, 2.4, 2.6 * tall), WHITE, 235)
    return None


def _iris(pen: Pen, color: Rgb, x: float, y: float, tall: float) -> None:
    dark = mix(color, (20, 8, 40), 0.55)
    iris = oval(x, y, 12.3, 15.8 * tall)
    pen.fill(iris, color)
    with pen.clip(iris):
        pen.fill(oval(x, y - 17 * tall, 17, 14 * tall), mix(color, dark, 0.6))
        pen.fill(oval(x, y + 13 * tall, 9.5, 7.5 * tall), mix(color, (255, 255, 230), 0.5))
        pen.fill(oval(x, y + 0.5, 4.8, 7.2 * tall), dark)
    pen.stroke(iris, dark, 0.75)


# The right eye; the outer corner is at positive x.
_WHITE: Final = ((-15, -2), (-11, -13), (1, -17), (12, -13), (16, -3), (12, 12), (2, 17.5), (-10, 13))
_LASH: Final = ((-17, 0), (-12.5, -14), (1, -20.5), (13, -16), (19, -4), (13.5, -10.5), (1, -15.5), (-11, -10))
_WING: Final = ((12, -14), (22.5, -12.5), (18.5, -1.5))
