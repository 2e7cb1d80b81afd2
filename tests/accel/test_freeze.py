"""Words that stand still: against the arithmetic written out row by row, and what must not change."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest
import torch

from newbie.accel.apart import Apart
from newbie.accel.decide import Freeze
from newbie.accel.freeze import TextFreeze
from newbie.accel.last import to_the_image
from newbie.accel.leaves import Leaves
from newbie.accel.packed import Packed
from newbie.accel.runner import InOrder, RunBlock
from newbie.attention.reference import Reference
from newbie.attention.sdpa import Sdpa
from newbie.errors import UsageError

from .accelerating import request, solved
from .conftest import CONFIG, small_model
from .test_fast_attention import LENGTHS, Batch, N

BLOCKS = to_the_image(InOrder(RunBlock(Leaves.plain())), CONFIG.n_layers - 1)


class Whole(NamedTuple):
    """A kernel that wants as many queries as keys."""

    name: str = "whole"
    needs = replace(Sdpa().needs, fewer_queries=False)

    def __call__(self, q, k, v, seq):
        assert q.shape[1] == k.shape[1]
        return Sdpa()(q, k, v, seq)


def frozen(pictures=1):
    """From the first evaluation on."""
    return TextFreeze(Freeze(0, 99, 99), BLOCKS, lambda blocks: blocks, pictures)


def slowly(batch):
    """The image tokens of evaluation 1, every row by itself, while its words are those of evaluation 0."""
    answers = []
    for r, n in enumerate(batch.lengths):
        seq, rows = batch.alone[r].seq, [x[r][batch.real[r]][None] for x in batch.x[:2]]
        said = [batch.said(i, slice(r, r + 1)) for i in (0, 1)]
        first, image = rows[0], rows[1][:, n:]
        for layer, block in enumerate(batch.model.layers):
            whole = torch.cat((first[:, :n], image), 1)
            then, now = (block.qkv(x, m[layer].scale_attn, seq) for x, m in zip((first, whole), said, strict=True))
            q, k, v = (torch.cat((a[:, :n], b[:, n:]), 1) for a, b in zip(then, now, strict=True))
            image = image + said[1][layer].gate_attn * block.project(Reference()(q, k, v, seq.info))[:, n:]
            image = image + said[1][layer].gate_ffn * block.feed(image, said[1][layer].scale_ffn)
            first = block(first, said[0][layer], seq)
        answers.append(image)
    return torch.cat(answers)


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_a_frozen_evaluation_is_a_full_one_whose_words_are_those_of_before(lengths):
    pictures = len(lengths) // 2
    for clip in (True, False):
        batch = Batch(lengths, clip=clip)
        right = slowly(batch)
        layouts = [frozen(pictures), Apart(frozen(pictures), Sdpa(), N)]
        for runner in layouts if clip else [*layouts, Packed(frozen(pictures), Sdpa(), N)]:
            ours = batch.run(runner, evaluations=2)[1]
            torch.testing.assert_close(ours[:, -N:], right, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("kernel", [Sdpa(), Whole()])
def test_at_the_same_state_nothing_is_lost(kernel):
    batch = Batch((9, 4))
    batch.x[1], batch.said = batch.x[0], lambda index, said=batch.said: said(0)
    batch.prepared = batch.prepared._replace(seq=batch.prepared.seq._replace(attend=kernel))
    full, again = batch.run(frozen(), evaluations=2)
    torch.testing.assert_close(again, full[:, -N:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("clip", [True, False])
def test_evaluations_are_full_to_the_bit_until_words_are_frozen(clip):
    model, states = small_model(clip=clip), {"": [], "freeze:at=0.25,refresh=4,cooldown=2": []}
    for accel, seen in states.items():
        _, velocity = solved(request(model, accel), on_step=lambda i, n, x, *_, seen=seen: seen.append(x))
    same = [torch.equal(*both) for both in zip(*states.values(), strict=True)]
    assert same == [True] * 4 + [False] * 8
    still = {i for _, branch, i in velocity.book.layers if branch == "words"}
    assert still == set(range(12)) - {0, 1, 2, 3, 7, 10, 11}


def test_what_is_kept_are_keys_and_values_of_the_words():
    asked = request(small_model(clip=False), "freeze:at=0.25")
    kept = 2 * CONFIG.n_layers * (9 + 4) * CONFIG.n_kv_heads * CONFIG.head_dim * 4
    assert solved(asked)[1].book.kept == kept <= asked.kept(1) < 2 * kept


def test_where_a_cache_left_nothing_to_note_the_next_evaluation_notes():
    book = solved(request(small_model(), "mask:steps=0-1+5+8-11,freeze:at=0.25,refresh=99,cooldown=1"))[1].book
    assert {i for _, branch, i in book.layers if branch == "words"} == {8, 9, 10}  # 5 noted, 6 and 7 are skipped


def test_guidance_that_ends_notes_once_more():
    book = solved(request(small_model(), "delta:period=2,freeze:at=0.25,refresh=99,cooldown=1"))[1].book
    assert {i for _, branch, i in book.layers if branch == "words"} == set(range(5, 11))  # 3 and 4: one of each kind


@pytest.mark.parametrize(("also", "said"), [("deepcache:back=1", "back=1"), ("dbcache:back=2", "back=2")])
def test_last_blocks_that_always_run_are_refused(also, said):
    with pytest.raises(UsageError, match=said) as caught:
        request(small_model(), f"{also},freeze")
    assert caught.value.hint == "back=0"
