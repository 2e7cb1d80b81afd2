"""Token spans, with tokenizers of a kind that this project did not write."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from newbie.prompt import EncoderText, encoder_input, read, render

PROMPT = (
    "<character_1>\n<n>初音ミク</n>\n<appearance>blue_hair, >_<, twintails</appearance>\n</character_1>\n"
    "<general_tags>\n<background>sunset</background>\n</general_tags>\n<caption>A girl at the sunset.</caption>"
)


class Plain(NamedTuple):
    ids: list[int]
    offsets: list[tuple[int, int]]
    total: int = 0


def characters(text: str, *, bos: bool = True, eos: bool = False) -> Plain:
    """One token per character: everything about it is known."""
    offsets = [(0, 0)] * bos + [(i, i + 1) for i in range(len(text))] + [(0, 0)] * eos
    return Plain(list(range(len(offsets))), offsets, len(offsets))


@pytest.fixture(scope="module")
def bpe() -> Tokenizer:
    """A byte-level BPE with <s> in front and </s> behind, trained on a few words."""
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet)
    tokenizer.train_from_iterator([PROMPT, "blue_hair, twintails, sunset"] * 3, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return tokenizer


def test_the_tokens_of_an_element_are_its_characters() -> None:
    text = render(read(PROMPT), system_prompt="").gemma
    given = encoder_input(text, characters(text.text), 512)
    for element in text.elements:
        span = given.span(element.path)
        assert span is not None
        assert (span.start - 1, span.stop - 1) == (element.start, element.stop)  # one token in front
    assert given.lost == () and given.total == len(text.text) + 1 == len(given.token_ids)


def test_the_tokens_of_a_real_tokenizer_decode_to_the_element(bpe: Tokenizer) -> None:
    text = render(read(PROMPT)).gemma
    encoding = bpe.encode(text.text)
    given = encoder_input(text, encoding, 2048)
    assert given.token_ids == tuple(encoding.ids)
    for element in text.elements:
        span = given.span(element.path)
        assert span is not None, element
        shown = bpe.decode(encoding.ids[span.start : span.stop])
        assert text.text[element.start : element.stop] in shown
        covered = [encoding.offsets[i] for i in range(span.start, span.stop)]
        assert all(start < element.stop and stop > element.start for start, stop in covered)


def test_what_falls_off_the_end_is_named() -> None:
    text = render(read("<character_1><n>ab</n></character_1><caption>cdef</caption>"), system_prompt="").jina
    at = text.text.index("cdef")
    given = encoder_input(text, characters(text.text), 1 + at + 2)
    assert [s.path for s in given.lost] == ["caption"]
    assert given.span("caption") == ("caption", at + 1, at + 3)
    assert given.lost[0] == ("caption", at + 1, at + 5)
    assert len(given.token_ids) == given.limit == at + 3 and given.total == len(text.text) + 1


def test_an_element_behind_the_limit_has_no_tokens() -> None:
    text = render(read("1girl, solo, smile"), system_prompt="").jina
    given = encoder_input(text, characters(text.text), 4)
    assert given.span("tags[2]") is None and [s.path for s in given.lost] == ["tags[0]", "tags[1]", "tags[2]"]


def test_a_closing_token_stays_at_the_end() -> None:
    text = EncoderText("abcdef", ())
    given = encoder_input(text, characters("abcdef", eos=True), 5)
    assert given.token_ids == (0, 1, 2, 3, 7) and given.total == 8


def test_an_encoding_that_was_cut_before_still_tells_what_is_lost() -> None:
    text = render(read("1girl, solo, smile"), system_prompt="").jina
    whole = characters(text.text)
    cut = Plain(whole.ids[:8], whole.offsets[:8], whole.total)
    given = encoder_input(text, cut, 8)
    assert [s.path for s in given.lost] == ["tags[1]", "tags[2]"] and given.total == whole.total


def test_the_empty_text_has_only_special_tokens() -> None:
    given = encoder_input(EncoderText("", ()), Plain([0, 2], [(0, 0), (0, 0)]), 8)
    assert given.token_ids == (0, 2) and given.spans == given.lost == ()


@settings(max_examples=200)
@given(st.integers(1, 200), st.booleans(), st.booleans())
def test_spans_lie_within_the_tokens_for_every_limit(limit: int, bos: bool, eos: bool) -> None:
    text = render(read(PROMPT), system_prompt="").jina
    given = encoder_input(text, characters(text.text, bos=bos, eos=eos), limit)
    assert len(given.token_ids) == min(limit, given.total)
    assert all(0 <= s.start < s.stop <= len(given.token_ids) for s in given.spans)
    kept = {s.path for s in given.spans} | {s.path for s in given.lost}
    assert kept == {e.path for e in text.elements}  # nothing disappears in silence
