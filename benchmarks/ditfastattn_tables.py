"""The tables of the DiTFastAttn paper for our model: what searched plans leave of the work, and of the picture.

    python benchmarks/ditfastattn_tables.py --probe weights/newbie-mini-probe        all of it, on 64 pictures
    python benchmarks/ditfastattn_tables.py --count 2 --search-on 1 --steps 4 --levels D6 --rounds 1   a smoke test

Plans are searched on some prompts, and judged on pictures of others, drawn as `create.py --plan` draws them: raw and D1
to D6 at 28, 50 and 100 steps, with and without a negative prompt; at the first of these also each method alone, and
windows without their residuals. Distances are to the picture without a plan. With a probe: what it reads in the
pictures (attribute accuracy), their Frechet distance to real drawings and their inception-style score, by its features.

Every row is written as soon as it is measured, and a run goes on with what the file has of the same settings; plans lie
in a folder of their own and are searched once. Writes benchmarks/results/ditfastattn-PIXELS.json.
"""

from __future__ import annotations

import argparse
import math
import random
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from newbie import Pipeline, Request
from newbie.accel.fastattn import KEY
from newbie.accel.plan import Plan
from newbie.accel.search import LEVELS, METHODS, Found
from newbie.bench import machine
from newbie.bench.results import Result, read, write
from newbie.bench.timing import interleave, significant
from newbie.calibrate.distance import psnr, ssim
from newbie.calibrate.plans import Batch, Wish, plan_of, searched, window_for
from newbie.calibrate.prompts import drawn_up
from newbie.cli.plan import facts_of, write_plan
from newbie.pipeline.generation import Generation
from newbie.sampling import noise, solvers
from newbie.sampling.guidance import Runner
from newbie.step import Step
from newbie.train.probe import ATTRIBUTES, Probe, Scores, Seen, load, verdicts
from newbie.train.report import frechet, suites, variety
from newbie.train.report.distance import features
from newbie.vae.pixels import to_uint8

NEGATIVE = "blurry, monochrome, multiple_views"
SEED = 2_000_000  # of the pictures that are searched on
SINGLE = {"reuse": ("reuse",), "window": ("window",), "window+cfg": ("window+cfg",), "cfg": ("cfg",)}
BINDING = "hair_sides"  # every hair colour in its place, where there are several figures


class Case(NamedTuple):
    """One row of the tables. `level` "" is the picture without a plan."""

    steps: int
    negative: bool
    level: str = ""
    methods: str = "all"
    residual: bool = True

    @property
    def name(self) -> str:
        return "-".join([
            str(self.steps), *(["negative"] if self.negative else []), self.level.lower() or "raw",
            *([self.methods] if self.methods != "all" else []), *([] if self.residual else ["alone"]),
        ])  # fmt: skip


@dataclass(frozen=True)
class WithoutResidual:
    """Forgets after every evaluation what windows left out: the paper's ablation, window attention alone."""

    inner: Runner

    def __call__(self, step: Step, *given: Any) -> Tensor:
        y: Tensor = self.inner(step, *given)
        for key, value in step.memory.items():
            if isinstance(key, tuple) and key[0] == KEY and key[-1] == "residual":
                value.zero_()
        return y


class Drawn(NamedTuple):
    """Final latents (C, h, w), the picture, and the most bytes that were remembered at the end of an evaluation."""

    latents: Tensor
    picture: Image.Image
    held: int


@dataclass
class Held:
    """Watches what policies remember; the pictures are the same."""

    inner: Runner
    most: int = 0

    def __call__(self, step: Step, *given: Any) -> Tensor:
        y: Tensor = self.inner(step, *given)
        self.most = max(self.most, sum(value.nbytes for value in step.memory.values() if isinstance(value, Tensor)))
        return y


@dataclass(frozen=True)
class Judge:
    """The pictures that every plan is judged on, and what is asked of them."""

    pipeline: Pipeline
    tasks: list[suites.Task]
    pixels: int
    probe: Probe | None
    drawings: Seen | None  # of held-out drawings by our program
    raw: dict[tuple[int, bool], list[Drawn]] = field(default_factory=dict)

    def request(self, case: Case, number: int = 0, plan: str = "") -> Request:
        task = self.tasks[number]
        asked = Request(prompt=task.prompt, negative=NEGATIVE if case.negative else "", width=self.pixels,
                        height=self.pixels, steps=case.steps, regions="off", seed=number, plan=plan)  # fmt: skip
        return asked.resolved(self.pipeline.recommended)

    def drawn(self, case: Case, plan: str = "") -> list[Drawn]:
        """Each of them by a plan, or without."""
        return [draw(self.pipeline, self.request(case, number, plan), case) for number in range(len(self.tasks))]

    def plain(self, case: Case) -> list[Drawn]:
        """The same without a plan, kept as long as this many steps are measured."""
        key = case.steps, case.negative
        if key not in self.raw:
            self.raw.clear()
            self.raw[key] = self.drawn(Case(*key))
        return self.raw[key]

    def row(self, case: Case, plan: str = "") -> dict[str, Any]:
        """What the pictures lost."""
        exact = self.plain(case)
        mine = self.drawn(case, plan) if plan else exact
        pairs = list(zip(mine, exact, strict=True))
        decibels = [psnr(a.picture, b.picture) for a, b in pairs]
        finite = [each for each in decibels if math.isfinite(each)]
        found: dict[str, Any] = {
            "pictures": len(pairs),
            "error": fmean(float((a.latents - b.latents).norm() / b.latents.norm()) for a, b in pairs),
            "psnr": fmean(finite) if finite else None,
            "ssim": fmean(ssim(a.picture, b.picture) for a, b in pairs),
            "held_mib": max(each.held for each in mine) / 2**20,
        }
        return found | ({} if self.probe is None else self._read([np.asarray(each.picture) for each in mine]))

    def _read(self, pictures: list[np.ndarray[Any, Any]]) -> dict[str, Any]:
        assert self.probe is not None and self.drawings is not None
        seen = self.probe.look(pictures)
        scores = Scores.count(verdicts(seen.log_p, [task.asked for task in self.tasks]))
        rates = {name: scores.rate(name) for name in ATTRIBUTES}
        hits, total = (sum(getattr(rate, of) for rate in rates.values()) for of in ("hits", "total"))
        return {
            "accuracy": hits / total,
            "binding": rates[BINDING].value if rates[BINDING].total else None,
            "attributes": {name: rate.value for name, rate in rates.items() if rate.total},
            "frechet": frechet(features(seen), features(self.drawings)),
            "inception": variety(seen),
        }

    def times(self, case: Case, plan: str, rounds: int) -> float:
        """How many times as fast one picture is with the plan: both take turns."""
        runs = {
            name: lambda plan=each: draw(self.pipeline, self.request(case, 0, plan), case, decode=False)
            for name, each in (("exact", ""), ("plan", plan))
        }
        timings = interleave(runs, rounds=rounds, seed=case.steps, device=torch.device("cpu"))
        return timings["exact"].median / timings["plan"].median


@torch.no_grad()
def draw(pipeline: Pipeline, request: Request, case: Case, *, decode: bool = True) -> Drawn:
    """One picture, as the pipeline draws it."""
    denoiser = Generation(pipeline, request).denoiser()
    velocity = denoiser.velocity(1)
    held = Held(velocity.runner) if velocity.runner is not None else None
    if held is not None:
        velocity.runner = held if case.residual else WithoutResidual(held)
    start = noise.draw([request.seed], (pipeline.vae.config.latent_channels, *denoiser.size))
    latents = solvers.SOLVERS[denoiser.sampler](velocity, start, denoiser.grid, None)
    picture = Image.new("RGB", (1, 1))
    if decode:
        picture = Image.fromarray(to_uint8(pipeline.vae.decode(latents))[0].cpu().numpy())
    return Drawn(latents[0], picture, held.most if held is not None else 0)


def cases(steps: list[int], levels: list[str]) -> Iterator[Case]:
    """All rows; those that share their pictures without a plan stand together."""
    for negative in (False, True):
        for count in steps:
            yield Case(count, negative)
            for level in levels:
                yield Case(count, negative, level)
            if count == steps[0] and not negative:
                for level in levels[1::2]:
                    yield from (Case(count, negative, level, name) for name in SINGLE)
                    yield Case(count, negative, level, "window", residual=False)


def plan_for(pipeline: Pipeline, case: Case, request: Request, on: int, place: Path) -> Plan:
    """Searched for, or as it was searched for before."""
    assert request.width and request.height and pipeline.parts is not None
    path = place / f"{case.name}.json"
    if path.exists():
        return Plan.read(path)
    methods = METHODS if case.methods == "all" else SINGLE[case.methods]
    wish = Wish(among=methods, window=window_for((request.height // 16, request.width // 16)))
    request, texts = replace(request, seed=SEED, prompt=""), drawn_up(on)
    run = facts_of(pipeline.parts, request, hashed=True).run
    delta = LEVELS[case.level]
    found = Found.open(path.with_name(path.name + ".search"), wish.settings(delta, request, texts, run))
    batch = Batch.of(pipeline, texts, request)
    around = (lambda runner: runner) if case.residual else WithoutResidual
    (each,) = searched(batch, wish, {case.level: delta}, {case.level: found}, _told, around=around)
    plan = plan_of(each, wish, run, {"search_trials": found.tried, "pictures": on})
    write_plan(path, plan)
    found.path and found.path.unlink(missing_ok=True)
    return plan


def _told(line: str) -> None:
    print("  " + line, flush=True)


def real(count: int, pixels: int, workers: int, probe: Probe) -> Seen:
    """Held-out drawings by our program, that no judged prompt asks for."""
    from newbie.train.figures import sample
    from newbie.train.studio import Studio

    specs = [sample(random.Random(f"distance/{i}"), split="held_out", characters=1 + i % 3) for i in range(count)]
    with Studio(workers, pixels) as studio:
        return probe.look(studio.order(specs))


def rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: significant(value, 4)
        if isinstance(value, float)
        else rounded(value)
        if isinstance(value, dict)
        else value
        for name, value in row.items()
    }


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    flags.add_argument("--model", help="folder (default: the bundled model)")
    flags.add_argument("--pixels", type=int, help="side of the pictures (default: as the model recommends)")
    flags.add_argument("--steps", default="28,50,100")
    flags.add_argument("--levels", default=",".join(LEVELS))
    flags.add_argument("--count", type=int, default=64, help="pictures that plans are judged on (default: %(default)s)")
    flags.add_argument("--search-on", type=int, default=6, help="pictures that they are searched on")
    flags.add_argument("--probe", type=Path, help="folder of a probe: what the pictures show is read too")
    flags.add_argument("--rounds", type=int, default=3, help="of the comparison of times; 0: none")
    flags.add_argument("--workers", type=int, default=1, help="processes that draw real drawings")
    flags.add_argument("--plans", type=Path, default=Path("runs/ditfastattn"), help="folder (default: %(default)s)")
    flags.add_argument("--note", default="", help="what else the machine was doing")
    flags.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    args = flags.parse_args()
    probe = load(args.probe, "cpu") if args.probe else None
    pipeline = Pipeline.open(args.model)
    pixels = args.pixels or pipeline.recommended.width
    tasks = suites.held_out(args.count, seed=0)
    drawings = None if probe is None else real(args.count, pixels, args.workers, probe)
    judge = Judge(pipeline, tasks, pixels, probe, drawings)
    settings = {
        "model": pipeline.name, "weights": pipeline.weights_hash, "pixels": pixels, "pictures": args.count,
        "searched_on": args.search_on, "probe": args.probe.name if args.probe else "",
    }  # fmt: skip
    name = f"ditfastattn-{pixels}"
    rows = kept(args.results / f"{name}.json", settings)
    place = args.plans / f"{pipeline.weights_hash[:12]}-{pixels}-{args.search_on}"
    place.mkdir(parents=True, exist_ok=True)
    about = {
        "command": shlex.join(["python", "benchmarks/ditfastattn_tables.py", *sys.argv[1:]]), "note": args.note,
        "dtype": pipeline.chosen["dtype"].value, "seed": 0, **machine.facts(torch.device("cpu")),
    }  # fmt: skip
    for case in cases([int(each) for each in args.steps.split(",")], args.levels.split(",")):
        if case.name in rows:
            continue
        row: dict[str, Any] = {**case._asdict(), "attention_left": 1.0, "saved": 0.0, "times": None}
        file = ""
        if case.level:
            plan = plan_for(pipeline, case, judge.request(case), args.search_on, place)
            file = str(place / f"{case.name}.json")
            row |= {"attention_left": plan.meta["attention_left"], "saved": plan.meta["saved"],
                    "trials": plan.meta["search_trials"]}  # fmt: skip
            if args.rounds and case.residual:
                row["times"] = judge.times(case, file, args.rounds)
        rows[case.name] = rounded(row | judge.row(case, file))
        print(case.name, {key: value for key, value in rows[case.name].items() if key != "attributes"}, flush=True)
        result = Result(name, "ditfastattn", about, {**settings, "rows": rows})
        write(result, args.results)
    print(f"measured: {args.results / f'{name}.json'}")


def kept(path: Path, settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Rows that were measured before, of the same settings."""
    if not path.exists() or (before := read(path)) is None:
        return {}
    same = all(before.values.get(name) == value for name, value in settings.items())
    return dict(before.values["rows"]) if same else {}


if __name__ == "__main__":
    main()
