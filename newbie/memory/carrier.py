"""From main memory to a card while it computes: from pages that the system may not move, in a stream of their own.

From ordinary memory the driver copies by way of a small buffer of its own, and whoever asked for it waits. From pinned
pages the card fetches by itself. Two things have to be waited for, and no more: a slot is overwritten only when the
computing that used it is over, and used only when what was sent has arrived. Both waits are the card's: Python runs on.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from newbie import devices

SHARE = 0.5  # of free main memory may be pinned: others need it too


class Event(Protocol):
    """A moment in a device's work."""

    def synchronize(self) -> None:
        """Wait for it here."""


class Carrier(Protocol):
    """Brings bytes to a device. `CardCarrier` is one; tests have others, which are late."""

    def buffers(self, size: int, blocks: int) -> int:
        """How many buffers of `size` bytes to have for so many blocks: one for each where there is room, else two."""

    def buffer(self, size: int) -> Tensor:
        """(size,) uint8 in main memory."""

    def send(self, buffer: Tensor, slot: Tensor, after: Any) -> Event:
        """Copy a buffer into a slot once `after` has happened; does not wait for that, nor for the copy."""

    def meet(self, sent: Any) -> None:
        """What computes from now on does so after `sent`."""

    def now(self) -> Event:
        """The moment when all computing asked for so far is done."""


class CardCarrier:
    """For an NVIDIA or AMD card."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)

    def buffers(self, size: int, blocks: int) -> int:
        """See `Carrier`."""
        return buffers(size, blocks, devices.free_memory())

    def buffer(self, size: int) -> Tensor:
        """See `Carrier`."""
        return torch.empty(size, dtype=torch.uint8, pin_memory=True)

    def send(self, buffer: Tensor, slot: Tensor, after: torch.cuda.Event) -> torch.cuda.Event:
        """See `Carrier`."""
        with torch.cuda.stream(self.stream):
            self.stream.wait_event(after)
            slot.copy_(buffer, non_blocking=True)
            return self.stream.record_event()

    def meet(self, sent: torch.cuda.Event) -> None:
        """See `Carrier`."""
        torch.cuda.current_stream(self.device).wait_event(sent)

    def now(self) -> torch.cuda.Event:
        """See `Carrier`."""
        return torch.cuda.current_stream(self.device).record_event()


def buffers(size: int, blocks: int, free: int) -> int:
    """One for each block where a share of what is free holds them, so that each is read once; else two."""
    return blocks if blocks * size <= SHARE * free else min(2, blocks)


def carrier(device: torch.device) -> Carrier | None:
    """The one for a device; None where blocks are read to where they are used."""
    return CardCarrier(device) if device.type == "cuda" else None
