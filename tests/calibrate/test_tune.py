"""The search for the front, on settings whose front is known; and presets, from the search to the picture."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest

from newbie import Pipeline, Request
from newbie.accel.calibration import Calibration, Grid, Named
from newbie.accel.compose import asked
from newbie.accel.plan import Plan, Run
from newbie.calibrate import tune
from newbie.calibrate.trial import Sample, Setting, Trial
from newbie.calibrate.tune import GOALS, Goal, Search, front
from newbie.errors import UsageError, WeightsError
from newbie.pipeline.presets import fields_of, grid_of

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
    bare, known = Calibration("m"), Calibration("m", ratios={grid_of(request): (1.0,) * (request.steps or 0)})
    walked = tune.space(request, bare)
    assert len(set(walked)) == len(walked) > 100
    assert not any("magcache" in each.accel or "teacache" in each.accel for each in walked)
    assert any("magcache" in each.accel for each in tune.space(request, known))
    assert {each.cfg_trunc for each in walked} == {None, "time:0.5", "time:0.75"}
    alone = tune.space(replace(request, cfg_scale=1.0), bare)
    assert not any("delta" in each.accel or each.cfg_trunc for each in alone)


# ---- presets


MORE = replace(GRID, steps=28)


def written(folder, grid=GRID, **chosen):
    tune.written(folder / "acceleration.json", "ab", grid, chosen)
    return Calibration.read(folder, "model", "ab")


def test_a_preset_is_read_with_what_it_brings_along(tmp_path):
    written(tmp_path, fast=trial(Setting(accel="delta"), 1, [0.1], speed=3))
    own = trial(Setting(accel="delta", steps=9, shift=1.0), 1, [0.04, 0.06], speed=4.2, ssim=0.9)
    read = written(tmp_path, draft=own)
    assert set(read.presets) == {"draft"}  # what was measured before is no longer true
    preset = read.preset("draft", GRID)
    assert (preset.grid, preset.runs_on) == (GRID, Grid("euler", "official", 1.0, 9))
    assert (preset.speed, preset.error, preset.ssim) == (4.2, 0.05, 0.9)
    assert preset.own == {"steps": 9, "shift": 1.0}
    told = preset.told("draft")
    assert "--steps 9 --shift 1.0 delta" in told and "4.20x as fast as 20 exact steps" in told and "0.050" in told


def test_presets_for_several_grids_stay_beside_each_other(tmp_path):
    for grid, accel, speed in ((GRID, "delta", 2.0), (MORE, "delta:period=3", 3.0), (GRID, "freeze", 2.5)):
        written(tmp_path, grid, balanced=trial(Setting(accel=accel), 1, [0.01], speed=speed))
    read = written(tmp_path, MORE, draft=trial(Setting(accel="prune"), 1, [0.1], speed=5))
    assert read.preset("balanced", GRID).accel == "freeze"  # the later of two for one grid
    assert read.preset("draft", MORE).accel == "prune"
    with pytest.raises(UsageError, match="no preset balanced for 28 steps") as caught:
        read.preset("balanced", MORE)
    assert "one for 20 steps of euler (official, shift 1.5)" in caught.value.hint
    both = written(tmp_path, GRID, draft=trial(Setting(accel="delta"), 1, [0.1], speed=5))
    with pytest.raises(UsageError, match="no preset draft for 10 steps") as caught:
        both.preset("draft", replace(GRID, steps=10))
    assert "20 steps" in caught.value.hint and "28 steps" in caught.value.hint


@pytest.mark.parametrize(
    ("plan", "read"),
    [("draft", ("draft", None, None)), ("fast@28", ("fast", 28, None)), ("draft@28,1.5", ("draft", 28, 1.5)),
     ("exact", None), ("", None), ("draft.json", None), ("draft@0", None), ("draft@28,", None), ("best", None)],
)  # fmt: skip
def test_a_preset_has_a_long_name_too(plan, read):
    assert Named.read(plan) == read


@pytest.mark.parametrize(
    "own", [{"cfg_scale": 2.0}, {"steps": 9.5}, {"sampler": 2}, {"steps": "9"}, {"steps": True}, {"cfg_trunc": 0.5}]
)
def test_a_preset_cannot_bring_anything_else(tmp_path, own):
    written(tmp_path, draft=trial(Setting(accel="delta"), 1, [0.1], speed=4.2))
    path = tmp_path / "acceleration.json"
    values = json.loads(path.read_text())
    values["grids"][0]["presets"]["draft"]["request"] = own
    path.write_text(json.dumps(values))
    with pytest.raises(WeightsError, match="cannot bring"):
        Calibration.read(tmp_path, "model", "ab")


def test_what_a_preset_cannot_say_is_none():
    assert tune.is_a_preset(Setting(accel="delta", steps=9, cfg_trunc="time:0.9"))
    assert tune.is_a_preset(Setting(sampler="heun")) and not tune.is_a_preset(Setting(plan="a.json"))


def with_presets(pipeline, folder):
    """The pipeline as it would be opened beside this folder's file."""
    calibration = Calibration.read(folder, "model", "ab")
    preset = partial(fields_of, calibration, pipeline.recommended)
    return replace(pipeline, calibration=calibration, recommended=replace(pipeline.recommended, preset=preset))


def test_a_preset_draws_with_its_own_steps_and_is_told_before(mini, tmp_path):
    tried = trial(Setting(accel="delta", steps=4, shift=1.0), 1, [0.1], speed=4.2)
    request = Request(prompt="1girl", width=64, height=64, seed=3, plan="draft")
    grid = grid_of(Request().resolved(mini.recommended))
    written(tmp_path, grid, draft=tried)
    ready = with_presets(mini, tmp_path)
    (told,) = ready.expected(request)
    result = ready.generate(request)
    assert told in result.notes and (result.request.steps, result.request.shift) == (4, 1.0)
    assert result.ran["evaluations"] == 4 and result.ran["caches"] == ["delta"]
    plainly = mini.generate(replace(request, plan="", accel="delta", steps=4, shift=1.0))
    assert plainly.images[0].tobytes() == result.images[0].tobytes()
    assert ready.generate(result.request).images[0].tobytes() == result.images[0].tobytes()  # as --like does
    assert ready.expected(result.request) == [told]
    worn = replace(ready, adapters=(None,))  # whatever it is
    assert len(worn.expected(request)) == 2 and "without adapters" in worn.expected(request)[1]
    assert worn.expected(replace(request, plan="", accel="delta")) == []
    assert "without adapters" in worn.expected(replace(request, plan="", accel="magcache"))[0]
    with pytest.raises(UsageError, match="draws with steps 4, not 20"):
        ready.generate(replace(result.request, steps=20))
    with pytest.raises(UsageError, match="no preset draft for 20 steps of heun"):
        ready.generate(replace(request, sampler="heun"))
    assert ready.generate(replace(request, plan="")).request.steps == mini.recommended.steps


def test_a_preset_with_a_sampler_of_its_own_takes_its_schedule_too_and_is_found_again(mini, tmp_path):
    request = Request(prompt="1girl", width=64, height=64, seed=3, plan="fast")
    grid = grid_of(Request().resolved(mini.recommended))
    written(tmp_path, grid, fast=trial(Setting(steps=3, sampler="dpmpp_2m"), 1, [0.1], speed=4))
    ready = with_presets(mini, tmp_path)
    assert ready.calibration.preset("fast", grid).runs_on == Grid("dpmpp_2m", "dpm", grid.shift, 3)
    assert "--sampler dpmpp_2m --schedule dpm" in ready.expected(request)[0]
    result = ready.generate(request)
    assert (result.request.sampler, result.ran["evaluations"]) == ("dpmpp_2m", 3)
    plainly = mini.generate(replace(request, plan="", steps=3, sampler="dpmpp_2m", schedule="auto"))
    assert plainly.images[0].tobytes() == result.images[0].tobytes()
    assert ready.generate(result.request).images[0].tobytes() == result.images[0].tobytes()
    assert ready.expected(result.request) == ready.expected(request)
    with pytest.raises(UsageError, match="no preset fast for 20 steps of heun"):
        ready.generate(replace(request, sampler="heun"))


def test_the_preset_for_the_steps_that_are_asked_for_is_taken_and_stays(mini, tmp_path):
    """One for more steps may draw with as many as another one is for: a request that is filled in still knows which."""
    own = grid_of(Request().resolved(mini.recommended))
    more = replace(own, steps=own.steps + 8)
    written(tmp_path, own, fast=trial(Setting(accel="delta"), 1, [0.1], speed=3))
    written(tmp_path, more, fast=trial(Setting(accel="freeze", steps=own.steps), 1, [0.1], speed=3))
    recommended = with_presets(mini, tmp_path).recommended
    asked = {"fast": {}, f"fast@{more.steps},{more.shift}": {"steps": more.steps}}
    for plan, typed in asked.items():
        first = Request(plan="fast", seed=1, **typed).resolved(recommended)
        assert (first.plan, first.steps, first.shift) == (plan, own.steps, own.shift)
        assert first.resolved(recommended) == first
        assert Request(plan=plan, seed=1).resolved(recommended) == first
    with pytest.raises(UsageError, match="no preset fast for 5 steps"):
        Request(plan="fast", steps=5).resolved(recommended)


def test_who_names_no_steps_gets_the_preset_that_there_is_for_the_nearest(mini, tmp_path):
    own = grid_of(Request().resolved(mini.recommended))
    for more, steps in ((8, 5), (20, 6)):
        written(tmp_path, replace(own, steps=own.steps + more), draft=trial(Setting(steps=steps), 1, [0.1], speed=4))
    recommended = with_presets(mini, tmp_path).recommended
    found = Request(plan="draft").resolved(recommended)
    assert (found.plan, found.steps) == (f"draft@{own.steps + 8},{own.shift}", 5)
    assert found.resolved(recommended) == found
    for typed in ({"steps": own.steps}, {"shift": own.shift + 1}, {"plan": f"draft@{own.steps}"}):
        with pytest.raises(UsageError, match="no preset draft for"):
            Request(**{"plan": "draft", **typed}).resolved(recommended)


def test_the_end_of_guidance_that_a_preset_brings_is_its_own(mini, tmp_path):
    grid = grid_of(Request().resolved(mini.recommended))
    written(tmp_path, grid, fast=trial(Setting(cfg_trunc="time:0.5"), 1, [0.1], speed=3))
    recommended = with_presets(mini, tmp_path).recommended
    assert Request(plan="fast").resolved(recommended).cfg_trunc == "time:0.5"
    with pytest.raises(UsageError, match=r"draws with cfg_trunc time:0\.5, not time:0\.9") as caught:
        Request(plan="fast", cfg_trunc="time:0.9").resolved(recommended)
    assert "--cfg-trunc" in caught.value.hint


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"plan": "fast", "steps": 7}, "has no preset fast"), ({"accel": "magcache", "steps": 7}, "no MagCache ratios"),
     ({"accel": "mask:steps=0+6", "steps": 7}, ""), ({"accel": "deepcache:front=9"}, "front 9 and back 0"),
     ({"plan": "fora.json"}, "is for steps 28")],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_weights_load(asked, said, monkeypatch, tmp_path):
    def opened(*args, **options):
        raise RuntimeError("weights load")

    run = Run(7, 192, 28, "euler", "official", 1.5, (True,) * 28)
    (tmp_path / "fora.json").write_text(json.dumps(Plan.of(run).to_json()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("newbie.pipeline.pipeline.opened", opened)
    with pytest.raises(UsageError if said else RuntimeError, match=said or "weights load"):
        Pipeline.open(drawing=Request(**asked))


def test_a_preset_is_not_mixed_with_methods():
    with pytest.raises(UsageError, match="measured of it alone"):
        asked("delta", "balanced")


# ---- the command


def test_the_command_writes_presets_or_says_that_there_are_none(tmp_path):
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps([{"accel": "mask:steps=ng-fast"}, {"accel": "delta"}, {"steps": 3, "shift": 1.0}]))
    said: list[str] = []
    flags = ["--steps", "5", "--width", "64", "--height", "64", "--count", "1", "--timed", "1", "--clock", "cpu"]
    paths = {"--settings": settings, "--output": tmp_path / "acceleration.json", "--front": tmp_path / "front.json"}
    assert tune.main([*flags, *(str(each) for pair in paths.items() for each in pair)], said.append) == 0
    text = "\n".join(said)
    assert "left out, --accel mask:steps=ng-fast: the mask ng-fast is for 28 evaluations" in text
    assert "2 settings beside 5 steps" in text
    assert "draft (4x, error <= 0.25): no setting reaches it, so there is no such preset" in text
    assert "presets for 5 steps of euler (official, shift 1.5): none" in text
    values = json.loads((tmp_path / "acceleration.json").read_text())
    (grid,) = values["grids"]
    assert (grid["steps"], grid["presets"]) == (5, {}) and values["weights"]
    tried = json.loads((tmp_path / "front.json").read_text())["tried"]
    assert {each["told"] for each in tried} == {"--accel delta", "--steps 3 --shift 1"}


@pytest.mark.parametrize(
    "flags", ["--target-speed banana", "--target-speed 1x", "--max-error -1", "--budget 0", "--count 0",
              "--settings no-such-file.json", "--steps 0", "--prompts no-such-folder",
              "--dry-run --output presets.json", "--target-speed 2x --output presets.json"],
)  # fmt: skip
def test_targets_that_make_no_sense_are_refused(flags, monkeypatch):
    monkeypatch.setattr("newbie.calibrate.tune.Pipeline.open", lambda *a, **k: pytest.fail("weights were loaded"))
    with pytest.raises(UsageError) as caught:
        tune.main(flags.split(), print)
    assert caught.value.hint
