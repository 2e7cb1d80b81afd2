"""What was measured of one model: TeaCache's curves, MagCache's ratios, presets. A file beside the weights.

    {"format": "accel-calibration/1", "weights": "...",
     "grids": [{"solver": "euler", "schedule": "official", "shift": 6.0, "steps": 28,
                "curve": {"coefficients": [...], "low": 0.01, "high": 0.4, ...}, "ratios": [1.0, ...], ...}],
     "presets": {"balanced": {"accel": "dbcache:...,delta", "grid": {...}, "speed": 1.9, "error": 0.03, "ssim": 0.98},
                 "draft": {"accel": "delta", "request": {"steps": 9, "shift": 1.0}, "grid": {...}, ...}}}

It holds for the grid that it was measured on and for no other: how fast a model's insides change depends on where the
evaluations lie. A preset's grid is that of the exact picture which it was compared with; fields of the request that it
brings along (`OWN`) are its own. Nothing here has a default, so a model without the file has no presets.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from newbie.accel import methods
from newbie.accel.decide import Curve
from newbie.accel.plan import Run
from newbie.errors import UsageError, WeightsError

FILE = "acceleration.json"
FORMAT = "accel-calibration/1"
PRESETS = ("exact", "balanced", "fast", "draft")
MAKE = "python -m newbie calibrate measures a model"
TUNE = "python -m newbie tune measures presets"
OWN: dict[str, type] = {"steps": int, "shift": float, "cfg_trunc": str}  # what a preset may bring along


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
        return replace(self.grid, **{name: value for name, value in self.own.items() if name in ("steps", "shift")})

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
    """`name` is of the model; `curves` and `ratios` by grid. `void` tells why a file that is there does not count."""

    name: str = ""
    curves: Mapping[Grid, Curve] = field(default_factory=dict)
    ratios: Mapping[Grid, tuple[float, ...]] = field(default_factory=dict)
    presets: Mapping[str, Preset] = field(default_factory=dict)
    void: str = ""

    @classmethod
    def read(cls, folder: Path | None, name: str, weights: str = "") -> Calibration:
        """The file in a model's folder; empty where there is none, or no folder, and void for other weights.

        Raises:
            WeightsError: it is damaged.
        """
        path = None if folder is None else folder / FILE
        if path is None or not path.is_file():
            return cls(name)
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return cls._read(values, name, weights)
        except (ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
            raise WeightsError(f"{path} is damaged: {error}", f"make it again ({MAKE}), or take it away") from None

    @classmethod
    def _read(cls, values: Mapping[str, Any], name: str, weights: str) -> Calibration:
        if values["format"] != FORMAT:
            raise ValueError(f"its format is {values['format']!r}, not {FORMAT}")
        if weights and values["weights"] != weights:
            return cls(name, void=f"{FILE} of {name} was measured on other weights and does not count")
        found = [(_grid(each), each) for each in values.get("grids", [])]
        curves = {
            grid: Curve(_numbers(each["curve"]["coefficients"]), each["curve"]["low"], each["curve"]["high"])
            for grid, each in found
            if "curve" in each
        }
        ratios = {grid: _numbers(each["ratios"]) for grid, each in found if "ratios" in each}
        presets = {key: _preset(key, each) for key, each in values.get("presets", {}).items()}
        return cls(name, curves, ratios, presets)

    def curve(self, run: Run) -> Curve:
        """Raises UsageError where nothing was measured on this grid."""
        return self._of(self.curves, run, "TeaCache curve")

    def ratio(self, run: Run) -> tuple[float, ...]:
        """Raises UsageError where nothing was measured on this grid."""
        return self._of(self.ratios, run, "MagCache ratios")

    def preset(self, name: str, run: Run) -> Preset:
        """Raises UsageError where there is none, or for another grid."""
        if name not in self.presets:
            if self.void:
                raise UsageError(f"there is no preset {name}: {self.void}", f"{MAKE}, {TUNE}")
            there = f"it has: exact, {', '.join(self.presets)}" if self.presets else "it has no presets but exact"
            raise UsageError(
                f"{self.name} has no preset {name}: nobody has measured one",
                f"{there}; name methods with --accel, or a plan file with --plan ({TUNE})",
            )
        preset = self.presets[name]
        if preset.runs_on != Grid.of(run):
            raise UsageError(
                f"preset {name} of {self.name} was measured at {preset.runs_on}, this picture has {Grid.of(run)}",
                "use these steps, or name methods with --accel",
            )
        return preset

    def own_fields(self) -> dict[str, Mapping[str, Any]]:
        """By the name of a preset, the fields of the request that it brings along: `Recommended.presets`."""
        return {name: preset.own for name, preset in self.presets.items() if preset.own}

    def _of(self, measured: Mapping[Grid, Any], run: Run, what: str) -> Any:
        grid = Grid.of(run)
        if grid not in measured:
            if self.void:
                raise UsageError(f"there is no {what}: {self.void}", MAKE)
            others = "; there is one for " + " and for ".join(map(str, measured)) if measured else ""
            raise UsageError(f"{self.name} has no {what} for {grid}{others}", f"{MAKE} on a grid, with the same flags")
        return measured[grid]


def _grid(values: Mapping[str, Any]) -> Grid:
    return Grid(str(values["solver"]), str(values["schedule"]), float(values["shift"]), int(values["steps"]))


def _preset(name: str, values: Mapping[str, Any]) -> Preset:
    if name not in PRESETS[1:]:
        raise ValueError(f"presets are called {', '.join(PRESETS[1:])}, not {name!r}")
    methods.parse(values["accel"])
    own = values.get("request", {})
    for key, value in own.items():
        if key not in OWN or not isinstance(value, (int, float) if OWN[key] is float else OWN[key]):
            raise ValueError(f"preset {name} cannot bring {key}={value!r} along; it may bring {', '.join(OWN)}")
    speed, error = _numbers((values["speed"], values["error"]))
    ssim = None if values.get("ssim") is None else _numbers([values["ssim"]])[0]
    return Preset(values["accel"], _grid(values["grid"]), speed, error, ssim, own)


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    found = tuple(float(value) for value in values)
    if not all(map(math.isfinite, found)):
        raise ValueError("a number is not finite")
    return found
