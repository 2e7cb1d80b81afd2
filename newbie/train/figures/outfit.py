"""The eight outfits down to the waist; what is below it is in `legs.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from newbie.train.figures import legs
from newbie.train.figures.body import (
    NAVY_CLOTH,
    RED_CLOTH,
    WHITE_CLOTH,
    arms,
    broad,
    busy,
    dark,
    hands_on_hips,
    neck,
    neckline,
    torso,
)  # fmt: skip
from newbie.train.figures.palette import SKIN_TONE, WHITE, Rgb, Tone, outfit_tone, tone
from newbie.train.figures.pen import Pen, flow, oval, shape
from newbie.train.figures.spec import Character

WAIST: Final = 138.0  # every top reaches further down


def dressed(pen: Pen, character: Character, seen: float) -> None:
    """The body in its clothes, drawn over the hair behind and under the head; `seen` is how far down it shows."""
    with pen.placed(0, 0, scale_x=broad(character)):
        if seen > WAIST:
            legs.lower(pen, character)
        OUTFIT_PAINTERS[character.outfit](pen, character, outfit_tone(character.outfit_color))
        hands_on_hips(pen, character)


def _serafuku(pen: Pen, character: Character, cloth: Tone) -> None:
    neck(pen)
    arms(pen, character)
    pen.cel(torso(145, 40), WHITE_CLOTH)
    neckline(pen, 100, WHITE_CLOTH)
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
        pen.mark(stripe, WHITE if dark(cloth) else NAVY_CLOTH.base, 1.0)
    _ribbon(pen, NAVY_CLOTH if cloth.base[0] > 200 and cloth.base[1] < 90 else RED_CLOTH, 0, 107)


def _ribbon(pen: Pen, cloth: Tone, x: float, y: float) -> None:
    with pen.placed(x, y):
        for s in (-1, 1):
            pen.cel(shape((0, 2), (s * 14, 26), (s * 5, 24), (s * 1, 10)), cloth, (-2, -3))
            pen.cel(flow([(0, 0), (s * 17, -9), (s * 20, 1), (s * 15, 9)]), cloth, (-2, -3))
        pen.cel(oval(0, 0.5, 5, 5.5), cloth, (-1, -1))


def _dress(pen: Pen, character: Character, cloth: Tone) -> None:
    arms(pen, character)
    pen.cel(torso(130, 32), SKIN_TONE, (-3, -3))
    neck(pen)
    pen.fill(shape((-20, 66), (0, 80, 20, 66), (20, 74), (-20, 74)), SKIN_TONE.base)
    bodice = shape(
        (-42, 94), (0, 86, 42, 94), (38, 116, 37, 138), (0, 146, -37, 138), (-38, 116, -42, 94),
    )  # fmt: skip
    pen.cel(bodice, cloth)
    frill = [(-43, 93), (-34, 103), (-22, 98), (-11, 105), (0, 99), (11, 105), (22, 98), (34, 103), (43, 93), (0, 82)]
    pen.cel(flow(frill), WHITE_CLOTH, (-1, -3), 0.8)
    for s in (-1, 1):
        strap = shape((s * 28, 69), (s * 36, 71), (s * 36, 92), (s * 27, 90))
        pen.cel(strap, cloth, (-2, 0), 0.9)
        puff = flow([(s * 37, 76), (s * 52, 70), (s * 66, 84), (s * 64, 104), (s * 46, 104), (s * 38, 92)])
        pen.cel(puff, cloth, (-4, -5))
    sash = WHITE if dark(cloth) else RED_CLOTH.base
    pen.mark(shape((-36, 137), (0, 144, 36, 137), close=False), sash, 4.5 / pen.line)


def _hoodie(pen: Pen, character: Character, cloth: Tone) -> None:
    hood = flow([(-46, 70), (-34, 50), (0, 46), (34, 50), (46, 70), (24, 86), (-24, 86)])
    pen.cel(hood, Tone(cloth.shade, cloth.shade, cloth.light, cloth.line))
    neck(pen)
    arms(pen, character)
    pen.cel(torso(158, 43), cloth)
    pen.edge(shape((-42, 150), (0, 157, 42, 150), close=False), cloth, 0.7)
    neckline(pen, 84, cloth)
    for s in (-1, 1):
        lip = shape(
            (s * 18, 57), (s * 46, 58, s * 47, 74), (s * 36, 88, 0, 93), (s * 1, 86, 0, 81), (s * 14, 76, s * 18, 57)
        )
        pen.cel(lip, cloth, (-3, -4))
        cord = shape((s * 10, 88), (s * 11, 98, s * 9, 112), close=False)
        pen.mark(cord, cloth.line, 5.2 / pen.line)
        pen.mark(cord, WHITE if dark(cloth) else (226, 90, 100), 2.8 / pen.line)
    pocket = shape((-20, 122), (20, 122), (29, 138), (29, 148), (-29, 148), (-29, 138), close=True)
    pen.edge(pocket, cloth, 0.9)


def _shirt(pen: Pen, character: Character, cloth: Tone) -> None:
    neck(pen)
    arms(pen, character)
    pen.cel(torso(150, 40), cloth)
    neckline(pen, 86, cloth)
    pen.edge(shape((0, 86), (0, 152), close=False), cloth, 0.9)
    for s in (-1, 1):
        flap = shape((s * 14, 57), (s * 30, 66), (s * 24, 90), (0, 85), (s * 10, 70, s * 14, 57))
        pen.cel(flap, Tone(cloth.light if dark(cloth) else cloth.base, cloth.base, WHITE, cloth.line), (-2, -3))
    for y in (98, 117, 136):
        pen.fill(oval(5.5, y, 3, 3), WHITE if dark(cloth) else NAVY_CLOTH.base)
        pen.stroke(oval(5.5, y, 3, 3), cloth.line, 0.5)


def _kimono(pen: Pen, character: Character, cloth: Tone) -> None:
    neck(pen)
    arms(pen, character, wide=10)
    pen.cel(torso(140, 40), cloth)
    neckline(pen, 100, cloth)
    flower = cloth.light if dark(cloth) else (250, 150, 176)
    for x, y in ((-30, 92), (26, 117), (-24, 122), (32, 92)):
        for dx, dy in ((0, -3.6), (3.6, 0), (0, 3.6), (-3.6, 0)):
            pen.fill(oval(x + dx, y + dy, 2.7, 2.7), flower)
    for s in (-1, 1):
        if character.action != "arms_up" and not busy(character, s):
            _sleeve_flowers(pen, flower, s, akimbo=character.action == "hands_on_hips")
    for width, color in ((9.5, cloth.line), (7.5, (252, 250, 246))):
        for s in (1, -1):
            band = shape((s * 15, 58), (s * 12, 78, -s * 16, 124), close=False)
            pen.mark(band, color, width / pen.line)
    obi_tone = tone((236, 190, 80)) if cloth.base[0] < 240 or cloth.base[1] < 190 else RED_CLOTH
    pen.cel(shape((-41, 126), (0, 131, 41, 126), (39, 156), (0, 161, -39, 156)), obi_tone)
    pen.mark(
        shape((-40, 141), (0, 146, 40, 141), close=False),
        RED_CLOTH.base if obi_tone != RED_CLOTH else WHITE,
        4 / pen.line,
    )


def _sleeve_flowers(pen: Pen, color: Rgb, s: int, *, akimbo: bool) -> None:
    for x, y in ((70, 104), (64, 122)) if akimbo else ((56, 106), (62, 140)):
        for dx, dy in ((0, -3.6), (3.6, 0), (0, 3.6), (-3.6, 0)):
            pen.fill(oval(s * x + dx, y + dy, 2.7, 2.7), color)


def _sweater(pen: Pen, character: Character, cloth: Tone) -> None:
    arms(pen, character)
    pen.cel(torso(156, 42), cloth)
    pen.edge(shape((-41, 146), (0, 153, 41, 146), close=False), cloth, 0.8)
    collar = flow([(-19, 52), (0, 56), (19, 52), (23, 68), (12, 78), (-12, 78), (-23, 68)])
    pen.cel(collar, cloth, (-2, -4))
    for x in (-12, -4, 4, 12):
        pen.stroke(shape((x, 58), (x * 1.1, 75), close=False), cloth.line, 0.55)
    knit = WHITE if dark(cloth) else (232, 90, 104)
    zigzag = [(x, 101 + 6 * (i % 2)) for i, x in enumerate(range(-44, 50, 8))]
    with pen.clip(torso(156, 42)):
        pen.mark(shape(zigzag[0], *zigzag[1:], close=False), knit, 3.4 / pen.line)
        pen.mark(shape((-50, 96), (50, 96), close=False), knit, 1.8 / pen.line)
        pen.mark(shape((-50, 112), (50, 112), close=False), knit, 1.8 / pen.line)


def _blazer(pen: Pen, character: Character, cloth: Tone) -> None:
    neck(pen)
    arms(pen, character)
    pen.cel(torso(160, 45), cloth)
    pen.edge(shape((0, 130), (0, 164), close=False), cloth, 0.9)
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
    for y in (140, 152):
        pen.fill(oval(5, y, 3.6, 3.6), gold)


def _overalls(pen: Pen, character: Character, cloth: Tone) -> None:
    """A striped shirt under a bib with a pocket, held by two straps."""
    neck(pen)
    arms(pen, character)
    shirt = torso(150, 40)
    pen.cel(shirt, WHITE_CLOTH)
    stripe = NAVY_CLOTH.base if character.outfit_color not in ("blue", "purple", "black") else RED_CLOTH.base
    with pen.clip(shirt):
        for y in (86, 99, 112, 125):
            pen.mark(shape((-50, y), (0, y + 4, 50, y), close=False), stripe, 3.2 / pen.line)
    pen.mark(shape((-15, 60), (0, 90, 15, 60), close=False), stripe, 3.2 / pen.line)
    waist = shape((-40, 128), (-29, 124), (29, 124), (40, 128), (41, 160), (0, 166, -41, 160))
    pen.cel(waist, cloth)
    for s in (-1, 1):
        strap = shape((s * 24, 66), (s * 34, 70), (s * 30, 104), (s * 20, 102))
        pen.cel(strap, cloth, (-2, 0), 0.9)
    bib = shape((-27, 94), (0, 97, 27, 94), (31, 130), (0, 136, -31, 130))
    pen.cel(bib, cloth)
    pen.fill(shape((-29.5, 122), (29.5, 122), (38, 134), (0, 140, -38, 134)), cloth.base)
    pocket = shape((-14, 108), (14, 108), (14, 122), (0, 130, -14, 122))
    pen.cel(pocket, Tone(cloth.light if dark(cloth) else cloth.base, cloth.base, WHITE, cloth.line), (-1, -2), 0.8)
    gold = tone((246, 202, 84)) if character.outfit_color != "yellow" else tone((120, 90, 70))
    for s in (-1, 1):
        pen.cel(oval(s * 22, 99, 4.6, 4.6), gold, (-1, -1), 0.7)


OUTFIT_PAINTERS: Final[dict[str, Callable[[Pen, Character, Tone], None]]] = {
    "serafuku": _serafuku,
    "dress": _dress,
    "hoodie": _hoodie,
    "shirt": _shirt,
    "kimono": _kimono,
    "sweater": _sweater,
    "blazer": _blazer,
    "overalls": _overalls,
}
