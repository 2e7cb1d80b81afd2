"""Quantise a model: watch what its layers are given, fit their weights, write a folder that loads like any other.

    python -m newbie quantize svdquant --out models/mini-svdquant
    python -m newbie quantize transformer=nf4,text-encoder=int8 --model PATH --out FOLDER --prompts my-prompts/

Beside the weights lies quantised.json: sizes, the error of every layer, and how far pictures moved.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from newbie import Pipeline, Request, Settings
from newbie.calibrate import prompts
from newbie.calibrate.quantise import Layer, Quantised, quantise
from newbie.calibrate.report import Report
from newbie.calibrate.studio import draw, drawing, networks, with_network
from newbie.calibrate.write import file_dtype, require_free, require_room, write
from newbie.checkpoints import locate
from newbie.checkpoints.layouts import Component
from newbie.checkpoints.save import write_json
from newbie.errors import UsageError
from newbie.flags import Parser
from newbie.pipeline import BUNDLED, bundled
from newbie.quant.choice import Choice
from newbie.quant.fit import ROUNDINGS
from newbie.quant.guests import GUESTS
from newbie.quant.schemes import SCHEMES

REPORT = "quantised.json"
SEED = 1_000_000  # of the first calibration picture, away from those that are compared
TELL_EVERY = 25  # layers
ORDER: tuple[Component, ...] = ("text_encoder", "clip", "transformer")  # in which they run


def parser() -> Parser:
    about = "\n".join(f"  {name:12} {scheme.about}" for name, scheme in SCHEMES.items())
    flags = Parser(
        prog="python -m newbie quantize",
        description=__doc__.split("\n", 1)[0],
        epilog=f"schemes:\n{about}",
    )
    flags.add_argument("quant", metavar="SCHEME", help="for all networks, or PART=SCHEME,... (see --quant)")
    flags.add_argument("--out", "-o", type=Path, required=True, metavar="FOLDER", help="where the model goes")
    flags.add_argument("--model", "-m", help="folder, file or hub id (default: the bundled model)")
    flags.add_argument("--quant-skip", default="", metavar="NAME,...", help="layers that stay as they are")
    flags.add_argument("--rounding", choices=ROUNDINGS, default="gptq", help="of 4-bit integers (default: %(default)s)")
    flags.add_argument("--prompts", type=Path, help="a file or folder to calibrate with (default: our own)")
    flags.add_argument("--count", type=int, default=32, help="calibration prompts; 0: look at nothing")
    flags.add_argument("--pictures", type=int, default=4, help="pictures to compare before and after")
    flags.add_argument("--steps", type=int, help="of each picture (default: as the model recommends)")
    flags.add_argument("--side", type=int, help="pixels of a square's side (default: as the model recommends)")
    flags.add_argument("--device", default="auto", help="auto, cpu, cuda")
    flags.add_argument("--dtype", default="auto", help="auto, float32, bf16")
    flags.add_argument("--overwrite", action="store_true", help="replace files that are there")
    flags.add_argument("--allow-pickle", action="store_true", help="also read .pth files (nothing is executed)")
    return flags


def main(argv: Sequence[str], say: Callable[[str], None]) -> int:
    """Exit code 0; raises NewbieError."""
    args = parser().strict(argv)
    choice = Choice.parse(args.quant, args.quant_skip)
    _require_own(choice)
    _require_counts(args.count, args.pictures)
    model = args.model or bundled()
    parts = locate(model, allow_pickle=args.allow_pickle, spare=BUNDLED, on_note=say)
    place = parts.transformer.folder.parent
    _require_other_place(args.out, place)
    targets = require_free(parts, args.out, overwrite=args.overwrite)  # before the long part, and so is this:
    require_room(targets, args.out, choice, calibrated=args.count > 0)
    texts = _texts(args.prompts, max(args.count, args.pictures))
    request = Request(steps=args.steps, width=args.side, height=args.side, seed=SEED)
    request.check()
    pipeline = Pipeline.open(
        model, settings=Settings(device=args.device, dtype=args.dtype), allow_pickle=args.allow_pickle
    )
    dtypes = {name: file_dtype(source.open().index) for name, source in parts.sources().items()}
    report = _quantised(pipeline, choice, texts, request, dtypes, args, say)
    write(parts, place, args.out, {name: part.network for name, part in report.parts.items()}, overwrite=args.overwrite)
    write_json(args.out / REPORT, report.as_json())
    for line in report.lines():
        say(line)
    say(f"{args.out}: written and read back; create.py --model {args.out} draws with it, {REPORT} tells more")
    return 0


def _quantised(
    pipeline: Pipeline,
    choice: Choice,
    texts: Sequence[str],
    request: Request,
    dtypes: Mapping[Component, torch.dtype | None],
    args: argparse.Namespace,
    say: Callable[[str], None],
) -> Report:
    """Every part that was chosen, one after another; what is calibrated later sees what was quantised before it."""
    compared, first = list(texts[: args.pictures]), replace(request, seed=0)
    before = draw(pipeline, compared, first)
    parts: dict[str, Quantised] = {}
    after = pipeline
    for name in ORDER:
        rule, network = choice.rule(name), networks(pipeline).get(name)
        if rule is None or network is None:
            continue
        run = drawing(after, name, texts[: args.count], request) if args.count else None
        say(f"{name}: {rule.scheme}" + (f", watching {args.count} pictures" if run else ""))
        parts[name] = quantise(
            network, rule, run, rounding=args.rounding, dtype=dtypes[name], on_layer=_teller(name, say)
        )
        after = with_network(after, name, parts[name].network)
    facts: dict[str, Any] = {
        "model": pipeline.name,
        "weights": pipeline.weights_hash,
        "quant": args.quant,
        "quant_skip": args.quant_skip,
        "rounding": args.rounding,
        "calibration prompts": args.count,
        "ran": after.describe(),
    }
    return Report.of(parts, before, draw(after, compared, first), facts)


def _texts(place: Path | None, count: int) -> list[str]:
    """So many prompts; those of a folder again and again, with other seeds."""
    if place is None:
        return prompts.drawn_up(count)
    found = prompts.of_folder(place)
    return [found[i % len(found)] for i in range(count)]


def _teller(name: str, say: Callable[[str], None]) -> Callable[[Layer], None]:
    done: list[Layer] = []

    def tell(layer: Layer) -> None:
        done.append(layer)
        if len(done) % TELL_EVERY == 0:
            say(f"{name}: {len(done)} layers, the last {layer.path}")

    return tell


def _require_counts(count: int, pictures: int) -> None:
    for flag, number in (("--count", count), ("--pictures", pictures)):
        if number < 0:
            raise UsageError(f"{flag} {number} is no number of pictures", "0 for none")


def _require_own(choice: Choice) -> None:
    if not choice.rules:
        raise UsageError("nothing is to be put into fewer bits", "name a scheme; convert-weights copies weights")
    for rule in choice.rules.values():
        if rule.scheme in GUESTS:
            raise UsageError(f"{rule.scheme} is quantised while loading, not written", "use a scheme of our own")


def _require_other_place(out: Path, place: Path) -> None:
    if out.exists() and out.resolve() == place.resolve():
        raise UsageError(f"{out} is the model that is to be quantised", "name another folder with --out")
