"""A plan as a picture: layers x evaluations, a colour for each action, both branches side by side, and a legend."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image, ImageDraw, ImageFont

from newbie.accel.plan import BRANCHES, Plan

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont
# Of Okabe and Ito (2008), told apart by people who do not see all colours; the usual thing is grey.
COLOURS = {
    "compute": "#d4d4d4", "window": "#e69f00", "window+cfg": "#d55e00", "cfg": "#cc79a7", "reuse": "#009e73",
    "mean_v": "#56b4e9", "forecast": "#0072b2", "skip": "#ffffff",
}  # fmt: skip
NAMES = {"attn": "attention", "ffn": "feed-forward"}
CELL, SMALLEST = 18, 3  # pixels
WIDEST, TALLEST = 720, 900  # of a branch; a larger plan has smaller cells
_MARGIN, _LABEL, _GAP, _LINE, _TEXT = 14, 34, 30, 17, 12  # pixels
_INK, _FAINT = "#28282e", "#b4b4b4"


def drawn(plan: Plan, title: str = "") -> Image.Image:
    """Layer 0 stands at the top, the first evaluation at the left; titled with what the plan is for."""
    font = ImageFont.load_default(_TEXT)
    across = _cell(WIDEST, plan.evaluations)
    down = _cell(TALLEST, plan.layers)
    panel, tall = across * plan.evaluations, down * plan.layers
    width = max(2 * _MARGIN + 2 * (_LABEL + panel) + _GAP, 560)
    head = [line for text in (title, plan.about()) if text for line in _wrapped(text, width - 2 * _MARGIN, font)]
    rows = _legend_rows([action for action in COLOURS if action in seen(plan)], width - 2 * _MARGIN, font)
    top = _MARGIN + _LINE * (len(head) + 2)
    page = Image.new("RGB", (width, top + tall + _LINE * (3 + len(rows)) + _MARGIN), "white")
    pen = ImageDraw.Draw(page)
    for number, line in enumerate(head):
        pen.text((_MARGIN, _MARGIN + _LINE * number), line, _INK, font)
    for place, branch in enumerate(BRANCHES):
        left = _MARGIN + _LABEL + place * (panel + _LABEL + _GAP)
        pen.text((left, top - _LINE - 2), f"{NAMES[branch]}: evaluations from left to right", _INK, font)
        for layer in range(plan.layers):
            y = top + down * layer
            if layer % _every(down) == 0:
                pen.text((left - 6, y + down // 2), str(layer), _INK, font, anchor="rm")
            for i, action in enumerate(shown(plan, layer, branch)):
                box = (left + across * i, y, left + across * (i + 1), y + down)
                pen.rectangle(box, COLOURS[action], _FAINT if min(across, down) > 6 else None)
        pen.rectangle((left, top, left + panel, top + tall), None, _FAINT)
        for i in range(0, plan.evaluations, _every(across)):
            pen.text((left + across * i + across // 2, top + tall + 4), str(i), _INK, font, anchor="ma")
    pen.text((_MARGIN, top - _LINE - 2), "layer", _INK, font)
    for number, row in enumerate(rows):
        y = top + tall + _LINE * (2 + number)
        for x, action in row:
            pen.rectangle((_MARGIN + x, y + 1, _MARGIN + x + _TEXT, y + 1 + _TEXT), COLOURS[action], _FAINT)
            pen.text((_MARGIN + x + _TEXT + 5, y), action, _INK, font)
    return page


def shown(plan: Plan, layer: int, branch: str) -> Iterator[str]:
    """What a branch does in each evaluation; where its block does not run, what stands in for it."""
    for i, action in enumerate(plan.actions(layer, branch)):
        yield action if plan.runs(layer, i) else plan.step_actions[i]


def seen(plan: Plan) -> set[str]:
    """All that the picture has to explain."""
    return {action for layer in range(plan.layers) for branch in BRANCHES for action in shown(plan, layer, branch)}


def _cell(most: int, count: int) -> int:
    return max(min(CELL, most // count), SMALLEST)


def _every(pixels: int) -> int:
    """Labels that stand so many pixels apart: every how many have room."""
    return next(each for each in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if each * pixels >= 2 * _TEXT)


def _legend_rows(names: list[str], width: int, font: Font) -> list[list[tuple[int, str]]]:
    """Rows of (x, name), each with room for a coloured square before it."""
    rows: list[list[tuple[int, str]]] = [[]]
    x = 0
    for name in names:
        needed = round(font.getlength(name)) + _TEXT + 24
        if x and x + needed > width:
            rows.append([])
            x = 0
        rows[-1].append((x, name))
        x += needed
    return rows


def _wrapped(text: str, width: int, font: Font) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
