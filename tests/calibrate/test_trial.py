"""A setting beside the exact picture: what is compared, timed, counted and kept; and its rival, fewer steps."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from newbie import Request
from newbie.calibrate.fewer import Baseline, fewer_steps, lowest, shifts, word
from newbie.calibrate.trial import Case, Drawn, Sample, Setting, Trial, Trials, drawer
from newbie.errors import UsageError

CASES = [Case("a", 1), Case("b", 2), Case("c", 3)]


class Brush:
    """Draws in no time: fewer steps are off by their distance from the best shift, `delta` by a tenth."""

    def __init__(self):
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> Drawn:
        self.asked.append(request)
        steps = request.steps or 20
        off = 0.1 * ("delta" in request.accel)
        if steps < 20:
            off = (20 - steps) / 100 + abs((request.shift or 9) - steps / 10)
        latents = torch.zeros(4, 2, 2)
        latents[0, 0, 0], latents[0, 0, 1] = 2.0, 2.0 * off
        level = 100 + round(10 * off)
        image = Image.fromarray(np.full((16, 16, 3), level, np.uint8))
        work = 15.0 if "delta" in request.accel else float(steps)
        return Drawn(image, latents, work / 10, steps, steps, work)


def test_pictures_are_compared_case_by_case_and_timed_in_turns():
    brush = Brush()
    trials = Trials(brush, Request(steps=20), CASES)
    trial = trials.run(Setting(accel="delta"), timed=2)
    assert [each.error for each in trial.samples] == pytest.approx([0.1] * 3)
    assert trial.psnr == pytest.approx(20 * math.log10(255))  # one level
    assert trial.speed == pytest.approx(20 / 15) and len(trial.seconds) == len(trial.exact_seconds) == 2
    assert (trial.requested, trial.work, trial.saved) == (20, 15, None)
    said = ["delta" if each.accel else "exact" for each in brush.asked]
    warm = ["exact", "exact", "delta"]  # the first of each kind is cold, and measures nothing
    assert said == [*warm, "exact", "delta", "exact", "exact", "delta", "exact", "delta"]
    assert {(each.prompt, each.seed) for each in brush.asked} == {("a", 1), ("b", 2), ("c", 3)}
    trials.run(Setting(accel="delta"), timed=0)
    assert sum(not each.accel for each in brush.asked) == 6  # exact pictures are kept


def test_nothing_differs_from_itself():
    trial = Trials(Brush(), Request(steps=20), CASES).run(Setting(), timed=1)
    assert (trial.error, trial.ssim, trial.samples[0].psnr) == (0, 1, math.inf)


def test_a_trial_is_read_as_it_was_written_and_joined_with_others():
    trials = Trials(Brush(), Request(steps=20), CASES, lambda a, b: 0.25)
    first, rest = (trials.run(Setting(accel="delta"), numbers, timed=1) for numbers in (range(1), range(1, 3)))
    whole = first.joined(rest)
    again = Trial.from_json(json.loads(json.dumps(whole.to_json())))
    assert again.setting == whole.setting and again.lpips == 0.25
    assert again.error == pytest.approx(whole.error) == pytest.approx(0.1)
    assert len(again.samples) == 3 and len(again.seconds) == 2
    same = Trial.from_json(json.loads(json.dumps(trials.run(Setting(), timed=0).to_json())))
    assert same.samples[0].psnr == math.inf and math.isnan(same.speed)


@pytest.mark.parametrize(
    "wrong", [[], {"speed": 2}, {"steps": "14"}, {"steps": True}, {"shift": -1.0}, {"steps": 0}, {"accel": 3}]
)
def test_what_is_no_setting_is_refused(wrong):
    with pytest.raises(UsageError) as caught:
        Setting.from_json(wrong)
    assert caught.value.hint


def test_a_setting_is_told_as_it_is_typed():
    setting = Setting(accel="delta", steps=14, shift=1.0)
    assert str(setting) == "--steps 14 --shift 1 --accel delta"
    assert Setting.from_json(setting.to_json()) == setting
    assert setting.of(Request(steps=28, cfg_scale=3.0)) == Request(steps=14, shift=1.0, cfg_scale=3.0, accel="delta")


def test_work_is_counted_by_operations_in_evaluations_of_the_request(mini):
    draw = drawer(mini)
    request = Request(prompt="1girl", steps=6, width=64, height=64, seed=3)
    layers = len(mini.transformer.layers)
    exact = draw(request)
    assert exact.work == exact.requested == exact.computed == 6 and exact.saved is None
    assert exact.latents.shape == (16, 8, 8) and exact.image.size == (64, 64)
    again = mini.vae.decode(exact.latents[None])[0]
    levels = ((again.permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255)
    assert (levels - torch.from_numpy(np.array(exact.image))).abs().max() <= 1  # the latents are the picture's

    def work(accel, **more):
        return draw(replace(request, accel=accel, **more)).work

    # Evaluations 0, 2, 4 and 5 have both rows: 0, 2, 4 by the period, the last in any case. The cache computes these.
    # The prompt's row, with more words, is more than half of a pair; the last block, for the image, is less than one.
    cache = "deepcache:interval=2,warmup=1,cooldown=1"
    assert 4 + 2 / 2 < work("delta:period=2") < 6
    assert work(cache) == pytest.approx(4 + 2 / layers, abs=0.15)
    assert work(f"{cache},delta:period=2") == pytest.approx(4 + 2 / layers / 2, abs=0.15)  # those skipped have one row
    cached = draw(replace(request, accel=cache))
    assert cached.computed == 4 and cached.work == 6 * (1 - cached.saved)
    alone = draw(replace(request, cfg_scale=1.0))  # one row, and six whole evaluations of it
    assert alone.work == 6 and work(cache, cfg_scale=1.0) == pytest.approx(4 + 2 / layers, abs=0.15)


# ---- fewer steps


def test_the_best_shift_is_found_by_walking_downhill():
    asked = []

    def valley(shift):
        asked.append(shift)
        return abs(shift - 0.75)

    assert lowest(valley, [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0], start=1.5) == 0.75
    assert sorted(asked) == [0.5, 0.75, 1.0, 1.5, 2.0]  # each once, and not those far away
    assert lowest(valley, [3.0], start=1.0) == 3.0
    assert 1.5 in shifts(1.5) and shifts(6) == sorted(shifts(6))


def test_fewer_steps_are_given_the_shift_that_suits_them():
    trials = Trials(Brush(), Request(steps=20), CASES)
    for steps, best in ((10, 1.0), (5, 0.5)):
        trial = fewer_steps(trials, steps, 1.5, 1.5, few=2, timed=1)
        nearest = min(shifts(1.5), key=lambda shift: abs(shift - best))
        assert (trial.setting.steps, trial.setting.shift) == (steps, nearest)
        assert len(trial.samples) == 3


def plain(steps: int, error: float, speed: float) -> Trial:
    samples = (Sample(error, 30.0, 0.9),)
    return Trial(Setting(steps=steps, shift=1.0), samples, (1.0,), (speed,), steps, steps, steps)


def method(work: float, error: float, speed: float) -> Trial:
    return replace(plain(20, error, speed), setting=Setting(accel="delta"), work=work)


def test_a_method_is_judged_by_fewer_steps_at_equal_evaluations_and_at_equal_time():
    known = Baseline((plain(15, 0.04, 1.3), plain(10, 0.16, 2.0), plain(5, 0.64, 4.0)), 20, 20.0)
    assert [known.needed(method(work, 0, 1)) for work in (20.0, 9.1, 10.0)] == [20, 10, 10]
    rival = known.beside(method(9.1, 0.08, 2.0))
    assert rival.trial is known.tried[1]  # has at least as many
    assert (rival.factor, rival.factor_in_time) == pytest.approx((2.0, 2.0))
    assert known.error_at(3.0) == pytest.approx(0.32)  # half-way between 0.16 and 0.64
    assert known.error_at(1.15) == pytest.approx(0.02) and math.isnan(known.error_at(5.0))
    slow = method(9.1, 0.001, 0.9)  # slower than the exact picture, however near
    assert known.error_at(0.9) == 0.0 and word(known.beside(slow)) == "fewer evaluations, no less time"
    words = {
        "recommended": method(9.1, 0.08, 2.0),
        "fewer evaluations, no less time": method(9.1, 0.08, 1.3),
        "not recommended": method(9.1, 0.15, 3.0),  # 1.07 times less error
        "saves nothing": method(20.0, 0.001, 1.0),
        "not compared": method(16.0, 0.001, 1.2),  # fewer steps with as many evaluations were left out
    }
    assert {word(known.beside(trial)): trial for trial in words.values()} == words
