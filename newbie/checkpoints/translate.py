"""Apply a table of rules: which of their tensors make which of ours, and the other way round for saving."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from newbie.checkpoints.index import Entry, Packed, stack
from newbie.checkpoints.rules import Rule, Table, fill_in, matches, rename
from newbie.errors import WeightsError


@dataclass(frozen=True)
class Recipe:
    """How one of our tensors is made. `rule` None: it is in the file under our name."""

    name: str
    entries: tuple[Entry, ...]
    rule: Rule | None = None
    position: int = 0  # among the tensors that the rule makes

    @property
    def shape(self) -> tuple[int, ...]:
        """Found without reading: the rule is run on tensors that have no content.

        Raises:
            WeightsError: the shapes of the parts do not fit together.
        """
        if self.rule is None:
            return self.entries[0].shape
        parts = [torch.empty(entry.shape, dtype=entry.dtype, device="meta") for entry in self.entries]
        try:
            return tuple(self.rule.load(parts)[self.position].shape)
        except (RuntimeError, IndexError) as error:
            shapes = ", ".join(f"{entry.name} {list(entry.shape)}" for entry in self.entries)
            raise WeightsError(
                f"{self.entries[0].file.name}: {self.name} cannot be made of {shapes}",
                "the file is damaged or of another model",
            ) from error

    @property
    def how(self) -> str:
        """How the values are made from those of the file; "" when they are the same, whatever their name."""
        if self.rule is not None and self.rule.kind != "rename":
            return self.rule.kind
        return self.entries[0].made

    @property
    def packed(self) -> Packed | None:
        """The matrix in fewer bits, where the file has it so and the rule leaves its numbers alone."""
        parts = [entry.packed for entry in self.entries]
        if self.rule is None or self.rule.kind == "rename":
            return parts[self.position]
        if self.rule.kind != "fuse" or len({part.codec if part is not None else None for part in parts}) > 1:
            return None
        whole = [part for part in parts if part is not None and not part.codec.shared]
        return stack(whole) if whole else None

    def read(self) -> Tensor:
        """The tensor in main memory, in the file's format (float32 where a rule computes)."""
        parts = [entry.read() for entry in self.entries]
        return parts[0] if self.rule is None else self.rule.load(parts)[self.position]


class Translation(NamedTuple):
    """Our names, each with its recipe; names that no rule mentions keep their name."""

    recipes: dict[str, Recipe]
    half: list[str]  # names that a rule could use if their companions were there


def translate(entries: Mapping[str, Entry], table: Table) -> Translation:
    """Find the rule for each tensor of a file. The first rule that fits a name has it.

    Raises:
        WeightsError: two tensors of the file become the same one of ours.
    """
    left = dict.fromkeys(entries)
    half: list[str] = []
    recipes: dict[str, Recipe] = {}
    for rule in table:
        found: dict[tuple[str, ...], dict[str, str]] = {}
        for name in left:
            for pattern in rule.theirs:
                stars = matches(pattern, name)
                if stars is not None:
                    found.setdefault(stars, {})[pattern] = name
        for stars, names in found.items():
            for name in names.values():
                del left[name]
            if len(names) < len(rule.theirs):
                half.extend(names.values())
                continue
            parts = tuple(entries[names[pattern]] for pattern in rule.theirs)
            for position, pattern in enumerate(rule.ours):
                _add(recipes, Recipe(fill_in(pattern, stars), parts, rule, position))
    for name in left:
        _add(recipes, Recipe(name, (entries[name],)))
    return Translation(recipes, half)


class Step(NamedTuple):
    """One rule applied for saving: these of ours become these of theirs."""

    rule: Rule
    ours: tuple[str, ...]
    theirs: tuple[str, ...]


def steps(names: Iterable[str], table: Table) -> list[Step]:
    """How tensors with our names become a layout's. Names without a rule are kept.

    Raises:
        WeightsError: a rule has no inverse, or lacks one of its tensors.
    """
    left = dict.fromkeys(names)
    found: list[Step] = []
    for rule in table:
        for stars in _stars(rule.ours[0], list(left)):
            ours = tuple(fill_in(pattern, stars) for pattern in rule.ours)
            if not rule.reversible or not all(name in left for name in ours):
                raise WeightsError(
                    f"{ours[0]} cannot be written: {rule.kind} has no inverse here", "choose another layout"
                )
            for name in ours:
                del left[name]
            theirs = () if rule.kind == "drop" else tuple(fill_in(pattern, stars) for pattern in rule.theirs)
            found.append(Step(rule, ours, theirs))
    return [*found, *(Step(rename(name, name), (name,), (name,)) for name in left)]


def untranslate(state: Mapping[str, Tensor], table: Table) -> dict[str, Tensor]:
    """Our tensors under their names: the inverse of loading. Names without a rule are kept.

    Raises:
        WeightsError: a rule has no inverse, or lacks one of its tensors.
    """
    theirs: dict[str, Tensor] = {}
    for step in steps(state, table):
        parts = step.rule.save([state[name] for name in step.ours])
        theirs |= zip(step.theirs, parts, strict=True)
    return theirs


def _stars(pattern: str, names: Iterable[str]) -> list[tuple[str, ...]]:
    return [stars for name in names if (stars := matches(pattern, name)) is not None]


def _add(recipes: dict[str, Recipe], recipe: Recipe) -> None:
    if recipe.name in recipes:
        first, second = recipes[recipe.name].entries[0], recipe.entries[0]
        raise WeightsError(
            f"{second.file.name}: {first.name} and {second.name} are both {recipe.name}",
            "the file mixes two layouts; use the original file",
        )
    recipes[recipe.name] = recipe
