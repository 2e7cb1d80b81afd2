"""How long loading takes beside reading the same file, both with nothing of it in memory.

    python benchmarks/loading.py FILE_OR_FOLDER [--repeats 3] [--out FILE.json]

FILE_OR_FOLDER is a transformer. The system is asked to forget the file before each reading (`posix_fadvise`), and each
load happens in a process of its own, from the moment when its libraries are there. Where the file stays mapped, loading
has looked at every number of it, so it has been read too. The limit that we set ourselves: 1.2 times the reading.

A busy machine makes all of it slow, and not alike. So what each took of the processor is told too, and how many pages
were waited for: those are about the same at any load.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

PIECE = 2**24
LOAD = """
import json, resource, sys, time, torch
from newbie.checkpoints import load_transformer
before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
loaded = load_transformer(sys.argv[1], dtype=getattr(torch, sys.argv[2]))
seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
used = {name: getattr(after, "ru_" + name) - getattr(before, "ru_" + name) for name in ("utime", "stime", "majflt")}
print(json.dumps({"seconds": seconds, "cpu": used["utime"] + used["stime"], "waited_for": used["majflt"]}))
"""


def forget(files: list[Path]) -> None:
    """Nothing of them stays in the system's cache, unless another process has it mapped."""
    for path in files:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def reading(files: list[Path]) -> dict[str, float]:
    """Seconds to read them from beginning to end, by the clock and of the processor."""
    buffer = bytearray(PIECE)
    used, began = time.process_time(), time.perf_counter()
    for path in files:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - used}


def loading(place: Path, dtype: str) -> dict[str, float]:
    """The same of loading the transformer in a new process, and the pages it waited for."""
    done = subprocess.run([sys.executable, "-c", LOAD, str(place), dtype], cwd=ROOT, capture_output=True, text=True,
                          check=True)  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure, print, write."""
    from newbie.bench.machine import facts

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dtype", default="bfloat16", help="that of the file measures reading, another also casting")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    files = sorted(given.place.rglob("*.safetensors")) if given.place.is_dir() else [given.place]
    size = sum(path.stat().st_size for path in files)
    took: dict[str, list[dict[str, float]]] = {"read": [], "load": []}
    for _ in range(given.repeats):  # one after the other: a disk is not always as fast
        forget(files)
        took["read"].append(reading(files))
        forget(files)
        took["load"].append(loading(given.place, given.dtype))
    seconds = {name: statistics.median(each["seconds"] for each in runs) for name, runs in took.items()}
    for name, runs in took.items():
        cpu = statistics.median(each["cpu"] for each in runs)
        print(f"{name} {size / 1e9:.2f} GB in {seconds[name]:.2f} s, of which a processor worked {cpu:.2f} s")
    times = seconds["load"] / seconds["read"]
    print(f"{times:.2f} times")
    if given.out is not None:
        values = {"bytes": size, "took": took, "times": times, **facts(torch.device("cpu"))}
        given.out.write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    main()
