"""Plans of DiTFastAttn for a pipeline: searched for on some prompts, kept after every evaluation, gone on with later.

    batch = Batch.of(pipeline, texts, request)
    for each in searched(batch, wish, {"D3": LEVELS["D3"]}, {"D3": Found()}, say):
        plan = plan_of(each, wish, run)

The search itself is `newbie.accel.search`; here it meets prompts, a time grid and a clock.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from newbie import Pipeline, Request, devices
from newbie.accel.leaves import Leaves
from newbie.accel.plan import Plan, Run, WindowShape
from newbie.accel.runner import InOrder, RunBlock
from newbie.accel.search import FEED_METHODS, METHODS, Found, Search, Trials, velocity_judge
from newbie.accel.work import Work, saved
from newbie.attention.window import Size, Tiles, Windowed
from newbie.errors import MemoryShortage, UsageError
from newbie.model.nextdit import NextDiT, Prepared
from newbie.prompt.asked import understood
from newbie.prompt.render import RenderedPair
from newbie.sampling import noise, solvers, times
from newbie.sampling.guidance import Guidance, Runner, Velocity

LARGEST_TILE = 8  # image tokens; what a plan's window has by default


@dataclass(frozen=True)
class Wish:
    """What is searched for.

    Args:
        loss: one of `accel.search.LOSSES`.
        objective: "paper": layer by layer; "ratio": what saves most per loss first.
        feed: the feed-forward branches too.
        window: None: windows are not tried.
        among: the actions of the attention that are tried, in this order.
        weights: of the evaluations, see `Search`.
        patience: see `Search`.
    """

    loss: str = "paper_abs"
    objective: str = "paper"
    feed: bool = False
    window: WindowShape | None = field(default_factory=WindowShape)
    weights: tuple[float, ...] | None = None
    patience: int | None = None
    among: tuple[str, ...] = METHODS

    @property
    def methods(self) -> tuple[str, ...]:
        """Of the attention, without windows where there are none."""
        return tuple(each for each in self.among if self.window is not None or "window" not in each)

    @property
    def tiles(self) -> Tiles:
        """What a window sees; anything where none is tried."""
        shape = self.window or WindowShape()
        return Tiles(shape.side, shape.radius)

    def settings(self, delta: float, request: Request, texts: Sequence[str], run: Run) -> dict[str, Any]:
        """What must be the same for a search to go on: all of it is known before weights load."""
        window = None if self.window is None else [self.window.side, self.window.radius]
        prompts = hashlib.sha256("\0".join(texts).encode()).hexdigest()
        return {
            "delta": delta, "loss": self.loss, "objective": self.objective, "feed": self.feed, "window": window,
            "among": self.among, "weights": self.weights, "patience": self.patience, "request": request.to_json(),
            "layers": run.layers, "model": run.weights, "prompts": prompts,
        }  # fmt: skip


def window_for(grid: Size, radius: int = 1) -> WindowShape | None:
    """Squares of a quarter of the picture's shorter side, at most 8x8 tokens; None where that shows the whole picture.

    Such a window would save nothing, and be chosen everywhere, as it loses nothing.
    """
    shape = WindowShape(min(LARGEST_TILE, max(min(grid) // 4, 1)), radius)
    return None if Tiles(shape.side, shape.radius).whole(grid) else shape


def rendered(texts: Sequence[str], request: Request) -> list[RenderedPair]:
    """What the encoders will be given.

    Raises:
        PromptError: one cannot be read, or will not be drawn.
        UsageError: one has weights; they would be biases on scores, which windows do not go with.
    """
    pairs = [understood(replace(request, prompt=text)).rendered for text in texts]
    if any(side.gemma.weights for pair in pairs for side in pair):
        raise UsageError("a prompt has weights such as (tag:1.2), which windows do not go with", "leave them out")
    return pairs


@dataclass(frozen=True, eq=False)
class Batch:
    """Some prompts that are drawn together, every picture with noise of its own. Guided as the request says.

    Args:
        lengths: words of each row, the prompts' first.
        prepare: rows -> what the model is given of them.
        leaves: how the parts of blocks are computed.
    """

    pipeline: Pipeline
    request: Request
    lengths: tuple[int, ...]
    grid: Tensor
    guidance: Guidance
    noise: Tensor
    prepare: Callable[[int], Prepared]
    _prepared: dict[int, Prepared] = field(default_factory=dict)

    @classmethod
    def of(cls, pipeline: Pipeline, texts: Sequence[str], request: Request) -> Batch:
        """`request` is resolved: its prompt and count are not looked at. Picture i has its seed + i.

        Raises: see `rendered`.
        """
        assert request.height and request.width and request.steps and request.sampler  # resolved
        assert request.schedule and request.shift
        pairs = rendered(texts, request)
        rows = [each.positive for each in pairs] + [each.negative for each in pairs]
        device = pipeline.chosen["device"].value
        features = pipeline.text.encode(rows).features.to(device=device)
        size = (request.height // pipeline.vae.config.factor, request.width // pipeline.vae.config.factor)
        lengths = tuple(features.lengths())
        schedule = times.resolve(request.schedule, request.sampler)
        grid = times.schedule(schedule, request.steps, shift=request.shift, sampler=request.sampler)
        seeds = replace(request, count=len(texts)).seeds()
        start = noise.draw(seeds, (pipeline.vae.config.latent_channels, *size)) * times.initial_scale(schedule, grid)
        tokens = size[0] * size[1] // pipeline.transformer.config.patch_size**2
        kernel = pipeline.kernel([each + tokens for each in lengths])

        def prepare(rows: int) -> Prepared:
            hidden, mask, pooled = (None if each is None else each[:rows] for each in features)
            assert hidden is not None and mask is not None
            return pipeline.transformer.prepare(hidden, mask, pooled, size, attend=kernel)

        guidance = Guidance.parse(request.cfg_scale or 0.0, request.cfg_trunc or "", request.cfg_renorm or 0.0)
        return cls(pipeline, request, lengths, grid, guidance, start.to(device), prepare)

    @property
    def model(self) -> NextDiT:
        return self.pipeline.transformer

    @property
    def pictures(self) -> int:
        return len(self.noise)

    @property
    def tokens(self) -> Size:
        """Rows and columns of image tokens."""
        patch = self.model.config.patch_size
        return self.noise.shape[2] // patch, self.noise.shape[3] // patch

    @property
    def leaves(self) -> Leaves:
        """How the parts of blocks are computed."""
        runner = self.pipeline.blocks.runner
        return Leaves.plain() if runner is None else runner.run_block.leaves

    @property
    def paired(self) -> list[bool]:
        """Of each evaluation."""
        asked = solvers.asked(self.sampler, self.grid)
        return self.guidance.guided(asked, len(self.grid) - 1)

    @property
    def sampler(self) -> str:
        assert self.request.sampler
        return self.request.sampler

    @property
    def exact(self) -> Runner:
        """All blocks in full."""
        return InOrder(RunBlock(self.leaves))

    def prepared(self, rows: int) -> Prepared:
        """Of the first rows: all of them, or the prompts'."""
        if rows not in self._prepared:
            self._prepared[rows] = self.prepare(rows)
        return self._prepared[rows]

    def windowed(self, tiles: Tiles) -> Windowed:
        """Attention through these."""
        grid = self.tokens
        return Windowed(self.pipeline.kernel([max(self.lengths) + grid[0] * grid[1]]), grid, tiles)

    def work(self, rows: int, tiles: Tiles) -> Work:
        """Of a block in an evaluation of so many rows."""
        return Work(self.model.config, self.lengths[:rows], self.windowed(tiles))

    def shares(self, found: Found, tiles: Tiles) -> tuple[float, float]:
        """Of the operations of a generation's joint blocks: what is left of the attention, and what is saved of all."""
        layers = self.model.config.n_layers
        works = [self.work(len(self.lengths) if pair else self.pictures, tiles) for pair in self.paired]

        def gone(feed: Callable[[int, int], str]) -> tuple[int, int]:
            return saved(works.__getitem__, found.action, feed, evaluations=len(works), layers=layers)

        attention = layers * sum(work.attention("compute") for work in works)
        spared, everything = gone(found.feed_action)
        return 1 - gone(lambda index, layer: "compute")[0] / attention, spared / everything

    @torch.no_grad()
    def draw(self, runner: Runner | None = None) -> Tensor:
        """Final latents, (pictures, C, h, w)."""
        steps, rows = len(self.grid) - 1, len(self.lengths)
        velocity = Velocity(
            self.model,
            self.guidance,
            pair=lambda: self.prepared(rows),
            alone=lambda: self.prepared(self.pictures),
            steps=steps,
            evaluations=solvers.evaluations(self.sampler, steps),
            runner=self.exact if runner is None else runner,
        )
        return solvers.SOLVERS[self.sampler](velocity, self.noise, self.grid, None)


class Searched(NamedTuple):
    """A search that is done."""

    name: str
    delta: float
    found: Found
    left: float  # of the attention's operations
    saved: float  # of all operations of the joint blocks
    error: float  # of the final latents, relative to those without a plan, on the prompts of the search

    def told(self) -> str:
        """One line."""
        return (
            f"{self.name}: {self.left:.1%} of the attention's operations left, {self.saved:.1%} of all saved; final "
            f"latents move by {self.error:.2%}; {self.found.tried} trials"
        )


def searched(
    batch: Batch,
    wish: Wish,
    deltas: Mapping[str, float],
    founds: Mapping[str, Found],
    say: Callable[[str], None],
    around: Callable[[Runner], Runner] = lambda search: search,
) -> Iterator[Searched]:
    """One search after another, by name; they share what trials have shown. `say` is told of each evaluation.

    `around` may put something around the search, such as an experiment with what evaluations leave behind.

    Raises:
        MemoryShortage: what a search keeps of every layer would not fit.
    """
    _check_memory(batch, wish)
    window = batch.windowed(wish.tiles)
    judge = velocity_judge(batch.model, batch.prepared(len(batch.lengths)).pooled, batch.pictures,
                           batch.guidance.combine)  # fmt: skip
    evaluations = solvers.evaluations(batch.sampler, len(batch.grid) - 1)
    clock = Clock(sum(evaluations - len(found.losses) for found in founds.values()))
    trials: Trials = {}
    exact = batch.draw()
    for name, delta in deltas.items():
        search = Search(
            batch.leaves,
            window,
            batch.pictures,
            judge,
            delta,
            wish.methods,
            FEED_METHODS if wish.feed else (),
            wish.loss,
            wish.objective,
            lambda rows: batch.work(rows, wish.tiles),
            wish.weights,
            patience=wish.patience,
            say=lambda line, name=name: say(f"{name}, {line}{clock.left()}"),  # type: ignore[misc]
            found=founds[name],
            trials=trials,
        )
        final = batch.draw(around(search))
        error = float((final - exact).norm() / exact.norm())
        yield Searched(name, delta, search.found, *batch.shares(search.found, wish.tiles), error)


def plan_of(each: Searched, wish: Wish, run: Run, meta: Mapping[str, Any]) -> Plan:
    """What was found, as a plan for this run."""
    branches = {"attn": each.found.attention, "ffn": each.found.feed}
    rows = {
        (layer, branch): row
        for branch, table in branches.items()
        for layer, row in enumerate(zip(*table, strict=True))
        if set(row) != {"compute"}
    }
    told = {
        "made_from": f"search {each.name}", "delta": each.delta, "loss": wish.loss, "objective": wish.objective,
        "attention_left": round(each.left, 4), "saved": round(each.saved, 4), "error": round(each.error, 5), **meta,
    }  # fmt: skip
    return Plan.of(run, layer_actions=rows, window=wish.window or WindowShape(), meta=told)


class Clock:
    """How long the rest will take, by what was done."""

    def __init__(self, total: int) -> None:
        self.began, self.done, self.total = time.monotonic(), 0, total

    def left(self) -> str:
        """One more is done: the end of a sentence about it."""
        self.done += 1
        rest = (time.monotonic() - self.began) / self.done * (self.total - self.done)
        return f", about {rest:.0f} s left" if self.done < self.total else ""


def _check_memory(batch: Batch, wish: Wish) -> None:
    config, image = batch.model.config, batch.tokens[0] * batch.tokens[1]
    whole, rows = max(batch.lengths) + image, len(batch.lengths)
    tokens = whole * (2 if wish.feed else 1) + (image if wish.window is not None else 0)
    needed = rows * tokens * config.dim * config.n_layers * batch.model.dtype.itemsize
    free = devices.free_memory(batch.pipeline.chosen["device"].value)
    if 0 < free < needed:
        raise MemoryShortage(
            f"the search keeps the answers of all layers for {batch.pictures} pictures: {needed / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB are free",
            "search on fewer prompts, or at a smaller size",
        )
