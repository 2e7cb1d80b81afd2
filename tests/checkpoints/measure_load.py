"""A transformer of 97 MiB (bf16), and a process that loads it and prints how much memory that took (MiB)."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import torch

from newbie.checkpoints import load_transformer, places
from newbie.checkpoints.save import save_weights
from newbie.model.config import NextDiTConfig
from newbie.model.nextdit import NextDiT


def write(path: Path) -> None:
    config = NextDiTConfig(dim=768, n_layers=2, n_heads=8, n_kv_heads=8, axes_dims=(32, 32, 32), n_refiner_layers=1)
    with torch.device("meta"):
        names = {name: tensor.shape for name, tensor in NextDiT(config).state_dict().items()}
    state = {name: torch.zeros(shape, dtype=torch.bfloat16) for name, shape in names.items()}
    save_weights(path, state, "transformer", config)


def memory(key: str) -> float:
    """A counter of this process in MiB: RssAnon is memory of its own, not pages of files."""
    found = re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) / 1024


def measure(path: Path, how: str, dtype: torch.dtype) -> tuple[float, float]:
    if how == "mapped":
        places.MAP_FROM = 1
    before = memory("RssAnon") if how == "mapped" else memory("VmRSS")
    module = load_transformer(path, dtype=dtype).module
    after = memory("RssAnon") if how == "mapped" else memory("VmHWM")
    return after - before, sum(p.numel() * p.itemsize for p in module.parameters()) / 2**20


def main() -> None:
    path, how, dtype = sys.argv[1:]
    print(*measure(Path(path), how, getattr(torch, dtype)))


if __name__ == "__main__":
    main()
