"""Which preset a request means: the one for its grid, with what it brings along.

`--plan draft --steps 28` asks for something like an exact picture of 28 steps. The preset measured against those may
draw with fewer; then the request that is drawn, and its record, say so: `--plan draft@28,1.5 --steps 9 --shift 1.0`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from newbie.accel.calibration import Calibration, Grid, Named
from newbie.errors import UsageError
from newbie.request import Recommended, Request
from newbie.sampling import times


def grid_of(request: Request) -> Grid:
    """Of a resolved request."""
    assert request.steps and request.sampler and request.schedule and request.shift
    return Grid(request.sampler, times.resolve(request.schedule, request.sampler), request.shift, request.steps)


def fields_of(calibration: Calibration, recommended: Recommended, request: Request) -> dict[str, Any]:
    """What the preset that a request names makes of its fields; nothing where it names none: `Recommended.preset`.

    Raises:
        UsageError: there is none for the request's grid, or one for a grid that is named and others are typed.
    """
    named = Named.read(request.plan)
    if named is None:
        return {}
    whole = {
        name: getattr(recommended, name) if getattr(request, name) is None else getattr(request, name)
        for name in ("steps", "shift", "sampler", "schedule")
    }
    asked = replace(request, **whole)
    asked.check()
    grid = grid_of(asked)
    if request.steps is None and named.steps is None:
        grid = calibration.nearest(named.name, grid)
    preset = calibration.preset(request.plan, grid)
    draws = {"steps": preset.runs_on.steps, "shift": preset.runs_on.shift, **preset.own}
    for name, value in draws.items():
        chosen_by = name in whole and getattr(named, name, None) is None
        if not chosen_by and getattr(request, name) not in (None, value):
            raise UsageError(
                f"preset {request.plan} draws with {name} {value}, not {getattr(request, name)}",
                f"leave out --{name.replace('_', '-')}, or name methods with --accel",
            )
    if preset.runs_on == preset.grid:
        return {**draws, "plan": named.name}
    return {**draws, "plan": f"{named.name}@{preset.grid.steps},{preset.grid.shift}"}
