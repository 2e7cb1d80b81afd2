"""The times at which the model is asked, from noise (t = 0) to image (t = 1).

The field writes most of its schedules as noise levels sigma = 1 - t, falling from 1 to 0; they are converted
here and nowhere else. Grids are float64, so that 1 - t gives back the float32 tables of ComfyUI to the last bit.

Every grid is bent towards the noise by the shift S, sigma' = S sigma / (1 + (S - 1) sigma) (Esser et al. 2024,
"Scaling Rectified Flow Transformers", eq. 23); S = 1 bends nothing. `linear_quadratic` alone ignores it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

import torch
from torch import Tensor

from newbie.errors import UsageError
from newbie.sampling.beta import beta_cdf

OWN = {  # what "auto" stands for
    "euler": "official",
    "midpoint": "official",
    "heun": "official",
    "rk4": "official",
    "dpmpp_2m": "dpm",
    "res_multistep": "simple",
}
TABLE = 1000  # noise levels in ComfyUI's table for flow models
THRESHOLD = 0.025  # how far the linear part of linear_quadratic goes


def schedule(name: str, steps: int, *, shift: float, sampler: str = "euler") -> Tensor:
    """Times of the states, strictly increasing and ending at 1: `steps` intervals, so `steps` + 1 values.

    `ddim_uniform` and, at many steps, `beta` may have a few more or fewer, as in ComfyUI: read the length.

    Args:
        name: a schedule of this module, or "auto" for the sampler's own.
        steps: intervals (the official code counts the points between them instead, one more).
        shift: S above; 0 means 1, as in the official code.
        sampler: used by "auto" only.

    Raises:
        UsageError: an unknown name, or a number of steps that the schedule cannot make.
    """
    name = resolve(name, sampler)
    if steps < 1:
        raise UsageError(f"{steps} steps make no picture", "at least 1")
    return SCHEDULES[name](steps, shift or 1.0)


def resolve(name: str, sampler: str) -> str:
    """The schedule that "auto" stands for, or the name itself.

    Raises:
        UsageError: an unknown schedule or sampler.
    """
    if name == "auto" and sampler in OWN:
        return OWN[sampler]
    if name in SCHEDULES:
        return name
    what, known = ("sampler", OWN) if name == "auto" else ("schedule", ("auto", *SCHEDULES))
    raise UsageError(f"unknown {what} {sampler if name == 'auto' else name!r}", "known: " + ", ".join(known))


def initial_scale(name: str, times: Tensor) -> float:
    """What standard noise is multiplied with at the first time. `name` must be resolved.

    ComfyUI multiplies with the first noise level, which is 1 except in `ddim_uniform`; the official DPM grid
    also begins a little below 1, but there the official code leaves the noise as it is.
    """
    return 1.0 if name in ("official", "dpm") else 1.0 - float(times[0])


def shifted(sigma: Tensor, shift: float) -> Tensor:
    """Noise levels bent towards the noise."""
    return shift * sigma / (1.0 + (shift - 1.0) * sigma)


def official(steps: int, shift: float) -> Tensor:
    """Equal intervals in t, shifted: the official ODE solvers' grid, and that of diffusers' Lumina2 pipeline."""
    t = torch.linspace(0.0, 1.0, steps + 1, dtype=torch.float64, device="cpu")
    return t / (t + shift - shift * t)


def dpm(steps: int, shift: float) -> Tensor:
    """The official DPM-Solver grid ("time_uniform_flow"): as above, but it begins at shifted 0.999, not at 1."""
    begin = torch.linspace(1.0, 0.001, steps + 1, dtype=torch.float64, device="cpu")
    return 1.0 - shifted(1.0 - begin, shift).flip(0)


def simple(steps: int, shift: float) -> Tensor:
    """Equal strides through the table of 1000 noise levels."""
    return _from_sigmas([_table(shift)[TABLE - 1 - int(i * TABLE / steps)] for i in range(steps)])


def normal(steps: int, shift: float) -> Tensor:
    """Equal intervals between the largest and the smallest *shifted* level, shifted once more."""
    return _from_sigmas(list(shifted(_between(shift, steps), shift)))


def sgm_uniform(steps: int, shift: float) -> Tensor:
    """As `normal` with one point more, of which the last gives way to 0."""
    return _from_sigmas(list(shifted(_between(shift, steps + 1), shift))[:-1])


def beta(steps: int, shift: float) -> Tensor:
    """Table places at equal quantiles of a Beta(0.6, 0.6), dense at both ends; repeated places count once.

    The place of quantile p is round(999 Q(p)). It is found without the inverse Q: it is the number of half
    places (j + 1/2) / 999 whose probability is below p.
    """
    last, table = TABLE - 1, _table(shift)
    places = [
        bisect_left(range(last), 1.0 - i / steps, key=lambda j: beta_cdf((j + 0.5) / last, 0.6, 0.6))
        for i in range(steps)
    ]
    return _from_sigmas([table[k] for k in dict.fromkeys(places)])


def ddim_uniform(steps: int, shift: float) -> Tensor:
    """Every d-th level of the table from the second, d = 1000 // steps; begins below the largest level.

    Raises:
        UsageError: one step, which would begin where almost no noise is left.
    """
    if steps < 2:
        raise UsageError("ddim_uniform cannot make a picture in one step", "at least 2, or --schedule simple")
    return _from_sigmas(list(_table(shift)[1 :: max(TABLE // steps, 1)].flip(0)))


def linear_quadratic(steps: int, shift: float) -> Tensor:
    """Half of the steps crawl to t = 0.025, the rest is a parabola to 1 (Genmo's schedule). Ignores the shift."""
    linear = steps // 2
    if linear == 0:
        return torch.tensor([0.0, 1.0], dtype=torch.float64, device="cpu")
    excess, rest = linear - THRESHOLD * steps, steps - linear
    a = excess / (linear * rest**2)
    b = THRESHOLD / linear - 2.0 * excess / rest**2
    head = [i * THRESHOLD / linear for i in range(linear)]
    tail = [a * i**2 + b * i + a * linear**2 for i in range(linear, steps)]
    return _from_sigmas([torch.tensor(1.0 - t, dtype=torch.float32, device="cpu") for t in head + tail])


SCHEDULES: dict[str, Callable[[int, float], Tensor]] = {
    "official": official,
    "dpm": dpm,
    "simple": simple,
    "normal": normal,
    "sgm_uniform": sgm_uniform,
    "beta": beta,
    "ddim_uniform": ddim_uniform,
    "linear_quadratic": linear_quadratic,
}


def _table(shift: float) -> Tensor:
    """ComfyUI's noise levels, rising, (1000,) float32 like the original."""
    return shifted(torch.arange(1, TABLE + 1, dtype=torch.float32, device="cpu") / TABLE, shift)


def _between(shift: float, points: int) -> Tensor:
    """Equally spaced from the largest to the smallest level of the table, (points,) float32."""
    table = _table(shift)
    return torch.linspace(float(table[-1]), float(table[0]), points, dtype=torch.float32, device="cpu")


def _from_sigmas(sigmas: list[Tensor]) -> Tensor:
    """Falling float32 noise levels without the last zero, to times."""
    levels = torch.stack([*sigmas, torch.zeros((), device="cpu")])
    return 1.0 - levels.double().clamp_max(1.0)  # a small shift rounds to a hair above 1
