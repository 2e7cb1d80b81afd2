"""Guidance, whole trajectories and noise schedules against golden data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from newbie.attention.kernel import Kernel
from newbie.model.nextdit import NextDiT
from newbie.parity.dit import TOLERANCE, Inputs, inputs
from newbie.parity.folder import Golden, Weights
from newbie.parity.result import Case, compare
from newbie.parity.weights import load
from newbie.sampling.guidance import Guidance, Truncation, Velocity
from newbie.sampling.solvers import SOLVERS, evaluations
from newbie.sampling.times import OWN, SCHEDULES, initial_scale, schedule

# The golden data's own suggestions. Guidance multiplies the error of a velocity by its scale; a trajectory adds
# the errors of its steps; the official DPM solver loses digits in a division that ours does not have.
CFG_TOLERANCE = 2e-4
ODE_TOLERANCE = 2e-4
DPM_TOLERANCE = 3e-3
COMFY_TOLERANCE = 5e-4
GRID_TOLERANCE = 1e-5
TABLE_TOLERANCE = 1e-6  # of a schedule by itself


def cfg_cases(golden: Golden, weights: Weights, family: str, attend: Kernel) -> Iterator[Case]:
    """One guided evaluation per case; rows are [conditional, unconditional]."""
    model = load("transformer", weights, golden.config)
    given = inputs(golden.tensors)
    if given is None or not isinstance(given.x, Tensor):
        yield Case(family, "all", skipped="the file has no shared inputs")
        return
    for name, theirs in golden.tensors.items():
        if name.startswith("velocity_t"):
            ours = _plain(model, given, float(name.removeprefix("velocity_t")), attend)
            yield Case(family, name, (compare("velocity", ours, theirs, TOLERANCE),))
    for name, about in golden.cases.items():
        guidance = _guidance(about)
        velocity = _velocity(model, guidance, given, attend, steps=1, calls=1)
        with torch.no_grad():
            ours = velocity(given.x[:1], float(about["t"]))
        yield Case(family, name, (compare("out", ours, golden.tensors[f"{name}/out"], CFG_TOLERANCE),))


def trajectory_cases(golden: Golden, weights: Weights, family: str, attend: Kernel) -> Iterator[Case]:
    """Each run from its noise to its image: time grid, times of all evaluations, all states."""
    model = load("transformer", weights, golden.config)
    given = inputs(golden.tensors)
    for name, about in golden.runs.items():
        sampler = _sampler(str(about["solver"]))
        if given is None or sampler is None:
            yield Case(family, name, skipped=f"no solver {about['solver']!r}" if given else "no inputs in the file")
            continue
        grid = golden.tensors[f"{name}/grid"].double()
        times = schedule("auto", len(grid) - 1, shift=float(about.get("shift") or 1.0), sampler=sampler)
        falling = bool(grid[0] > grid[-1])  # noise levels instead of times
        tolerance = DPM_TOLERANCE if sampler == "dpmpp_2m" else ODE_TOLERANCE
        checks = [compare("grid", 1.0 - times if falling else times, grid, GRID_TOLERANCE)]
        states, asked = _sample(model, _guidance(about), given, attend, sampler, times, golden.tensors["noise"])
        checks.append(compare("model_t", asked, golden.tensors[f"{name}/model_t"].double(), GRID_TOLERANCE))
        checks.append(compare("x", states, golden.tensors[f"{name}/x"], tolerance))
        yield Case(family, name, tuple(checks))


def comfy_cases(
    golden: Golden, weights: Weights | None, conditioning: Golden | None, family: str, attend: Kernel
) -> Iterator[Case]:
    """ComfyUI's tables of noise levels, and its samplers on the model whose weights the file names."""
    for name, table in golden.tensors.items():
        if name.startswith("sigmas/"):
            yield _table_case(family, name, table)
    given = inputs(conditioning.tensors) if conditioning else None
    model = load("transformer", weights, weights.config) if weights else None
    for name, about in golden.runs.items():
        if conditioning is None or given is None or model is None:
            missing = (
                golden.about.get("dit_weights") if model is None else golden.about.get("conditioning_and_noise_from")
            )
            yield Case(family, name, skipped=f"{missing} is not in the folder")
            continue
        sampler, scheduler = str(about["sampler"]), str(about["scheduler"])
        if sampler not in SOLVERS or scheduler not in SCHEDULES:
            yield Case(family, name, skipped=f"no sampler {sampler!r} with schedule {scheduler!r}")
            continue
        times = schedule(scheduler, int(about["steps"]), shift=float(about["shift"]))
        noise = conditioning.tensors["noise"] * initial_scale(scheduler, times)
        states, _ = _sample(model, Guidance(float(about["cfg"])), given, attend, sampler, times, noise)
        sigmas = golden.tensors[f"{name}/sigmas"].double()
        yield Case(
            family,
            name,
            (
                compare("sigmas", 1.0 - times, sigmas, GRID_TOLERANCE),
                compare("x", states, golden.tensors[f"{name}/x"], COMFY_TOLERANCE),
            ),
        )


def _table_case(family: str, name: str, table: Tensor) -> Case:
    match = re.fullmatch(r"sigmas/(\w+)/shift([\d.]+)/steps(\d+)", name)
    if match is None or match[1] not in SCHEDULES:
        return Case(family, name, skipped="no such schedule")
    times = schedule(match[1], int(match[3]), shift=float(match[2]))
    return Case(family, name, (compare("sigmas", 1.0 - times, table.double(), TABLE_TOLERANCE),))


def _guidance(about: dict[str, Any]) -> Guidance:
    """The official arguments: a flow time, and a norm that may be text."""
    truncation = Truncation("time", float(about.get("cfg_trunc", 100)))
    return Guidance(float(about["cfg_scale"]), truncation, float(about.get("renorm_cfg", 0.0)))


def _sampler(name: str) -> str | None:
    """Our name of an official solver."""
    name = {"dpm": "dpmpp_2m"}.get(name, name)
    return name if name in SOLVERS and name in OWN else None


@torch.no_grad()
def _plain(model: NextDiT, given: Inputs, t: float, attend: Kernel) -> Tensor:
    assert isinstance(given.x, Tensor)
    prepared = model.prepare(given.hidden, given.mask, given.pooled, given.sizes, attend=attend)
    return model(given.x, torch.full((len(given.x),), t), prepared)


def _velocity(model: NextDiT, guidance: Guidance, given: Inputs, attend: Kernel, *, steps: int, calls: int) -> Velocity:
    pooled = given.pooled
    pair = partial(model.prepare, given.hidden, given.mask, pooled, given.sizes, attend=attend)
    one = None if pooled is None else pooled[:1]
    alone = partial(model.prepare, given.hidden[:1], given.mask[:1], one, given.sizes, attend=attend)
    return Velocity(model, guidance, pair=pair, alone=alone, steps=steps, evaluations=calls)


@torch.no_grad()
def _sample(
    model: NextDiT,
    guidance: Guidance,
    given: Inputs,
    attend: Kernel,
    sampler: str,
    times: Tensor,
    noise: Tensor,
) -> tuple[Tensor, Tensor]:
    """All states (T, C, h, w), the noise first, and the times at which the model was asked."""
    steps = len(times) - 1
    given = given._replace(x=noise)
    velocity = _velocity(model, guidance, given, attend, steps=steps, calls=evaluations(sampler, steps))
    states, asked = [noise], []

    def field(x: Tensor, t: float) -> Tensor:
        asked.append(t)
        return velocity(x, t)

    def on_step(index: int, count: int, x: Tensor, t: float, denoised: Tensor) -> None:
        states.append(x)

    SOLVERS[sampler](field, noise, times, on_step)
    return torch.cat(states), torch.tensor(asked, dtype=torch.float64)
