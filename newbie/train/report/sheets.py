"""Contact sheets: pictures of any shapes in even rows, a line or two under each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageDraw, ImageFont, ImageOps

from newbie.train.probe import Verdict
from newbie.train.studio import Picture

GAP: Final = 4  # pixels between pictures
TEXT: Final = 11  # pixels of a letter's height
_WHITE: Final = (255, 255, 255)
_INK: Final = (40, 40, 48)


def sheet(cells: Sequence[tuple[Picture, str]], *, columns: int, side: int = 192) -> Image.Image:
    """All cells, row by row; each picture as large as fits into a square of `side`, its text below."""
    lines = max((text.count("\n") + 1 if text else 0) for _, text in cells)
    height = side + lines * (TEXT + 3)
    rows = -(-len(cells) // columns)
    page = Image.new("RGB", (columns * (side + GAP) + GAP, rows * (height + GAP) + GAP), _WHITE)
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(TEXT)
    for i, (picture, text) in enumerate(cells):
        x, y = GAP + i % columns * (side + GAP), GAP + i // columns * (height + GAP)
        image = ImageOps.contain(Image.fromarray(picture), (side, side), Image.Resampling.LANCZOS)
        page.paste(image, (x + (side - image.width) // 2, y + (side - image.height) // 2))
        for row, line in enumerate(text.split("\n") if text else []):
            pen.text((x, y + side + 2 + row * (TEXT + 3)), shortened(line, side, font), _INK, font)
    return page


def shortened(text: str, width: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """`text`, cut where it would be wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "..") > width:
        text = text[:-1]
    return text + ".."


def contact_sheet(pictures: Sequence[Picture], *, most: int = 64) -> Image.Image:
    """The first pictures: nothing is selected."""
    return sheet([(picture, "") for picture in pictures[:most]], columns=8)


def worst_sheet(pictures: Sequence[Picture], found: Sequence[Verdict], *, most: int = 20) -> Image.Image:
    """The pictures in which the probe finds most amiss, and what that is."""
    order = sorted(range(len(found)), key=lambda i: (len(found[i].wrong), found[i].surprise), reverse=True)
    return sheet([(pictures[i], complaint(found[i])) for i in order[:most]], columns=5, side=232)


def complaint(verdict: Verdict, lines: int = 5) -> str:
    """What is wrong, a line each: `2: hair_color red, not blue`."""
    said = [
        f"{f'{told.figure}: ' if told.figure else ''}{told.question} {told.read}, not {told.asked}"
        for told in verdict.wrong
    ]
    if len(said) > lines:
        said = [*said[: lines - 1], f"and {len(said) - lines + 1} more"]
    return "\n".join(said + [" "] * (lines - len(said)))
