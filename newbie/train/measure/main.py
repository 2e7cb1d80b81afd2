"""Does the structure of prompts act? Binding, weights, and edits that stay put, measured on a model of our drawings.

    python -m newbie measure binding  --out runs/binding         1,000 hard prompts, without regions and with them
    python -m newbie measure single   --out runs/single          pictures of one character: regions must not touch them
    python -m newbie measure weights  --out runs/weights         presence of a tag by its weight
    python -m newbie measure locality --out runs/locality        what an edit of one character does to the other

Pictures are kept, so an interrupted measurement goes on where it stopped; the probe is that of `python -m newbie
evaluate`. See docs/regions.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from newbie import Pipeline, Request, devices
from newbie.errors import UsageError
from newbie.flags import Parser
from newbie.regions.schedule import OFF, Regions
from newbie.train.measure import binding, hard, locality, response
from newbie.train.probe import BUNDLED, Probe, judge, load
from newbie.train.report import Task, draw_pictures, suites
from newbie.train.report.pictures import Engine
from newbie.train.report.sheets import complaint, sheet
from newbie.train.studio import Picture

Say = Callable[[str], None]
COUNTS = {"binding": hard.COUNT, "single": 200, "weights": 24, "locality": 200}
ALONE = 128  # figures by themselves, before binding is measured


@dataclass(frozen=True)
class Work:
    """One measurement: a model, how it draws, and where everything is kept."""

    pipeline: Engine
    request: Request
    out: Path
    say: Say

    def draw(self, tasks: Sequence[Task], folder: str, regions: str = OFF) -> list[Picture]:
        """Picture i has the seed of the request + i."""
        self.say(f"drawing {len(tasks)} pictures, {folder}")
        request = replace(self.request, regions=regions)
        return draw_pictures(self.pipeline, tasks, request, folder=self.out / folder, say=self.say)

    def write(self, text: str, found: Mapping[str, Any]) -> None:
        """`report.txt` and `report.json`."""
        facts = {"ran": self.pipeline.describe(), "request": self.request.to_json(), **found}
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "report.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        (self.out / "report.txt").write_text(text + "\n", encoding="utf-8")
        self.say(text)


def measure_binding(work: Work, probe: Probe, count: int, regions: str) -> binding.Binding:
    """The hard prompts twice, and figures by themselves, to know what the model can draw at all.

    Writes a sheet of what regions mended and broke, off above on.
    """
    alone = alone_tasks(ALONE, work.request.seed)
    able = binding.able(judge(work.draw(alone, "alone"), [task.asked for task in alone], probe))
    tasks = hard.hard(count)
    pictures = {side: work.draw(tasks, side, said) for side, said in (("off", OFF), ("on", regions))}
    names, asked = [task.name for task in tasks], [task.asked for task in tasks]
    off, on = (dict(zip(names, judge(pictures[side], asked, probe), strict=True)) for side in ("off", "on"))
    found = binding.Binding(off, on, able)
    work.write(binding.text(found), {"regions": regions, "prompts": hard.digest(tasks), **found.as_json()})
    cells = [
        (pictures[side][names.index(name)], f"{name}, {side}\n{complaint(verdicts[name], 3)}")
        for side, verdicts in (("off", found.off), ("on", found.on))
        for name in binding.examples(found)
    ]
    if cells:
        sheet(cells, columns=len(cells) // 2, side=160).save(work.out / "examples.png")
    return found


def alone_tasks(count: int, seed: int) -> list[Task]:
    """Held-out prompts of one figure, about `count` of them."""
    return [task for task in suites.held_out(3 * count, seed) if len(task.asked.figures) == 1]


def measure_single(work: Work, count: int, regions: str) -> int:
    """How many pictures of one character change with regions: none may, as one alone has no area."""
    tasks = alone_tasks(count, work.request.seed)
    off, on = (work.draw(tasks, side, said) for side, said in (("off", OFF), ("on", regions)))
    changed = sum(not np.array_equal(a, b) for a, b in zip(off, on, strict=True))
    text = f"pictures of one character: {len(tasks)}; of these regions changed {changed}, to the last bit"
    work.write(text, {"regions": regions, "pictures": len(tasks), "changed": changed})
    return changed


def measure_weights(work: Work, probe: Probe, each: int, seeds: int) -> response.Response | None:
    """Choose conflicts that are open to both answers, then draw them at every weight with other seeds."""
    tried = response.candidates(each, work.request.seed)
    tasks = [response.task(conflict, 1.0, i, phase="choose") for conflict in tried for i in range(seeds)]
    hits = [response.present(v) for v in judge(work.draw(tasks, "choose"), [t.asked for t in tasks], probe)]
    chosen = response.open_to_both({conflict: hits[i * seeds : (i + 1) * seeds] for i, conflict in enumerate(tried)})
    if not chosen:
        work.write(f"none of {len(tried)} conflicts is open to both answers", {"tried": len(tried)})
        return None
    fresh = replace(work, request=replace(work.request, seed=work.request.seed + len(tasks)))
    told: dict[float, list[tuple[response.Conflict, bool]]] = {}
    for weight in response.WEIGHTS:
        tasks = [response.task(conflict, weight, i, phase="curve") for conflict in chosen for i in range(seeds)]
        seen = judge(fresh.draw(tasks, f"weight-{weight:g}"), [t.asked for t in tasks], probe)
        owners = [conflict for conflict in chosen for _ in range(seeds)]
        told[weight] = list(zip(owners, map(response.present, seen), strict=True))
    found = response.Response(told)
    names = [conflict.name for conflict in chosen]
    work.write(response.text(found, len(chosen), len(tried)), {"conflicts": names, **found.as_json()})
    return found


def measure_locality(work: Work, count: int, regions: str) -> locality.Locality:
    """Before and after an edit, off and on."""
    made = locality.edits(count, work.request.seed)
    own: dict[str, list[locality.Change]] = {}
    other: dict[str, list[locality.Change]] = {}
    for side, said in (("off", OFF), ("on", regions)):
        before, after = (
            work.draw([getattr(edit, when) for edit in made], f"{when}-{side}", said) for when in ("before", "after")
        )
        for edit, a, b in zip(made, before, after, strict=True):
            mine, theirs = locality.areas(edit)
            own.setdefault(side, []).append(locality.changed(a, b, mine))
            other.setdefault(side, []).append(locality.changed(a, b, theirs))
    found = locality.Locality(own, other)
    work.write(locality.text(found), {"regions": regions, **found.as_json()})
    return found


def parser() -> Parser:
    flags = Parser(prog="python -m newbie measure", description=__doc__)
    flags.add_argument("what", choices=tuple(COUNTS))
    flags.add_argument("--model", "-m", help="folder, file or hub id (default: the bundled model)")
    flags.add_argument("--out", type=Path, help="folder (default: runs/WHAT)")
    flags.add_argument("--probe", type=Path, default=BUNDLED, help="default: the one that comes with newbie-mini")
    counts = ", ".join(f"{name} {count}" for name, count in COUNTS.items())
    flags.add_argument("--count", type=int, help=f"prompts, or conflicts for each question (default: {counts})")
    flags.add_argument(
        "--seeds", type=int, default=10, help="pictures of a conflict at each weight (default: %(default)s)"
    )
    flags.add_argument("--regions", default="auto", help="what is compared with off (default: %(default)s)")
    flags.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    flags.add_argument("--side", type=int, help="pixels of a square's side (default: as the model recommends)")
    flags.add_argument("--steps", type=int, help="default: as the model recommends")
    flags.add_argument("--cfg-scale", type=float, help="default: as the model recommends")
    return flags


def main(argv: Sequence[str], say: Say) -> int:
    """Exit code 0; raises NewbieError."""
    args = parser().strict(argv)
    count = COUNTS[args.what] if args.count is None else args.count
    if not 1 <= count <= 100_000 or not 1 <= args.seeds <= 10_000:
        raise UsageError(f"--count {count}, --seeds {args.seeds}", "both are at least 1")
    Regions.parse(args.regions)
    out = args.out or Path("runs") / args.what
    probe = load(args.probe, devices.device().value) if args.what in ("binding", "weights") else None
    pipeline = Pipeline.open(args.model)
    request = Request(height=args.side, steps=args.steps, cfg_scale=args.cfg_scale, seed=args.seed)
    work = Work(pipeline, request.resolved(pipeline.recommended), out, say)
    if args.what == "single":
        measure_single(work, count, args.regions)
    elif args.what == "locality":
        measure_locality(work, count, args.regions)
    elif args.what == "binding":
        assert probe is not None
        measure_binding(work, probe, count, args.regions)
    else:
        assert probe is not None
        measure_weights(work, probe, count, args.seeds)
    return 0
