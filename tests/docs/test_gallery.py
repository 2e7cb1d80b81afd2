"""The gallery of the README shows the first held-out prompts, in their order, at the size the model draws."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from newbie.request import Recommended

pytest.importorskip("skia", reason="the drawing library of the extra `train` is not installed", exc_type=ImportError)

from newbie.train.report import suites
from newbie.train.report.sheets import GAP

ROOT = Path(__file__).resolve().parents[2]
SIDE = 32


class Painter:
    """Paints the seed, and remembers what was asked for."""

    recommended = Recommended(width=SIDE, height=SIDE, steps=2)

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def describe(self) -> dict[str, Any]:
        return {}

    def generate(self, request: Any) -> Any:
        self.asked.append(request)
        image = Image.new("RGB", (request.width, request.height), (request.seed, 0, 0))
        return SimpleNamespace(images=[image], notes=[])


def test_nothing_is_selected_and_nothing_is_scaled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "examples"))
    import gallery

    try:
        painter = Painter()
        gallery.main(["--count", "5", "--columns", "2", "--output", str(tmp_path / "g.png")], painter)
    finally:
        sys.modules.pop("gallery", None)
    tasks = suites.held_out(5, seed=0)
    assert [(each.prompt, each.seed, each.steps) for each in painter.asked] == [
        (task.prompt, i, 2) for i, task in enumerate(tasks)
    ]
    with Image.open(tmp_path / "g.png") as page:
        assert page.size == (2 * (SIDE + GAP) + GAP, 3 * (SIDE + GAP) + GAP)
        for i, task in enumerate(tasks):
            middle = (GAP + i % 2 * (SIDE + GAP) + SIDE // 2, GAP + i // 2 * (SIDE + GAP) + SIDE // 2)
            assert page.getpixel(middle) == (i, 0, 0), task.name
