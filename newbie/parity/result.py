"""What a comparison with golden data comes to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor

from newbie.errors import NewbieError

Verdict = Literal["ok", "FAIL", "SKIP"]


class Check(NamedTuple):
    """The largest absolute difference of one tensor or text, and what is allowed."""

    what: str
    error: float
    tolerance: float

    @property
    def ratio(self) -> float:
        return self.error / self.tolerance if self.tolerance else math.inf if self.error else 0.0

    @property
    def fine(self) -> bool:
        return self.error <= self.tolerance  # False for NaN


@dataclass(frozen=True)
class Case:
    """One case of a golden file. `skipped` says why it was not run."""

    family: str
    name: str
    checks: tuple[Check, ...] = ()
    skipped: str = ""

    @property
    def worst(self) -> Check | None:
        """The check nearest to its tolerance, or furthest beyond it."""
        return max(self.checks, key=lambda check: check.ratio, default=None)

    @property
    def verdict(self) -> Verdict:
        if self.skipped or not self.checks:
            return "SKIP"
        return "ok" if all(check.fine for check in self.checks) else "FAIL"


Job = tuple[str, Callable[[], Iterable[Check]]]  # a case's name, and what computes its checks


class CannotRun(NewbieError):
    """A case that this program does not understand, or whose data is not there."""


def collect(family: str, jobs: Iterator[Job]) -> Iterator[Case]:
    """Run the jobs of one file. What cannot be run becomes a skipped case that says why, and the rest goes on."""
    while True:
        try:
            name, job = next(jobs)
        except StopIteration:
            return
        except KNOWN as error:
            yield Case(family, "all", skipped=_reason(error))
            return
        try:
            yield Case(family, name, tuple(job()))
        except KNOWN as error:
            yield Case(family, name, skipped=_reason(error))


# What wrong data raises: a missing tensor, a word instead of a number, shapes that do not fit.
KNOWN = (NewbieError, LookupError, TypeError, ValueError, AttributeError, RuntimeError)


def _reason(error: Exception) -> str:
    return error.message if isinstance(error, NewbieError) else f"{type(error).__name__}: {error}"


def compare(what: str, ours: Tensor, theirs: Tensor, tolerance: float) -> Check:
    """Largest absolute difference; infinite where the shapes differ or a number is not finite."""
    if ours.shape != theirs.shape:
        return Check(f"{what} has the shape {tuple(ours.shape)}, not {tuple(theirs.shape)}", math.inf, tolerance)
    error = (ours.double() - theirs.double()).abs().max().item() if ours.numel() else 0.0
    return Check(what, error if math.isfinite(error) else math.inf, tolerance)


def same_text(what: str, ours: str, theirs: str) -> Check:
    """0 for equal texts, else the number of the first character that differs, from 1."""
    if ours == theirs:
        return Check(what, 0.0, 0.0)
    pairs = zip(ours, theirs, strict=False)
    place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(ours), len(theirs)))
    return Check(f"{what} differs from character {place + 1}", float(place + 1), 0.0)
