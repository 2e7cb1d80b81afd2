"""Texts that were encoded before. The weights never change, so the same tokens give the same features for ever.

The negative prompt is mostly the same for a whole session, and a prompt is drawn many times before it is changed: both
are found here. What is kept are the features of single texts, in the bits in which the encoder gave them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock

from torch import Tensor

LIMIT = 64 * 2**20  # bytes: about 25 prompts of the published model, thousands of newbie-mini's


class TextCache:
    """Features by encoder, limit and token ids; those not asked for longest make room for new ones.

    Several threads may use one. Two that miss the same text at once both encode it, and keep the same numbers.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.bytes = 0
        self._kept: OrderedDict[Hashable, Tensor] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """What was kept under this key, or else what `make` gives. Not to be written into."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make().detach()  # outside the lock: encoding takes long
        with self._lock:
            if key not in self._kept and size(made) <= self.limit:
                self._kept[key] = made
                self.bytes += size(made)
                while self.bytes > self.limit:
                    _, oldest = self._kept.popitem(last=False)
                    self.bytes -= size(oldest)
        return made


def size(features: Tensor) -> int:
    """Bytes."""
    return features.numel() * features.element_size()
