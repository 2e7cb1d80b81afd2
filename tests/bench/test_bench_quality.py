"""`bench quality` from end to end on small pictures: measured, kept, gone on with, judged, told; and its peers."""

from __future__ import annotations

import json
import sys
import types
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from newbie import Request
from newbie.accel import methods
from newbie.accel.calibration import Calibration, Preset
from newbie.accel.plan import Plan, Run
from newbie.bench import lpips, peer_cache, plots, quality, results, tables
from newbie.bench import main as bench
from newbie.bench.peer import peer_with_clip
from newbie.calibrate.trial import Case, Setting, Trials, drawer
from newbie.errors import UsageError
from newbie.pipeline.presets import grid_of
from newbie.train.probe import Scores
from newbie.train.report import suites

SETTINGS = [{"accel": "mask:steps=0+2-4"}, {"accel": "mask:steps=ng-fast"}]
FLAGS = ["quality", "--steps", "5", "--width", "64", "--height", "64", "--count", "2", "--timed", "1"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The folder, and how to go on with it: (flags) -> what was said."""
    folder = tmp_path_factory.mktemp("quality")
    (folder / "settings.json").write_text(json.dumps(SETTINGS))

    def go_on(*flags: str) -> list[str]:
        said: list[str] = []
        paths = ["--settings", str(folder / "settings.json"), "--output", str(folder / "out")]
        assert bench.main([*FLAGS, *paths, *flags], said.append) == 0
        return said

    return folder / "out", go_on, go_on()


def test_a_method_is_measured_beside_exact_pictures_and_fewer_steps(measured):
    folder, _, said = measured
    result = results.read(folder / "quality.json")
    values = result.values
    (method,) = values["trials"]
    assert method["told"] == "--accel mask:steps=0+2-4" and len(method["samples"]) == 2
    assert method["work"] == 4 and values["exact"]["work"] == 5
    (fewer,) = values["fewer"]
    assert fewer["setting"]["steps"] == 4 and fewer["work"] == 4
    assert "28 evaluations" in values["refused"]["--accel mask:steps=ng-fast"]
    assert (
        result.about["command"] == "python -m newbie bench quality --steps 5 --width 64 --height 64 --count 2 --timed 1"
    )
    assert any("no LPIPS" in line for line in said)
    (sheet,) = (folder / "sheets").iterdir()
    with Image.open(sheet) as page:
        assert page.width > 6 * 192
    table = (folder / "table.md").read_text()
    assert "| `--accel mask:steps=0+2-4` |" in table and "4, shift" in table and "mask ng-fast" in table
    (plot,) = folder.glob("*.svg")
    assert "<svg" in plot.read_text() and set(plots.PLOTS) >= {"quality"}


def test_a_run_that_is_begun_again_goes_on_and_draws_nothing_twice(measured, monkeypatch):
    folder, go_on, _ = measured
    before = json.loads((folder / "quality.json").read_text())["values"]
    monkeypatch.setattr("newbie.bench.quality.drawer", lambda *_: lambda request: pytest.fail("drawn again"))
    path = folder / "quality.json"
    whole = path.read_text()
    said = go_on()
    assert any("2 settings were measured before" in line for line in said)
    assert json.loads(path.read_text())["values"] == before
    monkeypatch.undo()
    values = json.loads(whole)
    values["values"]["trials"] = []  # as if it had been killed before
    path.write_text(json.dumps(values))
    go_on()
    after = json.loads(path.read_text())["values"]
    again, first = (each["trials"][0]["samples"] for each in (after, before))
    for row, other in zip(again, first, strict=True):  # beside the exact pictures as they were kept
        # bfloat16 decodes a pixel here and there otherwise; the second number is in decibels
        assert row[:3:2] == pytest.approx(other[:3:2], abs=1e-3)
        assert row[1] == pytest.approx(other[1], rel=1e-3)
    assert after["fewer"] == before["fewer"]


def test_another_measurement_does_not_go_on_there(measured):
    _, go_on, _ = measured
    with pytest.raises(UsageError, match=r"another measurement: .*request"):
        go_on("--cfg-scale", "2")


@pytest.mark.parametrize("flags", ["--count 0", "--timed 0", "--minutes 0", "--probe nowhere", "--settings nowhere"])
def test_what_cannot_be_measured_is_refused_before_weights_load(tmp_path, flags, monkeypatch):
    monkeypatch.setattr("newbie.bench.quality.Pipeline.open", lambda *a, **k: pytest.fail("weights were loaded"))
    with pytest.raises(Exception) as caught:
        bench.main(["quality", *flags.split(), "--output", str(tmp_path / "out")], print)
    assert getattr(caught.value, "hint", "")


# ---- obedience


class Seeing:
    """A probe that reads what a picture's first pixel says: 1, what was asked for; 0, something else."""

    ceiling = Scores({})

    def __init__(self, tasks):
        self.tasks = tasks

    def look(self, pictures):
        from newbie.train.probe import Seen
        from newbie.train.probe.labels import OF_CHARACTER, OF_PICTURE

        log_p = {name: torch.zeros(len(pictures), len(answers)) for name, answers in OF_PICTURE.items()}
        log_p |= {name: torch.zeros(len(pictures), 6, len(answers)) for name, answers in OF_CHARACTER.items()}
        for i, (picture, task) in enumerate(zip(pictures, self.tasks, strict=True)):
            right = bool(picture[0, 0, 0])
            for slot, figure in zip(task.asked.slots, task.asked.figures, strict=True):
                for name, value in figure.items():
                    at = OF_CHARACTER[name].index(value)
                    log_p[name][i, slot, at if right else at - 1] = 1
            for name, value in task.asked.picture.items():
                log_p[name][i, OF_PICTURE[name].index(value)] = 1
        return Seen(log_p, torch.zeros(len(pictures), 16, 4))


def test_attributes_that_are_lost_are_counted_picture_by_picture():
    tasks = suites.held_out(8, 0)

    def pictures(right):
        return [Image.new("RGB", (8, 8), (int(i < right), 0, 0)) for i in range(8)]

    judge = quality.Judge.of(Seeing(tasks), tasks, pictures(8))
    whole, less = judge.accuracy(pictures(8)), judge.accuracy(pictures(6))
    assert whole["attributes"] == whole["eyes"] == whole["binding"] == 1
    assert less["binding"] == 0.75
    known, lost, at_most = less["by_attribute"]["all"]
    assert (known, lost) == (0.75, 0.25) and 0.25 < at_most <= less["lost_at_most"]
    assert 0 <= whole["by_attribute"]["all"][2] < at_most


# ---- the words of the table


def trial(told: str, work: float, error: float, speed: float, **setting):
    samples = [[error, 30.0, 0.95, None]]
    return {"setting": setting, "told": told, "samples": samples, "seconds": [1.0], "exact_seconds": [speed],
            "requested": 20, "computed": 20, "work": work, "saved": None, "error": error, "speed": speed,
            "lpips": None, "accuracy": None}  # fmt: skip


def test_only_what_beats_fewer_steps_is_recommended():
    values = {
        "pictures": 1, "clock": "wall", "grid": {"steps": 20, "shift": 1.5}, "exact": {"work": 20.0}, "refused": {},
        "fewer": [trial("", 10, 0.2, 2.0, steps=10, shift=1.0)],
        "trials": [trial("good", 10, 0.1, 2.0, accel="delta"), trial("bad", 10, 0.19, 2.0, accel="fora")],
    }  # fmt: skip
    lines = tables.quality(values)
    (good,) = (line for line in lines if "`good`" in line)
    (bad,) = (line for line in lines if "`bad`" in line)
    assert good.endswith("| 10, shift 1 | 2.00 | 2.00 | recommended |")
    assert bad.endswith("| 10, shift 1 | 1.05 | 1.05 | not recommended |")
    assert "at least 1.1 times less error" in "\n".join(lines)


def test_the_sweep_can_be_read(mini):
    request = Request().resolved(mini.recommended)
    calibrated = Calibration("m", ratios={grid_of(request): (1.0,) * (request.steps or 0)})
    found = quality.sweep(request, calibrated)
    assert len(set(found)) == len(found)
    tried = {choice.name for each in found for choice in methods.parse(each.accel)}
    assert tried == set(methods.METHODS) - {"mask"}  # whose lists are for 28 evaluations
    assert Setting(accel="mask:steps=ng-fast") in quality.sweep(replace(request, steps=28), calibrated)
    assert sum(each.cfg_trunc is not None for each in found) == 3
    alone = quality.sweep(replace(request, cfg_scale=1.0), calibrated)
    assert not any(each.cfg_trunc or "delta" in each.accel for each in alone)


def test_no_two_settings_share_a_sheet():
    long = "dbcache:threshold=0.1,in_a_row=4,order=1,warmup=2,weighting=none,steps=0+1+2+3+4+5+6+7+8+9+10+11+12+13+14"
    names = {quality._file_name(Setting(accel=f"{long},delta:period={n}", steps=14, shift=1.5)) for n in (2, 3)}
    assert len(names) == 2 and max(map(len, names)) <= 120
    assert quality._file_name(Setting(accel="delta:period=2")) == "accel-delta-period=2"


def test_only_presets_for_the_measured_grid_are_swept_and_identify_it(mini):
    request = Request().resolved(mini.recommended)
    own = grid_of(request)
    other = replace(own, steps=28)
    mine, others = Preset("delta", own, 2.0, 0.1), Preset("freeze", other, 3.0, 0.2)
    known = Calibration("m", presets={"fast": {own: mine, other: others}, "draft": {other: others}})
    assert [each.plan for each in quality.sweep(request, known) if each.plan] == ["fast"]
    assert quality.presets(known, own, []) == {"fast": mine.told("fast")}
    named = [Setting(plan=f"draft@28,{own.shift}"), Setting(plan="draft"), Setting(plan="some.json"), Setting()]
    assert quality.presets(known, own, named).keys() == {"fast", f"draft@28,{own.shift}"}


def test_a_plan_file_is_known_by_what_is_in_it(tmp_path):
    file, run = tmp_path / "plan.json", Run(3, 96, 4, "euler", "official", 1.5, (True,) * 4)
    found = []
    for skipped in ("skip", "forecast"):
        actions = ("compute", "compute", skipped, "compute")
        file.write_text(json.dumps(Plan.of(run, step_actions=actions).to_json()))
        found.append(quality.plan_files([Setting(plan=str(file)), Setting(plan="fast"), Setting(accel="delta")]))
    assert [list(each) for each in found] == [[str(file)]] * 2
    assert found[0] != found[1]
    with pytest.raises(UsageError, match="cannot be read"):
        quality.plan_files([Setting(plan=str(tmp_path / "nowhere.json"))])


# ---- others


def test_lpips_is_left_out_where_its_weights_are_not_here(monkeypatch, tmp_path):
    monkeypatch.setattr("newbie.bench.lpips.find_spec", lambda name: object())
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    measure, why = lpips.distance()
    assert measure is None and "alexnet" in why


def test_lpips_is_given_numbers_from_minus_one_to_one(monkeypatch, tmp_path):
    class Network:
        """Stands in for the package: the largest difference, of pictures as it wants them."""

        def __init__(self, net, verbose):
            assert net == "alex"

        def eval(self):
            return self

        def __call__(self, a, b):
            assert a.shape == b.shape == (1, 3, 4, 8) and a.min() == -1 and b.max() == 1
            return (a - b).abs().amax().reshape(1, 1, 1, 1)

    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / lpips.WEIGHTS).touch()
    monkeypatch.setattr("newbie.bench.lpips.find_spec", lambda name: object())
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    monkeypatch.setitem(sys.modules, "lpips", types.SimpleNamespace(LPIPS=Network))
    measure, why = lpips.distance()
    assert not why and measure(Image.new("RGB", (8, 4)), Image.new("RGB", (8, 4), (255, 255, 255))) == 2


def test_diffusers_with_our_clip_branch_draws_our_picture(mini):
    request = Request(prompt="1girl, blue_hair", steps=3, width=64, height=64, seed=5)
    plain = peer_with_clip(mini.transformer)
    peer = peer_cache.Peer(mini, plain, plain)
    theirs = Trials(peer.draw(lambda: 0.0, cached=False), request, [Case(request.prompt, 5)]).exact(0)
    ours = drawer(mini)(request)
    assert (theirs.latents - ours.latents).norm() / ours.latents.norm() < 1e-4
    assert np.abs(np.asarray(theirs.image, int) - np.asarray(ours.image, int)).max() <= 2
    assert (theirs.requested, theirs.computed) == (3, 3)


def test_cache_dit_skips_what_it_says(mini):
    pytest.importorskip("cache_dit")
    request = Request(prompt="1girl, blue_hair", steps=8, width=64, height=64, seed=5)
    everything = peer_cache.made(mini, {"residual_diff_threshold": 1e9, "order": 0}, 8)
    nothing = peer_cache.made(mini, {"residual_diff_threshold": 0.0, "order": 0}, 8)
    draws = {peer: peer.draw(lambda: 0.0, cached=True) for peer in (everything, nothing)}
    for _ in range(2):  # a second picture begins anew
        assert [draws[peer](request).computed for peer in (everything, nothing)] == [3, 8]  # 2 of warm-up, 1 after 4
    exact = nothing.draw(lambda: 0.0, cached=False)(request)
    assert torch.equal(draws[nothing](replace(request)).latents, exact.latents)
