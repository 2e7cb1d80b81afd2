"""An endless, seeded set of drawings: number i is always the same picture, with a new caption at every visit.

Pictures are drawn once and kept in a file of raw bytes; what they show is drawn again from the seed whenever a
caption is needed, so nothing else has to be stored. Pictures of three shapes live together: each has a slot that
would hold the largest.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from newbie.train.figures import PictureSpec, canvas, caption, draw, sample, words
from newbie.vae import from_uint8


@dataclass(frozen=True)
class Drawings:
    """Drawing number i of the training set `seed`. A square one has `size` x `size` pixels, others about as many."""

    seed: int
    size: int

    def spec(self, i: int) -> PictureSpec:
        """What picture i shows."""
        return sample(random.Random(f"{self.seed}/{i}"))

    def canvas(self, i: int) -> tuple[int, int]:
        """(width, height) of picture i in pixels."""
        return canvas(self.spec(i).shape, self.size)

    @property
    def most_pixels(self) -> int:
        """Of the largest shape."""
        return max(math.prod(canvas(shape, self.size)) for shape in words.SHAPES)

    def picture(self, i: int) -> np.ndarray:
        """(height, width, 3) uint8."""
        return draw(self.spec(i), self.size)

    def caption(self, i: int, visit: int) -> str:
        """One of the many prompts that picture i obeys; another at each visit."""
        return caption(self.spec(i), random.Random(f"{self.seed}/{i}/{visit}"))


class Pictures:
    """The first `count` drawings, on disk. `pictures[i]` is (height, width, 3) uint8."""

    def __init__(self, drawings: Drawings, slots: np.ndarray) -> None:
        self.drawings = drawings
        self.slots = slots  # (count, 3 * most_pixels) uint8

    def __len__(self) -> int:
        return len(self.slots)

    def __getitem__(self, i: int) -> np.ndarray:
        width, height = self.drawings.canvas(i)
        return self.slots[i, : height * width * 3].reshape(height, width, 3)


def drawn(drawings: Drawings, count: int, path: Path, *, workers: int, say: Callable[[str], None]) -> Pictures:
    """The first `count` pictures, drawn into `path` where they are missing. A stopped run goes on where it was."""
    slot = drawings.most_pixels * 3
    done_file = path.with_suffix(".done")
    done = int(done_file.read_text()) if done_file.exists() and path.exists() else 0
    path.parent.mkdir(parents=True, exist_ok=True)
    if done < count:
        with path.open("ab") as file:
            file.truncate(count * slot)
        slots = np.memmap(path, dtype=np.uint8, mode="r+", shape=(count, slot))
        chunk = 500
        jobs = [(drawings, start, min(start + chunk, count)) for start in range(done, count, chunk)]
        for start, blocks in zip(range(done, count, chunk), _blocks(jobs, workers), strict=True):
            for i, picture in enumerate(blocks, start):
                slots[i, : picture.size] = picture.reshape(-1)
            slots.flush()
            done = start + len(blocks)
            done_file.write_text(str(done))
            if done % 5000 == 0 or done == count:
                say(f"drawn {done} of {count} at {drawings.size}")
    return Pictures(drawings, np.memmap(path, dtype=np.uint8, mode="r", shape=(count, slot)))


def _blocks(jobs: list[tuple[Drawings, int, int]], workers: int) -> Iterable[list[np.ndarray]]:
    if workers <= 1 or len(jobs) <= 1:
        yield from map(_draw_block, jobs)
        return
    with get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(_draw_block, jobs)


def _draw_block(job: tuple[Drawings, int, int]) -> list[np.ndarray]:
    drawings, start, stop = job
    return [drawings.picture(i) for i in range(start, stop)]


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
