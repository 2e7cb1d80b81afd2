"""Approximate accelerations from the request to the record."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from newbie import Request, devices
from newbie.accel.calibration import Calibration
from newbie.denoise import Denoiser
from newbie.errors import UsageError
from newbie.pipeline.presets import grid_of
from newbie.sampling import times

REQUEST = Request(prompt="1girl, blue_hair", steps=8, width=64, height=64, seed=6)


def test_the_record_tells_what_was_skipped(mini):
    result = mini.generate(replace(REQUEST, accel="deepcache:interval=2,cooldown=1,delta"))
    (record,) = result.records
    assert record["request"]["accel"] == "deepcache:interval=2,cooldown=1,delta"
    assert record["ran"]["caches"] == ["deepcache:interval=2,cooldown=1", "delta"]
    ran = record["ran"]["accel"]
    assert ran["requested"] == 8 == ran["computed"] + ran["skipped"] + ran["forecast"]
    assert ran["skipped"] == list(record["accel"]["steps"].values()).count("skip") > 0
    assert ran["guidance_reused"] == record["accel"]["guidance"].count("reused") > 0
    assert ran["unconditional"] == 8 - ran["guidance_reused"]
    assert ran["gflop"] > ran["gflop_saved"] > ran["gflop_saved_by_guidance"] > 0
    assert ran["kept_bytes"] > 0
    if sys.platform == "linux":
        weights = sum(p.nbytes for p in mini.transformer.parameters())
        assert weights < result.peak_memory <= devices.peak_memory()
    layers = record["accel"]["layers"]
    assert layers["1"]["block"] == {"compute": ran["computed"], "skip": ran["skipped"]}
    assert "0" not in layers  # the front always runs
    assert json.loads(json.dumps(record)) == record
    again = mini.generate(Request.from_json(record["request"]))
    assert again.images[0].tobytes() == result.images[0].tobytes()


def test_a_batch_that_did_not_fit_holds_nothing_when_it_is_tried_again(mini, monkeypatch):
    batches, held = [], []
    plain = Denoiser.velocity

    def velocity(denoiser, pictures):
        held.append(sum(memory.nbytes for each in denoiser.velocities for memory in each.memories))
        made = plain(denoiser, pictures)
        batches.append((pictures, made))
        return made

    def full(event):
        if event.pictures > 1 and event.index == 3:
            assert sum(memory.nbytes for memory in batches[-1][1].memories) > 0
            raise MemoryError("full")

    monkeypatch.setattr(Denoiser, "velocity", velocity)
    request = replace(REQUEST, accel="deepcache:interval=2,cooldown=1", count=2, batch_size=2)
    result = mini.generate(request, on_step=full)
    assert len(result.images) == 2 and "1 at a time" in " ".join(result.notes)
    assert [pictures for pictures, _ in batches] == [2, 1, 1] and held == [0, 0, 0]


def test_without_them_the_record_says_so(mini):
    (record,) = mini.generate(REQUEST).records
    assert record["ran"]["caches"] == []
    assert "accel" not in record
    assert "accel" not in record["ran"]


def test_an_end_of_guidance_is_told_in_operations(mini):
    request = mini.generate(replace(REQUEST, cfg_trunc="steps:0.25-0.75")).records[0]["ran"]["accel"]
    assert (request["requested"], request["computed"], request["unconditional"]) == (8, 8, 4)
    assert request["gflop_saved"] == request["gflop_saved_by_guidance"] > request["gflop"] / 8


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"accel": "magcache"}, "no MagCache ratios for 8 steps of euler"),
        ({"plan": "fast"}, "no setting was measured that earns it"),
        ({"accel": "mask:steps=ng-fast"}, "is for 28 evaluations"),
        ({"accel": "dbcache:front=99"}, "more than the model's"),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_step(mini, changes, said):
    def stepped(event):
        raise AssertionError("a step was made")

    unmeasured = replace(mini, calibration=Calibration(mini.name))
    with pytest.raises(UsageError, match=said) as caught:
        unmeasured.generate(replace(REQUEST, **changes), on_step=stepped)
    assert caught.value.hint


def test_a_schedule_that_makes_another_number_of_steps_is_known_by_the_number_asked_for(mini):
    """1000 noise levels at every 142nd are eight, though seven were asked for."""
    request = replace(REQUEST, steps=7, schedule="ddim_uniform").resolved(mini.recommended)
    measured = Calibration(mini.name, ratios={grid_of(request): (1.0,) * 8})
    asked = replace(request, accel="magcache:threshold=0.5,cooldown=1")
    ran = replace(mini, calibration=measured).generate(asked).records[0]["ran"]["accel"]
    assert ran["requested"] == 8 and ran["skipped"] > 0


def test_heat_maps_and_skipped_blocks_do_not_go_together(mini):
    with pytest.raises(UsageError, match="heat-map"):
        mini.generate(replace(REQUEST, accel="fbcache"), heatmaps=True)


def planned(path, mini, attention, *, evaluations=8, **more):
    """A plan file for REQUEST: what the attention of every layer does in each evaluation."""
    request = mini.generate(REQUEST).request
    schedule = times.resolve(request.schedule, request.sampler)
    layers = len(mini.transformer.layers)
    plan = {
        "format": "accel-plan/1",
        "model": {"layers": layers, "width": mini.transformer.config.dim},
        "steps": 8,
        "branch_layout": "cond+uncond",
        "grid": {
            "solver": request.sampler,
            "schedule": schedule,
            "shift": request.shift,
        },
        "step_actions": ["compute"] * evaluations,
        "layer_actions": {str(layer): {"attn": attention} for layer in range(layers)},
        **more,
    }
    path.write_text(json.dumps(plan))
    return str(path)


REGIONS = """<character_1><appearance>blue_hair</appearance><position x="0" y="0" width="0.5" height="1"/></character_1>
<character_2><appearance>red_hair</appearance><position x="0.5" y="0" width="0.5" height="1"/></character_2>"""
MIXED = ["compute", "window", "reuse", "cfg", "compute", "window+cfg", "mean_v", "compute"]


def test_a_plan_of_windows_that_see_everything_changes_no_pixel(mini, tmp_path):
    everything = {"side": 8, "radius": 1}  # one tile is the whole picture of 4 x 4 tokens
    rows = ["compute", "window"] * 4
    plan = planned(tmp_path / "plan.json", mini, rows, window=everything)
    plain = mini.generate(REQUEST).images[0]
    result = mini.generate(replace(REQUEST, plan=plan))
    difference = np.abs(np.asarray(result.images[0], int) - np.asarray(plain, int))
    assert difference.max() <= 3  # rounding: a sum of two parts, and of branches apart


def test_a_plan_of_all_actions_does_what_it_says_and_tells(mini, tmp_path):
    plan = planned(tmp_path / "plan.json", mini, MIXED, window={"side": 2, "radius": 0})
    result = mini.generate(replace(REQUEST, plan=plan))
    (record,) = result.records
    assert record["ran"]["caches"] == ["plan plan.json"]
    told = {"compute": 3, "window": 1, "reuse": 1, "cfg": 1, "window+cfg": 1, "mean_v": 1}
    for layer in range(len(mini.transformer.layers)):
        assert record["accel"]["layers"][str(layer)]["attn"] == told
    plain = mini.generate(REQUEST).images[0]
    assert result.images[0].tobytes() != plain.tobytes()
    both = mini.generate(replace(REQUEST, plan=plan, count=2, batch_size=2))
    difference = np.abs(np.asarray(both.images[0], int) - np.asarray(result.images[0], int))
    assert difference.max() <= 3  # packed batches differ by rounding


def test_windows_need_the_scores_without_a_bias(mini, tmp_path):
    plan = planned(tmp_path / "plan.json", mini, MIXED, window={"side": 2, "radius": 0})
    with pytest.raises(UsageError, match="regions") as caught:
        mini.generate(replace(REQUEST, plan=plan, prompt=REGIONS))
    assert caught.value.hint


def test_forecasts_and_shared_branches_do_not_go_together(mini, tmp_path):
    plan = planned(tmp_path / "plan.json", mini, ["compute", "window", "forecast", *MIXED[3:]])
    with pytest.raises(UsageError, match="forecast beside cfg"):
        mini.generate(replace(REQUEST, plan=plan))
