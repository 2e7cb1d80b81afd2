"""DiTFastAttn: attention that is done in part, taken from the evaluation before, or from the other half of a pair.

Yuan et al. 2024, arXiv 2406.08552. What happens to the attention of a layer at an evaluation is an action:

    compute      all of it
    window       image tokens see their window (`attention.window`), and what a window leaves out is added as it was
                 at the last `compute` of this layer: its residual, R = full - window (before the output projection)
    cfg          the prompt's rows only; the image tokens of the negative prompt's rows get the same
    window+cfg   both
    reuse        what the branch answered last time, whatever that was made of
    mean_v       image tokens see the mean of all values: what a query without preference sees

The paper's models have no words in their self-attention. Here words always see everything; in `cfg` the negative
prompt's words are computed by themselves, as the prompt's words are other ones, or held (`hold_words`). The same
sharing for the feed-forward branch is an extension: compute, reuse, cfg.

All state is in the memory of the generation, and of its guided or unguided evaluations by themselves. An action whose
state is not there, because guidance or a cache skipped the evaluation that would have left it, computes everything; the
book says how often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from newbie.accel.layout import Half, Layout, mean_value, of_the_image, of_the_words, with_kernel
from newbie.accel.leaves import Leaves
from newbie.accel.plan import leaves_a_residual
from newbie.attention.window import Windowed
from newbie.errors import UsageError
from newbie.model.block import Block, TokenSequence
from newbie.step import Memory, Step

ATTENTION = ("compute", "window", "window+cfg", "cfg", "reuse", "mean_v")
FEED = ("compute", "cfg", "reuse")
NOT_RUN = "skip"  # what plans say of an evaluation in which a cache leaves the layer out
OUTPUTS = {"attn": "output", "ffn": "feed"}  # under which names the answers of the branches are kept
Actions = Callable[[int, int], str] | Mapping[tuple[int, int], str]  # (evaluation, layer) -> action
Keep = Literal["planned", "all", "nothing"]

KEY = "fast attention"
LAYOUT = (KEY, "layout")
Attending = Callable[[Tensor, Tensor, Tensor, TokenSequence], Tensor]


@dataclass(frozen=True)
class FastAttention:
    """Both branches of a block by a plan: `RunBlock(leaves, attend=policy.attend, feed=policy.feed)`.

    `feed` may be left out; with it `attend` must be there too, as it knows the layout.

    Args:
        leaves: how what is computed is computed.
        window: for rows of one length and the grid of the picture.
        actions: of the attention; a mapping says `compute` where it says nothing.
        pictures: rows of each half of a guided pair.
        feed_actions: of the feed-forward.
        hold_words: in `cfg`, the negative prompt's words keep their last answer. That spares the rest of their rows'
            attention (q, k and v), and costs exactness there.
        keep: what is kept for later evaluations: what the plan will read, everything (while a plan is searched), or
            nothing.
        paired: of each evaluation, do the negative prompt's rows run? What those with them leave is of no use to those
            without; (): all are of one kind.

    Raises, when called:
        UsageError: an unknown action, `cfg` without a pair, a batch of another shape than this generation's first.
    """

    leaves: Leaves
    window: Windowed
    actions: Actions
    pictures: int
    feed_actions: Actions = field(default_factory=dict)
    hold_words: bool = False
    keep: Keep = "planned"
    paired: Sequence[bool] = ()

    def attend(
        self, step: Step | None, layer: int, block: Block, x: Tensor, scale: Tensor, seq: TokenSequence
    ) -> Tensor:
        """The attention branch, x (B, L, dim) -> (B, L, dim)."""
        if step is None:  # the noise refiner, where no plan acts
            return self._branch(block, x, scale, seq, _seeing_all)
        layout = self._layout(step, x, seq)
        residual = (KEY, layer, "residual")

        def computed(action: str) -> Tensor:
            if action == "compute":
                y, rest = self._in_full(block, x, scale, seq, wants_rest=self._leaves_a_residual(step, layer))
                _put(step.memory, residual, rest)
                return y
            if action == "mean_v":
                return self._branch(block, x, scale, seq, lambda q, k, v, seq: _by_mean(q, k, v, seq, layout.words))
            rest = step.memory[residual] if "window" in action else None
            if "cfg" in action:
                pair, last = self._pair(layout, step, layer), step.memory.get((KEY, layer, OUTPUTS["attn"]))
                return self._shared(block, x, scale, pair, rest, last)
            return self._branch(block, x, scale, seq, self._seeing(rest))

        return self._act(step, layer, "attn", computed)

    def feed(self, step: Step | None, layer: int, block: Block, x: Tensor, scale: Tensor) -> Tensor:
        """The feed-forward branch, (B, L, dim) -> (B, L, dim)."""
        if step is None:
            return self.leaves.feed(block, x, scale)

        def computed(action: str) -> Tensor:
            if action == "compute":
                return self.leaves.feed(block, x, scale)
            cond, uncond = self._pair(step.memory[LAYOUT], step, layer)
            first = self.leaves.feed(block, cond.cut(x), cond.cut(scale))
            words = uncond.cut(x)[:, uncond.words]
            own = self.leaves.feed(block, words, _at(uncond.cut(scale), uncond.words)) if words.shape[1] else words
            return _joined(cond, uncond, first, own.to(first.dtype))

        return self._act(step, layer, "ffn", computed)

    def _act(self, step: Step, layer: int, branch: str, computed: Callable[[str], Tensor]) -> Tensor:
        """What a branch does now: its last answer, or what `computed` makes of any other action."""
        action, output = self._said(branch, step.index, layer), (KEY, layer, OUTPUTS[branch])
        needed = output if action == "reuse" else (KEY, layer, "residual") if "window" in action else None
        if action == NOT_RUN or (needed is not None and needed not in step.memory):
            action = "compute"
            step.book.forced += 1
        step.book.layers[layer, branch, step.index] = action
        y: Tensor = step.memory[output] if action == "reuse" else computed(action)
        readers = ("reuse", "cfg") if self.hold_words and branch == "attn" else ("reuse",)
        _put(step.memory, output, y if self._is_read(step, layer, branch, readers) else None)
        return y

    def _layout(self, step: Step, x: Tensor, seq: TokenSequence) -> Layout:
        if LAYOUT not in step.memory:
            step.memory[LAYOUT] = Layout.of(x, seq, self.pictures)
        layout: Layout = step.memory[LAYOUT]
        if layout.shape != x.shape[:2]:
            raise UsageError(
                f"a batch of shape {tuple(x.shape[:2])} in a generation that began with {layout.shape}",
                "give every generation a memory of its own",
            )
        return layout

    def _pair(self, layout: Layout, step: Step, layer: int) -> tuple[Half, Half]:
        if layout.halves is None:
            raise UsageError(
                f"evaluation {step.index}, layer {layer}: nothing to share, the batch is no guided pair",
                "use a plan without cfg where guidance is off or its halves run apart",
            )
        return layout.halves

    def _branch(self, block: Block, x: Tensor, scale: Tensor, seq: TokenSequence, attend: Attending) -> Tensor:
        q, k, v = self.leaves.qkv(block, x, scale, seq)
        return self.leaves.project(block, attend(q, k, v, seq))

    def _in_full(
        self, block: Block, x: Tensor, scale: Tensor, seq: TokenSequence, *, wants_rest: bool
    ) -> tuple[Tensor, Tensor | None]:
        """The whole branch and, where wanted, what a window would leave out of it: (B, N, H, D) of the image."""
        q, k, v = self.leaves.qkv(block, x, scale, seq)
        o = seq.attend(q, k, v, seq.info)
        rest = None
        if wants_rest:
            rest = o[:, seq.image] - of_the_image(with_kernel(seq, self.window), q, k, v, seq)
        return self.leaves.project(block, o), rest

    def _seeing(self, rest: Tensor | None) -> Attending:
        """Attention in full, or through the window with what that leaves out."""
        if rest is None:
            return _seeing_all

        def windowed(q: Tensor, k: Tensor, v: Tensor, seq: TokenSequence) -> Tensor:
            o = with_kernel(seq, self.window)(q, k, v, seq.info)
            o[:, seq.image] += rest
            return o

        return windowed

    def _shared(
        self, block: Block, x: Tensor, scale: Tensor, pair: tuple[Half, Half], rest: Tensor | None, last: Tensor | None
    ) -> Tensor:
        """The prompt's half; the other one's image tokens get its answer, and its words their own."""
        cond, uncond = pair
        if rest is not None:  # of the half that is computed
            rest = rest[: len(rest) // 2] if cond.axis == 0 else rest[:, : rest.shape[1] // 2]
        first = self._branch(block, cond.cut(x), cond.cut(scale), cond.seq, self._seeing(rest))
        if self.hold_words and last is not None:
            own = uncond.cut(last)[:, uncond.words]
        elif _count(uncond.words):
            q, k, v = self.leaves.qkv(block, uncond.cut(x), uncond.cut(scale), uncond.seq)
            own = self.leaves.project(block, of_the_words(q, k, v, uncond.seq, uncond.words))
        else:
            own = first[:, :0]
        return _joined(cond, uncond, first, own)

    def _leaves_a_residual(self, step: Step, layer: int) -> bool:
        if self.keep != "planned":
            return self.keep == "all"
        return leaves_a_residual(self._later(step, layer, "attn"))

    def _is_read(self, step: Step, layer: int, branch: str, readers: Sequence[str]) -> bool:
        """Whether the next evaluation reads this answer; it leaves one of its own, whatever it does."""
        if self.keep != "planned":
            return self.keep == "all"
        following = next((action for action in self._later(step, layer, branch) if action != NOT_RUN), "")
        return any(each in following for each in readers)

    def _later(self, step: Step, layer: int, branch: str) -> Iterator[str]:
        """What is said of later evaluations of the same kind."""
        for index in range(step.index + 1, step.count):
            if not self.paired or self.paired[index] == step.pair:
                yield self._said(branch, index, layer)

    def _said(self, branch: str, index: int, layer: int) -> str:
        actions, known = (self.actions, ATTENTION) if branch == "attn" else (self.feed_actions, FEED)
        action = actions.get((index, layer), "compute") if isinstance(actions, Mapping) else actions(index, layer)
        if action not in (*known, NOT_RUN):
            raise UsageError(f"evaluation {index}, layer {layer}: there is no action {action!r}",
                             f"use one of: {', '.join(known)}")  # fmt: skip
        return action


def _put(memory: Memory, key: tuple[object, ...], value: Tensor | None) -> None:
    if value is None:
        memory.pop(key, None)
    else:
        memory[key] = value


def _seeing_all(q: Tensor, k: Tensor, v: Tensor, seq: TokenSequence) -> Tensor:
    return seq.attend(q, k, v, seq.info)


def _by_mean(q: Tensor, k: Tensor, v: Tensor, seq: TokenSequence, words: slice | Tensor) -> Tensor:
    o = torch.empty_like(q)
    if _count(words):
        o[:, words] = of_the_words(q, k, v, seq, words)
    o[:, seq.image] = mean_value(v, seq, q.shape[2])
    return o


def _joined(cond: Half, uncond: Half, first: Tensor, own: Tensor) -> Tensor:
    """Both halves of an answer: the prompt's, and the other one's of the same image and its own words."""
    rows, words = len(first), own.shape[1]
    image = first[:, cond.seq.image]
    second = first.new_empty(rows, words + image.shape[1], first.shape[2])
    second[:, uncond.words] = own
    second[:, uncond.seq.image] = image
    return torch.cat((first, second), dim=cond.axis)


def _at(scale: Tensor, places: slice | Tensor) -> Tensor:
    return scale if scale.shape[1] == 1 else scale[:, places]


def _count(places: slice | Tensor) -> int:
    return len(places) if isinstance(places, Tensor) else places.stop
