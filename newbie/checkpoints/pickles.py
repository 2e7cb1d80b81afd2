"""PyTorch's own files (.pth, .pt, .bin, .ckpt), parsed with weights_only: tensors are read, nothing is executed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from newbie.checkpoints.index import Entry, Index
from newbie.errors import WeightsError

# Training checkpoints wrap their tensors; the averaged weights are the ones to draw with.
WRAPPERS = ("ema", "model", "state_dict")


def open_pickle(path: Path, *, zipped: bool) -> Index:
    """The tensors of a PyTorch file; the modern zip form stays mapped, the old form is read whole.

    Raises:
        WeightsError: damaged, holding anything but plain data, or without tensors.
    """
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # a damaged pickle can fail in any way
        raise WeightsError(
            f"{path}: cannot be read as plain tensors ({str(error).splitlines()[0] if str(error) else error!r})",
            "the file is damaged or wants to run code, which is never done; use a safetensors file",
        ) from error
    table, notes = _unwrap(loaded)
    tensors = {name: value for name, value in table.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if not tensors:
        raise WeightsError(f"{path}: holds no tensors", "name the file with the weights")
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise WeightsError(f"{path}: tensor {name} is stored sparse or quantised", "use a plain checkpoint")
    if len(tensors) < len(table):
        notes = (*notes, f"{path.name}: {len(table) - len(tensors)} values that are no tensors were left out")
    entries = {name: _entry(name, tensor.detach(), path) for name, tensor in tensors.items()}
    return Index(entries, (path,), "pickle", notes=notes)


def _entry(name: str, tensor: Tensor, path: Path) -> Entry:
    return Entry(
        name,
        tuple(tensor.shape),
        tensor.dtype,
        path,
        read=lambda: tensor.clone(memory_format=torch.contiguous_format),
        view=tensor.contiguous,
    )


def _unwrap(loaded: Any) -> tuple[Mapping[Any, Any], tuple[str, ...]]:
    """The innermost table of tensors below the known wrappers, and what was passed over."""
    notes: tuple[str, ...] = ()
    for _ in range(3):
        if not isinstance(loaded, Mapping):
            return {}, notes
        if any(isinstance(value, Tensor) for value in loaded.values()):
            return loaded, notes
        inside = [key for key in WRAPPERS if isinstance(loaded.get(key), Mapping)]
        if not inside:
            return {}, notes
        if len(inside) > 1:
            notes = (*notes, f"used the weights under {inside[0]!r}, not those under {', '.join(inside[1:])}")
        loaded = loaded[inside[0]]
    return loaded, notes
