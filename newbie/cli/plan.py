"""`python -m newbie plan`: show a plan of accelerations, check whether it fits a model and a request, make one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newbie.cli import args
from newbie.cli.files import write_whole
from newbie.cli.parser import Parser
from newbie.errors import OutputError, UsageError

if TYPE_CHECKING:
    from newbie.accel.compose import Facts

GRID_FLAGS = (
    "size", "width", "height", "steps", "cfg_scale", "cfg_trunc", "sampler", "schedule", "shift",
)  # fmt: skip
_EPILOG = """\
examples:
  python -m newbie plan make fora:interval=3 --output fora.json    a method as a plan, for newbie-mini
  python -m newbie plan show fora.json                             layers x evaluations, a character each
  python -m newbie plan check fora.json --steps 28                 whether it fits; flags are those of create.py

create.py --plan FILE draws by it. docs/acceleration.md tells the format, and which methods can be plans.
"""


def parser() -> Parser:
    made = Parser(
        prog="python -m newbie plan", description="Show, check and make plans of accelerations.", epilog=_EPILOG
    )
    made.add_argument("what", choices=("show", "check", "make"))
    made.add_argument("plan", metavar="FILE|METHOD", help="a plan file; for make: a method, as --accel takes it")
    made.add_argument("--output", "-o", type=Path, metavar="FILE", help="make: where the plan goes")
    made.add_argument("--overwrite", action="store_true", help="replace that file")
    made.add_argument("--model", "-m", metavar="PATH", help="folder or file; default: newbie-mini")
    made.add_argument("--allow-pickle", action="store_true", help="read .pth files (tensors only, never code)")
    args.add_request_flags(made.add_argument_group("the request"), only=GRID_FLAGS)
    return made


def main(arguments: Sequence[str], say: Callable[[str], None]) -> int:
    """Exit code 0; 2 for a plan that is damaged or does not fit, with the reason."""
    from newbie.accel.plan import Plan

    typed = parser().strict(arguments)
    if typed.what == "make":
        return _make(typed, say)
    plan = Plan.read(Path(typed.plan).expanduser())
    if typed.what == "show":
        for line in plan.picture():
            say(line)
        return 0
    facts = _facts(typed, hashed=bool(plan.weights))
    plan.refuse(facts.run, Path(typed.plan).name)
    say(f"{typed.plan} fits: {plan.about()}")
    return 0


def _make(typed: Any, say: Callable[[str], None]) -> int:
    from newbie.accel.compose import asked, compiled

    choices, _ = asked(typed.plan, "")
    if len(choices) != 1:
        raise UsageError(
            f"{typed.plan!r} is not one method", "for example: plan make fora:interval=3 --output fora.json"
        )
    facts = _facts(typed, hashed=True)
    plan = compiled(choices[0], replace(facts, run=replace(facts.run, weights="", resolution=None)))
    plan = replace(plan, meta={"made_from": str(choices[0])})
    if typed.output is not None:
        if typed.output.exists() and not typed.overwrite:
            raise OutputError(f"{typed.output} exists already", "choose another name, or --overwrite")
        write_whole(typed.output, (json.dumps(plan.to_json(), indent=1) + "\n").encode())
    for line in plan.picture():
        say(line)
    return 0


def _facts(typed: Any, *, hashed: bool) -> Facts:
    """The run that these flags ask for. Headers of weights are read, and with `hashed` their numbers, for the hash."""
    from newbie.accel.calibration import Calibration
    from newbie.accel.compose import Facts
    from newbie.accel.decide import intervals
    from newbie.accel.plan import Run
    from newbie.checkpoints import locate, weights_hash
    from newbie.checkpoints.plan import plan_load
    from newbie.pipeline import bundled
    from newbie.request import Request
    from newbie.sampling import solvers, times
    from newbie.sampling.guidance import Guidance

    parts = locate(typed.model or bundled(), allow_pickle=typed.allow_pickle)
    request = Request(**args.request_fields(vars(typed))).resolved(parts.recommended)
    assert request.steps and request.sampler and request.schedule and request.shift  # resolved
    assert request.width and request.height
    schedule = times.resolve(request.schedule, request.sampler)
    grid = times.schedule(schedule, request.steps, shift=request.shift, sampler=request.sampler)
    asked = solvers.asked(request.sampler, grid)
    guidance = Guidance.parse(request.cfg_scale or 0.0, request.cfg_trunc or "")
    guided = guidance.guided(asked, len(grid) - 1)
    config: Any = plan_load(parts.transformer).module.config
    weights = weights_hash(parts) if hashed else ""
    run = Run(
        layers=config.n_layers,
        width=config.dim,
        steps=len(grid) - 1,
        solver=request.sampler,
        schedule=schedule,
        shift=request.shift,
        paired=tuple(guided),
        guided=any(guided),
        resolution=(request.width, request.height),
        weights=weights,
    )
    calibration = Calibration.read(parts.folder, parts.name, weights)
    return Facts(run, tuple(intervals(grid.tolist(), len(asked))), calibration=calibration)
