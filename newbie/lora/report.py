"""What was found in an adapter file and what of it is used: no key is dropped in silence."""

from __future__ import annotations

from dataclasses import dataclass

from newbie.checkpoints.report import listed


@dataclass(frozen=True)
class AdapterReport:
    """Every key of the file belongs to one of `modules` or is in `unmatched`."""

    name: str
    spelling: str  # whose names: "PEFT", "kohya", ...
    kinds: tuple[str, ...]  # "LoRA", "LoKr", "difference", "norm"
    modules: tuple[str, ...]  # our names, in the order of the file; with rows where they are not all
    keys: int  # used
    unmatched: tuple[str, ...]
    ranks: tuple[int, ...]
    scales: tuple[float, ...]  # alpha / rank and the like, each once
    source: str  # where alpha was found; "": nowhere
    parameters: int
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """One line: what it is, where it goes, how strong it was meant to be."""
        ranks = f", rank {_range(self.ranks)}" if self.ranks else ""
        said = f" by {self.source}" if self.source else ""
        return (
            f"{self.name}: {' and '.join(self.kinds)} ({self.spelling} names) for {len(self.modules)} modules{ranks}, "
            f"scale {_range(self.scales)}{said}"
        )

    def warnings(self) -> list[str]:
        """What a person should know before they wonder at the picture."""
        lines = [f"{self.name}: {note}" for note in self.notes]
        if self.unmatched:
            lines.append(
                f"{self.name}: {len(self.unmatched)} of {self.keys + len(self.unmatched)} keys speak of nothing in "
                f"this transformer and are not used: {listed(self.unmatched)}"
            )
        return lines

    def lines(self) -> list[str]:
        """The whole report as text."""
        matched = [f"  matched: {name}" for name in self.modules]
        unmatched = [f"  unmatched, not used: {name}" for name in self.unmatched]
        return [
            self.summary(),
            f"  {self.parameters:,} parameters in {self.keys} keys",
            *matched,
            *unmatched,
            *(f"  note: {note}" for note in self.notes),
        ]


def _range(numbers: tuple[float, ...]) -> str:
    ends = sorted({min(numbers), max(numbers)})
    return " to ".join(f"{number:g}" for number in ends)
