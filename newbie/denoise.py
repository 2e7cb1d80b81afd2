"""From text features to the velocity that a solver follows: what a request needs before its first step, made once.

Here the exact savings come together (`newbie.accel.savings`), and how the blocks run. The pipeline and the benchmark
both draw through this; docs/exact-savings.md tells what each saving is, and what it is worth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

from torch import Tensor

from newbie.accel.apart import Apart, pays
from newbie.accel.compose import Composed, Facts, compose
from newbie.accel.decide import intervals
from newbie.accel.graphs import Record, Recorded
from newbie.accel.last import in_order, in_order_to_the_image, to_the_image
from newbie.accel.leaves import Leaves
from newbie.accel.modulation import ModulationTable
from newbie.accel.packed import Packed
from newbie.accel.plan import Run, WindowShape
from newbie.accel.policies import Around, Policies
from newbie.accel.predict import Hold, Predict
from newbie.accel.runner import InOrder, RunBlock
from newbie.accel.savings import Savings
from newbie.accel.shared import SharedRefiner
from newbie.accel.sides import At, Side, Sides
from newbie.accel.work import Operations, Work, of_generation
from newbie.attention.kernel import Kernel
from newbie.attention.sdpa import Sdpa
from newbie.attention.window import Tiles, Windowed
from newbie.memory.streamed import BlockStream, Streamed
from newbie.model.block import Block
from newbie.model.nextdit import NextDiT, Prepared, run_in_order
from newbie.model.tokens import useful_width
from newbie.regions.heat import Watch, Watched
from newbie.sampling import solvers
from newbie.sampling.guidance import Delta, Guidance, Runner, Velocity
from newbie.text.features import TextFeatures

PROMPT, NEGATIVE = 0, 1  # rows of the features


@dataclass(frozen=True, eq=False)
class Denoiser:
    """One request's work before and between the steps; its pictures share what does not depend on their noise.

    Args:
        features: two rows, of the prompt and of the negative prompt.
        size: latent (height, width).
        grid: times from noise to image, as `sampling.times.schedule` makes them.
        kernel: the attention kernel for rows of so many tokens, words and image, perhaps with a bias.
        blocks: how the blocks run; None: the model's own loop.
        same: both prompts are one text.
        record: evaluations are recorded by it and replayed (`accel.graphs`); None: each runs by itself.
        biases: what is added to the scores of the prompt's rows, and of the negative prompt's (`regions.bias`).
        watch: is shown what the prompt's rows attend to (`regions.heat`).
        stream: the joint blocks are not all in memory, and come as it says (`memory.streamed`).
        policies: approximate accelerations of the joint blocks (`accel.policies`); None: all of them run.
    """

    transformer: NextDiT
    features: TextFeatures
    size: tuple[int, int]
    grid: Tensor
    sampler: str
    guidance: Guidance
    kernel: Callable[..., Kernel]  # (lengths), or (lengths, bias=True)
    savings: Savings = field(default=Savings())
    blocks: InOrder | None = None
    same: bool = False
    record: Record | None = None
    biases: tuple[At | None, At | None] = (None, None)
    watch: Watch | None = None
    stream: BlockStream | None = None
    policies: Around | None = None
    kernels: list[str] = field(default_factory=list)  # what attended, in the order of first use
    tables: list[ModulationTable] = field(default_factory=list)
    velocities: list[Velocity] = field(default_factory=list)
    _made: dict[tuple[int, ...], Callable[[float], Prepared]] = field(default_factory=dict)

    @cached_property
    def times(self) -> list[float]:
        """At which the solver will ask for a velocity."""
        return solvers.asked(self.sampler, self.grid)

    @property
    def guided(self) -> list[bool]:
        """Of each of these evaluations."""
        return self.guidance.guided(self.times, len(self.grid) - 1)

    def paired(self) -> tuple[bool, ...]:
        """Of each of these evaluations: do the negative prompt's rows run?"""
        pairs = self.guidance.paired(self.times, len(self.grid) - 1)
        return tuple(each and not self.one_row for each in pairs)

    @property
    def one_row(self) -> bool:
        """Whether guided evaluations run the prompt's rows alone, because both prompts are one."""
        return self.same and self.savings.one_row and not self.biased

    @property
    def image_tokens(self) -> int:
        """Of one picture."""
        return math.prod(self.image_grid)

    @property
    def image_grid(self) -> tuple[int, int]:
        """Rows and columns of these."""
        patch = self.transformer.config.patch_size
        return self.size[0] // patch, self.size[1] // patch

    def velocity(self, pictures: int) -> Velocity:
        """For so many pictures drawn together. One for each batch of them, whatever was made for the last one."""
        steps = len(self.grid) - 1
        pair, alone = [PROMPT] * pictures + [NEGATIVE] * pictures, [PROMPT] * pictures
        velocity = Velocity(
            self.transformer if self.recorded is None else self.recorded,
            self.guidance,
            pair=lambda: pair,
            alone=lambda: alone,
            steps=steps,
            evaluations=solvers.evaluations(self.sampler, steps),
            times=self.times,
            runner=self._runner(pictures),
            refine=self._refine(),
            known=self._known,
            shared=self.savings.shared_embedding,
            same=self.one_row,
        )
        self.velocities.append(velocity)
        return velocity

    def accelerated(
        self, accel: str, plan: str = "", *, steps: int, schedule: str, shift: float, **more: Any
    ) -> tuple[Denoiser, Composed]:
        """The same request with approximate accelerations, and what they are.

        Args:
            accel, plan: see `Request`.
            steps, schedule, shift: what the grid was made from; the schedule resolved.
            more: `resolution` and `weights` of the run; `calibration`, `besides`, `detail` of `accel.compose.Facts`.

        Raises:
            UsageError: see `accel.compose`.
        """
        config = self.transformer.config
        run = Run(
            config.n_layers, config.dim, steps, self.sampler, schedule, shift, self.paired(), any(self.guided),
            more.pop("resolution", None), more.pop("weights", ""),
        )  # fmt: skip
        facts = Facts(
            run,
            tuple(intervals(self.grid.tolist(), len(self.times))),
            lambda period: self._reusing(period, Hold()).paired(),
            scale=self.guidance.scale,
            **more,
        )
        composed = compose(accel, plan, facts)
        reusing = self if composed.delta is None else self._reusing(*composed.delta)
        return replace(reusing, policies=composed.policies), composed

    def kept(self, pictures: int) -> int:
        """Bytes that policies will remember of so many pictures drawn together: of evaluations with and without the
        negative prompt's rows, where there are both. Not less than what it will be."""
        delta, found = self.guidance.delta, 0
        if delta is not None:
            found += delta.predict.tensors * pictures * self.transformer.config.in_channels * math.prod(self.size) * 4
        if isinstance(self.policies, Policies):
            for pair in set(self.paired()):
                found += self._kept(self.policies, [PROMPT, NEGATIVE] if pair else [PROMPT], pictures)
        return found

    def _kept(self, policies: Policies, rows: list[int], pictures: int) -> int:
        wide = pictures * self.transformer.config.dim * 4  # float32 at most
        lengths = [self._lengths[row] for row in rows]
        whole = len(rows) * (useful_width(lengths, self.features.hidden.shape[1]) + self.image_tokens)
        image = len(rows) * self.image_tokens
        config = self.transformer.config
        shown = 2 * config.n_layers * config.n_kv_heads * config.head_dim * pictures * 4  # keys and values of a word
        return policies.kept(image * wide, whole * wide, (whole - image) * shown)

    def _reusing(self, period: int, predict: Predict) -> Denoiser:
        return replace(self, guidance=replace(self.guidance, delta=Delta(period, predict)))

    @property
    def biased(self) -> bool:
        """Whether something is added to the scores, at some step."""
        return any(bias is not None for bias in self.biases)

    @cached_property
    def recorded(self) -> Recorded | None:
        """The graphs of this request; None where what an evaluation reads, or how it runs, is not always the same."""
        same = self.savings.prepared_once and not self.biased and self.watch is None
        same = same and self.stream is None and self.policies is None
        return Recorded(self.transformer, self.record) if self.record and same else None

    def operations(self, velocity: Velocity, pictures: int) -> Operations:
        """What the joint blocks did in a generation of so many pictures, and what they were spared."""
        window = self.policies.window if isinstance(self.policies, Policies) else WindowShape()
        tiles = Windowed(Sdpa(), self.image_grid, Tiles(window.side, window.radius))  # counted, never called
        words = [(self._lengths[row],) * pictures for row in (PROMPT, NEGATIVE)]
        pair, alone = (Work(self.transformer.config, each, tiles) for each in (words[0] + words[1], words[0]))
        paired = [said == "computed" and not velocity.same for said in velocity.book.guidance]
        guided = replace(self.guidance, truncation=None).active(0.0, 0, 1) and not self.one_row
        layers, trim = len(self.transformer.layers), self.savings.image_queries
        return of_generation(velocity.book, pair, alone, paired, layers=layers, trim=trim, guided=guided)

    def work(self) -> dict[str, int]:
        """What was done, in numbers: for a result's statistics."""
        return {
            "evaluations": sum(velocity.index for velocity in self.velocities),
            "rows": sum(velocity.rows for velocity in self.velocities),
            "preparations": len(self._made),
            "modulation_bytes": sum(table.bytes for table in self.tables),
            "modulation_products": sum(table.products for table in self.tables),
            "cuda_graphs": self.recorded.graphs if self.recorded else 0,
        }

    def _known(self, rows: list[int], times: Sequence[float]) -> Callable[[float], Prepared]:
        """What an evaluation of these rows is given, by its time."""
        if not self.savings.prepared_once:
            return lambda t: self._prepare(rows)
        key = tuple(rows)
        if key not in self._made:
            self._made[key] = self._with_table(self._prepare(rows), times)
        return self._made[key]

    def _with_table(self, prepared: Prepared, times: Sequence[float]) -> Callable[[float], Prepared]:
        if not self.savings.modulation_table:
            return lambda t: prepared
        table = ModulationTable(self.transformer, prepared.pooled, times, prepared.words.device)
        self.tables.append(table)
        if times:
            table.at(times[0])  # now, not in the first step
        return lambda t: prepared._replace(modulations=table.at(t))

    def _prepare(self, rows: list[int]) -> Prepared:
        kernel = self._kernel(rows)
        hidden, mask, pooled = self.features
        return self.transformer.prepare(
            hidden[rows],
            mask[rows],
            None if pooled is None else pooled[rows],
            self.size,
            attend=kernel,
            copies=2 if NEGATIVE in rows and self.savings.shared_embedding else 1,
        )

    def _kernel(self, rows: Sequence[int], *, bias: bool = False) -> Kernel:
        lengths = [self._lengths[row] + self.image_tokens for row in rows]
        kernel = self.kernel(lengths, bias=True) if bias else self.kernel(lengths)
        if kernel.name not in self.kernels:
            self.kernels.append(kernel.name)
        return Watched(kernel, self.watch) if self.watch is not None and PROMPT in rows else kernel

    @cached_property
    def _lengths(self) -> list[int]:
        return self.features.lengths()

    def _runner(self, pictures: int) -> Runner | None:
        """How the joint blocks run; None: the model's own loop."""
        inner: Runner
        if self.policies is not None:
            inner = self.policies.around(
                self.blocks or InOrder(RunBlock(Leaves.plain())),
                grid=self.image_grid,
                pictures=pictures,
                trim=self.savings.image_queries,
                windows=self._windowed,
            )
        elif self.savings.image_queries:
            last = len(self.transformer.layers) - 1
            inner = in_order_to_the_image if self.blocks is None else to_the_image(self.blocks, last)
        else:
            inner = self.blocks or in_order
        usual = self._without_padding(inner, pictures)
        apart = self.policies is not None and self.policies.apart
        if self.biased or apart:
            prompt, negative = (
                Side(self._kernel([row], bias=bias is not None), bias)
                for row, bias in zip((PROMPT, NEGATIVE), self.biases, strict=True)
            )
            usual = Sides(inner, None if apart else usual, (prompt, negative), pictures, self.image_tokens)
        if self.stream is not None:
            return Streamed(usual, self.stream)
        return None if usual is in_order else usual

    def _windowed(self, tiles: Tiles) -> Windowed:
        """Attention through these tiles of the picture's image tokens."""
        return Windowed(self._kernel([PROMPT]), self.image_grid, tiles)

    def _without_padding(self, inner: Runner, pictures: int) -> Runner:
        """`inner`, or a policy that spares it what a pair of unequal prompts is padded with."""
        padded = self.policies is not None and self.policies.padded
        if self.savings.packed_rows and len(set(self._lengths)) > 1 and not padded:
            if self.features.pooled is None:
                return Packed(inner, self._kernel([PROMPT]), self.image_tokens)
            if not (self.policies is not None and self.policies.together) and self._apart_pays(pictures):
                return Apart(inner, self._kernel([PROMPT]), self.image_tokens)
        return inner

    def _apart_pays(self, pictures: int) -> bool:
        """On a GPU it never does: starting a block again costs more there than its padding."""
        padding = pictures * sum(useful_width(self._lengths, max(self._lengths)) - n for n in self._lengths)
        return self.features.hidden.device.type == "cpu" and pays(padding, cast("Block", self.transformer.layers[0]))

    def _refine(self) -> Runner | None:
        """The same for the noise refiner."""
        inner = run_in_order if self.blocks is None else self.blocks.refine
        if self.savings.shared_refiner and self.features.pooled is None:
            return SharedRefiner(inner)
        return None if self.blocks is None else lambda copies, *given: inner(*given)
