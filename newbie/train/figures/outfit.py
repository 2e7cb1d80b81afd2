"""Bodies and clothes. Shoulders at y = 72; a bust shows down to about y = 125, two figures down to y = 170."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from newbie.train.figures.palette import SKIN_TONE, WHITE, Tone, outfit_tone, tone
from newbie.train.figures.pen import Path, Pen, flow, oval, shape
from newbie.train.figures.spec import Character

WHITE_CLOTH: Final = tone((250, 250, 254))
RED_CLOTH: Final = tone((214, 44, 60))
NAVY_CLOTH: Final = tone((52, 66, 140))


def torso() -> Path:
    """Neck to hip, with a round neckline."""
    return shape(
        (-15, 60), (-22, 69, -38, 72), (-48, 75, -45, 100), (-38, 136, -44, 200), (44, 200), (38, 136, 45, 100),
        (48, 75, 38, 72), (22, 69, 15, 60), (0, 90, -15, 60),
    )  # fmt: skip


def neckline(pen: Pen, depth: float, cloth: Tone) -> None:
    """Skin down to a point at `depth`, in the shadow of the chin, with the cloth's line along both edges."""
    v = shape((-16, 56), (0, depth), (16, 56))
    with pen.clip(v):
        pen.fill(v, SKIN_TONE.base)
        pen.fill(oval(-2, 49, 24, 16), SKIN_TONE.shade)
    pen.stroke(shape((-16, 59), (0, depth), (16, 59), close=False), cloth.line, 0.9)


def arm(s: int, *, wide: float = 0.0) -> Path:
    """A hanging arm on side `s`."""
    return shape(
        (s * 34, 72), (s * 54, 72, s * (60 + wide * 0.3), 102), (s * (68 + wide), 140, s * (68 + wide), 200),
        (s * 44, 200), (s * 46, 150, s * 38, 110),
    )  # fmt: skip


def neck(pen: Pen) -> None:
    """The neck in the shadow of the chin."""
    path = shape((-12, 40), (-12, 58, -22, 68), (0, 84, 22, 68), (12, 58, 12, 40))
    pen.fill(path, SKIN_TONE.base)
    with pen.clip(path):
        pen.fill(oval(-2, 47, 22, 15), SKIN_TONE.shade)
    pen.stroke(path, SKIN_TONE.line)


def dressed(pen: Pen, character: Character) -> None:
    """The body in its clothes, drawn over the hair behind and under the head. Boys have broader shoulders."""
    with pen.placed(0, 0, scale_x=1.12 if character.gender == "boy" else 1.0):
        OUTFIT_PAINTERS[character.outfit](pen, outfit_tone(character.outfit_color))


def sleeve(character: Character) -> Tone:
    """What covers the raised forearm."""
    if character.outfit == "serafuku":
        return WHITE_CLOTH
    return outfit_tone(character.outfit_color)


def waving(pen: Pen, character: Character, s: int) -> None:
    """A raised hand on side `s`, drawn in front of everything else."""
    wide = 7 if character.outfit == "kimono" else 0
    if character.outfit == "dress":
        cloth = SKIN_TONE
    else:
        cloth = sleeve(character)
    with pen.placed(s * 79, 74, degrees=s * 10):
        for k, reach in ((-9.5, 17.0), (-3.6, 21.5), (2.6, 21.0), (8.4, 16.5)):
            finger = shape(
                (k - 3, 0), (k * 1.35 - 3.2, -reach, k * 1.35, -reach - 1), (k * 1.35 + 3.2, -reach, k + 3, 0)
            )
            pen.cel(finger, SKIN_TONE, (-1, -1))
        thumb = shape((-s * 8, 6), (-s * 22, -1, -s * 19, -6), (-s * 14, -6, -s * 6, -4))
        pen.cel(thumb, SKIN_TONE, (-1, -1))
        palm = flow([(-11, -4), (0, -7), (11, -4), (10, 9), (0, 15), (-10, 9)])
        pen.fill(palm, SKIN_TONE.base)
        pen.stroke(flow([(-11, -3), (-10, 9), (0, 15), (10, 9), (11, -3)], close=False), SKIN_TONE.line)
    forearm = shape(
        (s * 67, 84 + wide), (s * (56 - wide), 120, s * 46, 150), (s * 60, 176, s * 74, 158),
        (s * (88 + wide), 130, s * (91 + wide * 0.5), 90 + wide), (s * 80, 94 + wide, s * 67, 84 + wide),
    )  # fmt: skip
    pen.cel(forearm, cloth)


def _sleeves(pen: Pen, cloth: Tone, *, wide: float = 0.0) -> None:
    for s in (-1, 1):
        pen.cel(arm(s, wide=wide), cloth)


def _serafuku(pen: Pen, cloth: Tone) -> None:
    neck(pen)
    _sleeves(pen, WHITE_CLOTH)
    pen.cel(torso(), WHITE_CLOTH)
    neckline(pen, 100, WHITE_CLOTH)
    pen.cel(shape((-43, 152), (43, 152), (56, 210), (-56, 210)), cloth)
    for s in (-1, 1):
        flap = shape(
            (s * 13, 59),
            (s * 24, 67, s * 43, 73),
            (s * 46, 88, s * 40, 100),
            (s * 18, 108, 0, 108),
            (s * 10, 84, s * 13, 59),
        )
        pen.cel(flap, cloth, (-3, -4))
        stripe = shape((s * 39, 76), (s * 40, 88, s * 35, 95), (s * 18, 102, s * 6, 102), close=False)
        pen.stroke(stripe, WHITE if cloth.base != WHITE_CLOTH.base and min(cloth.base) < 225 else NAVY_CLOTH.base, 1.0)
    _ribbon(pen, NAVY_CLOTH if cloth.base[0] > 200 and cloth.base[1] < 90 else RED_CLOTH, 0, 107)


def _ribbon(pen: Pen, cloth: Tone, x: float, y: float) -> None:
    with pen.placed(x, y):
        for s in (-1, 1):
            pen.cel(shape((0, 2), (s * 14, 26), (s * 5, 24), (s * 1, 10)), cloth, (-2, -3))
            pen.cel(flow([(0, 0), (s * 17, -9), (s * 20, 1), (s * 15, 9)]), cloth, (-2, -3))
        pen.cel(oval(0, 0.5, 5, 5.5), cloth, (-1, -1))


def _dress(pen: Pen, cloth: Tone) -> None:
    for s in (-1, 1):
        pen.cel(arm(s), SKIN_TONE)
    pen.cel(torso(), SKIN_TONE, (-3, -3))
    neck(pen)
    pen.fill(shape((-20, 66), (0, 80, 20, 66), (20, 74), (-20, 74)), SKIN_TONE.base)
    skirt = shape(
        (-42, 94), (0, 86, 42, 94), (38, 116, 33, 136), (44, 160, 64, 210), (-64, 210), (-44, 160, -33, 136),
        (-38, 116, -42, 94),
    )  # fmt: skip
    pen.cel(skirt, cloth)
    frill = [(-43, 93), (-34, 103), (-22, 98), (-11, 105), (0, 99), (11, 105), (22, 98), (34, 103), (43, 93), (0, 82)]
    pen.cel(flow(frill), WHITE_CLOTH, (-1, -3), 0.8)
    for s in (-1, 1):
        strap = shape((s * 28, 69), (s * 36, 71), (s * 36, 92), (s * 27, 90))
        pen.cel(strap, cloth, (-2, 0), 0.9)
        puff = flow([(s * 37, 76), (s * 52, 70), (s * 66, 84), (s * 64, 104), (s * 46, 104), (s * 38, 92)])
        pen.cel(puff, cloth, (-4, -5))
    pen.stroke(shape((-33, 136), (0, 142, 33, 136), close=False), WHITE, 2.4)


def _hoodie(pen: Pen, cloth: Tone) -> None:
    hood = flow([(-46, 70), (-34, 50), (0, 46), (34, 50), (46, 70), (24, 86), (-24, 86)])
    pen.cel(hood, Tone(cloth.shade, cloth.shade, cloth.light, cloth.line))
    neck(pen)
    _sleeves(pen, cloth)
    pen.cel(torso(), cloth)
    neckline(pen, 84, cloth)
    for s in (-1, 1):
        lip = shape(
            (s * 18, 57), (s * 46, 58, s * 47, 74), (s * 36, 88, 0, 93), (s * 1, 86, 0, 81), (s * 14, 76, s * 18, 57)
        )
        pen.cel(lip, cloth, (-3, -4))
        cord = shape((s * 10, 88), (s * 11, 98, s * 9, 112), close=False)
        pen.stroke(cord, cloth.line, 2.4)
        pen.stroke(cord, WHITE if min(cloth.base) < 225 else (226, 90, 100), 1.3)
    pocket = shape((-26, 136), (26, 136), (34, 158), (34, 172), (-34, 172), (-34, 158), close=True)
    pen.stroke(pocket, cloth.line, 0.9)


def _shirt(pen: Pen, cloth: Tone) -> None:
    neck(pen)
    _sleeves(pen, cloth)
    pen.cel(torso(), cloth)
    neckline(pen, 86, cloth)
    pen.stroke(shape((0, 86), (0, 200), close=False), cloth.line, 0.9)
    for s in (-1, 1):
        flap = shape((s * 14, 57), (s * 30, 66), (s * 24, 90), (0, 85), (s * 10, 70, s * 14, 57))
        pen.cel(
            flap, Tone(cloth.light if min(cloth.base) < 225 else cloth.base, cloth.base, WHITE, cloth.line), (-2, -3)
        )
    for y in (98, 118, 138, 158):
        pen.fill(oval(5.5, y, 3, 3), WHITE if min(cloth.base) < 225 else NAVY_CLOTH.base)
        pen.stroke(oval(5.5, y, 3, 3), cloth.line, 0.5)


def _kimono(pen: Pen, cloth: Tone) -> None:
    neck(pen)
    _sleeves(pen, cloth, wide=10)
    pen.cel(torso(), cloth)
    neckline(pen, 100, cloth)
    flower = cloth.light if min(cloth.base) < 225 else (250, 150, 176)
    for x, y in ((-30, 92), (32, 112), (-24, 122), (-56, 112), (57, 100), (58, 146), (-60, 150)):
        for dx, dy in ((0, -3.6), (3.6, 0), (0, 3.6), (-3.6, 0)):
            pen.fill(oval(x + dx, y + dy, 2.7, 2.7), flower)
    for width, color in ((9.5, cloth.line), (7.5, (252, 250, 246))):
        for s in (1, -1):
            band = shape((s * 15, 58), (s * 12, 78, -s * 16, 124), close=False)
            pen.stroke(band, color, width / pen.line)
    obi_tone = tone((236, 190, 80)) if cloth.base[0] < 240 or cloth.base[1] < 190 else RED_CLOTH
    pen.cel(shape((-41, 126), (0, 131, 41, 126), (39, 156), (0, 161, -39, 156)), obi_tone)
    pen.stroke(
        shape((-40, 141), (0, 146, 40, 141), close=False), RED_CLOTH.base if obi_tone != RED_CLOTH else WHITE, 1.8
    )


def _sweater(pen: Pen, cloth: Tone) -> None:
    _sleeves(pen, cloth)
    pen.cel(torso(), cloth)
    collar = flow([(-19, 52), (0, 56), (19, 52), (23, 68), (12, 78), (-12, 78), (-23, 68)])
    pen.cel(collar, cloth, (-2, -4))
    for x in (-12, -4, 4, 12):
        pen.stroke(shape((x, 58), (x * 1.1, 75), close=False), cloth.line, 0.55)
    knit = WHITE if min(cloth.base) < 225 else (232, 90, 104)
    zigzag = [(x, 101 + 6 * (i % 2)) for i, x in enumerate(range(-44, 50, 8))]
    with pen.clip(torso()):
        pen.stroke(shape(zigzag[0], *zigzag[1:], close=False), knit, 1.6)
        pen.stroke(shape((-50, 96), (50, 96), close=False), knit, 0.8)
        pen.stroke(shape((-50, 112), (50, 112), close=False), knit, 0.8)


def _blazer(pen: Pen, cloth: Tone) -> None:
    neck(pen)
    _sleeves(pen, cloth)
    pen.cel(torso(), cloth)
    inner = shape((-16, 59), (0, 130), (16, 59), (0, 82, -16, 59))
    pen.cel(inner, WHITE_CLOTH, (-2, -2), 0.8)
    tie = RED_CLOTH if not (cloth.base[0] > 190 and cloth.base[1] < 100) else NAVY_CLOTH
    pen.cel(shape((-5, 76), (5, 76), (7, 108), (0, 122), (-7, 108)), tie, (-2, 0), 0.8)
    pen.cel(shape((-6, 73), (6, 73), (4, 82), (-4, 82)), tie, (-1, 0), 0.8)
    for s in (-1, 1):
        flap = shape((s * 13, 57), (s * 20, 65), (s * 15, 82), (s * 3, 74), (s * 10, 66, s * 13, 57))
        pen.cel(flap, WHITE_CLOTH, (-1, -2), 0.8)
        lapel = shape(
            (s * 19, 63), (s * 35, 72), (s * 37, 88), (s * 27, 91), (s * 29, 97), (0, 133), (s * 14, 92, s * 19, 63)
        )
        pen.cel(lapel, cloth, (-3, -3))
    gold = (244, 200, 80) if cloth.base[1] < 190 else (120, 90, 70)
    for y in (142, 158):
        pen.fill(oval(0, y, 4, 4), gold)


OUTFIT_PAINTERS: Final[dict[str, Callable[[Pen, Tone], None]]] = {
    "serafuku": _serafuku,
    "dress": _dress,
    "hoodie": _hoodie,
    "shirt": _shirt,
    "kimono": _kimono,
    "sweater": _sweater,
    "blazer": _blazer,
}
