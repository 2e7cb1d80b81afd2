"""The tutorial is true: its code runs, its example runs in miniature, its numbers are those that were measured."""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "docs" / "flash-attention.md", ROOT / "docs" / "flash-attention.zh.md"]
PICTURES = ROOT / "docs" / "images" / "flash-attention"
NUMBERS = ROOT / "benchmarks" / "results" / "flash-attention.json"


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text(page), re.DOTALL | re.MULTILINE)
    return [body for name, body in found if name == language]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch):
    """The example's module, imported from its folder as `python docs/examples/flash_attention.py` does it."""
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "examples"))
    import flash_attention

    yield flash_attention
    for name in ("flash_attention", "flash_attention_measure", "flash_attention_plots"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def numbers() -> dict[str, dict]:
    return {name: chapter["found"] for name, chapter in json.loads(NUMBERS.read_text(encoding="utf-8")).items()}


def test_the_code_on_the_page_runs_from_top_to_bottom():
    names: dict[str, object] = {}
    for block in blocks(PAGES[0], "python"):
        exec(block, names)


@pytest.mark.parametrize("language", ["python", "sh", ""])
def test_both_languages_show_the_same_code(language: str):
    assert blocks(PAGES[0], language) == blocks(PAGES[1], language) != []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_exist(page: Path):
    targets = [t for t in re.findall(r"\]\(([^)#]+)\)", text(page)) if "://" not in t]
    assert [t for t in targets if not (page.parent / t).exists()] == []
    assert sum(t.endswith(".png") for t in targets) == len(list(PICTURES.glob("*.png")))


def test_pictures_are_small():
    assert all(path.stat().st_size < 150_000 for path in PICTURES.glob("*.png"))


def test_the_example_runs_in_miniature_and_draws_every_picture(example, tmp_path: Path, capsys):
    assert example.main(["--effort", "0.02", "--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.glob("*.png")} == {path.name for path in PICTURES.glob("*.png")}
    found = json.loads((tmp_path / "numbers.json").read_text(encoding="utf-8"))
    assert set(found) == set(example.CHAPTERS)
    assert "tiled" in capsys.readouterr().out


def test_pictures_can_be_drawn_again_without_measuring(example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(example, "CHAPTERS", {})
    assert example.main(["--draw", "--numbers", str(NUMBERS), "--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.glob("*.png")} == {path.name for path in PICTURES.glob("*.png")}


def test_an_unknown_chapter_is_refused_by_name(example, tmp_path: Path, capsys):
    with pytest.raises(SystemExit):
        example.main(["tilse", "--out", str(tmp_path)])
    assert "no such chapter: tilse" in capsys.readouterr().err


def test_the_mean_in_pieces_is_the_softmax(example):
    scores, values = [2.0, 3.0, 1.0, 5.0, -4.0], [10.0, 20.0, 30.0, 40.0, 7.0]
    exact = torch.tensor(scores, dtype=torch.float64).softmax(0) @ torch.tensor(values, dtype=torch.float64)
    for tile in range(1, 6):
        last = example.worked(scores, values, tile)[-1]
        assert math.isclose(last.acc / last.l, exact.item(), rel_tol=1e-12)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_worked_example_on_the_page_has_the_right_numbers(example, page: Path):
    (m1, l1, acc1), (m2, l2, acc2) = example.worked([2.0, 3.0, 1.0, 5.0], [10.0, 20.0, 30.0, 40.0], 2)
    assert (m1, m2) == (3, 5)
    for number in (l1, acc1, l2, acc2, acc2 / l2):
        assert f"{number:.4f}" in text(page)


@pytest.mark.parametrize("task", ["reverse", "sort"])
def test_measured_loss_curves_of_the_three_kernels_are_one(numbers, task: str):
    losses = numbers["train"][task]["loss"]
    for name in ("tiled", "sdpa"):
        assert max(abs(a - b) for a, b in zip(losses[name], losses["reference"], strict=True)) < 1e-4
    assert losses["reference"][-1] < losses["reference"][0] / 10


def test_training_is_the_same_with_every_kernel(example):
    runs = [example.train(example.ascending, kernel, heads=4, steps=4) for kernel in example.KERNELS]
    for run in runs[1:]:
        torch.testing.assert_close(torch.tensor(run.loss), torch.tensor(runs[0].loss), atol=1e-5, rtol=0)


def test_measured_memory_grows_with_the_length_and_with_its_square(numbers):
    found = numbers["memory"]
    longer = found["lengths"][-1] / found["lengths"][-2]
    for which in ("forward", "backward"):
        naive, tiled = (found[which][name][-1] / found[which][name][-2] for name in ("reference", "tiled"))
        assert naive > 0.9 * longer**2 and tiled < 1.1 * longer


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_measured_numbers_on_the_page_are_those_in_the_results(numbers, page: Path):
    tiles, lines = numbers["tiles"]["ms"], numbers["alignment"]["ms"]
    heads, clip = numbers["train"]["sort"], numbers["clip"]
    said = [f"{tiles[name]:.0f}" for name in ("reference", "128x128", "256x512", "sdpa", "2048x2048")]
    said += [f"{numbers['memory'][which]['reference'][-1] / 2**20:.0f}" for which in ("forward", "backward")]
    said += [f"{numbers['memory'][which]['tiled'][-1] / 2**20:.1f}" for which in ("forward", "backward")]
    said += [f"{lines[f'sdpa dim {n}']:.1f}" for n in (63, 64)]
    said += [f"{100 * (lines['tiled length 1025'] / lines['tiled length 1024'] - 1):.0f} %"]
    said += [f"{heads['one_head'][-1]:.3f}", f"{heads['loss']['sdpa'][-1]:.3f}"]
    said += [f"{heads['seconds'][name]:.1f}" for name in ("reference", "tiled", "sdpa")]
    said += [f"{max(clip['clipped to 1']['norm']):.1f}", f"{clip['clipped to 1']['loss'][-1]:.2f}"]
    said += [str(len(clip["as it comes"]["loss"]) + 1), f"{numbers['claim']['ceiling']:.2f}"]
    assert [number for number in said if not re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", text(page))] == []
    assert min((name for name in tiles if "x" in name), key=lambda name: tiles[name]) == "256x512"
