"""The face: skin, glossy eyes, brows, mouth. Origin between the temples, chin at y = 52, eyes at y = 12."""

from __future__ import annotations

import colorsys
from typing import Final

from newbie.train.figures.palette import EYES, INK, SKIN_TONE, WHITE, Rgb, mix
from newbie.train.figures.pen import Path, Pen, flow, oval, shape
from newbie.train.figures.spec import Character

EYE_X: Final = 24.0
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
        pen.cel(oval(x, 15, 8, 11), SKIN_TONE, (0, -3))
        pen.mark(oval(x, 15, 3.5, 6), SKIN_TONE.shade, 0.8)


def skin(pen: Pen, character: Character, fringe: Path) -> None:
    """The face with the soft shadow that the bangs cast on it."""
    face = outline(character)
    pen.fill(face, SKIN_TONE.base)
    with pen.clip(face):
        pen.canvas.translate(-2, 8)
        pen.shadow(fringe, SKIN_TONE.shade)
    pen.edge(face, SKIN_TONE)


def features(pen: Pen, character: Character) -> None:
    """Blush, nose, mouth and eyes, moved together when the head turns."""
    turn = character.pose.turn
    if character.blush:
        with pen.clip(outline(character)):
            _blush(pen, turn * 6.5)
    with pen.placed(turn * 6.5, 0):
        pen.mark(shape((turn * 4 - 1, 26.5), (turn * 4 + 1, 28), close=False), SKIN_TONE.line, 0.9)
        with pen.placed(turn * 1.5, 0):
            _mouth(pen, character)
        for side in (-1, 1):
            squeeze = 1.0 - 0.14 * max(0.0, turn * side)  # the far eye is narrower
            with pen.placed(side * EYE_X, EYE_Y, scale_x=squeeze):
                _eye(pen, character, side)


# Height of the inner end, the arch and the outer end of a brow: high for joy, a V for earnest, a roof for sorrow.
_BROWS: Final = {
    "smile": (-16.0, -23.0, -15.0),
    "open_mouth": (-19.0, -27.5, -17.0),
    "serious": (-7.0, -16.5, -20.0),
    "sad": (-24.0, -19.0, -9.5),
}


def brows(pen: Pen, character: Character, hair: Rgb) -> None:
    """Brows show through the bangs, as in every anime."""
    turn = character.pose.turn
    inner, arch, outer = _BROWS[character.mouth]
    thick = 2.7 if character.gender == "boy" else 1.9
    for side in (-1, 1):
        brow = shape(
            (side * 10 + turn * 6.5, inner),
            (side * 22 + turn * 6.5, arch, side * 34 + turn * 6, outer),
            close=False,
        )
        pen.mark(brow, hair, thick, alpha=235)


def _blush(pen: Pen, turn: float) -> None:
    for side in (-1, 1):
        x = side * 33 + turn
        pen.fill(oval(x, 34, 15, 8.5), BLUSH, alpha=110)
        pen.fill(oval(x, 34, 11, 6.0), BLUSH, alpha=140)
        for k in (-1, 0, 1):
            pen.mark(shape((x + 6.5 * k + 1.8, 30.5), (x + 6.5 * k - 1.8, 37.5), close=False), (222, 44, 74), 1.15)


def _mouth(pen: Pen, character: Character) -> None:
    kind = character.mouth
    if kind == "smile":  # a wide bow between two dimples
        pen.mark(shape((-13, 35), (0, 49, 13, 35), close=False), LIP, 1.7)
        for s in (-1, 1):
            pen.mark(shape((s * 11, 34.3), (s * 14.5, 32.7), close=False), LIP, 1.2)
    elif kind == "serious":
        pen.mark(shape((-8, 41), (8, 41), close=False), LIP, 2.0)
        pen.fill(oval(0, 46, 3.5, 0.9), SKIN_TONE.shade)
    elif kind == "sad":
        pen.mark(shape((-11, 46), (-7, 36.5, 0, 36.5), (7, 36.5, 11, 46), close=False), LIP, 1.8)
    else:
        mouth = shape((-14.5, 32), (0, 35, 14.5, 32), (13.5, 50.5, 0, 50.5), (-13.5, 50.5, -14.5, 32))
        pen.fill(mouth, (158, 20, 42))
        with pen.clip(mouth):
            pen.fill(oval(0, 50, 9, 6.5), (255, 120, 132))
            pen.fill(shape((-16, 30), (0, 39.5, 16, 30)), WHITE)
        pen.mark(mouth, (112, 22, 38), 0.9)


def _closed(pen: Pen, character: Character, side: int) -> None:
    """A lid that is shut: an arch of joy, or a lowered lid with its lashes."""
    happy = character.mouth in ("smile", "open_mouth")
    bend, ends = (-14.0, 7.0) if happy else (14.0, 0.0)
    lid = shape((-17, ends), (0, ends + bend * 1.5, 17, ends), close=False)
    pen.mark(lid, INK, 2.9)
    for x, dx in ((17, 5.0), (12.5, 4.5)):
        start = (side * x, ends + (x - 17) * (0.9 if happy else -0.9))
        pen.mark(shape(start, (start[0] + side * dx, start[1] + 3.4), close=False), INK, 1.3)


def _eye(pen: Pen, character: Character, side: int) -> None:
    """One eye about (0, 0). Lashes are mirrored, the light is not: it comes from the left on both."""
    winking = character.lids == "wink" and side == character.pose.side
    if character.lids == "closed_eyes" or winking:
        return _closed(pen, character, side)
    tall = 0.88 if character.gender == "boy" else 1.0
    droop = {"serious": 2.5, "sad": 2.0}.get(character.mouth, 0.0)
    white = flow([(x * side, y * tall) for x, y in _WHITE])
    look_x, look_y = character.pose.gaze_x * 2.2, character.pose.gaze_y * 1.3 + 0.5
    color = EYES[character.eye_color]
    pen.fill(white, WHITE)
    with pen.clip(white):
        _iris(pen, color, look_x, look_y * tall, tall)
        pen.shadow(shape((-22, -26), (22, -26), (22, -12 * tall), (0, -17 * tall, -22, -12 * tall)), INK, 60)
    lash = [(x * side, y * tall + (droop if y < -9 else 0)) for x, y in _LASH]
    pen.fill(flow(lash), INK)
    pen.fill(shape(*((x * side, y * tall + droop * 0.3) for x, y in _WING)), INK)
    lower = [(x * side, y * tall) for x, y in ((-7, 18.6), (1, 19.6), (9, 17), (14, 11))]
    pen.mark(flow(lower, close=False), mix(INK, SKIN_TONE.line, 0.5), 0.7)
    pen.fill(oval(look_x - 5.5, (look_y - 8) * tall + droop, 4.4, 5.0 * tall), WHITE)
    pen.fill(oval(look_x + 6, (look_y + 9) * tall, 2.3, 2.5 * tall), WHITE, 240)
    return None


def _iris(pen: Pen, color: Rgb, x: float, y: float, tall: float) -> None:
    """Mostly the pure colour: the pupil is narrow and the shade above keeps the hue, so that small eyes stay clear."""
    deep = _deep(color)
    iris = oval(x, y, 14.0, 17.6 * tall)
    pen.fill(iris, color)
    with pen.clip(iris):
        pen.shadow(oval(x, y - 19 * tall, 19, 14 * tall), deep)
        pen.shadow(oval(x, y + 15 * tall, 10.5, 7.5 * tall), mix(color, (255, 255, 236), 0.42))
        pen.fill(oval(x, y + 0.5, 5.0, 6.6 * tall), mix(deep, (20, 8, 40), 0.62))
    pen.mark(iris, mix(deep, (20, 8, 40), 0.5), 0.7)


def _deep(color: Rgb) -> Rgb:
    """The colour in the shadow of the lid; yellow goes to orange, for with black it would be brown."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*(value / 255 for value in color))
    if 0.1 < hue < 0.2:
        return (236, 140, 0)
    red, green, blue = colorsys.hls_to_rgb(hue, lightness * 0.66, saturation)
    return round(red * 255), round(green * 255), round(blue * 255)


# The right eye; the outer corner is at positive x.
_WHITE: Final = ((-17, -2), (-12.5, -14.5), (1, -18.8), (13.5, -14.5), (17.5, -3), (13, 13.2), (2, 19.2), (-11, 14.2))
_LASH: Final = (
    (-18.5, 0), (-13.5, -15.5), (1, -22.2), (14.5, -17.5), (20.5, -4), (14.5, -11.5), (1, -17), (-12, -11),
)  # fmt: skip
_WING: Final = ((13, -15.5), (24.5, -13.5), (20, -1.5))
