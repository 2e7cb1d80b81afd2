"""Where the prompt loop's lines come from: a person at a terminal, or a file or pipe of commands."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import sys
import threading
from pathlib import Path
from typing import BinaryIO, Protocol

from newbie.cli.console import Console

MAX_LINE_BYTES = 256 * 1024 + 1  # one more than a prompt may have
HISTORY_LINES = 1000


class Lines(Protocol):
    """`next` raises EOFError at the end; `waiting` says whether another line is there or comes within `seconds`."""

    interactive: bool

    def next(self, prompt: str) -> str: ...

    def waiting(self, seconds: float) -> bool: ...

    def close(self) -> None: ...


class TerminalLines:
    """`input` with editing and history, where the platform has readline. A bracketed paste is one line here."""

    interactive = True

    def __init__(self, console: Console) -> None:
        self._console = console
        self._readline = None
        self._history = history_file()
        with contextlib.suppress(ImportError):
            import readline

            self._readline = readline
            with contextlib.suppress(OSError):
                readline.read_history_file(self._history)
            readline.set_history_length(HISTORY_LINES)

    def next(self, prompt: str) -> str:
        return input(prompt)

    def waiting(self, seconds: float) -> bool:
        if os.name == "nt":
            return _key_pressed()
        return bool(select.select([sys.stdin], [], [], seconds)[0])

    def close(self) -> None:
        if self._readline is None:
            return
        try:
            self._history.parent.mkdir(parents=True, exist_ok=True)
            self._readline.write_history_file(self._history)
        except OSError as error:
            self._console.say(f"the history was not kept: {error.strerror}")


class StreamLines:
    """Lines of a pipe or file, read ahead by a thread so that we can ask whether more is waiting."""

    def __init__(self, stream: BinaryIO, console: Console, *, interactive: bool = False) -> None:
        self.interactive = interactive
        self._console = console
        self._queue: queue.Queue[bytes | None] = queue.Queue(maxsize=1000)
        self._ahead: list[bytes | None] = []
        self._ended = False
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream: BinaryIO) -> None:
        with contextlib.suppress(OSError, ValueError):  # the stream was closed under us: that is its end
            while line := stream.readline(MAX_LINE_BYTES):
                self._queue.put(line)
        self._queue.put(None)

    def next(self, prompt: str) -> str:
        if self.interactive:
            self._console.raw(prompt)
        while not self._ahead:
            self._fill(0.2)  # in short waits: Ctrl-C gets through on Windows too
        line = self._ahead[0]
        if line is None:
            raise EOFError
        self._ahead.pop(0)
        return decode(line).rstrip("\r\n")

    def waiting(self, seconds: float) -> bool:
        if not self._ahead:
            self._fill(seconds)
        return bool(self._ahead) and self._ahead[0] is not None

    def _fill(self, seconds: float) -> None:
        with contextlib.suppress(queue.Empty):
            self._ahead.append(self._queue.get(timeout=seconds))

    def close(self) -> None:
        pass


def decode(line: bytes) -> str:
    """UTF-8, with or without its mark; bytes that are not become lone surrogates, which the reader refuses."""
    return line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")


def history_file() -> Path:
    import platformdirs

    return platformdirs.user_state_path("newbie", appauthor=False) / "history.txt"


def _key_pressed() -> bool:
    import msvcrt

    return bool(msvcrt.kbhit())  # type: ignore[attr-defined,unused-ignore]
