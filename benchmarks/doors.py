"""How long a person waits: cold start to PNG, the next picture in the loop, `--help`; and peak memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from newbie.bench.machine import facts
from newbie.bench.results import Result, write

ROOT = Path(__file__).resolve().parent.parent
PROMPT = str(ROOT / "prompts" / "duo.xml")


def seconds(command: list[str], **options: object) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, **options)
    return time.perf_counter() - began


def peak_gib(command: list[str]) -> float:
    """Peak resident memory of a command."""
    pid = os.posix_spawn(
        command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    )
    _, status, usage = os.wait4(pid, 0)
    assert status == 0
    return usage.ru_maxrss / 2**20


def main() -> None:
    python = sys.executable
    with tempfile.TemporaryDirectory() as folder:
        create = [python, "create.py", "--prompt", PROMPT, "--quiet", "-o", folder + "/"]
        seconds(create)  # the first start on a machine also compiles Python files and fills the disk cache
        cold = [seconds(create) for _ in range(5)]
        one_thread = seconds(create, env={**os.environ, "OMP_NUM_THREADS": "1"})
        avx2 = seconds(create, env={**os.environ, "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"})
        help_ = [seconds([python, "create.py", "--help"]) for _ in range(5)]
        os.chdir(ROOT)
        memory = peak_gib(create)
    from newbie import Pipeline

    pipeline = Pipeline.open()
    prompt = Path(PROMPT).read_text(encoding="utf-8")
    warm = []
    for seed in range(6):
        began = time.perf_counter()
        pipeline(prompt, seed=seed)
        warm.append(time.perf_counter() - began)
    values = {
        "command_to_png_seconds": statistics.median(cold),
        "command_to_png_one_thread_seconds": one_thread,
        "command_to_png_avx2_seconds": avx2,
        "next_picture_seconds": statistics.median(warm[1:]),
        "help_seconds": statistics.median(help_),
        "peak_memory_gib": memory,
        "steps": pipeline.recommended.steps,
        "size": [pipeline.recommended.width, pipeline.recommended.height],
    }
    about = {"command": "python benchmarks/doors.py", "dtype": pipeline.chosen["dtype"].value, "seed": 0}
    result = Result("doors", "doors", {**about, **facts(torch.device("cpu"))}, values)
    sys.stdout.write(f"{write(result, ROOT / 'benchmarks' / 'results')}\n")


if __name__ == "__main__":
    main()
