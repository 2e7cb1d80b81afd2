"""How well a model obeys: it draws held-out prompts, and a probe that sees pixels only reads the pictures.

    python -m newbie evaluate --count 1024 --out runs/report
    python -m newbie evaluate --prompts FOLDER
    python -m newbie evaluate --accel dbcache:threshold=0.2,delta --out runs/faster

Beside the model's scores stand those of real drawings of the same specs (the ceiling) and what a model that ignores
its prompt would score (chance). An interrupted report goes on where it stopped; see docs/evaluation.md.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

from newbie import Pipeline, Request, Settings, devices, images
from newbie.accel.calibration import FILE, is_file
from newbie.cli import args
from newbie.errors import UsageError
from newbie.flags import Parser
from newbie.train.figures import sample
from newbie.train.figures.names import NAMED
from newbie.train.figures.spec import HELD_OUT_PAIRS
from newbie.train.mini import drawings_of
from newbie.train.probe import BUNDLED, Probe, Scores, Seen, Verdict, load, shuffled, verdicts
from newbie.train.recipes import MiniRecipe
from newbie.train.report import Report, Task, draw_pictures, frechet, suites, tables, variety
from newbie.train.report.confusion import confusion_picture
from newbie.train.report.distance import features
from newbie.train.report.neighbours import nearest, neighbour_sheet
from newbie.train.report.sheets import contact_sheet, worst_sheet
from newbie.train.studio import Picture, Studio

Say = Callable[[str], None]
SUITES = ("main", "pairs", "forms", "names")
NEIGHBOURS_SHOWN = 12
REQUEST_FLAGS = ("steps", "cfg_scale", "shift", "canonical", "accel", "plan")


def tasks_of(chosen: Sequence[str], count: int, seed: int) -> list[Task]:
    """The prompts of these suites. `count` is that of the main one; the others grow with it."""
    made = {
        "main": lambda: suites.held_out(count, seed),
        "pairs": lambda: suites.pairs(-(-count * 3 // (16 * len(HELD_OUT_PAIRS))), seed),
        "forms": lambda: suites.forms(-(-count // 8), seed),
        "names": lambda: suites.names(-(-count // (12 * len(NAMED)))),
    }
    return [task for name in SUITES if name in chosen for task in made[name]()]


def evaluated(
    pictures: Sequence[Picture], tasks: Sequence[Task], probe: Probe, studio: Studio, facts: dict[str, Any]
) -> tuple[Report, Seen]:
    """Judge pictures, and real drawings of the same specs; also what the probe saw in the pictures."""
    seen = probe.look(pictures)
    asked = [task.asked for task in tasks]
    model = dict(zip((task.name for task in tasks), verdicts(seen.log_p, asked), strict=True))
    real: dict[str, Verdict] = {}
    drawable = [task for task in tasks if task.spec is not None]
    if drawable:
        drawings = studio.order([task.spec for task in drawable if task.spec is not None])
        read = verdicts(probe.look(drawings).log_p, [task.asked for task in drawable])
        real = dict(zip((task.name for task in drawable), read, strict=True))
    main = [i for i, task in enumerate(tasks) if task.name.startswith(("main-", "own-"))]
    chance = Scores({})
    if main:
        chance = Scores.count(verdicts(_only(seen, main).log_p, shuffled([asked[i] for i in main])))
    return Report(model, real, chance, probe.ceiling, facts), seen


def distances(seen: Seen, probe: Probe, studio: Studio, seed: int) -> dict[str, float]:
    """Frechet distance and variety of pictures, and of as many real drawings, against held-out drawings."""
    count = len(seen.features)
    sets = [
        [sample(random.Random(f"{name}/{seed}/{i}"), split="held_out", characters=1 + i % 3) for i in range(count)]
        for name in ("distance", "floor")
    ]
    others, floor = (probe.look(studio.order(specs)) for specs in sets)
    return {
        "pictures": count,
        "frechet": frechet(features(seen), features(others)),
        "frechet of real drawings": frechet(features(floor), features(others)),
        "variety": variety(seen),
        "variety of real drawings": variety(floor),
    }


def neighbours(
    pictures: Sequence[Picture], seen: Seen, probe: Probe, studio: Studio, training: int, out: Path
) -> dict[str, float]:
    """Write the sheet of nearest training drawings; how near pictures and held-out drawings come to them."""
    drawings = drawings_of(MiniRecipe(), studio.side)
    known = studio.pictures([drawings.spec(i) for i in range(training)])
    known_seen = probe.look(known)
    held_out = [sample(random.Random(f"near/{i}"), split="held_out") for i in range(min(len(pictures), 256))]
    unseen = nearest(probe.look(studio.order(held_out)), known_seen)
    shown = range(0, len(pictures), max(len(pictures) // NEIGHBOURS_SHOWN, 1))[:NEIGHBOURS_SHOWN]
    found = nearest(_only(seen, list(shown)), known_seen)
    neighbour_sheet([pictures[i] for i in shown], known, found).save(out / "neighbours.png")
    return {
        "training drawings": training,
        "median distance": nearest(seen, known_seen).median,
        "median distance of held-out drawings": unseen.median,
    }


def parser() -> Parser:
    flags = Parser(prog="python -m newbie evaluate", description=__doc__.splitlines()[0])
    flags.add_argument("--model", "-m", help="folder, file or hub id (default: the bundled model)")
    flags.add_argument("--prompts", type=Path, help="a folder with your own prompts (.xml, .txt)")
    flags.add_argument("--out", type=Path, default=Path("runs/report"), help="folder (default: %(default)s)")
    flags.add_argument("--probe", type=Path, default=BUNDLED, help="default: the one that comes with newbie-mini")
    flags.add_argument("--count", type=int, default=1024, help="held-out prompts (default: %(default)s)")
    flags.add_argument("--suites", nargs="+", choices=SUITES, default=SUITES, help="default: all")
    flags.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    flags.add_argument("--side", type=int, help="pixels of a square's side (default: as the model recommends)")
    flags.add_argument("--training", type=int, default=2048, help="drawings to look for neighbours in; 0: do not")
    flags.add_argument("--workers", type=int, default=min(os.cpu_count() or 1, 8), help="processes that draw")
    flags.add_argument("--quant", default="", metavar="SCHEME", help="weights in fewer bits, as create.py has them")
    flags.add_argument("--quant-skip", default="", metavar="NAME,...", help="layers that stay as they are")
    request = flags.add_argument_group("the request, as create.py has it; default: as the model recommends")
    args.add_request_flags(request, only=REQUEST_FLAGS)
    return flags


def main(argv: Sequence[str], say: Say) -> int:
    """Exit code 0; raises NewbieError."""
    typed = parser().strict(argv)
    given = {name: value for name, value in vars(typed).items() if name in (*REQUEST_FLAGS, "seed")}
    args.require_together(given)
    if typed.count < 1:
        raise UsageError(f"--count {typed.count} leaves nothing to evaluate", "1 at least; 1024 for narrow intervals")
    probe = load(typed.probe, devices.device().value)  # before anything is drawn: without it nothing can be judged
    lost: dict[str, list[str]] = {}
    if typed.prompts is not None:
        tasks, lost = suites.of_folder(typed.prompts)
        for name, words in lost.items():
            say(f"{name}: cannot be judged: {', '.join(words)}")
    else:
        tasks = tasks_of(typed.suites, typed.count, typed.seed)
    settings = Settings(quant=typed.quant, quant_skip=typed.quant_skip)
    asked = Request(**args.request_fields(given), height=typed.side)
    pipeline = Pipeline.open(typed.model, settings=settings, on_note=say, drawing=asked)
    request = asked.resolved(pipeline.recommended)
    for line in pipeline.expected(request):
        say(line)
    folder, since = typed.out / "pictures", _settled(pipeline, request)
    pictures: list[Picture] = []
    for suite, part in groupby(tasks, key=lambda task: task.name.split("-")[0]):  # each begins with the first seed
        say(f"drawing {suite}")
        pictures += draw_pictures(pipeline, list(part), request, folder=folder, since=since, say=say)
    facts = {"ran": pipeline.describe(), "request": request.to_json(), "pictures": len(tasks), "not judged": lost}
    if request.accel or request.plan:
        facts["accelerations"] = accelerations([folder / f"{task.name}.png" for task in tasks])
    with Studio(typed.workers, request.height or 256) as studio:
        say("judging")
        report, seen = evaluated(pictures, tasks, probe, studio, facts)
        places = [i for i, task in enumerate(tasks) if task.name.startswith("main-")]
        if places:
            pictures, seen = [pictures[i] for i in places], _only(seen, places)
            facts["distances"] = distances(seen, probe, studio, typed.seed)
        if typed.training:
            facts["neighbours"] = neighbours(pictures, seen, probe, studio, typed.training, typed.out)
    report.save(typed.out)
    found = [report.model[tasks[i].name] for i in places] or list(report.model.values())
    contact_sheet(pictures).save(typed.out / "sheet.png")
    worst_sheet(pictures, found).save(typed.out / "worst.png")
    confusion_picture(found).save(typed.out / "confusion.png")
    written = "\n\n".join([tables.text(report), *_facts(facts)]) + "\n"
    (typed.out / "report.txt").write_text(written, encoding="utf-8")
    say(written)
    say(f"{typed.out}: report.txt, report.json, verdicts.jsonl, sheet.png, worst.png, confusion.png, pictures/")
    return 0


def accelerations(pictures: Sequence[Path]) -> dict[str, Any]:
    """What approximate accelerations did in these pictures, by their records: methods, and means of what they left."""
    ran = [images.read_record(path).record["ran"] for path in pictures]
    did = [each.get("accel", {}) for each in ran]  # nothing where nothing was left out
    return {
        "methods": ran[0]["caches"],
        "evaluations": fmean(each["evaluations"] for each in ran),
        "computed": fmean(each.get("computed", one["evaluations"]) for each, one in zip(did, ran, strict=True)),
        "operations saved": fmean(each["gflop_saved"] / each["gflop"] if each else 0.0 for each in did),
    }


def _settled(pipeline: Pipeline, request: Request) -> float:
    """When the file that says what is left out was written; 0 where there is none. Older pictures are of another."""
    if not request.plan or pipeline.parts is None:
        return 0.0
    if is_file(request.plan):
        return Path(request.plan).expanduser().stat().st_mtime
    calibrated = None if pipeline.parts.folder is None else pipeline.parts.folder / FILE
    return calibrated.stat().st_mtime if calibrated is not None and calibrated.is_file() else 0.0


def _facts(facts: dict[str, Any]) -> list[str]:
    blocks = []
    if did := facts.get("accelerations"):
        said = f"{did['computed']:.1f} of {did['evaluations']:.1f} evaluations, {did['operations saved']:.1%} saved"
        blocks.append(f"accelerations: {', '.join(did['methods']) or 'none'}; {said}")
    for name in ("distances", "neighbours"):
        if name in facts:
            lines = [f"{key:40}{value:>12.4g}" for key, value in facts[name].items()]
            blocks.append("\n".join([f"{name}, by the probe's features", *lines]))
    return blocks


def _only(seen: Seen, places: list[int]) -> Seen:
    return Seen({name: values[places] for name, values in seen.log_p.items()}, seen.features[places])
