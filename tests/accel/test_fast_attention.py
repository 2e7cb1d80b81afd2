"""DiTFastAttn by a plan: against its rules written out slowly, row by row; and what it must never change."""

from __future__ import annotations

import random
import threading

import pytest
import torch

from newbie.accel.cpu import CpuBlocks
from newbie.accel.fastattn import ATTENTION, FEED, FastAttention
from newbie.accel.leaves import Leaves
from newbie.accel.packed import Packed
from newbie.accel.runner import InOrder, RunBlock
from newbie.attention.kernel import SequenceInfo
from newbie.attention.reference import Reference
from newbie.attention.sdpa import Sdpa
from newbie.attention.window import Tiles, Windowed
from newbie.errors import UsageError
from newbie.model.nextdit import run_in_order
from newbie.step import Book, Memory, Step

from .conftest import CONFIG, small_model

GRID, N, LAYERS, COUNT = (4, 6), 24, CONFIG.n_layers, 5
WINDOW = Windowed(Sdpa(), GRID, Tiles(2, 0))
PLAIN = InOrder(RunBlock(Leaves.plain()))
LENGTHS = {"equal": (5, 5), "padded": (9, 4), "two pictures": (9, 9, 4, 4), "no words": (3, 0)}


class Batch:
    """A pair of captions, and states of random numbers for every evaluation."""

    def __init__(self, lengths, *, clip=True, seed=0):
        self.model = small_model(clip=clip)
        generator = torch.Generator().manual_seed(seed)
        hidden = torch.randn(len(lengths), max(*lengths, 1), CONFIG.cap_feat_dim, generator=generator)
        mask = torch.arange(hidden.shape[1]) < torch.tensor(lengths)[:, None]
        pooled = torch.randn(len(lengths), CONFIG.clip_text_dim, generator=generator) if clip else None
        size = (2 * GRID[0], 2 * GRID[1])
        self.prepared = self.model.prepare(hidden, mask, pooled, size, attend=Sdpa())
        self.lengths, self.width = lengths, self.prepared.words.shape[1]
        self.real = torch.cat((mask[:, : self.width], torch.ones(len(lengths), N).bool()), 1)
        rows = range(len(lengths))
        self.alone = [self.model.prepare(hidden[r, None, : lengths[r]], mask[r, None, : lengths[r]],
                                         None if pooled is None else pooled[r, None], size, attend=Reference())
                      for r in rows]  # fmt: skip
        self.x = [torch.randn(len(lengths), self.width + N, CONFIG.dim, generator=generator) for _ in range(COUNT)]

    def said(self, index, rows=slice(None)):
        pooled = self.prepared.pooled
        t = torch.full((len(self.lengths),), (index + 1) / (COUNT + 2))
        return self.model.modulations(t[rows], None if pooled is None else pooled[rows]).layers

    def run(self, runner, memory=None, evaluations=COUNT, book=None):
        memory, book = Memory() if memory is None else memory, Book() if book is None else book
        steps = [Step(index, COUNT, 0.1, memory, book) for index in range(evaluations)]
        return [runner(step, self.model.layers, self.x[step.index], self.said(step.index), self.prepared.seq)
                for step in steps]  # fmt: skip

    def slowly(self, plan, feed_plan, hold=False):
        """The rules of the paper for single rows without padding, one after another, with a mask for the window."""
        near = WINDOW.window.sees(GRID, torch.arange(N))
        half, state, answers = len(self.lengths) // 2, {}, []
        for index in range(COUNT):
            rows = [x[real][None] for x, real in zip(self.x[index], self.real, strict=True)]
            said = [self.said(index, slice(r, r + 1)) for r in range(len(rows))]
            for layer, block in enumerate(self.model.layers):
                action, feed = plan.get((index, layer), "compute"), feed_plan.get((index, layer), "compute")
                y = []
                for r, x in enumerate(rows):
                    n, seq = self.lengths[r], self.alone[r].seq
                    key = (layer, r)
                    if action == "reuse":
                        y.append(state[key, "output"])
                        continue
                    q, k, v = block.qkv(x, said[r][layer].scale_attn, seq)
                    bias = torch.zeros(n + N, n + N)
                    bias[n:, n:].masked_fill_(~near, float("-inf"))
                    windowed = Reference()(q, k, v, seq.info._replace(bias=bias))
                    o = Reference()(q, k, v, seq.info)
                    if action == "compute":
                        state[key, "residual"] = o - windowed
                    elif "window" in action:
                        o = windowed + state[key, "residual"]
                    elif action == "mean_v":
                        mean = v.mean(1).repeat_interleave(q.shape[2] // v.shape[2], 1)
                        o = torch.cat((o[:, :n], mean[:, None].expand(-1, N, -1, -1)), 1)
                    out = block.project(o)
                    if "cfg" in action and r >= half:
                        full = block.project(Reference()(q, k, v, seq.info))
                        words = state[key, "output"][:, :n] if hold and (key, "output") in state else full[:, :n]
                        kept = y[r - half]
                        out = torch.cat((words, kept[:, kept.shape[1] - N :]), 1)
                    y.append(out)
                for r in range(len(rows)):
                    state[(layer, r), "output"] = y[r]
                    rows[r] = rows[r] + said[r][layer].gate_attn * y[r]
                z = []
                for r, x in enumerate(rows):
                    n, key = self.lengths[r], (layer, r)
                    out = state[key, "feed"] if feed == "reuse" else block.feed(x, said[r][layer].scale_ffn)
                    if feed == "cfg" and r >= half:
                        out = torch.cat((out[:, :n], z[r - half][:, -N:]), 1)
                    z.append(out)
                for r in range(len(rows)):
                    state[(layer, r), "feed"] = z[r]
                    rows[r] = rows[r] + said[r][layer].gate_ffn * z[r]
            answers.append(rows)
        return answers


def policy(plan=None, feed_plan=None, *, pictures=1, window=WINDOW, **given):
    return FastAttention(Leaves.plain(), window, plan or {}, pictures, feed_plan or {}, **given)


def runner(fast):
    return InOrder(RunBlock(Leaves.plain(), attend=fast.attend, feed=fast.feed))


def random_plan(seed, known):
    draw = random.Random(seed).choice
    return {(i, layer): draw(known) for i in range(1, COUNT) for layer in range(LAYERS)}


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("hold", [False, True], ids=["words computed", "words held"])
@pytest.mark.parametrize("seed", range(2))
def test_a_plan_follows_the_rules_in_every_layout(lengths, hold, seed):
    plan, feed_plan = random_plan(seed, ATTENTION), random_plan(seed + 9, FEED)
    fast = policy(plan, feed_plan, pictures=len(lengths) // 2, hold_words=hold)
    for clip in (True, False):
        batch = Batch(lengths, clip=clip)
        right, book = batch.slowly(plan, feed_plan, hold), Book()
        padded = batch.run(runner(fast), book=book)
        for ours, rows in zip(padded, right, strict=True):
            for row, exact in enumerate(rows):
                torch.testing.assert_close(ours[row, batch.real[row]][None], exact, atol=2e-4, rtol=1e-4)
        if not clip:  # one long row of all tokens
            packed = batch.run(Packed(runner(fast), Sdpa(), N))
            for ours, exact in zip(packed, padded, strict=True):
                torch.testing.assert_close(ours[:, -N:], exact[:, -N:], atol=2e-4, rtol=1e-4)
        assert book.forced == 0


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_an_empty_plan_changes_no_bit(lengths):
    batch = Batch(lengths)
    plain = batch.run(lambda step, *given: run_in_order(*given))
    ours = batch.run(runner(policy(pictures=len(lengths) // 2, keep="all")))
    assert all(map(torch.equal, ours, plain))


def test_actions_in_the_book_are_the_plan():
    plan, feed_plan, book = random_plan(1, ATTENTION), random_plan(2, FEED), Book()
    Batch((9, 4)).run(runner(policy(plan, feed_plan)), book=book)
    for branch, planned in (("attn", plan), ("ffn", feed_plan)):
        first = {(0, layer): "compute" for layer in range(LAYERS)}
        assert {(i, layer): action for (layer, each, i), action in book.layers.items() if each == branch} == (
            planned | first
        )


def test_reuse_gives_the_same_tensor_and_computes_nothing():
    batch, fast = Batch((5, 5)), policy(lambda index, layer: "reuse" if index else "compute")
    calls = []
    leaves = Leaves("counted", lambda *given: calls.append("qkv") or Leaves.plain().qkv(*given), Leaves.plain().rest,
                    project=lambda *given: calls.append("project") or Leaves.plain().project(*given))  # fmt: skip
    fast = FastAttention(leaves, WINDOW, fast.actions, 1)
    memory, block, m = Memory(), batch.model.layers[0], batch.said(0)[0]
    answers = [fast.attend(Step(i, COUNT, 0.1, memory), 0, block, batch.x[i], m.scale_attn, batch.prepared.seq)
               for i in range(3)]  # fmt: skip
    assert answers[1] is answers[0] and answers[2] is answers[0]
    assert calls == ["qkv", "project"]


def test_a_window_of_the_whole_picture_leaves_everything_as_it_is():
    batch = Batch((9, 4))
    plain = batch.run(PLAIN)
    whole = policy(lambda index, layer: "window" if index else "compute", window=Windowed(Sdpa(), GRID, Tiles(6, 1)))
    assert all(map(torch.equal, batch.run(runner(whole)), plain))


def test_a_window_with_its_residual_at_the_same_state_is_everything():
    batch = Batch((9, 4))
    fast, memory = policy({(1, 0): "window"}), Memory()
    block, m, x = batch.model.layers[0], batch.said(0)[0], batch.x[0]
    full, again = (fast.attend(Step(i, COUNT, 0.1, memory), 0, block, x, m.scale_attn, batch.prepared.seq)
                   for i in (0, 1))  # fmt: skip
    torch.testing.assert_close(again[batch.real], full[batch.real], atol=1e-5, rtol=1e-5)


def test_a_pair_of_twins_is_shared_exactly_and_other_pairs_get_the_prompts_half():
    plan = {(i, layer): "cfg" for i in range(1, COUNT) for layer in range(LAYERS)}
    twins = Batch((5, 5))
    model, prepared = twins.model, twins.prepared
    twins.prepared = prepared._replace(pooled=prepared.pooled[:1].expand(2, -1))
    twins.x = [x[:1].expand(2, -1, -1).contiguous() for x in twins.x]
    for ours, plain in zip(twins.run(runner(policy(plan, plan))), twins.run(PLAIN), strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-5)
    others, m = Batch((5, 5)), Batch((5, 5)).said(1)[0]
    given = (0, model.layers[0], others.x[1], m.scale_attn, others.prepared.seq)
    y = policy(plan).attend(Step(1, COUNT, 0.1, Memory()), *given)
    assert torch.equal(y[0, 5:], y[1, 5:]) and not torch.equal(y[0, :5], y[1, :5])
    plain = RunBlock(Leaves.plain()).plain_attend(None, *given)
    torch.testing.assert_close(y[0], plain[0])
    torch.testing.assert_close(y[1, :5], plain[1, :5])


def test_rows_do_not_meet():
    plan = random_plan(3, ATTENTION)
    batch, alone = Batch((9, 9, 4, 4)), Batch((9, 4))
    second = [1, 3]
    alone.prepared = batch.model.prepare(torch.zeros(2, 9, 20), batch.real[second, :9], None, (8, 12), attend=Sdpa())
    alone.prepared = alone.prepared._replace(pooled=batch.prepared.pooled[second])
    alone.x = [x[second] for x in batch.x]
    single, double = policy(plan), policy(plan, pictures=2)
    for ours, exact in zip(batch.run(runner(double)), alone.run(runner(single)), strict=True):
        for row, other in enumerate(second):
            real = batch.real[other]
            torch.testing.assert_close(ours[other, real], exact[row, real], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_leaves_made_for_a_cpu_give_the_same_in_inference_mode(dtype):
    plan, feed_plan, batch = random_plan(6, ATTENTION), random_plan(7, FEED), Batch((9, 4))
    plain = batch.run(runner(policy(plan, feed_plan)))
    batch.model.to(dtype)
    leaves = CpuBlocks.of(batch.model.layers).leaves()
    fast = FastAttention(leaves, WINDOW, plan, 1, feed_plan)
    with torch.inference_mode():
        batch.x = [x.to(dtype) for x in batch.x]
        batch.prepared = batch.prepared._replace(pooled=batch.prepared.pooled.to(dtype))
        ours = batch.run(InOrder(RunBlock(leaves, attend=fast.attend, feed=fast.feed)))
    for a, b in zip(ours, plain, strict=True):
        wrong = (a.float() - b)[batch.real].norm() / b[batch.real].norm()
        assert a.dtype == dtype and wrong < (1e-5 if dtype == torch.float32 else 0.05)


def test_layers_with_adapters_and_fewer_bits_are_run_as_they_are():
    plan, batch = random_plan(8, ATTENTION), Batch((9, 4))
    plain = batch.run(runner(policy(plan)))
    kept = batch.model.layers[1].attention.out

    class Other(torch.nn.Module):  # a layer that has no weight of its own to be read
        def forward(self, x):
            return kept(x)

    batch.model.layers[1].attention.out = Other()
    assert all(map(torch.equal, batch.run(runner(policy(plan))), plain))


def test_generations_do_not_meet():
    plan, batches = random_plan(4, ATTENTION), [Batch((9, 4), seed=seed) for seed in (0, 1)]
    shared = runner(policy(plan, random_plan(5, FEED)))
    alone = [batch.run(shared) for batch in batches]
    batches[0].run(shared, evaluations=2)  # cancelled
    answers = {}

    def work(n):
        with torch.no_grad():
            answers[n] = batches[n].run(shared)

    threads = [threading.Thread(target=work, args=(n,)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in (0, 1):
        assert all(map(torch.equal, answers[n], alone[n]))


def test_what_is_kept_is_what_will_be_read():
    batch = Batch((5, 5))

    def watch(plan, feed_plan=None, **given):
        memory = Memory()
        batch.run(runner(policy(plan, feed_plan, **given)), memory, evaluations=1)
        return {key[1:] for key in memory} - {("layout",)}, memory.nbytes

    every = range(LAYERS)
    assert watch({}) == (set(), 0)
    states, size = watch({(1, 1): "cfg", (2, 1): "window+cfg", (1, 0): "cfg"})
    assert states == {(1, "residual")} and size == 2 * N * CONFIG.dim * 4
    assert watch({(3, 1): "window", (2, 1): "compute"})[0] == set()
    assert watch({(1, 2): "reuse"})[0] == {(2, "output")}
    assert watch({}, {(1, 2): "reuse"})[0] == {(2, "feed")}
    assert watch({(2, 2): "reuse"}, {(2, 2): "reuse"}) == (set(), 0)  # of evaluation 1, which answers anew
    assert watch({(1, 2): "skip", (2, 2): "reuse"})[0] == {(2, "output")}  # of this one, as 1 does not run
    assert watch({(1, 1): "cfg"}, hold_words=True)[0] == {(1, "output")}
    assert watch({}, keep="all")[0] == {(layer, what) for layer in every for what in ("residual", "output", "feed")}


def test_state_that_is_not_there_is_computed_and_told():
    batch, fast = Batch((5, 5)), policy({(1, 0): "window", (2, 1): "reuse", (3, 2): "window+cfg"})
    block, m, memory, book = batch.model.layers[0], batch.said(1)[0], Memory(), Book()
    for index, layer in ((1, 0), (2, 1), (3, 2)):  # as if a cache had skipped what came before
        given = (layer, block, batch.x[1], m.scale_attn, batch.prepared.seq)
        y = fast.attend(Step(index, COUNT, 0.1, memory, book), *given)
        assert torch.equal(y, RunBlock(Leaves.plain()).plain_attend(None, *given))
    assert book.forced == 3 and list(book.layers.values()) == ["compute"] * 3


def test_what_a_plan_refuses():
    batch = Batch((5, 5))
    with pytest.raises(UsageError, match="evaluation 0, layer 1: there is no action 'windwo'"):
        batch.run(runner(policy({(0, 1): "windwo"})))
    with pytest.raises(UsageError, match="evaluation 1, layer 0: nothing to share"):
        batch.run(runner(policy({(1, 0): "cfg"}, pictures=2)))
    memory = Memory()
    batch.run(runner(policy()), memory)
    with pytest.raises(UsageError, match="memory of its own"):
        Batch((9, 4)).run(runner(policy()), memory)
    mixed = batch.prepared.seq._replace(info=SequenceInfo.of(torch.arange(5 + N) < torch.tensor([5 + N, 9])[:, None]))
    with pytest.raises(UsageError, match="several sizes"):
        runner(policy())(Step(0, COUNT, 0.1, Memory()), batch.model.layers, batch.x[0], batch.said(0), mixed)


def test_the_noise_refiner_is_left_alone():
    batch = Batch((5, 5))
    image, m = batch.x[0][:, 5:], batch.model.modulations(torch.full((2,), 0.1), batch.prepared.pooled).refiner
    given = (batch.model.noise_refiner, image, m, batch.prepared.image)
    never = policy(lambda index, layer: pytest.fail("asked"), lambda index, layer: pytest.fail("asked"))
    assert torch.equal(runner(never).refine(*given), run_in_order(*given))
