"""A large file written tensor by tensor: continued after a kill, verified at the end, and only then given its name.

Until then it is called `.NAME.part`, and `.NAME.part.log` says which tensors are in it, with the hash of each. Whoever
writes the same file again finds them, reads them once to see that they are there, and goes on behind them. What is to
be written is a pure function of its plan, so a continued file is the file that one run would have written. While one
process writes, `.NAME.part.lock` keeps others away.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout
from torch import Tensor

from newbie.checkpoints.places import as_bytes
from newbie.errors import OutputError, WeightsError

CHUNK = 2**24  # bytes read at a time to verify
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Part:
    """A tensor and its place. `pieces` makes its bytes, some rows at a time."""

    name: str
    start: int
    stop: int
    pieces: Callable[[], Iterator[Tensor]]


@dataclass(frozen=True)
class Plan:
    """What a file will hold. `sources` identifies what it is made from, so that it is not continued from others."""

    path: Path
    header: bytes
    parts: Sequence[Part]  # in the order of the file
    sources: str

    @property
    def size(self) -> int:
        return max((part.stop for part in self.parts), default=len(self.header))

    @property
    def unfinished(self) -> Path:
        return self.path.with_name(f".{self.path.name}.part")

    @property
    def log(self) -> Path:
        return self.path.with_name(f".{self.path.name}.part.log")

    @property
    def lock(self) -> Path:
        return self.path.with_name(f".{self.path.name}.part.lock")

    @property
    def identity(self) -> str:
        state = hashlib.sha256(self.header)
        state.update(f"\n{self.size}\n{self.sources}".encode())
        return state.hexdigest()


def write(plan: Plan, check: Callable[[Path], None], on_part: Callable[[int, int], None]) -> int:
    """Write the file; how many tensors were there already. `on_part(number, count)` is called before each.

    `check` looks at the whole before it gets its name, and raises what speaks against it.

    Raises:
        OutputError: no room, somebody else is writing it, or what was written is not what is read back. What is there
            stays for the next run.
        WeightsError: the source is damaged. Of the file nothing stays; but it does where the source could not be read.
    """
    done: list[str] = []
    try:
        plan.path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(plan):
            _require_room(plan)
            done = _there(plan)
            before = len(done)
            _write_rest(plan, done, on_part)
            _verify(plan, done)
            check(plan.unfinished)
            plan.unfinished.replace(plan.path)
            with suppress(OSError):
                plan.log.unlink()
        return before
    except WeightsError as error:
        if not isinstance(error.__cause__, OSError):  # a disk that failed once may be read the next time
            discard(plan.path)
        raise
    except OSError as error:
        there = f"; {len(done)} of {len(plan.parts)} tensors are in {plan.unfinished.name}" if done else ""
        what = "make room" if error.errno in _FULL else "check the folder, its rights and the disk"
        raise OutputError(
            f"{plan.path}: could not be written ({error}){there}",
            f"{what} and run the same command again{': it continues there' if there else ''}",
        ) from error


@contextmanager
def _alone(plan: Plan) -> Iterator[None]:
    """No other process writes the same file meanwhile; a lock that a killed one has left is free."""
    try:
        with FileLock(plan.lock, blocking=False):
            try:
                yield
            finally:
                with suppress(OSError):
                    plan.lock.unlink()  # while it is held: who waits for the old one sees that it has no name
    except Timeout:
        raise OutputError(
            f"{plan.path}: another process is writing it", "wait for it to end, or write to another place"
        ) from None


def discard(path: Path) -> None:
    """Take away what is left of an unfinished file."""
    for left in (path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.part.log")):
        with suppress(OSError):
            left.unlink()


def _there(plan: Plan) -> list[str]:
    """Hashes of the tensors that an earlier run has written, as far as they are really there."""
    try:
        identity, *hashes = plan.log.read_text(encoding="ascii").split("\n")
        found: list[str] = []
        if identity == plan.identity:
            with plan.unfinished.open("rb") as file:
                for part, said in zip(plan.parts, hashes[:-1], strict=False):  # the last line may be half written
                    if _hash(file, part) != said:
                        break
                    found.append(said)
            if found:
                return found
    except (OSError, UnicodeDecodeError):
        pass  # nothing to continue
    plan.unfinished.write_bytes(plan.header)
    plan.log.write_text(plan.identity + "\n", encoding="ascii")
    return []


def _require_room(plan: Plan) -> None:
    needed, free = plan.size - _taken(plan.unfinished), shutil.disk_usage(plan.path.parent).free
    if needed > free:
        raise OutputError(
            f"{plan.path}: needs {_gigabytes(needed)}, the disk has {free / 1e9:.2f} GB free",
            f"make room for {_gigabytes(needed - free)} more on the disk of {plan.path.parent.absolute()}, "
            "give a target on another one, or choose a smaller --type",
        )


def _taken(unfinished: Path) -> int:
    """Bytes on the disk that will be written over, whatever is in them."""
    if not unfinished.exists():
        return 0
    stat = unfinished.stat()
    return stat.st_blocks * 512 if hasattr(os, "statvfs") else stat.st_size


def _gigabytes(count: int) -> str:
    return f"{math.ceil(count / 1e7) / 100:.2f} GB"  # rounded up: what is told is enough


def _write_rest(plan: Plan, done: list[str], on_part: Callable[[int, int], None]) -> None:
    with plan.unfinished.open("r+b") as file, plan.log.open("r+", encoding="ascii") as log:
        log.truncate(log.seek(len(plan.identity) + 1 + sum(len(line) + 1 for line in done)))
        for number in range(len(done), len(plan.parts)):
            part = plan.parts[number]
            on_part(number, len(plan.parts))
            done.append(_write_part(file, part))
            log.write(done[-1] + "\n")
            log.flush()
        file.truncate(plan.size)
        file.flush()
        os.fsync(file.fileno())


def _write_part(file: BinaryIO, part: Part) -> str:
    """Write one tensor; the hash of its bytes. In a function of its own, so that nothing of it outlives it."""
    state = hashlib.sha256()
    file.seek(part.start)
    for piece in part.pieces():
        content = as_bytes(piece)
        state.update(content)
        file.write(content)
    if file.tell() != part.stop:
        raise AssertionError(f"{part.name}: {file.tell() - part.start} bytes, {part.stop - part.start} planned")
    file.flush()  # before the log says so; a lost power supply is found by the hashes
    return state.hexdigest()


def _verify(plan: Plan, hashes: Sequence[str]) -> None:
    """Read everything back."""
    with plan.unfinished.open("rb") as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # from the disk, not from memory
        bad = [part.name for part, said in zip(plan.parts, hashes, strict=True) if _hash(file, part) != said]
        file.seek(0)
        if bad or file.read(len(plan.header)) != plan.header:
            discard(plan.path)
            raise OutputError(
                f"{plan.path}: what was written is not what is read back ({', '.join(bad[:3]) or 'the header'})",
                "the disk is failing; write to another one",
            )


def _hash(file: BinaryIO, part: Part) -> str:
    state = hashlib.sha256()
    file.seek(part.start)
    left = part.stop - part.start
    while left:
        piece = file.read(min(left, CHUNK))
        if not piece:
            return ""
        state.update(piece)
        left -= len(piece)
    return state.hexdigest()
