"""How strongly regions act, and in which steps: what `--regions` says. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from newbie.errors import UsageError
from newbie.step import Step

AUTO, BOXES, OFF = "auto", "boxes", "off"
STRONGEST = 5.0
UNTIL = 0.5  # composition is settled in the first half; later steps draw details, and do it better undisturbed
EXAMPLES = "auto, boxes, off, or a strength such as 1.5; 1.5@0.3 ends after three tenths of the steps"


@dataclass(frozen=True)
class Regions:
    """Which areas count, how much, and until when.

    Args:
        words: position words and the order of characters make areas too, not only boxes that are written out.
        strength: 1 is what docs/regions.md measured as best; 0: off.
        until: share of the evaluations in which regions act, from the first.
    """

    words: bool = True
    strength: float = 1.0
    until: float = UNTIL

    @classmethod
    def parse(cls, text: str) -> Regions:
        """From `auto`, `boxes`, `off` or `STRENGTH`, each perhaps with `@UNTIL` behind it.

        Raises:
            UsageError: anything else.
        """
        name, at, end = text.strip().lower().partition("@")
        until = _number(end, 1.0, text) if at else UNTIL
        if name in (AUTO, BOXES, OFF):
            return cls(name == AUTO, 0.0 if name == OFF else 1.0, until)
        return cls(True, _number(name, STRONGEST, text), until)

    def act(self, step: Step) -> bool:
        """Whether they act in this evaluation."""
        return self.strength > 0 and step.index < round(self.until * step.count)


def _number(text: str, most: float, whole: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"regions {whole!r}: {text!r} is not a number", EXAMPLES) from None
    if not math.isfinite(value) or not 0 <= value <= most:
        raise UsageError(f"regions {whole!r}: {text} is not from 0 to {most:g}", EXAMPLES)
    return value
