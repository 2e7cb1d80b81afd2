"""Approximate accelerations from the request to the record."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from newbie import Request
from newbie.accel.calibration import Calibration
from newbie.errors import UsageError

REQUEST = Request(prompt="1girl, blue_hair", steps=8, width=64, height=64, seed=3)


def test_the_record_tells_what_was_skipped(mini):
    result = mini.generate(replace(REQUEST, accel="deepcache:interval=2,cooldown=1,delta"))
    (record,) = result.records
    assert record["request"]["accel"] == "deepcache:interval=2,cooldown=1,delta"
    assert record["ran"]["caches"] == ["deepcache:interval=2,cooldown=1", "delta"]
    ran = record["ran"]["accel"]
    assert ran["requested"] == 8 == ran["computed"] + ran["skipped"] + ran["forecast"]
    assert ran["skipped"] == list(record["accel"]["steps"].values()).count("skip") > 0
    assert ran["guidance_reused"] == record["accel"]["guidance"].count("reused") > 0
    assert ran["kept_bytes"] > 0
    layers = record["accel"]["layers"]
    assert layers["1"]["block"] == {"compute": ran["computed"], "skip": ran["skipped"]}
    assert "0" not in layers  # the front always runs
    assert json.loads(json.dumps(record)) == record
    again = mini.generate(Request.from_json(record["request"]))
    assert again.images[0].tobytes() == result.images[0].tobytes()


def test_without_them_the_record_says_so(mini):
    (record,) = mini.generate(REQUEST).records
    assert record["ran"]["caches"] == []
    assert "accel" not in record
    assert "accel" not in record["ran"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"accel": "magcache"}, "no MagCache ratios for 8 steps of euler"),
        ({"plan": "fast"}, "nobody has measured one"),
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


def test_heat_maps_and_skipped_blocks_do_not_go_together(mini):
    with pytest.raises(UsageError, match="heat-map"):
        mini.generate(replace(REQUEST, accel="fbcache"), heatmaps=True)
