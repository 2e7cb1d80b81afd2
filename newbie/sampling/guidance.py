"""Classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598), and the velocity that the solvers follow.

Rows of a guided evaluation are [conditional …, unconditional …] in one batch. Where guidance is off, only the
conditional rows run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

import torch
from torch import Tensor

from newbie.errors import UsageError
from newbie.step import Book, Memory, Step

UNITS = ("time", "steps", "sigma")
INTERVAL = re.compile(r"(.*?[^eE])-(.*)")  # 0.1-0.6; a minus sign in front or in an exponent is none
EXAMPLES = 'for example "time:0.25", "time:0.1-0.6", "steps:0.5", "sigma:0.8"; leave it empty to guide every step'

DELTA = "delta"  # where differences of guidance are remembered

Runner = Callable[..., Tensor]  # (step, blocks, x, m, seq) -> x
Known = Callable[[Any, Sequence[float]], Callable[[float], Any]]


class Model(Protocol):
    """What is needed of a NextDiT."""

    def __call__(self, latents: Tensor, t: Tensor, prepared: Any, **options: Any) -> Tensor: ...


@dataclass(frozen=True)
class Truncation:
    """When guidance is on. Each unit is somebody's convention; the number alone would not say whose.

    time:  while start <= flow time t < value; from 0 that is early, in the noise (official code)
    steps: while start < fraction of steps, this one included, <= value; from 0 early as well (diffusers)
    sigma: while start <= noise level 1 - t < value; from 0 that is *late* (ComfyUI's RenormCFG node)

    An interval with two ends is that of Kynkäänniemi et al. 2024, arXiv 2404.07724.
    """

    unit: str
    value: float
    start: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Truncation | None:
        """Read "unit:value" or "unit:start-value"; a number alone is a time, nothing is None: always guided.

        Raises:
            UsageError: anything else.
        """
        if not text.strip():
            return None
        unit, colon, number = text.strip().partition(":")
        if not colon:
            unit, number = "time", unit
        unit = unit.strip().lower()
        if unit not in UNITS:
            raise UsageError(f"guidance truncation {text!r}: unknown unit {unit!r}", EXAMPLES)
        ends = INTERVAL.fullmatch(number)
        if ends and not colon:
            raise UsageError(f"guidance interval {text!r} has no unit", EXAMPLES)
        try:
            start, value = (float(end) for end in (ends.groups() if ends else ("0", number)))
        except ValueError:
            raise UsageError(f"guidance truncation {text!r}: {number!r} is not a number", EXAMPLES) from None
        if not (value >= 0.0 and start >= 0.0):  # also refuses NaN
            raise UsageError(f"guidance truncation {text!r}: {number} is not a number from 0 upwards", EXAMPLES)
        if ends and not start < value:
            raise UsageError(f"guidance interval {text!r}: {start:g} does not lie before {value:g}", EXAMPLES)
        return cls(unit, value, start)

    def guided(self, t: float, step: int, steps: int) -> bool:
        """Is an evaluation at time t, in interval `step` of `steps`, guided?"""
        if self.unit == "time":
            return self.start <= t < self.value
        if self.unit == "steps":
            return self.start < (step + 1) / steps <= self.value
        return self.start <= 1.0 - t < self.value


class Guess(Protocol):
    """What is needed of `accel.predict`."""

    def learn(self, step: Step, slot: Any, value: Tensor) -> None: ...

    def guess(self, step: Step, slot: Any) -> Tensor: ...

    @property
    def tensors(self) -> int: ...


@dataclass(frozen=True)
class Delta:
    """The unconditional rows run in every `period`-th guided evaluation, and in the first and the last.

    In the others the unconditional velocity is the conditional one less the last difference of both: what guidance adds
    changes slowly, the velocity itself does not (FasterCache's simple form, Lv et al. 2024, arXiv 2410.19355).
    """

    period: int
    predict: Guess


@dataclass(frozen=True)
class Guidance:
    """How far to go beyond the conditional velocity, when, and how long the result may be.

    `renorm` r > 0 shortens a guided velocity to at most r times the length of the conditional one, picture by
    picture (the official code can do it for one picture only); 0 lets it be. With a `delta` some guided evaluations
    do without the unconditional rows.
    """

    scale: float
    truncation: Truncation | None = None
    renorm: float = 0.0
    delta: Delta | None = None

    @classmethod
    def parse(cls, scale: float, truncation: str = "", renorm: float | str = 0.0) -> Guidance:
        """From what a user types. The official demo passes the renorm as text, "0.0" or "1".

        Raises:
            UsageError: a value that cannot be read.
        """
        try:
            scale, limit = float(scale), float(renorm)
        except ValueError:
            raise UsageError(
                f"guidance scale {scale!r} or renorm {renorm!r} is not a number", "for example 4.5 and 1.0"
            ) from None
        if not (math.isfinite(scale) and math.isfinite(limit)):
            raise UsageError(f"guidance scale {scale} or renorm {limit} is not finite", "for example 4.5 and 1.0")
        return cls(scale, Truncation.parse(truncation), limit)

    def active(self, t: float, step: int, steps: int) -> bool:
        """Does an evaluation at time t, in interval `step` of `steps`, need the unconditional rows?"""
        if self.scale == 1.0 and not 0.0 < self.renorm < 1.0:
            return False  # u + 1 (c - u) is c, and has the length of c
        return self.truncation is None or self.truncation.guided(t, step, steps)

    def guided(self, times: Sequence[float], steps: int) -> list[bool]:
        """Of each evaluation at these times: is it guided?"""
        return [self.active(t, i * steps // len(times), steps) for i, t in enumerate(times)]

    def paired(self, times: Sequence[float], steps: int) -> list[bool]:
        """Of each evaluation at these times: do the unconditional rows run?"""
        guided = self.guided(times, steps)
        if self.delta is None:
            return guided
        places = [i for i, each in enumerate(guided) if each]
        run = {*places[:: self.delta.period], *places[-1:]}
        return [i in run for i in range(len(times))]

    def combine(self, cond: Tensor, uncond: Tensor) -> Tensor:
        """Velocities (B, …) with and without the prompt, to the guided velocity, in float32."""
        cond, uncond = cond.float(), uncond.float()
        guided = uncond + self.scale * (cond - uncond)
        if self.renorm > 0.0:
            length, limit = _length(guided), self.renorm * _length(cond)
            guided = torch.where(length >= limit, guided * (limit / length.clamp_min(1e-30)), guided)
        return guided


class Velocity:
    """velocity(x, t): one evaluation of the model, guided or not. One object serves one generation.

    The two `Prepared` are made by the callables when they are first needed, or all that will be by `prepare`, and then
    kept: often one of them never is. What caching policies remember also lives and dies with this object, apart for
    guided and unguided evaluations, whose batches differ.

    Args:
        model: `model(latents (B, C, h, w), t (rows,), prepared) -> velocity`.
        guidance: see there.
        pair: makes the Prepared of the rows [conditional …, unconditional …].
        alone: makes the Prepared of the conditional rows.
        steps: intervals of the time grid.
        evaluations: calls that the solver will make in them (`solvers.evaluations`).
        times: of these calls, where they are known (`solvers.asked`).
        runner: a policy (step, blocks, x, m, seq) -> x for the joint blocks; None is the plain loop.
        refine: the same for the noise refiner, which gets the number of captions per picture in place of the step.
        known: (prepared, times) -> (t -> prepared): adds what can be known of an evaluation before the first.
        shared: the pair's Prepared takes each picture once (its `copies` is 2).
        same: both prompts are one: guided evaluations run the conditional rows only, and use them twice.
    """

    def __init__(
        self,
        model: Model,
        guidance: Guidance,
        *,
        pair: Callable[[], Any],
        alone: Callable[[], Any],
        steps: int,
        evaluations: int,
        times: Sequence[float] = (),
        runner: Runner | None = None,
        refine: Runner | None = None,
        known: Known | None = None,
        shared: bool = False,
        same: bool = False,
    ) -> None:
        self.model = model
        self.guidance = guidance
        self.steps = steps
        self.evaluations = evaluations
        self.times = list(times)
        self.runner = runner
        self.refine = refine
        self.known = known or (lambda prepared, times: lambda t: prepared)
        self.shared = shared
        self.same = same
        self.index = 0  # evaluations made so far
        self.book = Book()
        self.rows = 0  # of the model's batches in all these evaluations
        self._prepare = {True: pair, False: alone}
        self._prepared: dict[bool, Callable[[float], Any]] = {}
        self._memories = {True: Memory(), False: Memory()}
        self._common = Memory()
        if guidance.delta is not None and not times:
            raise UsageError("differences of guidance are reused at times known before", "pass `times`")

    def __call__(self, x: Tensor, t: float) -> Tensor:
        guided, paired = self._guided(self.index, t), self._paired(self.index, t)
        v = self._evaluate(x, t, paired)
        if paired:
            v = self._combined(t, *v.chunk(2))
        elif guided:
            v = self.guidance.combine(v, v if self.same else v - self._difference(t))
        self.book.guidance.append("off" if not guided else "computed" if paired or self.same else "reused")
        self.book.kept = max(self.book.kept, sum(memory.nbytes for memory in self.memories))
        self.index += 1
        return v

    @property
    def approximate(self) -> bool:
        """Whether anything was decided that the plain way has not."""
        book = self.book
        return bool(book.stack or book.layers or book.pruned.whole or "reused" in book.guidance)

    def forget(self) -> None:
        """Drop what policies remember: the generation is done, or given up, and its numbers are in the book."""
        for memory in self.memories:
            memory.clear()

    @property
    def memories(self) -> list[Memory]:
        """Of guided evaluations, of others, and of all."""
        return [*self._memories.values(), self._common]

    def _combined(self, t: float, cond: Tensor, uncond: Tensor) -> Tensor:
        delta = self.guidance.delta
        if delta is not None:
            delta.predict.learn(self._step(t, paired=False).in_common(), DELTA, cond - uncond)
        return self.guidance.combine(cond, uncond)

    def _difference(self, t: float) -> Tensor:
        assert self.guidance.delta is not None
        return self.guidance.delta.predict.guess(self._step(t, paired=False).in_common(), DELTA)

    def _step(self, t: float, *, paired: bool) -> Step:
        return Step(self.index, self.evaluations, t, self._memories[paired], self.book, self._common, paired)

    def prepare(self) -> None:
        """Make everything that evaluations at `times` will need, so that none of them has to stop for it."""
        for pair in dict.fromkeys(self._paired(i, t) for i, t in enumerate(self.times)):
            self._of(pair)

    def _guided(self, index: int, t: float) -> bool:
        return self.guidance.active(t, index * self.steps // self.evaluations, self.steps)

    def _paired(self, index: int, t: float) -> bool:
        if self.same or self.guidance.delta is None:
            return self._guided(index, t) and not self.same
        return self._pairs[index]

    @cached_property
    def _pairs(self) -> list[bool]:
        return self.guidance.paired(self.times, self.steps)

    def _of(self, pair: bool) -> Callable[[float], Any]:
        if pair not in self._prepared:
            times = [t for i, t in enumerate(self.times) if self._paired(i, t) == pair]
            self._prepared[pair] = self.known(self._prepare[pair](), times)
        return self._prepared[pair]

    def _evaluate(self, x: Tensor, t: float, pair: bool) -> Tensor:
        """Velocities (B, …) of the conditional rows, or (2B, …) of the pair, float32."""
        prepared = self._of(pair)(t)
        copies = 2 if pair else 1
        options: dict[str, Any] = {}
        if self.runner is not None:
            options["run_blocks"] = partial(self.runner, self._step(t, paired=pair))
        if self.refine is not None:
            options["refine"] = partial(self.refine, copies)
        times = torch.full((copies * len(x),), t, dtype=torch.float32, device=x.device)
        self.rows += len(times)
        latents = x if self.shared or not pair else torch.cat([x, x])
        return self.model(latents, times, prepared, **options).float()


def _length(v: Tensor) -> Tensor:
    """Euclidean length of each row, (B, 1, …)."""
    return torch.linalg.vector_norm(v.flatten(1), dim=1).reshape(-1, *[1] * (v.ndim - 1))
