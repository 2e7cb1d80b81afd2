"""Memory that ran out, and a person who pressed Ctrl-C, as errors of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from newbie.devices import is_shortage
from newbie.errors import Cancelled, MemoryShortage


@contextmanager
def memory_errors(device: str) -> Iterator[None]:
    """Raise MemoryShortage and Cancelled in place of whatever says so inside."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if is_shortage(error):
            raise MemoryShortage(
                f"out of memory on {device}", "try --memory auto, a smaller --size, --batch-size 1, or --dtype bf16"
            ) from error
        raise
    except KeyboardInterrupt as error:
        raise Cancelled from error
