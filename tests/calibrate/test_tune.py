"""The search for the front, on settings whose front is known; and presets, from the search to the picture."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import pytest

from newbie import Request
from newbie.accel.calibration import Calibration, Grid
from newbie.calibrate import tune
from newbie.calibrate.trial import Sample, Setting, Trial
from newbie.calibrate.tune import GOALS, Goal, Search, front
from newbie.errors import UsageError, WeightsError

GRID = Grid("euler", "official", 1.5, 20)


def trial(setting: Setting, work: float, errors: list[float], *, speed: float = 0.0, ssim: float = 0.99) -> Trial:
    samples = tuple(Sample(error, 30.0, ssim) for error in errors)
    return Trial(setting, samples, (1.0,) if speed else (), (speed,) if speed else (), 20, 20, work)


class Truth:
    """Setting number n computes 4 ... 15 of 20 evaluations. The best of each have an error of (20 - work) / 100, the
    others up to nine times that; every prompt is a little easier or harder, for all alike."""

    def __init__(self, count: int) -> None:
        self.settings = [Setting(accel=f"number {n}") for n in range(count)]
        self.pictures = 0
        self.now = 0.0

    def __call__(self, setting: Setting, numbers: range, timed: int) -> Trial:
        n = self.settings.index(setting)
        work, worse = 4 + n % 12, 1 + n // 12
        self.pictures += len(numbers)
        self.now += 60
        errors = [(20 - work) / 100 * worse * (0.8 + 0.1 * (number % 5)) for number in numbers]
        return trial(setting, work, errors, speed=20 / work if timed else 0)


def test_halving_finds_the_known_front_with_few_pictures():
    truth = Truth(120)
    found = Search(truth, 16, 20.0, timed=4)(truth.settings)
    left = {truth.settings.index(each.setting) for each in found}
    assert left == set(range(12))
    assert all(len(each.samples) == 16 for each in found)
    assert truth.pictures < 120 * 16 / 3
    assert [truth.settings.index(each.setting) for each in front(found, 20.0)] == list(range(11, -1, -1))


def test_a_search_that_runs_out_of_time_says_so_and_gives_what_it_has():
    truth, said = Truth(117), []
    found = Search(truth, 16, 20.0, minutes=30, say=said.append, clock=lambda: truth.now)(truth.settings)
    assert found and all(each.speed > 0 for each in found)
    assert truth.now / 60 <= 30 + 3  # a trial is not broken off
    assert "time is up for this round" in " ".join(said)


def test_the_front_leaves_out_what_is_both_slower_and_farther():
    tried = [trial(Setting(accel=name), 1, [error], speed=speed) for name, error, speed in
             (("a", 0.1, 2.0), ("b", 0.2, 1.5), ("c", 0.3, 3.0), ("d", 0.05, 1.2), ("e", 0.3, 2.9))]  # fmt: skip
    assert [each.setting.accel for each in front(tried, 20.0)] == ["d", "a", "c"]


def test_a_long_front_is_thinned_and_keeps_its_ends():
    settings = [Setting(accel=f"number {n}") for n in range(40)]
    search = Search(
        lambda s, numbers, timed: trial(s, 4 + settings.index(s) / 4, [1 - settings.index(s) / 50]), 2, 20.0
    )
    kept = search._kept([search.run(setting, range(1), 0) for setting in settings])
    places = sorted(settings.index(each) for each in kept)
    assert len(places) == 13 and (places[0], places[-1]) == (0, 39)
    assert max(b - a for a, b in pairwise(places)) <= 4


def test_goals_choose_what_has_most_to_spare():
    near, fast, far = (
        trial(Setting(accel=name), 1, [error], speed=speed, ssim=ssim)
        for name, error, speed, ssim in (("near", 0.01, 1.9, 0.99), ("fast", 0.04, 2.4, 0.975), ("far", 0.2, 4.5, 0.8))
    )
    found = [near, fast, far]
    assert GOALS["balanced"].best(found) is fast  # a fifth to spare everywhere; `near` has 6 % of the speed
    assert GOALS["fast"].best(found) is None
    assert GOALS["draft"].best(found) is far
    assert Goal(speed=1.5).best(found) is near  # the least error
    assert Goal(error=0.05).best(found) is fast  # the greatest speed


def test_the_space_has_every_setting_once_and_only_what_can_be(mini):
    request = Request().resolved(mini.recommended)
    bare, known = Calibration("m"), Calibration("m", ratios={tune.grid_of(request): (1.0,) * (request.steps or 0)})
    walked = tune.space(request, bare)
    assert len(set(walked)) == len(walked) > 100
    assert not any("magcache" in each.accel or "teacache" in each.accel for each in walked)
    assert any("magcache" in each.accel for each in tune.space(request, known))
    assert {each.cfg_trunc for each in walked} == {None, "time:0.5", "time:0.75"}
    alone = tune.space(replace(request, cfg_scale=1.0), bare)
    assert not any("delta" in each.accel or each.cfg_trunc for each in alone)


# ---- presets


def written(folder, **chosen):
    tune.written(folder / "acceleration.json", "ab", GRID, chosen)
    return Calibration.read(folder, "model", "ab")


def test_a_preset_is_read_with_what_it_brings_along(tmp_path):
    own = trial(Setting(accel="delta", steps=9, shift=1.0), 1, [0.04, 0.06], speed=4.2, ssim=0.9)
    (tmp_path / "acceleration.json").write_text(
        json.dumps(
            {
                "format": "accel-calibration/1",
                "weights": "ab",
                "grids": [],
                "presets": {
                    "fast": {
                        "accel": "",
                        "grid": {"solver": "euler", "schedule": "official", "shift": 1.5, "steps": 20},
                        "speed": 3,
                        "error": 0.1,
                    }
                },
            }
        )
    )
    read = written(tmp_path, draft=own)
    assert set(read.presets) == {"draft"}  # what was measured before is no longer true
    preset = read.presets["draft"]
    assert (preset.grid, preset.runs_on) == (GRID, Grid("euler", "official", 1.0, 9))
    assert (preset.speed, preset.error, preset.ssim) == (4.2, 0.05, 0.9)
    assert read.own_fields() == {"draft": {"steps": 9, "shift": 1.0}}
    told = preset.told("draft")
    assert "--steps 9 --shift 1.0 delta" in told and "4.20x as fast as 20 exact steps" in told and "0.050" in told


@pytest.mark.parametrize("own", [{"cfg_scale": 2.0}, {"steps": 9.5}, {"steps": "9"}, {"cfg_trunc": 0.5}])
def test_a_preset_cannot_bring_anything_else(tmp_path, own):
    written(tmp_path, draft=trial(Setting(accel="delta"), 1, [0.1], speed=4.2))
    path = tmp_path / "acceleration.json"
    values = json.loads(path.read_text())
    values["presets"]["draft"]["request"] = own
    path.write_text(json.dumps(values))
    with pytest.raises(WeightsError, match="cannot bring"):
        Calibration.read(tmp_path, "model", "ab")


def test_what_a_preset_cannot_say_is_none():
    assert tune.is_a_preset(Setting(accel="delta", steps=9, cfg_trunc="time:0.9"))
    assert not tune.is_a_preset(Setting(plan="a.json")) and not tune.is_a_preset(Setting(sampler="heun"))


def test_a_preset_draws_with_its_own_steps_and_is_told_before(mini, tmp_path):
    tried = trial(Setting(accel="delta", steps=4, shift=1.0), 1, [0.1], speed=4.2)
    request = Request(prompt="1girl", width=64, height=64, seed=3, plan="draft")
    grid = tune.grid_of(request.resolved(mini.recommended))
    tune.written(tmp_path / "acceleration.json", "ab", grid, {"draft": tried})
    calibration = Calibration.read(tmp_path, "model", "ab")
    ready = replace(
        mini, calibration=calibration, recommended=replace(mini.recommended, presets=calibration.own_fields())
    )
    (told,) = ready.expected(request)
    result = ready.generate(request)
    assert told in result.notes and (result.request.steps, result.request.shift) == (4, 1.0)
    assert result.ran["evaluations"] == 4 and result.ran["caches"] == ["delta"]
    plainly = mini.generate(replace(request, plan="", accel="delta", steps=4, shift=1.0))
    assert plainly.images[0].tobytes() == result.images[0].tobytes()
    assert ready.generate(result.request).images[0].tobytes() == result.images[0].tobytes()  # as --like does
    with pytest.raises(UsageError, match="draws with steps 4, not 20"):
        ready.generate(replace(request, steps=20))
    with pytest.raises(UsageError, match="this picture has 4 steps of heun"):
        ready.generate(replace(request, sampler="heun"))
    assert ready.generate(replace(request, plan="")).request.steps == mini.recommended.steps


# ---- the command


def test_the_command_writes_presets_or_says_that_there_are_none(tmp_path):
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps([{"accel": "delta"}, {"steps": 3, "shift": 1.0}]))
    said: list[str] = []
    flags = ["--steps", "5", "--width", "64", "--height", "64", "--count", "1", "--timed", "1", "--clock", "cpu"]
    paths = {"--settings": settings, "--output": tmp_path / "acceleration.json", "--front": tmp_path / "front.json"}
    assert tune.main([*flags, *(str(each) for pair in paths.items() for each in pair)], said.append) == 0
    text = "\n".join(said)
    assert "draft (4x, error <= 0.25): no setting reaches it, so there is no such preset" in text
    assert "presets none" in text
    values = json.loads((tmp_path / "acceleration.json").read_text())
    assert values["presets"] == {} and values["weights"]
    tried = json.loads((tmp_path / "front.json").read_text())["tried"]
    assert {each["told"] for each in tried} == {"--accel delta", "--steps 3 --shift 1"}


@pytest.mark.parametrize(
    "flags", ["--target-speed banana", "--target-speed 1x", "--max-error -1", "--budget 0", "--count 0",
              "--settings no-such-file.json"],
)  # fmt: skip
def test_targets_that_make_no_sense_are_refused(flags, monkeypatch):
    monkeypatch.setattr("newbie.calibrate.tune.Pipeline.open", lambda *a, **k: pytest.skip("weights were loaded"))
    with pytest.raises(UsageError) as caught:
        tune.main(flags.split(), print)
    assert caught.value.hint
