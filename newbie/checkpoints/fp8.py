"""ComfyUI's scaled 8-bit weights: a weight and the number it must be multiplied with, read as one tensor.

Two spellings of the scale are in use, `X.scale_weight` (with a marker tensor `scaled_fp8`) and `X.weight_scale` (with
a JSON text `X.comfy_quant`, or one in the file's metadata). It is one number, or one for each row. A plain cast to fp8
has none. Either way a matrix is kept in 8 bits until it is used.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

import torch
from torch import Tensor

from newbie.checkpoints.index import Entry, Packed
from newbie.errors import WeightsError
from newbie.quant.fp8 import CODES, FORMATS, SCALE, Fp8

SCALES = (".scale_weight", ".weight_scale")
INPUT_SCALES = (".scale_input", ".input_scale")  # matter to fp8 products only
MARKER = "scaled_fp8"
MAX_JSON = 4096  # bytes of a `comfy_quant`; they are a hundred


def rescaled(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """The same tensors with scaled weights made whole (float32) and their scales taken away.

    Raises:
        WeightsError: a quantisation that is not one number per fp8 tensor or row, or a scale that is missing; names
            the tensor.
    """
    whole = dict(entries)
    for name, entry in entries.items():
        stem, _, last = name.rpartition(".")
        if f".{last}" in SCALES:
            whole[f"{stem}.weight"] = _product(entries.get(f"{stem}.weight"), entry, name)
        elif last == "comfy_quant":
            _check_format(entry)
            _require_scale(entries, stem, entry)
        elif f".{last}" not in INPUT_SCALES and last != MARKER:
            continue
        del whole[name]
    scaled = len(whole) < len(entries)
    for name, entry in whole.items():
        if _is_matrix(name, entry):
            if scaled:
                _require_scale(entries, name.removesuffix(".weight"), entry)
            whole[name] = dataclasses.replace(entry, packed=_packed(entry, None))
    return whole


def _is_matrix(name: str, entry: Entry) -> bool:
    plain = entry.packed is None and entry.dtype in FORMATS
    return plain and len(entry.shape) == 2 and name.endswith(".weight")


def _require_scale(entries: Mapping[str, Entry], stem: str, entry: Entry) -> None:
    if not any(stem + scale in entries for scale in SCALES):
        raise WeightsError(
            f"{entry.file.name}: {stem}.weight is scaled fp8, but its scale is missing"
            f" ({' or '.join(stem + scale for scale in SCALES)})",
            "the file is incomplete; download it again or use the bf16 file",
        )


def _product(weight: Entry | None, scale: Entry, name: str) -> Entry:
    rows = weight.shape[0] if weight is not None and weight.shape else 0
    if weight is None or weight.dtype not in FORMATS or scale.parameters not in (1, rows):
        raise WeightsError(
            f"{scale.file.name}: {name} {scale.shape} scales a weight in a way that is not supported",
            "use the bf16 file, or one with plain or per-tensor scaled fp8",
        )

    def read() -> Tensor:
        factor = scale.read().float().flatten()
        return weight.read().float() * factor.view(-1, *[1] * (len(weight.shape) - 1))

    packed = _packed(weight, scale) if len(weight.shape) == 2 else None
    return dataclasses.replace(weight, dtype=torch.float32, read=read, view=None, made="rescale fp8", packed=packed)


def _packed(weight: Entry, scale: Entry | None) -> Packed:
    """A matrix in 8 bits with its scale, one where there is none, spread over the rows."""
    rows, view = weight.shape[0], weight.view

    def scales() -> Tensor:
        factor = torch.ones(1) if scale is None else scale.read().float()
        return factor.reshape(-1, 1).expand(rows, 1).contiguous()

    codes = dataclasses.replace(
        weight,
        dtype=torch.uint8,
        read=lambda: weight.read().view(torch.uint8),
        view=None if view is None else lambda: view().view(torch.uint8),
    )
    spread = Entry("scale", (rows, 1), torch.float32, weight.file, read=scales)
    return Packed(Fp8(weight.dtype), {CODES: codes, SCALE: spread})


def _check_format(entry: Entry) -> None:
    try:
        if entry.parameters > MAX_JSON:
            raise ValueError(f"{entry.parameters:,} bytes")
        said = json.loads(bytes(entry.read().flatten().tolist()))
    except (ValueError, TypeError, RecursionError) as error:
        raise WeightsError(f"{entry.file.name}: {entry.name} is not readable JSON", "use the bf16 file") from error
    form = said.get("format") if isinstance(said, dict) else None
    if form not in ("float8_e4m3fn", "float8_e5m2"):
        raise WeightsError(
            f"{entry.file.name}: {entry.name} says the weight is quantised as {form!r}", "use the bf16 or fp8 file"
        )
