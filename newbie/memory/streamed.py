"""Blocks that come one by one: two are in memory, and while one computes the next is read into the place of the last.

There are as many slots as blocks may be in memory, each as large as the largest block. Block n always comes to slot n
modulo their number, so its parameters are views of that slot, made once: modules, adapters on them and leaves that hold
their weights never change, only the bytes beneath them do. Whoever runs the blocks in order, as every runner does, gets
each when it is there. The reading is done by a thread of its own.

To a card each block goes by way of a buffer in main memory (`carrier`), from which the card fetches it by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from newbie.accel.runner import Runner
from newbie.checkpoints.load import put, read
from newbie.checkpoints.plan import Plan
from newbie.memory.carrier import Carrier, Event
from newbie.memory.weights import joint_blocks
from newbie.model.block import Modulation, TokenSequence
from newbie.step import Step

ALIGNED = 64  # bytes: where a tensor may begin in a slot
HOST = torch.device("cpu")


class BlockStream:
    """The joint blocks of a transformer, read from its file whenever they come up.

    Args:
        plan: what the file holds.
        network: furnished, its blocks without memory; they get parameters that are views of the slots.
        slots: how many blocks are in memory at a time, at least two.
        carrier: brings them to the device; None: they are read to where they are used.
    """

    def __init__(
        self,
        plan: Plan,
        network: nn.Module,
        device: torch.device,
        dtype: torch.dtype,
        *,
        slots: int = 2,
        carrier: Carrier | None = None,
    ) -> None:
        self.plan, self.device, self.dtype = plan, device, dtype
        self.blocks = joint_blocks(plan)
        inside = [self._inside(network, names) for names in self.blocks]
        self._order = [sorted(names) for names in self.blocks]
        size = max(_end(tensors) for tensors in inside)
        self.slots = [torch.empty(size, dtype=torch.uint8, device=device) for _ in range(min(slots, len(inside)))]
        views = [_placed(self.slots[n % len(self.slots)], tensors) for n, tensors in enumerate(inside)]
        for each in views:
            for name, view in each.items():
                put(network, name, view)
        self.carrier = carrier
        if carrier is not None:
            self.buffers = [carrier.buffer(size) for _ in range(carrier.buffers(size, len(inside)))]
            views = [_placed(self.buffers[n % len(self.buffers)], tensors) for n, tensors in enumerate(inside)]
            self._sent: list[Event | None] = [None] * len(self.buffers)
            self._kept: list[int | None] = [None] * len(self.buffers)  # the block in a buffer
        self._read_to = views
        self._holds: list[int | None] = [None] * len(self.slots)  # the block whose weights are, or will be, in a slot
        self._coming: dict[int, Future[Event | None]] = {}
        # Whoever had the memory of the slots before may still be at it, too.
        self._left = [None if carrier is None else carrier.now() for _ in self.slots]
        self._reader = ThreadPoolExecutor(1, "blocks")
        self._seen: set[int] = set()  # blocks whose numbers have been looked at
        self.read = 0  # blocks so far

    def over(self, blocks: Sequence[nn.Module], numbers: range) -> Iterator[nn.Module]:
        """Those of `blocks` when their weights are there; the next is on its way meanwhile."""
        for number in numbers:
            block = blocks[number]
            self._ask(number)
            self._wait(number)
            following = (number + 1) % len(self.blocks)
            if following % len(self.slots) != number % len(self.slots):
                self._ask(following)
            try:
                yield block
            finally:
                if self.carrier is not None:  # the card may still be at it when Python is done, or has failed
                    self._left[number % len(self.slots)] = self.carrier.now()

    def close(self) -> None:
        """Let the slots go. No block comes any more."""
        self._reader.shutdown(wait=True)
        if self.carrier is not None:
            for sent in self._sent:
                if sent is not None:
                    sent.synchronize()
            self.buffers.clear()
        self.slots.clear()
        self._read_to.clear()

    def _ask(self, number: int) -> None:
        slot = number % len(self.slots)
        if self._holds[slot] != number:
            self._holds[slot] = number
            self._coming[number] = self._reader.submit(self._bring, number, self._left[slot])

    def _wait(self, number: int) -> None:
        coming = self._coming.pop(number, None)
        if coming is None:
            return
        try:
            sent = coming.result()
        except BaseException:
            self._holds[number % len(self.slots)] = None
            raise
        if self.carrier is not None and sent is not None:
            self.carrier.meet(sent)

    @torch.no_grad()
    def _bring(self, number: int, left: Event | None) -> Event | None:
        """Bring a block to its slot, in the reader's thread: when it returns the weights are there, or on their way."""
        if self.carrier is None:
            self._read(number)
            return None
        place = number % len(self.buffers)
        if self._kept[place] != number:
            if (sent := self._sent[place]) is not None:
                sent.synchronize()
            self._kept[place] = None
            self._read(number)
            self._kept[place] = number
        sent = self.carrier.send(self.buffers[place], self.slots[number % len(self.slots)], left)
        self._sent[place] = sent
        return sent

    def _read(self, number: int) -> None:
        views = self._read_to[number]
        for name in self._order[number]:
            for place, tensor in read(self.plan, name, HOST, self.dtype, look=number not in self._seen).items():
                views[place].copy_(tensor)
        self._seen.add(number)
        self.read += 1

    def _inside(self, network: nn.Module, names: frozenset[str]) -> dict[str, Tensor]:
        """What is stored for a block, without memory, in the formats in which it is used."""
        paths = {name.removesuffix(".weight") for name in names}
        found = {}
        for name, tensor in network.state_dict().items():
            if name in names or name.rpartition(".")[0] in paths:
                number = tensor.is_floating_point() and _is_parameter(network, name)
                found[name] = tensor.to(self.dtype) if number else tensor
        return found


@dataclass(frozen=True)
class Streamed:
    """A policy: `inner`, given the blocks as they come."""

    inner: Runner
    stream: BlockStream

    def __call__(
        self, step: Step, blocks: Sequence[nn.Module], x: Tensor, m: Sequence[Modulation], seq: TokenSequence
    ) -> Tensor:
        """As `inner`."""
        coming = _AsTheyCome(self.stream, blocks, range(len(blocks)))
        return self.inner(step, cast("Any", coming), x, m, seq)


@dataclass(frozen=True)
class _AsTheyCome:
    """Blocks to be gone through in order, any number of times; a slice of them is read without the others."""

    stream: BlockStream
    blocks: Sequence[nn.Module]
    numbers: range

    def __iter__(self) -> Iterator[nn.Module]:
        return self.stream.over(self.blocks, self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, some: slice) -> _AsTheyCome:
        return _AsTheyCome(self.stream, self.blocks, self.numbers[some])


def _end(tensors: Mapping[str, Tensor]) -> int:
    return sum(_room(tensor) for tensor in tensors.values())


def _room(tensor: Tensor) -> int:
    return math.ceil(tensor.nbytes / ALIGNED) * ALIGNED


def _placed(slot: Tensor, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of these shapes and formats, one after another in a slot."""
    views, start = {}, 0
    for name, tensor in tensors.items():
        views[name] = slot[start : start + tensor.nbytes].view(tensor.dtype).view(tensor.shape)
        start += _room(tensor)
    return views


def _is_parameter(network: nn.Module, name: str) -> bool:
    owner, _, leaf = name.rpartition(".")
    return leaf in network.get_submodule(owner)._parameters
