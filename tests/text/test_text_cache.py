"""Texts that were encoded before: the same bits, in bounded memory, for several threads."""

from __future__ import annotations

import threading

import pytest
import torch

from newbie.prompt import read, render
from newbie.text.cache import TextCache, size
from newbie.text.encode import TextStack


@pytest.fixture
def stack(mini) -> TextStack:
    return TextStack(mini.text.gemma, mini.text.jina)


PROMPTS = [render(read("1girl, red_hair")), render(read(""))]


def test_a_text_is_encoded_once_and_found_bit_for_bit(stack: TextStack) -> None:
    fresh = stack.encode(PROMPTS, reuse=False)
    first, again = stack.encode(PROMPTS), stack.encode(PROMPTS)
    assert (fresh.runs, first.runs, again.runs) == (4, 4, 0)
    for found in (first, again):
        assert torch.equal(found.features.hidden, fresh.features.hidden)
        assert torch.equal(found.features.pooled, fresh.features.pooled)
        assert torch.equal(found.features.mask, fresh.features.mask)


def test_the_empty_negative_prompt_is_known_from_the_second_prompt_on(stack: TextStack) -> None:
    stack.encode(PROMPTS)
    assert stack.encode([render(read("1boy")), PROMPTS[1]]).runs == 2  # the new prompt, by two encoders


def test_features_of_a_batch_may_be_written_into(stack: TextStack) -> None:
    first = stack.encode(PROMPTS).features
    kept = first.hidden.clone()
    first.hidden.zero_()
    assert torch.equal(stack.encode(PROMPTS).features.hidden, kept)


def test_another_limit_is_another_text(stack: TextStack) -> None:
    from dataclasses import replace

    shorter = TextStack(replace(stack.gemma, limit=12), stack.jina, stack.cache)
    stack.encode(PROMPTS)
    fewer = shorter.encode(PROMPTS)
    assert fewer.runs >= 1 and max(fewer.features.lengths()) == 12


def test_the_longest_unused_make_room() -> None:
    cache = TextCache(limit=3 * 40)
    rows = {key: torch.full((10,), float(key)) for key in range(5)}
    for key in (0, 1, 2):
        cache.get(key, lambda key=key: rows[key])
    cache.get(0, lambda: pytest.fail("0 was there"))
    cache.get(3, lambda: rows[3])  # 1 goes: 0 was asked for since
    assert cache.bytes == 120 and len(cache) == 3
    made = []
    for key in (0, 2, 3, 1):
        cache.get(key, lambda key=key: made.append(key) or rows[key])  # type: ignore[func-returns-value]
    assert made == [1]


def test_what_is_larger_than_the_cache_is_not_kept() -> None:
    cache = TextCache(limit=100)
    for _ in range(2):
        assert size(cache.get("big", lambda: torch.zeros(100))) == 400
    assert (cache.bytes, len(cache)) == (0, 0)


def test_many_threads_may_ask_at_once() -> None:
    cache, wrong = TextCache(limit=5 * 40), []

    def work(seed: int) -> None:
        for key in torch.randint(0, 12, (300,), generator=torch.Generator().manual_seed(seed)).tolist():
            found = cache.get(key, lambda key=key: torch.full((10,), float(key)))
            if not torch.equal(found, torch.full((10,), float(key))):
                wrong.append(key)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong and cache.bytes == 40 * len(cache) <= cache.limit
