"""What the process holds now and held at most, as the system counts it.

Resident memory has two kinds: the process's own (anonymous), and pages of files that are mapped, which the system may
take back at any time without asking. A limit is held by both together; they are told apart.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import NamedTuple

from newbie.devices import proc_sizes

ITSELF = "self"


class Resident(NamedTuple):
    """Bytes of main memory."""

    own: int
    mapped: int

    @property
    def whole(self) -> int:
        return self.own + self.mapped

    @classmethod
    def now(cls, process: int | str = ITSELF) -> Resident:
        """Of this process, or of another by its number. Zeros where the system does not tell."""
        sizes = proc_sizes(f"{process}/status")
        return cls(sizes.get("RssAnon", 0), sizes.get("RssFile", 0) + sizes.get("RssShmem", 0))


def highest(process: int | str = ITSELF) -> int:
    """Bytes that a process has had resident at most since it began; 0 where the system does not tell."""
    return proc_sizes(f"{process}/status").get("VmHWM", 0)


class Meter:
    """The peak while it is open, looked at every `interval` seconds from a thread of its own.

    `highest` is what the system itself has noted: it misses nothing, but does not tell the two kinds apart, and counts
    from the beginning of the process.
    """

    def __init__(self, interval: float = 0.005, process: int | str = ITSELF) -> None:
        self.interval = interval
        self.process = process
        self.highest = 0
        self.before = self.peak = Resident(0, 0)  # of the moment in which the sum was highest
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Meter:
        self.before = self.peak = Resident.now(self.process)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak = max(self.peak, Resident.now(self.process), key=lambda resident: resident.whole)
            self.highest = max(self.highest, highest(self.process))
            if self._stop.wait(self.interval):
                return
