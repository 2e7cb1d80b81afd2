"""The tensors of one module -> its difference, and the counts for the report. Whatever does not fit is refused here."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from newbie.checkpoints.index import Entry
from newbie.checkpoints.load import is_finite
from newbie.checkpoints.report import listed
from newbie.errors import WeightsError
from newbie.lora import scales
from newbie.lora.deltas import Delta, Full, Kronecker, LowRank
from newbie.lora.names import Target
from newbie.lora.report import AdapterReport
from newbie.lora.scales import Scales
from newbie.model.adapted import is_linear, width
from newbie.model.nextdit import NextDiT

Group = dict[str, Entry]  # role -> entry, of one target


class Patch(NamedTuple):
    """A difference of the rows [start, stop) of one linear layer's matrix."""

    module: str
    start: int
    stop: int
    delta: Delta


class Shift(NamedTuple):
    """A difference of a parameter with one axis: of a norm, or a bias."""

    parameter: str
    difference: Tensor


class Builder:
    """Turns groups of tensors into differences, and keeps count for the report."""

    def __init__(self, model: NextDiT, name: str, scaling: Scales) -> None:
        self.model, self.name, self.scaling = model, name, scaling
        self.patches: list[Patch] = []
        self.shifts: list[Shift] = []
        self.kinds: dict[str, None] = {}
        self.modules: list[str] = []
        self.ranks: set[int] = set()
        self.parameters = 0
        self.without_alpha = 0
        self.own_alpha = False

    def add(self, target: Target, group: Group) -> None:
        """Raises WeightsError, which names the module, for a group that is not one whole difference."""
        self.modules.append(spoken(target))
        self.parameters += sum(entry.parameters for role, entry in group.items() if role != "alpha")
        left = dict(group)
        for role, parameter in (("w_norm", "weight"), ("b_norm", "bias"), ("diff_b", "bias")):
            if role in left:
                self._shift(target, parameter, left.pop(role))
        module = self.model.get_submodule(target.module)
        if "diff" in left and not is_linear(module):
            self._shift(target, "weight", left.pop("diff"))
        alpha = self._alpha(target, left.pop("alpha", None))
        if left:
            self._patch(target, left, alpha)
        elif alpha is not None:
            raise self._wrong(target, "has an alpha and no matrices", "the file is incomplete")

    def report(self, spelling: str, keys: int, unmatched: list[str]) -> AdapterReport:
        notes = []
        if self.without_alpha:
            notes.append(
                f"says no alpha for {self.without_alpha} modules and has no {scales.CONFIG} beside it, so alpha is the "
                f"rank; an adapter saved by PEFT needs that file"
            )
        factors = {patch.delta.scale for patch in self.patches} or {1.0}
        return AdapterReport(
            name=self.name,
            spelling=spelling,
            kinds=tuple(self.kinds),
            modules=tuple(self.modules),
            keys=keys,
            unmatched=tuple(unmatched),
            ranks=tuple(sorted(self.ranks)),
            scales=tuple(sorted(factors)),
            source="the file" if self.own_alpha else self.scaling.source,
            parameters=self.parameters,
            notes=tuple(notes),
        )

    def _patch(self, target: Target, group: Group, alpha: float | None) -> None:
        module = self.model.get_submodule(target.module)
        if not is_linear(module):
            raise self._wrong(target, "is a norm, which has no matrix to adapt", "the file is for another model")
        roles = set(group)
        delta: Delta
        if roles == {"down", "up"}:
            delta = self._low_rank(target, group, alpha)
        elif roles == {"diff"}:
            self.kinds["difference"] = None
            delta = Full(self._matrix(target, group["diff"]), scale=1.0)
        elif any(role.startswith("lokr") for role in roles):
            delta = self._kronecker(target, group, alpha)
        else:
            raise self._wrong(target, f"has only {listed(sorted(roles))}", "the other half of the pair is missing")
        self._require_shape(target, delta.shape)
        self.patches.append(Patch(target.module, target.start, target.stop, delta))

    def _require_shape(self, target: Target, shape: tuple[int, int], *, largest: bool = False) -> None:
        """Raise WeightsError for a difference of another shape than the target's; `largest`: for a larger one only."""
        wanted = (target.stop - target.start, width(self.model.get_submodule(target.module))[0])
        smaller = shape[0] <= wanted[0] and shape[1] <= wanted[1]
        if shape != wanted and not (largest and smaller):
            raise self._wrong(
                target,
                f"is adapted by a matrix of {shape[0]}x{shape[1]}, it has {wanted[0]}x{wanted[1]}",
                "the adapter was trained on a model of another size",
            )

    def _low_rank(self, target: Target, group: Group, alpha: float | None) -> LowRank:
        up, down = (self._matrix(target, group[role]) for role in ("up", "down"))
        rank = self._rank(target, up, down)
        self.scaling.require_rank(target.module, rank, self.name)
        self.kinds["LoRA"] = None
        return LowRank(up, down, scale=self._scale(target, rank, alpha))

    def _kronecker(self, target: Target, group: Group, alpha: float | None) -> Kronecker:
        """Full matrices have scale 1 whatever alpha says: trainers write numbers there that mean nothing (114514)."""
        if not all(role.startswith("lokr") for role in group):
            raise self._wrong(target, f"has LoRA and LoKr at once: {listed(sorted(group))}", "save one of them")
        factors, ranks = [], []
        for factor in ("lokr_w1", "lokr_w2"):
            pair = {role for role in group if role.startswith(factor)}
            if pair == {factor}:
                factors.append(self._matrix(target, group[factor]))
            elif pair == {f"{factor}_a", f"{factor}_b"}:
                a, b = (self._matrix(target, group[f"{factor}_{side}"]) for side in "ab")
                ranks.append(self._rank(target, a, b))
                # Before they are multiplied: a small file can hold the halves of a matrix that no memory holds.
                self._require_shape(target, (a.shape[0], b.shape[1]), largest=True)
                factors.append(a.float() @ b.float())
            else:
                raise self._wrong(target, f"has only {listed(sorted(group))}", f"{factor} is missing or given twice")
        if len(set(ranks)) > 1:
            raise self._wrong(target, f"has factors of ranks {ranks[0]} and {ranks[1]}", "the file mixes two adapters")
        self.kinds["LoKr"] = None
        return Kronecker(*factors, scale=self._scale(target, ranks[0], alpha) if ranks else 1.0)

    def _rank(self, target: Target, left: Tensor, right: Tensor) -> int:
        """The inner size of a pair, left (out, r) and right (r, in)."""
        if left.shape[1] != right.shape[0] or not left.shape[1]:
            raise self._wrong(
                target, f"has factors of ranks {left.shape[1]} and {right.shape[0]}", "the file mixes two adapters"
            )
        self.ranks.add(left.shape[1])
        return left.shape[1]

    def _scale(self, target: Target, rank: int, alpha: float | None) -> float:
        self.own_alpha |= alpha is not None
        self.without_alpha += alpha is None and not self.scaling.source
        return self.scaling.scale(target.module, rank, alpha)

    def _alpha(self, target: Target, entry: Entry | None) -> float | None:
        if entry is None:
            return None
        if entry.parameters != 1:
            raise self._wrong(target, f"has an alpha of {entry.parameters} numbers", "the file is damaged")
        return float(self._finite(entry).item())  # some trainers write it as a whole number

    def _shift(self, target: Target, parameter: str, entry: Entry) -> None:
        module = self.model.get_submodule(target.module)
        there = getattr(module, parameter, None)
        size = there.numel() if isinstance(there, nn.Parameter) and there.ndim == 1 else 0
        whole = target.start == 0 and size == target.stop
        if not whole or entry.shape != (size,):
            raise self._wrong(
                target, f"is shifted by {entry.name} {list(entry.shape)}, its {parameter} has {size or 'no'} numbers",
                "the adapter was trained on another model",
            )  # fmt: skip
        self.kinds["norm" if parameter == "weight" else "bias"] = None
        self.shifts.append(Shift(f"{target.module}.{parameter}", self._numbers(entry)))

    def _matrix(self, target: Target, entry: Entry) -> Tensor:
        """(rows, columns); programs that think of convolutions write 1x1 behind."""
        if len(entry.shape) < 2 or set(entry.shape[2:]) - {1}:
            raise self._wrong(target, f"is adapted by {entry.name} {list(entry.shape)}", "a matrix is expected")
        return self._numbers(entry).reshape(entry.shape[:2])

    def _numbers(self, entry: Entry) -> Tensor:
        tensor = self._finite(entry)
        if not tensor.is_floating_point():
            raise WeightsError(f"{self.name}: {entry.name} holds whole numbers, not weights", "save it unquantised")
        return tensor

    def _finite(self, entry: Entry) -> Tensor:
        tensor = entry.read()
        if not is_finite(tensor):
            raise WeightsError(f"{self.name}: {entry.name} contains NaN or infinity", "the file is damaged")
        return tensor

    def _wrong(self, target: Target, what: str, hint: str) -> WeightsError:
        return WeightsError(f"{self.name}: {spoken(target)} {what}", hint)


def spoken(target: Target) -> str:
    return target.module if not target.start else f"{target.module}, rows {target.start} to {target.stop - 1}"
