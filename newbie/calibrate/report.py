"""What quantising did: sizes, the error of every layer, and how far pictures moved."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from PIL import Image

from newbie.calibrate.distance import psnr, ssim
from newbie.calibrate.quantise import Layer, Quantised

WORST = 5  # layers that are named


@dataclass(frozen=True)
class Report:
    """`parts` by their names; the distances are those of pictures from the same pictures before, one by one."""

    parts: Mapping[str, Quantised]
    decibels: Sequence[float] = ()
    similarities: Sequence[float] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        parts: Mapping[str, Quantised],
        before: Sequence[Image.Image],
        after: Sequence[Image.Image],
        facts: Mapping[str, Any],
    ) -> Report:
        pairs = list(zip(before, after, strict=True))
        return cls(parts, [psnr(*pair) for pair in pairs], [ssim(*pair) for pair in pairs], facts)

    def as_json(self) -> dict[str, Any]:
        """Numbers that are not finite (the distance of the same picture) as texts."""
        distances = {"psnr": [_plain(each) for each in self.decibels], "ssim": list(self.similarities)}
        parts = {name: _without_nan(part.as_json()) for name, part in self.parts.items()}
        return {"facts": dict(self.facts), "parts": parts, "pictures": distances}

    def lines(self) -> list[str]:
        """The report as text."""
        lines: list[str] = []
        for name, part in self.parts.items():
            share = part.after / part.before
            lines.append(
                f"{name}: {len(part.layers)} layers quantised, {part.before / 1e6:.2f} MB became "
                f"{part.after / 1e6:.2f} MB ({share:.0%})"
            )
            lines += _errors(part.layers)
        if self.similarities:
            finite = [each for each in self.decibels if math.isfinite(each)]
            loud = f"{fmean(finite):.1f} dB" if finite else "no difference"
            lines.append(
                f"{len(self.similarities)} pictures beside those before: {loud}, structural similarity "
                f"{fmean(self.similarities):.4f} (least {min(self.similarities):.4f})"
            )
        return lines


def _errors(layers: Sequence[Layer]) -> list[str]:
    seen = [layer for layer in layers if not math.isnan(layer.output)]
    if not seen:
        return [f"  error of weights: mean {fmean(layer.weights for layer in layers):.2%}"] if layers else []
    worst = sorted(seen, key=lambda layer: -layer.output)[:WORST]
    return [
        f"  error of outputs: mean {fmean(layer.output for layer in seen):.2%}; of weights: mean "
        f"{fmean(layer.weights for layer in layers):.2%}",
        *(f"    {layer.output:6.2%}  {layer.path} ({layer.codec})" for layer in worst),
    ]


def _plain(number: float) -> float | str:
    return number if math.isfinite(number) else str(number)


def _without_nan(part: dict[str, Any]) -> dict[str, Any]:
    layers = [{**layer, "output": _plain(layer["output"])} for layer in part["layers"]]
    return {**part, "layers": layers}
