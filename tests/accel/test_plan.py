"""Plans: read back as they were written, refused wherever they do not fit, and carried out to the letter."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from newbie.accel import methods
from newbie.accel.calibration import Calibration, Grid
from newbie.accel.compose import Facts, asked, compiled
from newbie.accel.decide import intervals
from newbie.accel.plan import Plan, Run
from newbie.errors import UsageError
from newbie.request import Request
from newbie.sampling import times

from .accelerating import drawn, request, solved
from .conftest import small_model

RUN = Run(layers=3, width=96, steps=12, solver="euler", schedule="official", shift=6.0, paired=(True,) * 12)
RATIOS = Calibration(ratios={Grid("euler", "official", 6.0, 12): (1.0, *[0.98] * 11)})


def facts(**changes):
    run = replace(RUN, **changes)
    grid = times.schedule("official", run.steps, shift=6.0).tolist()
    return Facts(run, tuple(intervals(grid, len(run.paired))), calibration=RATIOS)


def written(path, **changes):
    """A plan file of FORA's, with fields changed; a field that is `...` is left out."""
    (choice,) = methods.parse("fora:interval=2,warmup=1,cooldown=1")
    values = compiled(choice, facts()).to_json() | changes
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not ...}))
    return path


@pytest.fixture
def file(tmp_path):
    return tmp_path / "plan.json"


@pytest.mark.parametrize(
    "text", ["fora:interval=3,order=1", "deepcache:interval=2,front=1,back=1", "mask:steps=0+4-6+11", "magcache"]
)
def test_a_method_known_before_is_a_plan_that_does_the_same(text, file):
    model, (choice,) = small_model(), methods.parse(text)
    plan = compiled(choice, facts())
    assert not plan.empty
    file.write_text(json.dumps(plan.to_json()))
    assert Plan.read(file) == plan
    by_method, first = solved(request(model, text, calibration=RATIOS))
    by_plan, second = solved(request(model, plan=str(file)))
    assert by_method.equal(by_plan)
    assert first.book.layers == second.book.layers


def test_a_plan_that_computes_everything_is_no_policy(file):
    model = small_model()
    file.write_text(json.dumps(Plan.of(RUN).to_json()))
    accelerated = request(model, plan=str(file))
    assert accelerated.policies is None
    assert drawn(accelerated).equal(drawn(request(model)))


def test_what_it_does_is_what_it_says(file):
    rows = {"attn": ["compute", "reuse"] * 5 + ["compute", "compute"]}
    actions = ["compute"] * 12
    written(file, layer_actions={"1": rows}, step_actions=actions)
    book = solved(request(small_model(), plan=str(file)))[1].book
    assert [book.layers[1, "attn", i] for i in range(12)] == rows["attn"]
    assert {(layer, branch) for layer, branch, _ in book.layers} == {(1, "attn")}


BAD = {
    "not JSON": "{",
    "not an object": "[]",
    "a format of another": {"format": "accel-plan/2"},
    "an unknown field": {"speed": 2},
    "no steps": {"steps": ...},
    "steps of a word": {"steps": "many"},
    "a shift of NaN": {"grid": {"solver": "euler", "schedule": "official", "shift": float("nan")}},
    "a grid with more": {"grid": {"solver": "euler", "schedule": "official", "shift": 6, "eta": 1}},
    "an unknown action": {"layer_actions": {"0": {"attn": ["sleep"] * 12}}},
    "a row too short": {"layer_actions": {"0": {"attn": ["compute"] * 11}}},
    "a layer too many": {"layer_actions": {"3": {"attn": ["compute"] * 12}}},
    "a layer's name": {"layer_actions": {"first": {"attn": ["compute"] * 12}}},
    "a branch of another": {"layer_actions": {"0": {"cross": ["compute"] * 12}}},
    "reuse of nothing": {"layer_actions": {"0": {"attn": ["reuse"] * 12}}},
    "a window of nothing": {"layer_actions": {"0": {"attn": ["window"] * 12}}},
    "a window in the feed-forward": {"layer_actions": {"0": {"ffn": ["compute"] + ["window"] * 11}}},
    "a first step skipped": {"step_actions": ["skip"] + ["compute"] * 11, "layer_actions": ...},
    "a last step skipped": {"step_actions": ["compute"] * 11 + ["skip"], "layer_actions": ...},
    "sharing without guidance": {
        "branch_layout": "cond", "layer_actions": {"0": {"attn": ["compute"] + ["cfg"] * 11}}
    },
    "an action where nothing runs": {"step_actions": ["compute", "skip"] + ["compute"] * 10},
    "more outer blocks than blocks": {"stack": {"front": 2, "back": 2}},
    "a negative front": {"stack": {"front": -1}},
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_plan_is_refused_with_a_hint(name, file):
    if isinstance(BAD[name], str):
        file.write_text(BAD[name])
    else:
        written(file, **BAD[name])
    with pytest.raises(UsageError) as caught:
        Plan.read(file)
    assert caught.value.hint
    assert "plan.json" in caught.value.message


OTHER = {
    "steps 12": {"steps": 13, "paired": (True,) * 13},
    "solver euler": {"solver": "heun"},
    "shift 6": {"shift": 3.0},
    "schedule official": {"schedule": "simple"},
    "layers 3": {"layers": 4},
    "width 96": {"width": 48},
    "evaluations 12": {"paired": (True,) * 24},
    "guidance guided": {"guided": False},
}


@pytest.mark.parametrize("said", OTHER)
def test_a_plan_for_another_run_is_refused_with_the_reason(said, file):
    plan = Plan.read(written(file))
    plan.refuse(RUN)
    with pytest.raises(UsageError, match=f"is for {said}") as caught:
        plan.refuse(replace(RUN, **OTHER[said]))
    assert caught.value.hint


def test_a_plan_for_another_size_or_other_weights_is_refused(file):
    plan = Plan.read(written(file, resolution=[512, 256], model={"layers": 3, "width": 96, "weights": "ab"}))
    plan.refuse(replace(RUN, resolution=(512, 256), weights="ab"))
    with pytest.raises(UsageError, match="512x256"):
        plan.refuse(replace(RUN, resolution=(256, 512)))
    with pytest.raises(UsageError, match="weights"):
        plan.refuse(replace(RUN, weights="cd"))


def test_a_plan_that_reuses_across_the_end_of_guidance_is_refused(file):
    plan = Plan.read(written(file))
    with pytest.raises(UsageError, match="evaluation 5, and none before it computed that without guidance"):
        plan.refuse(replace(RUN, paired=(True,) * 5 + (False,) * 7))


def test_methods_make_plans_for_guidance_that_comes_and_goes():
    paired = (True, False) * 5 + (True, True)
    for text in (
        "fora:interval=3",
        "deepcache:interval=3",
        "deepcache:interval=3,back=1",
        "mask:steps=0+3+6+9",
        "magcache",
    ):
        (choice,) = methods.parse(text)
        plan = compiled(choice, facts(paired=paired))
        assert not plan.empty
        plan.refuse(replace(RUN, paired=paired))  # does not raise


@pytest.mark.parametrize("typed", [{"steps": 20}, {"sampler": "heun"}, {"shift": 3.0}])
def test_flags_that_contradict_a_plan_are_refused_before_loading(typed, file):
    with pytest.raises(UsageError, match="is for"):
        asked("", str(written(file)), typed=typed)
    asked("", str(written(file)), typed={"steps": 12, "sampler": "euler", "schedule": "auto"})


def test_the_picture_shows_every_layer_and_evaluation(file):
    lines = Plan.read(written(file)).picture()
    assert "36 of" not in lines[0]
    assert "attn 21 of 36 (58%), ffn 21 of 36 (58%)" in lines[0]  # 0, 2, .., 10, and the last: 7 of 12
    rows = [line.split() for line in lines if line.strip().startswith("layer ")]
    assert rows == [["layer", str(n), "#.#.#.#.#.##", "#.#.#.#.#.##"] for n in range(3)]


def test_a_request_carries_what_was_asked():
    asked_for = Request(accel="fbcache:threshold=0.1,delta", plan="")
    assert Request.from_json(asked_for.to_json()) == asked_for


def test_what_was_computed_in_part_can_be_reused_and_is_told(file):
    row = ["compute", "mean_v", "reuse", "window", "cfg", "reuse", "window+cfg", "compute", "reuse"] + ["compute"] * 3
    written(file, layer_actions={"1": {"attn": row}}, window={"side": 2, "radius": 0})
    model = small_model(clip=False)
    latents, velocity = solved(request(model, plan=str(file), words=(8, 8)))
    assert [velocity.book.layers[1, "attn", i] for i in range(12)] == row
    assert {layer for layer, _, _ in velocity.book.layers} == {1}
    written(file, layer_actions={"1": {"attn": ["compute"] * 12}})
    assert not latents.equal(drawn(request(model, plan=str(file), words=(8, 8))))


def test_what_a_window_needs_outlives_evaluations_that_leave_nothing_for_it(file):
    """Those of the other kind, which remember by themselves, and those in which the layer does not run."""
    model, rest = small_model(), ["compute"] * 8
    row = ["compute", "compute", "window", "window", *rest]
    steps = ["compute", "compute", "skip", "compute", *rest]
    for accel, attention, actions in (("delta:period=2", row, ["compute"] * 12), ("", ["compute", *row[1:]], steps)):
        attention = ["compute" if step == "skip" else action for step, action in zip(actions, attention, strict=True)]
        written(file, layer_actions={"1": {"attn": attention}}, step_actions=actions, window={"side": 2, "radius": 0})
        book = solved(request(model, accel, str(file), words=(8, 8)))[1].book
        assert [book.layers.get((1, "attn", i)) for i in range(4)].count("window") == attention.count("window")
        assert book.forced == 0


def test_tiles_of_a_window_are_in_the_file(file):
    plan = Plan.read(written(file, layer_actions={"1": {"attn": ["compute"] + ["window"] * 11}}, window={"side": 4}))
    assert (plan.window.side, plan.window.radius) == (4, 1)
    assert Plan.from_json(plan.to_json()) == plan
    for wrong in ({"side": 0}, {"radius": -1}, {"sides": 4}):
        with pytest.raises(UsageError, match="window"):
            Plan.read(written(file, window=wrong))
