"""What a load found: tensor by tensor, so that nothing is dropped in silence and half a model never runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from newbie.checkpoints.layouts import SPOKEN, Component
from newbie.errors import WeightsError


@dataclass(frozen=True)
class LoadReport:
    """Every tensor of the model and of the file is in exactly one of these lists."""

    component: Component
    source: str  # file name, without its folder
    layout: str
    prefix: str
    matched: tuple[str, ...]  # our names, taken as they are (cast and renamed at most)
    converted: tuple[tuple[str, str], ...]  # our name, how it was made
    missing: tuple[str, ...]  # our names
    filled: tuple[str, ...]  # our names that files often lack and no result depends on
    unexpected: tuple[str, ...]  # names of the file
    ignored: tuple[str, ...]  # names of the file that are known and not needed
    wrong: tuple[str, ...] = ()  # sentences about shapes
    compressed: tuple[tuple[str, str], ...] = ()  # our name, in which format it stays
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return not self.missing and not self.wrong

    def require_complete(self) -> None:
        """Raise WeightsError unless every tensor of the model is there in the right shape; names them."""
        if self.wrong:
            raise WeightsError(
                f"{self.source}: {listed(self.wrong, 3, '; ')}",
                "the weights are damaged or belong to another configuration",
            )
        if self.missing:
            raise WeightsError(
                f"{self.source}: {len(self.missing)} of {self.total} tensors of the {SPOKEN[self.component]} are "
                f"missing: {listed(self.missing)}",
                "half a model is not run; download the file again",
            )

    @property
    def total(self) -> int:
        """Tensors that the model has."""
        there = (self.matched, self.compressed, self.converted)
        return sum(map(len, (*there, self.missing, self.filled, self.wrong)))

    def lines(self) -> list[str]:
        """The report as text: a line of counts, then what is worth knowing."""
        spelled = f"{self.layout} names" + (f", prefix {self.prefix!r}" if self.prefix else "")
        counts = {
            "matched": len(self.matched) + len(self.compressed),
            "converted": len(self.converted),
            "missing": len(self.missing),
            "unexpected": len(self.unexpected),
        }
        found = ", ".join(f"{count} {word}" for word, count in counts.items())
        lines = [f"{SPOKEN[self.component]}: {self.source} ({spelled}): {found}"]
        for word, pairs in (("stay compressed", self.compressed), ("converted", self.converted)):
            for how in dict.fromkeys(how for _, how in pairs):
                names = [name for name, each in pairs if each == how]
                lines.append(f"  {word} ({how}): {listed(names)}")
        for word, found_names in (
            ("missing", self.missing),
            ("wrong", self.wrong),
            ("filled in", self.filled),
            ("unexpected, not used", self.unexpected),
            ("ignored", self.ignored),
        ):
            if found_names:
                lines.append(f"  {word}: {listed(found_names)}")
        return [*lines, *(f"  note: {note}" for note in self.notes)]


def listed(names: Sequence[str], some: int = 6, between: str = ", ") -> str:
    """The first names of a list, and how many more there are."""
    text = between.join(names[:some])
    return f"{text}{between}and {len(names) - some} more" if len(names) > some else text
