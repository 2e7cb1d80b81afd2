"""Measure what caches need to know of a model: TeaCache's curve and MagCache's ratios, for one grid of times.

    python -m newbie calibrate                        newbie-mini, as it is best used
    python -m newbie calibrate --model PATH --steps 28 --shift 6 --prompts my-prompts/

Every prompt is drawn once, without approximations. What was measured goes into acceleration.json beside the model, with
how well it fits prompts that were held out; what that file says of other grids, and its presets, stay.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any, NamedTuple

import torch

from newbie import Pipeline, Request, Settings
from newbie.accel import methods
from newbie.accel.calibration import CALIBRATED, FILE, FORMAT, TUNE, Calibration, Grid
from newbie.accel.decide import Curve
from newbie.accel.watching import Seen, Watching
from newbie.calibrate import prompts
from newbie.checkpoints import locate
from newbie.checkpoints.save import write_json
from newbie.errors import UsageError
from newbie.flags import Parser
from newbie.pipeline import bundled
from newbie.pipeline.generation import Generation
from newbie.pipeline.presets import grid_of
from newbie.sampling import solvers

DEGREE = 4  # of the curve, as published
HELD_OUT = 5  # every fifth prompt judges the fit
TRUSTED = 0.7  # rank correlation on those below which a curve says too little
SEED = 2_000_000  # of the first picture, away from those of benchmarks
REQUEST = {  # flags of the request: field -> kind, all as the model recommends where they are left out
    "width": int, "height": int, "steps": int, "cfg_scale": float, "cfg_trunc": str,
    "sampler": str, "schedule": str, "shift": float,
}  # fmt: skip


class Fit(NamedTuple):
    """A curve, and how well it says what it stands for on pairs that it was not fitted to."""

    curve: Curve
    r2: float
    spearman: float


def parser() -> Parser:
    made = Parser(prog="python -m newbie calibrate", description=__doc__)
    made.add_argument("--model", "-m", metavar="PATH", help="folder, file or hub id; default: newbie-mini")
    made.add_argument("--prompts", type=Path, help="a file or folder to calibrate with; default: our own")
    made.add_argument("--count", type=int, default=50, help="prompts (default: %(default)s)")
    made.add_argument("--out", "-o", type=Path, metavar="FILE", help=f"default: {FILE} beside the model")
    add_run_flags(made)
    return made


def add_run_flags(made: argparse.ArgumentParser) -> None:
    """How a model is opened, and what is drawn with it: for all that measures one."""
    made.add_argument("--device", default="auto", help="auto, cpu, cuda")
    made.add_argument("--dtype", default="auto", help="auto, float32, bf16")
    made.add_argument("--allow-pickle", action="store_true", help="read .pth files (tensors only, never code)")
    for name, kind in REQUEST.items():
        made.add_argument("--" + name.replace("_", "-"), type=kind, help="default: as the model recommends")


def request_of(typed: argparse.Namespace, **more: Any) -> Request:
    """What `add_run_flags` says of pictures. Raises UsageError for a number that is out of range."""
    request = Request(**more, **{name: getattr(typed, name) for name in REQUEST})
    request.check()
    return request


def main(arguments: Sequence[str], say: Callable[[str], None]) -> int:
    """Exit code 0; raises NewbieError."""
    typed = parser().strict(arguments)
    if typed.count < 2:
        raise UsageError(f"--count {typed.count} is too few", "2 at least; 50 or more for a curve to trust")
    texts = prompts.drawn_up(typed.count) if typed.prompts is None else prompts.of_folder(typed.prompts)[: typed.count]
    if len(texts) < 2:
        raise UsageError(f"{typed.prompts}: one prompt is too few", "2 at least; 50 or more for a curve to trust")
    request = request_of(typed, seed=SEED)
    model = typed.model or bundled()
    out = typed.out or beside(model, typed.allow_pickle)
    settings = Settings(device=typed.device, dtype=typed.dtype)
    pipeline = Pipeline.open(model, settings=settings, allow_pickle=typed.allow_pickle, on_note=say)
    request = request.resolved(pipeline.recommended)
    if request.steps == 1:
        raise UsageError("one step has none before it to be compared with", "--steps 2 or more")
    stored(out, pipeline.weights_hash)  # a file that cannot be gone on with is refused before anything is measured
    say(f"{pipeline.name}: {len(texts)} pictures of {request.steps} steps")
    entry = measured(watched(pipeline, texts, request))
    gone = put(out, pipeline.weights_hash, grid_of(request), entry)
    if gone:
        say(f"presets that went by the curve or the ratios before are gone ({', '.join(gone)}): {TUNE}")
    for line in told(entry):
        say(line)
    say(f"{out}: written; --accel magcache and --accel teacache use it on this grid")
    return 0


def beside(model: str | Path | None, allow_pickle: bool) -> Path:
    """Where a model's file lies. Raises UsageError for a model that is no folder."""
    folder = locate(model or bundled(), allow_pickle=allow_pickle).folder
    if folder is None:
        raise UsageError(f"{model} is no folder that {FILE} could lie in", "name a file with --out")
    return folder / FILE


def watched(pipeline: Pipeline, texts: Sequence[str], request: Request) -> list[list[Seen]]:
    """What every evaluation of every prompt was like, beside the one before."""
    found = []
    for number, text in enumerate(texts):
        watching = Watching()
        with torch.no_grad():
            each = replace(request, prompt=text, seed=request.seed + number, accel="", plan="")
            generation = Generation(pipeline, each)
            denoiser = replace(generation.denoiser(), policies=watching)
            start = generation.start(denoiser, [each.seed])
            solvers.SOLVERS[denoiser.sampler](denoiser.velocity(1), start, denoiser.grid, None)
        found += watching.seen
    return found


def measured(seen: Sequence[Sequence[Seen]]) -> dict[str, Any]:
    """Of one grid: the curve fitted to four fifths of the pictures and judged by the others; the ratios."""
    fitted = [each for number, picture in enumerate(seen) if number % HELD_OUT != HELD_OUT - 1 for each in picture[1:]]
    judged = [each for picture in seen[HELD_OUT - 1 :: HELD_OUT] for each in picture[1:]]
    fit = fitted_curve([(e.moved, e.changed) for e in fitted], [(e.moved, e.changed) for e in judged or fitted])
    by_evaluation = list(zip(*seen, strict=True))
    return {
        "pictures": len(seen),
        "curve": {
            "coefficients": list(fit.curve.coefficients),
            "low": fit.curve.low,
            "high": fit.curve.high,
            "r2": fit.r2,
            "spearman": fit.spearman,
        },
        "ratios": [fmean(each.ratio for each in same) for same in by_evaluation],
        "deviations": [pstdev(each.ratio for each in same) for same in by_evaluation],
    }


def fitted_curve(pairs: Sequence[tuple[float, float]], judged: Sequence[tuple[float, float]]) -> Fit:
    """Least squares of degree 4, clamped to where the pairs lie; fit and rank correlation on the judged pairs."""
    x, y = torch.tensor(pairs, dtype=torch.float64).T
    powers = torch.arange(DEGREE, -1, -1)
    scale = x.abs().max().clamp_min(1e-12)
    solved = torch.linalg.lstsq((x / scale)[:, None] ** powers, y[:, None], driver="gelsd").solution[:, 0]
    curve = Curve(tuple((solved / scale**powers).tolist()), float(x.min()), float(x.max()))
    truth = torch.tensor([change for _, change in judged], dtype=torch.float64)
    said = torch.tensor([curve(move) for move, _ in judged], dtype=torch.float64)
    spread = (truth - truth.mean()).square().sum().clamp_min(1e-30)
    return Fit(curve, float(1 - (truth - said).square().sum() / spread), _correlation(_ranks(said), _ranks(truth)))


def told(entry: dict[str, Any]) -> list[str]:
    """The entry for people."""
    curve, ratios = entry["curve"], entry["ratios"]
    judges = "prompts held out" if entry["pictures"] >= HELD_OUT else "the prompts that it was fitted to, which are few"
    lines = [
        f"TeaCache curve on inputs that move by {curve['low']:.4f} to {curve['high']:.4f}: R2 {curve['r2']:.3f}, rank "
        f"correlation {curve['spearman']:.3f} on {judges}",
        f"MagCache ratios from {min(ratios[1:]):.4f} to {max(ratios[1:]):.4f}, deviation between prompts at most "
        f"{max(entry['deviations']):.4f}",
    ]
    if curve["spearman"] < TRUSTED:
        lines.append(f"the curve orders evaluations poorly (below {TRUSTED}): prefer fbcache, dbcache or magcache")
    return lines


def put(path: Path, weights: str, grid: Grid, found: Mapping[str, Any]) -> list[str]:
    """Write what was found on a grid into a model's file. What it has of other grids stays, and what else of this one,
    but presets that went by a curve or ratios which are replaced: their long names are returned.

    Raises:
        OutputError: it cannot be written.
        WeightsError: see `stored`.
    """
    values = stored(path, weights)
    gone = _gone_by(path, weights, grid) if "ratios" in found and values["grids"] else []
    for name, whose in gone:
        for each in filter(partial(_is_of, whose), values["grids"]):
            del each["presets"][name]
    before = list(filter(partial(_is_of, grid), values["grids"]))
    others = [each for each in values["grids"] if each not in before]
    write_json(path, values | {"grids": [*others, {**asdict(grid), **(before[0] if before else {}), **found}]})
    return [f"{name}@{whose.steps},{whose.shift:g}" for name, whose in gone]


def _is_of(grid: Grid, entry: Mapping[str, Any]) -> bool:
    return all(entry[name] == value for name, value in asdict(grid).items())


def _gone_by(path: Path, weights: str, grid: Grid) -> list[tuple[str, Grid]]:
    """The presets of a file, and their grids, that draw on this grid by what was measured on it."""
    return [
        (name, whose)
        for name, presets in Calibration.of_file(path, "", weights).presets.items()
        for whose, preset in presets.items()
        if preset.runs_on == grid and CALIBRATED & {choice.name for choice in methods.parse(preset.accel)}
    ]


def stored(path: Path, weights: str) -> dict[str, Any]:
    """What the file has of these weights; no grids where there is no such file, or of others.

    Raises:
        WeightsError: it is damaged.
    """
    if path.is_file() and not Calibration.of_file(path, "", weights).void:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    return {"format": FORMAT, "weights": weights, "grids": []}


def _ranks(values: torch.Tensor) -> torch.Tensor:
    """Equal values share the mean of their ranks: a curve that says the same of all moves orders none of them."""
    _, place, counts = values.unique(return_inverse=True, return_counts=True)
    return (counts.cumsum(0) - (counts - 1) / 2).double()[place]


def _correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a @ b) / (a.norm() * b.norm()).clamp_min(1e-30))
