"""What identifies weights: a hash of a file, and one of a model that does not depend on how its files are cut."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from newbie.checkpoints.components import Components
from newbie.checkpoints.index import Entry
from newbie.checkpoints.places import as_bytes
from newbie.checkpoints.source import Source

SAMPLED_FROM = 2**30  # bytes; reading more would make every start slow
SAMPLE = 4096  # bytes, at the start and in the middle of each tensor


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_hash(components: Components, *, full: bool = False) -> str:
    """The hash of a model: see `hash_sources`."""
    return hash_sources(components.sources().values(), full=full)


def hash_sources(sources: Iterable[Source], *, full: bool = False) -> str:
    """One hash of all tensors of a model: names, formats, shapes, bytes, in the order of the names.

    Two files with the same tensors have the same hash, whatever their metadata and their division. Above 1 GiB
    only samples of the bytes are taken unless `full`; the hash then begins with "sampled:".
    """
    opened = [(source.component, source.open()) for source in sources]
    entries = sorted(
        ((component, one.part.strip(name), one.index[name]) for component, one in opened for name in one.part.names),
        key=lambda item: item[:2],
    )
    sampled = not full and sum(entry.nbytes for _, _, entry in entries) > SAMPLED_FROM
    state = hashlib.sha256()
    for component, name, entry in entries:
        kind = entry.dtype if entry.packed is None else entry.format
        state.update(f"{component}/{name} {kind} {list(entry.shape)}\n".encode())
        for piece in _samples(entry) if sampled else (_content(entry),):
            state.update(piece)
    return f"{'sampled' if sampled else 'sha256'}:{state.hexdigest()}"


def _content(entry: Entry) -> bytes | memoryview:
    if entry.packed is not None:
        return b"".join(_content(part) for part in entry.packed.parts.values())
    return as_bytes(entry.read())


def _samples(entry: Entry) -> list[bytes]:
    places = (0, entry.nbytes // 2)
    if entry.offset is None:
        content = _content(entry)
        return [bytes(content[place : place + SAMPLE]) for place in places]
    pieces = []
    with entry.file.open("rb") as file:
        for place in places:
            file.seek(entry.offset + place)
            pieces.append(file.read(min(SAMPLE, entry.nbytes - place)))
    return pieces
