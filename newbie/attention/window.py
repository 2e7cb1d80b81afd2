"""Attention in which image tokens see their neighbourhood only: the words, and the image tokens near them.

Words see everything and are seen by everything, so a window saves nothing but pairs of image tokens, of which there are
most. Two shapes of neighbourhood:

`Tiles` cuts the grid of image tokens into squares; a token sees the squares around its own. `Strip` is the window of
DiTFastAttn (Yuan et al. 2024, arXiv 2406.08552): so many tokens before and after in the order of rows, which is a
horizontal strip of the picture rather than a neighbourhood; it is here to be compared with.

Either way the tokens of a window are gathered and become a row of a batch: window attention is ordinary attention over
many small rows, by whatever kernel is fastest for those. With squares no pair is computed that is not wanted; a strip
has triangles at both ends that are masked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from newbie.attention.kernel import Kernel, Needs, SequenceInfo
from newbie.attention.unequal import by_length
from newbie.errors import UsageError

Size = tuple[int, int]  # token rows, token columns of a picture
AT_ONCE = {"cpu": 2**22, "cuda": 2**30}  # scores of the windows that are gathered together; a CPU's must fit its cache


class Part(NamedTuple):
    """T windows that have the same number of tokens. Image tokens count from 0, row by row."""

    queries: Tensor  # (T, q) int64
    keys: Tensor  # (T, k) int64: what these see of the image
    hidden: Tensor | None = None  # (q, k) bool: pairs that are not seen after all; None: all are


class Window(Protocol):
    """Which image tokens see which."""

    def __hash__(self) -> int: ...

    def parts(self, grid: Size) -> tuple[Part, ...]:
        """Every image token is a query in exactly one part."""
        ...

    def sees(self, grid: Size, queries: Tensor) -> Tensor:
        """(m,) places -> (m, N) bool: the same, said token by token."""
        ...

    def whole(self, grid: Size) -> bool:
        """Whether everybody sees everything."""
        ...


@dataclass(frozen=True)
class Tiles:
    """Squares of `side` x `side` tokens, smaller at the right and lower edge; a token sees those up to `radius` away.

    Raises:
        UsageError: a side below 1, or a radius below 0.
    """

    side: int = 8
    radius: int = 1

    def __post_init__(self) -> None:
        if self.side < 1 or self.radius < 0:
            raise UsageError(
                f"window tiles of side {self.side} and radius {self.radius}", "the side is at least 1, the radius 0"
            )

    def whole(self, grid: Size) -> bool:
        return all(-(-length // self.side) <= self.radius + 1 for length in grid)

    def sees(self, grid: Size, queries: Tensor) -> Tensor:
        columns = grid[1]
        everybody = torch.arange(grid[0] * columns, device=queries.device)
        down, across = (
            (of(queries)[:, None] - of(everybody)).abs() <= self.radius
            for of in (lambda n: n // columns // self.side, lambda n: n % columns // self.side)
        )
        return down & across

    def parts(self, grid: Size) -> tuple[Part, ...]:
        places = torch.arange(grid[0] * grid[1]).view(grid)
        alike: dict[Size, list[tuple[Tensor, Tensor]]] = {}
        for down in self._spans(grid[0]):
            for across in self._spans(grid[1]):
                tile, around = (places[r, c].flatten() for r, c in zip(down, across, strict=True))
                alike.setdefault((len(tile), len(around)), []).append((tile, around))
        return tuple(Part(*map(torch.stack, zip(*tiles, strict=True))) for tiles in alike.values())

    def _spans(self, length: int) -> Iterator[tuple[slice, slice]]:
        """Along one axis: each tile, and what is seen from it."""
        side, more = self.side, self.radius * self.side
        for start in range(0, length, side):
            yield slice(start, start + side), slice(max(start - more, 0), start + side + more)


@dataclass(frozen=True)
class Strip:
    """A token sees `share` of all image tokens before itself and as many after, in the order of rows.

    The paper's window has an eighth on either side. Half a strip is at least one token long.

    Raises:
        UsageError: a share that is not between 0 and 1.
    """

    share: float = 0.125
    block: int = 128  # queries of one window

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise UsageError(f"a window strip of {self.share} of the tokens", "take a share above 0, and at most 1")

    def _half(self, grid: Size) -> int:
        return max(round(self.share * grid[0] * grid[1]), 1)

    def whole(self, grid: Size) -> bool:
        return self._half(grid) >= grid[0] * grid[1] - 1

    def sees(self, grid: Size, queries: Tensor) -> Tensor:
        everybody = torch.arange(grid[0] * grid[1], device=queries.device)
        return (queries[:, None] - everybody).abs() <= self._half(grid)

    def parts(self, grid: Size) -> tuple[Part, ...]:
        half, places = self._half(grid), torch.arange(grid[0] * grid[1])
        alike: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = {}
        for start in range(0, len(places), self.block):
            block = places[start : start + self.block]
            around = places[max(start - half, 0) : start + len(block) + half]
            alike.setdefault((len(block), len(around), int(block[0] - around[0])), []).append((block, around))
        return tuple(
            Part(queries, keys, (queries[0, :, None] - keys[0]).abs() > half)
            for queries, keys in (map(torch.stack, zip(*blocks, strict=True)) for blocks in alike.values())
        )


@dataclass(frozen=True)
class Windowed:
    """A kernel for rows [words | image] whose image tokens see each other through `window`.

    Rows may have unequal numbers of words, with padding between words and image, as `model.tokens.join` lays them out;
    every row must have all its image tokens, and those of one grid.

    Args:
        kernel: computes the windows; takes fewer queries than keys, and a bias where the window is a `Strip`.
        grid: (token rows, token columns) of every picture.

    Raises:
        UsageError: a kernel that cannot do so; when called, rows too short for the grid, or a bias or another window.
    """

    kernel: Kernel
    grid: Size
    window: Window = Tiles()

    def __post_init__(self) -> None:
        needs = self.kernel.needs
        if not needs.fewer_queries or (isinstance(self.window, Strip) and not needs.bias):
            wants = "fewer queries than keys" if not needs.fewer_queries else "the mask of a strip"
            raise UsageError(f"attention kernel {self.kernel.name} takes no {wants}", "use --attention sdpa")

    @property
    def name(self) -> str:
        return f"{self.kernel.name}, windowed"

    @property
    def needs(self) -> Needs:
        return replace(self.kernel.needs, key_mask=False, bias=False, window=False, backward=False)

    @property
    def image(self) -> int:
        """N, the image tokens of a row."""
        return self.grid[0] * self.grid[1]

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (B, Lq, H, D), k and v (B, L, K, D) -> (B, Lq, H, D); without padding q may be shorter, down to N."""
        if seq.bias is not None or seq.window is not None:
            raise UsageError(
                "window attention and a bias on the scores in one block", "use --regions off, or no windows"
            )
        if min(q.shape[1], min(seq.lengths, default=self.image)) < self.image:
            raise UsageError(
                f"a window over {self.grid[0]}x{self.grid[1]} image tokens, but a row has fewer",
                "make the window for the grid of the picture",
            )
        if self.window.whole(self.grid):
            return self.kernel(q, k, v, seq)
        return by_length(self._attend, q, k, v, seq)

    def pairs(self, words: int) -> int:
        """Scores of one row and head, where full attention has (words + N)²."""
        n, image = words, self.image
        if self.window.whole(self.grid):
            return (n + image) ** 2
        return n * (n + image) + image * n + _seen(self.window, self.grid)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The same without padding."""
        batch, length, _, _ = k.shape
        words, first = length - self.image, q.shape[1] - self.image
        k, v = k.contiguous(), v.contiguous()  # tokens are gathered many times
        o = torch.empty_like(q)
        if first:
            o[:, :first] = self.kernel(q[:, :first], k, v, SequenceInfo.equal(batch, length, q.device))
        for part in _gathered(self.window, self.grid, words, q.device):
            windows, queries, keys = *part.queries.shape, part.keys.shape[1]
            scores = batch * q.shape[2] * queries * keys
            some = max(1, AT_ONCE.get(q.device.type, AT_ONCE["cuda"]) // scores)
            for start in range(0, windows, some):
                mine, seen = part.queries[start : start + some] + first, part.keys[start : start + some]
                info = SequenceInfo.equal(batch * len(mine), keys, q.device)
                if part.hidden is not None:
                    info = info._replace(bias=q.new_zeros(queries, keys).masked_fill_(part.hidden, -torch.inf))
                rows = (_rows(q, mine), _rows(k, seen), _rows(v, seen))
                o.index_copy_(1, mine.flatten(), self.kernel(*rows, info).reshape(batch, -1, *q.shape[2:]))
        return o


def _rows(x: Tensor, places: Tensor) -> Tensor:
    """x (B, L, heads, D) at places (T, n) -> (B * T, n, heads, D)."""
    return x.index_select(1, places.flatten()).view(-1, places.shape[1], *x.shape[2:])


@lru_cache(maxsize=64)
def _seen(window: Window, grid: Size) -> int:
    """Pairs of image tokens; plans are counted layer by layer, so this is asked for many times."""
    return sum(part.queries.numel() * part.keys.shape[1] for part in window.parts(grid))


@lru_cache(maxsize=16)
def _gathered(window: Window, grid: Size, words: int, device: torch.device) -> tuple[Part, ...]:
    """The parts on a device, their keys counted in the whole row and with all words among them."""
    made = []
    for queries, keys, hidden in window.parts(grid):
        seen = torch.cat((torch.arange(words).expand(len(keys), -1), keys + words), dim=1)
        if hidden is not None:
            hidden = torch.nn.functional.pad(hidden, (words, 0)).to(device)
        made.append(Part(queries.to(device), seen.to(device), hidden))
    return tuple(made)
