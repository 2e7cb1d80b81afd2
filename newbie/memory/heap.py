"""The C library's heap, told to let go of weights: what comes and goes must not stay as holes between what stays.

glibc takes large pieces of memory from the system one by one and returns them when they are freed. But each one that is
freed raises the size from which it does so, up to 32 MiB: soon all weights come from its heap, where what is freed
between two pieces that stay is kept. A text encoder that leaves then does not make room for the transformer that comes:
loading one of 166 million weights in 8 bits for a second time took a gigabyte for its 212 MB.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # of malloc.h
_APART_FROM = 2**20  # bytes
_USUAL = 2**25  # what the library itself comes to


@contextmanager
def apart() -> Iterator[None]:
    """While it is open large tensors get pages of their own, which go back to the system when they are freed.

    For loading. Computing is faster without: new pages are cleared whenever they are first touched.
    """
    tell = _function("mallopt")
    if tell is None:
        yield
        return
    tell(_MMAP_THRESHOLD, _APART_FROM)
    try:
        yield
    finally:
        tell(_MMAP_THRESHOLD, _USUAL)
        tell(_TRIM_THRESHOLD, 2 * _USUAL)


def give_back() -> None:
    """Let the C library return to the system what was freed: it keeps small pieces, and those that lie between."""
    trim = _function("malloc_trim")
    if trim is not None:
        trim(0)


def _function(name: str) -> Callable[..., Any] | None:
    """Of the C library; None where it is another one, which has its own ways."""
    try:
        found: Callable[..., Any] = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError, TypeError):
        return None
    return found
