"""What can be typed after --accel, what is refused, and where decisions fall."""

from __future__ import annotations

import json
import math

import pytest
import torch

from newbie.accel import methods
from newbie.accel.calibration import FILE, Calibration
from newbie.accel.compose import asked
from newbie.accel.decide import Accumulate, Change, Curve, Every, intervals, weighted
from newbie.cli.args import parse
from newbie.errors import UsageError, WeightsError
from newbie.sampling import times
from newbie.step import Memory, Step

from .accelerating import request
from .conftest import small_model


def test_several_methods_are_separated_by_commas_and_their_parameters_too():
    fora, delta = methods.parse("fora:interval=2, parts=attn ,delta")
    assert (fora.name, fora.whole("interval"), fora.word("parts"), fora.whole("order")) == ("fora", 2, "attn", 0)
    assert (delta.name, delta.whole("period")) == ("delta", 2)
    assert methods.parse(f"{fora},{delta}") == (fora, delta)
    assert methods.parse("") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fbcach", "did you mean fbcache"),
        ("fbcache:treshold=0.1", "did you mean threshold"),
        ("fbcache:threshold=nan", "threshold=nan is not a number"),
        ("fbcache:threshold=-0.1", "out of range"),
        ("fbcache:threshold=inf", "not a number"),
        ("fbcache:threshold=much", "not a number"),
        ("fora:interval=0", "out of range"),
        ("fora:interval=2.5", "not a whole number"),
        ("fora:parts=heads", "unknown fora:parts"),
        ("fora:interval", "sets nothing"),
        ("threshold=0.1", "does not begin with a name"),
        ("fora,fora", "named twice"),
        ("fora:interval=2,interval=3", "set twice"),
        ("fora,fbcache", "do not go together"),
        ("teacache,magcache", "do not go together"),
        ("freeze,fora", "do not go together"),
        ("freeze,prune", "do not go together"),
        ("freeze:at=1.5", "out of range"),
        ("dbcache:scope=both", "unknown dbcache:scope"),
    ],
)
def test_nonsense_is_refused_with_a_hint(text, said):
    with pytest.raises(UsageError) as caught:
        asked(text, "")
    assert said in str(caught.value)
    assert caught.value.hint
    with pytest.raises(UsageError, match="--accel"):
        parse(["--prompt", "1girl", "--accel", text])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--accel", "fora", "--cuda-graphs"], "fora and cuda graphs"),
        (["--accel", "fbcache", "--heatmaps"], "fbcache and heat-maps"),
        (["--accel", "delta", "--plan", "exact"], "delta and exact"),
        (["--accel", "freeze", "--plan", "exact"], "freeze and exact"),
        (["--accel", "freeze", "--heatmaps"], "freeze and heat-maps"),
        (["--plan", "/nowhere/plan.json"], "cannot be read"),
    ],
)
def test_wishes_that_contradict_each_other_are_refused_before_loading(flags, said):
    with pytest.raises(UsageError, match=said):
        parse(["--prompt", "1girl", *flags])


def test_the_flag_may_be_given_several_times():
    assert parse(["--accel", "fora:interval=2", "--accel", "delta"]).request["accel"] == "fora:interval=2,delta"
    assert parse(["--accel", "none"]).request["accel"] == ""
    parse(["--accel", "delta", "--cuda-graphs"])


@pytest.mark.parametrize("name", ["slow", "medium", "fast", "ultra"])
def test_our_masks_compute_as_often_as_the_published_ones(name):
    published, ours = methods.places(name, 28), methods.places(f"ng-{name}", 28)
    assert sum(published) == sum(ours) == {"slow": 18, "medium": 15, "fast": 11, "ultra": 8}[name]
    assert all(mask[0] and mask[-1] for mask in (published, ours))


def test_masks_are_refused_where_they_do_not_fit():
    assert methods.places("0+2-4", 5) == (True, False, True, True, True)
    for text, count in (
        ("ng-fast", 20),
        ("0+28", 28),
        ("0-999999999", 28),
        ("0+x", 28),
        ("5-2", 28),
        ("", 28),
        ("-3", 28),
    ):
        with pytest.raises(UsageError):
            methods.places(text, count)


def test_a_method_that_needs_a_calibration_says_how_to_make_one():
    for accel, said in (("magcache", "MagCache ratios"), ("teacache", "TeaCache curve")):
        with pytest.raises(UsageError, match=said) as caught:
            request(small_model(), accel)
        assert "calibrate" in caught.value.hint
    with pytest.raises(UsageError, match="no setting was measured that earns it"):
        request(small_model(), plan="balanced")
    assert request(small_model(), plan="exact").policies is None


GRID = {"solver": "euler", "schedule": "official", "shift": 6.0, "steps": 12}
CURVE = {"coefficients": [2.0, 0.0], "low": 0.1, "high": 0.5}
PRESET = {"accel": "fbcache:threshold=0.2,delta", "speed": 1.5, "error": 0.01}


def calibration(folder, **changes):
    values = {
        "format": "accel-calibration/1",
        "weights": "ab",
        "grids": [GRID | {"curve": CURVE, "ratios": [1.0] * 12, "presets": {"balanced": PRESET}}],
    }
    (folder / FILE).write_text(json.dumps(values | changes))


def test_ratios_for_fewer_evaluations_than_there_are_are_refused(tmp_path):
    calibration(tmp_path, grids=[GRID | {"ratios": [1.0] * 11}])
    read = Calibration.read(tmp_path, "small", "ab")
    with pytest.raises(UsageError, match="11 MagCache ratios for 12 evaluations"):
        request(small_model(), "magcache", calibration=read)


def test_a_calibration_is_read_from_beside_the_model(tmp_path):
    assert Calibration.read(tmp_path, "small") == Calibration("small")
    calibration(tmp_path)
    read = Calibration.read(tmp_path, "small", "ab")
    model = small_model()
    assert request(model, "teacache", calibration=read).policies.middle.decide.curve(0.3) == pytest.approx(0.6)
    balanced = request(model, plan="balanced", calibration=read)
    assert balanced.policies.middle.decide.threshold == 0.2
    assert balanced.guidance.delta.period == 2
    with pytest.raises(UsageError, match="no preset balanced for 11 steps") as caught:
        request(model, plan="balanced", calibration=read, steps=11)
    assert "one for 12 steps of euler" in caught.value.hint


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "other"},
        {"extra": 1},
        {"presets": {}},  # of no grid
        {"grids": [{"solver": "euler"}]},
        {"grids": [GRID, GRID]},
        {"grids": [GRID | {"steps": 0}]},
        {"grids": [GRID | {"shift": math.nan}]},
        {"grids": [GRID | {"ratio": [1.0]}]},
        {"grids": [GRID | {"curve": CURVE | {"hihg": 0.5}}]},
        {"grids": [GRID | {"curve": CURVE | {"coefficients": []}}]},
        {"grids": [GRID | {"curve": CURVE | {"high": 0.05}}]},
        {"grids": [GRID | {"presets": {"balanced": PRESET | {"accel": "nothing"}}}]},
        {"grids": [GRID | {"presets": {"balanced": PRESET | {"speed": math.inf}}}]},
        {"grids": [GRID | {"presets": {"balanced": PRESET | {"grid": GRID}}}]},
        {"grids": [GRID | {"presets": {"best": PRESET}}]},
    ],
)
def test_a_damaged_calibration_is_refused(tmp_path, changes):
    calibration(tmp_path, **changes)
    with pytest.raises(WeightsError, match=r"acceleration\.json"):
        Calibration.read(tmp_path, "small", "ab")


def test_a_calibration_of_other_weights_stops_nothing_but_what_needs_it(tmp_path):
    calibration(tmp_path, weights="cd")
    read = Calibration.read(tmp_path, "small", "ab")
    assert "acceleration.json of small was measured on other weights" in read.void
    model = small_model()
    assert request(model, "fbcache", calibration=read) and request(model, plan="exact", calibration=read)
    for needing in ({"accel": "teacache"}, {"accel": "magcache"}, {"plan": "balanced"}):
        with pytest.raises(UsageError, match="measured on other weights") as refused:
            request(model, **needing, calibration=read)
        assert "python -m newbie calibrate" in str(refused.value.hint)


def test_published_polynomials_are_never_negative_and_go_on_straight():
    curve = Curve(methods.CURVES["lumina2-v2"], 0.0, 0.2)
    assert Curve(methods.CURVES["lumina2-v2"], raw=True)(0.0) < 0
    assert curve(0.0) == 0.0
    assert all(curve(x / 100) >= 0 for x in range(60))
    assert curve(0.4) == pytest.approx(2 * curve(0.2))


def test_the_end_of_a_shifted_grid_weighs_most():
    grid = times.schedule("official", 28, shift=6.0).tolist()
    parts = intervals(grid, 28)
    assert sum(parts) == pytest.approx(1.0)
    plain, dt, floor = (weighted(parts, kind) for kind in ("none", "dt", "dt_floor"))
    assert set(plain) == {1.0}
    assert sum(dt) / 28 == pytest.approx(1.0)
    assert min(floor) == 0.5
    assert dt[-1] == floor[-1] == pytest.approx(28 * parts[-1])
    assert sum(intervals(grid, 56)) == pytest.approx(1.0)
    even = weighted(intervals(times.schedule("official", 28, shift=1.0).tolist(), 28), "dt_floor")
    assert all(math.isclose(weight, 1.0) for weight in even)


def decisions(decide, sizes):
    memory = Memory()
    return [
        decide(Step(i, len(sizes) + 1, 0.0, memory), "x", lambda i=i: torch.full((1, 2, 2), float(sizes[i])))
        for i in range(len(sizes))
    ]


def test_change_compares_with_what_was_computed_and_accumulate_with_the_evaluation_before():
    sizes = [1.0, 1.05, 1.1, 1.15, 1.2, 1.2]
    assert decisions(Change(threshold=0.12), sizes) == [True, False, False, True, False, False]
    # moves of 0.05, 0.048, 0.045, 0.043, 0
    assert decisions(Accumulate(threshold=0.12), sizes) == [True, False, False, True, False, False]
    assert decisions(Accumulate(threshold=0.08), sizes) == [True, False, True, False, True, False]
    assert decisions(Change(threshold=0.12, weights=(1.0, 3.0, 1, 1, 1, 1)), sizes)[1] is True
    assert decisions(Change(threshold=0.12, total=0.06), sizes) == [True, False, True, False, True, False]
    assert decisions(Change(threshold=9.0, also=frozenset({2})), sizes) == [True, False, True, False, False, False]
    assert decisions(Every(interval=9, at_most=2), sizes) == [True, False, False, True, True, True]


def test_the_largest_move_of_a_batch_counts():
    memory, rows = Memory(), [torch.ones(2, 3, 3), torch.ones(2, 3, 3)]
    rows[1][1] = 2.0
    decide = Change(threshold=0.5)
    assert [decide(Step(i, 9, 0.0, memory), "x", lambda i=i: rows[i]) for i in range(2)] == [True, True]
