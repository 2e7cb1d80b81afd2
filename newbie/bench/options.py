"""The flags of `python -m newbie bench`, checked before anything is measured."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from newbie import devices
from newbie.bench import machine
from newbie.bench.sizes import ON, SIZES, WIDEST_ON_CPU, Size
from newbie.errors import UsageError, require_known
from newbie.flags import Parser

MAX_REPEATS, MAX_THREADS, MAX_STEPS, MAX_LENGTH = 1000, 1024, 1000, 131_072
LENGTHS = {"cpu": (128, 512, 1184, 2304, 4352), "cuda": (512, 1280, 2560, 4352, 9472, 16640)}
QUICK_MINUTES = 7.0  # the largest part takes some two minutes
QUICK_LENGTHS = {"cpu": (128, 512, 1184), "cuda": (1280, 4352, 16640)}


@dataclass(frozen=True)
class Options:
    """What is measured, and how."""

    device: torch.device
    dtype: torch.dtype
    dtype_name: str
    threads: int
    sizes: tuple[Size, ...]
    lengths: tuple[int, ...]  # tokens, for `attention`
    repeats: int
    steps: int
    seed: int
    out: Path
    compiled: bool
    minutes: float | None  # nothing new is begun after so many
    command: str

    def about(self) -> dict[str, Any]:
        """The head of every result."""
        return {
            "command": self.command,
            "dtype": self.dtype_name,
            "repeats": self.repeats,
            "seed": self.seed,
            **machine.facts(self.device),
        }

    def name(self, bench: str, size: Size | None = None) -> str:
        """Of a result's file, without ".json"."""
        return "-".join([bench, *([size.name] if size else []), self.dtype_name, machine.label(self.device)])


def parser() -> Parser:
    flags = Parser(
        prog="python -m newbie bench",
        description="Measure speed, beside diffusers and beside the machine's limits.",
        epilog="`bench quality`, what approximate accelerations cost, has flags of its own: bench quality --help",
    )
    flags.add_argument(
        "what",
        choices=["model", "attention", "waterfall", "profile", "characters", "all", "report"],
        help="model: evaluations and generations beside diffusers; attention: the kernels; waterfall: the exact "
        "savings one after another; profile: where the time goes; characters: one to six of them; all: everything; "
        "report: tables and plots from results",
    )
    flags.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: %(default)s)")
    flags.add_argument("--dtype", default="auto", help="auto: bf16 where the device has it; float32, bf16, fp16")
    flags.add_argument("--threads", type=int, help="CPU threads (default: as torch chooses)")
    flags.add_argument("--sizes", help=f"comma-separated: {', '.join(SIZES)} (default: what suits the device)")
    flags.add_argument("--lengths", help="tokens for `attention`, comma-separated (default: what suits the device)")
    flags.add_argument("--repeats", type=int, help="samples; of `model`: generations (default: 5, quick 1)")
    flags.add_argument("--steps", type=int, default=28, help="steps of a generation (default: %(default)s)")
    flags.add_argument("--seed", type=int, default=0, help="of weights, noise and order (default: %(default)s)")
    flags.add_argument("--no-compile", action="store_true", help="leave the compiled contestants out")
    flags.add_argument("--quick", action="store_true", help="one repeat, fewer lengths, --minutes 7")
    flags.add_argument("--minutes", type=float, help="begin nothing new after so many (default: no limit)")
    flags.add_argument(
        "--out", type=Path, default=Path("benchmarks/results"), help="folder of the results (default: %(default)s)"
    )
    flags.add_argument(
        "--readme", type=Path, default=Path("benchmarks/README.md"), help="`report` fills its tables and makes plots"
    )
    return flags


def resolve(args: argparse.Namespace, argv: Sequence[str]) -> Options:
    """Raises UsageError for what cannot be measured here."""
    device = torch.device(devices.device(args.device).value)
    if device.type not in ON:
        raise UsageError(f"the benchmark measures on cpu and cuda, not on {device.type}", "--device cpu")
    for name, most in (("repeats", MAX_REPEATS), ("threads", MAX_THREADS), ("steps", MAX_STEPS)):
        value = getattr(args, name)
        if value is not None and not 1 <= value <= most:
            raise UsageError(f"--{name} {value} is not between 1 and {most}", f"for example --{name} 5")
    if args.steps < 2:
        raise UsageError("--steps 1: a generation of one step has no step like the others", "--steps 28")
    if args.minutes is not None and not args.minutes > 0:
        raise UsageError(f"--minutes {args.minutes} is no time", "for example --minutes 7")
    if not 0 <= args.seed < 2**63:
        raise UsageError(f"--seed {args.seed} is not between 0 and 2^63 - 1", "--seed 0")
    if args.out.exists() and not args.out.is_dir():
        raise UsageError(f"--out {args.out} is a file", "name a folder")
    dtype = _dtype(args.dtype, device)
    lengths = QUICK_LENGTHS if args.quick else LENGTHS
    return Options(
        device=device,
        dtype=devices.DTYPES[dtype],
        dtype_name=dtype,
        threads=args.threads or devices.threads(),
        sizes=_sizes(args.sizes, device),
        lengths=_lengths(args.lengths) if args.lengths else lengths[device.type],
        repeats=args.repeats or (1 if args.quick else 5),
        steps=args.steps,
        seed=args.seed,
        out=args.out,
        compiled=not args.no_compile,
        minutes=QUICK_MINUTES if args.quick and args.minutes is None else args.minutes,
        command=" ".join(["python -m newbie bench", *without_folders(argv)]),
    )


def without_folders(argv: Sequence[str], names: Sequence[str] = ("--out", "--readme")) -> list[str]:
    """Where results were put says nothing of what was measured, and much of somebody's disk."""
    kept, skip = [], False
    for argument in argv:
        named = argument.partition("=")[0] in names
        if not (skip or named):
            kept.append(argument)
        skip = named and "=" not in argument
    return kept


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run with this many CPU threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _dtype(name: str, device: torch.device) -> str:
    if name == "auto":
        return "bf16" if devices.native_bf16(str(device)) else "float32"
    return devices.dtype(name, str(device), 0).value


def _sizes(text: str | None, device: torch.device) -> tuple[Size, ...]:
    names = [each.strip() for each in text.split(",") if each.strip()] if text is not None else ON[device.type]
    if not names:
        raise UsageError("--sizes names nothing", f"use some of: {', '.join(SIZES)}")
    for name in names:
        require_known(name, SIZES, "size")
        if device.type == "cpu" and SIZES[name].config.dim > WIDEST_ON_CPU:
            raise UsageError(
                f"{name}: one evaluation of the 3.5B network takes minutes on a CPU, a generation hours",
                f"use --device cuda, or one of: {', '.join(s for s in SIZES if SIZES[s].config.dim <= WIDEST_ON_CPU)}",
            )
    return tuple(SIZES[name] for name in dict.fromkeys(names))


def _lengths(text: str) -> tuple[int, ...]:
    try:
        lengths = sorted({int(each) for each in text.split(",")})
    except ValueError:
        raise UsageError(f"--lengths {text!r} are not whole numbers", "for example --lengths 512,1184,4352") from None
    if not 1 <= lengths[0] <= lengths[-1] <= MAX_LENGTH:
        raise UsageError(f"--lengths {text!r}: not all between 1 and {MAX_LENGTH}", "for example --lengths 512,1184")
    return tuple(lengths)
