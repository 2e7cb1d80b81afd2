"""Colours: one flat tone per attribute value, and the shade, light and line that cel shading derives from it."""

from __future__ import annotations

import colorsys
from functools import cache
from typing import Final, NamedTuple

Rgb = tuple[int, int, int]

HAIR: Final[dict[str, Rgb]] = {
    "red": (216, 36, 48),
    "orange": (248, 134, 32),
    "blonde": (253, 217, 92),
    "green": (60, 172, 88),
    "blue": (48, 112, 230),
    "purple": (138, 76, 206),
    "pink": (255, 144, 190),
    "brown": (124, 72, 42),
    "black": (44, 44, 58),
    "white": (238, 240, 248),
}
EYES: Final[dict[str, Rgb]] = {
    "blue": (24, 84, 250),
    "green": (22, 184, 52),
    "red": (232, 10, 28),
    "purple": (136, 32, 222),
    "brown": (132, 72, 26),
    "yellow": (255, 200, 0),
    "pink": (255, 84, 188),
    "aqua": (0, 220, 230),
}
OUTFIT: Final[dict[str, Rgb]] = {
    "red": (208, 44, 56),
    "yellow": (250, 204, 74),
    "green": (54, 152, 92),
    "blue": (54, 102, 204),
    "purple": (132, 88, 198),
    "pink": (250, 150, 188),
    "black": (60, 60, 74),
    "white": (246, 247, 252),
}
SKIN: Final[Rgb] = (255, 228, 212)
WHITE: Final[Rgb] = (255, 255, 255)
INK: Final[Rgb] = (60, 34, 52)


class Tone(NamedTuple):
    """One material: its flat colour, its shadow, its highlight, and the line around it."""

    base: Rgb
    shade: Rgb
    light: Rgb
    line: Rgb


def mix(a: Rgb, b: Rgb, share: float) -> Rgb:
    """`a` with `share` of `b` in it, share from 0 to 1."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


@cache
def tone(base: Rgb) -> Tone:
    """Shadows lean towards violet and highlights towards cream, as painters of anime cels do it."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*(value / 255 for value in base))
    shade = mix(tuple(round(v * 0.80) for v in base), (120, 84, 176), 0.16)  # type: ignore[arg-type]
    light = mix(base, (255, 252, 240), 0.55 if lightness > 0.3 else 0.34)
    dark = colorsys.hls_to_rgb(hue, max(0.10, lightness * 0.34), saturation * 0.75)
    line = mix(tuple(round(v * 255) for v in dark), (62, 30, 62), 0.45)  # type: ignore[arg-type]
    return Tone(base, shade, light, line)


def hair_tone(color: str) -> Tone:
    """The material of a hair colour of `words.HAIR_COLORS`."""
    return tone(HAIR[color])


def outfit_tone(color: str) -> Tone:
    """The material of an outfit colour of `words.OUTFIT_COLORS`."""
    return tone(OUTFIT[color])


SKIN_TONE: Final = Tone(SKIN, (250, 196, 184), (255, 244, 236), (150, 74, 74))
