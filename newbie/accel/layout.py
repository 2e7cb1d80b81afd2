"""Where words and image stand in a batch, and which of its rows are the two halves of a guided pair.

Policies inside a block meet two layouts: a padded batch (B, L, dim), whose rows are [words | padding | image], and one
packed row (1, T, dim) of many (`packed`). Both have the image tokens of all rows in one order, so that what is said of
image tokens can be copied from half to half.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from newbie.accel.packed import RowByRow, Segment
from newbie.attention.kernel import Kernel, SequenceInfo, repeat_heads, takes_fewer_queries
from newbie.errors import UsageError
from newbie.model.block import TokenSequence
from newbie.model.rope import Rope


class Half(NamedTuple):
    """The rows of one prompt in a guided pair."""

    seq: TokenSequence
    words: slice | Tensor  # x[:, words] of the half, padding included
    axis: int  # along which the pair is cut: 0, its rows; 1, the tokens of a packed row
    place: slice

    def cut(self, x: Tensor) -> Tensor:
        """Of a tensor of the pair; what is one for all tokens or rows stays."""
        if x.shape[self.axis] == 1:
            return x
        return x[self.place] if self.axis == 0 else x[:, self.place]


class Layout(NamedTuple):
    """Of the batches of one generation."""

    shape: tuple[int, int]  # of x, without its width
    words: slice | Tensor
    image: slice | Tensor
    halves: tuple[Half, Half] | None  # prompt and negative prompt; None: no pair

    @classmethod
    def of(cls, x: Tensor, seq: TokenSequence, pictures: int) -> Layout:
        """`pictures` is the number of rows of each half; a batch of as many is no pair.

        Asks the device once where rows are padded. Raises UsageError for pictures of several sizes in one batch.
        """
        words: slice | Tensor
        if not isinstance(seq.attend, RowByRow):
            assert isinstance(seq.image, slice)
            if seq.info.mask is not None and not seq.info.mask[:, seq.image].all():
                raise UsageError("pictures of several sizes in one batch, which no policy inside blocks takes",
                                 "draw them one after another, or without --plan")  # fmt: skip
            words, halves = slice(0, seq.image.start), _halves_of_rows(seq, pictures)
        else:
            assert isinstance(seq.image, Tensor)
            words, halves = _others(seq.image, x.shape[1]), _halves_of_a_row(seq, pictures)
        return cls((x.shape[0], x.shape[1]), words, seq.image, halves)


def _halves_of_rows(seq: TokenSequence, pictures: int) -> tuple[Half, Half] | None:
    if len(seq.info.lengths) != 2 * pictures:
        return None
    assert isinstance(seq.image, slice)
    halves = []
    for rows in (slice(0, pictures), slice(pictures, 2 * pictures)):
        rope = Rope(*(turns if len(turns) == 1 else turns[rows] for turns in seq.rope))
        part = seq._replace(rope=rope, info=seq.info.part(rows))
        halves.append(Half(part, slice(0, seq.image.start), 0, rows))
    return halves[0], halves[1]


def _halves_of_a_row(seq: TokenSequence, pictures: int) -> tuple[Half, Half] | None:
    attend = seq.attend
    assert isinstance(attend, RowByRow) and isinstance(seq.image, Tensor)
    lengths = [segment.length for segment in attend.segments for _ in range(segment.rows)]
    if len(lengths) != 2 * pictures:
        return None
    device, first, halves = seq.image.device, 0, []
    for start in (0, pictures):
        mine = lengths[start : start + pictures]
        tokens = slice(first, first + sum(mine))
        images = seq.image[start * attend.image : (start + pictures) * attend.image] - first
        segments = Segment.all_of(_unmasked(mine, device))
        part = TokenSequence(
            Rope(*(turns[:, tokens] for turns in seq.rope)),
            SequenceInfo.equal(1, sum(mine), device),
            RowByRow(attend.kernel, segments, attend.image),
            images,
        )
        halves.append(Half(part, _others(images, sum(mine)), 1, tokens))
        first += sum(mine)
    return halves[0], halves[1]


def _unmasked(lengths: list[int], device: torch.device) -> SequenceInfo:
    return SequenceInfo.equal(len(lengths), 0, device)._replace(lengths=tuple(lengths))


def _others(places: Tensor, length: int) -> Tensor:
    """What of (0 ... length - 1) is not among `places`."""
    rest = torch.ones(length, dtype=torch.bool)
    rest[places.cpu()] = False
    return rest.nonzero().squeeze(1).to(places.device)


def with_kernel(seq: TokenSequence, kernel: Kernel) -> Kernel:
    """`kernel`, for rows of one length, in the form that this sequence attends by."""
    attend = seq.attend
    return RowByRow(kernel, attend.segments, attend.image) if isinstance(attend, RowByRow) else kernel


def of_the_image(kernel: Kernel, q: Tensor, k: Tensor, v: Tensor, seq: TokenSequence) -> Tensor:
    """What the image tokens see: the rows `[:, seq.image]` of the kernel's answer, and only these where it can."""
    if takes_fewer_queries(kernel, seq.info):
        return kernel(q[:, seq.image], k, v, seq.info)
    return kernel(q, k, v, seq.info)[:, seq.image]


def of_the_words(q: Tensor, k: Tensor, v: Tensor, seq: TokenSequence, words: slice | Tensor) -> Tensor:
    """What the words see, (B, words, H, D) of the same q, k, v."""
    attend = seq.attend
    if isinstance(attend, RowByRow):
        return _of_the_words_packed(attend, q, k, v)
    if takes_fewer_queries(attend, seq.info) and seq.info.bias is None and seq.info.window is None:
        return attend(q[:, words], k, v, seq.info)  # without a bias nothing depends on which queries these are
    return attend(q, k, v, seq.info)[:, words]


def _of_the_words_packed(attend: RowByRow, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    o, first = [q[:0, 0]], 0
    for rows, length, info in attend.segments:
        mine, keys, values = (x[0, first : first + rows * length].unflatten(0, (rows, length)) for x in (q, k, v))
        first += rows * length
        if length > attend.image:
            o.append(attend.kernel(mine[:, : length - attend.image], keys, values, info).flatten(0, 1))
    return torch.cat(o)[None]


def mean_value(v: Tensor, seq: TokenSequence, heads: int) -> Tensor:
    """The mean of v over the real tokens of each row, once per image token: (B, N, heads, D) or (1, B * N, heads, D).

    It is what a query without any preference sees.
    """
    attend = seq.attend
    if isinstance(attend, RowByRow):
        means, first = [], 0
        for rows, length, _ in attend.segments:
            mine = v[0, first : first + rows * length].unflatten(0, (rows, length))
            first += rows * length
            means.append(mine.float().mean(1).repeat_interleave(attend.image, dim=0))
        return repeat_heads(torch.cat(means)[None].to(v.dtype), heads)
    mask, image = seq.info.mask, v[:, seq.image]
    if mask is None:
        mean = v.float().mean(1, keepdim=True)
    else:
        real = mask[:, :, None, None]
        mean = v.float().masked_fill(~real, 0).sum(1, keepdim=True) / real.sum(1, keepdim=True)
    return repeat_heads(mean.to(v.dtype), heads).expand(-1, image.shape[1], -1, -1)
