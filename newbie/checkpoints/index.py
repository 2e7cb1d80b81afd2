"""What a weights file contains, without its bytes: names, shapes, number formats, and how to read each tensor."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from newbie.errors import WeightsError


@dataclass(frozen=True)
class Entry:
    """One tensor of a file. Nothing is read until `read` or `view` is called.

    `read` returns a copy of its own in main memory. `view` (only for large files, where the system can map
    them) returns a tensor that lies in the file's mapping: the system may drop and reread its pages.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    file: Path
    read: Callable[[], Tensor] = field(repr=False, compare=False)
    view: Callable[[], Tensor] | None = field(default=None, repr=False, compare=False)
    offset: int | None = None  # of the first byte in the file, where the bytes lie in it as they are
    made: str = ""  # how, where `read` computes something that does not lie in the file like this

    @property
    def parameters(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.parameters * self.dtype.itemsize


@dataclass(frozen=True)
class Index:
    """The tensors of one checkpoint by name, in the order of the file, whatever number of files they lie in."""

    entries: dict[str, Entry]
    files: tuple[Path, ...]
    kind: str  # "safetensors", "safetensors shards", "pickle", "pickle shards"
    metadata: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Entry:
        return self.entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: entry.shape for name, entry in self.entries.items()}

    @property
    def nbytes(self) -> int:
        return sum(entry.nbytes for entry in self.entries.values())

    @property
    def parameters(self) -> int:
        return sum(entry.parameters for entry in self.entries.values())

    @property
    def dtypes(self) -> dict[str, int]:
        """How many numbers are stored in each format, the most frequent first."""
        counts: dict[str, int] = {}
        for entry in self.entries.values():
            name = str(entry.dtype).removeprefix("torch.")
            counts[name] = counts.get(name, 0) + entry.parameters
        return dict(sorted(counts.items(), key=lambda item: -item[1]))


def join(indexes: Iterable[Index], kind: str = "") -> Index:
    """Several files that together hold one checkpoint, as one index.

    Raises:
        WeightsError: a tensor lies in two of them.
    """
    parts = list(indexes)
    entries: dict[str, Entry] = {}
    metadata: dict[str, str] = {}
    for part in parts:
        for name, entry in part.entries.items():
            if name in entries:
                raise WeightsError(
                    f"tensor {name} is in both {entries[name].file.name} and {entry.file.name}",
                    "the files are not parts of one checkpoint; name one of them",
                )
            entries[name] = entry
        metadata |= part.metadata
    files = tuple(dict.fromkeys(file for part in parts for file in part.files))
    notes = tuple(note for part in parts for note in part.notes)
    return Index(entries, files, kind or parts[0].kind, metadata, notes)
