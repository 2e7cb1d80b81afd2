"""What a weights file contains, without its bytes: names, shapes, number formats, and how to read each tensor."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from newbie.errors import WeightsError
from newbie.quant.codec import Codec, dense


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
    packed: Packed | None = field(default=None, repr=False, compare=False)  # the matrix in fewer bits; `read` decodes

    @property
    def parameters(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        if self.packed is not None:
            return sum(part.nbytes for part in self.packed.parts.values())
        return self.parameters * self.dtype.itemsize

    @property
    def format(self) -> str:
        """The number format as a person calls it: "bfloat16", "Q4_K"."""
        return self.packed.codec.name if self.packed is not None else str(self.dtype).removeprefix("torch.")


@dataclass(frozen=True)
class Packed:
    """A matrix as its codec stores it: a name and an entry for each stored tensor."""

    codec: Codec
    parts: Mapping[str, Entry]

    def read(self, device: torch.device) -> dict[str, Tensor]:
        """What is stored, on a device; on the CPU left in the file's mapping where there is one."""
        mapped = device.type == "cpu"
        return {
            name: (part.view() if mapped and part.view is not None else part.read()).to(device)
            for name, part in self.parts.items()
        }

    def decoded(self) -> Tensor:
        """The matrix, float32, in main memory."""
        return dense(self.codec, self.read(torch.device("cpu")), torch.float32)


def stack(matrices: Sequence[Packed]) -> Packed:
    """Matrices of one codec, one below the other."""

    def below(parts: list[Entry]) -> Entry:
        rows = sum(part.shape[0] for part in parts)
        return replace(
            parts[0],
            shape=(rows, *parts[0].shape[1:]),
            read=lambda: torch.cat([part.read() for part in parts]),
            view=None,
            offset=None,
        )

    names = matrices[0].parts
    return Packed(matrices[0].codec, {name: below([each.parts[name] for each in matrices]) for name in names})


@dataclass(frozen=True)
class Index:
    """The tensors of one checkpoint by name, in the order of the file, whatever number of files they lie in."""

    entries: dict[str, Entry]
    files: tuple[Path, ...]
    kind: str  # "safetensors", "safetensors shards", "pickle", "pickle shards", "GGUF"
    metadata: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)  # of the network, where the format has fields for it
    spiece: Callable[[], bytes] | None = None  # the text encoder's SentencePiece model, where the file describes one

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
            counts[entry.format] = counts.get(entry.format, 0) + entry.parameters
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
    config = {key: value for part in parts for key, value in part.config.items()}
    spiece = next((part.spiece for part in parts if part.spiece is not None), None)
    return Index(entries, files, kind or parts[0].kind, metadata, notes, config, spiece)
