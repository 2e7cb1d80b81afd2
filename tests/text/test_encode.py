"""Both encoders over a rendered prompt: features, the tokens of every element, and what did not fit."""

from __future__ import annotations

import string

import pytest
import torch
from tokenizers import Tokenizer as JsonTokenizer
from tokenizers import models

from newbie.prompt import Rendered, read, render
from newbie.text import gemma, jina
from newbie.text.encode import TextStack
from newbie.text.features import TextFeatures
from newbie.text.tokens import Kind, Tokenizer

PROMPT = (
    "<character_1>\n<n>miku</n>\n<appearance>blue_hair, twin_tails</appearance>\n</character_1>\n"
    "<general_tags>\n<background>night sky</background>\n</general_tags>\n<caption>A girl at night.</caption>"
)


def letters(kind: Kind) -> Tokenizer:
    """One token per character."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>"] if kind == "gemma" else ["<s>", "<pad>", "</s>", "<unk>"]
    vocabulary = {token: index for index, token in enumerate([*special, *string.printable])}
    return Tokenizer.from_json(JsonTokenizer(models.BPE(vocabulary, [], unk_token="<unk>")).to_str(), kind)


@pytest.fixture(scope="module")
def stack() -> TextStack:
    tiny = gemma.GemmaConfig(
        vocab_size=120, hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=4, query_pre_attn_scalar=4,
    )  # fmt: skip
    words = gemma.build_gemma(tiny)
    gemma.initialise(words, torch.Generator().manual_seed(0))
    tower = jina.JinaTextTower(
        jina.JinaConfig(vocab_size=120, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    ).eval()
    jina.initialise(tower, torch.Generator().manual_seed(0))
    return TextStack(gemma.GemmaEncoder(words, letters("gemma")), jina.JinaEncoder(tower, letters("jina")))


def rendered(text: str) -> Rendered:
    return render(read(text))


def test_features_have_a_row_per_prompt_and_the_shapes_the_transformer_wants(stack: TextStack) -> None:
    features = stack.encode([rendered(PROMPT), rendered("")]).features
    rows, length, width = features.hidden.shape
    assert (rows, width) == (2, 8)
    assert length % 8 == 0
    assert features.mask.shape == (2, length)
    assert features.mask.dtype == torch.bool
    assert features.pooled is not None
    assert features.pooled.shape == (2, 8)


def test_the_tokens_of_an_element_spell_the_element_in_both_encoders(stack: TextStack) -> None:
    (row,) = stack.encode([rendered(PROMPT)]).inputs
    for name, expected in (
        ("character_1.n", "miku"),
        ("character_1.appearance[1]", "twin_tails"),
        ("general_tags.background", "night sky"),
        ("caption", "A girl at night."),
    ):
        for encoder in ("gemma", "jina"):
            given = row[encoder]
            span = given.span(name)
            assert span is not None, name
            offset = 4  # one token per character, numbered behind the special ones
            spelled = "".join(string.printable[i - offset] for i in given.token_ids[span.start : span.stop])
            assert spelled == expected


def test_gemma_reads_the_system_prompt_and_jina_does_not(stack: TextStack) -> None:
    (row,) = stack.encode([rendered(PROMPT)]).inputs
    assert "<Prompt Start>" in row["gemma"].text
    assert row["jina"].text == PROMPT
    assert row["gemma"].token_ids[0] == 2
    assert (row["jina"].token_ids[0], row["jina"].token_ids[-1]) == (0, 2)


def test_what_falls_off_is_named_per_encoder(stack: TextStack) -> None:
    short = TextStack(
        gemma.GemmaEncoder(stack.gemma.model, stack.gemma.tokenizer, limit=190),
        jina.JinaEncoder(stack.jina.model, stack.jina.tokenizer, limit=2048),  # type: ignore[union-attr]
    )
    encoded = short.encode([rendered(PROMPT), rendered("")])
    lost = encoded.lost()
    assert set(lost[0]) == {"gemma"}
    assert "caption" in lost[0]["gemma"]
    assert "character_1.n" not in lost[0]["gemma"]
    assert lost[1] == {}
    assert encoded.features.lengths()[0] == len(encoded.inputs[0]["gemma"].token_ids) == 190


def test_nothing_is_lost_within_the_default_limits(stack: TextStack) -> None:
    assert stack.encode([rendered(PROMPT)]).lost() == [{}]
    assert (stack.gemma.limit, stack.jina.limit if stack.jina else 0) == (512, 2048)


def test_a_row_never_depends_on_its_neighbours(stack: TextStack) -> None:
    alone = stack.encode([rendered(PROMPT)]).features
    crowd = stack.encode([rendered("1girl"), rendered(PROMPT), rendered("x" * 300)]).features
    count = alone.lengths()[0]
    assert torch.equal(crowd.hidden[1, :count], alone.hidden[0, :count])
    assert crowd.pooled is not None
    assert alone.pooled is not None
    assert torch.equal(crowd.pooled[1], alone.pooled[0])


def test_without_jina_there_is_no_pooled_vector(stack: TextStack) -> None:
    encoded = TextStack(stack.gemma).encode([rendered("1girl")])
    assert encoded.features.pooled is None
    assert set(encoded.inputs[0]) == {"gemma"}


def test_moving_features_leaves_the_mask_boolean() -> None:
    features = TextFeatures(torch.zeros(1, 8, 4), torch.ones(1, 8, dtype=torch.bool), None)
    moved = features.to(dtype=torch.bfloat16)
    assert moved.hidden.dtype == torch.bfloat16
    assert moved.mask.dtype == torch.bool
    assert moved.pooled is None
