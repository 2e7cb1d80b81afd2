"""How much memory a computation holds at a time, found by running it on tensors without content.

On the meta device operations have shapes and no numbers: a decoder of 2048x2048 pixels runs there in a fraction of a
second. Whatever tensor appears is counted until the last one that shares its storage is gone, so the peak is that of
the same operations on a real device, but for what libraries allocate inside one operation.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Watched(TorchDispatchMode):
    """Counts the storages that operations make while it is active. `peak` and `held` in bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.held = self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {each.untyped_storage()._cdata for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)}
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in given:  # in place, or a view of what there was
                    self._count(storage)
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata not in self._sizes:
            self._sizes[storage._cdata] = storage.nbytes()
            self.held += storage.nbytes()
            self.peak = max(self.peak, self.held)
            weakref.finalize(storage, self._gone, storage._cdata)

    def _gone(self, key: int) -> None:
        self.held -= self._sizes.pop(key)


class AttentionInTiles(TorchFunctionMode):
    """PyTorch's attention as it is on real devices, where no back end holds the scores; without content it would."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.scaled_dot_product_attention:
            return torch.empty_like(args[0])
        return func(*args, **(kwargs or {}))


def peak_of(run: Callable[[], object]) -> int:
    """The most bytes that `run` holds beside what it was given, its result included. Without gradients."""
    with torch.no_grad(), AttentionInTiles(), Watched() as watched:
        result = run()
    del result
    return watched.peak
