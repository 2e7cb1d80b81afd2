"""Guidance, whole trajectories and noise schedules against golden data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from newbie.attention.kernel import Kernel
from newbie.model.nextdit import NextDiT
from newbie.parity.dit import TOLERANCE, Inputs, inputs
from newbie.parity.folder import Golden, Weights
from newbie.parity.result import CannotRun, Check, Job, compare
from newbie.parity.weights import load
from newbie.sampling.guidance import Guidance, Truncation, Velocity
from newbie.sampling.solvers import evaluations, solver
from newbie.sampling.times import initial_scale, schedule

# The golden data's own suggestions. Guidance multiplies the error of a velocity by its scale; a trajectory adds
# the errors of its steps; the official DPM solver loses digits in a division that ours does not have.
CFG_TOLERANCE = 2e-4
ODE_TOLERANCE = 2e-4
DPM_TOLERANCE = 3e-3
COMFY_TOLERANCE = 5e-4
GRID_TOLERANCE = 1e-5
TABLE_TOLERANCE = 1e-6  # of a schedule by itself
PLAIN = "velocity_t"  # plain velocities beside the guided ones: "velocity_t0.25"


def cfg_jobs(golden: Golden, weights: Weights, attend: Kernel) -> Iterator[Job]:
    """One guided evaluation per case; rows are [conditional, unconditional]. Plain velocities are cases too."""
    model = load("transformer", weights, golden.config)
    given = inputs(golden.tensors)
    for name in golden.tensors:
        if name.startswith(PLAIN):
            yield name, partial(_plain_checks, model, given, golden.tensors[name], name, attend)
    for name, about in golden.cases.items():
        yield name, partial(_cfg_checks, model, given, golden.of(name), about, attend)


def trajectory_jobs(golden: Golden, weights: Weights, attend: Kernel) -> Iterator[Job]:
    """Each run from its noise to its image: time grid, times of all evaluations, all states."""
    model = load("transformer", weights, golden.config)
    given = inputs(golden.tensors)
    for name, about in golden.runs.items():
        yield name, partial(_trajectory_checks, model, given, golden.of(name), about, attend)


def comfy_jobs(
    golden: Golden, weights: Weights | None, conditioning: Golden | None, attend: Kernel | None
) -> Iterator[Job]:
    """ComfyUI's tables of noise levels, and its samplers on the model whose weights the file names."""
    for name, table in golden.tensors.items():
        if name.startswith("sigmas/"):
            yield name, partial(_table_checks, name, table)
    model = load("transformer", weights, weights.config) if weights else None
    for name, about in golden.runs.items():
        yield name, partial(_comfy_checks, model, conditioning, golden, name, about, attend)


@torch.no_grad()
def _plain_checks(model: NextDiT, given: Inputs, theirs: Tensor, name: str, attend: Kernel) -> Iterator[Check]:
    t = torch.full((len(given.hidden),), float(name.removeprefix(PLAIN)))
    prepared = model.prepare(given.hidden, given.mask, given.pooled, given.sizes, attend=attend)
    ours: Any = model(given.x, t, prepared)
    yield compare("velocity", ours, theirs, TOLERANCE)


@torch.no_grad()
def _cfg_checks(
    model: NextDiT, given: Inputs, case: Mapping[str, Tensor], about: Mapping[str, Any], attend: Kernel
) -> Iterator[Check]:
    velocity = _velocity(model, _guidance(about), given, attend, steps=1, calls=1)
    ours = velocity(given.x[0][None], float(about["t"]))
    yield compare("out", ours, case["out"], CFG_TOLERANCE)


def _trajectory_checks(
    model: NextDiT, given: Inputs, run: Mapping[str, Tensor], about: Mapping[str, Any], attend: Kernel
) -> Iterator[Check]:
    sampler = {"dpm": "dpmpp_2m"}.get(about["solver"], str(about["solver"]))
    grid = run["grid"].double()
    times = schedule("auto", len(grid) - 1, shift=float(about.get("shift") or 1.0), sampler=sampler)
    falling = bool(grid[0] > grid[-1])  # noise levels instead of times
    yield compare("grid", 1.0 - times if falling else times, grid, GRID_TOLERANCE)
    states, asked = _sample(model, _guidance(about), given, attend, sampler, times)
    yield compare("model_t", asked, run["model_t"].double(), GRID_TOLERANCE)
    yield compare("x", states, run["x"], DPM_TOLERANCE if sampler == "dpmpp_2m" else ODE_TOLERANCE)


def _table_checks(name: str, table: Tensor) -> Iterator[Check]:
    match = re.fullmatch(r"sigmas/(\w+)/shift([\d.]+)/steps(\d+)", name)
    if match is None:
        raise CannotRun(f"{name} names no schedule, shift and steps", "sigmas/simple/shift6/steps20")
    times = schedule(match[1], int(match[3]), shift=float(match[2]))
    yield compare("sigmas", 1.0 - times, table.double(), TABLE_TOLERANCE)


def _comfy_checks(
    model: NextDiT | None,
    conditioning: Golden | None,
    golden: Golden,
    name: str,
    about: Mapping[str, Any],
    attend: Kernel | None,
) -> Iterator[Check]:
    if model is None or conditioning is None or attend is None:
        missing = golden.about.get("dit_weights" if model is None else "conditioning_and_noise_from")
        raise CannotRun(f"{missing} is not in the folder", "copy it there")
    run, given = golden.of(name), inputs(conditioning.tensors)
    sampler, scheduler = str(about["sampler"]), str(about["scheduler"])
    times = schedule(scheduler, int(about["steps"]), shift=float(about["shift"]))
    yield compare("sigmas", 1.0 - times, run["sigmas"].double(), GRID_TOLERANCE)
    noise = conditioning.tensors["noise"] * initial_scale(scheduler, times)
    states, _ = _sample(model, Guidance(float(about["cfg"])), given._replace(x=noise), attend, sampler, times)
    yield compare("x", states, run["x"], COMFY_TOLERANCE)


def _guidance(about: Mapping[str, Any]) -> Guidance:
    """The official arguments: a flow time, and a norm that may be text."""
    truncation = Truncation("time", float(about.get("cfg_trunc", 100)))
    return Guidance(float(about["cfg_scale"]), truncation, float(about.get("renorm_cfg", 0.0)))


def _velocity(model: NextDiT, guidance: Guidance, given: Inputs, attend: Kernel, *, steps: int, calls: int) -> Velocity:
    """Rows of the inputs are [conditional, unconditional]."""
    hidden, mask, pooled = given.hidden, given.mask, given.pooled
    size = (given.x[0].shape[-2], given.x[0].shape[-1])
    pair = partial(model.prepare, hidden, mask, pooled, size, attend=attend)
    one = None if pooled is None else pooled[:1]
    alone = partial(model.prepare, hidden[:1], mask[:1], one, size, attend=attend)
    return Velocity(model, guidance, pair=pair, alone=alone, steps=steps, evaluations=calls)


@torch.no_grad()
def _sample(
    model: NextDiT, guidance: Guidance, given: Inputs, attend: Kernel, sampler: str, times: Tensor
) -> tuple[Tensor, Tensor]:
    """All states (T, C, h, w), the noise first, and the times at which the model was asked."""
    steps, noise = len(times) - 1, given.x[0][None]
    velocity = _velocity(model, guidance, given, attend, steps=steps, calls=evaluations(sampler, steps))
    states, asked = [noise], []

    def field(x: Tensor, t: float) -> Tensor:
        asked.append(t)
        return velocity(x, t)

    def on_step(index: int, count: int, x: Tensor, t: float, denoised: Tensor) -> None:
        states.append(x)

    solver(sampler)(field, noise, times, on_step)
    return torch.cat(states), torch.tensor(asked, dtype=torch.float64)
