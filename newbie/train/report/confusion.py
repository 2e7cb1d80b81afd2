"""Confusion matrices as one picture: rows are what was asked for, columns what the probe read, in percent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from newbie.train.probe import Verdict
from newbie.train.probe.labels import NO_YES, OF_CHARACTER, OF_PICTURE
from newbie.train.report.sheets import shortened

CELL: Final = 34  # pixels
LABEL: Final = 122  # room for the names of the rows and of the columns
PADDING: Final = 24
TITLE: Final = 26
WIDEST: Final = 1500  # pixels
Matrix = list[list[int]]


def matrices(found: Iterable[Verdict]) -> dict[str, Matrix]:
    """question: how often each answer (second index) was read where another (first index) was asked for."""
    questions = {**OF_PICTURE, **OF_CHARACTER}
    tables = {name: [[0] * len(values) for _ in values] for name, values in questions.items()}
    for verdict in found:
        for told in verdict.told:
            values = questions[told.question]
            tables[told.question][values.index(told.asked)][values.index(told.read)] += 1
    return {name: table for name, table in tables.items() if any(map(any, table))}


def confusion_picture(found: Iterable[Verdict]) -> Image.Image:
    """All matrices with more than two answers, large ones first, then those of yes and no."""
    answers = {**OF_PICTURE, **OF_CHARACTER}
    tables = sorted(matrices(found).items(), key=lambda item: (answers[item[0]] == NO_YES, -len(item[1])))
    blocks = [_matrix(name, answers[name], table) for name, table in tables]
    places: list[tuple[int, int]] = []
    x, y, tallest = PADDING, PADDING + TITLE, 0
    for block in blocks:
        if x + block.width + PADDING > WIDEST:
            x, y, tallest = PADDING, y + tallest + PADDING, 0
        places.append((x, y))
        x, tallest = x + block.width + PADDING, max(tallest, block.height)
    page = Image.new("RGB", (WIDEST, y + tallest + PADDING), (255, 255, 255))
    told = "rows: what was asked for; columns: what was read; percent of the row"
    ImageDraw.Draw(page).text((PADDING, PADDING), told, (20, 20, 28), ImageFont.load_default(15))
    for block, place in zip(blocks, places, strict=True):
        page.paste(block, place)
    return page


def _matrix(name: str, values: Sequence[str], table: Matrix) -> Image.Image:
    side = CELL * len(values)
    title, font, small = (ImageFont.load_default(size) for size in (15, 12, 11))
    below = min(round(max(font.getlength(value) for value in values)) + 8, LABEL)
    wide = max(side, round(title.getlength(name)) + 2)
    block = Image.new("RGB", (LABEL + wide, TITLE + side + below), (255, 255, 255))
    pen = ImageDraw.Draw(block)
    pen.text((LABEL, 2), name, (20, 20, 28), title)
    for i, value in enumerate(values):
        text = shortened(value, LABEL - 8, font)
        pen.text((LABEL - 6 - font.getlength(text), TITLE + i * CELL + 10), text, (20, 20, 28), font)
        upright = Image.new("RGB", (LABEL, 16), (255, 255, 255))
        ImageDraw.Draw(upright).text((0, 1), text, (20, 20, 28), font)
        block.paste(upright.rotate(-90, expand=True), (LABEL + i * CELL + 9, TITLE + side + 4))
        total = sum(table[i])
        for j, count in enumerate(table[i]):
            share = count / total if total else 0.0
            x, y = LABEL + j * CELL, TITLE + i * CELL
            pen.rectangle((x, y, x + CELL - 2, y + CELL - 2), _shade(share, i == j, bool(total)))
            if count:
                said = f"{100 * share:.0f}" if share >= 0.005 else "<1"
                ink = (255, 255, 255) if share > 0.5 else (20, 20, 28)
                pen.text((x + (CELL - 2 - small.getlength(said)) / 2, y + 10), said, ink, small)
    return block


def _shade(share: float, right: bool, asked: bool) -> tuple[int, int, int]:
    """White to green where it is right, white to red where it is wrong; grey where nobody asked."""
    if not asked:
        return (240, 240, 240)
    full = (22, 110, 70) if right else (196, 40, 40)
    depth = share**0.6
    return (_mix(full[0], depth), _mix(full[1], depth), _mix(full[2], depth))


def _mix(channel: int, depth: float) -> int:
    return round(248 + (channel - 248) * depth)
