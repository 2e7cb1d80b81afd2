"""Attention pruning that saves work: heads whose answer can be had for less, found out on a few sampled queries.

A group of query heads that share keys and values is treated as one. At every evaluation and layer some 64 image
queries, spread over the picture, are computed exactly, in float32. They show what each cheaper answer would have cost
*here*:

    reuse    the image tokens keep the group's last answer
    window   they see their window, and what that left out when the group was last computed in full is added
    mean_v   they see the mean of all values

and the group gets the cheapest mixture whose error stays within a budget (`accel.budget`). The error of a class is the
length of what the output projection makes of the difference, relative to the length of the whole answer, as the norm
behind that projection leaves nothing but relative errors. Groups add up (a bound: errors in several directions cancel
in part).

Words always see everything. Rows of a batch share their classes, by the worst row of each, so that the halves of a
guided pair are treated alike: guidance amplifies where they differ, and the budget is divided by that.

Sampling has its price. Where it is more than what can be gained, or has been more than what was gained, pruning is
switched off for the rest of a generation, and its book says so. Both are counted in operations, not measured in
seconds: a clock would make pictures differ from run to run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from newbie.accel.budget import FIRST_RHO, FULL, TRIAL, Pruning, cheapest
from newbie.accel.entropy import of_rows
from newbie.accel.layout import mean_value, of_the_image, of_the_words
from newbie.accel.leaves import Leaves
from newbie.accel.packed import RowByRow
from newbie.attention.kernel import SequenceInfo
from newbie.attention.window import Windowed
from newbie.errors import UsageError
from newbie.model.block import Block, TokenSequence
from newbie.step import Memory, Step

KEY = "pruned heads"
OFF, RHO = (KEY, "off"), (KEY, "rho")


class State(NamedTuple):
    """What a layer remembers of its image tokens, each (B, N, H, D)."""

    answers: Tensor | None  # None: nobody may reuse them
    ages: tuple[int, ...]  # of each group's answer: evaluations that reused it
    rest: Tensor | None  # what a window leaves out
    rest_ages: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return sum(kept.nbytes for kept in (self.answers, self.rest) if kept is not None)


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


@dataclass(frozen=True)
class PrunedHeads:
    """The attention branch with heads pruned: `RunBlock(leaves, attend=policy.attend)`.

    For padded batches and rows of one length; rows packed into one are refused.

    Args:
        window: for rows of one length and the grid of the picture.
        pictures: rows of each half of a guided pair.
        asked: what may be pruned.

    Raises, when called:
        UsageError: rows that are packed.
    """

    leaves: Leaves
    window: Windowed
    pictures: int
    asked: Pruning

    def attend(
        self, step: Step | None, layer: int, block: Block, x: Tensor, scale: Tensor, seq: TokenSequence
    ) -> Tensor:
        """The attention branch, x (B, L, dim) -> (B, L, dim)."""
        q, k, v = self.leaves.qkv(block, x, scale, seq)
        if step is None or layer not in self.asked.inner:
            o = seq.attend(q, k, v, seq.info)
        else:
            o = self._pruned(step, layer, block, q, k, v, seq)
        return self.leaves.project(block, o)

    def _pruned(
        self, step: Step, layer: int, block: Block, q: Tensor, k: Tensor, v: Tensor, seq: TokenSequence
    ) -> Tensor:
        """What the kernels give, (B, L, H, D), as much of it as must be computed."""
        if isinstance(seq.attend, RowByRow):
            raise UsageError("attention pruning takes no packed rows", "draw without the saving packed_rows")
        when = self.asked.evaluations(step.count)
        acts = when.start - 1 <= step.index < when.stop
        if acts and OFF not in step.common and not self.asked.always:
            self._stop_if_it_cannot_pay(step, block, q, k)
        if not acts or OFF in step.common:
            step.memory.pop((KEY, layer), None)
            return seq.attend(q, k, v, seq.info)
        if step.index not in when or (KEY, layer) not in step.memory:
            return self._computed(step, layer, [FULL] * k.shape[2], q, k, v, seq)
        chosen = self._choose(step, layer, block, q, k, v, seq)
        o = self._computed(step, layer, chosen, q, k, v, seq)
        self._count(step, layer, block, chosen, q, k)
        return o

    def _choose(
        self, step: Step, layer: int, block: Block, q: Tensor, k: Tensor, v: Tensor, seq: TokenSequence
    ) -> list[str]:
        """The class of each group."""
        assert isinstance(seq.image, slice)
        places, classes = self._places(step.index, q.device), self.asked.classes
        seen = sample(q, k, v, seq.info, seq.image, self.window, places)
        state: State = step.memory[KEY, layer]
        wrong: dict[str, Tensor] = {}  # (B, m, H, D)
        if state.answers is not None:
            wrong["reuse"] = state.answers[:, places] - seen.answers
        if "window" in classes:
            wrong["window"] = seen.windowed + (0 if state.rest is None else state.rest[:, places]) - seen.answers
        if "mean_v" in classes:
            wrong["mean_v"] = mean_value(v, seq, q.shape[2])[:, :1] - seen.answers
        told = {name: _of_groups(block, error, k.shape[2], q.dtype) for name, error in wrong.items()}
        whole = _length(block.attention.out(seen.answers.to(q.dtype).flatten(2)).float())  # (B,)
        relative = (torch.stack([_length(each) for each in told.values()]) / whole).amax(-1)  # (classes, K)
        means = torch.stack((seen.entropy.mean(), seen.mass.mean()))
        *flat, entropy, mass = torch.cat((relative.flatten(), means)).tolist()  # one question to the device
        errors = {name: flat[i * k.shape[2] :][: k.shape[2]] for i, name in enumerate(told)}
        if "reuse" in errors:
            errors["reuse"] = [math.inf if age >= self.asked.refresh else error
                               for error, age in zip(errors["reuse"], state.ages, strict=True)]  # fmt: skip
        rho = step.common.get(RHO, FIRST_RHO) if self._paired(q) else None
        chosen = cheapest(errors, self._spared(k.shape[1]), self.asked.allowed(rho))
        self._learn_rho(step.common, [told[name][group] for group, name in enumerate(chosen) if name != FULL])
        step.book.pruned.seen.append((entropy, mass))
        return chosen

    def _paired(self, x: Tensor) -> bool:
        """Whether the rows of a batch are a guided pair."""
        return len(x) == 2 * self.pictures

    def _places(self, index: int, device: torch.device) -> Tensor:
        """One image token in each of m stretches; where in its stretch differs from evaluation to evaluation."""
        image, m = self.window.image, self._rows
        shift = (index * 0.6180339887498949) % 1.0  # the golden ratio spreads evenly
        return ((torch.arange(m, dtype=torch.float64) + shift) * image / m).long().clamp(max=image - 1).to(device)

    @property
    def _rows(self) -> int:
        """m, the image queries that are sampled."""
        return min(self.asked.rows, self.window.image)

    def _spared(self, length: int) -> dict[str, float]:
        """What each class spares of the scores of a group's image tokens."""
        words, image = length - self.window.image, self.window.image
        through = self.window.pairs(words) - words * length
        return {"reuse": 1.0, "mean_v": 1.0, "window": 1.0 - through / (image * length)}

    def _learn_rho(self, common: Memory, errors: list[Tensor]) -> None:
        """From the projected errors (B, m, dim) of what was chosen: how alike they are in both halves."""
        if not self.asked.guidance or not errors or not self._paired(errors[0]):
            return
        cond, uncond = sum(errors[1:], start=errors[0]).chunk(2)
        rho = float(torch.nn.functional.cosine_similarity(cond.flatten(), uncond.flatten(), dim=0))
        if math.isfinite(rho):
            common[RHO] = 0.5 * common.get(RHO, FIRST_RHO) + 0.5 * max(rho, 0.0)

    def _computed(
        self, step: Step, layer: int, chosen: Sequence[str], q: Tensor, k: Tensor, v: Tensor, seq: TokenSequence
    ) -> Tensor:
        """What the kernels give, (B, L, H, D), every group in its way; the memory of this layer follows."""
        assert isinstance(seq.image, slice)
        state: State | None = step.memory.get((KEY, layer))
        groups, shared = k.shape[2], q.shape[2] // k.shape[2]
        if set(chosen) == {FULL}:
            o = seq.attend(q, k, v, seq.info)
        else:
            assert state is not None
            o = torch.empty_like(q)
            for name in dict.fromkeys(chosen):
                which = [group for group, each in enumerate(chosen) if each == name]
                heads = _heads(which, shared)
                given = q[:, :, heads], k[:, :, which], v[:, :, which]
                o[:, :, heads] = self._one_class(name, heads, given, state, seq)
        rest, rest_ages = self._rest(step, state, chosen, q, k, v, o, seq)
        answers = o[:, seq.image] if "reuse" in self.asked.classes else None
        if answers is not None and state is not None and state.answers is not None and "mean_v" in chosen:
            spared = _heads([group for group, name in enumerate(chosen) if name == "mean_v"], shared)
            answers = answers.clone()
            answers[:, :, spared] = state.answers[:, :, spared]  # a mean is no answer to be reused
        before = state.ages if state is not None else (0,) * groups
        ages = tuple(0 if name in (FULL, "window") else age + 1 for name, age in zip(chosen, before, strict=True))
        step.memory[KEY, layer] = State(answers, ages, rest, rest_ages)
        return o

    def _one_class(
        self, name: str, heads: list[int], given: tuple[Tensor, Tensor, Tensor], state: State, seq: TokenSequence
    ) -> Tensor:
        q, k, v = given
        if name == FULL:
            return seq.attend(q, k, v, seq.info)
        if name == "window":
            o = self.window(q, k, v, seq.info)
            if state.rest is not None:
                o[:, seq.image] += state.rest[:, :, heads]
            return o
        if name == "reuse":
            assert state.answers is not None
            image = state.answers[:, :, heads]
        else:
            image = mean_value(v, seq, q.shape[2])
        assert isinstance(seq.image, slice)
        words = slice(0, seq.image.start)
        return torch.cat((of_the_words(q, k, v, seq, words), image), dim=1) if seq.image.start else image

    def _rest(
        self, step: Step, state: State | None, chosen: Sequence[str], q: Tensor, k: Tensor, v: Tensor, o: Tensor,
        seq: TokenSequence,
    ) -> tuple[Tensor | None, tuple[int, ...]]:  # fmt: skip
        """What a window leaves out of the groups that were computed in full, where what is known of that is old."""
        groups, shared, refresh = k.shape[2], q.shape[2] // k.shape[2], self.asked.refresh
        if "window" not in self.asked.classes or self.window.window.whole(self.window.grid):
            return None, (0,) * groups
        ages = state.rest_ages if state is not None else (refresh,) * groups
        due = [g for g, name in enumerate(chosen) if name == FULL and ages[g] + 1 >= refresh]
        rest = torch.zeros_like(o[:, seq.image]) if state is None or state.rest is None else state.rest
        if due:
            heads = _heads(due, shared)
            seen = of_the_image(self.window, q[:, :, heads], k[:, :, due], v[:, :, due], seq)
            rest = rest.clone()
            rest[:, :, heads] = o[:, seq.image][:, :, heads] - seen
            through = 1 - self._spared(k.shape[1])["window"]
            step.book.pruned.overhead += int(self._pairs(q, k) * through * len(due))
        return rest, tuple(0 if g in due else age + 1 for g, age in enumerate(ages))

    def _pairs(self, q: Tensor, k: Tensor) -> int:
        """Operations of a group's image tokens, all rows together."""
        return 4 * len(q) * q.shape[2] // k.shape[2] * q.shape[3] * self.window.image * k.shape[1]

    def _sampling(self, block: Block, q: Tensor, k: Tensor) -> int:
        """Operations that a decision takes."""
        m, width = self._rows, q.shape[2] * q.shape[3]
        scores = 6 * m * k.shape[1] * width  # QK, PV, and PV of the window
        each = len(self.asked.classes) * (1 if _by_columns(block) else k.shape[2])
        return len(q) * (scores + 2 * m * width * width * (1 + each))

    def _stop_if_it_cannot_pay(self, step: Step, block: Block, q: Tensor, k: Tensor) -> None:
        price, best = self._sampling(block, q, k), self._pairs(q, k) * k.shape[2]
        if price >= best:
            _stop(step, f"deciding costs {price:.3g} operations per layer, and all there is to gain is {best:.3g}")

    def _count(self, step: Step, layer: int, block: Block, chosen: Sequence[str], q: Tensor, k: Tensor) -> None:
        pruned, pairs, spared = step.book.pruned, self._pairs(q, k), self._spared(k.shape[1])
        pruned.groups.update((layer, name) for name in chosen)
        pruned.whole += pairs * len(chosen)
        pruned.gained += int(sum(pairs * spared[name] for name in chosen if name != FULL))
        pruned.overhead += self._sampling(block, q, k)
        tried = len(pruned.seen) >= TRIAL * len(self.asked.inner)
        if tried and pruned.gained <= pruned.overhead and not self.asked.always:
            _stop(step, f"by evaluation {step.index} deciding had cost {pruned.overhead:.3g} operations and gained "
                        f"{pruned.gained:.3g}")  # fmt: skip


def _stop(step: Step, why: str) -> None:
    """For the rest of the generation; what the layers remember is dropped as they are met."""
    step.common[OFF] = True
    step.book.notes.append(f"attention pruning switched off: {why}")


def _heads(groups: Sequence[int], shared: int) -> list[int]:
    return [group * shared + each for group in groups for each in range(shared)]


def _by_columns(block: Block) -> bool:
    """Whether the output projection's weights can be taken apart by groups."""
    return type(block.attention.out) is nn.Linear


def _of_groups(block: Block, error: Tensor, groups: int, dtype: torch.dtype) -> Tensor:
    """Errors (B, m, H, D) -> (K, B, m, dim) float32: what the output projection makes of each group's alone."""
    if _by_columns(block):
        columns = block.attention.out.weight.unflatten(1, (groups, -1))  # (dim, K, G * D)
        mine = error.unflatten(2, (groups, -1)).flatten(3).to(dtype)
        return torch.einsum("bmkd,okd->kbmo", mine, columns).float()
    # Through the layer itself, whatever its weights are kept in: a group at a time, nothing in the place of the others.
    alone = torch.zeros(groups, *error.shape, dtype=error.dtype, device=error.device)
    shared = error.shape[2] // groups
    for group in range(groups):
        own = slice(group * shared, (group + 1) * shared)
        alone[group, :, :, own] = error[:, :, own]
    return block.attention.out(alone.to(dtype).flatten(3)).float()


def _length(x: Tensor) -> Tensor:
    """(..., m, dim) -> (...,): the mean length of a token's vector."""
    return x.norm(dim=-1).mean(-1)
