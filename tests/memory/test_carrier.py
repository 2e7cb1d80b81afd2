"""Blocks that go to a card by way of buffers, with a card that takes as long as it may, and one that is real."""

from __future__ import annotations

import pytest
import torch

from newbie import Pipeline, Request, Settings
from newbie.checkpoints.load import furnished
from newbie.checkpoints.plan import plan_load
from newbie.memory.carrier import buffers
from newbie.memory.streamed import BlockStream

CPU = torch.device("cpu")
REQUEST = Request(prompt="1girl, blue_hair, smile", steps=2, width=64, height=64, seed=5)


class Copy:
    """Happens when somebody waits for it, and not before."""

    def __init__(self, buffer, slot) -> None:
        self.buffer, self.slot, self.done = buffer, slot, False

    def synchronize(self) -> None:
        if not self.done:
            self.slot.copy_(self.buffer)
            self.done = True


class Moment:
    """All computing up to it is done: on a CPU it is when Python is."""

    def synchronize(self) -> None:
        pass


class LateCarrier:
    """A card that copies only when it must. What it has not been told to wait for it gets wrong."""

    def __init__(self, count: int) -> None:
        self.count, self.moments, self.copies = count, [], []

    def buffers(self, size: int, blocks: int) -> int:
        return min(self.count, blocks)

    def buffer(self, size: int) -> torch.Tensor:
        return torch.zeros(size, dtype=torch.uint8)

    def send(self, buffer, slot, after) -> Copy:
        assert isinstance(after, Moment)
        for copy in self.copies:  # a stream does one after another
            copy.synchronize()
        slot.fill_(255)  # NaN until it has arrived
        self.copies = [Copy(buffer, slot)]
        return self.copies[0]

    def meet(self, sent: Copy) -> None:
        sent.synchronize()

    def now(self) -> Moment:
        self.moments.append(Moment())
        return self.moments[-1]


def stream(parts, carrier) -> BlockStream:
    plan = plan_load(parts.transformer)
    return BlockStream(plan, furnished(plan, torch.float32), CPU, torch.float32, carrier=carrier)


@pytest.mark.parametrize("count", [2, 3, 100])
def test_every_block_arrives_whole_when_it_is_used(parts, count):
    late, plain = stream(parts, LateCarrier(count)), stream(parts, None)
    blocks = [torch.nn.Identity() for _ in late.blocks]
    for _ in range(3):  # evaluations
        for number, _ in enumerate(
            zip(late.over(blocks, range(len(blocks))), plain.over(blocks, range(len(blocks))), strict=True)
        ):
            slot = number % 2
            assert torch.equal(late.slots[slot], plain.slots[slot]), number


def test_with_a_buffer_for_each_block_each_is_read_once(parts):
    for count, times in ((2, 3), (100, 1)):
        found = stream(parts, LateCarrier(count))
        blocks = [torch.nn.Identity() for _ in found.blocks]
        for _ in range(3):
            list(found.over(blocks, range(len(blocks))))
        assert times * len(blocks) <= found.read <= times * len(blocks) + 1


def test_a_slot_is_free_only_when_the_computing_that_used_it_is_over(parts):
    carrier = LateCarrier(2)
    sent = []
    send = carrier.send
    carrier.send = lambda buffer, slot, after: sent.append(carrier.moments.index(after)) or send(buffer, slot, after)
    found = stream(parts, carrier)
    list(found.over([torch.nn.Identity() for _ in found.blocks], range(len(found.blocks))))
    # Two moments from before; then block n leaves moment n + 2, and block n + 2, which comes to its slot, waits for it.
    assert sent[: len(found.blocks)] == list(range(len(found.blocks)))


def test_a_block_that_fails_leaves_its_slot_all_the_same(parts):
    carrier = LateCarrier(2)
    found = stream(parts, carrier)
    running = found.over([torch.nn.Identity() for _ in found.blocks], range(len(found.blocks)))
    next(running)
    before = len(carrier.moments)
    with pytest.raises(RuntimeError):
        running.throw(RuntimeError("out of memory"))
    assert len(carrier.moments) == before + 1


def test_pictures_are_the_same_bits(monkeypatch):
    wanted = Pipeline.open(settings=Settings(device="cpu", leaves="plain")).generate(REQUEST).images[0]
    monkeypatch.setattr("newbie.memory.lodging.carrier", lambda device: LateCarrier(2))
    moved = Pipeline.open(settings=Settings(device="cpu", leaves="plain", offload="blocks"))
    assert isinstance(moved.lodging.stream.carrier, LateCarrier)
    assert moved.generate(REQUEST).images[0].tobytes() == wanted.tobytes()


def test_buffers_take_no_more_than_a_share_of_what_is_free():
    assert buffers(100, 36, free=7200) == 36
    assert buffers(100, 36, free=7199) == 2
    assert buffers(100, 1, free=0) == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_blocks_come_to_a_card_from_pinned_memory_and_make_the_same_picture():
    wanted = Pipeline.open(settings=Settings(device="cuda", leaves="plain", offload="none")).generate(REQUEST)
    moved = Pipeline.open(settings=Settings(device="cuda", leaves="plain", offload="blocks"))
    stream = moved.lodging.stream
    assert all(buffer.is_pinned() for buffer in stream.buffers)
    for _ in range(3):
        assert moved.generate(REQUEST).images[0].tobytes() == wanted.images[0].tobytes()
    assert stream.carrier.stream != torch.cuda.current_stream()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_copy_overlaps_computing_by_nine_tenths_of_the_shorter():
    """As the blocks of the release model: 175 MB each, and as much computing beside it."""
    from newbie.memory.carrier import CardCarrier

    device, count = torch.device("cuda"), 20
    card = CardCarrier(device)
    buffer = card.buffer(175_000_000)
    slots = [torch.empty(175_000_000, dtype=torch.uint8, device=device) for _ in range(2)]
    a = torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)

    def seconds(*, copy: bool, compute: bool) -> float:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        begin.record()
        left = [card.now(), card.now()]
        sent = card.send(buffer, slots[0], left[0]) if copy else card.now()
        for n in range(count):
            if copy:
                card.meet(sent)
                sent = card.send(buffer, slots[(n + 1) % 2], left[(n + 1) % 2])
            if compute:
                for _ in range(4):
                    a @ a
            left[n % 2] = card.now()
        if copy:
            card.meet(sent)
        end.record()
        torch.cuda.synchronize()
        return begin.elapsed_time(end) / 1000

    for _ in range(2):
        copying, computing = seconds(copy=True, compute=False), seconds(copy=False, compute=True)
        both = seconds(copy=True, compute=True)
    assert copying + computing - both >= 0.9 * min(copying, computing)
