"""Where the model looked: how much each image token heard of each word, averaged over heads, layers and steps.

A kernel gives back o and forgets its weights. So beside it the weights of the image's queries are formed once more, a
few queries at a time; what the kernel gives is passed on as it is, and the picture stays the same to the last bit.
Source of the idea: R. Tang et al., "What the DAAM: interpreting Stable Diffusion using cross attention", 2022.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from newbie.attention.kernel import AroundKernel, SequenceInfo, bias_of, repeat_heads, visible
from newbie.prompt.tokens import EncoderInput

CHUNK = 2**24  # scores that are in memory at once


class Heat(NamedTuple):
    """How much the places of a picture heard of an element."""

    words: str
    share: Tensor  # (rows, columns) float32, of image tokens: 0 nothing, 1 nothing else


@dataclass(eq=False)
class Watch:
    """Gathers the weights of the prompt's rows, for one batch of pictures at a time.

    Args:
        words: tokens of the prompt.
        grid: rows and columns of image tokens.
    """

    words: int
    grid: tuple[int, int]
    pictures: int = 0
    calls: int = 0
    total: Tensor = field(default_factory=lambda: torch.zeros(0))

    @property
    def image(self) -> int:
        return self.grid[0] * self.grid[1]

    def begin(self, pictures: int) -> None:
        """Forget what was seen; from now on so many pictures are drawn together."""
        self.pictures, self.calls = pictures, 0
        self.total = torch.zeros(pictures, self.image, self.words)

    def see(self, q: Tensor, k: Tensor, seq: SequenceInfo) -> None:
        """Add one call of a kernel, if it is one of joint blocks on the prompt's rows, which come first."""
        if seq.lengths[:1] != (self.words + self.image,) or not self.pictures:
            return
        rows = slice(self.pictures)
        self.total = self.total.to(q.device)
        self.total += _heard(q[rows, q.shape[1] - self.image :], k[rows], _rows(seq, rows), self.words)
        self.calls += 1

    def maps(self, given: EncoderInput) -> list[dict[str, Heat]]:
        """For each picture, by the path of an element: its words, and the share of attention that they got."""
        mean = self.total.cpu() / max(self.calls, 1)
        words = {path: given.text[start:stop] for path, start, stop in given.elements}
        return [
            {
                path: Heat(words.get(path, ""), picture[:, start:stop].sum(1).unflatten(0, self.grid))
                for path, start, stop in given.spans
            }
            for picture in mean
        ]


@dataclass(frozen=True)
class Watched(AroundKernel):
    """A kernel that is watched, with the answers of the kernel itself."""

    watch: Watch

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (B, L, H, D), k and v (B, L, K, D) -> (B, L, H, D)."""
        self.watch.see(q, k, seq)
        return self.kernel(q, k, v, seq)


def _rows(seq: SequenceInfo, rows: slice) -> SequenceInfo:
    """Mask and bias of some rows; all that the weights depend on."""
    bias = seq.bias
    if bias is not None and bias.ndim == 4 and len(bias) > 1:
        bias = bias[rows]
    return seq._replace(mask=None if seq.mask is None else seq.mask[rows], bias=bias)


def _heard(q: Tensor, k: Tensor, seq: SequenceInfo, words: int) -> Tensor:
    """q (B, N, H, D) of the image tokens, k (B, L, K, D) -> (B, N, words): softmax weights, averaged over heads."""
    batch, queries, heads, size = q.shape
    keys = repeat_heads(k, heads).float()
    sees, bias = visible(seq, queries, k.shape[1]), bias_of(seq, queries)
    if sees is not None:
        hidden = torch.zeros(sees.shape, device=q.device).masked_fill(~sees, -torch.inf)
        bias = hidden if bias is None else bias + hidden
    at_once = max(CHUNK // (batch * heads * k.shape[1]), 1)
    found = []
    for start in range(0, queries, at_once):
        part = slice(start, start + at_once)
        scores = torch.einsum("bqhd,bkhd->bhqk", q[:, part].float(), keys) * size**-0.5
        if bias is not None:
            scores = scores + (bias[:, :, part] if bias.shape[2] > 1 else bias)
        found.append(scores.softmax(-1)[..., :words].mean(1))
    return torch.cat(found, 1)
