"""Pictures and captions as token sequences: patches, padding, positions, masks.

A row of the joint sequence is [its words | padding | its image tokens | padding]. The official code packs
each row tightly instead; attention with explicit positions and a key mask does not care, and here the image
tokens of all rows start at the same place, so cutting them out is a slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar, cast

import torch
from torch import Tensor

from newbie.errors import UsageError
from newbie.model.config import NextDiTConfig

Size = tuple[int, int]
Latents = TypeVar("Latents", Tensor, list[Tensor])


class Grid(NamedTuple):
    """How each picture of a batch is cut: `rows` has (token rows, token columns) per picture."""

    rows: tuple[Size, ...]
    patch: int

    @classmethod
    def of(cls, sizes: Size | Sequence[Size], batch: int, patch: int) -> Grid:
        """From one latent size (height, width) for all, or one for each of `batch` rows.

        Raises UsageError when a size does not divide into patches or the count does not match.
        """
        one = isinstance(sizes[0], int)
        each = cast("list[Size]", [sizes] * batch if one else list(sizes))
        if len(each) != batch:
            raise UsageError(f"{len(each)} picture sizes for {batch} captions", "give one size, or one per caption")
        for h, w in each:
            if h % patch or w % patch or h < patch or w < patch:
                nearest = tuple(max(round(side / patch), 1) * patch for side in (h, w))
                raise UsageError(
                    f"latent size {h}x{w} does not divide into {patch}x{patch} patches",
                    f"use {nearest[0]}x{nearest[1]} (pixels: 8 times that, multiples of {8 * patch})",
                )
        return cls(tuple((h // patch, w // patch) for h, w in each), patch)

    def part(self, pictures: int) -> Grid:
        """Of the first so many pictures."""
        return Grid(self.rows[:pictures], self.patch)

    @property
    def counts(self) -> list[int]:
        """Image tokens of each row."""
        return [rows * columns for rows, columns in self.rows]


def patchify(latents: Tensor | Sequence[Tensor], grid: Grid) -> Tensor:
    """Latents (B, C, h, w), or a list of (C, h, w), -> (B, N, p*p*C), short rows padded with zeros.

    Tokens run row by row; inside a token the channel runs fastest, then the column, then the row of the patch.
    """
    p = grid.patch
    given = [tuple(latent.shape[-2:]) for latent in latents]
    ready = [(rows * p, columns * p) for rows, columns in grid.rows]
    if given != ready:
        raise UsageError(
            f"latents of sizes {given} do not fit those given to prepare: {ready}",
            "prepare again for these sizes",
        )
    if isinstance(latents, Tensor):
        return _cut(latents, p)
    return torch.nn.utils.rnn.pad_sequence([_cut(latent, p) for latent in latents], batch_first=True)


def _cut(latents: Tensor, p: int) -> Tensor:
    """(..., C, h, w) -> (..., N, p*p*C)."""
    latents = latents.unflatten(-1, (-1, p)).unflatten(-3, (-1, p))  # (..., C, rows, p, columns, p)
    return latents.movedim(-5, -1).transpose(-4, -3).flatten(-3).flatten(-3, -2)


def unpatchify(tokens: Tensor, grid: Grid, *, like: Latents) -> Latents:
    """(B, N, p*p*C) -> latents (B, C, h, w) or a list of (C, h, w), in the form and dtype of `like`."""
    if isinstance(like, Tensor):
        return _paste(tokens, grid.rows[0], grid.patch).to(like.dtype)
    rows = zip(tokens, grid.counts, grid.rows, like, strict=True)
    return [_paste(row[:count], size, grid.patch).to(each.dtype) for row, count, size, each in rows]


def _paste(tokens: Tensor, size: Size, p: int) -> Tensor:
    """(..., N, p*p*C) -> (..., C, h, w)."""
    tokens = tokens.unflatten(-1, (p, p, -1)).unflatten(-4, size)  # (..., rows, columns, p, p, C)
    return tokens.movedim(-1, -5).transpose(-3, -2).flatten(-2).flatten(-3, -2)


def check_captions(hidden: Tensor, mask: Tensor, pooled: Tensor | None, config: NextDiTConfig) -> None:
    """Raise UsageError unless features, mask and pooled vector have the shapes this model takes."""
    width = config.cap_feat_dim
    if hidden.ndim != 3 or len(hidden) == 0 or hidden.shape[2] != width or mask.shape != hidden.shape[:2]:
        raise UsageError(
            f"caption features {tuple(hidden.shape)} with mask {tuple(mask.shape)}: this model takes "
            f"(B, L, {width}) with (B, L)",
            "check that the text encoder belongs to this transformer",
        )
    if pooled is not None and config.clip_text_dim is None:
        raise UsageError("a pooled vector for a model without a CLIP branch", "pass pooled=None")
    if pooled is not None and pooled.shape != (len(hidden), config.clip_text_dim):
        raise UsageError(
            f"pooled vector {tuple(pooled.shape)}: this model takes ({len(hidden)}, {config.clip_text_dim})",
            "check that the CLIP encoder belongs to this transformer",
        )


def word_mask(mask: Tensor) -> Tensor:
    """A caption mask (B, L) of any dtype as bool. Raises UsageError when real words do not come first."""
    mask = mask.to(torch.bool)
    late = mask[:, 1:] & ~mask[:, :-1]
    if late.any():
        row, column = late.nonzero()[0].tolist()
        raise UsageError(
            f"caption mask, row {row}: a valid token at {column + 1} follows padding at {column}",
            "pad captions on the right (tokenizer.padding_side = 'right') and leave no holes",
        )
    return mask


def useful_width(lengths: Sequence[int], width: int) -> int:
    """How many word columns to keep: all that some row needs, in steps of 8 so that few shapes occur.

    Rows of one common length are cut exactly there, as they then need no mask at all.
    """
    longest = max(lengths)
    return longest if min(lengths) == longest else min(-(-longest // 8) * 8, width)


def image_mask(grid: Grid, device: torch.device) -> Tensor:
    """(B, N) bool: rows of pictures smaller than the largest end early."""
    counts = torch.tensor(grid.counts)
    return (torch.arange(int(counts.max())) < counts[:, None]).to(device)


def positions(lengths: Sequence[int], width: int, grid: Grid) -> Tensor:
    """(B, width + N, 3) positions of the joint sequence: words at (i, 0, 0), image tokens at (n, row, column).

    n is the row's own number of words, not the padded width.
    """
    counts = grid.counts
    places = torch.zeros(len(counts), width + max(counts), 3, dtype=torch.long)
    places[:, :width, 0] = torch.arange(width)
    for row, (n, count, (height, columns)) in enumerate(zip(lengths, counts, grid.rows, strict=True)):
        image = places[row, width : width + count]
        image[:, 0] = n
        image[:, 1:] = torch.cartesian_prod(torch.arange(height), torch.arange(columns))
    return places


def join(words: Tensor, image: Tensor) -> Tensor:
    """(B, L, dim) and (B, N, dim) -> (B, L + N, dim)."""
    return torch.cat((words, image), dim=1)
