"""Heat-maps as one picture: the drawing, and for each character and tag the drawing lit where it was heard.

Every map is scaled to its own maximum, because a tag of two words is heard less than a character of thirty; the number
beside its name is what it got of all attention, in percent.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from newbie.regions.heat import Heat

SIDE = 192  # pixels of the longer side of a cell
COLUMNS = 6
MOST = 96  # cells
_LINE = 14  # pixels
_DARK, _LIT = np.array([24.0, 20, 60]), np.array([255.0, 214, 70])


def heat_sheet(picture: Image.Image, heats: Mapping[str, Heat]) -> Image.Image:
    """The drawing first, then whole characters and captions, then single tags, in the order of the prompt."""
    cells = [(_fitted(picture), "", "")]
    for path, heat in shown(heats).items():
        share = 100 * float(heat.share.mean())
        name = path.partition(".")[2] or path
        words = "" if "." not in path else " ".join(heat.words.split())
        cells.append((lit(picture, heat), f"{name}  {share:.1f} %", words))
    return _page(cells[:MOST])


def shown(heats: Mapping[str, Heat]) -> dict[str, Heat]:
    """What people want to see: characters, captions and the general tags as wholes, and single tags."""
    wholes = {path: heat for path, heat in heats.items() if "." not in path and "[" not in path}
    return wholes | {path: heat for path, heat in heats.items() if path.endswith("]")}


def lit(picture: Image.Image, heat: Heat) -> Image.Image:
    """The drawing in grey, coloured and bright where the element was heard most."""
    small = _fitted(picture)
    share = heat.share / heat.share.max().clamp(min=1e-12)
    glow = Image.fromarray(np.uint8(255 * share.numpy())).resize(small.size, Image.Resampling.BICUBIC)
    strength = np.asarray(glow, np.float32)[..., None] / 255
    grey = np.asarray(small.convert("L"), np.float32)[..., None] / 255
    colour = _DARK + (_LIT - _DARK) * strength
    return Image.fromarray(np.uint8(colour * (0.35 + 0.65 * grey)))


def _fitted(picture: Image.Image) -> Image.Image:
    scale = SIDE / max(picture.size)
    size = tuple(max(round(side * scale), 1) for side in picture.size)
    return picture.convert("RGB").resize((size[0], size[1]), Image.Resampling.LANCZOS)


def _page(cells: list[tuple[Image.Image, str, str]]) -> Image.Image:
    width, height = cells[0][0].size
    down, along = height + 2 * _LINE + 8, width + 8
    columns = min(COLUMNS, len(cells))
    page = Image.new("RGB", (columns * along + 8, -(-len(cells) // columns) * down + 8), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(_LINE - 3)
    for i, (image, *lines) in enumerate(cells):
        x, y = 8 + i % columns * along, 8 + i // columns * down
        page.paste(image, (x, y))
        for row, line in enumerate(lines):
            pen.text((x, y + height + 1 + row * _LINE), _cut(line, width, font), "black", font)
    return page


def _cut(text: str, width: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """Signs that the font lacks are drawn as boxes; a line longer than its cell loses its end."""
    while text and font.getlength(text) > width:
        text = text[:-1]
    return text
