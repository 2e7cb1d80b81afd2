"""Where tensors lie in a file, and how their bytes get out: read into memory of their own, or mapped."""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from newbie.checkpoints.index import Entry
from newbie.errors import WeightsError

# From this size on, tensors that need no conversion stay mapped: a laptop can then run a model that is larger
# than its free memory. Below it, copies are cheap, aligned and independent of the file.
MAP_FROM = 2**30  # bytes, the file
MAP_TENSOR_FROM = 2**20  # bytes, the tensor


class Place(NamedTuple):
    """Where a tensor lies, in bytes from the start of the file."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    stop: int


def entry_at(place: Place, path: Path, size: int) -> Entry:
    """A tensor that lies in a file of `size` bytes as it is."""
    mappable = size >= MAP_FROM and os.name == "posix"  # Windows locks a mapped file
    view = _viewer(path, place) if mappable else None
    return Entry(place.name, place.shape, place.dtype, path, _reader(path, place), view, offset=place.start)


def _reader(path: Path, place: Place) -> Callable[[], Tensor]:
    def read() -> Tensor:
        tensor = torch.empty(place.shape, dtype=place.dtype)
        if tensor.numel():
            buffer = as_bytes(tensor)
            with _told(path, place.name), path.open("rb", buffering=0) as file:
                file.seek(place.start)
                fill(file, buffer, path, place.name)
        return tensor

    return read


def fill(file: Any, buffer: memoryview, path: Path, name: str) -> None:
    """Fill `buffer` from an unbuffered file; one call of the system reads 2 GiB at most."""
    done = 0
    while done < len(buffer):
        count = file.readinto(buffer[done : done + 2**30])
        if not count:
            raise _shrunk(path, name)
        done += count


def _viewer(path: Path, place: Place) -> Callable[[], Tensor] | None:
    if place.stop - place.start < MAP_TENSOR_FROM or place.start % place.dtype.itemsize:
        return None

    def view() -> Tensor:
        # A mapping of its own per tensor: it goes when the tensor goes. Writes would stay in memory.
        page = place.start - place.start % mmap.ALLOCATIONGRANULARITY
        with _told(path, place.name), path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < place.stop:
                raise _shrunk(path, place.name)
            pages = mmap.mmap(file.fileno(), place.stop - page, access=mmap.ACCESS_COPY, offset=page)
        count = (place.stop - place.start) // place.dtype.itemsize
        flat = torch.frombuffer(pages, dtype=place.dtype, count=count, offset=place.start - page)
        return flat.view(place.shape)

    return view


def as_bytes(tensor: Tensor) -> memoryview:
    """The bytes of a contiguous CPU tensor, not copied."""
    return memoryview(tensor.view(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]


@contextmanager
def _told(path: Path, name: str) -> Iterator[None]:
    """An error of the disk as one of ours; one of memory, for there may be another way, stays what it is."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise
        raise WeightsError(f"{path}: tensor {name} cannot be read ({error.strerror})", "check the disk") from error


def _shrunk(path: Path, name: str) -> WeightsError:
    return damaged(path, f"ended while tensor {name} was read: has it changed?")


def damaged(path: Path, what: str) -> WeightsError:
    """The error for a file that is not what its beginning says."""
    return WeightsError(f"{path}: {what}", "download or copy the file again")
