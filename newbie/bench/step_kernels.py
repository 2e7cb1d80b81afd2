"""`bench attention`, second part: a whole guided step with each kernel, time and peak memory.

This is the question that people ask of Flash-Attention. Attention is a part of a step, so a kernel that is many times
faster makes a step a little faster; what it saves in memory can matter more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from newbie.bench import floor, memory
from newbie.bench.contestants import Ours, fast_blocks, kernel_for
from newbie.bench.options import Options
from newbie.bench.sizes import Size, build, given
from newbie.bench.timing import attempt, interleave, significant, synchroniser
from newbie.model.nextdit import NextDiT
from newbie.sampling import times

Say = Callable[[str], None]
NAIVE = ("sdpa-math", "reference")  # softmax(q k^T) v as the formula reads, the whole matrix in memory


def measure(size: Size, options: Options, say: Say) -> dict[str, Any]:
    """Standard attention and every fast kernel that can serve, in one run."""
    device, dtype = options.device, options.dtype
    model = build(size.config, device, dtype, options.seed)
    grid = time_grid(options.steps)
    serving = floor.serving(size.config, device, dtype, masked=True)
    naive = naive_kernel(serving)
    names = [name for name in serving if name == naive or name not in floor.NOT_FOR_SPEED]
    runs = {name: guided_step(model, size, grid, name, options) for name in names}
    automatic = kernel_for("auto", model, size.tokens[:1]).name
    failed = {name: why for name, run in runs.items() if (why := attempt(run, synchroniser(device))[0])}
    runs = {name: run for name, run in runs.items() if name not in failed}
    peaks = {name: memory.peak_bytes(step, device) for name, step in runs.items()}
    timings = interleave(runs, rounds=options.repeats, seed=options.seed, device=device)
    base = timings[naive].median if naive in timings else math.nan
    for name, timing in timings.items():
        say(f"{size.name}: {name}: {timing.median:.4g} s per guided step")
    return {
        "size": {"name": size.name, "about": size.about, "side": size.side, "words": size.words},
        "naive": naive,
        "auto": automatic,
        "auto_behind_best": significant(timings[automatic].median / min(t.median for t in timings.values()) - 1, 3),
        "left_out": failed,
        "rows": [
            {
                "kernel": name,
                "seconds": timing.to_json(),
                "times_faster": round(base / timing.median, 3),
                "peak_bytes": peaks[name],
            }
            for name, timing in sorted(timings.items(), key=lambda item: -item[1].median)
        ],
        "memory_is": memory.HOW[device.type],
    }


def naive_kernel(serving: list[str]) -> str:
    """Standard attention, as the kernel of that name here."""
    return next(name for name in NAIVE if name in serving)


def time_grid(steps: int) -> Tensor:
    """The official grid."""
    return times.schedule(times.resolve("auto", "euler"), steps, shift=6.0, sampler="euler")


def guided_step(model: NextDiT, size: Size, grid: Tensor, kernel: str, options: Options) -> Callable[[], Tensor]:
    """A function that makes the first guided evaluation of a generation; what is done once is done before."""
    material = given(size, options.device, options.seed)
    velocity = Ours(kernel, model, size, material, grid, kernel, blocks=fast_blocks(model)).begin()

    def step() -> Tensor:
        velocity.index = 0  # type: ignore[attr-defined]
        with torch.no_grad():
            return velocity(material.noise, float(grid[0]))

    return step
