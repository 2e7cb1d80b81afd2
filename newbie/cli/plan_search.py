"""`python -m newbie plan search`: find out which attention a model can do without, and write plans of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newbie.cli import args, values
from newbie.cli.plan import GRID_FLAGS, facts_of, refuse_existing, write_plan
from newbie.cli.sources import negative_text, resolve_all
from newbie.errors import OutputError, UsageError
from newbie.flags import Parser
from newbie.request import SIZE_MULTIPLE

if TYPE_CHECKING:
    from newbie.accel.compose import Facts
    from newbie.accel.plan import WindowShape
    from newbie.calibrate.plans import Searched, Wish
    from newbie.request import Request

ALL = "all"
PICTURES = 6  # as many as the paper's for PixArt
SEED = 2_000_000  # of the first picture, away from those of benchmarks
UNFINISHED = ".search"  # is added to a plan's name
REQUEST_FLAGS = ("negative", *GRID_FLAGS, "cfg_renorm", "seed", "canonical", "system_prompt", "prompt_mode")
_EPILOG = """\
examples:
  python -m newbie plan search --level D3 --output d3.json            newbie-mini, as it is best used
  python -m newbie plan search --level all --objective ratio --feed-forward --output plans/
  python -m newbie plan search --threshold 0.04 --size 512 --prompt my-prompts/ --output mine.json

What was found is kept after every evaluation, beside the plan that is to be written: the same command goes on from
there. create.py --plan FILE draws by a plan. docs/ditfastattn.md tells what is searched, and how.
"""


def parser() -> Parser:
    made = Parser(
        prog="python -m newbie plan search",
        description="DiTFastAttn's search for what each layer may leave out at each evaluation, on some prompts.",
        epilog=_EPILOG,
    )
    add = made.add_argument
    add("--output", "-o", type=Path, required=True, metavar="FILE|FOLDER", help="the plan; for --level all a folder")
    add("--overwrite", action="store_true", help="replace plans that are there")
    what = made.add_argument_group("what may be lost")
    what.add_argument("--level", metavar="D1..D6|all", help="the paper's levels of allowed loss, 0.025 to 0.15")
    what.add_argument("--threshold", type=values.number, metavar="X", help="the allowed loss, as a number")
    what.add_argument("--loss", default="paper_abs", metavar="NAME", help="paper_abs (default) or official_signed")
    how = made.add_argument_group("how it is searched")
    how.add_argument("--objective", default="paper", metavar="NAME",
                     help="paper: layer by layer (default); ratio: what saves most per loss first")  # fmt: skip
    how.add_argument("--feed-forward", action="store_true", help="the feed-forward branches too")
    how.add_argument("--weighting", default="none", metavar="NAME",
                     help="none, dt, dt_floor: less loss where a step of the grid is long")  # fmt: skip
    how.add_argument("--tile", type=values.whole, metavar="N",
                     help="image tokens of a window's squares; default: 8, less for small pictures")  # fmt: skip
    how.add_argument("--radius", type=values.whole, default=1, metavar="N", help="squares seen around (default: 1)")
    how.add_argument("--patience", type=values.whole, metavar="N",
                     help="give an action up where it failed N times in a row: faster, not the same plan")  # fmt: skip
    on = made.add_argument_group("on which prompts")
    on.add_argument("--prompt", "-p", action="append", nargs="+", default=[], metavar="PROMPT",
                    help="as create.py's, a picture each; default: our own")  # fmt: skip
    on.add_argument("--pictures", type=values.whole, metavar="N", help=f"of our own prompts (default: {PICTURES})")
    args.add_request_flags(made.add_argument_group("the request, as create.py has it"), only=REQUEST_FLAGS)
    model = made.add_argument_group("model")
    model.add_argument("--model", "-m", metavar="PATH", help="folder or file; default: newbie-mini")
    model.add_argument("--allow-pickle", action="store_true", help="read .pth files (tensors only, never code)")
    for name in ("device", "dtype", "attention"):
        model.add_argument("--" + name, default="auto", help=args.SETTINGS_FLAGS[name].help)
    return made


def search(arguments: Sequence[str], say: Callable[[str], None]) -> int:
    """Exit code 0. Whatever is wrong with the request is told before weights load; raises NewbieError."""
    typed = parser().strict(arguments)
    deltas = _deltas(typed)
    _check_names(typed)
    places = _places(typed, list(deltas))
    texts = _texts(typed)
    fields = args.request_fields(vars(typed))
    if "negative" in fields:
        fields["negative"] = negative_text(fields["negative"])

    # Imported here, so that --help need not wait for torch.
    from newbie import Pipeline, Request, Settings
    from newbie.accel.search import Found
    from newbie.calibrate.plans import Batch, plan_of, rendered, searched
    from newbie.checkpoints import locate
    from newbie.pipeline import bundled

    parts = locate(typed.model or bundled(), allow_pickle=typed.allow_pickle)
    request = Request(**{"seed": SEED, **fields}, regions="off").resolved(parts.recommended)
    facts = facts_of(parts, request, hashed=True)
    wish = _wish(typed, request, facts, say)
    rendered(texts, request)
    if len(deltas) > 1:
        typed.output.expanduser().mkdir(exist_ok=True)
    founds = {
        name: Found.open(_unfinished(places[name]), wish.settings(delta, request, texts, facts.run))
        for name, delta in deltas.items()
    }
    for name, found in founds.items():
        if found.losses:
            say(f"{name}: {len(found.losses)} of {facts.evaluations} evaluations were searched before")
    pipeline = Pipeline.open(
        typed.model or bundled(),
        allow_pickle=typed.allow_pickle,
        settings=Settings(device=typed.device, dtype=values.dtype(typed.dtype), attention=typed.attention),
    )
    batch = Batch.of(pipeline, texts, request)
    say(f"{pipeline.name}: {len(texts)} pictures of {request.width}x{request.height}, {facts.evaluations} evaluations, "
        f"{facts.run.layers} layers; {', '.join(deltas)}")  # fmt: skip
    done: list[Searched] = []
    for each in searched(batch, wish, deltas, founds, say):
        say(each.told())
        done.append(each)
    for each in done:  # all of them are there or none, so that the same command goes on as long as something is missing
        plan = plan_of(each, wish, facts.run, {"pictures": len(texts), "seed": request.seed})
        write_plan(places[each.name], plan)
    for each in done:
        _unfinished(places[each.name]).unlink(missing_ok=True)
        say(f"{places[each.name]}: written")
    return 0


def _deltas(typed: Any) -> dict[str, float]:
    """The losses that are allowed, by the names of their plans."""
    from newbie.accel.search import LEVELS

    if (typed.level is None) == (typed.threshold is None):
        raise UsageError("a search needs the loss that is allowed", "--level D1 to D6 or all, or --threshold X")
    if typed.level is None:
        if not 0.0 < typed.threshold < float("inf"):  # also refuses NaN
            raise UsageError(f"--threshold {typed.threshold:g} allows nothing to search for", "for example 0.05")
        return {f"threshold {typed.threshold:g}": typed.threshold}
    name = typed.level.strip()
    if name.lower() == ALL:
        return LEVELS
    if name.upper() not in LEVELS:
        raise UsageError(f"there is no level {name!r}", f"{', '.join(LEVELS)} or all; or --threshold X")
    return {name.upper(): LEVELS[name.upper()]}


def _check_names(typed: Any) -> None:
    from newbie.accel.decide import WEIGHTINGS
    from newbie.accel.search import LOSSES, OBJECTIVES

    for flag, known in (("loss", LOSSES), ("objective", OBJECTIVES), ("weighting", WEIGHTINGS)):
        if (name := getattr(typed, flag)) not in known:
            raise UsageError(f"there is no --{flag} {name}", f"one of {', '.join(known)}")
    for flag, value, least in (
        ("tile", typed.tile, 1), ("radius", typed.radius, 0), ("patience", typed.patience, 1),
        ("pictures", typed.pictures, 1),
    ):  # fmt: skip
        if value is not None and value < least:
            raise UsageError(f"--{flag} {value} is too small", f"{least} at least")
    if typed.prompt and typed.pictures is not None:
        raise UsageError("--prompt and --pictures exclude each other", "--pictures is of our own prompts")


def _places(typed: Any, names: Sequence[str]) -> dict[str, Path]:
    """Where plans go, by their names."""
    output = typed.output.expanduser()
    if len(names) == 1:
        if output.is_dir():
            raise OutputError(f"{output} is a folder", "name a file, for example d3.json")
        refuse_existing(output, overwrite=typed.overwrite)
        return {names[0]: output}
    places = {name: output / f"{name.lower()}.json" for name in names}
    if not output.is_dir():
        refuse_existing(output, overwrite=False)  # the folder will be made
        return places
    for place in places.values():
        refuse_existing(place, overwrite=typed.overwrite)
    return places


def _unfinished(place: Path) -> Path:
    return place.with_name(place.name + UNFINISHED)


def _texts(typed: Any) -> list[str]:
    """Prompts; those of files are read now, so that what is wrong with them is told."""
    if typed.prompt:
        return [source.read().source.text for source in resolve_all(typed.prompt)]
    from newbie.calibrate.prompts import drawn_up

    return drawn_up(typed.pictures or PICTURES)


def _wish(typed: Any, request: Request, facts: Facts, say: Callable[[str], None]) -> Wish:
    from newbie.accel.decide import weighted
    from newbie.calibrate.plans import Wish

    if facts.evaluations < 2:
        raise UsageError("one evaluation leaves nothing to search: the first computes everything", "more --steps")
    weights = None if typed.weighting == "none" else weighted(facts.intervals, typed.weighting)
    window = _window(typed, request, say)
    if not any(facts.run.paired):
        say("without guidance nothing is shared across it")
    return Wish(typed.loss, typed.objective, typed.feed_forward, window, weights, typed.patience)


def _window(typed: Any, request: Request, say: Callable[[str], None]) -> WindowShape | None:
    """That was asked for, or fits the picture; None where it would hide nothing."""
    from newbie.accel.plan import WindowShape
    from newbie.attention.window import Tiles
    from newbie.calibrate.plans import window_for

    assert request.height and request.width  # resolved
    grid = request.height // SIZE_MULTIPLE, request.width // SIZE_MULTIPLE
    if typed.tile is not None:
        if Tiles(typed.tile, typed.radius).whole(grid):
            raise UsageError(
                f"windows of --tile {typed.tile} and --radius {typed.radius} show all of {grid[1]}x{grid[0]} image "
                "tokens, and save nothing",
                "smaller ones, or larger pictures",
            )
        return WindowShape(typed.tile, typed.radius)
    found = window_for(grid, typed.radius)
    say("the picture is too small for windows: they are not tried" if found is None else
        f"windows: squares of {found.side}x{found.side} image tokens of {grid[1]}x{grid[0]}, seen {found.radius} "
        "squares far")  # fmt: skip
    return found
