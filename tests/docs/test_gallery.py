"""The gallery of the README is every prompt of its folder, in order, and the model was taught all of their words."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

from newbie.prompt import read_file

ROOT = Path(__file__).resolve().parents[2]
PROMPTS = sorted((ROOT / "prompts" / "gallery").iterdir())


class Drawn(NamedTuple):
    images: list[Image.Image]


class Painter:
    """Paints one colour for a seed; remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def generate(self, request: Any) -> Drawn:
        self.asked.append((request.prompt, request.seed))
        return Drawn([Image.new("RGB", (8, 8), (40 * request.seed, 0, 0))])


def test_every_prompt_is_drawn_with_every_seed_and_none_is_left_out(tmp_path: Path) -> None:
    where = importlib.util.spec_from_file_location("gallery", ROOT / "docs" / "examples" / "gallery.py")
    assert where is not None and where.loader is not None
    script = importlib.util.module_from_spec(where)
    where.loader.exec_module(script)
    painter, output = Painter(), tmp_path / "sheet.png"
    script.main(["--seeds", "2", "--side", "8", "--output", str(output)], painter)
    texts = [path.read_text("utf-8") for path in PROMPTS]
    assert painter.asked == [(text, seed) for seed in (1, 2) for text in texts]
    with Image.open(output) as page:
        colours = {colour for _, colour in page.getcolors(1 << 16) or []}
        assert colours == {(255, 255, 255), (40, 0, 0), (80, 0, 0)}
        assert page.width == script.COLUMNS * 12 + 4
        assert page.height == -(-len(painter.asked) // script.COLUMNS) * 12 + 4


@pytest.mark.parametrize("path", PROMPTS, ids=lambda path: path.name)
def test_its_words_were_taught(path: Path) -> None:
    pytest.importorskip("skia")
    from newbie.prompt.learnt import unlearnt
    from newbie.train.learnt import learnt

    assert not unlearnt(read_file(path).scene, learnt())
