"""Raised and holding hands, drawn in front of everything else."""

from __future__ import annotations

from newbie.train.figures import props
from newbie.train.figures.body import ELBOW, NAVY_CLOTH, RAISED, busy, dark, inner, sleeve, tube
from newbie.train.figures.palette import SKIN_TONE, outfit_tone
from newbie.train.figures.pen import Pen, Point, flow, oval, shape
from newbie.train.figures.spec import Character


def gesture(pen: Pen, character: Character, room: tuple[float, float]) -> None:
    """What the hands do in front of the figure, in units of the figure; `room` is what is free left and right."""
    if character.action == "arms_up":
        for s in (-1, 1):
            _arm_up(pen, character, s, room[s > 0])
        return
    s = inner(character)
    if not busy(character, s):
        return
    if character.action in RAISED:
        _raised(pen, character, s)
    else:
        _holding(pen, character, s, room[s > 0])


def _forearm(pen: Pen, character: Character, elbow: Point, wrist: Point) -> None:
    cloth = sleeve(character)
    wide = 8 if character.outfit == "kimono" else 0
    ends = (elbow, wrist, 12.5, 13 + wide) if cloth is not SKIN_TONE else (elbow, wrist, 11.0, 9.5)
    arm = tube(*ends)
    pen.cel(arm, cloth)
    if character.outfit in ("serafuku", "overalls"):
        _cuff(pen, character, elbow, wrist)


def _cuff(pen: Pen, character: Character, elbow: Point, wrist: Point) -> None:
    """A stripe across a white sleeve, in the colour of the outfit."""
    cloth = outfit_tone(character.outfit_color)
    color = cloth.base if dark(cloth) else NAVY_CLOTH.base
    x, y = (wrist[k] * 0.86 + elbow[k] * 0.14 for k in (0, 1))
    dx, dy = wrist[1] - elbow[1], elbow[0] - wrist[0]
    length = (dx * dx + dy * dy) ** 0.5 / 11
    band = shape((x - dx / length, y - dy / length), (x + dx / length, y + dy / length), close=False)
    pen.mark(band, color, 4 / pen.line)


def _raised(pen: Pen, character: Character, s: int) -> None:
    """A hand that waves, or that makes a V."""
    if character.action == "waving":
        with pen.placed(s * 80, 72, degrees=s * 12):
            open_hand(pen, s)
        _forearm(pen, character, (s * ELBOW[0], ELBOW[1]), (s * 77, 86))
    else:
        with pen.placed(s * 71, 73, degrees=s * 6):
            victory(pen, s)
        _forearm(pen, character, (s * ELBOW[0], ELBOW[1] + 2), (s * 70, 88))


def _arm_up(pen: Pen, character: Character, s: int, room: float) -> None:
    """A whole arm in the air; in a crowd it stays between the heads."""
    x = min(72.0, max(55.0, room - 7))
    cloth = sleeve(character)
    hand = (s * x, -48.0)
    with pen.placed(hand[0], hand[1], degrees=s * (x - 55) * 0.6):
        open_hand(pen, s)
    thick = 13.0 if cloth is not SKIN_TONE else 10.0
    wide = 9.0 if character.outfit == "kimono" else 0.0
    pen.cel(
        shape(
            (s * 34, 74), (s * (x - thick - 1), 56, s * (x - thick), 14), (s * (x - thick - wide), -34),
            (s * x, -30, s * (x + thick + wide), -34), (s * (x + thick + 2), 30), (s * (x + thick), 78, s * 46, 106),
        ),
        cloth,
    )  # fmt: skip
    if character.outfit == "dress":
        puff = outfit_tone(character.outfit_color)
        pen.cel(flow([(s * 35, 76), (s * 48, 64), (s * 66, 62), (s * 70, 78), (s * 54, 100), (s * 40, 96)]), puff)
    if character.outfit in ("serafuku", "overalls"):
        _cuff(pen, character, (s * x, 60), (s * x, -34))


def _holding(pen: Pen, character: Character, s: int, room: float) -> None:
    """A bent arm with something in the hand."""
    prop = props.PROPS[character.prop]
    hand = (s * prop.hand[0], prop.hand[1])
    elbow = (s * ELBOW[0], ELBOW[1] + 3)
    if prop.arm_first:
        _forearm(pen, character, elbow, hand)
        with pen.placed(s * prop.at[0], prop.at[1]):
            prop.paint(pen, s, room)
    else:
        with pen.placed(s * prop.at[0], prop.at[1]):
            prop.paint(pen, s, room)
        _forearm(pen, character, elbow, hand)
    _grip(pen, hand, s)


def _grip(pen: Pen, at: Point, s: int) -> None:
    """Four fingers around something."""
    with pen.placed(at[0] - s * 3, at[1] - 2, degrees=s * prop_tilt(at)):
        pen.cel(flow([(-10, -7), (0, -10), (10, -7), (11, 3), (0, 9), (-11, 3)]), SKIN_TONE, (-2, -2))
        for k in (-4, 1, 6):
            pen.stroke(shape((k * s - s * 5, -6 + abs(k) * 0.3), (k * s - s * 6, 3), close=False), SKIN_TONE.line, 0.6)


def prop_tilt(at: Point) -> float:
    """A hand near the middle lies flatter."""
    return -20.0 if abs(at[0]) < 46 else -6.0


def open_hand(pen: Pen, s: int) -> None:
    """A palm with four fingers and a thumb, pointing up from (0, 14)."""
    for k, reach in ((-9.5, 17.0), (-3.6, 21.5), (2.6, 21.0), (8.4, 16.5)):
        finger = shape((k - 3, 0), (k * 1.35 - 3.2, -reach, k * 1.35, -reach - 1), (k * 1.35 + 3.2, -reach, k + 3, 0))
        pen.cel(finger, SKIN_TONE, (-1, -1))
    thumb = shape((-s * 8, 6), (-s * 22, -1, -s * 19, -6), (-s * 14, -6, -s * 6, -4))
    pen.cel(thumb, SKIN_TONE, (-1, -1))
    palm = flow([(-11, -4), (0, -7), (11, -4), (10, 9), (0, 15), (-10, 9)])
    pen.fill(palm, SKIN_TONE.base)
    pen.stroke(flow([(-11, -3), (-10, 9), (0, 15), (10, 9), (11, -3)], close=False), SKIN_TONE.line)


def victory(pen: Pen, s: int) -> None:
    """Two fingers spread to a V, the others folded under the thumb."""
    for degrees in (-20, 16):
        with pen.placed(degrees=degrees):
            pen.cel(flow([(-4.6, 0), (-4.8, -24), (0, -33), (4.8, -24), (4.6, 0)]), SKIN_TONE, (-1.5, -1))
    pen.cel(flow([(-12, -5), (0, -9), (12, -5), (11, 8), (0, 15), (-11, 8)]), SKIN_TONE, (-2, -2))
    for k in (1, 2):
        pen.cel(oval(s * (1 + 5.5 * k), -1 + k, 4, 6.5), SKIN_TONE, (-1, -1), 0.7)
    pen.cel(flow([(-s * 10, 5), (-s * 2, 1), (s * 6, 3), (s * 5, 8), (-s * 5, 11)]), SKIN_TONE, (-1, -1), 0.8)
