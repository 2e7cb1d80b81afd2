"""Floating point operations of the branches of a block, counted: two for every multiplication with a weight or a score.

What a plan saves is told in these. They are not times: how near a kernel comes to the machine's limits differs, and
norms, gates and rotations are not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from newbie.attention.window import Windowed
from newbie.model.config import NextDiTConfig


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
        if action == "reuse":
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
            "reuse": 0,
        }
        return weights * tokens[action]

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
            if action == "compute" and _read_later(attention, index, layer, evaluations):
                done += each.residual()
            gone, everything = gone + whole - done, everything + whole
    return gone, everything


def _read_later(attention: Callable[[int, int], str], index: int, layer: int, evaluations: int) -> bool:
    later = (attention(each, layer) for each in range(index + 1, evaluations))
    return next((action for action in later if action == "compute" or "window" in action), "compute") != "compute"
