"""The safetensors format: a length, a JSON header, then the bytes. The header is checked completely before use.

The file is read here rather than through the safetensors package, so that a damaged file is named with its
tensor and its numbers, a small file is not kept open (it can be replaced while the model runs, also on Windows)
and a tensor in an unaligned place still gets an aligned copy. It is written here, so that the same tensors make the
same bytes (the package shuffles the metadata). The tests hold both against the package.
Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from newbie.checkpoints.index import Index
from newbie.checkpoints.places import Place, as_bytes, damaged, entry_at
from newbie.errors import WeightsError

MAX_HEADER = 100_000_000  # bytes; the limit of the format's own reader
MAX_AXES = 64  # NumPy has no more
MAX_NAME = 1024  # characters

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def open_safetensors(path: Path) -> Index:
    """Names, shapes and formats of a safetensors file. Reads the header only.

    Raises:
        WeightsError: truncated, not safetensors, or a header that contradicts itself; names file and tensor.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            places, metadata = _read_header(file, size, path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})", "check the path and its rights") from error
    entries = {place.name: entry_at(place, path, size) for place in places}
    return Index(entries, (path,), "safetensors", metadata)


def write_safetensors(file: BinaryIO, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write contiguous CPU tensors, the widest formats first and then by name, as the format's own library does."""
    places = arranged({name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()})
    file.write(header_bytes(places, metadata))
    for place in places:
        file.write(as_bytes(tensors[place.name]))


def arranged(tensors: Mapping[str, tuple[torch.dtype, tuple[int, ...]]]) -> list[Place]:
    """Where each tensor goes, counted from the first byte behind the header, in the order of the file."""
    places, end = [], 0
    for name, (dtype, shape) in sorted(tensors.items(), key=lambda item: (-item[1][0].itemsize, item[0])):
        start, end = end, end + math.prod(shape) * dtype.itemsize
        places.append(Place(name, dtype, shape, start, end))
    return places


def header_bytes(places: Iterable[Place], metadata: Mapping[str, str]) -> bytes:
    """Everything before the first tensor."""
    names = {dtype: name for name, dtype in DTYPES.items()}
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    for name, dtype, shape, start, stop in places:
        header[name] = {"dtype": names[dtype], "shape": list(shape), "data_offsets": [start, stop]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _read_header(file: BinaryIO, size: int, path: Path) -> tuple[list[Place], dict[str, str]]:
    first = file.read(8)
    if len(first) < 8:
        raise damaged(path, f"has {size} bytes, too short for a safetensors file")
    length = int.from_bytes(first, "little")
    if length > MAX_HEADER:
        raise damaged(path, f"announces a header of {length:,} bytes: not a safetensors file")
    if 8 + length > size:
        raise damaged(path, f"is truncated: its header alone needs {8 + length:,} bytes, the file has {size:,}")
    try:
        header = json.loads(file.read(length).decode("utf-8"), object_pairs_hook=_object_without_repeats)
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"has a header that cannot be read ({error})") from error
    if not isinstance(header, dict):
        raise damaged(path, f"has a header that is a {type(header).__name__}, not an object")
    metadata = header.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise damaged(path, "has metadata that is not a table of texts")
    places = [_place(name, facts, 8 + length, path) for name, facts in header.items()]
    _check_places(places, 8 + length, size, path)
    return places, metadata


def _place(name: str, facts: Any, base: int, path: Path) -> Place:
    if len(name) > MAX_NAME:
        raise damaged(path, f"tensor {name[:60]}... has a name of {len(name):,} characters, more than {MAX_NAME:,}")
    if not isinstance(facts, dict) or not {"dtype", "shape", "data_offsets"} <= facts.keys():
        raise damaged(path, f"tensor {name}: dtype, shape or data_offsets missing from the header")
    dtype = DTYPES.get(facts["dtype"]) if isinstance(facts["dtype"], str) else None
    if dtype is None:
        raise WeightsError(
            f"{path}: tensor {name} has the number format {facts['dtype']!r}, which is not supported",
            "supported: " + ", ".join(DTYPES),
        )
    shape, offsets = facts["shape"], facts["data_offsets"]
    if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2:
        raise damaged(path, f"tensor {name}: shape {shape!r:.60} or offsets {offsets!r:.60} are not natural numbers")
    if len(shape) > MAX_AXES or math.prod(max(side, 1) for side in shape) >= 2**48:
        raise damaged(path, f"tensor {name} has an impossible shape, {shape!s:.60}")
    start, stop = offsets
    needed = math.prod(shape) * dtype.itemsize
    if stop - start != needed:
        raise damaged(path, f"tensor {name}: shape {shape} needs {needed:,} bytes, {stop - start:,} are set aside")
    return Place(name, dtype, tuple(shape), base + start, base + stop)


def _check_places(places: list[Place], base: int, size: int, path: Path) -> None:
    """The tensors must cover the bytes behind the header, without overlaps and without holes."""
    end, before = base, ""
    for place in sorted(places, key=lambda place: (place.start, place.stop)):
        if place.stop > size:
            raise damaged(path, f"is truncated: tensor {place.name} ends at byte {place.stop:,}, the file has {size:,}")
        if place.start < end:
            raise damaged(path, f"tensors {before} and {place.name} overlap at byte {place.start:,}")
        if place.start > end:
            raise damaged(path, f"{place.start - end:,} bytes before tensor {place.name} belong to no tensor")
        end, before = place.stop, place.name
    if end != size:
        raise damaged(path, f"{size - end:,} bytes at its end belong to no tensor")


def _naturals(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in values
    )


def _object_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name appears twice")
    for text in (*table, *(value for value in table.values() if isinstance(value, str))):
        text.encode()  # raises ValueError for half a character (\\ud800), which could be written nowhere
    return table
