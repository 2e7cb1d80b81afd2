"""ComfyUI's scaled 8-bit weights: a weight and the number it must be multiplied with, read as one tensor.

A plain cast to fp8 needs none of this: its tensors are cast up like any other. Two spellings of the scale are
in use, `X.scale_weight` (with a marker tensor `scaled_fp8`) and `X.weight_scale` (with a JSON text `X.comfy_quant`).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

import torch
from torch import Tensor

from newbie.checkpoints.index import Entry
from newbie.errors import WeightsError

FP8 = (torch.float8_e4m3fn, torch.float8_e5m2)
SCALES = (".scale_weight", ".weight_scale")
INPUT_SCALES = (".scale_input", ".input_scale")  # matter to fp8 products only


def rescaled(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """The same tensors with scaled weights made whole (float32) and their scales taken away.

    Raises:
        WeightsError: a quantisation that is not one number per fp8 tensor; names the tensor.
    """
    whole = dict(entries)
    for name, entry in entries.items():
        stem, _, last = name.rpartition(".")
        if f".{last}" in SCALES:
            weight = entries.get(f"{stem}.weight")
            if weight is None or weight.dtype not in FP8 or entry.parameters != 1:
                raise WeightsError(
                    f"{entry.file.name}: {name} {entry.shape} scales a weight in a way that is not supported",
                    "use the bf16 file, or one with plain or per-tensor scaled fp8",
                )
            whole[f"{stem}.weight"] = _product(weight, entry)
        elif last == "comfy_quant":
            _check_format(entry)
        elif f".{last}" not in INPUT_SCALES and last != "scaled_fp8":
            continue
        del whole[name]
    return whole


def _product(weight: Entry, scale: Entry) -> Entry:
    def read() -> Tensor:
        return weight.read().float() * scale.read().float().reshape(())

    return dataclasses.replace(weight, dtype=torch.float32, read=read, view=None, made="rescale fp8")


def _check_format(entry: Entry) -> None:
    try:
        said = json.loads(bytes(entry.read().flatten().tolist()))
    except (ValueError, TypeError) as error:
        raise WeightsError(f"{entry.file.name}: {entry.name} is not readable JSON", "use the bf16 file") from error
    form = said.get("format") if isinstance(said, dict) else None
    if form not in ("float8_e4m3fn", "float8_e5m2"):
        raise WeightsError(
            f"{entry.file.name}: {entry.name} says the weight is quantised as {form!r}", "use the bf16 or fp8 file"
        )
