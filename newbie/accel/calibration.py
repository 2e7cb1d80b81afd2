"""What was measured of one model: TeaCache's curves, MagCache's ratios, presets. A file beside the weights.

    {"format": "accel-calibration/1", "weights": "...",
     "grids": [{"solver": "euler", "schedule": "official", "shift": 6.0, "steps": 28,
                "curve": {"coefficients": [...], "low": 0.01, "high": 0.4, ...}, "ratios": [1.0, ...], ...,
                "presets": {"balanced": {"accel": "dbcache:...,delta", "speed": 1.9, "error": 0.03, "ssim": 0.98},
                            "draft": {"accel": "delta", "request": {"steps": 9, "shift": 1.0}, ...}}}]}

All of it holds for the grid that it was measured on and for no other: how fast a model's insides change depends on
where the evaluations lie. A preset's grid is that of the exact picture which it was compared with, and that a request
asks for; fields of the request that it brings along (`OWN`) are its own. Nothing here has a default, so a model without
the file has no presets.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from newbie.accel import methods
from newbie.accel.decide import Curve
from newbie.accel.plan import Run
from newbie.errors import UsageError, WeightsError
from newbie.request import Request

FILE = "acceleration.json"
FORMAT = "accel-calibration/1"
CALIBRATED = frozenset({"teacache", "magcache"})  # methods that need a curve or ratios
PRESETS = ("exact", "balanced", "fast", "draft")
MAKE = "python -m newbie calibrate measures a model"
TUNE = "python -m newbie tune measures presets"
OWN: dict[str, type] = {  # what a preset may bring along; a sampler comes with its schedule
    "steps": int, "shift": float, "sampler": str, "schedule": str, "cfg_trunc": str,
}  # fmt: skip
_NAMED = re.compile(rf"({'|'.join(PRESETS[1:])})(?:@([1-9]\d*)(?:,(\d+(?:\.\d+)?))?)?")
_GRID = {"solver", "schedule", "shift", "steps"}  # the fields that there are, at each place of a file
_ENTRY = _GRID | {"pictures", "curve", "ratios", "deviations", "presets"}
_CURVE = {"coefficients", "low", "high", "r2", "spearman"}
_PRESET = {"accel", "request", "speed", "error", "ssim", "pictures"}


@dataclass(frozen=True)
class Grid:
    """Where evaluations lie."""

    solver: str
    schedule: str
    shift: float
    steps: int

    @classmethod
    def of(cls, run: Run) -> Grid:
        return cls(run.solver, run.schedule, run.shift, run.steps)

    def __str__(self) -> str:
        return f"{self.steps} steps of {self.solver} ({self.schedule}, shift {self.shift:g})"


class Named(NamedTuple):
    """A preset as `--plan` names it: "draft"; or "draft@28,1.5", the one for exact pictures of 28 steps at shift 1.5.

    A request that was filled in has the long form where the preset draws with steps or a shift of its own: they stand
    in the place of those that it was chosen by.
    """

    name: str
    steps: int | None = None
    shift: float | None = None

    @classmethod
    def read(cls, plan: str) -> Named | None:
        """None for what names no preset that is measured: a plan file, "exact", nothing."""
        found = _NAMED.fullmatch(plan)
        if found is None:
            return None
        name, steps, shift = found.groups()
        return cls(name, int(steps) if steps else None, float(shift) if shift else None)

    def of(self, grid: Grid) -> Grid:
        """The exact picture's, of a request with this grid."""
        return replace(grid, steps=self.steps or grid.steps, shift=self.shift or grid.shift)


def is_file(plan: str) -> bool:
    """Whether `--plan` names a file: what is neither a preset nor nothing."""
    return plan not in ("", "exact") and Named.read(plan) is None


@dataclass(frozen=True)
class Preset:
    """A named choice of methods, and what it was measured to do on its grid."""

    accel: str
    grid: Grid  # of the exact picture
    speed: float  # times as fast as that
    error: float  # relative distance of the latents from it
    ssim: float | None = None  # structural similarity of both pictures
    own: Mapping[str, Any] = field(default_factory=dict)  # fields of the request

    @property
    def runs_on(self) -> Grid:
        """The grid of its own pictures."""
        called = {"steps": "steps", "shift": "shift", "sampler": "solver", "schedule": "schedule"}
        return replace(self.grid, **{called[name]: value for name, value in self.own.items() if name in called})

    def told(self, name: str) -> str:
        """For people, before it runs."""
        how = " ".join([*(f"--{key.replace('_', '-')} {value}" for key, value in self.own.items()), self.accel])
        like = "" if self.ssim is None else f" and a similarity (SSIM) of {self.ssim:.3f}"
        return (
            f"preset {name}: {how.strip() or 'nothing'}; expected, as measured: {self.speed:.2f}x as fast as "
            f"{self.grid.steps} exact steps, at a relative error of {self.error:.3f}{like}"
        )


@dataclass(frozen=True)
class Calibration:
    """`name` is of the model; all else by grid. `void` tells why a file that is there does not count."""

    name: str = ""
    curves: Mapping[Grid, Curve] = field(default_factory=dict)
    ratios: Mapping[Grid, tuple[float, ...]] = field(default_factory=dict)
    presets: Mapping[str, Mapping[Grid, Preset]] = field(default_factory=dict)
    void: str = ""

    @classmethod
    def read(cls, folder: Path | None, name: str, weights: str = "") -> Calibration:
        """The file in a model's folder; empty where there is none, or no folder, and void for other weights.

        Raises:
            WeightsError: it is damaged.
        """
        path = None if folder is None else folder / FILE
        return cls(name) if path is None or not path.is_file() else cls.of_file(path, name, weights)

    @classmethod
    def of_file(cls, path: Path, name: str, weights: str = "") -> Calibration:
        """One that is somewhere else. Raises WeightsError: it is damaged, or cannot be read."""
        try:
            return cls._read(json.loads(path.read_text(encoding="utf-8")), name, weights)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else error
            raise WeightsError(f"{path} is damaged: {what}", f"make it again ({MAKE}), or take it away") from None

    @classmethod
    def _read(cls, values: Mapping[str, Any], name: str, weights: str) -> Calibration:
        if values["format"] != FORMAT:
            raise ValueError(f"its format is {values['format']!r}, not {FORMAT}")
        if weights and values["weights"] != weights:
            return cls(name, void=f"{FILE} of {name} was measured on other weights and does not count")
        _require_known(values, {"format", "weights", "grids"}, "the file")
        curves, ratios = dict[Grid, Curve](), dict[Grid, tuple[float, ...]]()
        presets: dict[str, dict[Grid, Preset]] = {}
        seen = set[Grid]()
        for each in values["grids"]:
            _require_known(each, _ENTRY, "a grid")
            grid = _grid(each)
            if grid in seen:
                raise ValueError(f"{grid} is there twice")
            seen.add(grid)
            if "curve" in each:
                curves[grid] = _curve(each["curve"])
            if "ratios" in each:
                ratios[grid] = _numbers(each["ratios"])
            for key, preset in each.get("presets", {}).items():
                presets.setdefault(key, {})[grid] = _preset(key, preset, grid)
        return cls(name, curves, ratios, presets)

    def curve(self, run: Run) -> Curve:
        """Raises UsageError where nothing was measured on this grid."""
        return self._of(self.curves, run, "TeaCache curve")

    def ratio(self, run: Run) -> tuple[float, ...]:
        """Raises UsageError where nothing was measured on this grid."""
        return self._of(self.ratios, run, "MagCache ratios")

    def find(self, named: Named, grid: Grid) -> Preset | None:
        """The one that is named, for a request with this grid: that of the exact picture, or the preset's own, which a
        request that was filled in has."""
        of_grids = self.presets.get(named.name, {})
        filled = (each for each in of_grids.values() if each.runs_on == grid and named.of(each.grid) == each.grid)
        return of_grids.get(named.of(grid)) or (next(filled, None) if named.steps else None)

    def nearest(self, name: str, grid: Grid) -> Grid:
        """The grid itself, or, where it has no preset of this name, that of other steps that has one: the nearest."""
        others = [each for each in self.presets.get(name, {}) if replace(each, steps=grid.steps) == grid]
        return min(others, key=lambda each: abs(each.steps - grid.steps), default=grid)

    def preset(self, plan: str, grid: Grid) -> Preset:
        """The one that `--plan` names, for a request with this grid. Raises UsageError where there is none."""
        named = Named.read(plan)
        assert named is not None
        if (found := self.find(named, grid)) is not None:
            return found
        name, exact, of_grids = named.name, named.of(grid), self.presets.get(named.name, {})
        if self.void:
            raise UsageError(f"there is no preset {name}: {self.void}", f"{MAKE}, {TUNE}")
        if of_grids:
            raise UsageError(
                f"{self.name} has no preset {name} for {exact}",
                f"there is one for {' and for '.join(map(str, of_grids))}; use these steps, or name methods with "
                f"--accel ({TUNE} on a grid, with the same flags)",
            )
        there = f"it has: exact, {', '.join(self.presets)}" if self.presets else "it has no presets but exact"
        raise UsageError(
            f"{self.name} has no preset {name}: no setting was measured that earns it",
            f"{there}; name methods with --accel, or a plan file with --plan ({TUNE})",
        )

    def of_grid(self, grid: Grid) -> dict[str, Preset]:
        """Those for exact pictures of this grid, by name."""
        return {name: of_grids[grid] for name, of_grids in self.presets.items() if grid in of_grids}

    def _of(self, measured: Mapping[Grid, Any], run: Run, what: str) -> Any:
        grid = Grid.of(run)
        if grid not in measured:
            if self.void:
                raise UsageError(f"there is no {what}: {self.void}", MAKE)
            others = "; there is one for " + " and for ".join(map(str, measured)) if measured else ""
            raise UsageError(f"{self.name} has no {what} for {grid}{others}", f"{MAKE} on a grid, with the same flags")
        return measured[grid]


def _require_known(values: Mapping[str, Any], known: set[str], what: str) -> None:
    if unknown := sorted(values.keys() - known):
        raise ValueError(f"{what} has no field {unknown[0]!r}")


def _grid(values: Mapping[str, Any]) -> Grid:
    (shift,) = _numbers([values["shift"]])
    steps = values["steps"]
    if not (shift > 0 and isinstance(steps, int) and steps > 0):
        raise ValueError(f"no grid has {steps!r} steps at shift {shift:g}")
    return Grid(str(values["solver"]), str(values["schedule"]), shift, steps)


def _curve(values: Mapping[str, Any]) -> Curve:
    _require_known(values, _CURVE, "a curve")
    low, high = _numbers([values["low"], values["high"]])
    coefficients = _numbers(values["coefficients"])
    if not coefficients or not 0 <= low <= high:
        raise ValueError(f"a curve of {len(coefficients)} coefficients between {low:g} and {high:g}")
    return Curve(coefficients, low, high)


def _preset(name: str, values: Mapping[str, Any], grid: Grid) -> Preset:
    if name not in PRESETS[1:]:
        raise ValueError(f"presets are called {', '.join(PRESETS[1:])}, not {name!r}")
    _require_known(values, _PRESET, f"preset {name}")
    methods.parse(values["accel"])
    own = dict(values.get("request", {}))
    for key, value in own.items():
        right = (int, float) if OWN.get(key) is float else OWN.get(key, ())
        if not isinstance(value, right) or isinstance(value, bool):
            raise ValueError(f"preset {name} cannot bring {key}={value!r} along; it may bring {', '.join(OWN)}")
        own[key] = OWN[key](value)
    if ("sampler" in own) != ("schedule" in own):
        raise ValueError(f"preset {name} brings a sampler or a schedule along, and not both")
    Request(**own).check()
    speed, error = _numbers((values["speed"], values["error"]))
    ssim = None if values.get("ssim") is None else _numbers([values["ssim"]])[0]
    return Preset(values["accel"], grid, speed, error, ssim, own)


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    found = tuple(float(value) for value in values)
    if not all(map(math.isfinite, found)):
        raise ValueError("a number is not finite")
    return found
