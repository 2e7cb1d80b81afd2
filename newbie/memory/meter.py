"""What the process holds now and held at most, as the system counts it.

Resident memory has two kinds: the process's own (anonymous), and pages of files that are mapped, which the system may
take back at any time without asking. A limit is held by both together; they are told apart.
"""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

STATUS = Path("/proc/self/status")


class Resident(NamedTuple):
    """Bytes of main memory."""

    own: int
    mapped: int

    @property
    def whole(self) -> int:
        return self.own + self.mapped

    @classmethod
    def now(cls) -> Resident:
        """Zeros where the system does not tell."""
        try:
            lines = STATUS.read_text(encoding="ascii").splitlines()
        except OSError:
            return cls(0, 0)
        sizes = {name: int(value.split()[0]) * 1024 for name, _, value in (line.partition(":") for line in lines)
                 if name.startswith("Rss")}  # fmt: skip
        return cls(sizes.get("RssAnon", 0), sizes.get("RssFile", 0) + sizes.get("RssShmem", 0))


class Meter:
    """The peak while it is open, looked at every `interval` seconds from a thread of its own."""

    def __init__(self, interval: float = 0.005) -> None:
        self.interval = interval
        self.before = self.peak = Resident(0, 0)  # of the moment in which the sum was highest
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Meter:
        self.before = self.peak = Resident.now()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak = max(self.peak, Resident.now(), key=lambda resident: resident.whole)
            if self._stop.wait(self.interval):
                return
