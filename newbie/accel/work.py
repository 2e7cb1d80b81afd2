"""Floating point operations of the branches of a block, counted: two for every multiplication with a weight or a score.

What a plan saves is told in these. They are not times: how near a kernel comes to the machine's limits differs, and
norms, gates and rotations are not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from newbie.accel.plan import BRANCHES, KEPT, leaves_a_residual
from newbie.attention.window import Windowed
from newbie.model.config import NextDiTConfig
from newbie.step import Book


@dataclass(frozen=True)
class Work:
    """Of one block, for the rows of an evaluation.

    Args:
        config: of the network.
        words: real words of each row; in a guided pair the prompt's rows first.
        window: also says how many image tokens there are.
        hold_words: as of `FastAttention`.
    """

    config: NextDiTConfig
    words: tuple[int, ...]
    window: Windowed
    hold_words: bool = False

    @property
    def per_pair(self) -> int:
        """A score and what it weighs, in all query heads."""
        return 4 * self.config.n_heads * self.config.head_dim

    @property
    def _qkv(self) -> int:
        heads = self.config.n_heads + 2 * self.config.n_kv_heads
        return 2 * self.config.dim * heads * self.config.head_dim

    @property
    def _out(self) -> int:
        return 2 * self.config.dim * self.config.dim

    def attention(self, action: str) -> int:
        """The attention branch with its projections. What `compute` spends on a residual is `residual`."""
        if action in KEPT:
            return 0
        if "cfg" in action:
            half = len(self.words) // 2
            mine, others = self.words[:half], self.words[half:]
            spared = 0 if self.hold_words else sum(self._words_alone(n) for n in others)
            return sum(self._row(action.partition("+")[0], n) for n in mine) + spared
        return sum(self._row(action, n) for n in self.words)

    def feed(self, action: str) -> int:
        """The feed-forward branch."""
        image, weights = self.window.image, 6 * self.config.dim * self.config.ffn_dim
        half = len(self.words) // 2
        tokens = {
            "compute": sum(self.words) + len(self.words) * image,
            "cfg": sum(self.words) + half * image,
            **dict.fromkeys(KEPT, 0),
        }
        return weights * tokens[action]

    def half(self, number: int) -> Work:
        """Of the prompt's rows in a guided pair (0), or of the negative prompt's (1)."""
        rows = len(self.words) // 2
        return replace(self, words=self.words[number * rows : (number + 1) * rows])

    def to_the_image(self) -> int:
        """The whole block where the words are keys and values and nothing else (`accel.last`)."""
        image = self.window.image
        return sum((n + image) * self._qkv + self._of_the_image(n) for n in self.words)

    def of_the_image(self) -> int:
        """The whole block where keys and values of the words are there already (`accel.freeze`)."""
        return sum(self.window.image * self._qkv + self._of_the_image(n) for n in self.words)

    def _of_the_image(self, n: int) -> int:
        """Behind queries, keys and values, for the image tokens of a row with n words."""
        image = self.window.image
        return image * (self._out + 6 * self.config.dim * self.config.ffn_dim) + self.per_pair * image * (n + image)

    def residual(self) -> int:
        """What `compute` does beside its own work where a later window reads its residual."""
        return self.per_pair * sum(self.window.pairs(n) - n * (n + self.window.image) for n in self.words)

    def _row(self, action: str, n: int) -> int:
        tokens = n + self.window.image
        pairs = {
            "compute": tokens**2,
            "cfg": tokens**2,
            "window": self.window.pairs(n),
            "mean_v": n * tokens,
        }
        return tokens * (self._qkv + self._out) + self.per_pair * pairs[action]

    def _words_alone(self, n: int) -> int:
        tokens = n + self.window.image
        return (tokens * self._qkv + n * self._out + self.per_pair * n * tokens) if n else 0


def saved(
    work: Callable[[int], Work],
    attention: Callable[[int, int], str],
    feed: Callable[[int, int], str],
    *,
    evaluations: int,
    layers: int,
) -> tuple[int, int]:
    """(saved, all) operations of the joint blocks' branches over a generation, residuals counted against the plan.

    `work(index)` is that of an evaluation, as guided ones have other rows.
    """
    gone = everything = 0
    for index in range(evaluations):
        each = work(index)
        for layer in range(layers):
            action = attention(index, layer)
            whole = each.attention("compute") + each.feed("compute")
            done = each.attention(action) + each.feed(feed(index, layer))
            later = (attention(i, layer) for i in range(index + 1, evaluations))
            if action == "compute" and leaves_a_residual(later):
                done += each.residual()
            gone, everything = gone + whole - done, everything + whole
    return gone, everything


class Operations(NamedTuple):
    """Of the joint blocks in a generation."""

    whole: int  # all blocks for all rows, guided in every evaluation
    blocks: int  # not done because blocks or branches were skipped, or done in part
    guidance: int  # not done because the negative prompt's rows did not run
    unconditional: int  # evaluations in which they did


def of_generation(
    book: Book, pair: Work, alone: Work, paired: Sequence[bool], *, layers: int, trim: bool, guided: bool
) -> Operations:
    """What a book says that was done, in operations.

    Only what somebody reads is counted: no padding, and of the last block the image tokens alone.

    Args:
        pair, alone: of an evaluation with the negative prompt's rows, and of one without.
        paired: of each evaluation, did these run?
        trim: the last block is computed for the image alone, unless a branch of it acts by itself.
        guided: whether the request wants them, before anything is left out.
    """
    last = layers - 1
    whole = {work: (layers - trim) * _block(work) + trim * work.to_the_image() for work in (pair, alone)}
    wanted = whole[pair if guided else alone]
    left_whole = any((last, branch, i) in book.layers for branch in BRANCHES for i in range(len(paired)))
    done: Counter[tuple[Work, str, str]] = Counter()  # (work, branch, action)
    for i, both in enumerate(paired):
        for work, mine in _parts(book, pair if both else alone, both=both):
            for layer in range(layers):
                if mine.layers.get((layer, "block", i), "compute") != "compute":
                    continue
                if (layer, "words", i) in mine.layers:
                    done[work, "image", "alone"] += 1
                elif trim and layer == last and not left_whole:
                    done[work, "image", "last"] += 1
                else:
                    for branch in BRANCHES:
                        done[work, branch, mine.layers.get((layer, branch, i), "compute")] += 1
                    done[work, "attn", "residual"] += _left_a_residual(mine, layer, i, paired)
    counted = sum(count * _cost(*what) for what, count in done.items())
    ran = sum(whole[pair if both else alone] for both in paired)
    pruned = book.pruned.gained - book.pruned.overhead
    return Operations(len(paired) * wanted, ran - counted + pruned, len(paired) * wanted - ran, sum(paired))


def _parts(book: Book, work: Work, *, both: bool) -> list[tuple[Work, Book]]:
    """The rows that have one book."""
    if not both or book.negative is None:
        return [(work, book)]
    return [(work.half(0), book), (work.half(1), book.negative)]


def _block(work: Work) -> int:
    return work.attention("compute") + work.feed("compute")


def _cost(work: Work, branch: str, action: str) -> int:
    if branch == "image":
        return work.of_the_image() if action == "alone" else work.to_the_image()
    if action == "residual":
        return work.residual()
    return work.attention(action) if branch == "attn" else work.feed(action)


def _left_a_residual(book: Book, layer: int, index: int, paired: Sequence[bool]) -> bool:
    if book.layers.get((layer, "attn", index)) != "compute":
        return False
    same_kind = (i for i in range(index + 1, len(paired)) if paired[i] == paired[index])
    return leaves_a_residual(book.layers.get((layer, "attn", i), "") for i in same_kind)
