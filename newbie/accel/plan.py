"""A plan: what every block does in every evaluation, known before the first. The format is accel-plan/1, in JSON.

    {"format": "accel-plan/1", "model": {"layers": 36, "width": 2304}, "steps": 28, "branch_layout": "cond+uncond",
     "grid": {"solver": "euler", "schedule": "official", "shift": 6.0}, "resolution": [1024, 1024],
     "stack": {"front": 1, "back": 0, "order": 0}, "window": {"side": 8, "radius": 1},
     "step_actions": ["compute", "skip", ...],
     "layer_actions": {"0": {"attn": ["compute", "reuse", ...], "ffn": [...]}}}

One action for each evaluation. In a step that is not "compute" the blocks between `front` and `back` do not run: what
they changed last is added again ("skip"), or extrapolated with the polynomial of `order` ("forecast"). Layers and
branches that are not named compute. `window` says which tiles of image tokens the action "window" sees.
`model.weights`, `resolution`, `stack`, `window` and `meta` may be left out, nothing else may be added. A plan is
refused wherever it does not fit, with the reason: it is never stretched.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from newbie.errors import UsageError

FORMAT = "accel-plan/1"
LAYOUTS = ("cond", "cond+uncond")
BRANCHES = ("attn", "ffn")
STEPS = ("compute", "skip", "forecast")
ACTIONS = ("compute", "window", "window+cfg", "cfg", "reuse", "mean_v", "forecast")
ATTENTION_ONLY = ("window", "window+cfg", "mean_v")
KEPT = ("reuse", "forecast")  # take what the branch gave before, and run nothing
BEFORE = (*KEPT, "window", "window+cfg")  # need the same layer computed before
PAIRED = ("cfg", "window+cfg")  # need a guided evaluation
SHARED = ("window", "mean_v", *PAIRED)  # what DiTFastAttn and pruning do inside a branch
SIGNS = {
    "compute": "#", "window": "w", "window+cfg": "v", "cfg": "c", "reuse": ".", "mean_v": "m", "forecast": "~",
    "skip": ".", "not run": " ",
}  # fmt: skip
MAX_BYTES = 16 * 2**20
REQUIRED = ("format", "model", "steps", "branch_layout", "grid", "step_actions")
OPTIONAL = ("resolution", "stack", "window", "layer_actions", "meta")


@dataclass(frozen=True)
class Stack:
    """The blocks that always run, first and last; how a value that is not computed is made of the last ones."""

    front: int = 0
    back: int = 0
    order: int = 0


@dataclass(frozen=True)
class WindowShape:
    """Squares of `side` x `side` image tokens; those up to `radius` squares away are seen: `attention.window.Tiles`."""

    side: int = 8
    radius: int = 1


@dataclass(frozen=True)
class Run:
    """What a plan is made for and compared with."""

    layers: int
    width: int
    steps: int  # as asked for: some schedules make a few more or fewer of them
    solver: str
    schedule: str
    shift: float
    paired: tuple[bool, ...]  # of each evaluation: do the unconditional rows run?
    guided: bool = True
    resolution: tuple[int, int] | None = None  # pixels, width first; None in a plan: any
    weights: str = ""  # their hash; "" in a plan: any


@dataclass(frozen=True)
class Plan:
    """Read one with `Plan.read`, make one with `Plan.of`; both raise UsageError where it makes no sense in itself."""

    layers: int
    width: int
    steps: int
    solver: str
    schedule: str
    shift: float
    step_actions: tuple[str, ...]
    guided: bool = True
    resolution: tuple[int, int] | None = None
    weights: str = ""
    stack: Stack = Stack()
    window: WindowShape = WindowShape()
    layer_actions: Mapping[tuple[int, str], tuple[str, ...]] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run, **rest: Any) -> Plan:
        """For a run; what is not said computes."""
        facts = {name: value for name, value in asdict(run).items() if name != "paired"}
        rest.setdefault("step_actions", ("compute",) * len(run.paired))
        plan = cls(**facts, **rest)
        plan.check()
        return plan

    # ---- what it says

    @property
    def evaluations(self) -> int:
        return len(self.step_actions)

    def actions(self, layer: int, branch: str) -> tuple[str, ...]:
        """Of one branch, an action for each evaluation."""
        found = self.layer_actions.get((layer, branch))
        return _all_computed(self.evaluations) if found is None else found

    def by_evaluation(self, branch: str) -> dict[tuple[int, int], str]:
        """(evaluation, layer) -> what one branch does, of the layers that are named; "skip" where they do not run."""
        return {
            (i, layer): action if self.runs(layer, i) else "skip"
            for (layer, each), row in self.layer_actions.items()
            if each == branch
            for i, action in enumerate(row)
        }

    def runs(self, layer: int, evaluation: int) -> bool:
        """Whether a block runs at all."""
        outer = layer < self.stack.front or layer >= self.layers - self.stack.back
        return outer or self.step_actions[evaluation] == "compute"

    def cut(self, branch: str) -> frozenset[int]:
        """The layers in which this branch does not always compute."""
        return frozenset(layer for (layer, each), row in self.layer_actions.items() if each == branch and _acts(row))

    @property
    def skips(self) -> bool:
        """Whether there are evaluations without the middle of the stack."""
        return _acts(self.step_actions)

    @property
    def empty(self) -> bool:
        return not self.skips and not any(self.cut(branch) for branch in BRANCHES)

    def used(self) -> set[str]:
        """All actions of branches."""
        return {action for row in self.layer_actions.values() for action in row}

    @property
    def shares(self) -> bool:
        """Whether a branch is computed in part (`accel.fastattn`), not only kept from before."""
        return bool(self.used() & set(SHARED))

    # ---- whether it makes sense

    def check(self, name: str = "the plan") -> None:
        """Raise UsageError for the first thing that contradicts another."""
        self._check_sizes(name)
        self._check_first_use(name, (True,) * self.evaluations)
        if self.shares and "forecast" in self.used():
            raise UsageError(
                f"{name}: forecast beside {sorted(self.used() & set(SHARED))[0]} in its layers",
                "what is computed in part is held, not extrapolated: say reuse, or leave the others out",
            )
        if not self.guided and (wanted := sorted(self.used() & set(PAIRED))):
            raise UsageError(
                f"{name}: {wanted[0]} shares between the rows of a guided pair, and its branch_layout is cond",
                "such actions need branch_layout cond+uncond",
            )

    def refuse(self, run: Run, name: str = "the plan") -> None:
        """Raise UsageError where this run is not the one the plan was made for."""
        wanted: list[tuple[str, Any, Any, str]] = [
            ("layers", self.layers, run.layers, "the plan belongs to another model"),
            ("width", self.width, run.width, "the plan belongs to another model"),
            ("steps", self.steps, run.steps, f"--steps {self.steps}"),
            ("solver", self.solver, run.solver, f"--sampler {self.solver}"),
            ("schedule", self.schedule, run.schedule, f"--schedule {self.schedule}"),
            ("shift", self.shift, run.shift, f"--shift {self.shift:g}"),
            ("evaluations", self.evaluations, len(run.paired), "the plan has an action for each evaluation"),
            ("guidance", _guidance(self.guided), _guidance(run.guided), "--cfg-scale says whether a picture is guided"),
        ]
        if self.weights and run.weights:
            wanted.append(("weights", self.weights, run.weights, "the plan belongs to other weights of this model"))
        if self.resolution and run.resolution:
            sides = "x".join(map(str, self.resolution))
            wanted.append(("size", sides, "x".join(map(str, run.resolution)), f"--size {sides}"))
        for what, ours, theirs, hint in wanted:
            same = math.isclose(ours, theirs, rel_tol=1e-9) if isinstance(ours, float) else ours == theirs
            if not same:
                raise UsageError(f"{name} is for {what} {ours}, this picture has {theirs}", hint)
        self._check_first_use(name, run.paired)
        for (layer, branch), row in self.layer_actions.items():
            for i, action in enumerate(row):
                if action in PAIRED and not run.paired[i]:
                    raise UsageError(
                        f"{name}: layer {layer} {branch} shares in evaluation {i}, which is not guided",
                        "leave out the guidance's end or its reuse, or make the plan with it",
                    )

    def _check_sizes(self, name: str) -> None:
        front, back = self.stack.front, self.stack.back
        if min(front, back) < 0 or front + back > self.layers:
            raise UsageError(f"{name}: front {front} and back {back} do not fit {self.layers} layers", "at most all")
        if self.step_actions[-1] != "compute":
            raise UsageError(f"{name}: the last evaluation is to {self.step_actions[-1]}", "the last one computes")
        for (layer, branch), row in self.layer_actions.items():
            if not 0 <= layer < self.layers:
                raise UsageError(f"{name}: there is no layer {layer}", f"layers are 0 to {self.layers - 1}")
            if len(row) != self.evaluations:
                raise UsageError(
                    f"{name}: layer {layer} {branch} has {len(row)} actions for {self.evaluations} evaluations",
                    "one action for each evaluation",
                )
            for i, action in enumerate(row):
                if branch == "ffn" and action in ATTENTION_ONLY:
                    raise UsageError(f"{name}: layer {layer} ffn cannot {action}", "that is an action of attn")
                if action != "compute" and not self.runs(layer, i):
                    raise UsageError(
                        f"{name}: layer {layer} {branch} is to {action} in evaluation {i}, in which it does not run",
                        "say compute there; the step's own action comes first",
                    )

    def _check_first_use(self, name: str, paired: Sequence[bool]) -> None:
        """Guided evaluations and others remember branches by themselves, so each kind must have computed before.

        So they do with the stack where `back` blocks follow; else what the rows of the prompt remember serves both, and
        those of the negative prompt must have been computed as lately.
        """
        kinds = ("", " with guidance") if all(paired) or not any(paired) else (" without guidance", " with guidance")
        known: set[tuple[bool, int, str]] = set()
        stack: dict[bool, int] = {}  # with the negative prompt's rows, or any -> the evaluation that computed last
        for i, step in enumerate(self.step_actions):
            kind = kinds[paired[i]] if len(set(paired)) > 1 else ""
            if step == "compute":
                stack |= {False: i, paired[i]: i} if not self.stack.back else {paired[i]: i}
            elif paired[i] not in stack or (paired[i] and not self.stack.back and stack[True] < stack[False]):
                hint = "the first evaluation of a kind computes, and guided ones after others have"
                raise UsageError(f"{name}: evaluation {i} is to {step}, and none before it computed{kind}", hint)
            for layer, branch in self.layer_actions:
                action = self.layer_actions[layer, branch][i]
                if action in BEFORE and (paired[i], layer, branch) not in known:
                    raise UsageError(
                        f"{name}: layer {layer} {branch} is to {action} in evaluation {i}, and none before it computed "
                        f"that{kind}",
                        "the first evaluation of a kind computes",
                    )
                if action == "compute" and self.runs(layer, i):
                    known.add((paired[i], layer, branch))

    # ---- files

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Raises UsageError where the file is not there, damaged, or contradicts itself."""
        try:
            if path.stat().st_size > MAX_BYTES:
                raise UsageError(f"{path} is too large for a plan", f"at most {MAX_BYTES:,} bytes")
            values = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"the plan {path} cannot be read: {error.strerror}", "name a plan file") from None
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path} is not JSON: {error}", f"a plan is a JSON object of format {FORMAT}") from None
        return cls.from_json(values, path.name)

    @classmethod
    def from_json(cls, values: Any, name: str = "the plan") -> Plan:
        """Raises UsageError for anything that is not as the format says."""
        top = _object(values, name, "", REQUIRED, OPTIONAL)
        if top["format"] != FORMAT:
            raise UsageError(f"{name} has format {top['format']!r}", f"this program reads {FORMAT}")
        model = _object(top["model"], name, "model", ("layers", "width"), ("weights",))
        grid = _object(top["grid"], name, "grid", ("solver", "schedule", "shift"))
        stack = _object(top.get("stack", {}), name, "stack", (), ("front", "back", "order"))
        plan = cls(
            layers=_whole(model["layers"], name, "model.layers", 1),
            width=_whole(model["width"], name, "model.width", 1),
            weights=_text(model.get("weights", ""), name, "model.weights"),
            steps=_whole(top["steps"], name, "steps", 1),
            solver=_text(grid["solver"], name, "grid.solver"),
            schedule=_text(grid["schedule"], name, "grid.schedule"),
            shift=_number(grid["shift"], name, "grid.shift"),
            guided=_one_of(top["branch_layout"], name, "branch_layout", LAYOUTS) == LAYOUTS[1],
            resolution=_sides(top.get("resolution"), name),
            stack=Stack(**{key: _whole(value, name, f"stack.{key}", 0) for key, value in stack.items()}),
            window=WindowShape(**_window(top.get("window", {}), name)),
            step_actions=_row(top["step_actions"], name, "step_actions", STEPS),
            layer_actions=_rows(top.get("layer_actions", {}), name),
            meta=_object(top.get("meta", {}), name, "meta", (), None),
        )
        plan.check(name)
        return plan

    def to_json(self) -> dict[str, Any]:
        """A plain dict that `from_json` turns back into an equal plan."""
        layers: dict[str, dict[str, list[str]]] = {}
        for (layer, branch), row in sorted(self.layer_actions.items()):
            layers.setdefault(str(layer), {})[branch] = list(row)
        weights = {"weights": self.weights} if self.weights else {}
        return {
            "format": FORMAT,
            "model": {"layers": self.layers, "width": self.width, **weights},
            "steps": self.steps,
            "branch_layout": LAYOUTS[self.guided],
            "grid": {"solver": self.solver, "schedule": self.schedule, "shift": self.shift},
            **({"resolution": list(self.resolution)} if self.resolution else {}),
            "stack": asdict(self.stack),
            **({"window": asdict(self.window)} if self.used() & {"window", "window+cfg"} else {}),
            "step_actions": list(self.step_actions),
            **({"layer_actions": layers} if layers else {}),
            **({"meta": dict(self.meta)} if self.meta else {}),
        }

    # ---- for people

    def picture(self) -> list[str]:
        """Layers x evaluations in characters, a line for each layer, and what the characters mean."""
        lines = [self.about(), "", f"{'step':>12}  {''.join(SIGNS[action] for action in self.step_actions)}"]
        branches = [branch for branch in BRANCHES if self.cut(branch)]
        for layer in range(self.layers) if branches or self.skips else ():
            rows = "  ".join(self._row(layer, branch) for branch in branches or BRANCHES[:1])
            lines.append(f"{f'layer {layer}':>12}  {rows}")
        shown = {action for action in (*self.used(), *self.step_actions) if action != "compute"}
        legend = [f"{SIGNS[action]} {action}" for action in ("compute", *STEPS[1:], *ACTIONS[1:]) if action in shown]
        columns = [f"columns: {', '.join(branches)}, an evaluation per character"] if branches else []
        return [
            *lines,
            "",
            *columns,
            ", ".join([f"{SIGNS['compute']} compute", *dict.fromkeys(legend), "blank not run"]),
        ]

    def about(self) -> str:
        """One line: what it is for, and how much it leaves."""
        total = self.layers * self.evaluations
        left = {
            branch: sum(
                self.runs(layer, i) and self.actions(layer, branch)[i] not in KEPT
                for layer in range(self.layers)
                for i in range(self.evaluations)
            )
            for branch in BRANCHES
        }
        size = "any size" if self.resolution is None else "x".join(map(str, self.resolution))
        shares = ", ".join(f"{branch} {count} of {total} ({count / total:.0%})" for branch, count in left.items())
        return (
            f"{self.layers} layers of width {self.width}, {self.steps} steps of {self.solver} ({self.schedule}, shift "
            f"{self.shift:g}), {_guidance(self.guided)}, {size}; computed: {shares}"
        )

    def _row(self, layer: int, branch: str) -> str:
        row = self.actions(layer, branch)
        return "".join(SIGNS[row[i]] if self.runs(layer, i) else SIGNS["not run"] for i in range(self.evaluations))


def leaves_a_residual(later: Iterable[str]) -> bool:
    """Whether a `compute` is read by a window: of what follows at its layer, in evaluations of its kind, the first
    that is a `compute` or a window decides."""
    return "window" in next((action for action in later if action == "compute" or "window" in action), "")


@cache
def _all_computed(count: int) -> tuple[str, ...]:
    return ("compute",) * count


def _acts(row: Sequence[str]) -> bool:
    return any(action != "compute" for action in row)


def _guidance(guided: bool) -> str:
    return "guided" if guided else "unguided"


def _object(
    value: Any, name: str, where: str, required: Sequence[str], optional: Sequence[str] | None = ()
) -> dict[str, Any]:
    what = f"{name}: {where}" if where else name
    if not isinstance(value, dict):
        raise UsageError(f"{what} is not an object", f"see the format {FORMAT} in docs/acceleration.md")
    for key in required:
        if key not in value:
            raise UsageError(f"{what} has no {key!r}", "it has " + ", ".join(required))
    if optional is not None:
        for key in value:
            if key not in (*required, *optional):
                raise UsageError(f"{what} has an unknown field {key!r}", "known: " + ", ".join((*required, *optional)))
    return value


def _whole(value: Any, name: str, where: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"{name}: {where} is {value!r}", f"a whole number, {least} or more")
    return value


def _number(value: Any, name: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise UsageError(f"{name}: {where} is {value!r}", "a number above 0")
    return float(value)


def _text(value: Any, name: str, where: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{name}: {where} is {value!r}", "a text")
    return value


def _one_of(value: Any, name: str, where: str, known: Sequence[str]) -> str:
    if value not in known:
        raise UsageError(f"{name}: {where} is {value!r}", "one of " + ", ".join(known))
    return str(value)


def _sides(value: Any, name: str) -> tuple[int, int] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2:
        raise UsageError(f"{name}: resolution is {value!r}", "[width, height] in pixels, or leave it out")
    return _whole(value[0], name, "resolution", 1), _whole(value[1], name, "resolution", 1)


def _window(value: Any, name: str) -> dict[str, int]:
    given = _object(value, name, "window", (), tuple(WindowShape.__dataclass_fields__))
    return {key: _whole(number, name, f"window.{key}", int(key == "side")) for key, number in given.items()}


def _row(value: Any, name: str, where: str, known: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise UsageError(f"{name}: {where} is not a list of actions", "one of " + ", ".join(known) + " per evaluation")
    return tuple(_one_of(each, name, f"{where}[{i}]", known) for i, each in enumerate(value))


def _rows(value: Any, name: str) -> dict[tuple[int, str], tuple[str, ...]]:
    found: dict[tuple[int, str], tuple[str, ...]] = {}
    for layer, branches in _object(value, name, "layer_actions", (), None).items():
        if not layer.isdecimal() or str(int(layer)) != layer:
            raise UsageError(f"{name}: layer_actions has a layer {layer!r}", "layers are numbers, from 0")
        where = f"layer_actions.{layer}"
        for branch, row in _object(branches, name, where, (), BRANCHES).items():
            found[int(layer), branch] = _row(row, name, f"{where}.{branch}", ACTIONS)
    return found
