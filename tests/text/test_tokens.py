"""Tokenizers: both file formats agree with each other, keep every place in the text, and cut only as told."""

from __future__ import annotations

import io
from functools import cache

import pytest
import sentencepiece
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models, normalizers, pre_tokenizers, trainers

from newbie.errors import PromptError, UsageError, WeightsError
from newbie.text.tokens import Kind, Tokenizer

CORPUS = [
    "hello world, blue hair and blue eyes",
    "<character_1>\n  <n>miku</n>\n  <appearance>twin_tails, long hair</appearance>\n</character_1>\n",
    "蓝色头发的少女 双马尾",
    "one two three four five six seven eight nine ten",
] * 10
TEXT = st.text(st.sampled_from("abehl wo<>_/\n,12蓝色é😀\u3000\u0301"), max_size=40)


@cache
def bpe_model() -> bytes:
    """A Gemma-like SentencePiece model: BPE with byte fallback, spaces kept, nothing normalised."""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=out, model_type="bpe", vocab_size=420, byte_fallback=True,
        pad_id=0, eos_id=1, bos_id=2, unk_id=3, add_dummy_prefix=False, remove_extra_whitespaces=False,
        normalization_rule_name="identity", hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    return out.getvalue()


@cache
def unigram_model(renumbered: bool = False) -> bytes:
    """An XLM-RoBERTa-like SentencePiece model, raw or with the ids 0 to 3 already in their final places."""
    ids = {"bos_id": 0, "pad_id": 1, "eos_id": 2, "unk_id": 3} if renumbered else {}
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=out, model_type="unigram", vocab_size=90 + renumbered,
        hard_vocab_limit=False, minloglevel=2, **ids,
    )  # fmt: skip
    return out.getvalue()


def pieces(data: bytes) -> list[tuple[str, float]]:
    model = sentencepiece.SentencePieceProcessor(model_proto=data)
    return [(model.id_to_piece(i), model.get_score(i)) for i in range(model.get_piece_size())]


@cache
def bpe_json() -> str:
    """The tokenizer.json that says the same as `bpe_model`: merges follow from the order of the pieces."""
    vocabulary = {piece: index for index, (piece, _) in enumerate(pieces(bpe_model()))}
    merges = [
        (piece[:cut], piece[cut:])
        for piece in vocabulary
        for cut in range(1, len(piece))
        if piece[:cut] in vocabulary and piece[cut:] in vocabulary and not piece.startswith("<0x")
    ]
    merges = [pair for pair in merges if pair[0] + pair[1] not in ("<pad>", "<eos>", "<bos>", "<unk>")]
    model = tokenizers.Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True))
    model.normalizer = normalizers.Replace(" ", "▁")
    text: str = model.to_str()
    return text.replace("<s>", "<bos>")


@cache
def unigram_json() -> str:
    """The tokenizer.json that says the same as the raw `unigram_model`, in the numbering of XLM-RoBERTa."""
    ours = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *pieces(unigram_model())[3:]]
    model = tokenizers.Tokenizer(models.Unigram(ours, unk_id=3, byte_fallback=False))
    model.pre_tokenizer = pre_tokenizers.Metaspace()
    model.enable_truncation(5)
    model.enable_padding(length=50)
    text: str = model.to_str()
    return text


@cache
def tokenizer(which: str) -> Tokenizer:
    made = {
        "gemma-json": lambda: Tokenizer.from_json(bpe_json(), "gemma"),
        "gemma-spiece": lambda: Tokenizer.from_spiece(bpe_model(), "gemma"),
        "jina-json": lambda: Tokenizer.from_json(unigram_json(), "jina"),
        "jina-spiece": lambda: Tokenizer.from_spiece(unigram_model(), "jina"),
        "jina-renumbered": lambda: Tokenizer.from_spiece(unigram_model(renumbered=True), "jina"),
    }
    return made[which]()


@pytest.mark.parametrize("which", ["gemma-json", "gemma-spiece"])
def test_gemma_puts_bos_in_front_and_nothing_behind(which: str) -> None:
    assert tokenizer(which).encode("").ids == [2]
    encoding = tokenizer(which).encode("blue hair")
    assert encoding.ids[0] == 2
    assert encoding.offsets[0] == (0, 0)
    assert 1 not in encoding.ids
    assert tokenizer(which).pad_id == 0


@pytest.mark.parametrize("which", ["jina-json", "jina-spiece", "jina-renumbered"])
def test_jina_wraps_the_text_and_pads_with_one(which: str) -> None:
    assert tokenizer(which).encode("").ids == [0, 2]
    encoding = tokenizer(which).encode("blue hair")
    assert (encoding.ids[0], encoding.ids[-1]) == (0, 2)
    assert (encoding.offsets[0], encoding.offsets[-1]) == ((0, 0), (0, 0))
    assert min(encoding.ids[1:-1]) > 3
    assert tokenizer(which).pad_id == 1


@pytest.mark.parametrize("which", ["jina-json", "jina-spiece", "jina-renumbered"])
def test_an_unknown_character_is_token_three_for_jina(which: str) -> None:
    assert 3 in tokenizer(which).encode("hello \N{SNOWMAN}").ids


@settings(max_examples=300)
@given(TEXT)
def test_both_formats_of_one_bpe_model_give_the_same_ids_and_places(text: str) -> None:
    ours, theirs = tokenizer("gemma-spiece").encode(text), tokenizer("gemma-json").encode(text)
    assert ours == theirs


@settings(max_examples=300)
@given(st.lists(st.text(st.sampled_from("abcdehilorwu_蓝色,"), min_size=1, max_size=8), max_size=8))
def test_both_formats_of_one_unigram_model_give_the_same_ids(words: list[str]) -> None:
    text = " ".join(words)
    assert tokenizer("jina-spiece").encode(text).ids == tokenizer("jina-json").encode(text).ids


@settings(max_examples=300)
@given(TEXT)
@pytest.mark.parametrize("which", ["gemma-json", "gemma-spiece"])
def test_gemma_tokens_cover_every_character_in_order(which: str, text: str) -> None:
    offsets = tokenizer(which).encode(text).offsets[1:]
    place = 0
    for start, stop in offsets:
        assert start <= place <= stop
        place = stop
    assert place == len(text)


@settings(max_examples=300)
@given(TEXT)
@pytest.mark.parametrize("which", ["jina-json", "jina-spiece", "jina-renumbered"])
def test_jina_offsets_stay_inside_the_text_and_never_go_back(which: str, text: str) -> None:
    offsets = tokenizer(which).encode(text).offsets[1:-1]
    assert all(0 <= start <= stop <= len(text) for start, stop in offsets)
    assert [start for start, _ in offsets] == sorted(start for start, _ in offsets)


@pytest.mark.parametrize("which", ["gemma-json", "gemma-spiece", "jina-json", "jina-spiece", "jina-renumbered"])
def test_the_offsets_of_a_word_behind_wide_characters_point_at_the_word(which: str) -> None:
    text = "蓝色头发 blue hair"
    encoding = tokenizer(which).encode(text)
    touching = [text[start:stop] for start, stop in encoding.offsets if start < 9 and stop > 5]
    assert "".join(touching).strip(" ") == "blue"


@pytest.mark.parametrize("which", ["gemma-json", "gemma-spiece"])
def test_each_byte_of_an_unknown_character_carries_the_whole_character(which: str) -> None:
    encoding = tokenizer(which).encode("a😀😀b")
    assert encoding.offsets[2:10] == [(1, 2)] * 4 + [(2, 3)] * 4


def test_spaces_and_newlines_matter_to_gemma_and_not_to_jina() -> None:
    neat, wild = "<n>miku</n> blue", "<n>miku</n>  \n  blue"
    assert tokenizer("gemma-spiece").encode(neat).ids != tokenizer("gemma-spiece").encode(wild).ids
    assert tokenizer("jina-spiece").encode(neat).ids == tokenizer("jina-spiece").encode(wild).ids


@pytest.mark.parametrize("which", ["gemma-spiece", "jina-spiece"])
def test_a_limit_cuts_the_end_keeps_the_closing_token_and_reports_the_total(which: str) -> None:
    text = "one two three four, ten blue eyes"
    whole, cut = tokenizer(which).encode(text), tokenizer(which).encode(text, limit=8)
    assert whole.total == len(whole.ids) == cut.total > len(cut.ids) == 8
    kept = 8 if which == "gemma-spiece" else 7
    assert cut.ids[:kept] == whole.ids[:kept]
    assert cut.ids[-1] == (2 if which == "jina-spiece" else whole.ids[7])
    assert len(cut.offsets) == len(cut.ids)


@pytest.mark.parametrize("which", ["gemma-json", "jina-spiece"])
def test_a_lone_surrogate_is_a_prompt_error(which: str) -> None:
    with pytest.raises(PromptError, match="character 3"):
        tokenizer(which).encode("ab\ud800")


def test_a_limit_without_room_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        tokenizer("jina-spiece").encode("hello", limit=1)


@pytest.mark.parametrize("kind", ["gemma", "jina"])
def test_files_that_are_no_tokenizer_are_weights_errors(kind: Kind) -> None:
    for data in (b"", b"{}", b"\x80\x02]q\x00.", b"not a tokenizer"):
        with pytest.raises(WeightsError):
            Tokenizer.from_json(data, kind)
        with pytest.raises(WeightsError):
            Tokenizer.from_spiece(data, kind)


def test_a_tokenizer_of_the_other_encoder_is_refused_with_the_missing_tokens() -> None:
    with pytest.raises(WeightsError, match="<bos>"):
        Tokenizer.from_json(unigram_json(), "gemma")
    with pytest.raises(WeightsError, match="'<pad>'"):
        Tokenizer.from_spiece(bpe_model(), "jina")


def test_a_folder_prefers_the_json_and_an_empty_one_says_what_was_sought(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(WeightsError, match=r"tokenizer\.json"):
        Tokenizer.from_folder(tmp_path, "gemma")
    (tmp_path / "tokenizer.model").write_bytes(bpe_model())
    assert Tokenizer.from_folder(tmp_path, "gemma").encode("blue") == tokenizer("gemma-spiece").encode("blue")
    small = tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))
    small.train_from_iterator(["ab"], trainers.BpeTrainer(special_tokens=["<pad>", "<eos>", "<bos>", "<unk>"]))
    (tmp_path / "tokenizer.json").write_text(small.to_str())
    assert Tokenizer.from_folder(tmp_path, "gemma").vocab_size < 10
