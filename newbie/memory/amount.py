"""Amounts of memory as people write them ("6GB", "5.5 GiB", "800MB") and as they are told. No torch."""

from __future__ import annotations

import math
import re

from newbie.errors import UsageError

AUTO = "auto"
UNITS = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")


def parse(text: str) -> int:
    """Bytes. Units count in thousands (GB), but for those with an i (GiB).

    Raises:
        UsageError: not an amount, or none at all.
    """
    found = _AMOUNT.fullmatch(text.strip().lower())
    if not found or found[2] not in UNITS or len(found[1]) > 15:
        raise UsageError(f"{text!r} is no amount of memory", "for example 6GB, 5.5GiB, 800MB, or auto")
    amount = math.floor(float(found[1]) * UNITS[found[2]])
    if not 10**6 <= amount <= 10**15:
        raise UsageError(f"{text!r} is no amount of memory that a model could have", "for example 6GB, or auto")
    return amount


def told(amount: float) -> str:
    """ "6.97 GB", "84 MB": thousands, three digits."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if amount >= 0.9995 * unit:
            value = amount / unit
            return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {name}"
    return f"{amount:.0f} B"
