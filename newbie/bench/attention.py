"""`bench attention`: every kernel by sequence length, and what the choice of a kernel does to a whole step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from newbie import devices
from newbie.attention.choose import KERNELS
from newbie.attention.kernel import Kernel, SequenceInfo
from newbie.bench import floor, memory
from newbie.bench.options import Options
from newbie.bench.sizes import SIZES, Size
from newbie.bench.timing import Timing, attempt, interleave, significant, synchroniser
from newbie.model.config import NextDiTConfig

PATIENCE = 5.0  # seconds: a kernel whose one call would take longer is left out at that length, and the result says so
SAMPLE = 0.02  # seconds that a sample lasts at least
Say = Callable[[str], None]


class Work(NamedTuple):
    """One call of every kernel at one length."""

    tokens: int
    flop: int
    least_bytes: int  # q, k, v read once, o written once

    @classmethod
    def of(cls, tokens: int, config: NextDiTConfig, dtype: torch.dtype) -> Work:
        heads = 2 * (config.n_heads + config.n_kv_heads)
        size = torch.empty(0, dtype=dtype).element_size()
        return cls(tokens, 4 * tokens**2 * config.dim, tokens * heads * config.head_dim * size)


def measure(size: Size, options: Options, say: Say) -> dict[str, Any]:
    """Kernels by length, with the heads of the 3.5B model (24 query, 8 key/value, 96 wide) for every size but tiny."""
    config = size.config if size.name == "tiny" else SIZES["release1024"].config
    device, dtype = options.device, options.dtype
    limits = floor.ceilings(device, dtype, scale=16 if size.name == "tiny" else 1)
    say(f"ceilings: {limits.tflops:.3g} TFLOP/s, {limits.gb_per_second:.3g} GB/s")
    refused = {name: why for name, why in floor.refusals(config, device, dtype, masked=False).items() if why}
    kernels = {name: KERNELS[name] for name in KERNELS if name not in refused}
    rows: list[dict[str, Any]] = []
    left_out: dict[str, dict[str, str]] = {}
    before: dict[str, tuple[int, float, int]] = {}  # per kernel, the length before: tokens, seconds, bytes
    for tokens in options.lengths:
        work = Work.of(tokens, config, dtype)
        q, k, v, info = floor.qkv(1, tokens, config, device, dtype)
        here: dict[str, Kernel] = {}
        for name, kernel in kernels.items():
            reason = _too_much(before.get(name), tokens, device)
            reason = reason or attempt(partial(kernel, q, k, v, info), synchroniser(device))[0]
            if reason:
                left_out.setdefault(name, {})[str(tokens)] = reason
            else:
                here[name] = kernel
        runs = {name: partial(kernel, q, k, v, info) for name, kernel in here.items()}
        peaks = {name: memory.peak_bytes(call, device) for name, call in runs.items()}
        timings = interleave(runs, rounds=options.repeats, seed=options.seed, device=device, at_least=SAMPLE)
        errors = _errors(here, q, k, v, info)
        for name, timing in timings.items():
            before[name] = tokens, timing.median, peaks[name]
            rows.append({"kernel": name, **_row(work, timing, peaks[name], limits), "error": errors.get(name)})
        best = min(timings, key=lambda name: timings[name].median)
        say(f"{tokens} tokens: fastest {best}, {timings[best].median * 1e3:.3g} ms")
    return {
        "heads": {"query": config.n_heads, "key_value": config.n_kv_heads, "size": config.head_dim},
        "rows": rows,
        "refused": refused,
        "left_out": left_out,
        "ceilings": limits._asdict(),
        "memory_is": memory.HOW[device.type],
        "error_is": "root mean square of the difference from float32 attention, relative to its own",
    }


def _row(work: Work, timing: Timing, peak: int, limits: floor.Ceilings) -> dict[str, Any]:
    tflops = work.flop / timing.median / 1e12
    return {
        "tokens": work.tokens,
        "seconds": timing.to_json(),
        "tflops": significant(tflops),
        "share_of_products": significant(tflops / limits.tflops, 3),
        "share_of_memory": significant(work.least_bytes / timing.median / 1e9 / limits.gb_per_second, 3),
        "peak_bytes": peak,
    }


def _too_much(before: tuple[int, float, int] | None, tokens: int, device: torch.device) -> str:
    """Why a length is beyond a kernel, judged by the length before: time and memory may grow with its square."""
    if before is None:
        return ""
    growth = (tokens / before[0]) ** 2
    seconds, peak, free = before[1] * growth, before[2] * growth, devices.free_memory(str(device))
    if seconds > PATIENCE:
        return f"one call would take some {seconds:.0f} s"
    if free and peak > free / 2:
        return f"one call may take {peak / 2**30:.1f} GiB"
    return ""


def _errors(
    kernels: Mapping[str, Kernel], q: Tensor, k: Tensor, v: Tensor, info: SequenceInfo
) -> dict[str, float | None]:
    """Of each kernel, against the reference on the same numbers in float32; empty where that was left out."""
    if "reference" not in kernels:
        return {}
    exact = KERNELS["reference"](q.float(), k.float(), v.float(), info)
    scale = exact.square().mean().sqrt()
    return {
        name: significant(float((kernel(q, k, v, info).float() - exact).square().mean().sqrt() / scale), 3)
        for name, kernel in kernels.items()
    }
