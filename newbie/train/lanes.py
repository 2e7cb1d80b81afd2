"""Several parts of a batch at once, each on one core: small products share a core's cache, and threads that work on
one product together spend much of their time waiting for each other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

import torch

T = TypeVar("T")


class Lanes:
    """So many threads, in each of which torch uses one core; with one lane, the calling thread as it is."""

    def __init__(self, count: int) -> None:
        # What torch does in a thread runs there, its backward pass included, and lets the others run meanwhile.
        self._pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) if count > 1 else None

    def __enter__(self) -> Lanes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def starmap(self, work: Callable[..., T], tasks: Iterable[tuple[Any, ...]]) -> Iterator[T]:
        """`work(*task)` of each task, in their order whatever finished first. Raises what the work raised."""
        if self._pool is None:
            yield from (work(*task) for task in tasks)
            return
        waiting = deque(self._pool.submit(work, *task) for task in tasks)
        while waiting:
            yield waiting.popleft().result()
