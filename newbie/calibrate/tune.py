"""Find how much faster a model can draw, and at what cost: the Pareto front of all methods, and presets for --plan.

    python -m newbie tune                             newbie-mini: presets balanced, fast and draft
    python -m newbie tune --steps 28                  the same for 28 steps; presets for other grids stay
    python -m newbie tune --model PATH --count 16 --budget 30
    python -m newbie tune --target-speed 2x           the least error at twice the speed
    python -m newbie tune --max-error 0.02            the greatest speed at that error

Some four hundred settings (methods, thresholds, intervals, reuse of guidance, fewer steps, samplers) are tried on two
prompts, the third that is nearest to the front on more, and so on; what is left is timed beside the exact pictures in
turns. See docs/quality.md.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from newbie import Pipeline, Request, Settings
from newbie.accel.calibration import FILE, PRESETS, Calibration, Grid
from newbie.calibrate import prompts
from newbie.calibrate.acceleration import add_run_flags, beside, put, request_of, stored
from newbie.calibrate.fewer import shifts
from newbie.calibrate.trial import CLOCKS, Case, Setting, Trial, Trials, drawer
from newbie.checkpoints.save import write_json
from newbie.errors import MemoryShortage, UsageError
from newbie.flags import Parser
from newbie.pipeline.generation import Generation
from newbie.pipeline.presets import grid_of
from newbie.sampling import times

SEED = 3_000_000  # of the first picture, away from those that calibrate and those that judge
FIRST = 2  # prompts of the first round
LEFT = 12  # settings that none is taken from any more
KEPT = 3  # one in so many goes on to the next round
MULTISTEP = ("dpmpp_2m", "res_multistep")  # samplers of second order at one evaluation a step
Say = Callable[[str], None]


@dataclass(frozen=True)
class Goal:
    """What a setting must reach, at least or at most."""

    speed: float = 0.0
    error: float = math.inf
    ssim: float = -1.0

    def reached(self, trial: Trial) -> bool:
        return trial.speed >= self.speed and trial.error <= self.error and trial.ssim >= self.ssim

    def spare(self, trial: Trial) -> float:
        """How far beyond the goal a setting is, where it is nearest to it; without a bound on the error, or on the
        speed, what that could be better."""
        ways = []
        if self.speed:
            ways.append(trial.speed / self.speed - 1)
        if math.isfinite(self.error):
            ways.append(1 - trial.error / self.error)
        if self.ssim > -1:
            ways.append((trial.ssim - self.ssim) / (1 - self.ssim))
        if not math.isfinite(self.error):
            return -trial.error
        return min(ways) if self.speed else trial.speed

    def best(self, tried: Sequence[Trial]) -> Trial | None:
        """The one with the most to spare; None where none reaches it."""
        return max(filter(self.reached, tried), key=self.spare, default=None)

    def __str__(self) -> str:
        said = [f"{self.speed:g}x"] if self.speed else []
        said += [f"error <= {self.error:g}"] if math.isfinite(self.error) else []
        said += [f"SSIM >= {self.ssim:g}"] if self.ssim > -1 else []
        return ", ".join(said)


GOALS = {
    "balanced": Goal(1.8, 0.05, 0.97),
    "fast": Goal(2.8, 0.10, 0.93),
    "draft": Goal(4.0, 0.25),  # beyond that error it is another picture
}


# ---- what is walked


def space(request: Request, calibration: Calibration) -> list[Setting]:
    """Every setting that is worth a try for this resolved request; methods that need a calibration where there is one.

    Ordered so that neighbours differ: a search that runs out of time has seen some of everything.
    """
    assert request.steps and request.shift
    grid = grid_of(request)
    stacks = [""]
    stacks += [f"fora:interval={n},order={order}" for n, order in product((2, 3), (0, 1))]
    stacks += [
        f"deepcache:interval={n},order={order},warmup=1,cooldown=1"
        for n, order in product((2, 3, 4, 6), (0, 1))
        if n < request.steps
    ]
    stacks += [
        f"dbcache:threshold={limit},in_a_row=4,order={order},warmup=2,weighting={weighting}"
        for limit, order, weighting in product((0.05, 0.1, 0.2, 0.4, 0.8), (0, 1), ("dt_floor", "none"))
    ]
    if grid in calibration.curves:
        stacks += [f"teacache:threshold={t},order={order}" for t, order in product((0.1, 0.2, 0.4), (0, 1))]
    if grid in calibration.ratios:
        stacks += [f"magcache:threshold={t},order={order}" for t, order in product((0.03, 0.06, 0.12, 0.24), (0, 1))]
    stacks += [f"freeze:refresh={n}" for n in (2, 4)]
    guided = request.cfg_scale != 1.0
    deltas = ["", "delta:period=2", "delta:period=3"] if guided else [""]
    found = [Setting(accel=_both(stack, delta)) for stack, delta in product(stacks, deltas) if stack or delta]
    counts = sorted({max(2, round(request.steps * share)) for share in (0.7, 0.5, 0.4, 0.3, 0.22, 0.15)}, reverse=True)
    slow = ["", "fora:interval=2,warmup=1,cooldown=1", "dbcache:threshold=0.1,order=1,warmup=2,weighting=none"]
    # Few steps want a greater shift.
    near = [shift for shift in shifts(request.shift) if request.shift / 2.5 < shift < request.shift * 3.5]
    found += [
        Setting(accel=_both(stack, delta), steps=steps, shift=shift)
        for steps, shift, stack, delta in product(counts, near, slow, deltas[:2])
    ]
    found += [  # where steps are few, what the last evaluations said helps more than what a cache keeps
        Setting(steps=steps, shift=shift, sampler=sampler)
        for steps, shift, sampler in product(counts, near, MULTISTEP)
        if sampler != request.sampler
    ]
    if guided and not request.cfg_trunc:  # guidance that ends before the picture does
        found += [Setting(accel=stack, cfg_trunc=f"time:{end}") for end, stack in product((0.5, 0.75), slow)]
    stride = 37  # prime, and no divisor of such a length: every setting once, far from its neighbours
    while math.gcd(stride, len(found)) > 1:
        stride += 2
    return [found[i * stride % len(found)] for i in range(len(found))]


def _both(*parts: str) -> str:
    return ",".join(part for part in parts if part)


# ---- the search


def gained(trial: Trial, exact: float) -> float:
    """The speed where it was measured, else how much less was computed: times are too loud to rank by a few."""
    return exact / max(trial.work, 1e-9) if math.isnan(trial.speed) else trial.speed


def front(tried: Sequence[Trial], exact: float) -> list[Trial]:
    """Those than which none is both faster and nearer to the exact picture, the slowest first."""
    found: list[Trial] = []
    for trial in sorted(tried, key=lambda each: (-gained(each, exact), each.error)):
        if not found or trial.error < found[-1].error:
            found.append(trial)
    return found[::-1]


def regret(trial: Trial, tried: Sequence[Trial], exact: float) -> float:
    """The error over the least of those at least as fast; 1 on the front."""
    least = min(each.error for each in tried if gained(each, exact) >= gained(trial, exact))
    return trial.error / least if least > 0 else (1.0 if trial.error == 0 else math.inf)


@dataclass
class Search:
    """Successive halving (Jamieson & Talwalkar 2016, arXiv 1502.07943; here by thirds) towards a front, not one best.

    Args:
        run: tries a setting on some cases: (setting, numbers of the cases, how many are timed).
        cases: how many there are.
        exact: the work of an exact picture.
        timed: pictures that are timed in the last round.
        minutes: nothing new is begun after so many; infinity: no limit.
        clock: seconds.
    """

    run: Callable[[Setting, range, int], Trial]
    cases: int
    exact: float
    timed: int = 4
    minutes: float = math.inf
    say: Say = lambda line: None
    clock: Callable[[], float] = time.monotonic

    def __call__(self, settings: Sequence[Setting]) -> list[Trial]:
        """The last round's trials. The first round may take 40 % of the time, those before the last 75 %."""
        began = self.clock()
        tried: dict[Setting, Trial] = {}
        alive, first, size = list(settings), 0, min(FIRST, self.cases)
        while True:
            last = size >= self.cases or len(alive) <= LEFT
            numbers = range(first, self.cases if last else size)
            share = 1.0 if last else 0.4 if first == 0 else 0.75
            told = f"{len(alive)} settings on prompts {numbers.start + 1} to {numbers.stop}"
            self.say(told + (f", {min(self.timed, len(numbers))} of them timed" if last else ""))
            seen: dict[Setting, Trial] = {}
            for setting in alive:
                if seen and (self.clock() - began) / 60 > share * self.minutes:
                    self.say(f"time is up for this round: {len(seen)} of {len(alive)} settings tried")
                    break
                trial = self.run(setting, numbers, self.timed if last else 0)
                seen[setting] = tried[setting].joined(trial) if setting in tried else trial
            if last:
                return list(seen.values())
            tried = seen
            alive = self._kept(list(seen.values()))
            first, size = size, 2 * size

    def _kept(self, tried: list[Trial]) -> list[Setting]:
        """The better third, the nearest to the front first; of a front that is longer, as many all along it."""
        worth = [each for each in tried if gained(each, self.exact) > 1.05] or tried
        best, many = front(worth, self.exact), max(LEFT, len(worth) // KEPT)
        if len(best) > many:
            return [best[round(i * (len(best) - 1) / (many - 1))].setting for i in range(many)]
        order = sorted(worth, key=lambda each: regret(each, worth, self.exact))
        return [each.setting for each in order[:many]]


# ---- presets


def is_a_preset(setting: Setting) -> bool:
    """Whether `acceleration.json` can say it: a plan file is no part of a preset."""
    return not setting.plan


def preset(trial: Trial) -> dict[str, Any]:
    """A setting as `acceleration.json` has it."""
    own = trial.setting.own
    if sampler := own.get("sampler"):
        own["schedule"] = times.resolve("auto", sampler)
    return {
        "accel": trial.setting.accel,
        **({"request": own} if own else {}),
        "speed": round(trial.speed, 3),
        "error": round(trial.error, 4),
        "ssim": round(trial.ssim, 4),
        "pictures": len(trial.samples),
    }


def written(path: Path, weights: str, grid: Grid, chosen: dict[str, Trial]) -> None:
    """Put a grid's presets into the file, in the place of those that it had; whatever else the file has stays."""
    put(path, weights, grid, {"presets": {name: preset(trial) for name, trial in chosen.items()}})


def table(tried: Sequence[Trial]) -> list[str]:
    """Aligned lines."""
    head = f"{'speed':>6} {'evaluations':>11} {'error':>7} {'PSNR':>5} {'SSIM':>6}  setting"
    rows = [
        f"{each.speed:5.2f}x {each.work:11.1f} {each.error:7.4f} {each.psnr:5.1f} {each.ssim:6.4f}  {each.setting}"
        for each in tried
    ]
    return [head, *rows]


# ---- the command


def parser() -> Parser:
    made = Parser(prog="python -m newbie tune", description=__doc__)
    made.add_argument("--model", "-m", metavar="PATH", help="folder, file or hub id; default: newbie-mini")
    made.add_argument("--target-speed", metavar="X", help="for example 2x: the least error at that speed")
    made.add_argument("--max-error", type=float, metavar="X", help="for example 0.02: the greatest speed within it")
    made.add_argument("--prompts", type=Path, help="a file or folder; default: our own")
    made.add_argument("--count", type=int, default=16, help="prompts of the last round (default: %(default)s)")
    made.add_argument("--timed", type=int, default=6, help="of them timed (default: %(default)s)")
    made.add_argument("--budget", type=float, metavar="MINUTES", help="default: as long as it takes")
    made.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="cpu: processor seconds, where others compute too"
    )
    made.add_argument("--settings", type=Path, metavar="FILE", help="settings to walk, as for bench quality")
    made.add_argument("--output", "-o", type=Path, metavar="FILE", help=f"default: {FILE} beside the model")
    made.add_argument("--front", type=Path, metavar="FILE", help="where all that was found goes, as JSON")
    made.add_argument("--dry-run", action="store_true", help="write no presets")
    add_run_flags(made)
    return made


def main(arguments: Sequence[str], say: Say) -> int:
    """Exit code 0, also where a target is not met, which is told; raises NewbieError."""
    typed = parser().strict(arguments)
    goals = _goals(typed)
    typed_settings = read_settings(typed.settings) if typed.settings else None
    asked, cases = request_of(typed), _cases(typed)
    model = typed.model
    out: Path | None = None  # where presets go
    if goals is GOALS and not typed.dry_run:
        out = typed.output or beside(model, typed.allow_pickle)
    elif typed.output is not None:
        raise UsageError(
            "--output is for presets, and none are written", "leave it out; --front FILE keeps what is found"
        )
    settings = Settings(device=typed.device, dtype=typed.dtype)
    pipeline = Pipeline.open(model, settings=settings, allow_pickle=typed.allow_pickle, on_note=say)
    whole = asked.resolved(pipeline.recommended)
    grid = grid_of(whole)
    if out is not None:
        stored(out, pipeline.weights_hash)  # a file that cannot be gone on with is refused before anything is measured
    trials = Trials(drawer(pipeline, CLOCKS[typed.clock]), asked, cases)
    sample = replace(asked, prompt=cases[0].prompt)
    walked = fitting(pipeline, typed_settings or space(whole, pipeline.calibration), sample, say)
    exact = trials.exact(0)
    say(f"{pipeline.name}: {len(walked)} settings beside {grid}; an exact picture takes {exact.seconds:.2f} s")
    search = Search(
        lambda setting, numbers, timed: trials.run(setting, numbers, timed=timed),
        len(trials.cases),
        exact.work,
        typed.timed,
        typed.budget or math.inf,
        say,
    )
    found = sorted(search(walked), key=lambda each: each.speed)
    best = front(found, exact.work)
    for line in ["", "the front:", *table(best), ""]:
        say(line)
    if typed.front:
        about = {"model": pipeline.name, "weights": pipeline.weights_hash, "grid": asdict(grid), "clock": typed.clock}
        fronts = {"front": best, "tried": found}
        write_json(typed.front, about | {name: [each.to_json() for each in all_] for name, all_ in fronts.items()})
    fit = found if goals is not GOALS else [each for each in found if is_a_preset(each.setting)]
    chosen = {name: trial for name, goal in goals.items() if (trial := _told(name, goal, fit, say)) is not None}
    if out is not None:
        written(out, pipeline.weights_hash, grid, chosen)
        say(f"{out}: presets for {grid}: {', '.join(chosen) or 'none'}; create.py --plan NAME draws with one")
    return 0


def fitting(pipeline: Pipeline, settings: Sequence[Setting], request: Request, say: Say) -> list[Setting]:
    """Those that fit the model and the request; of others it is told why not, before anything is drawn.

    Raises:
        UsageError: none does.
    """
    found = []
    for setting in settings:
        try:
            Generation(pipeline, setting.of(request).resolved(pipeline.recommended)).denoiser()
        except (UsageError, MemoryShortage) as error:
            say(f"left out, {setting}: {error.message}")
        else:
            found.append(setting)
    if not found:
        raise UsageError("no setting fits this model and request", "the reasons are told above")
    return found


def _told(name: str, goal: Goal, found: Sequence[Trial], say: Say) -> Trial | None:
    best = goal.best(found)
    if best is None:
        say(f"{name} ({goal}): no setting reaches it" + (", so there is no such preset" if name in PRESETS else ""))
        return None
    say(f"{name} ({goal}): {best.setting}; {best.speed:.2f}x, error {best.error:.4f}, SSIM {best.ssim:.4f}")
    return best


def _goals(typed: argparse.Namespace) -> dict[str, Goal]:
    if typed.count < 1 or typed.timed < 1:
        raise UsageError("--count and --timed are numbers from 1 upwards", "for example --count 16 --timed 6")
    if typed.budget is not None and not typed.budget > 0:
        raise UsageError(f"--budget {typed.budget:g} is no time", "minutes, for example --budget 10")
    if typed.target_speed is None and typed.max_error is None:
        return GOALS
    speed = 0.0
    if typed.target_speed is not None:
        try:
            speed = float(typed.target_speed.lower().removesuffix("x"))
        except ValueError:
            speed = math.nan
        if not 1.0 < speed < math.inf:
            raise UsageError(f"--target-speed {typed.target_speed} is no speed-up", "more than 1, for example 2x")
    error = math.inf if typed.max_error is None else typed.max_error
    if not error > 0:
        raise UsageError(f"--max-error {typed.max_error} is no error", "more than 0, for example 0.02")
    return {"the target": Goal(speed, error)}


def _cases(typed: argparse.Namespace) -> list[Case]:
    texts = prompts.drawn_up(typed.count, seed=1) if typed.prompts is None else prompts.of_folder(typed.prompts)
    return [Case(text, SEED + i) for i, text in enumerate(texts[: typed.count])]


def read_settings(path: Path) -> list[Setting]:
    """A JSON list of settings.

    Raises:
        UsageError: it cannot be read, is empty, or one of them is no setting.
    """
    example = 'for example [{"accel": "delta:period=2"}, {"steps": 14, "shift": 1.0}]'
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: no settings can be read from it: {error}", example) from None
    if not isinstance(values, list) or not values:
        raise UsageError(f"{path} is no list of settings", example)
    return list(dict.fromkeys(Setting.from_json(each) for each in values))
