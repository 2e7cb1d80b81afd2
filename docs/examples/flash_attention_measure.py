"""Bytes and seconds for docs/flash-attention.md: what naive and tiled attention move, hold and take."""

from __future__ import annotations

import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from newbie.attention.kernel import Kernel, SequenceInfo
from newbie.attention.reference import Reference
from newbie.attention.sdpa import Sdpa
from newbie.attention.tiled import Tiled


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


# --- Bytes moved: counted ---


def traffic_naive(length: int, head_dim: int, size: int) -> int:
    """Bytes that one head reads and writes when scores S and weights P are whole tensors, `size` bytes a number.

    q, k, v are read and o is written; S is written, read, and so is P. This is the least: each further operation on
    S (scale, bias, mask) reads and writes it once more.
    """
    return size * (4 * length * head_dim + 4 * length * length)


def traffic_tiled(length: int, head_dim: int, size: int, block_q: int) -> int:
    """The same in tiles: q is read and o written once, k and v once per tile of queries, lse is four bytes a query."""
    passes = math.ceil(length / block_q)
    return size * (2 * length * head_dim + passes * 2 * length * head_dim) + 4 * length


def traffic_by_length(_: float) -> dict[str, Any]:
    """One head of 96 channels in bf16, as in the 3.5B model, by length and by height of the tiles."""
    lengths = [2**n for n in range(7, 15)]
    heights = [16, 32, 64, 128, 256, 512]
    image = 4352  # 1024 x 1024 pixels: 4096 image tokens, and 256 of text
    found: dict[str, Any] = {
        "head_dim": 96,
        "bytes": 2,
        "lengths": lengths,
        "naive": [traffic_naive(n, 96, 2) for n in lengths],
        "tiled": [traffic_tiled(n, 96, 2, 128) for n in lengths],
        "least": [4 * n * 96 * 2 for n in lengths],
        "image": image,
        "heights": heights,
        "image_naive": traffic_naive(image, 96, 2),
        "image_tiled": [traffic_tiled(image, 96, 2, height) for height in heights],
        "image_least": 4 * image * 96 * 2,
    }
    for height, moved in zip(heights, found["image_tiled"], strict=True):
        part = 100 * moved / found["image_naive"]
        print(f"  {image} tokens, tiles {height:3} high: {moved / 1e6:6.1f} MB, {part:3.0f} % of naive")
    print(f"  naive {found['image_naive'] / 1e6:.1f} MB, q, k, v, o once {found['image_least'] / 1e6:.1f} MB")
    return found


# --- Bytes held: measured ---


def inputs(length: int, heads: int = 1, head_dim: int = 64, *, grad: bool = False) -> tuple[Tensor, ...]:
    """q, k, v, each (1, L, H, D)."""
    draw = torch.Generator().manual_seed(0)
    return tuple(torch.randn(1, length, heads, head_dim, generator=draw, requires_grad=grad) for _ in range(3))


def everything(length: int) -> SequenceInfo:
    """One row without padding."""
    return SequenceInfo.of(torch.ones(1, length, dtype=torch.bool))


def peak(work: Callable[[], object]) -> int:
    """The most bytes that tensors made by `work` held at once, from the allocator's own events."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        work()
    events = [event for event in watched.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


def peak_by_length(effort: float) -> dict[str, Any]:
    """Peak memory of one head of 64 channels in float32, forward alone and with the backward pass."""
    lengths = [n for n in (128, 256, 512, 1024, 2048, 4096) if n <= 4096 * effort] or [64, 128]
    found: dict[str, Any] = {"lengths": lengths, "head_dim": 64, "forward": {}, "backward": {}}
    for kernel in (Reference(), Tiled(), Sdpa()):
        found["forward"][kernel.name] = [peak(_call(kernel, length)) for length in lengths]
        found["backward"][kernel.name] = [peak(_call_and_back(kernel, length)) for length in lengths]
        for which in ("forward", "backward"):
            mib = "  ".join(f"{held / 2**20:.2f}" for held in found[which][kernel.name])
            print(f"  {kernel.name:9} {which:8} MiB at {lengths}:  {mib}")
    return found


def _call(kernel: Kernel, length: int, heads: int = 1, head_dim: int = 64) -> Callable[[], Tensor]:
    return partial(kernel, *inputs(length, heads, head_dim), everything(length))


def _call_and_back(kernel: Kernel, length: int) -> Callable[[], object]:
    call = partial(kernel, *inputs(length, grad=True), everything(length))
    return lambda: call().sum().backward()


# --- Seconds ---


def milliseconds(
    calls: Mapping[str, Callable[[], object]], repeats: int, pick: Callable[[list[float]], float]
) -> dict[str, float]:
    """One time for each call, picked from `repeats` that are taken in turn, so that a disturbance hits all alike."""
    for call in calls.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: 1e3 * pick(each) for name, each in seconds.items()}


@torch.inference_mode()
def sweep_tiles(effort: float) -> dict[str, Any]:
    """Forward time at 2,048 tokens, four heads of 64, float32, by height and width of the tiles."""
    length = max(64, round(2048 * effort))
    sizes = [n for n in (16, 32, 64, 128, 256, 512, 1024, 2048) if n <= length]
    kernels: dict[str, Kernel] = {f"{a}x{b}": Tiled(a, b) for a in sizes for b in sizes}
    kernels |= {"reference": Reference(), "sdpa": Sdpa()}
    calls = {name: _call(kernel, length, 4) for name, kernel in kernels.items()}
    ms = milliseconds(calls, 3, statistics.median)
    best = min((name for name in ms if "x" in name), key=lambda name: ms[name])
    for name in (f"{sizes[0]}x{sizes[0]}", "128x128", best, "reference", "sdpa"):
        print(f"  {name:9} {ms.get(name, math.nan):7.1f} ms")
    return {"length": length, "heads": 4, "head_dim": 64, "sizes": sizes, "ms": ms}


@torch.inference_mode()
def alignment(effort: float) -> dict[str, Any]:
    """Forward times around 1,024 tokens and around 64 channels, four heads, float32.

    The shortest of 25, as the differences are small and disturbances only ever add.
    """
    near = max(64, round(1024 * effort))
    lengths = [near + step for step in (-32, -24, -16, -8, -4, -1, 0, 1, 4, 8, 16, 24, 32)]
    dims = [48, 52, 56, 60, 62, 63, 64, 65, 66, 68, 72, 76, 79, 80, 81, 84, 88, 92, 95, 96, 97]
    calls: dict[str, Callable[[], object]] = {}
    for kernel in (Tiled(), Sdpa()):
        calls |= {f"{kernel.name} length {length}": _call(kernel, length, 4) for length in lengths}
        calls |= {f"{kernel.name} dim {dim}": _call(kernel, near, 4, dim) for dim in dims}
    ms = milliseconds(calls, 25 if effort >= 1 else 1, min)
    for name in ("tiled", "sdpa"):
        said = (f"length {near - 1}", f"length {near}", f"length {near + 1}", "dim 63", "dim 64", "dim 65")
        print(f"  {name:5}  " + ",  ".join(f"{what}: {ms[f'{name} {what}']:.2f} ms" for what in said))
    return {"length": near, "lengths": lengths, "dims": dims, "ms": ms}


def full_tiles(length: int, block: int) -> float:
    """How much of the work is useful where a kernel always computes whole tiles, as GPUs do: (L / padded L)^2."""
    return (length / (math.ceil(length / block) * block)) ** 2


# --- What can FlashAttention gain in a whole step? Arithmetic ---


def claim(_: float) -> dict[str, Any]:
    """A guided step of the 3.5B model at 512 x 512 on an A100: where the time can be, what a kernel can save."""
    layers, width, heads, rows, tokens = 36, 2304, 24, 2, 1024 + 256
    guided = 14.83e12  # operations of both branches, captions of 256 and 40 tokens, counted layer by layer
    core = layers * 4 * tokens**2 * width  # Q K^T and P V of the branch with the long caption
    speed, bandwidth = 0.5 * 312e12, 2.0e12  # half of the card's peak in bf16; bytes per second
    products = guided / speed
    scores = rows * layers * heads * tokens**2 * 4 * 4  # float32, written and read as S and as P
    traffic = scores / bandwidth
    free = (products + traffic) / (products * (1 - core / 8.14e12))
    found = {
        "attention_share": core / 8.14e12,
        "products_ms": 1e3 * products,
        "score_gb": scores / 1e9,
        "score_ms": 1e3 * traffic,
        "ceiling": free,
        "claimed_tflops": [38.5 * 1.86, 61.2 * 0.97],
    }
    print(f"  Q K^T and P V: {100 * found['attention_share']:.1f} % of the operations")
    print(f"  products {1e3 * products:.0f} ms, naive scores {scores / 1e9:.0f} GB = {1e3 * traffic:.0f} ms")
    print(f"  attention for nothing would make the step {free:.2f} times as fast")
    return found
