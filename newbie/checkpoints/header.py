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
import mmap
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor

from newbie.checkpoints.index import Entry, Index
from newbie.errors import WeightsError

MAX_HEADER = 100_000_000  # bytes; the limit of the format's own reader
# From this size on, tensors that need no conversion stay mapped: a laptop can then run a model that is larger
# than its free memory. Below it, copies are cheap, aligned and independent of the file.
MAP_FROM = 2**30  # bytes, the file
MAP_TENSOR_FROM = 2**20  # bytes, the tensor

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


class Place(NamedTuple):
    """Where a tensor lies, in bytes from the start of the file."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    stop: int


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
    mappable = size >= MAP_FROM and os.name == "posix"  # Windows locks a mapped file
    entries = {
        place.name: Entry(
            place.name,
            place.shape,
            place.dtype,
            path,
            read=_reader(path, place),
            view=_viewer(path, place) if mappable else None,
            offset=place.start,
        )
        for place in places
    }
    return Index(entries, (path,), "safetensors", metadata)


def write_safetensors(file: BinaryIO, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write contiguous CPU tensors, the widest formats first and then by name, as the format's own library does."""
    names = {dtype: name for name, dtype in DTYPES.items()}
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0]))
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    end = 0
    for name, tensor in ordered:
        start, end = end, end + tensor.nbytes
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for _, tensor in ordered:
        file.write(_bytes(tensor))


def _read_header(file: BinaryIO, size: int, path: Path) -> tuple[list[Place], dict[str, str]]:
    first = file.read(8)
    if len(first) < 8:
        raise _damaged(path, f"has {size} bytes, too short for a safetensors file")
    length = int.from_bytes(first, "little")
    if length > MAX_HEADER:
        raise _damaged(path, f"announces a header of {length:,} bytes: not a safetensors file")
    if 8 + length > size:
        raise _damaged(path, f"is truncated: its header alone needs {8 + length:,} bytes, the file has {size:,}")
    try:
        header = json.loads(file.read(length).decode("utf-8"), object_pairs_hook=_object_without_repeats)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"has a header that cannot be read ({error})") from error
    if not isinstance(header, dict):
        raise _damaged(path, f"has a header that is a {type(header).__name__}, not an object")
    metadata = header.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _damaged(path, "has metadata that is not a table of texts")
    places = [_place(name, facts, 8 + length, path) for name, facts in header.items()]
    _check_places(places, 8 + length, size, path)
    return places, metadata


def _place(name: str, facts: Any, base: int, path: Path) -> Place:
    if not isinstance(facts, dict) or not {"dtype", "shape", "data_offsets"} <= facts.keys():
        raise _damaged(path, f"tensor {name}: dtype, shape or data_offsets missing from the header")
    dtype = DTYPES.get(facts["dtype"]) if isinstance(facts["dtype"], str) else None
    if dtype is None:
        raise WeightsError(
            f"{path}: tensor {name} has the number format {facts['dtype']!r}, which is not supported",
            "supported: " + ", ".join(DTYPES),
        )
    shape, offsets = facts["shape"], facts["data_offsets"]
    if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2:
        raise _damaged(path, f"tensor {name}: shape {shape!r} or offsets {offsets!r} are not natural numbers")
    start, stop = offsets
    needed = math.prod(shape) * dtype.itemsize
    if stop - start != needed:
        raise _damaged(path, f"tensor {name}: shape {shape} needs {needed:,} bytes, {stop - start:,} are set aside")
    return Place(name, dtype, tuple(shape), base + start, base + stop)


def _check_places(places: list[Place], base: int, size: int, path: Path) -> None:
    """The tensors must cover the bytes behind the header, without overlaps and without holes."""
    end, before = base, ""
    for place in sorted(places, key=lambda place: (place.start, place.stop)):
        if place.stop > size:
            raise _damaged(
                path, f"is truncated: tensor {place.name} ends at byte {place.stop:,}, the file has {size:,}"
            )
        if place.start < end:
            raise _damaged(path, f"tensors {before} and {place.name} overlap at byte {place.start:,}")
        if place.start > end:
            raise _damaged(path, f"{place.start - end:,} bytes before tensor {place.name} belong to no tensor")
        end, before = place.stop, place.name
    if end != size:
        raise _damaged(path, f"{size - end:,} bytes at its end belong to no tensor")


def _reader(path: Path, place: Place) -> Callable[[], Tensor]:
    def read() -> Tensor:
        tensor = torch.empty(place.shape, dtype=place.dtype)
        if tensor.numel():
            buffer = _bytes(tensor)
            try:
                with path.open("rb", buffering=0) as file:
                    file.seek(place.start)
                    fill(file, buffer, path, place.name)
            except OSError as error:
                raise WeightsError(
                    f"{path}: tensor {place.name} cannot be read ({error.strerror})", "check the disk"
                ) from error
        return tensor

    return read


def fill(file: Any, buffer: memoryview, path: Path, name: str) -> None:
    """Fill `buffer` from an unbuffered file; one call of the system reads 2 GiB at most."""
    done = 0
    while done < len(buffer):
        count = file.readinto(buffer[done : done + 2**30])
        if not count:
            raise _damaged(path, f"ended while tensor {name} was read: has it changed?")
        done += count


def _viewer(path: Path, place: Place) -> Callable[[], Tensor] | None:
    if place.stop - place.start < MAP_TENSOR_FROM or place.start % place.dtype.itemsize:
        return None

    def view() -> Tensor:
        # A mapping of its own per tensor: it goes when the tensor goes. Writes would stay in memory.
        page = place.start - place.start % mmap.ALLOCATIONGRANULARITY
        with path.open("rb") as file:
            pages = mmap.mmap(file.fileno(), place.stop - page, access=mmap.ACCESS_COPY, offset=page)
        count = (place.stop - place.start) // place.dtype.itemsize
        flat = torch.frombuffer(pages, dtype=place.dtype, count=count, offset=place.start - page)
        return flat.view(place.shape)

    return view


def _bytes(tensor: Tensor) -> memoryview:
    return memoryview(tensor.view(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]


def _naturals(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in values
    )


def _object_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name appears twice")
    return table


def _damaged(path: Path, what: str) -> WeightsError:
    return WeightsError(f"{path}: {what}", "download or copy the file again")
