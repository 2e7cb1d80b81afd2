"""An endless, seeded set of drawings: number i is always the same picture, with a new caption at every visit.

Pictures are drawn once and kept in a file of raw bytes; what they show is drawn again from the seed whenever a
caption is needed, so nothing else has to be stored.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from newbie.train.figures import PictureSpec, caption, draw, sample
from newbie.vae import from_uint8


@dataclass(frozen=True)
class Drawings:
    """Drawing number i of the training set `seed`, `size` pixels square."""

    seed: int
    size: int

    def spec(self, i: int) -> PictureSpec:
        """What picture i shows."""
        return sample(random.Random(f"{self.seed}/{i}"))

    def picture(self, i: int) -> np.ndarray:
        """(size, size, 3) uint8."""
        return draw(self.spec(i), self.size)

    def caption(self, i: int, visit: int) -> str:
        """One of the many prompts that picture i obeys; another at each visit."""
        return caption(self.spec(i), random.Random(f"{self.seed}/{i}/{visit}"))


def drawn(drawings: Drawings, count: int, path: Path, *, workers: int, say: Callable[[str], None]) -> np.ndarray:
    """The first `count` pictures, (count, size, size, 3) uint8, drawn into `path` where they are missing."""
    shape = (count, drawings.size, drawings.size, 3)
    done_file = path.with_suffix(".done")
    done = int(done_file.read_text()) if done_file.exists() and path.exists() else 0
    path.parent.mkdir(parents=True, exist_ok=True)
    if done < count:
        with path.open("ab") as file:
            file.truncate(count * drawings.size**2 * 3)
    pictures = np.memmap(path, dtype=np.uint8, mode="r+", shape=shape)
    chunk = 500
    starts = range(done, count, chunk)
    if workers > 1 and len(starts) > 1:
        with get_context("spawn").Pool(workers) as pool:
            jobs = ((drawings, start, min(start + chunk, count)) for start in starts)
            for start, block in zip(starts, pool.imap(_draw_block, jobs), strict=True):
                _store(pictures, start, block, done_file, count, say)
    else:
        for start in starts:
            block = _draw_block((drawings, start, min(start + chunk, count)))
            _store(pictures, start, block, done_file, count, say)
    return np.memmap(path, dtype=np.uint8, mode="r", shape=shape)


def _draw_block(job: tuple[Drawings, int, int]) -> np.ndarray:
    drawings, start, stop = job
    return np.stack([drawings.picture(i) for i in range(start, stop)])


def _store(
    pictures: np.memmap, start: int, block: np.ndarray, done_file: Path, count: int, say: Callable[[str], None]
) -> None:
    pictures[start : start + len(block)] = block
    pictures.flush()
    done_file.write_text(str(start + len(block)))
    if (start // len(block)) % 10 == 0 or start + len(block) == count:
        say(f"drawn {start + len(block)} of {count}")


def batch_numbers(seed: int, step: int, size: int, count: int) -> Tensor:
    """Which pictures make the batch of a step: (size,) numbers below `count`, a function of the step alone.

    Every picture is seen once before any is seen twice.
    """
    epoch, place = divmod(step * size, count)
    numbers: list[int] = []
    while len(numbers) < size:
        order = np.random.default_rng([seed, epoch]).permutation(count)
        numbers.extend(order[place : place + size - len(numbers)].tolist())
        epoch, place = epoch + 1, 0
    return torch.tensor(numbers)


def to_pixels(pictures: np.ndarray) -> Tensor:
    """(B, H, W, 3) uint8 → (B, 3, H, W) float32 in [-1, 1]."""
    return from_uint8(torch.from_numpy(np.array(pictures)))
