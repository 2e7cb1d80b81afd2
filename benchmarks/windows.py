"""How long attention through a window takes beside full attention, by the number of image tokens.

    python benchmarks/windows.py               1,024 to 16,384 image tokens, 256 words, the heads of the 3.5B model
    python benchmarks/windows.py --sides 32,64 --rounds 5

All take turns in random order, so that ratios mean something on a busy machine; the times of such a machine mean less.
Writes benchmarks/results/windows-bf16-cpu.json (or the like).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from newbie import devices
from newbie.attention.choose import KERNELS, choose
from newbie.attention.window import Strip, Tiles, Windowed
from newbie.bench import machine
from newbie.bench.floor import qkv
from newbie.bench.results import Result, write
from newbie.bench.timing import interleave, significant
from newbie.model.config import RELEASE

SIDES = (32, 48, 64, 96, 128)  # of the grid: 1,024 to 16,384 image tokens
WINDOWS = {"tiles of 8": Tiles(8, 1), "tiles of 16": Tiles(16, 1), "strip": Strip(0.125)}


def measure(
    side: int, words: int, device: torch.device, dtype: torch.dtype, rounds: int, slow: set[str]
) -> dict[str, Any]:
    """One length: seconds of full attention by the kernels that serve here, and of each window.

    A kernel that took more than twice the time of the fastest one joins `slow`, and is left out of what follows.
    """
    tokens = words + side * side
    about = {"head_dim": RELEASE.head_dim, "n_heads": RELEASE.n_heads, "n_kv_heads": RELEASE.n_kv_heads}
    q, k, v, info = qkv(1, tokens, RELEASE, device, dtype)
    best = choose("auto", device=device, dtype=dtype, masked=False, length=tokens, **about)
    kernels = [kernel for kernel in dict.fromkeys((best, KERNELS["sdpa"])) if kernel.name not in slow]
    full = {f"full, {kernel.name}": kernel for kernel in kernels}
    windowed = {
        f"{name}, {kernel.name}": Windowed(kernel, (side, side), window)
        for name, window in WINDOWS.items()
        for kernel in kernels
        if kernel.needs.bias or not isinstance(window, Strip)
    }
    run: Callable[..., Tensor] = lambda kernel: kernel(q, k, v, info)  # noqa: E731
    runs = {name: partial(run, kernel) for name, kernel in (full | windowed).items()}
    timings = interleave(runs, rounds=rounds, seed=side, device=device)
    fastest = min(timings[name].median for name in full)
    rows = {name: {"seconds": timing.to_json(), "of_full": significant(timing.median / fastest, 3)}
            for name, timing in timings.items()}  # fmt: skip
    for name, kernel in windowed.items():
        share = kernel.pairs(words) / tokens**2
        rows[name] |= {"scores": significant(share, 3), "time_per_score": significant(rows[name]["of_full"] / share, 3)}
    slow.update(kernel.name for name, kernel in full.items() if timings[name].median > 2 * fastest)
    return {"side": side, "image_tokens": side * side, "words": words, "rows": rows}


@torch.no_grad()
def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    flags.add_argument("--sides", default=",".join(map(str, SIDES)), help="of the token grid (default: %(default)s)")
    flags.add_argument("--words", type=int, default=256)
    flags.add_argument("--rounds", type=int, default=3)
    flags.add_argument("--device", default="cpu")
    flags.add_argument("--note", default="", help="what else the machine was doing")
    flags.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    args = flags.parse_args()
    device = torch.device(args.device)
    half = device.type == "cuda" or devices.native_bf16("cpu")
    dtype, name = (torch.bfloat16, "bf16") if half else (torch.float32, "float32")
    lengths: list[dict[str, Any]] = []
    slow: set[str] = set()
    for side in map(int, args.sides.split(",")):
        lengths.append(measure(side, args.words, device, dtype, args.rounds, slow))
        for what, row in lengths[-1]["rows"].items():
            print(f"{side * side:6} {what:19} {row['seconds']['median']:8.4g} s  {row['of_full']:.3g} of full, "
                  f"{row.get('scores', 1):.3g} of the scores", flush=True)  # fmt: skip
    about = {
        "command": f"python benchmarks/windows.py --sides {args.sides} --rounds {args.rounds}",
        "note": args.note, "threads": torch.get_num_threads(), **machine.facts(device),
    }  # fmt: skip
    result = Result(f"windows-{name}-{machine.label(device)}", "windows", about, {"lengths": lengths})
    print(f"measured: {write(result, args.results)}")


if __name__ == "__main__":
    main()
