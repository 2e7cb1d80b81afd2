"""Text files are written whole or not at all, and stay of the kind that they are."""

from __future__ import annotations

import contextlib
import re
import secrets
from pathlib import Path

from newbie.errors import OutputError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def as_in_file(text: str, data: bytes) -> bytes:
    """A text, whose lines end in "\\n", with the line ends and the byte order mark of the file that has `data`.

    Where a file has several kinds of ends there is no knowing which is meant: then it is "\\n".
    """
    ends = set(re.findall(rb"\r\n|\r|\n", data))
    end = ends.pop() if len(ends) == 1 else b"\n"
    mark = BYTE_ORDER_MARK if data.startswith(BYTE_ORDER_MARK) else b""
    return mark + text.encode().replace(b"\n", end)


def write_whole(path: Path, data: bytes) -> None:
    """Put `data` in place of a file, or make it; its permissions stay, and a link still leads to it.

    Raises:
        OutputError: the folder is missing or may not be written, the disk is full.
    """
    try:
        target = path.resolve()
        there = target.stat().st_mode & 0o777 if target.exists() else None
        draft = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}")
        try:
            draft.write_bytes(data)
            if there is not None:
                draft.chmod(there)
            draft.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise
    except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"{path} cannot be written: {reason}", "check the folder and its permissions") from None
