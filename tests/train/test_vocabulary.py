"""The small tokenizers: one vocabulary, two sets of special tokens, spans that respect tags."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newbie.text.tokens import Tokenizer
from newbie.train.vocabulary import train_tokenizers

CAPTIONS = [
    "<character_1>\n<n>mio</n>\n<appearance>blue_hair, twintails</appearance>\n</character_1>\n"
    "<general_tags>\n<count>1girl, solo</count>\n</general_tags>\n<caption>A girl. 蓝色头发</caption>",
    "1girl, red_hair, smile",
]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, Tokenizer]:
    folder: Path = tmp_path_factory.mktemp("words")
    train_tokenizers(CAPTIONS * 20, 600, folder / "gemma", folder / "jina")
    return Tokenizer.from_folder(folder / "gemma", "gemma"), Tokenizer.from_folder(folder / "jina", "jina")


def test_empty_texts_are_the_official_special_tokens(pair):
    gemma, jina = pair
    assert gemma.encode("").ids == [2]
    assert jina.encode("").ids == [0, 2]
    assert (gemma.pad_id, jina.pad_id) == (0, 1)


def test_both_give_the_same_pieces_the_same_numbers(pair):
    gemma, jina = pair
    assert gemma.encode(CAPTIONS[0]).ids[1:] == jina.encode(CAPTIONS[0]).ids[1:-1]


def test_no_token_straddles_a_tag_and_its_text(pair):
    text = CAPTIONS[0]
    borders = {text.index("blue_hair"), text.index("</appearance>"), text.index("A girl"), text.index("</caption>")}
    starts = {start for start, _ in pair[0].encode(text).offsets}
    assert borders <= starts


def test_underscores_and_spaces_are_the_same_words_but_tag_names_keep_theirs(pair):
    gemma, _ = pair
    assert gemma.encode("blue_hair, twintails").ids == gemma.encode("blue hair, twintails").ids
    text = "<character_1>\n<appearance>blue_hair</appearance>\n"
    pieces = [text[a:b] for a, b in gemma.encode(text).offsets[1:]]
    assert pieces == ["<character_1>\n", "<appearance>", "blue", "_hair", "</appearance>\n"]


def test_reading_hostile_text_takes_linear_time(pair):
    gemma, _ = pair
    for unit in ("_", "_ ", "a_>", "<_"):
        ids = gemma.encode(unit * (100_000 // len(unit))).ids  # quadratic work would take minutes here
        assert len(ids) > 1000


@given(st.text(max_size=60))
def test_offsets_cover_any_text_in_order(pair, text: str):
    encoding = pair[0].encode(text)
    pieces = encoding.offsets[1:]
    assert "".join(text[a:b] for a, b in dict.fromkeys(pieces)) == text
    assert all(a <= b for a, b in pieces)
