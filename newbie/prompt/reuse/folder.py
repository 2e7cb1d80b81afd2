"""Read files beneath one folder, and nothing else, whatever a prompt calls them.

A prompt may come from a stranger. The names in it are relative, go down only, and name ordinary text files; what a link
leads to must lie beneath the folder too. Names that are devices on some system are refused on every system.
"""

from __future__ import annotations

import difflib
import os
import posixpath
import re
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

SUFFIXES = (".xml", ".txt")
_DEVICES = re.compile(r"(?:con|prn|aux|nul|clock\$|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?:\..*)?", re.IGNORECASE)
_MAX_NAME = 255
# Neither wait for the other end of a pipe, nor follow a link that took the file's place after it was looked at.
_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"))


class Unusable(Exception):
    """A file that is not read. `outside`: because of where it lies or what it is, not of what is in it."""

    def __init__(self, message: str, hint: str, *, outside: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.outside = outside


@dataclass(frozen=True)
class Folder:
    """A folder as the user named it."""

    path: Path

    @cached_property
    def real(self) -> Path:
        return self.path.resolve()

    def normal(self, written: str, beside: str = "") -> str:
        """The name of a file relative to this folder, from how the file `beside` it names it.

        Raises:
            Unusable: the name leaves the folder, is a device, or is none that every system understands.
        """
        _check_name(written)
        name = posixpath.normpath(posixpath.join(posixpath.dirname(beside), written))
        if name.startswith("../"):
            raise Unusable(f"{written} leaves the folder of the prompt", "copy the file into it", outside=True)
        return name

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of a file; nothing is opened before it is known to be an ordinary file of at most `limit` bytes.

        Raises:
            Unusable: missing, outside the folder, a device or another special file, too large, not readable.
        """
        try:
            path = (self.path / name).resolve(strict=True)
            if not path.is_relative_to(self.real):
                raise Unusable(f"{name} is a link out of the folder", "copy the file into it", outside=True)
            _check_status(path.stat(), name, limit)
            descriptor = os.open(path, _FLAGS)
            with os.fdopen(descriptor, "rb") as file:
                _check_status(os.fstat(descriptor), name, limit)  # another file may have come in between
                data = file.read(limit + 1)
        except FileNotFoundError:
            raise Unusable(f"there is no file {name}", self._nearest(name)) from None
        except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle
            reason = getattr(error, "strerror", None) or str(error)
            raise Unusable(f"{name} cannot be read: {reason}", "check it and its permissions") from None
        if len(data) > limit:
            raise _too_large(name, len(data), limit)
        return data

    def real_path(self, name: str) -> Path:
        """What two names of one file have in common."""
        return Path(os.path.realpath(self.path / name))  # unlike resolve(), it ends for links in a circle

    def _nearest(self, name: str) -> str:
        folder, own = posixpath.split(name)
        try:
            there = sorted(path.name for path in (self.path / folder).iterdir() if path.suffix == Path(own).suffix)
        except OSError:
            return f"there is no folder {folder} either" if folder else "check the folder's name"
        close = difflib.get_close_matches(own, there, 1)
        return f"did you mean {posixpath.join(folder, close[0])}?" if close else "check its name and its folder"


def _check_name(written: str) -> None:
    parts = written.split("/")
    if not written.strip():
        raise Unusable("src names no file", 'write src="miku.xml"')
    if written.startswith(("/", "~")) or "\\" in written or ":" in written:
        hint = "write it relative to the prompt's file, with / between folders: characters/miku.xml"
        raise Unusable(f"{written:.80} is no relative path", hint, outside=True)
    if any(_DEVICES.fullmatch(part.strip()) for part in parts):
        raise Unusable(f"{written:.80} names a device", "give the file another name", outside=True)
    odd = any(part != part.strip() or (part.endswith(".") and part not in ("..", ".")) for part in parts)
    if odd or len(written) > _MAX_NAME or not written.isprintable() or re.search(r'[*?"<>|]', written):
        raise Unusable(f"{written:.80} is no file name", "letters, digits, _ - and . do on every system", outside=True)
    if any(part.startswith(".") and part not in ("..", ".") for part in parts):
        raise Unusable(f"{written:.80} is hidden", "give the file a name without a dot in front", outside=True)
    if written[0] in "“”‘’«»„＂":
        raise Unusable(
            f"{written:.80} stands in curly quotation marks", 'write straight ones: src="miku.xml"', outside=True
        )
    if not written.lower().endswith(SUFFIXES):
        raise Unusable(f"{written:.80} is no character file", "its name ends in .xml or .txt", outside=True)


def _check_status(status: os.stat_result, name: str, limit: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise Unusable(f"{name} is a folder", "name a file in it", outside=True)
    if not stat.S_ISREG(status.st_mode):
        raise Unusable(f"{name} is a device or a pipe", "name an ordinary file", outside=True)
    if status.st_size > limit:
        raise _too_large(name, status.st_size, limit)


def _too_large(name: str, size: int, limit: int) -> Unusable:
    return Unusable(f"{name} has {size:,} bytes", f"at most {limit:,} are read: shorten it, or cut it into several")
