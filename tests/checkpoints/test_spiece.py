"""Lists of tokens become the tokenizer they were taken from, and back: every text is cut into the same pieces."""

from __future__ import annotations

import io
import math
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from newbie.checkpoints import spiece
from newbie.checkpoints.gguf import open_gguf
from newbie.checkpoints.gguf_header import Array
from newbie.errors import WeightsError
from newbie.text.tokens import Tokenizer

WORDS = ["1girl", "blue_hair", "twintails", "夜空", "cherry_blossoms", "<n>", "smile", ">_<", "🌸", "", "", "dress\n"]
CORPUS = [" ".join(WORDS[i:] + WORDS[:i]) * 3 for i in range(len(WORDS))]
TEXTS = ["1girl, blue_hair", "  two  spaces\n\nlines", "夜空と桜 🌸", "é<n>smile</n>", "", "ﬁ ①", "unknown ☃ snow"]


def trained(model_type: str, **more) -> bytes:
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 4),
        model_writer=out,
        model_type=model_type,
        hard_vocab_limit=False,
        minloglevel=2,
        **more,
    )
    return out.getvalue()


@pytest.fixture(scope="module")
def gemma_like() -> bytes:
    """BPE with bytes, no normalising, user-defined symbols: Gemma's settings at toy size."""
    return trained(
        "bpe",
        vocab_size=380,
        byte_fallback=True,
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        user_defined_symbols=["<n>", "\n\n"],
    )


@pytest.fixture(scope="module")
def jina_like() -> bytes:
    """Unigram with a normaliser's table: XLM-RoBERTa's settings at toy size."""
    return trained("unigram", vocab_size=70, normalization_rule_name="nmt_nfkc")


def as_gguf(path, data: bytes, kind: str):
    """The lists that llama.cpp's converter takes from a model."""
    model = sentencepiece.SentencePieceProcessor(model_proto=data)
    pieces = range(model.get_piece_size())
    writer = gguf.GGUFWriter(path, "gemma3")
    writer.add_tokenizer_model(kind)
    writer.add_token_list([model.id_to_piece(i).encode() for i in pieces])
    writer.add_token_scores([model.get_score(i) for i in pieces])
    writer.add_token_types([kind_of(model, i) for i in pieces])
    writer.add_add_space_prefix(kind == "t5")
    writer.add_bos_token_id(max(model.bos_id(), 0))
    writer.add_eos_token_id(model.eos_id())
    writer.add_unk_token_id(model.unk_id())
    if model.pad_id() >= 0:
        writer.add_pad_token_id(model.pad_id())
    if kind == "t5":
        rules = spiece.from_model(data).rules
        writer.add_precompiled_charsmap(rules)
        writer.add_remove_extra_whitespaces(True)
    writer.add_tensor("x", np.zeros(1, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def kind_of(model, index: int) -> int:
    if model.is_unknown(index):
        return gguf.TokenType.UNKNOWN
    if model.is_control(index):
        return gguf.TokenType.CONTROL
    if model.is_byte(index):
        return gguf.TokenType.BYTE
    return gguf.TokenType.USER_DEFINED if model.id_to_piece(index) in ("<n>", "\n\n") else gguf.TokenType.NORMAL


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_the_lists_of_a_gguf_cut_every_text_as_the_model_they_came_from(tmp_path, gemma_like, jina_like, kind):
    data = gemma_like if kind == "llama" else jina_like
    again = open_gguf(as_gguf(tmp_path / "a.gguf", data, kind)).spiece()
    before, after = (sentencepiece.SentencePieceProcessor(model_proto=each) for each in (data, again))
    for text in TEXTS:
        assert before.encode(text) == after.encode(text), text
    assert [before.bos_id(), before.eos_id(), before.unk_id()] == [after.bos_id(), after.eos_id(), after.unk_id()]


def test_it_is_a_gemma_tokenizer(tmp_path, gemma_like):
    index = open_gguf(as_gguf(tmp_path / "a.gguf", gemma_like, "llama"))
    ours, theirs = (Tokenizer.from_spiece(data, "gemma") for data in (index.spiece(), gemma_like))
    for text in TEXTS:
        assert ours.encode(text) == theirs.encode(text)


@settings(max_examples=50)
@given(text=st.text(max_size=30))
def test_a_model_that_was_taken_apart_and_written_again_cuts_alike(gemma_like, jina_like, text):
    for data in (gemma_like, jina_like):
        pieces = spiece.from_model(data)
        again = pieces.model()
        assert spiece.from_model(again) == pieces
        first, second = (sentencepiece.SentencePieceProcessor(model_proto=each) for each in (data, again))
        assert first.encode(text) == second.encode(text)


def test_what_a_model_is_made_of_survives_the_fields(gemma_like):
    fields = spiece.from_model(gemma_like).fields()
    assert fields["tokenizer.ggml.model"] == "llama"
    assert len(fields[spiece.TOKENS]) == len(fields["tokenizer.ggml.scores"])
    assert fields["tokenizer.ggml.bos_token_id"] == 2 and fields["tokenizer.ggml.padding_token_id"] == 0


def test_another_kind_of_tokenizer_is_named(tmp_path, gemma_like):
    path = as_gguf(tmp_path / "a.gguf", gemma_like, "gpt2")
    with pytest.raises(WeightsError, match="'gpt2', not SentencePiece"):
        open_gguf(path).spiece()


@pytest.mark.parametrize("name", ["scores", "token_type"])
@pytest.mark.parametrize("number", [1e300, math.nan, math.inf])
def test_a_list_with_an_impossible_number_is_a_tokenizer_or_a_weights_error(name, number):
    def doubles(*numbers: float) -> Array:
        return Array(12, len(numbers), struct.pack(f"<{len(numbers)}d", *numbers))

    fields = {
        "tokenizer.ggml.model": "llama",
        spiece.TOKENS: Array(8, 1, struct.pack("<Q", 1) + b"a"),
        "tokenizer.ggml.scores": doubles(-1.0),
        "tokenizer.ggml.token_type": doubles(1.0),
    }
    assert spiece.from_model(spiece.from_fields(fields, Path("a.gguf"))).scores == [-1.0]
    fields[f"tokenizer.ggml.{name}"] = doubles(number)
    try:
        assert spiece.from_model(spiece.from_fields(fields, Path("a.gguf"))).texts == ["a"]
    except WeightsError as error:
        assert error.message.startswith("a.gguf: its tokenizer has impossible numbers")


@settings(max_examples=300)
@given(data=st.binary(max_size=60), at=st.integers(0, 200), byte=st.integers(0, 255))
def test_any_bytes_are_pieces_or_a_value_error(gemma_like, data, at, byte):
    damaged = bytearray(gemma_like)
    damaged[at] = byte
    for each in (data, bytes(damaged)):
        try:
            pieces = spiece.from_model(each)
        except ValueError:
            continue
        assert pieces.texts
