"""What is asked for becomes what runs: every method, and the order of all of them.

    guidance:   Truncation -> Delta -> ...            which rows run in an evaluation
    the stack:  Streamed(Sides(Packed | Apart(        weights, biases, padding
                TextFreeze(                           whether words run, or the image alone
                StackCache(                           which blocks run
                InOrder(RunBlock(                     in order, the last for the image alone
                BranchCache | FastAttention           which branches run; or how much of them
                | PrunedHeads))))))

Everything outside `TextFreeze` is exact and is arranged by `newbie.denoise`; the rest by `accel.policies`. A new policy
is an `Attend`, a `Feed` or a rule for the stack (one function in `STACKS`), and a line in `accel.rulings` for each
thing that it cannot go together with. Nothing of torch is needed to check what was asked for, so refusals come before
weights load.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from newbie.accel import methods
from newbie.accel.budget import CLASSES, Pruning
from newbie.accel.calibration import MAKE, Calibration, Grid, Named, is_file
from newbie.accel.decide import Accumulate, Change, Curve, Decide, Every, Freeze, Mask, weighted
from newbie.accel.methods import Choice
from newbie.accel.plan import BRANCHES, Plan, Run, Stack
from newbie.accel.policies import Middle, Policies
from newbie.accel.predict import AsPlanned, Predict, Taylor
from newbie.accel.rulings import refuse_together
from newbie.errors import UsageError
from newbie.step import Memory, Step

LATE = 0.15  # of the evaluations are computed at the end, where the grid is shifted:
SHIFTED = 3.0


@dataclass(frozen=True)
class Facts:
    """The run that accelerations are for."""

    run: Run
    intervals: tuple[float, ...]  # the flow time that each evaluation answers for
    paired: Callable[[int], tuple[bool, ...]] | None = None  # period of delta -> `run.paired` with it; None: as without
    calibration: Calibration = field(default_factory=Calibration)
    besides: frozenset[str] = frozenset()  # "cuda graphs", "heat-maps", "regions": other wishes that rulings name
    scale: float = 1.0  # of the guidance
    detail: float = 0.0  # that the prompt asks for: `accel.budget.detail`

    @property
    def evaluations(self) -> int:
        return len(self.run.paired)


@dataclass(frozen=True)
class Composed:
    """What was asked for, in full."""

    policies: Policies | None = None  # None: the blocks run as they always do
    delta: tuple[int, Predict] | None = None  # period, and what differences are guessed by
    told: tuple[str, ...] = ()  # what acts, for the record
    notes: tuple[str, ...] = ()  # what a person may want to know before it runs


def asked(
    accel: str, plan: str, besides: frozenset[str] = frozenset(), typed: Mapping[str, Any] = MappingProxyType({})
) -> tuple[tuple[Choice, ...], Plan | None]:
    """Read what was asked for; a preset's name is no plan. What does not go together is refused. Loads nothing.

    `typed`: fields of a `Request` that are known already; a plan for others is refused.

    Raises:
        UsageError: see `methods.parse`, `Plan.read` and `accel.rulings`.
    """
    choices = methods.parse(accel)
    named = "plan" if is_file(plan) else "preset" if Named.read(plan) else plan
    read = Plan.read(Path(plan).expanduser()) if named == "plan" else None
    refuse_together([choice.name for choice in choices] + ([named] if named else []), besides)
    for name, ours in () if read is None else _grid_of(read):
        if typed.get(name) not in (None, "auto", ours):
            raise UsageError(
                f"{plan} is for {name} {ours}, not {typed[name]}", f"--{name} {ours}, or a plan made for that"
            )
    return choices, read


def _grid_of(plan: Plan) -> list[tuple[str, Any]]:
    fields = [("steps", plan.steps), ("sampler", plan.solver), ("schedule", plan.schedule), ("shift", plan.shift)]
    return fields + (list(zip(("width", "height"), plan.resolution, strict=True)) if plan.resolution else [])


def compose(accel: str, plan: str, facts: Facts) -> Composed:
    """What `--accel` and `--plan` say, for one run.

    Raises:
        UsageError: it cannot be read, does not go together, or does not fit the run.
    """
    choices, read = asked(accel, plan, facts.besides)
    notes: list[str] = []
    if (named := Named.read(plan)) is not None:
        grid = Grid.of(facts.run)
        preset = facts.calibration.preset(plan, grid)
        if preset.runs_on != grid:
            raise UsageError(f"preset {plan} draws {preset.runs_on}, not {grid}", "leave out --steps and --shift")
        notes.append(preset.told(named.name))
        choices = methods.parse(preset.accel)
        refuse_together([choice.name for choice in choices], facts.besides)
    told = [str(choice) for choice in choices] + ([f"plan {Path(plan).name}"] if read is not None else [])
    chosen = {choice.name: choice for choice in choices}
    delta, facts = _delta(chosen.pop("delta", None), facts)
    freeze, pruning = _freeze(chosen.pop("freeze", None), facts), _prune(chosen.pop("prune", None), facts)
    policies = Policies()
    for choice in chosen.values():  # one at most: two methods that decide about blocks are refused
        if choice.name in PLANNED:
            policies = _planned(PLANNED[choice.name](choice, facts), facts)
        else:
            policies = Policies(STACKS[choice.name](choice, facts))
    if read is not None:
        read.refuse(facts.run, plan)
        refuse_together(["a plan of window, cfg or mean_v"] if read.shares else [], facts.besides)
        policies = _planned(read, facts)
    policies = replace(policies, freeze=freeze, pruning=pruning)
    policies.refuse()
    if pruning is not None and pruning.detail:
        notes.append(f"prune: the prompt asks for detail, so the budget is {pruning.allowed(None):.3g}")
    return Composed(None if policies == Policies() else policies, delta, tuple(told), tuple(notes))


def compiled(choice: Choice, facts: Facts) -> Plan:
    """A method that knows before the run what it will do, as a plan.

    Raises:
        UsageError: it decides on the way, or about something else.
    """
    if choice.name not in PLANNED:
        why = "decides while it runs" if choice.name in STACKS else "is no choice of blocks or branches"
        raise UsageError(
            f"{choice.name} {why}, so there is no plan of it",
            "plans can be made of " + ", ".join(PLANNED),
        )
    return PLANNED[choice.name](choice, facts)


def _delta(choice: Choice | None, facts: Facts) -> tuple[tuple[int, Predict] | None, Facts]:
    """Period and predictor of reused differences, and the run with the rows that it leaves."""
    if choice is None or choice.whole("period") < 2:
        return None, facts
    period = choice.whole("period")
    if facts.paired is not None:
        facts = replace(facts, run=replace(facts.run, paired=facts.paired(period)))
    return (period, Taylor(choice.whole("order"))), facts


def _planned(plan: Plan, facts: Facts) -> Policies:
    """What carries a plan out: nothing where it computes everything."""
    if plan.empty:
        return Policies()
    middle = None
    if plan.skips:
        bits = tuple(action == "compute" for action in plan.step_actions)
        predict = AsPlanned(Taylor(plan.stack.order), plan.step_actions)
        middle = Middle(Mask(bits=bits), predict, plan.stack.front, plan.stack.back)
    return Policies(middle, plan, facts.run.paired)


# ---- methods that know before


def _fora(choice: Choice, facts: Facts) -> Plan:
    branches = BRANCHES if choice.word("parts") == "both" else (choice.word("parts"),)
    decide = Every(interval=choice.whole("interval"), **_ends(choice, facts))
    kept = "forecast" if choice.whole("order") else "reuse"
    row = tuple("compute" if each else kept for each in simulated(decide, facts))
    rows = {(layer, branch): row for layer in range(facts.run.layers) for branch in branches}
    return Plan.of(facts.run, stack=Stack(order=choice.whole("order")), layer_actions=rows)


def _deepcache(choice: Choice, facts: Facts) -> Plan:
    return _of_steps(choice, facts, Every(interval=choice.whole("interval"), **_ends(choice, facts)))


def _mask(choice: Choice, facts: Facts) -> Plan:
    return _of_steps(choice, facts, Mask(bits=methods.places(choice.word("steps"), facts.evaluations), catch_up=True))


def _magcache(choice: Choice, facts: Facts) -> Plan:
    """The ratios are known before, so the whole schedule is (Ma et al. 2025, arXiv 2506.09045, algorithm 1)."""
    ratios = facts.calibration.ratio(facts.run)
    if len(ratios) != facts.evaluations:
        raise UsageError(
            f"{facts.calibration.name} has {len(ratios)} MagCache ratios for {facts.evaluations} evaluations", MAKE
        )
    warmup = max(1, round(choice.number("retention") * facts.evaluations))
    last = facts.evaluations - _cooldown(choice, facts)
    bits, product, error, skipped = [], 1.0, 0.0, 0
    for i, ratio in enumerate(ratios):
        product *= ratio
        error, skipped = error + abs(1 - product), skipped + 1
        compute = (
            i < warmup or i >= last or not error < choice.number("threshold") or skipped > choice.whole("in_a_row")
        )
        if compute:
            product, error, skipped = 1.0, 0.0, 0
        bits.append(compute)
    return _of_steps(choice, facts, Mask(bits=tuple(bits), catch_up=True))


def _of_steps(choice: Choice, facts: Facts, decide: Decide) -> Plan:
    kept = "forecast" if choice.whole("order") else "skip"
    stack = Stack(*_outer(choice, facts), choice.whole("order"))
    actions = tuple("compute" if each else kept for each in simulated(decide, facts, by_side=not stack.back))
    return Plan.of(facts.run, stack=stack, step_actions=actions)


PLANNED: dict[str, Callable[[Choice, Facts], Plan]] = {
    "fora": _fora,
    "deepcache": _deepcache,
    "mask": _mask,
    "magcache": _magcache,
}


def simulated(decide: Decide, facts: Facts, *, by_side: bool = False) -> list[bool]:
    """What a rule that looks at nothing will decide; `by_side`: for a stack, which remembers in common."""
    memories = {True: Memory(), False: Memory()}
    found: list[bool] = []
    negative = last = -1  # when the negative prompt's rows were computed last, and any
    for i, paired in enumerate(facts.run.paired):
        memory = memories[paired and not by_side]
        compute = decide(
            Step(i, facts.evaluations, 0.0, memory), "", _nothing, must=by_side and paired and negative < last
        )
        if compute:
            negative, last = (i if paired else negative), i
        found.append(compute)
    return found


def _nothing() -> Any:
    raise AssertionError("a rule that is known before looks at nothing")


# ---- methods that decide on the way


def _fbcache(choice: Choice, facts: Facts) -> Middle:
    return _by_change(choice, facts, 1, 0)


def _dbcache(choice: Choice, facts: Facts) -> Middle:
    front, back = _outer(choice, facts)
    if front == 0:
        raise UsageError("dbcache looks at what its first blocks change, and has none", "dbcache:front=1 or more")
    also = methods.places(choice.word("steps"), facts.evaluations) if choice.word("steps") else ()
    more: dict[str, Any] = {
        "total": choice.number("total"),
        "also": frozenset(i for i, each in enumerate(also) if each),
    }
    return _by_change(choice, facts, front, back, more)


def _by_change(choice: Choice, facts: Facts, front: int, back: int, more: Mapping[str, Any] | None = None) -> Middle:
    from newbie.accel.stack import what_the_front_changed

    weights = weighted(facts.intervals, choice.word("weighting"))
    limits: dict[str, Any] = _ends(choice, facts) | _limits(choice) | dict(more or {})
    decide = Change(threshold=choice.number("threshold"), weights=weights, **limits)
    return Middle(decide, _course(choice), front, back, what_the_front_changed, _apart(choice))


def _teacache(choice: Choice, facts: Facts) -> Middle:
    from newbie.accel.stack import modulated_input

    named = choice.word("curve")
    curve = facts.calibration.curve(facts.run) if named == "calibrated" else Curve(methods.CURVES[named])
    curve = Curve(curve.coefficients, curve.low, curve.high, raw=choice.word("clamp") == "no")
    weights = weighted(facts.intervals, choice.word("weighting"))
    limits = _ends(choice, facts) | _limits(choice)
    decide = Accumulate(threshold=choice.number("threshold"), curve=curve, weights=weights, **limits)
    return Middle(decide, _course(choice), look=modulated_input, apart=_apart(choice))


STACKS: dict[str, Callable[[Choice, Facts], Middle]] = {
    "fbcache": _fbcache,
    "dbcache": _dbcache,
    "teacache": _teacache,
}


def _freeze(choice: Choice | None, facts: Facts) -> Freeze | None:
    if choice is None:
        return None
    stop = facts.evaluations - _cooldown(choice, facts)
    return Freeze.between(choice.number("at"), stop, choice.whole("refresh"), facts.evaluations)


def _prune(choice: Choice | None, facts: Facts) -> Pruning | None:
    if choice is None:
        return None
    classes = choice.word("classes")
    pruning = Pruning(
        facts.run.layers,
        facts.scale,
        budget=choice.number("budget"),
        rows=choice.whole("rows"),
        classes=CLASSES if classes == "all" else tuple(classes.split("+")),
        refresh=choice.whole("refresh"),
        guidance=choice.word("guidance") == "yes",
        detail=facts.detail if choice.word("detail") == "yes" else 0.0,
        tile=choice.whole("tile"),
        radius=choice.whole("radius"),
        always=choice.word("always") == "yes",
    )
    return pruning if pruning.inner else None


def _course(choice: Choice) -> Taylor:
    return Taylor(choice.whole("order"), choice.word("form"), choice.word("along"))


def _apart(choice: Choice) -> bool:
    return choice.word("scope") == "branch"


def _outer(choice: Choice, facts: Facts) -> tuple[int, int]:
    front, back = (choice.whole(key) if key in choice.values else 0 for key in ("front", "back"))
    if front + back > facts.run.layers:
        raise UsageError(
            f"{choice.name}: front {front} and back {back} are more than the model's {facts.run.layers} blocks",
            "at most all of them, and then nothing is skipped",
        )
    return front, back


def _limits(choice: Choice) -> dict[str, int]:
    return {key: choice.whole(key) for key in ("in_a_row", "at_most")}


def _ends(choice: Choice, facts: Facts) -> dict[str, int]:
    return {"warmup": choice.whole("warmup"), "cooldown": _cooldown(choice, facts)}


def _cooldown(choice: Choice, facts: Facts) -> int:
    said = choice.whole("cooldown")
    if said >= 0:
        return max(said, 1)
    return math.ceil(LATE * facts.evaluations) if facts.run.shift >= SHIFTED else 1
