"""Which way of being in memory fits, told before anything is loaded: `--memory 6GB` or `--memory auto`.

Of the ways that fit the one with the least cost is taken: its expected time, times a factor where it changes the
picture. So weights are put into fewer bits only where that is at least as many times faster than the exact ways. Times
are estimates from the few numbers below, made to choose with, not measurements of this machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from newbie.accel.choose import COPY
from newbie.errors import MemoryShortage
from newbie.memory.activations import Rows, latent_size
from newbie.memory.amount import AUTO, told
from newbie.memory.ways import EXACT, Model, Part, Picture, Way, stages, tilings

LOSS = {"": 1.0, "w8a8": 1.5, "int8": 1.5, "nf4": 2.5}  # how many times faster a way with fewer bits has to be
DECODING = {"": 1.0, "w8a8": 1.0, "int8": 1.1, "nf4": 1.3}  # time of a product, where weights are decoded for it
TILED = 1.02
ENCODED_PER_SECOND = 0.2e9  # bytes of weights put into fewer bits
SPOKEN = {"transformer": "transformer", "text_encoder": "text encoder", "clip": "CLIP tower", "vae": "autoencoder"}
STAY = {
    "stays": "stays in memory",
    "visits": "in memory only while it works",
    "blocks": "two blocks in memory, the next is fetched while one computes",
    "layers": "one layer in memory at a time",
}


class Machine(NamedTuple):
    """Where the model runs. `before`: what is in use already and counts against the limit."""

    device: str
    limit: int
    before: int
    asked: str = AUTO
    per_second: float = 1e11  # floating point operations
    moved_per_second: float = 2e9  # bytes, from where weights wait

    @classmethod
    def of(cls, device: str, limit: int, before: int, asked: str, threads: int) -> Machine:
        speed, moved = {"cpu": (0.07e12 * threads, 2e9), "cuda": (1e14, 12e9)}.get(device, (5e12, 10e9))
        return cls(device, limit, before, asked, speed, moved)


@dataclass(frozen=True)
class MemoryPlan:
    """A way that fits, and what is expected of it."""

    way: Way
    machine: Machine
    picture: Picture
    stages: dict[str, int]  # peak of each, beside what was in use before
    slower: float  # times the time of a model that has all the memory it wants
    model: Model

    @property
    def needed(self) -> int:
        """Bytes in use at the worst moment, with what was there before."""
        return self.machine.before + max(self.stages.values())

    @property
    def spare(self) -> int:
        """Bytes of the limit that copies of weights may be thought to have: none where not everything stays."""
        stays = self.way.text == self.way.transformer == "stays"
        return max(self.machine.limit - self.needed, 0) if stays else 0

    @property
    def copies(self) -> int:
        """Bytes of weights that are arranged for the processor beside the model, because there is room."""
        room = self.model.block_bytes * COPY <= self.spare
        return self.model.copied_bytes if self.model.leaves == "cpu" and room else 0

    @property
    def peak(self) -> int:
        """`needed`, with the copies."""
        return self.needed + self.copies

    @property
    def left(self) -> int:
        """Bytes of the limit that are free during the steps, for what accelerations remember between them."""
        return max(self.machine.limit - self.machine.before - self.copies - self.stages["denoising"], 0)

    def lines(self) -> Iterator[str]:
        """What a person wants to know before it happens."""
        machine, way, picture = self.machine, self.way, self.picture
        yield (
            f"memory: the model has {told(self.model.bytes)}, {told(machine.limit)} may be used on {machine.device}"
            f" (--memory {machine.asked}): {way.name}{f', weights as {way.quant}' if way.quant else ''}"
        )
        for name, part in self.model.parts.items():
            tiles = f", decodes in tiles of {way.tiling.side} pixels" if name == "vae" and way.tiling else ""
            yield f"  {SPOKEN[name]:<13} {told(part.weights.bytes):>8}  {STAY[way.of(name)]}{tiles}"
        if self.copies:
            yield f"  {'':<13} {told(self.copies):>8}  more: the blocks' weights as the processor likes them"
        each = ", ".join(f"{name} {told(machine.before + self.copies + size)}" for name, size in self.stages.items())
        yield f"  expected peak for {picture}: {told(self.peak)} ({each})"
        if self.needed > machine.limit:
            more = told(self.needed - machine.limit)
            yield f"  that is {more} more than may be used; without --offload a way that fits is looked for"
        if self.slower >= 1.05:
            yield f"  expected time: about {self.slower:.1f} times that of a machine where everything fits"
        if way.quant:
            yield "  fewer bits change the picture a little; --quant none forbids that, --memory decides how much fits"


class NothingFits(MemoryShortage):
    """No way of being in memory meets a limit. To try them one by one would not help."""


Weighed = Callable[[str], Model]  # a scheme ("": none) -> the model with its weights so


def make_plan(weighed: Weighed, machine: Machine, picture: Picture, *, schemes: tuple[str, ...] = ("",)) -> MemoryPlan:
    """The way of least cost that fits into `machine.limit`; with `schemes` other than "" also in fewer bits.

    Raises:
        NothingFits: the message says how much is needed, and what would fit.
    """
    plans: list[MemoryPlan] = []
    best: MemoryPlan | None = None
    for scheme in schemes:
        model = weighed(scheme)
        plans += [_planned(model, replace(way, quant=scheme), machine, picture) for way in EXACT]
        fitting = [plan for plan in plans if plan.needed <= machine.limit]
        best = min(fitting, key=_cost, default=None)
        others = schemes[schemes.index(scheme) + 1 :]
        if best is not None and _cost(best) <= min((LOSS[other] for other in others), default=math.inf):
            return best  # the others cannot cost less
    if best is None:
        raise _shortage(min(plans, key=lambda plan: plan.needed), machine, picture)
    return best


def forced(weighed: Weighed, way: Way, machine: Machine, picture: Picture) -> MemoryPlan:
    """A way that was asked for, whatever it needs."""
    return _plan(weighed(way.quant), way, machine, picture)


def _planned(model: Model, way: Way, machine: Machine, picture: Picture) -> MemoryPlan:
    """The way with the largest tiles that fit; with the smallest where none do."""
    plans = [_plan(model, replace(way, tiling=tiling), machine, picture) for tiling in tilings(max(picture[:2]))]
    return next((plan for plan in plans if plan.needed <= machine.limit), plans[-1])


def _plan(model: Model, way: Way, machine: Machine, picture: Picture) -> MemoryPlan:
    return MemoryPlan(way, machine, picture, stages(model, way, picture), _slower(model, way, machine, picture), model)


def _cost(plan: MemoryPlan) -> float:
    return plan.slower * LOSS[plan.way.quant]


def _slower(model: Model, way: Way, machine: Machine, picture: Picture) -> float:
    """Expected time of a picture with a new prompt, relative to one for which everything is there."""
    part = model.parts["transformer"]
    rows = Rows.of(part.plan.config, latent_size(*picture[:2], model.parts["vae"].plan.config.factor), picture.batch)
    numbers = sum(tensor.numel() for tensor in part.plan.module.state_dict().values())
    compute = 2 * numbers * rows.tokens / machine.per_second
    evaluation = compute * DECODING[way.quant]
    needs = {name: each.need(way.of(name)) for name, each in model.parts.items()}
    moved = needs["transformer"].moved / _brought_per_second(part, machine)
    evaluation = max(evaluation, moved) if way.transformer == "blocks" else evaluation + moved
    seconds = {name: 1 / _brought_per_second(each, machine) for name, each in model.parts.items()}
    visits = sum(each.weights.bytes * seconds[n] for n, each in model.parts.items() if way.of(n) == "visits")
    texts = 2 * sum(need.moved * seconds[name] for name, need in needs.items() if name != "transformer")
    whole = picture.steps * evaluation + visits + texts
    return whole / (picture.steps * compute) * (TILED if way.tiling else 1.0)


def _brought_per_second(part: Part, machine: Machine) -> float:
    """Bytes in memory of a part that can be had in a second: much fewer where each visit rounds its weights anew."""
    return ENCODED_PER_SECOND if part.plan.quantised else machine.moved_per_second


def _shortage(leanest: MemoryPlan, machine: Machine, picture: Picture) -> NothingFits:
    alone = picture._replace(batch=1)
    smaller = [alone] if picture.batch > 1 else []
    smaller += [alone._replace(width=side, height=side) for side in (1024, 768, 512, 256) if side < max(picture[:2])]
    plans = (_planned(leanest.model, leanest.way, machine, each) for each in smaller)
    fits = next((plan for plan in plans if plan.needed <= machine.limit), None)
    if machine.asked == AUTO:
        hint = f"close other programs: {told(leanest.needed - machine.limit)} more must be free"
    else:
        hint = f"--memory {math.ceil(leanest.needed / 10**8) / 10:g}GB would do"
    if fits is not None:
        flag = "--batch-size 1" if fits.picture == alone else f"--size {fits.picture}"
        hint += f"; or {flag}, which needs {told(fits.needed)}"
    return NothingFits(
        f"{told(machine.limit)} of memory on {machine.device} are too little: the leanest way ({leanest.way.name}) "
        f"needs {told(leanest.needed)} for {picture}, {told(machine.before)} of it in use",
        hint,
    )
