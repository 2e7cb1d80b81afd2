"""Attention pruning that saves work: heads whose answer can be had for less, found out on a few sampled queries.

A group of query heads that share keys and values is treated as one. At every evaluation and layer some 64 image
queries, spread over the picture, are computed exactly, in float32. They show what each cheaper answer would have cost
*here*:

    reuse    the image tokens keep the group's last answer
    window   they see their window, and what that left out when the group was last computed in full is added
    mean_v   they see the mean of all values

and the group gets the cheapest mixture whose error stays within a budget. The error of a class is the length of what
the output projection makes of the difference, relative to the length of the whole answer, as the norm behind that
projection leaves nothing but relative errors. Groups add up (a bound: errors in several directions cancel in part).

Words always see everything. Rows of a batch share their classes, by the worst row of each, so that the halves of a
guided pair are treated alike: guidance amplifies where they differ, by A(s, rho) = sqrt(s² + (s-1)² - 2 rho s (s-1))
for errors of correlation rho, and the budget is divided by it.

Sampling has its price. Where it is more than what can be gained, or has been more than what was gained, pruning is
switched off for the rest of a generation, and the report says so.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from newbie.accel.entropy import of_rows
from newbie.accel.layout import mean_value, of_the_image, of_the_words
from newbie.accel.leaves import Leaves
from newbie.accel.packed import RowByRow
from newbie.attention.kernel import SequenceInfo
from newbie.attention.window import Windowed
from newbie.errors import UsageError
from newbie.model.block import Block, TokenSequence
from newbie.step import Memory, Step

CLASSES = ("reuse", "window", "mean_v")
KEY = "pruned heads"
OFF, RHO, GAINED = (KEY, "off"), (KEY, "rho"), (KEY, "gained")
FIRST_RHO = 0.9  # correlation of the halves' errors, until it is measured
TRIAL = 2  # evaluations after which pruning must have gained something

DETAIL = (
    "highly detailed", "high detail", "ultra-detailed", "ultra detailed", "intricate", "texture", "8k", "hands", "text",
    "lattice", "pattern", "高清", "细节丰富", "纹理清晰", "masterpiece", "best quality",
)  # fmt: skip


def detail(prompt: str) -> float:
    """How much detail a prompt asks for, from 0 to 1: three of the words of `DETAIL` are all of it. A weak guess."""
    text = prompt.lower().replace("_", " ")
    return min(1.0, sum(word in text for word in DETAIL) / 3)


def amplification(scale: float, rho: float) -> float:
    """A(s, rho): how guidance of scale s enlarges errors of both halves that have correlation rho."""
    return math.sqrt(max(scale**2 + (scale - 1) ** 2 - 2 * rho * scale * (scale - 1), 0.0))


@dataclass
class Report:
    """What pruning did in a generation, in operations of the products with scores (QK and PV)."""

    groups: Counter[tuple[int, str]] = field(default_factory=Counter)  # by (layer, class), "full" among them
    whole: int = 0  # what all groups of the layers that were sampled would have cost
    gained: int = 0
    overhead: int = 0  # samples, projections, windows for residuals
    entropy: list[float] = field(default_factory=list)  # of each layer's sampled rows, from 0 to 1
    window_mass: list[float] = field(default_factory=list)  # weight of what a window shows
    notes: list[str] = field(default_factory=list)

    @property
    def saved(self) -> float:
        """The share of attention that was saved where pruning was tried, overhead counted against it."""
        return (self.gained - self.overhead) / self.whole if self.whole else 0.0

    def classes(self) -> dict[str, int]:
        """Groups of all layers and evaluations, by what was done with them."""
        total: Counter[str] = Counter()
        for (_, name), count in self.groups.items():
            total[name] += count
        return dict(total)


class State(NamedTuple):
    """What a layer remembers of its image tokens, each (B, N, H, D)."""

    answers: Tensor
    ages: tuple[int, ...]  # of each group's answer: evaluations that reused it
    rest: Tensor | None  # what a window leaves out
    rest_ages: tuple[int, ...]


class Samples(NamedTuple):
    """What the sampled queries saw, float32; B rows, m samples, K groups of G heads."""

    places: Tensor  # (m,) of the image
    answers: Tensor  # (B, m, H, D)
    windowed: Tensor  # (B, m, H, D): through the window, without what it leaves out
    entropy: Tensor  # (B, H, m)
    mass: Tensor  # (B, H, m): weight of what the window shows


def sample(
    q: Tensor, k: Tensor, v: Tensor, info: SequenceInfo, image: slice, window: Windowed, places: Tensor
) -> Samples:
    """Attention of the image tokens at `places`, by the formula; q (B, L, H, D), k and v (B, L, K, D)."""
    length, kv_heads = k.shape[1:3]
    some = q[:, image][:, places].float().unflatten(2, (kv_heads, -1))  # (B, m, K, G, D)
    scores = torch.einsum("bmkgd,blkd->bkgml", some, k.float()) * q.shape[3] ** -0.5
    if info.mask is not None:
        scores = scores.masked_fill(~info.mask[:, None, None, None], -torch.inf)
    weights = scores.softmax(-1)
    sees = torch.ones(len(places), length, dtype=torch.bool, device=q.device)
    sees[:, image] = window.window.sees(window.grid, places)
    shown = weights * sees
    mass = shown.sum(-1)
    answers, windowed = (torch.einsum("bkgml,blkd->bmkgd", each, v.float()) for each in (weights, shown))
    windowed = windowed / mass.movedim(3, 1)[..., None]
    entropy = of_rows(weights, torch.tensor(info.lengths, device=q.device).view(-1, 1, 1, 1))
    return Samples(places, answers.flatten(2, 3), windowed.flatten(2, 3), entropy.flatten(1, 2), mass.flatten(1, 2))


def cheapest(errors: dict[str, list[float]], spared: dict[str, float], budget: float) -> list[str]:
    """A class for every group: errors per class and group, what each class spares of a group's work, a sum of errors.

    The best bargains first (error for what is spared), until one does not fit: less budget never prunes more.
    """
    groups = len(next(iter(errors.values()))) if errors else 0
    chosen, spent = ["full"] * groups, 0.0
    bargains = sorted((error / spared[name], -spared[name], group, name, error)
                      for name, of_groups in errors.items() for group, error in enumerate(of_groups)
                      if math.isfinite(error) and spared[name] > 0)  # fmt: skip
    for _, _, group, name, error in bargains:
        if chosen[group] != "full":
            continue
        spent += error
        if not spent < budget:
            break
        chosen[group] = name
    return chosen


@dataclass(frozen=True)
class PrunedHeads:
    """The attention branch with heads pruned: `RunBlock(leaves, attend=policy.attend)`.

    For padded batches and rows of one length; rows packed into one are refused.

    Args:
        window: for rows of one length and the grid of the picture.
        layers: of the network; the first and the last one are never pruned.
        pictures: rows of each half of a guided pair.
        scale: of the guidance.
        budget: relative error of a layer's attention that is allowed, eps0; 0: nothing is pruned, bit for bit.
        sample_rows: m.
        classes: of `CLASSES`, those that may be chosen.
        refresh: evaluations in a row that may reuse an answer; and the age at which what a window leaves out is made
            anew, when the group is computed in full.
        guidance_adaptive: divide the budget by A(s, rho), rho being measured.
        detail: from 0 to 1 (`detail`); takes up to half of the budget away.
        weight: of a layer's budget, 1 each.
        at_a_loss: go on where it does not pay, for study.
        report: what was done is written there.

    Raises:
        UsageError: a number out of range, an unknown class; when called, rows that are packed.
    """

    leaves: Leaves
    window: Windowed
    layers: int
    pictures: int
    scale: float = 1.0
    budget: float = 0.02
    sample_rows: int = 64
    classes: tuple[str, ...] = CLASSES
    refresh: int = 4
    guidance_adaptive: bool = True
    detail: float = 0.0
    weight: Callable[[int], float] = field(default=lambda layer: 1.0)
    at_a_loss: bool = False
    report: Report = field(default_factory=Report, compare=False)

    def __post_init__(self) -> None:
        unknown = set(self.classes) - set(CLASSES)
        if unknown:
            raise UsageError(f"attention pruning: unknown class {unknown.pop()!r}", f"use of: {', '.join(CLASSES)}")
        if not (0.0 <= self.budget < math.inf) or not 0.0 <= self.detail <= 1.0:
            raise UsageError(
                f"attention pruning with a budget of {self.budget} and a detail of {self.detail}",
                "the budget is an error from 0 upwards, such as 0.02; the detail lies between 0 and 1",
            )
        if self.sample_rows < 1 or self.refresh < 1:
            raise UsageError("attention pruning needs samples and a refresh of at least 1", "64 and 4 are usual")

    def attend(
        self, step: Step | None, layer: int, block: Block, x: Tensor, scale: Tensor, seq: TokenSequence
    ) -> Tensor:
        """The attention branch, x (B, L, dim) -> (B, L, dim)."""
        q, k, v = self.leaves.qkv(block, x, scale, seq)
        if step is None or not self.budget or not self.classes or not 0 < layer < self.layers - 1:
            return self.leaves.project(block, seq.attend(q, k, v, seq.info))
        if isinstance(seq.attend, RowByRow):
            raise UsageError("attention pruning takes no packed rows", "draw without the saving packed_rows")
        first, last = self._protected(step.count)
        if OFF not in step.memory and first - 1 <= step.index < last:
            self._stop_if_it_cannot_pay(step.memory, q, k)
        if OFF in step.memory or step.index < first - 1 or step.index >= last:
            return self.leaves.project(block, seq.attend(q, k, v, seq.info))
        if step.index == first - 1 or (KEY, layer) not in step.memory:
            chosen, samples = ["full"] * k.shape[2], None
        else:
            chosen, samples = self._choose(step, layer, block, q, k, v, seq)
        o = self._computed(step.memory, layer, chosen, q, k, v, seq)
        if samples is not None:
            self._count(step, layer, chosen, samples, q, k)
        return self.leaves.project(block, o)

    def _protected(self, count: int) -> tuple[int, int]:
        """The first evaluation that is pruned, and the first that is not any more. The one before fills the memory."""
        return max(math.ceil(0.1 * count), 1), count - math.ceil(0.15 * count)

    def _choose(
        self, step: Step, layer: int, block: Block, q: Tensor, k: Tensor, v: Tensor, seq: TokenSequence
    ) -> tuple[list[str], Samples]:
        assert isinstance(seq.image, slice)
        places = self._places(step.index, q.device)
        seen = sample(q, k, v, seq.info, seq.image, self.window, places)
        state: State = step.memory[KEY, layer]
        wrong: dict[str, Tensor] = {}  # (B, m, H, D)
        if "reuse" in self.classes:
            wrong["reuse"] = state.answers[:, places] - seen.answers
        if "window" in self.classes:
            rest = 0 if state.rest is None else state.rest[:, places]
            wrong["window"] = seen.windowed + rest - seen.answers
        if "mean_v" in self.classes:
            wrong["mean_v"] = mean_value(v, seq, q.shape[2])[:, :1] - seen.answers
        groups = k.shape[2]
        told = {name: _of_groups(block, error, groups, q.dtype) for name, error in wrong.items()}
        whole = _length(block.attention.out(seen.answers.to(q.dtype).flatten(2)).float())  # (B,)
        relative = torch.stack([_length(each) for each in told.values()]) / whole  # (classes, K, B)
        errors = dict(zip(told, relative.amax(-1).tolist(), strict=True))  # the one question to the device
        if "reuse" in errors:
            errors["reuse"] = [math.inf if age >= self.refresh else error
                               for error, age in zip(errors["reuse"], state.ages, strict=True)]  # fmt: skip
        chosen = cheapest(errors, self._spared(k.shape[1]), self._allowed(step.memory, layer, len(q)))
        self._learn_rho(step.memory, [told[name][group] for group, name in enumerate(chosen) if name != "full"])
        self.report.entropy.append(float(seen.entropy.mean()))
        self.report.window_mass.append(float(seen.mass.mean()))
        return chosen, seen

    def _places(self, index: int, device: torch.device) -> Tensor:
        """One image token in each of m stretches; where in its stretch differs from evaluation to evaluation."""
        image = self.window.image
        m = min(self.sample_rows, image)
        shift = (index * 0.6180339887498949) % 1.0  # the golden ratio spreads evenly
        return ((torch.arange(m, dtype=torch.float64) + shift) * image / m).long().clamp(max=image - 1).to(device)

    def _spared(self, length: int) -> dict[str, float]:
        """What each class spares of the scores of a group's image tokens."""
        words, image = length - self.window.image, self.window.image
        through = self.window.pairs(words) - words * length
        return {"reuse": 1.0, "mean_v": 1.0, "window": 1.0 - through / (image * length)}

    def _allowed(self, memory: Memory, layer: int, rows: int) -> float:
        allowed = self.budget * math.sqrt(self.weight(layer)) * (1.0 - 0.5 * self.detail)
        if self.guidance_adaptive and rows == 2 * self.pictures:
            allowed /= max(amplification(self.scale, memory.get(RHO, FIRST_RHO)), 1.0)
        return allowed

    def _learn_rho(self, memory: Memory, errors: list[Tensor]) -> None:
        """From the projected errors (B, m, dim) of what was chosen: how alike they are in both halves."""
        if not self.guidance_adaptive or not errors or len(errors[0]) != 2 * self.pictures:
            return
        cond, uncond = sum(errors[1:], start=errors[0]).flatten(1).chunk(2)
        rho = float(torch.nn.functional.cosine_similarity(cond.flatten(), uncond.flatten(), dim=0))
        if math.isfinite(rho):
            memory[RHO] = 0.5 * memory.get(RHO, FIRST_RHO) + 0.5 * max(rho, 0.0)

    def _computed(
        self, memory: Memory, layer: int, chosen: Sequence[str], q: Tensor, k: Tensor, v: Tensor, seq: TokenSequence
    ) -> Tensor:
        """What the kernels give, (B, L, H, D), every group in its way; the memory of this layer follows."""
        assert isinstance(seq.image, slice)
        state: State | None = memory.get((KEY, layer))
        groups, shared = k.shape[2], q.shape[2] // k.shape[2]
        if set(chosen) == {"full"}:
            o = seq.attend(q, k, v, seq.info)
        else:
            assert state is not None
            o = torch.empty_like(q)
            for name in dict.fromkeys(chosen):
                which = [group for group, each in enumerate(chosen) if each == name]
                heads = _heads(which, shared)
                given = q[:, :, heads], k[:, :, which], v[:, :, which]
                o[:, :, heads] = self._one_class(name, heads, given, state, seq)
        rest, rest_ages = self._rest(memory, state, chosen, q, k, v, o, seq)
        kept = state is not None and any(name == "mean_v" for name in chosen)
        answers = o[:, seq.image]
        if kept:  # a mean is no answer to be reused
            assert state is not None
            spared = _heads([group for group, name in enumerate(chosen) if name == "mean_v"], shared)
            answers = answers.clone()
            answers[:, :, spared] = state.answers[:, :, spared]
        before = state.ages if state is not None else (0,) * groups
        ages = tuple(0 if name in ("full", "window") else age + 1 for name, age in zip(chosen, before, strict=True))
        memory[KEY, layer] = State(answers, ages, rest, rest_ages)
        return o

    def _one_class(
        self, name: str, heads: list[int], given: tuple[Tensor, Tensor, Tensor], state: State, seq: TokenSequence
    ) -> Tensor:
        q, k, v = given
        if name == "full":
            return seq.attend(q, k, v, seq.info)
        if name == "window":
            o = self.window(q, k, v, seq.info)
            if state.rest is not None:
                o[:, seq.image] += state.rest[:, :, heads]
            return o
        image = state.answers[:, :, heads] if name == "reuse" else mean_value(v, seq, q.shape[2])
        assert isinstance(seq.image, slice)
        words = slice(0, seq.image.start)
        return torch.cat((of_the_words(q, k, v, seq, words), image), dim=1) if seq.image.start else image

    def _rest(
        self, memory: Memory, state: State | None, chosen: Sequence[str], q: Tensor, k: Tensor, v: Tensor, o: Tensor,
        seq: TokenSequence,
    ) -> tuple[Tensor | None, tuple[int, ...]]:  # fmt: skip
        """What a window leaves out of the groups that were computed in full, where what is known of that is old."""
        groups, shared = k.shape[2], q.shape[2] // k.shape[2]
        if "window" not in self.classes or self.window.window.whole(self.window.grid):
            return None, (0,) * groups
        ages = state.rest_ages if state is not None else (self.refresh,) * groups
        due = [g for g, name in enumerate(chosen) if name == "full" and ages[g] + 1 >= self.refresh]
        rest = torch.zeros_like(o[:, seq.image]) if state is None or state.rest is None else state.rest
        if due:
            heads = _heads(due, shared)
            seen = of_the_image(self.window, q[:, :, heads], k[:, :, due], v[:, :, due], seq)
            rest = rest.clone()
            rest[:, :, heads] = o[:, seq.image][:, :, heads] - seen
            price = int(self._pairs(q, k) * (1 - self._spared(k.shape[1])["window"]) * len(due))
            self.report.overhead += price
            decisions, total = memory.get(GAINED, (0, 0))
            memory[GAINED] = decisions, total - price
        return rest, tuple(0 if g in due else age + 1 for g, age in enumerate(ages))

    def _pairs(self, q: Tensor, k: Tensor) -> int:
        """Operations of a group's image tokens, all rows together."""
        return 4 * len(q) * q.shape[2] // k.shape[2] * q.shape[3] * self.window.image * k.shape[1]

    def _sampling(self, q: Tensor, k: Tensor) -> int:
        """Operations that a decision takes."""
        m, width = min(self.sample_rows, self.window.image), q.shape[2] * q.shape[3]
        scores = 6 * m * k.shape[1] * width  # QK, PV, and PV of the window
        projected = 2 * m * width * width * (1 + len(self.classes) * k.shape[2])
        return len(q) * (scores + projected)

    def _stop_if_it_cannot_pay(self, memory: Memory, q: Tensor, k: Tensor) -> None:
        price, best = self._sampling(q, k), self._pairs(q, k) * k.shape[2]
        if price >= best and not self.at_a_loss:
            self._stop(
                memory, f"deciding costs {price:.3g} operations per layer, and all there is to gain is {best:.3g}"
            )

    def _count(self, step: Step, layer: int, chosen: Sequence[str], seen: Samples, q: Tensor, k: Tensor) -> None:
        pairs, spared = self._pairs(q, k), self._spared(k.shape[1])
        gained, price = int(sum(pairs * spared[name] for name in chosen if name != "full")), self._sampling(q, k)
        self.report.groups.update((layer, name) for name in chosen)
        self.report.whole += pairs * len(chosen)
        self.report.gained += gained
        self.report.overhead += price
        decisions, total = step.memory.get(GAINED, (0, 0))
        step.memory[GAINED] = decisions, total = decisions + 1, total + gained - price
        if decisions == TRIAL * (self.layers - 2) and total <= 0 and not self.at_a_loss:
            self._stop(
                step.memory, f"after {TRIAL} evaluations it had cost {-total:.3g} operations more than it gained"
            )

    def _stop(self, memory: Memory, why: str) -> None:
        memory[OFF] = True
        for key in [key for key in memory if isinstance(key, tuple) and key[0] == KEY and key != OFF]:
            del memory[key]
        self.report.notes.append(f"attention pruning switched off: {why}")


def _heads(groups: Sequence[int], shared: int) -> list[int]:
    return [group * shared + each for group in groups for each in range(shared)]


def _of_groups(block: Block, error: Tensor, groups: int, dtype: torch.dtype) -> Tensor:
    """Errors (B, m, H, D) -> (K, B, m, dim) float32: what the output projection makes of each group's alone.

    Goes through the layer itself, whatever its weights are kept in.
    """
    alone = torch.zeros(groups, *error.shape, dtype=error.dtype, device=error.device)
    shared = error.shape[2] // groups
    for group in range(groups):
        mine = slice(group * shared, (group + 1) * shared)
        alone[group, :, :, mine] = error[:, :, mine]
    return block.attention.out(alone.to(dtype).flatten(3)).float()


def _length(x: Tensor) -> Tensor:
    """(..., m, dim) -> (...,): the mean length of a token's vector."""
    return x.norm(dim=-1).mean(-1)
