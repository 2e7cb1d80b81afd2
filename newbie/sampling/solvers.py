"""How dx/dt = velocity(x, t) is followed from noise to image. Pure mathematics: one signature, six algorithms.

    solver(velocity, x, times, on_step=None) -> x at times[-1]

`x` is a float32 state of any shape (another dtype is converted), `times` what `schedule` returns. With sigma =
1 - t and a velocity that estimates image - noise, `x + sigma * v` estimates the finished image ("denoised"); the
multistep solvers work on that estimate.

After each interval `on_step(index, count, x, t, denoised)` is called: the interval's index from 0 to count - 1,
the new state and its time, and the latest estimate of the image. What it raises ends the solver: that is how a
generation is cancelled. A solver keeps nothing between calls and never writes into `x`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Protocol

from torch import Tensor

from newbie.errors import UsageError

Field = Callable[[Tensor, float], Tensor]  # (x, t) -> velocity, of the shape of x
OnStep = Callable[[int, int, Tensor, float, Tensor], None]
OneStep = Callable[[Field, Tensor, float, float], tuple[Tensor, Tensor]]  # ... t, end -> x, denoised


class Solver(Protocol):
    """What every solver looks like."""

    def __call__(self, velocity: Field, x: Tensor, times: Tensor, on_step: OnStep | None = None) -> Tensor: ...


def euler(velocity: Field, x: Tensor, times: Tensor, on_step: OnStep | None = None) -> Tensor:
    """Order 1, one evaluation per interval: straight on from its start."""

    def advance(field: Field, x: Tensor, t: float, end: float) -> tuple[Tensor, Tensor]:
        v = field(x, t)
        return x + (end - t) * v, denoise(x, t, v)

    return _march(advance, velocity, x, times, on_step)


def midpoint(velocity: Field, x: Tensor, times: Tensor, on_step: OnStep | None = None) -> Tensor:
    """Order 2, two evaluations per interval: the velocity found half-way is followed all the way."""

    def advance(field: Field, x: Tensor, t: float, end: float) -> tuple[Tensor, Tensor]:
        dt = end - t
        half, t_half = x + (dt / 2) * field(x, t), t + dt / 2
        v = field(half, t_half)
        return x + dt * v, denoise(half, t_half, v)

    return _march(advance, velocity, x, times, on_step)


def heun(velocity: Field, x: Tensor, times: Tensor, on_step: OnStep | None = None) -> Tensor:
    """Order 2, two evaluations per interval: the mean of the velocities at its two ends.

    k-diffusion drops to Euler in the last interval, where its form divides by zero. The velocity form does not
    divide, so the last interval is as good as the others and also costs two evaluations.
    """

    def advance(field: Field, x: Tensor, t: float, end: float) -> tuple[Tensor, Tensor]:
        dt = end - t
        k1 = field(x, t)
        ahead = x + dt * k1
        k2 = field(ahead, end)
        return x + (dt / 2) * (k1 + k2), denoise(ahead, end, k2)

    return _march(advance, velocity, x, times, on_step)


def rk4(velocity: Field, x: Tensor, times: Tensor, on_step: OnStep | None = None) -> Tensor:
    """Order 4, four evaluations per interval: Kutta's 3/8 rule (1901), which the official code means by rk4."""

    def advance(field: Field, x: Tensor, t: float, end: float) -> tuple[Tensor, Tensor]:
        dt = end - t
        k1 = field(x, t)
        k2 = field(x + dt * k1 / 3, t + dt / 3)
        k3 = field(x + dt * (k2 - k1 / 3), t + dt * 2 / 3)
        ahead = x + dt * (k1 - k2 + k3)
        k4 = field(ahead, end)
        return x + dt * (k1 + 3 * (k2 + k3) + k4) / 8, denoise(ahead, end, k4)

    return _march(advance, velocity, x, times, on_step)


def dpmpp_2m(velocity: Field, x: Tensor, times: Tensor, on_step: OnStep | None = None) -> Tensor:
    """DPM-Solver++ (2M), one evaluation per interval (Lu et al. 2022, arXiv 2211.01095, algorithm 2).

    Order 2 except in the first and the last interval, which are of order 1 as in the official solver. Written
    with a = t, sigma = 1 - t, lambda = ln(a / sigma) and m the denoised image; both infinities of lambda, at
    pure noise and at the image, have finite limits, which are used.
    """
    before: Tensor | None = None  # m of the interval before
    h_before = math.inf  # its length in lambda
    grid, last = _grid(times), len(times) - 2

    x = x.float()
    for i, (t, end) in enumerate(pairwise(grid)):
        m = denoise(x, t, velocity(x, t).float())
        h = _log_snr(end) - _log_snr(t)
        keep = (1.0 - end) / (1.0 - t)  # sigma ratio
        blend = end - t * keep  # -a (e^-h - 1), finite at both ends
        if before is None or i == last:
            target = m
        else:
            target = m + (m - before) * (0.5 * h / h_before)
        x = keep * x + blend * target
        before, h_before = m, h
        if on_step is not None:
            on_step(i, last + 1, x, end, m)
    return x


def res_multistep(velocity: Field, x: Tensor, times: Tensor, on_step: OnStep | None = None) -> Tensor:
    """The second order exponential multistep solver known from ComfyUI, one evaluation per interval.

    Refined exponential solver (Zhang et al. 2023, arXiv 2308.02157) in ln sigma, without added noise. First
    interval and the one that ends at the image are Euler's. `c2` is negative, as in ComfyUI.
    """
    before: Tensor | None = None  # the denoised image of the interval before
    t_before = 0.0
    grid, last = _grid(times), len(times) - 2

    x = x.float()
    for i, (t, end) in enumerate(pairwise(grid)):
        v = velocity(x, t).float()
        m = denoise(x, t, v)
        if before is None or end >= 1.0:
            x = x + (end - t) * v
        else:
            h = math.log((1.0 - t) / (1.0 - end))
            c2 = math.log((1.0 - t) / (1.0 - t_before)) / h
            p1 = -math.expm1(-h) / h
            p2 = (1.0 - p1) / h
            x = math.exp(-h) * x + (h * (p1 - p2 / c2)) * m + (h * p2 / c2) * before
        before, t_before = m, t
        if on_step is not None:
            on_step(i, last + 1, x, end, m)
    return x


SOLVERS: dict[str, Solver] = {
    "euler": euler,
    "midpoint": midpoint,
    "heun": heun,
    "rk4": rk4,
    "dpmpp_2m": dpmpp_2m,
    "res_multistep": res_multistep,
}
PER_INTERVAL = {"euler": 1, "midpoint": 2, "heun": 2, "rk4": 4, "dpmpp_2m": 1, "res_multistep": 1}


def solver(name: str) -> Solver:
    """The solver of that name. Raises UsageError with the known names."""
    if name not in SOLVERS:
        raise UsageError(f"unknown sampler {name!r}", "known: " + ", ".join(SOLVERS))
    return SOLVERS[name]


def evaluations(name: str, steps: int) -> int:
    """How often the solver asks for a velocity in `steps` intervals; every interval costs the same."""
    solver(name)
    return PER_INTERVAL[name] * steps


def asked(name: str, times: Tensor) -> list[float]:
    """The times at which the solver will ask for a velocity on this grid, in its order: none depends on the answers."""
    found: list[float] = []

    def note(x: Tensor, t: float) -> Tensor:
        found.append(t)
        return x

    solver(name)(note, times.new_zeros(1), times)
    return found


def denoise(x: Tensor, t: float, v: Tensor) -> Tensor:
    """The image that a straight path from (x, t) with velocity v ends at."""
    return x + (1.0 - t) * v


def _march(advance: OneStep, velocity: Field, x: Tensor, times: Tensor, on_step: OnStep | None) -> Tensor:
    """The loop of the solvers that look at one interval at a time."""
    grid = _grid(times)

    def field(x: Tensor, t: float) -> Tensor:
        return velocity(x, t).float()

    x = x.float()
    for i, (t, end) in enumerate(pairwise(grid)):
        x, denoised = advance(field, x, t, end)
        if on_step is not None:
            on_step(i, len(grid) - 1, x, end, denoised)
    return x


def _grid(times: Tensor) -> list[float]:
    grid: list[float] = times.double().tolist()
    if len(grid) < 2 or any(not a < b for a, b in pairwise(grid)) or grid[0] < 0.0 or grid[-1] > 1.0:
        raise UsageError(
            f"times {grid[:4]}… do not rise from noise (0) to image (1)",
            "make them with newbie.sampling.times.schedule",
        )
    return grid


def _log_snr(t: float) -> float:
    """lambda = ln(t / (1 - t)), minus and plus infinity at the ends."""
    if t <= 0.0:
        return -math.inf
    return math.inf if t >= 1.0 else math.log(t) - math.log1p(-t)
