"""The tag lists of the community: CSV files with a hundred thousand tags, their other names, and how often they occur.

Two forms are common: `name,category,count,"alias,alias"` without a header, and a header that names the columns. Reading
one takes most of a second; a cache of its tags and aliases is read in a tenth of that. The cache is plain text and is
found by the hash of the list, so a changed list is read again.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from newbie.errors import UsageError

MAX_BYTES = 64 * 1024**2
_FIRST_LINE = "newbie tag list 1"
_NAMES = ("name", "tag", "tags")
_ALIASES = ("aliases", "alias", "aka")


class TagList(NamedTuple):
    """Names in the order of the file, which is that of their number; other names and what they stand for."""

    names: dict[str, None]
    aliases: dict[str, str]


def read_list(path: Path, cache: Path | None = None) -> TagList:
    """A tag list, from the folder `cache` where it was read before. A cache that cannot be written is no error.

    Raises:
        UsageError: there is no such file, it is larger than MAX_BYTES, or holds no list of tags.
    """
    data = _bytes(path)
    kept = cache / f"tags-{hashlib.blake2b(data, digest_size=16).hexdigest()}.txt" if cache else None
    if kept and (found := _read_cache(kept)):
        return found
    found = _parse(data, path)
    if kept:
        with contextlib.suppress(OSError):
            _write_cache(found, kept)
    return found


def _bytes(path: Path) -> bytes:
    hint = "--vocabulary names a CSV file of tags"
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{path} is no ordinary file", hint)
        if status.st_size > MAX_BYTES:
            raise UsageError(f"{path} has {status.st_size:,} bytes; at most {MAX_BYTES:,} are read", hint)
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint) from None


def _parse(data: bytes, path: Path) -> TagList:
    names: dict[str, None] = {}
    aliases: dict[str, str] = {}
    try:
        for name, others in _rows(data.decode("utf-8-sig")):
            names[name] = None
            aliases |= dict.fromkeys(others, name)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is no list of tags: {error}", "it has to be a CSV file in UTF-8") from None
    if not names:
        raise UsageError(f"{path} holds no tags", "each line begins with the name of a tag")
    return TagList(names, {alias: name for alias, name in aliases.items() if alias not in names})


def _rows(text: str) -> Iterator[tuple[str, list[str]]]:
    """The name of each row, and its other names."""
    rows = csv.reader(io.StringIO(text))
    first = next(rows, [])
    header = [cell.strip().lower() for cell in first]
    at = next((i for i, cell in enumerate(header) if cell in _NAMES), None)
    others = next((i for i, cell in enumerate(header) if cell in _ALIASES), None)
    if at is None:
        at, others = 0, 3
        yield from _row(first, at, others)
    for row in rows:
        yield from _row(row, at, others)


def _row(row: list[str], at: int, others: int | None) -> Iterator[tuple[str, list[str]]]:
    name = _tag(row[at]) if at < len(row) else ""
    if name:
        listed = row[others].split(",") if others is not None and others < len(row) else []
        # A name with a slash in front is a shortcut of the program the list was made for.
        yield name, [other for each in listed if (other := _tag(each)) and not other.startswith("/")]


def _tag(cell: str) -> str:
    return "_".join(cell.lower().split())


def _read_cache(path: Path) -> TagList | None:
    try:
        first, names, aliases = path.read_text(encoding="utf-8").split("\n\n")
    except (OSError, ValueError):  # not there, or not as we wrote it
        return None
    pairs = [line.partition("\t")[::2] for line in aliases.splitlines()]
    return TagList(dict.fromkeys(names.split("\n")), dict(pairs)) if first == _FIRST_LINE else None


def _write_cache(found: TagList, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pairs = "\n".join(f"{alias}\t{name}" for alias, name in found.aliases.items())
    draft = path.with_suffix(f".{secrets.token_hex(4)}")
    draft.write_text("\n\n".join([_FIRST_LINE, "\n".join(found.names), pairs]), encoding="utf-8")
    draft.replace(path)
