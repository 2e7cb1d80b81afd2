"""Solvers on equations whose solution is known, and their contract with the caller."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from newbie.errors import Cancelled, UsageError
from newbie.request import SAMPLERS
from newbie.sampling.solvers import PER_INTERVAL, SOLVERS, evaluations, solver
from newbie.sampling.times import SCHEDULES, schedule

MEAN, SPREAD = 0.7, 0.4
NOISE = torch.randn(64, generator=torch.Generator().manual_seed(0))


def gaussian(x: Tensor, t: float) -> Tensor:
    """Exact velocity when every image number is normal(MEAN, SPREAD): its flow ends at MEAN + SPREAD * noise."""
    variance = (t * SPREAD) ** 2 + (1 - t) ** 2
    return MEAN + (t * SPREAD**2 - (1 - t)) / variance * (x - t * MEAN)


def decay(x: Tensor, t: float) -> Tensor:
    """dx/dt = -6 t x, so x(1) = x(0) / e^3."""
    return -6 * t * x


def order(name: str, field: Callable[[Tensor, float], Tensor], want: Tensor, coarse: int, kind: str) -> float:
    """log2 of how much smaller the error gets when the intervals are halved."""
    errors = []
    for steps in (coarse, 2 * coarse):
        x = SOLVERS[name](field, NOISE, schedule(kind, steps, shift=1.0))
        errors.append((x - want).square().mean().sqrt().item())
    return math.log2(errors[0] / errors[1])


def test_the_table_has_what_a_request_may_ask_for() -> None:
    assert set(SOLVERS) == set(SAMPLERS) == set(PER_INTERVAL)


@pytest.mark.parametrize(("name", "expected"), [("euler", 1), ("midpoint", 2), ("heun", 2), ("rk4", 4)])
def test_halving_the_interval_shrinks_the_error_by_the_order(name: str, expected: int) -> None:
    coarse = 12 if name == "rk4" else 64  # float32 states: soon rk4 is exact to rounding
    found = order(name, decay, NOISE * math.exp(-3), coarse, "official")
    assert abs(found - expected) < 0.35


@pytest.mark.parametrize(
    ("name", "at_least"),
    [("euler", 0.9), ("midpoint", 1.9), ("heun", 1.9), ("rk4", 3.9), ("dpmpp_2m", 1.6), ("res_multistep", 1.6)],
)
def test_the_flow_of_a_gaussian_is_followed_with_the_promised_order(name: str, at_least: float) -> None:
    # In ln sigma the first and the last interval are infinitely long: the multistep solvers are of order 2 but
    # for a logarithm of the number of steps.
    coarse = {"rk4": 4, "dpmpp_2m": 100, "res_multistep": 100}.get(name, 32)
    assert order(name, gaussian, MEAN + SPREAD * NOISE, coarse, "official") > at_least


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("kind", SCHEDULES)
def test_a_straight_path_is_followed_exactly_on_every_schedule(name: str, kind: str) -> None:
    image = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    noise = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(2))
    for steps in (2, 3, 11):
        times = schedule(kind, steps, shift=6.0)
        start = torch.lerp(noise, image, float(times[0]))
        out = SOLVERS[name](lambda x, t: image - noise, start, times)
        torch.testing.assert_close(out, image, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", SOLVERS)
def test_one_interval_from_noise_works_and_ends_at_the_estimated_image(name: str) -> None:
    out = SOLVERS[name](lambda x, t: torch.ones_like(x), NOISE, schedule("official", 1, shift=6.0))
    torch.testing.assert_close(out, NOISE + 1, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["dpmpp_2m", "res_multistep"])
@pytest.mark.parametrize("kind", ["official", "simple", "dpm", "linear_quadratic", "beta"])
def test_multistep_solvers_stay_finite_and_near_the_solution_on_other_schedules(name: str, kind: str) -> None:
    out = SOLVERS[name](gaussian, NOISE, schedule(kind, 40, shift=3.0))
    assert (out - (MEAN + SPREAD * NOISE)).abs().max() < 0.1


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_evaluations_says_how_often_the_velocity_is_asked(name: str, steps: int) -> None:
    asked: list[float] = []

    def velocity(x: Tensor, t: float) -> Tensor:
        asked.append(t)
        return gaussian(x, t)

    SOLVERS[name](velocity, NOISE, schedule("official", steps, shift=6.0))
    assert len(asked) == evaluations(name, steps)
    assert asked == sorted(asked) and all(0.0 <= t <= 1.0 for t in asked)


@pytest.mark.parametrize("name", SOLVERS)
def test_every_interval_is_reported_with_its_state_time_and_estimate(name: str) -> None:
    image, seen = NOISE.flip(0), []
    times = schedule("official", 4, shift=6.0)
    out = SOLVERS[name](lambda x, t: image - NOISE, NOISE, times, lambda *report: seen.append(report))
    assert [(index, count) for index, count, *_ in seen] == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert [t for *_, t, _ in seen] == times[1:].tolist()
    for _, _, x, t, denoised in seen:
        torch.testing.assert_close(x, torch.lerp(NOISE, image, t), rtol=0, atol=2e-6)
        torch.testing.assert_close(denoised, image, rtol=0, atol=2e-6)
    assert torch.equal(seen[-1][2], out)


@pytest.mark.parametrize("name", SOLVERS)
def test_watching_changes_nothing_and_the_noise_is_left_alone(name: str) -> None:
    noise, times = NOISE.clone(), schedule("simple", 6, shift=6.0)
    plain = SOLVERS[name](gaussian, noise, times)
    watched = SOLVERS[name](gaussian, noise, times, lambda *_: None)
    assert torch.equal(plain, watched)
    assert torch.equal(noise, NOISE)


@pytest.mark.parametrize("name", SOLVERS)
def test_what_the_callback_raises_ends_the_generation_at_once(name: str) -> None:
    calls = 0

    def velocity(x: Tensor, t: float) -> Tensor:
        nonlocal calls
        calls += 1
        return gaussian(x, t)

    def stop(index: int, *_: object) -> None:
        if index == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        SOLVERS[name](velocity, NOISE, schedule("official", 5, shift=6.0), stop)
    assert calls == evaluations(name, 2)


@pytest.mark.parametrize("name", SOLVERS)
def test_the_state_is_float32_whatever_the_noise_and_the_model_use(name: str) -> None:
    asked: list[torch.dtype] = []

    def velocity(x: Tensor, t: float) -> Tensor:
        asked.append(x.dtype)
        return gaussian(x, t).bfloat16()

    out = SOLVERS[name](velocity, NOISE.bfloat16(), schedule("official", 3, shift=6.0))
    assert out.dtype == torch.float32 and set(asked) == {torch.float32}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # diffusers with numpy 2
def test_dpm_solver_agrees_with_diffusers() -> None:
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0, final_sigmas_type="zero"
    )
    scheduler.set_timesteps(20)
    x = NOISE[None]
    for sigma, timestep in zip(scheduler.sigmas, scheduler.timesteps, strict=False):
        x = scheduler.step(-gaussian(x, 1.0 - float(sigma)), timestep, x).prev_sample
    times = 1.0 - scheduler.sigmas.double()
    torch.testing.assert_close(SOLVERS["dpmpp_2m"](gaussian, NOISE[None], times), x, rtol=0, atol=2e-4)


@pytest.mark.parametrize("times", [[0.0], [0.0, 0.5, 0.5, 1.0], [1.0, 0.0], [0.0, 1.5], [0.0, float("nan"), 1.0]])
def test_times_that_do_not_rise_are_refused(times: list[float]) -> None:
    with pytest.raises(UsageError, match="rise"):
        SOLVERS["euler"](gaussian, NOISE, torch.tensor(times))


def test_an_unknown_sampler_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError) as error:
        solver("ddim")
    assert "res_multistep" in error.value.hint
