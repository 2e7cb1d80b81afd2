"""What caches are calibrated with: measured beside the plain way without changing it, fitted, and written."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from newbie.accel.calibration import Calibration, Grid, Preset
from newbie.accel.watching import Seen, Watching
from newbie.calibrate import acceleration
from newbie.errors import UsageError, WeightsError
from newbie.pipeline.generation import Generation
from newbie.request import Request
from newbie.sampling import noise, solvers

GRID = Grid("euler", "official", 1.5, 4)


def test_watching_changes_nothing_and_sees_every_evaluation(mini):
    request = Request(prompt="1girl", steps=4, width=64, height=64, seed=5).resolved(mini.recommended)
    (seen,) = acceleration.watched(mini, ["1girl"], request)
    assert [each.evaluation for each in seen] == [0, 1, 2, 3]
    assert all(each.moved > 0 and each.changed > 0 and 0.5 < each.ratio < 2 for each in seen[1:])

    ends = []
    for watched in (False, True):
        with torch.no_grad():
            denoiser = Generation(mini, request).denoiser()
            if watched:
                denoiser = replace(denoiser, policies=Watching())
            start = noise.draw([5], (16, *denoiser.size))
            ends.append(solvers.euler(denoiser.velocity(1), start, denoiser.grid))
    assert torch.equal(*ends)


def test_a_polynomial_is_found_again():
    def truth(x):
        return 3 * x**4 - 2 * x**2 + x + 0.5

    pairs = [(x / 40, truth(x / 40)) for x in range(1, 40)]
    fit = acceleration.fitted_curve(pairs, pairs[::3])
    assert fit.r2 == pytest.approx(1.0)
    assert fit.spearman == pytest.approx(1.0)
    assert fit.curve.coefficients == pytest.approx((3, 0, -2, 1, 0.5), abs=1e-6)
    assert (fit.curve.low, fit.curve.high) == (1 / 40, 39 / 40)


def entry(ratio):
    pictures = [[Seen(i, 0.1 * i + 0.01 * n, 0.2 * i, ratio) for i in range(4)] for n in range(5)]
    return acceleration.measured(pictures)


def test_what_is_written_is_read_and_other_grids_and_presets_stay(tmp_path):
    path, other = tmp_path / "acceleration.json", Grid("euler", "official", 1.5, 9)
    preset = {"accel": "delta", "speed": 1.4, "error": 0.01}
    for grid in (GRID, other):
        acceleration.put(path, "ab", grid, entry(0.5))
        acceleration.put(path, "ab", grid, {"presets": {"balanced": preset}})
    acceleration.put(path, "ab", GRID, entry(0.9))
    read = Calibration.read(tmp_path, "model", "ab")
    assert read.ratios == {GRID: pytest.approx([0.9] * 4), other: pytest.approx([0.5] * 4)}
    assert read.presets == {"balanced": {grid: Preset("delta", grid, 1.4, 0.01) for grid in (GRID, other)}}
    acceleration.put(path, "cd", GRID, entry(0.9))
    assert Calibration.read(tmp_path, "model", "cd").presets == {}


def test_presets_go_with_the_curve_that_they_went_by(tmp_path):
    path, more = tmp_path / "acceleration.json", Grid(GRID.solver, GRID.schedule, GRID.shift, 2 * GRID.steps)
    plain = {"speed": 1.4, "error": 0.01}
    fewer = {"request": {"steps": GRID.steps}, **plain}  # of the other grid, but drawn on this one
    acceleration.put(path, "ab", GRID, entry(0.5))
    presets = {"balanced": {"accel": "delta", **plain}, "fast": {"accel": "teacache,delta", **plain}}
    acceleration.put(path, "ab", GRID, {"presets": presets})
    presets = {"fast": {"accel": "magcache", **plain}, "draft": {"accel": "magcache", **fewer}}
    acceleration.put(path, "ab", more, {"presets": presets})
    gone = acceleration.put(path, "ab", GRID, entry(0.9))
    assert gone == [f"fast@{GRID.steps},{GRID.shift:g}", f"draft@{more.steps},{more.shift:g}"]
    read = Calibration.read(tmp_path, "model", "ab")
    assert {name: set(grids) for name, grids in read.presets.items()} == {"balanced": {GRID}, "fast": {more}}
    assert read.ratios == {GRID: pytest.approx([0.9] * 4)}


def test_a_file_that_is_damaged_is_not_written_over(tmp_path):
    path = tmp_path / "acceleration.json"
    path.write_text("[]")
    with pytest.raises(WeightsError, match="is damaged"):
        acceleration.put(path, "ab", GRID, entry(0.9))
    assert path.read_text() == "[]"


def test_a_curve_that_orders_nothing_has_no_correlation():
    flat = [(x / 10, 0.5) for x in range(1, 11)]
    fit = acceleration.fitted_curve(flat, [(0.5, change / 10) for change in range(10)])
    assert fit.spearman == 0.0
    ranks = acceleration._ranks(torch.tensor([3.0, 1.0, 3.0, 2.0]))
    assert ranks.tolist() == [3.5, 1.0, 3.5, 2.0]


def test_what_was_not_held_out_is_not_said_to_be():
    pictures = [[Seen(i, 0.1 * i + 0.01 * n, 0.2 * i, 0.9) for i in range(4)] for n in range(5)]
    assert "on prompts held out" in acceleration.told(acceleration.measured(pictures))[0]
    assert "on the prompts that it was fitted to" in acceleration.told(acceleration.measured(pictures[:4]))[0]


@pytest.mark.parametrize("flags", [["--prompts", "one.txt"], ["--prompts", "none"], ["--steps", "0"], ["--count", "1"]])
def test_nonsense_is_refused_before_weights_load(flags, monkeypatch, tmp_path):
    (tmp_path / "one.txt").write_text("1girl")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("newbie.calibrate.acceleration.Pipeline.open", lambda *a, **k: pytest.fail("weights loaded"))
    with pytest.raises(UsageError) as caught:
        acceleration.main(flags, print)
    assert caught.value.hint


def test_no_more_prompts_than_asked_for_and_no_single_step(mini, monkeypatch, tmp_path):
    for number in range(5):
        (tmp_path / f"{number}.txt").write_text("1girl")
    drawn, found = [], entry(0.5)
    monkeypatch.setattr("newbie.calibrate.acceleration.Pipeline.open", lambda *a, **k: mini)
    monkeypatch.setattr("newbie.calibrate.acceleration.watched", lambda pipeline, texts, request: drawn.append(texts))
    monkeypatch.setattr("newbie.calibrate.acceleration.measured", lambda seen: found)
    out = ["--out", str(tmp_path / "out.json"), "--prompts", str(tmp_path)]
    assert acceleration.main([*out, "--count", "3", "--steps", "4"], lambda line: None) == 0
    assert [len(texts) for texts in drawn] == [3]
    with pytest.raises(UsageError, match="one step"):
        acceleration.main([*out, "--steps", "1"], print)
