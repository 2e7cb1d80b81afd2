"""Shares with their uncertainty: Wilson's interval, the ratio of two shares, the difference of two paired ones.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927
    A. Donner, G. Y. Zou, "Closed-form confidence intervals for functions of the normal mean ...", 2012 (ratio)
    R. G. Newcombe, "Improved confidence intervals for the difference between binomial proportions based on paired
    data", 1998, method 10; Q. McNemar, "Note on the sampling error of the difference ...", 1947 (paired)

All intervals are 95 %.
"""

from __future__ import annotations

import math
from typing import NamedTuple

Z = 1.959964


class Rate(NamedTuple):
    """`hits` of `total`."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        """The share, 0 to 1; NaN where nothing was asked."""
        return self.hits / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval; everything is possible where nothing was asked."""
        if not self.total:
            return (0.0, 1.0)
        n, p = self.total, self.value
        middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
        half = Z / (1 + Z * Z / n) * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
        return (max(0.0, middle - half), min(1.0, middle + half))


class Ratio(NamedTuple):
    """How much of a ceiling was reached, with its interval."""

    value: float
    low: float
    high: float


def ratio(part: Rate, whole: Rate) -> Ratio:
    """`part` over `whole`, from their Wilson intervals (MOVER-R); the bounds are 0 and infinity where data lack."""
    if not part.total or not whole.hits:
        return Ratio(math.nan, 0.0, math.inf)
    (p, (l1, u1)), (q, (l2, u2)) = (part.value, part.interval), (whole.value, whole.interval)
    low = (p * q - math.sqrt(max((p * q) ** 2 - l1 * u2 * (2 * p - l1) * (2 * q - u2), 0))) / (u2 * (2 * q - u2))
    high = (p * q + math.sqrt(max((p * q) ** 2 - u1 * l2 * (2 * p - u1) * (2 * q - l2), 0))) / (l2 * (2 * q - l2))
    return Ratio(p / q, max(low, 0.0) if 2 * q > u2 else 0.0, high)


class Paired(NamedTuple):
    """Two models on the same pictures asked for: how many only the first, only the second, got right."""

    both: int
    first_only: int
    second_only: int
    neither: int

    @property
    def total(self) -> int:
        return sum(self)

    @property
    def difference(self) -> float:
        """The second's share minus the first's."""
        return (self.second_only - self.first_only) / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Newcombe's interval of the difference: Wilson's intervals, and how much the two have in common."""
        if not self.total:
            return (-1.0, 1.0)
        second = Rate(self.both + self.second_only, self.total)
        first = Rate(self.both + self.first_only, self.total)
        (low2, high2), (low1, high1) = second.interval, first.interval
        phi = self._correlation()
        down, up = (second.value - low2, high1 - first.value), (high2 - second.value, first.value - low1)
        below, above = (math.sqrt(max(a * a - 2 * phi * a * b + b * b, 0)) for a, b in (down, up))
        return (max(self.difference - below, -1.0), min(self.difference + above, 1.0))

    @property
    def p_value(self) -> float:
        """McNemar's exact test: how likely such an imbalance is if neither is better."""
        odd = self.first_only + self.second_only
        tail = sum(math.comb(odd, k) for k in range(min(self.first_only, self.second_only) + 1))
        return min(1.0, 2 * tail / 2**odd)

    def _correlation(self) -> float:
        """Phi of the fourfold table, its numerator continuity-corrected as in Newcombe's method 10."""
        product = math.prod(
            (
                self.both + self.first_only,
                self.second_only + self.neither,
                self.both + self.second_only,
                self.first_only + self.neither,
            )
        )
        if not product:
            return 0.0
        excess: float = self.both * self.neither - self.first_only * self.second_only
        if excess > 0:
            excess = max(excess - self.total / 2, 0)
        return excess / math.sqrt(product)
