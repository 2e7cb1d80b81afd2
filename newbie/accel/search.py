"""Which action for which layer at which evaluation: the greedy search of DiTFastAttn, and a better one.

Algorithm 1 of Yuan et al. 2024, arXiv 2406.08552: at every evaluation, layer by layer, the action that saves most and
whose loss stays below (i + 1) / L of delta is taken, and stays while later layers are tried. The loss compares what
the evaluation gives with what it would give without any action; the sampler goes on from the former. So the search is
one generation in which every evaluation is tried many times: it is a runner, and is given to `Velocity` as one.

Two things make it faster and change nothing: a layer is tried from the state before it, which earlier layers no longer
change (`prefix`), and the first action that fits ends the trials of a layer. `objective="ratio"` is an extension: all
actions of an evaluation are tried alone, ordered by what they save per loss, and as many are taken as fit together.
`feed_methods` extends both to the feed-forward branches. Searches for several deltas may share what trials have shown
(`trials`): as long as they chose the same, the same trial has the same loss.

What is found after each evaluation is written to a file, if one is named, whole or not at all. A search that is begun
again with it repeats what was found without trials, and goes on from there.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from newbie.accel.fastattn import KEY, FastAttention
from newbie.accel.leaves import Leaves
from newbie.accel.packed import RowByRow
from newbie.accel.runner import RunBlock, Runner
from newbie.accel.work import Work
from newbie.attention.window import Windowed
from newbie.errors import OutputError, UsageError
from newbie.model.block import Block, Modulation, TokenSequence
from newbie.model.nextdit import NextDiT
from newbie.step import Memory, Step

METHODS = ("reuse", "window+cfg", "window", "cfg")  # from the most to the least that is saved
FEED_METHODS = ("reuse", "cfg")
OBJECTIVES = ("paper", "ratio")
LEVELS = {"D1": 0.025, "D2": 0.05, "D3": 0.075, "D4": 0.1, "D5": 0.125, "D6": 0.15}  # the paper's deltas
FORMAT = "newbie-search/1"

Judge = Callable[[Step, Tensor], Tensor]  # (step, image tokens (B, N, dim)) -> what is compared
Choice = tuple[str, int, str]  # (branch, layer, action); the branches are "attention" and "feed"
Chosen = Mapping[tuple[str, int], str]  # (branch, layer) -> action, of one evaluation
Past = tuple[tuple[str, ...], ...]  # what was chosen in earlier evaluations, attention and feed-forward in turn
Trials = dict[tuple[Past, frozenset[tuple[tuple[str, int], str]]], float]  # what was chosen before, and now -> loss


def paper_abs(exact: Tensor, other: Tensor) -> Tensor:
    """The paper's loss: mean of |a - b| / max(|a|, |b|), at most 2; symmetric."""
    ratio = (exact - other).abs() / (torch.maximum(exact.abs(), other.abs()) + 1e-6)
    return ratio.clamp(max=10).mean()


def official_signed(exact: Tensor, other: Tensor) -> Tensor:
    """What the official code computes: the larger of both numbers with its sign below, so at most 10, and some 1.7
    times as much for small errors. The paper's deltas belong to this one."""
    ratio = ((exact - other) / (torch.maximum(exact, other) + 1e-6)).abs()
    return ratio.clamp(max=10).mean()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"paper_abs": paper_abs, "official_signed": official_signed}


def velocity_judge(
    model: NextDiT, pooled: Tensor | None, pictures: int, combine: Callable[[Tensor, Tensor], Tensor]
) -> Judge:
    """Compares what enters the sampler: velocities, and guided ones where the batch is a pair.

    `pooled` is that of the pair's `Prepared`; `combine` that of the guidance.
    """

    def judge(step: Step, image: Tensor) -> Tensor:
        times = torch.full((len(image),), step.t, dtype=torch.float32, device=image.device)
        temb = model.conditioning(times, None if pooled is None else pooled[: len(image)])
        v = model.final_layer(image, model.final_layer.modulation(temb)).float()
        return combine(*v.chunk(2)) if len(v) == 2 * pictures else v

    return judge


@dataclass
class Found:
    """What a search has found so far.

    Args:
        settings: of the search, and whatever else must be the same for it to go on.
        path: where it is kept after each evaluation; None: nowhere.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None
    attention: list[list[str]] = field(default_factory=list)  # by evaluation and layer
    feed: list[list[str]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # of each evaluation, with everything that was chosen for it
    blocks: int = 0  # runs of a block, trials included
    tried: int = 0
    failed: Counter[Choice] = field(default_factory=Counter)  # evaluations in a row, up to the last one

    def action(self, index: int, layer: int) -> str:
        """Of the attention: in the form that `FastAttention` takes."""
        return self.attention[index][layer] if index < len(self.attention) else "compute"

    def feed_action(self, index: int, layer: int) -> str:
        """The same of the feed-forward."""
        return self.feed[index][layer] if index < len(self.feed) else "compute"

    def counts(self) -> dict[str, int]:
        """How often each action of the attention was chosen."""
        return dict(Counter(action for row in self.attention for action in row))

    @property
    def past(self) -> Past:
        """All that was chosen so far."""
        return tuple(tuple(row) for rows in zip(self.attention, self.feed, strict=True) for row in rows)

    @classmethod
    def open(cls, path: Path, settings: Mapping[str, Any]) -> Found:
        """What a file has of a search with these settings; nothing yet where there is no file.

        Raises:
            UsageError: a file that is damaged, or of another search.
        """
        asked = json.loads(json.dumps(dict(settings)))
        if not path.exists():
            return cls(asked, path)
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["format"] != FORMAT:
                raise UsageError(f"{path}: a search of format {kept['format']!r}", f"this version reads {FORMAT!r}")
            failed = Counter({(branch, layer, action): times for branch, layer, action, times in kept["failed"]})
            found = cls(kept["settings"], path, kept["attention"], kept["feed"], kept["losses"], kept["blocks"],
                        kept["tried"], failed)  # fmt: skip
            whole = len(found.attention) == len(found.feed) == len(found.losses)
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path}: no search can be read from it ({error})", "delete it to search anew") from None
        if not whole:
            raise UsageError(f"{path}: its evaluations and losses do not match", "delete it to search anew")
        other = [name for name in {**asked, **found.settings} if asked.get(name) != found.settings.get(name)]
        if other:
            raise UsageError(
                f"{path}: a search with other settings: {', '.join(sorted(other))}",
                "give the same ones to go on, or another file",
            )
        return found

    def write(self) -> None:
        """Keep it: the old file stays until the new one is whole. Raises OutputError."""
        if self.path is None:
            return
        kept = {
            "format": FORMAT, "settings": self.settings, "losses": self.losses, "blocks": self.blocks,
            "tried": self.tried, "attention": self.attention, "feed": self.feed,
            "failed": [[*choice, count] for choice, count in self.failed.items() if count],
        }  # fmt: skip
        part = self.path.with_name(self.path.name + ".part")
        try:
            part.write_text(json.dumps(kept), encoding="utf-8")
            part.replace(self.path)
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error}", "what was kept before is whole") from error


@dataclass(frozen=True)
class Search:
    """A runner that finds actions while it runs; `found` has them.

    Args:
        leaves, window, pictures, hold_words: as of `FastAttention`.
        judge: what is compared; `velocity_judge` makes one.
        delta: loss of an evaluation that is allowed; 0: nothing is chosen.
        methods: actions of the attention that are tried, in this order by the paper's search.
        feed_methods: of the feed-forward; none: it is left alone.
        loss: one of `LOSSES`.
        work: of an evaluation's blocks, by the number of rows; the ratio needs it.
        weights: of the evaluations; delta is divided by them. Where the sampler's steps are large, errors weigh more.
        prefix: begin trials at the layer that is tried.
        patience: an action that failed so often in a row at a layer is no longer tried there; None: always.
        say: is told after every evaluation.
        trials: losses that are known already; searches that differ in delta, objective and patience may share them.

    Raises:
        UsageError: a delta below 0, unknown methods, losses or objectives, a ratio without `work`.
    """

    leaves: Leaves
    window: Windowed
    pictures: int
    judge: Judge
    delta: float
    methods: tuple[str, ...] = METHODS
    feed_methods: tuple[str, ...] = ()
    loss: str = "paper_abs"
    objective: str = "paper"
    work: Callable[[int], Work] | None = None
    weights: Sequence[float] | None = None
    hold_words: bool = False
    prefix: bool = True
    patience: int | None = None
    say: Callable[[str], None] = lambda line: None
    found: Found = field(default_factory=Found, compare=False)
    trials: Trials = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.delta >= 0.0:  # also refuses NaN
            raise UsageError(f"a search with delta {self.delta}", f"a number from 0 upwards; the paper's are {LEVELS}")
        if self.loss not in LOSSES or self.objective not in OBJECTIVES:
            raise UsageError(f"a search by loss {self.loss!r} and objective {self.objective!r}",
                             f"losses: {', '.join(LOSSES)}; objectives: {', '.join(OBJECTIVES)}")  # fmt: skip
        wrong = (set(self.methods) - set(METHODS)) | (set(self.feed_methods) - set(FEED_METHODS))
        if wrong:
            raise UsageError(f"a search among unknown methods: {', '.join(sorted(wrong))}",
                             f"attention: {', '.join(METHODS)}; feed-forward: {', '.join(FEED_METHODS)}")  # fmt: skip
        if self.objective == "ratio" and self.work is None:
            raise UsageError("a search by ratio that does not know what actions save", "give it work")

    def settings(self) -> dict[str, Any]:
        """What must be the same for a search to go on; the model, its prompts and grid are for the caller to add."""
        names = ("delta", "methods", "feed_methods", "loss", "objective", "weights", "hold_words", "patience")
        return {name: getattr(self, name) for name in names} | {
            "window": str(self.window.window), "grid": self.window.grid, "pictures": self.pictures,
        }  # fmt: skip

    def __call__(
        self, step: Step, blocks: Sequence[nn.Module], x: Tensor, m: Sequence[Modulation], seq: TokenSequence
    ) -> Tensor:
        """One evaluation: x (B, L, dim) -> (B, L, dim), with what was chosen for it."""
        given, stream = x.dtype, self.leaves.stream
        at = _Evaluation(self, step, blocks, m, seq, given, self.found.past)
        x = x if stream is None else x.to(stream)
        if step.index < len(self.found.losses):  # found before
            if len(self.found.attention[step.index]) != len(m):
                raise UsageError(
                    f"a search over {len(self.found.attention[step.index])} layers, for a network of {len(m)}",
                    "search anew for this network",
                )
            return at.settle(x, range(len(m)), self._kept(step.index)).to(given)
        y, chosen, loss = at.nothing(x) if step.index == 0 or not self.delta else self._search(at, x)
        self.found.attention.append([chosen.get(("attention", layer), "compute") for layer in range(len(m))])
        self.found.feed.append([chosen.get(("feed", layer), "compute") for layer in range(len(m))])
        self.found.losses.append(loss)
        self.found.write()
        self.say(f"evaluation {step.index + 1} of {step.count}: {len(chosen)} actions, loss {loss:.3g}")
        return y.to(given)

    def _kept(self, index: int) -> dict[tuple[str, int], str]:
        rows = {"attention": self.found.attention[index], "feed": self.found.feed[index]}
        return {(branch, layer): action for branch, row in rows.items() for layer, action in enumerate(row)}

    def _search(self, at: _Evaluation, x: Tensor) -> tuple[Tensor, dict[tuple[str, int], str], float]:
        allowed = self.delta / (1.0 if self.weights is None else self.weights[at.step.index])
        return self._by_ratio(at, x, allowed) if self.objective == "ratio" else self._by_layer(at, x, allowed)

    def _by_layer(self, at: _Evaluation, x: Tensor, allowed: float) -> tuple[Tensor, dict[tuple[str, int], str], float]:
        """Algorithm 1."""
        exact = cache(partial(at.exact, x))
        chosen: dict[tuple[str, int], str] = {}
        begun, loss, start = {0: x}, 0.0, Memory(at.step.memory)  # begun: layer -> the state before it
        branches = [("attention", self.methods)] + ([("feed", self.feed_methods)] if self.feed_methods else [])
        units = len(branches) * len(at.m)
        for layer in range(len(at.m)):
            for number, (branch, methods) in enumerate(branches):
                share = (layer * len(branches) + number + 1) / units
                for action in at.possible(branch, layer, methods):
                    tried = {**chosen, (branch, layer): action}
                    if self.prefix:
                        mine = at.loss(exact, begun, layer, tried, at.step.memory)
                    else:
                        mine = at.loss(exact, {0: x}, 0, tried, start)
                    fits = mine < share * allowed
                    self._remember((branch, layer, action), fits=fits)
                    if fits:
                        chosen, loss = tried, mine
                        break
            begun = {layer + 1: at.settle(begun[layer], range(layer, layer + 1), chosen)}
        return begun[len(at.m)], chosen, loss

    def _by_ratio(self, at: _Evaluation, x: Tensor, allowed: float) -> tuple[Tensor, dict[tuple[str, int], str], float]:
        """Best bargains first, as many as fit together."""
        assert self.work is not None
        work = self.work(at.rows)
        before, exact = at.states(x)

        def loss(chosen: Chosen) -> float:
            return at.loss(lambda: exact, before, min(layer for _, layer in chosen), chosen, at.step.memory)

        bargains = []
        for layer in range(len(at.m)):
            for branch, methods in (("attention", self.methods), ("feed", self.feed_methods)):
                cost = work.attention if branch == "attention" else work.feed
                for action in at.possible(branch, layer, methods):
                    alone = loss({(branch, layer): action})
                    self._remember((branch, layer, action), fits=alone < allowed)
                    spared = cost("compute") - cost(action)
                    if spared > 0 and alone < allowed:
                        bargains.append((spared / (alone + 1e-12), (branch, layer, action)))
        order: dict[tuple[str, int], str] = {}
        for _, (branch, layer, action) in sorted(bargains, reverse=True):
            order.setdefault((branch, layer), action)
        ordered = list(order.items())
        fitting, reached, too_many = 0, 0.0, len(ordered) + 1
        while too_many - fitting > 1:  # bisection: the longest beginning of the list whose loss was seen to fit
            middle = (fitting + too_many) // 2
            mine = loss(dict(ordered[:middle]))
            if mine < allowed:
                fitting, reached = middle, mine
            else:
                too_many = middle
        chosen = dict(ordered[:fitting])
        return at.settle(x, range(len(at.m)), chosen), chosen, reached

    def _remember(self, choice: Choice, *, fits: bool) -> None:
        self.found.failed[choice] = 0 if fits else self.found.failed[choice] + 1

    def _hopeless(self, choice: Choice) -> bool:
        return self.patience is not None and self.found.failed[choice] >= self.patience


class _Evaluation(NamedTuple):
    """One evaluation, to be run in parts and in several ways."""

    search: Search
    step: Step
    blocks: Sequence[nn.Module]
    m: Sequence[Modulation]
    seq: TokenSequence
    dtype: torch.dtype  # in which the stack answers
    past: Past  # what was chosen in the evaluations before

    @property
    def rows(self) -> int:
        attend = self.seq.attend
        if isinstance(attend, RowByRow):
            return sum(segment.rows for segment in attend.segments)
        return len(self.seq.info.lengths)

    def possible(self, branch: str, layer: int, methods: Iterable[str]) -> Iterator[str]:
        """Actions whose state is there; none of a pair where there is none."""
        pair = self.rows == 2 * self.search.pictures
        needed = {
            "reuse": "output" if branch == "attention" else "feed",
            "window": "residual",
            "window+cfg": "residual",
        }
        for action in methods:
            there = action not in needed or (KEY, layer, needed[action]) in self.step.memory
            if there and (pair or "cfg" not in action) and not self.search._hopeless((branch, layer, action)):
                yield action

    def exact(self, x: Tensor) -> Tensor:
        """What the evaluation would give without any action."""
        return self._judged(self._run(x, range(len(self.m)), {}, Memory(self.step.memory), "nothing"))

    def states(self, x: Tensor) -> tuple[dict[int, Tensor], Tensor]:
        """The same, with the state before each layer."""
        before = {}
        for layer in range(len(self.m)):
            before[layer] = x
            x = self._run(x, range(layer, layer + 1), {}, Memory(self.step.memory), "nothing")
        return before, self._judged(x)

    def nothing(self, x: Tensor) -> tuple[Tensor, dict[tuple[str, int], str], float]:
        """The evaluation without any action, leaving its state."""
        return self.settle(x, range(len(self.m)), {}), {}, 0.0

    def settle(self, x: Tensor, layers: range, chosen: Chosen) -> Tensor:
        """Run these layers for good: later evaluations see what they leave."""
        return self._run(x, layers, chosen, self.step.memory, "all")

    def loss(
        self,
        exact: Callable[[], Tensor],
        before: Mapping[int, Tensor],
        first: int,
        chosen: Chosen,
        memory: Memory,
    ) -> float:
        """Of the layers from `first` on, on trial; unless another search has tried just that."""
        key = self.past, frozenset(chosen.items())
        if key not in self.search.trials:
            self.search.found.tried += 1
            y = self._run(before[first], range(first, len(self.m)), chosen, Memory(memory), "nothing")
            value = float(LOSSES[self.search.loss](exact(), self._judged(y)))
            self.search.trials[key] = value if math.isfinite(value) else math.inf
        return self.search.trials[key]

    def _judged(self, y: Tensor) -> Tensor:
        image = y[:, self.seq.image].to(self.dtype)
        return self.search.judge(
            self.step, image if len(image) == self.rows else image[0].unflatten(0, (self.rows, -1))
        )

    def _run(self, x: Tensor, layers: range, chosen: Chosen, memory: Memory, keep: Any) -> Tensor:
        step = Step(self.step.index, self.step.count, self.step.t, memory)
        fast = FastAttention(
            self.search.leaves,
            self.search.window,
            lambda index, layer: chosen.get(("attention", layer), "compute"),
            self.search.pictures,
            lambda index, layer: chosen.get(("feed", layer), "compute"),
            hold_words=self.search.hold_words,
            keep=keep,
        )
        run = RunBlock(self.search.leaves, attend=fast.attend, feed=fast.feed)
        self.search.found.blocks += len(layers)
        for layer in layers:
            block = self.blocks[layer]
            assert isinstance(block, Block)
            x = run(step, layer, block, x, self.m[layer], self.seq)
        return x


class Outcome(NamedTuple):
    """What a plan costs and brings."""

    error: float  # of the final latents, relative to those without a plan
    saved: float  # share of operations

    @classmethod
    def of(
        cls, draw: Callable[[Runner], Tensor], search: Search, exact: Tensor, saved: Callable[[Found], float]
    ) -> Outcome:
        """Search, and look at where it led: a search draws the picture of its plan. `draw` gives final latents."""
        final = draw(search)
        return cls(float((final - exact).norm() / exact.norm()), saved(search.found))


def at_equal_error(ours: Sequence[Outcome], others: Sequence[Outcome]) -> list[tuple[float, float, float]]:
    """(error, saved by ours, saved by the others) for every outcome of the others: what ours saves with no more error.

    Ours saves 0 where each of its plans has more error.
    """
    return [(error, max((o.saved for o in ours if o.error <= error), default=0.0), saved) for error, saved in others]
