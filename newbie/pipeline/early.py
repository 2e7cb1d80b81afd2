"""What can be said of accelerations before weights load: the run that they are for, and whether they fit it."""

from __future__ import annotations

from typing import Any

from newbie.accel.calibration import Calibration
from newbie.accel.compose import Facts, compose
from newbie.accel.decide import intervals
from newbie.accel.plan import Run
from newbie.checkpoints import Components
from newbie.checkpoints.plan import plan_load
from newbie.request import Request
from newbie.sampling import solvers, times
from newbie.sampling.guidance import Guidance


def facts_of(parts: Components, request: Request, weights: str, calibration: Calibration) -> Facts:
    """The run of a resolved request. Of the weights headers are read; `weights` is their hash, or nothing."""
    assert request.steps and request.sampler and request.schedule and request.shift  # resolved
    assert request.width and request.height
    schedule = times.resolve(request.schedule, request.sampler)
    grid = times.schedule(schedule, request.steps, shift=request.shift, sampler=request.sampler)
    asked = solvers.asked(request.sampler, grid)
    guidance = Guidance.parse(request.cfg_scale or 0.0, request.cfg_trunc or "")
    guided = guidance.guided(asked, len(grid) - 1)
    config: Any = plan_load(parts.transformer).module.config
    run = Run(
        layers=config.n_layers,
        width=config.dim,
        steps=request.steps,
        solver=request.sampler,
        schedule=schedule,
        shift=request.shift,
        paired=tuple(guided),
        guided=any(guided),
        resolution=(request.width, request.height),
        weights=weights,
    )
    return Facts(run, tuple(intervals(grid.tolist(), len(asked))), calibration=calibration)


def refuse_early(parts: Components, request: Request, weights: str, calibration: Calibration) -> None:
    """Raise UsageError where the accelerations of a resolved request do not fit it or the model. What depends on the
    prompt is found out later."""
    if request.accel or request.plan:
        compose(request.accel, request.plan, facts_of(parts, request, weights, calibration))
