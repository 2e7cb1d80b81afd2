"""What each scheme costs in obedience and in pixels: the same prompts and seeds before and after.

    python benchmarks/quantisation_accuracy.py --count 1024 --out runs/quantisation
    python benchmarks/quantisation_accuracy.py --schemes nf4 svdquant+gptq --count 1024

A scheme is a name of `--quant`, with "+gptq" or "+awq" behind it for another rounding. Whatever is there already is
kept, so a run that was interrupted goes on. Writes benchmarks/results/quantisation-accuracy.json.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from statistics import fmean, stdev

import torch
from PIL import Image

from newbie.bench.machine import facts
from newbie.bench.results import Result, write
from newbie.calibrate.distance import psnr, ssim
from newbie.calibrate.main import REPORT
from newbie.calibrate.main import main as quantize
from newbie.pipeline import bundled
from newbie.train.evaluate import main as evaluate
from newbie.train.probe import BUNDLED, Verdict
from newbie.train.report import Report
from newbie.train.report.result import VERDICTS, compare

SCHEMES = (
    "w8a8",
    "int8",
    "fp8",
    "nf4",
    "int4",
    "int4+gptq",
    "int4+awq",
    "int4-a4",
    "svdquant",
    "svdquant+gptq",
    "svdquant-g64+gptq",
)
LIMIT = {"w8a8": 0.01, "int8": 0.01, "fp8": 0.01}  # of the loss, at its 95 % bound; 3 points for four bits
BASE = "bf16"


def share(verdict: Verdict) -> float:
    """Of all that was asked for in one picture, how much is right."""
    return fmean(told.right for told in verdict.told)


def loss(before: dict[str, Verdict], after: dict[str, Verdict]) -> tuple[float, float]:
    """How much less is right, and the bound that it stays below with 95 % confidence, picture by picture.

    Pictures are independent of one another, what is asked of one of them is not: so they are what is counted.
    """
    names = [name for name in before if name in after and name.startswith("main-")]
    lost = [share(before[name]) - share(after[name]) for name in names]
    return fmean(lost), fmean(lost) + 1.645 * stdev(lost) / math.sqrt(len(lost))


def distances(before: Path, after: Path) -> dict[str, float]:
    """Mean distance of the pictures in one folder from those of the same name in another."""
    pairs = [(path, after / path.name) for path in sorted(before.glob("*.png")) if (after / path.name).is_file()]
    found = []
    for one, other in pairs:
        with Image.open(one) as first, Image.open(other) as second:
            found.append((psnr(first, second), ssim(first, second)))
    finite = [decibels for decibels, _ in found if math.isfinite(decibels)]
    return {"pictures": len(found), "psnr": fmean(finite or [math.inf]), "ssim": fmean(s for _, s in found)}


def judged(name: str, model: str, args: argparse.Namespace) -> Report:
    """The report on a model, made unless it is there."""
    folder = args.out / name
    if not (folder / VERDICTS).is_file():
        flags = ["--model", model, "--suites", "main", "--count", str(args.count), "--training", "0"]
        flags += ["--out", str(folder), "--probe", str(args.probe), "--workers", str(args.workers)]
        evaluate([*flags, *(["--steps", str(args.steps)] if args.steps else [])], print)
    return Report.load(folder)


def made(scheme: str, args: argparse.Namespace) -> str:
    """The model in a scheme, made unless it is there."""
    folder = args.out / "models" / scheme
    if not (folder / REPORT).is_file():
        quant, _, rounding = scheme.partition("+")
        flags = [quant, "--out", str(folder), "--count", str(args.calibration), "--pictures", "0", "--overwrite"]
        quantize([*flags, "--model", args.model, "--rounding", rounding or "nearest"], print)
    return str(folder)


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    flags.add_argument("--model", default=str(bundled()))
    flags.add_argument("--schemes", nargs="+", default=SCHEMES)
    flags.add_argument("--count", type=int, default=1024)
    flags.add_argument("--calibration", type=int, default=128, help="prompts to calibrate with")
    flags.add_argument("--steps", type=int, help="of the judged pictures (default: as the model recommends)")
    flags.add_argument("--probe", type=Path, default=BUNDLED)
    flags.add_argument("--out", type=Path, default=Path("runs/quantisation"))
    flags.add_argument("--workers", type=int, default=2)
    flags.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    args = flags.parse_args()
    base = judged(BASE, args.model, args)
    values = {}
    for scheme in args.schemes:
        report = judged(scheme, made(scheme, args), args)
        lost, bound = loss(dict(base.model), dict(report.model))
        paired = compare(base, report)
        values[scheme] = {
            "loss": lost,
            "loss, 95 % bound": bound,
            "allowed": LIMIT.get(scheme, 0.03),
            **distances(args.out / BASE / "pictures", args.out / scheme / "pictures"),
            "attributes": {name: [each.difference, *each.interval] for name, each in paired.items()},
            "bytes": sum(file.stat().st_size for file in Path(made(scheme, args)).rglob("*.safetensors")),
        }
        row = values[scheme]
        print(f"{scheme:16} loses {lost:+.2%} (below {bound:.2%}), SSIM {row['ssim']:.4f}, {row['psnr']:.1f} dB")
    write(
        Result("quantisation-accuracy", "quantisation", {**facts(torch.device("cpu")), "count": args.count}, values),
        args.results,
    )


if __name__ == "__main__":
    main()
