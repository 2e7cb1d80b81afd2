"""`python -m newbie plan`: show a plan of accelerations, check whether it fits a model and a request, make one; list
the methods that plans and `--accel` know.

`plan search` has flags of its own: `plan_search`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newbie.cli import args
from newbie.cli.files import write_whole
from newbie.errors import OutputError, UsageError
from newbie.flags import Parser

if TYPE_CHECKING:
    from newbie.accel.compose import Facts
    from newbie.accel.plan import Plan
    from newbie.checkpoints import Components
    from newbie.request import Request

GRID_FLAGS = (
    "size", "width", "height", "steps", "cfg_scale", "cfg_trunc", "sampler", "schedule", "shift",
)  # fmt: skip
_EPILOG = """\
examples:
  python -m newbie plan make fora:interval=3 --output fora.json    a method as a plan, for newbie-mini
  python -m newbie plan show fora.json                             layers x evaluations, a character each
  python -m newbie plan show fora.json --picture fora.png          the same as a picture
  python -m newbie plan check fora.json --steps 28                 whether it fits; flags are those of create.py
  python -m newbie plan methods                                    every method of --accel, with its parameters
  python -m newbie plan search --level D3 --output d3.json         DiTFastAttn's search; --help tells its flags

create.py --plan FILE draws by it. docs/acceleration.md tells the format, and which methods can be plans.
"""


def parser() -> Parser:
    made = Parser(
        prog="python -m newbie plan", description="Show, check, make and search plans of accelerations.", epilog=_EPILOG
    )
    made.add_argument("what", choices=("show", "check", "make", "search", "methods"))
    made.add_argument(
        "plan", nargs="?", metavar="FILE|METHOD",
        help="a plan file; for make: a method, as --accel takes it; for methods: the name of one, or nothing",
    )  # fmt: skip
    made.add_argument("--output", "-o", type=Path, metavar="FILE", help="make: where the plan goes")
    made.add_argument("--picture", type=Path, metavar="FILE.png", help="show: also as a picture")
    made.add_argument("--overwrite", action="store_true", help="replace that file")
    made.add_argument("--model", "-m", metavar="PATH", help="folder or file; default: newbie-mini")
    made.add_argument("--allow-pickle", action="store_true", help="read .pth files (tensors only, never code)")
    args.add_request_flags(made.add_argument_group("the request"), only=GRID_FLAGS)
    return made


def main(arguments: Sequence[str], say: Callable[[str], None]) -> int:
    """Exit code 0; 2 for a plan that is damaged or does not fit, with the reason."""
    from newbie.accel.plan import Plan

    if arguments[:1] == ["search"]:
        from newbie.cli.plan_search import search

        return search(arguments[1:], say)
    typed = parser().strict(arguments)
    if typed.picture is not None and typed.what != "show":
        raise UsageError(f"--picture goes with show, not with {typed.what}", "plan show FILE --picture FILE.png")
    if typed.what == "methods":
        from newbie.accel.methods import help_lines

        for line in help_lines(typed.plan):
            say(line)
        return 0
    if typed.plan is None:
        raise UsageError(
            f"plan {typed.what} of what?", f"python -m newbie plan {typed.what} FILE, or a method for make"
        )
    if typed.what == "make":
        return _make(typed, say)
    plan = Plan.read(Path(typed.plan).expanduser())
    if typed.what == "show":
        if typed.picture is not None:
            refuse_existing(typed.picture, overwrite=typed.overwrite)
            write_whole(typed.picture, _png(plan, Path(typed.plan).name))
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
        refuse_existing(typed.output, overwrite=typed.overwrite)
        write_plan(typed.output, plan)
    for line in plan.picture():
        say(line)
    return 0


def _png(plan: Plan, name: str) -> bytes:
    import io

    from newbie.accel.plan_picture import drawn

    file = io.BytesIO()
    drawn(plan, name).save(file, "PNG")
    return file.getvalue()


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raise OutputError where a file would be replaced, or there is no folder for it."""
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already", "choose another name, or --overwrite")
    if not path.absolute().parent.is_dir():
        raise OutputError(f"there is no folder {path.parent}", "make it, or name another")


def write_plan(path: Path, plan: Plan) -> None:
    """Whole or not at all. Raises OutputError."""
    write_whole(path, (json.dumps(plan.to_json(), indent=1) + "\n").encode())


def _facts(typed: Any, *, hashed: bool) -> Facts:
    """The run that these flags ask for, as `facts_of` has it."""
    from newbie.checkpoints import locate
    from newbie.pipeline import bundled
    from newbie.request import Request

    parts = locate(typed.model or bundled(), allow_pickle=typed.allow_pickle)
    return facts_of(parts, Request(**args.request_fields(vars(typed))).resolved(parts.recommended), hashed=hashed)


def facts_of(parts: Components, request: Request, *, hashed: bool) -> Facts:
    """The run of a resolved request. Headers of weights are read, and with `hashed` their numbers, for the hash."""
    from newbie.accel.calibration import Calibration
    from newbie.checkpoints import weights_hash
    from newbie.pipeline import early

    weights = weights_hash(parts) if hashed else ""
    return early.facts_of(parts, request, weights, Calibration.read(parts.folder, parts.name, weights))
