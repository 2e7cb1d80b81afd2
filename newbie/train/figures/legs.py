"""Lower bodies: skirts, trousers, hems, socks and shoes, standing or sitting. Standing soles are at y = 250."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from newbie.train.figures.body import NAVY_CLOTH, RED_CLOTH, WHITE_CLOTH, dark
from newbie.train.figures.palette import SKIN_TONE, WHITE, Tone, outfit_tone, tone
from newbie.train.figures.pen import Path, Pen, flow, oval, shape
from newbie.train.figures.spec import Character

STANDING: Final = 250.0
SITTING: Final = 204.0

JEANS: Final = tone((86, 104, 148))
KHAKI: Final = tone((190, 162, 122))
GREY: Final = tone((118, 122, 142))
COCOA: Final = tone((122, 92, 86))
BLACK: Final = tone((58, 54, 68))
LEATHER: Final = tone((132, 78, 56))
CUSHION: Final = tone((255, 196, 120))


class Wear(NamedTuple):
    """What somebody wears below the waist; no cloth means the colour of the outfit."""

    kind: str  # "skirt", "trousers" or "robe"
    cloth: Tone | None
    socks: Tone
    shoes: Tone
    hem: float = 190.0
    pleats: bool = False


GIRLS: Final[dict[str, Wear]] = {
    "serafuku": Wear("skirt", None, BLACK, LEATHER, pleats=True),
    "dress": Wear("skirt", None, WHITE_CLOTH, RED_CLOTH, 206),
    "hoodie": Wear("trousers", JEANS, WHITE_CLOTH, WHITE_CLOTH),
    "shirt": Wear("skirt", KHAKI, WHITE_CLOTH, LEATHER),
    "kimono": Wear("robe", None, WHITE_CLOTH, RED_CLOTH, 236),
    "sweater": Wear("skirt", COCOA, BLACK, LEATHER),
    "blazer": Wear("skirt", GREY, BLACK, LEATHER, pleats=True),
    "overalls": Wear("trousers", None, WHITE_CLOTH, RED_CLOTH),
}
BOYS: Final = GIRLS | {
    "shirt": Wear("trousers", KHAKI, WHITE_CLOTH, LEATHER),
    "sweater": Wear("trousers", COCOA, BLACK, LEATHER),
    "blazer": Wear("trousers", GREY, BLACK, BLACK),
}


def sole(character: Character) -> float:
    """How far below the middle of the head the ground is."""
    return SITTING if character.action == "sitting" else STANDING


def lower(pen: Pen, character: Character) -> None:
    """Everything below the waist; the top is drawn over its upper edge."""
    wear = (BOYS if character.gender == "boy" else GIRLS)[character.outfit]
    cloth = wear.cloth or outfit_tone(character.outfit_color)
    if wear.shoes.base == cloth.base or (wear.cloth is None and character.outfit_color == "red"):
        wear = wear._replace(shoes=NAVY_CLOTH if wear.shoes is RED_CLOTH else wear.shoes)
    painters = SITS if character.action == "sitting" else STANDS
    painters[wear.kind](pen, wear, cloth)


def _shoe(pen: Pen, s: int, cloth: Tone) -> None:
    upper = flow([(s * 11, 231), (s * 32, 231), (s * 41, 242), (s * 38, 250), (s * 13, 250), (s * 8, 243)])
    pen.cel(upper, cloth, (-2, -4))
    pen.mark(shape((s * 12, 249), (s * 38, 249), close=False), WHITE if dark(cloth) else RED_CLOTH.base, 2.6 / pen.line)


def _standing_skirt(pen: Pen, wear: Wear, cloth: Tone) -> None:
    for s in (-1, 1):
        leg = shape((s * 6, 160), (s * 37, 160), (s * 37, 196, s * 32, 238), (s * 13, 238), (s * 10, 196, s * 6, 160))
        pen.cel(leg, SKIN_TONE)
        with pen.clip(leg):
            high = 208 if wear.socks is BLACK else 222
            pen.fill(shape((s * 2, high), (s * 44, high), (s * 44, 244), (s * 2, 244)), wear.socks.base)
        pen.edge(shape((s * 10, high), (s * 35, high), close=False), wear.socks, 0.8)
        pen.edge(leg, wear.socks if wear.socks is BLACK else SKIN_TONE, 0.7)
        _shoe(pen, s, wear.shoes)
    wide = 58 + (wear.hem - 190) * 0.4
    skirt = shape(
        (-37, 132), (37, 132), (44, 160, wide, wear.hem - 4), (wide * 0.5, wear.hem + 5, 0, wear.hem + 5),
        (-wide * 0.5, wear.hem + 5, -wide, wear.hem - 4), (-44, 160, -37, 132),
    )  # fmt: skip
    _skirt(pen, skirt, wear, cloth, wear.hem)


def _skirt(pen: Pen, skirt: Path, wear: Wear, cloth: Tone, hem: float) -> None:
    pen.cel(skirt, cloth)
    if wear.pleats:
        for x in (-26, -9, 9, 26):
            pen.edge(shape((x, 150), (x * 1.45, hem), close=False), cloth, 0.7)
    if wear.cloth is None:
        color = WHITE if dark(cloth) else RED_CLOTH.base
        with pen.clip(skirt):
            if wear.pleats:
                pen.mark(shape((-64, hem - 11), (0, hem - 1, 64, hem - 11), close=False), color, 3 / pen.line)
            else:
                frill = [(x, hem - 5 + abs(x) * -0.07 + 5 * (i % 2)) for i, x in enumerate(range(-72, 80, 12))]
                pen.mark(flow(frill, close=False), WHITE if dark(cloth) else (250, 160, 180), 7 / pen.line)


def _standing_trousers(pen: Pen, wear: Wear, cloth: Tone) -> None:
    for s in (-1, 1):
        _shoe(pen, s, wear.shoes)
        leg = shape(
            (0, 138), (s * 38, 138), (s * 44, 180, s * 38, 234), (s * 24, 238, s * 9, 234), (s * 8, 200, s * 1, 178)
        )
        pen.cel(leg, cloth)
        cuff = shape((s * 9, 225), (s * 24, 229, s * 39, 225), (s * 38, 234), (s * 24, 238, s * 9, 234))
        pen.cel(cuff, Tone(cloth.light, cloth.base, cloth.light, cloth.line), (-2, -2), 0.8)
    seat = shape((-36, 134), (36, 134), (40, 160), (16, 172, 0, 180), (-16, 172, -40, 160))
    pen.fill(seat, cloth.base)
    pen.edge(shape((0, 152), (0, 180), close=False), cloth, 0.7)


def _standing_robe(pen: Pen, wear: Wear, cloth: Tone) -> None:
    for s in (-1, 1):
        pen.cel(flow([(s * 8, 228), (s * 30, 228), (s * 34, 242), (s * 9, 243)]), wear.socks, (-2, -3))
        sandal = shape((s * 5, 243), (s * 37, 243), (s * 37, 250), (s * 5, 250))
        pen.cel(sandal, wear.shoes, (-1, -2))
        pen.mark(shape((s * 9, 241), (s * 20, 234, s * 31, 241), close=False), wear.shoes.base, 2.6 / pen.line)
    robe = shape(
        (-39, 130), (39, 130), (46, 160, 44, 190), (42, 220, 46, 233), (0, 240, -46, 233), (-42, 220, -44, 190),
        (-46, 160, -39, 130),
    )  # fmt: skip
    pen.cel(robe, cloth)
    _blossoms(pen, cloth, ((-28, 178), (26, 200), (-20, 216), (32, 168), (-6, 192)))
    pen.edge(shape((12, 150), (16, 200, 8, 236), close=False), cloth, 0.9)


def _blossoms(pen: Pen, cloth: Tone, places: tuple[tuple[float, float], ...]) -> None:
    color = cloth.light if dark(cloth) else (250, 150, 176)
    for x, y in places:
        for dx, dy in ((0, -4), (4, 0), (0, 4), (-4, 0)):
            pen.fill(oval(x + dx, y + dy, 3, 3), color)


def cushion(pen: Pen) -> None:
    """What a sitting figure sits on."""
    pad = flow([(-84, 178), (-76, 164), (0, 156), (76, 164), (84, 178), (76, 196), (0, 205), (-76, 196)])
    pen.cel(pad, CUSHION)
    pen.edge(shape((-80, 186), (0, 200, 80, 186), close=False), CUSHION, 0.7)


def _forward(pen: Pen, s: int, cloth: Tone, socks: Tone, shoes: Tone) -> None:
    """A leg stretched towards the viewer, its sole up."""
    leg = shape(
        (s * 4, 156), (s * 34, 146), (s * 60, 158, s * 60, 186), (s * 44, 200, s * 28, 190), (s * 22, 178, s * 4, 174)
    )
    pen.cel(leg, cloth)
    with pen.placed(s * 46, 186, degrees=s * 14):
        pen.cel(oval(0, -4, 17, 18), socks, (-2, -2))
        pen.cel(oval(0, 0, 16.5, 18), shoes, (-3, -3))
        pen.fill(oval(0, 1, 11, 12.5), WHITE if dark(shoes) else (226, 220, 226), 90 if dark(shoes) else 255)


def _sitting_trousers(pen: Pen, wear: Wear, cloth: Tone) -> None:
    pen.cel(shape((-36, 130), (36, 130), (44, 150, 44, 172), (0, 186, -44, 172), (-44, 150, -36, 130)), cloth)
    for s in (-1, 1):
        _forward(pen, s, cloth, wear.socks, wear.shoes)


def _sitting_skirt(pen: Pen, wear: Wear, cloth: Tone) -> None:
    for s in (-1, 1):
        _forward(pen, s, wear.socks if wear.socks is BLACK else SKIN_TONE, wear.socks, wear.shoes)
    skirt = shape(
        (-37, 130), (37, 130), (48, 142, 66, 166), (50, 180, 22, 178), (0, 188, -22, 178), (-50, 180, -66, 166),
        (-48, 142, -37, 130),
    )  # fmt: skip
    _skirt(pen, skirt, wear, cloth, 178)


def _sitting_robe(pen: Pen, wear: Wear, cloth: Tone) -> None:
    robe = flow([
        (-38, 132), (0, 128), (38, 132), (56, 156), (70, 182), (54, 198), (0, 202), (-54, 198), (-70, 182), (-56, 156),
    ])  # fmt: skip
    pen.cel(robe, cloth)
    pen.edge(shape((4, 166), (4, 186, -8, 202), close=False), cloth, 0.9)
    pen.edge(shape((-58, 176), (-30, 166, 2, 172), close=False), cloth, 0.7)
    pen.edge(shape((58, 176), (30, 166, 6, 172), close=False), cloth, 0.7)
    _blossoms(pen, cloth, ((-44, 186), (34, 188), (-22, 178), (50, 176)))


Painter = Callable[[Pen, Wear, Tone], None]
STANDS: Final[dict[str, Painter]] = {
    "skirt": _standing_skirt,
    "trousers": _standing_trousers,
    "robe": _standing_robe,
}
SITS: Final[dict[str, Painter]] = {"skirt": _sitting_skirt, "trousers": _sitting_trousers, "robe": _sitting_robe}
