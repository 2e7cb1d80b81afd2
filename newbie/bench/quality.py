"""`python -m newbie bench quality`: what every approximate acceleration gains, and what it costs.

    python -m newbie bench quality --probe weights/newbie-mini-probe --output runs/quality
    python -m newbie bench quality --settings presets.json --count 1024 --probe FOLDER --output runs/presets

Each setting is drawn beside the exact pictures of the same prompts and seeds, and beside plain fewer steps with as many
evaluations at their own best shift: a method with no less error than those is not recommended. Everything is kept in
the folder, setting by setting; a run that is begun again goes on. See docs/quality.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from newbie import Pipeline, Request, Settings, devices, images
from newbie.accel import methods
from newbie.accel.calibration import Calibration, Grid, Named, is_file
from newbie.accel.plan import Plan
from newbie.bench import lpips, machine, peer_cache, plots, results, tables
from newbie.bench.options import without_folders
from newbie.bench.results import Result
from newbie.calibrate.acceleration import REQUEST, add_run_flags, request_of
from newbie.calibrate.fewer import fewer_steps
from newbie.calibrate.trial import CLOCKS, Case, Drawn, Setting, Trial, Trials, drawer
from newbie.calibrate.tune import read_settings
from newbie.errors import UsageError
from newbie.flags import Parser
from newbie.pipeline.generation import Generation
from newbie.pipeline.presets import grid_of
from newbie.train.probe import Probe, Scores, Verdict, judge, load
from newbie.train.probe.scores import BOUND
from newbie.train.report import Report, Task, compare, suites
from newbie.train.report.sheets import sheet

SEED = 4_000_000  # of the first picture, away from those that calibrate and tune
FEW = 8  # prompts on which the best shift is looked for
SHEET = 4  # prompts on a contact sheet
PEERS = 16  # prompts that others draw
NAME, EXACT = "quality.json", "exact.safetensors"
NEWER = ("dtype", "calibration")  # parts of the identity that folders from before do not tell
FOLDERS = ("--output", "-o", "--probe", "--settings", "--prompts", "--model", "-m")
Say = Callable[[str], None]


# ---- what is tried where nobody says


def sweep(request: Request, calibration: Calibration) -> list[Setting]:
    """Every method at several settings, alone and with reuse of guidance; guidance that ends; the model's presets."""
    assert request.steps
    found = [f"fora:interval={n},order={order}" for n in (2, 3) for order in (0, 1)]
    deep = [f"deepcache:interval={n},order={order},warmup=1,cooldown=1" for n in (2, 3, 4) for order in (0, 1)]
    found += deep
    found += [f"fbcache:threshold={t}" for t in (0.1, 0.2, 0.4)] + ["fbcache:threshold=0.2,order=1"]
    found += [f"dbcache:threshold={t},order=1" for t in (0.1, 0.2, 0.4)] + ["dbcache:threshold=0.2,order=2"]
    found += [f"dbcache:threshold={t},order=1,weighting=none" for t in (0.1, 0.2, 0.4)]
    curve = "calibrated" if grid_of(request) in calibration.curves else "identity"
    found += [f"teacache:threshold={t},curve={curve}" for t in (0.1, 0.2, 0.4)]
    if grid_of(request) in calibration.ratios:
        found += [f"magcache:threshold={t}" for t in (0.03, 0.06, 0.12)] + ["magcache:threshold=0.06,order=1"]
    found += [f"mask:steps={name}" for name in ("ng-medium", "ng-fast") if request.steps == methods.MASKS_FOR]
    found += [f"freeze:refresh={n}" for n in (2, 4, 8)] + ["prune"]
    ends: list[Setting] = []
    if request.cfg_scale != 1.0:
        found += [f"delta:period={n}" for n in (2, 3, 4)] + ["delta:period=2,order=0"]
        found += [f"{each},delta:period=2" for each in (*deep[:4], "dbcache:threshold=0.2,order=1")]
        ends = [Setting(cfg_trunc=f"time:{t}") for t in (0.25, 0.5, 0.75) if not request.cfg_trunc]
    presets = calibration.of_grid(grid_of(request))
    return [Setting(accel=each) for each in found] + ends + [Setting(plan=name) for name in presets]


# ---- obedience


@dataclass(frozen=True)
class Judge:
    """Reads pictures with the probe, and compares what it reads with the exact pictures of the same prompts."""

    probe: Probe
    tasks: Sequence[Task]
    exact: Mapping[str, Verdict]

    @classmethod
    def of(cls, probe: Probe, tasks: Sequence[Task], exact: Sequence[Image.Image]) -> Judge:
        return cls(probe, tasks, cls(probe, tasks, {}).read(exact))

    def read(self, pictures: Sequence[Image.Image]) -> dict[str, Verdict]:
        """By the names of the tasks."""
        seen = judge([np.asarray(each.convert("RGB")) for each in pictures], [t.asked for t in self.tasks], self.probe)
        return dict(zip((task.name for task in self.tasks), seen, strict=True))

    def accuracy(self, pictures: Sequence[Image.Image]) -> dict[str, Any]:
        """Shares that are right; and the most that any attribute can have lost, by the paired 95 % interval."""
        found = self.read(pictures)
        scores = Scores.count(found.values())
        rates = {name: scores.rate(name) for name in (*BOUND, "all")}
        known = {name: rate.value for name, rate in rates.items() if rate.total}
        paired = compare(_report(self.exact), _report(found), self.tasks[0].name.partition("-")[0])
        losses = {name: -paired[name].interval[0] for name in known if name in paired}
        worst = max(losses, key=lambda name: losses[name], default=None)
        parts = [known[name] for name in BOUND if name in known]
        return {
            "attributes": statistics.fmean(parts) if parts else None,
            "eyes": known.get("eye_color"),
            "binding": known.get("all"),
            "lost_at_most": None if worst is None else losses[worst],
            "lost_of": worst,
            "by_attribute": {name: [known[name], -paired[name].difference, losses[name]] for name in losses},
        }


def _report(found: Mapping[str, Verdict]) -> Report:
    return Report(found, {}, Scores({}), Scores({}))


# ---- the measurement


@dataclass
class Work:
    """A folder with everything measured so far, and what measures the rest."""

    folder: Path
    trials: Trials
    tasks: Sequence[Task]
    identity: dict[str, Any]  # what must be the same for a run to go on
    about: dict[str, Any]
    name: str
    timed: int
    probe: Probe | None
    say: Say
    minutes: float | None = None
    values: dict[str, Any] = field(default_factory=dict)
    judge: Judge | None = None
    began: float = field(default_factory=time.monotonic)

    def open(self) -> None:
        """What the folder has, or nothing yet. Raises UsageError where it is of another measurement."""
        path = self.folder / NAME
        fresh: dict[str, Any] = {**self.identity, "trials": [], "fewer": [], "refused": {}}
        if not path.is_file():
            self.values = fresh
            return
        found = results.read(path)
        kept = {} if found is None else dict(found.values)
        other = [key for key, value in self.identity.items() if kept.get(key, value if key in NEWER else None) != value]
        if other:
            raise UsageError(
                f"{path} is of another measurement: {', '.join(other)}", "name another folder with --output"
            )
        self.values = {**self.identity, **kept}
        done = len(kept["trials"]) + len(kept["fewer"])
        self.say(f"{path}: {done} settings were measured before")

    def keep(self) -> None:
        """Write what is known, whole or not at all."""
        results.write(Result("quality", "quality", self.about, self.values), self.folder)

    def exact(self) -> None:
        """Draw the exact pictures, or take those that the folder has."""
        path = self.folder / EXACT
        if path.is_file() and "exact" in self.values:
            with safe_open(path, "pt") as file:
                latents, pixels = file.get_tensor("latents"), file.get_tensor("pixels")
            for i, drawn in enumerate(self.values["exact"]["drawn"]):
                self.trials.know(i, Drawn(Image.fromarray(pixels[i].numpy()), latents[i], *drawn))
        else:
            self.say(f"drawing {len(self.tasks)} exact pictures")
            all_ = [self.trials.exact(i) for i in range(len(self.tasks))]
            pixels = torch.stack([torch.from_numpy(np.array(each.image.convert("RGB"))) for each in all_])
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file({"latents": torch.stack([each.latents for each in all_]), "pixels": pixels}, path)
            self.values["exact"] = {"drawn": [list(each[2:]) for each in all_], "work": all_[0].work}
        pictures = [self.trials.exact(i).image for i in range(len(self.tasks))]
        if self.probe is not None:
            self.judge = Judge.of(self.probe, self.tasks, pictures)
            self.values["exact"]["accuracy"] = self.judge.accuracy(pictures)
        self.keep()

    def method(self, setting: Setting) -> None:
        """Try a setting; where it does not fit the model or the grid, the reason is the result."""
        known = any(each["setting"] == setting.to_json() for each in self.values["trials"])
        if known or str(setting) in self.values["refused"] or self._late(str(setting)):
            return
        drawn: dict[int, Image.Image] = {}
        try:
            trial = self.trials.run(
                setting, timed=self.timed, on_picture=lambda number, each: drawn.setdefault(number, each.image)
            )
        except UsageError as error:
            self.values["refused"][str(setting)] = error.message
            self.say(f"{setting}: {error.message}")
        else:
            self.values["trials"].append(self._entry(trial, drawn))
            self._sheet(setting, drawn)
        self.keep()

    def fewer(self, steps: int, own: float, start: float) -> float:
        """Try plain fewer steps at their best shift, which is returned."""
        for each in self.values["fewer"]:
            if each["setting"]["steps"] == steps:
                return float(each["setting"]["shift"])
        if self._late(f"{steps} steps"):
            return start
        drawn: dict[int, Image.Image] = {}
        trial = fewer_steps(
            self.trials,
            steps,
            own,
            start,
            few=FEW,
            timed=self.timed,
            on_picture=lambda i, each: drawn.setdefault(i, each.image),
        )
        self.values["fewer"].append(self._entry(trial, drawn))
        self.keep()
        assert trial.setting.shift is not None
        return trial.setting.shift

    def peers(self, pipeline: Pipeline, clock: Callable[[], float]) -> None:
        """The same methods by other people's programs on the first prompts, beside their own exact pictures."""
        cases, exact = self.trials.cases[:PEERS], dict[int, Drawn]()  # which are the same for all of them
        evaluations = len(Generation(pipeline, self.trials.request.resolved(pipeline.recommended)).denoiser().times)
        for name, make in peer_cache.peers(pipeline, self.say).items():
            if any(each.get("peer") == name for each in self.values["trials"]) or self._late(name):
                continue
            peer = make(evaluations)
            draws = (peer.draw(clock, cached=cached) for cached in (False, True))
            theirs = Trials(next(draws), self.trials.request, cases, self.trials.perceptual, next(draws))
            for number, drawn in exact.items():
                theirs.know(number, drawn)
            trial = theirs.run(Setting(), timed=self.timed)
            exact = {number: theirs.exact(number) for number in range(len(cases))}
            ours = self.trials.sample(theirs.exact(0), self.trials.exact(0)).error
            self.values["trials"].append(
                {**self._entry(trial, {}, name), "peer": name, "told": name, "from_ours": ours}
            )
            self.keep()

    def _entry(self, trial: Trial, drawn: Mapping[int, Image.Image], name: str = "") -> dict[str, Any]:
        self.say(f"{name or trial.setting}: {trial.speed:.2f}x, error {trial.error:.4f}, SSIM {trial.ssim:.4f}")
        judged = None
        if self.judge is not None and len(drawn) == len(self.tasks):
            judged = self.judge.accuracy([drawn[i] for i in range(len(self.tasks))])
        return {**trial.to_json(), "accuracy": judged}

    def _sheet(self, setting: Setting, drawn: Mapping[int, Image.Image]) -> None:
        """Exact, with the setting, and the difference four times as strong; the first prompts, not chosen."""
        cells = []
        for i in range(min(SHEET, len(self.tasks))):
            exact, mine = self.trials.exact(i).image, drawn[i]
            shown = {"exact": exact, str(setting): mine, "difference, x 4": images.difference(exact, mine)}
            cells += [(np.asarray(image.convert("RGB")), text) for text, image in shown.items()]
        page = sheet(cells, columns=6)
        images.save(page, self.folder / "sheets" / f"{_file_name(setting)}.png", overwrite=True, metadata=False)

    def _late(self, what: str) -> bool:
        late = self.minutes is not None and (time.monotonic() - self.began) / 60 > self.minutes
        if late:
            self.say(f"left out, {self.minutes:g} minutes have passed: {what}")
        return late

    def report(self) -> list[str]:
        """Write the table and the plots; returns the files' names."""
        result = Result(self.name, "quality", self.about, self.values)
        lines = tables.section(result, "")
        (self.folder / "table.md").write_text(lines + "\n", encoding="utf-8")
        try:
            drawn = plots.draw_all([result], self.folder)
        except UsageError as error:  # no matplotlib
            self.say(f"{error.message}; {error.hint}")
            drawn = []
        return [NAME, "table.md", *(path.name for path in drawn), "sheets/"]


def _file_name(setting: Setting) -> str:
    """No longer than file systems like it; no two settings share one."""
    name = "".join(c if c.isalnum() or c in ".=" else "-" for c in str(setting)).strip("-")
    return name if len(name) <= 120 else f"{name[:111]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


# ---- the command


def parser() -> Parser:
    made = Parser(prog="python -m newbie bench quality", description=__doc__)
    made.add_argument("--model", "-m", metavar="PATH", help="folder, file or hub id; default: newbie-mini")
    made.add_argument("--prompts", type=Path, metavar="FOLDER", help="default: held-out prompts of the drawing program")
    made.add_argument("--count", type=int, default=64, help="prompts (default: %(default)s)")
    made.add_argument("--settings", type=Path, metavar="FILE", help="a JSON list of settings; default: a sweep")
    made.add_argument("--probe", type=Path, metavar="FOLDER", help="also judge attributes, with this probe")
    made.add_argument("--timed", type=int, default=8, help="pictures timed in turns (default: %(default)s)")
    made.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="cpu: processor seconds, where others compute too"
    )
    made.add_argument("--peers", action="store_true", help="also cache-dit on diffusers' model, with the same weights")
    made.add_argument("--minutes", type=float, help="begin nothing new after so many")
    made.add_argument("--output", "-o", type=Path, required=True, metavar="FOLDER", help="goes on with what is there")
    add_run_flags(made)
    return made


def main(argv: Sequence[str], say: Say) -> int:
    """Exit code 0; raises NewbieError."""
    typed = parser().strict(argv)
    _check(typed)
    settings = read_settings(typed.settings) if typed.settings else None
    probe = None if typed.probe is None else load(typed.probe, devices.device().value)
    tasks, asked = _tasks(typed), request_of(typed)
    opened = Settings(device=typed.device, dtype=typed.dtype)
    pipeline = Pipeline.open(typed.model, settings=opened, allow_pickle=typed.allow_pickle, on_note=say)
    perceptual, absent = lpips.distance()
    if absent:
        say(f"no LPIPS: {absent}")
    work, whole = _work(typed, argv, pipeline, asked, tasks, probe, say)
    work.trials.perceptual = perceptual
    work.identity["presets"] = presets(pipeline.calibration, grid_of(whole), settings or ())
    if plans := plan_files(settings or ()):
        work.identity["plans"] = plans
    work.open()
    with torch.no_grad():
        work.exact()
        for setting in settings or sweep(whole, pipeline.calibration):
            work.method(setting)
        assert whole.shift and whole.steps
        start, known = whole.shift, tables.baseline(work.values)
        needed = {known.needed(Trial.from_json(each)) for each in work.values["trials"] if "peer" not in each}
        for steps in sorted(needed - {whole.steps}, reverse=True):
            start = work.fewer(max(steps, 1), whole.shift, start)
        if typed.peers:
            work.peers(pipeline, CLOCKS[typed.clock])
    written = work.report()
    for line in tables.quality(work.values):
        say(line)
    say(f"{typed.output}: {', '.join(written)}")
    return 0


def plan_files(settings: Sequence[Setting]) -> dict[str, str]:
    """What is in the plan files that settings name, as hashes: a setting says no more than where they are.

    Raises:
        UsageError: one cannot be read.
    """
    named = {each.plan for each in settings if is_file(each.plan)}
    plans = {name: json.dumps(Plan.read(Path(name).expanduser()).to_json()) for name in sorted(named)}
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in plans.items()}


def presets(calibration: Calibration, grid: Grid, settings: Sequence[Setting]) -> dict[str, str]:
    """What the model's presets for this grid say, and those for others that settings name, as draft@20,1.5."""
    found = {name: preset.told(name) for name, preset in calibration.of_grid(grid).items()}
    for plan in {each.plan for each in settings} - found.keys():
        named = Named.read(plan)
        if named is not None and (preset := calibration.find(named, grid)):
            found[plan] = preset.told(plan)
    return found


def _work(
    typed: argparse.Namespace,
    argv: Sequence[str],
    pipeline: Pipeline,
    asked: Request,
    tasks: Sequence[Task],
    probe: Probe | None,
    say: Say,
) -> tuple[Work, Request]:
    whole, known = asked.resolved(pipeline.recommended), pipeline.calibration
    cases = [Case(task.prompt, SEED + i) for i, task in enumerate(tasks)]
    prompts = json.dumps([case._asdict() for case in cases]).encode()
    kept = {name: value for name, value in whole.to_json().items() if name in (*REQUEST, "cfg_renorm", "negative")}
    identity = {
        "model": pipeline.name,
        "weights": pipeline.weights_hash,
        "request": kept,
        "grid": {"steps": whole.steps, "shift": whole.shift},
        "dtype": pipeline.chosen["dtype"].value,
        "calibration": hashlib.sha256(repr((known.curves, known.ratios)).encode()).hexdigest(),
        "pictures": len(tasks),
        "prompts": hashlib.sha256(prompts).hexdigest(),
        "clock": typed.clock,
        "probe": typed.probe is not None,
    }
    device = torch.device(pipeline.chosen["device"].value)
    dtype = pipeline.chosen["dtype"].value
    command = " ".join(["python -m newbie bench quality", *without_folders(argv, FOLDERS)])
    about = {"command": command, "dtype": dtype, "seed": SEED, **machine.facts(device)}
    name = f"quality-{pipeline.name}-{dtype}-{machine.label(device)}"
    trials = Trials(drawer(pipeline, CLOCKS[typed.clock]), asked, cases)
    made = Work(typed.output, trials, tasks, identity, about, name, typed.timed, probe, say, typed.minutes)
    return made, whole


def _tasks(typed: argparse.Namespace) -> list[Task]:
    """Square pictures only: settings for one size are tried on all of them."""
    if typed.prompts is not None:
        return suites.of_folder(typed.prompts)[0][: typed.count]
    found: list[Task] = []
    drawn = typed.count
    while len(found) < typed.count:
        drawn *= 2
        found = [task for task in suites.held_out(drawn, SEED) if task.shape == "square"]
    return found[: typed.count]


def _check(typed: argparse.Namespace) -> None:
    for name in ("count", "timed"):
        if getattr(typed, name) < 1:
            raise UsageError(f"--{name} {getattr(typed, name)} is too few", f"for example --{name} 8")
    if typed.minutes is not None and not typed.minutes > 0:
        raise UsageError(f"--minutes {typed.minutes:g} is no time", "for example --minutes 30")
    if typed.output.exists() and not typed.output.is_dir():
        raise UsageError(f"--output {typed.output} is a file", "name a folder")
