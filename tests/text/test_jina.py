"""The Jina text tower against golden vectors, against transformers' own class, and against its promises."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer as JsonTokenizer
from tokenizers import models

from newbie.errors import WeightsError
from newbie.text.jina import JinaConfig, JinaEncoder, JinaTextTower, initialise
from newbie.text.tokens import Tokenizer

GOLDEN = Path(__file__).parents[1] / "golden"
TINY = JinaConfig(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)


def tiny() -> JinaTextTower:
    model = JinaTextTower(TINY).eval()
    initialise(model, torch.Generator().manual_seed(0))
    return model


def word_tokenizer() -> Tokenizer:
    vocabulary = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3} | {chr(97 + i): 4 + i for i in range(26)}
    return Tokenizer.from_json(JsonTokenizer(models.BPE(vocabulary, [], unk_token="<unk>")).to_str(), "jina")


def test_pooled_vectors_and_hidden_states_equal_the_golden_ones() -> None:
    about = json.loads((GOLDEN / "jina_tiny_io.json").read_text())
    weights = load_file(GOLDEN / "jina_tiny_weights_merged.safetensors")
    model = JinaTextTower(JinaConfig.from_dict(about["config"])).eval()
    model.load_state_dict({name: weights[f"model.{name}"] for name in model.state_dict()})
    tensors = load_file(GOLDEN / "jina_tiny_io.safetensors")
    for case in about["cases"]:
        ids, mask = tensors[f"{case}/input_ids"], tensors[f"{case}/attention_mask"].bool()
        with torch.no_grad():
            hidden, pooled = model(ids, mask), model.pooled(ids)
        assert (hidden - tensors[f"{case}/last_hidden"])[mask].abs().max() <= 1e-5
        assert (pooled - tensors[f"{case}/pooled"]).abs().max() <= 1e-5


def test_the_tower_equals_the_class_of_transformers() -> None:
    from transformers import JinaEmbeddingsV3Config, JinaEmbeddingsV3Model

    peer = JinaEmbeddingsV3Model(
        JinaEmbeddingsV3Config(
            vocab_size=40,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            rope_parameters={"rope_type": "default", "rope_theta": 20000.0},
            pad_token_id=1,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
            max_position_embeddings=64,
        ),
        add_pooling_layer=False,
    ).eval()
    ours = JinaTextTower(TINY).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.normal_(0, 0.3, generator=generator)
    renamed: dict[str, torch.Tensor] = {}
    for name, value in ours.state_dict().items():
        name = name.replace("emb_ln", "embeddings.LayerNorm").replace("encoder.layers", "layers")
        name = name.replace("norm1", "post_attention_layernorm").replace("norm2", "post_mlp_layernorm")
        name = name.replace("mixer.out_proj", "self_attn.o_proj")
        if "Wqkv" in name:
            for letter, part in zip("qkv", value.chunk(3), strict=True):
                renamed[name.replace("mixer.Wqkv", f"self_attn.{letter}_proj")] = part
        else:
            renamed[name] = value
    peer.load_state_dict(renamed)
    ids = torch.randint(4, 40, (2, 11), generator=generator)
    ids[1, 6:] = 1
    mask = ids != 1
    with torch.no_grad():
        theirs = peer(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        torch.testing.assert_close(ours(ids, mask)[mask], theirs[mask], rtol=1e-4, atol=1e-5)


def test_the_published_tower_on_the_meta_device_has_its_558_million_parameters() -> None:
    with torch.device("meta"):
        model = JinaTextTower(JinaConfig())
    assert sum(p.numel() for p in model.parameters()) == 558_314_496
    assert not list(model.buffers())


def test_the_published_config_falls_back_to_jina_clip_v2_where_it_is_silent() -> None:
    published = {
        "model_type": "jina_clip",
        "text_config": {
            "embed_dim": 1024,
            "hf_model_name_or_path": "jinaai/jina-embeddings-v3",
            "hf_model_config_kwargs": {"lora_adaptations": ["retrieval.query"], "lora_alpha": 4, "lora_rank": 4},
        },
    }
    assert JinaConfig.from_dict(published) == JinaConfig()


def test_a_config_survives_its_dict() -> None:
    assert JinaConfig.from_dict(json.loads(json.dumps(TINY.to_dict()))) == TINY


@pytest.mark.parametrize("wrong", [{"hidden_size": 15}, {"hidden_act": "relu"}, {"vocab_size": "x"}])
def test_a_config_that_is_no_jina_tower_is_a_weights_error(wrong: dict[str, object]) -> None:
    with pytest.raises(WeightsError):
        JinaConfig.from_dict(wrong)


def test_padding_changes_no_pooled_vector() -> None:
    model = tiny()
    ids = torch.tensor([[0, 5, 6, 7, 2]])
    padded = torch.tensor([[0, 5, 6, 7, 2, 1, 1, 1]])
    torch.testing.assert_close(model.pooled(padded), model.pooled(ids), rtol=1e-5, atol=1e-6)


def test_order_matters_and_gradients_reach_every_used_parameter() -> None:
    model = tiny()
    assert not torch.allclose(model.pooled(torch.tensor([[0, 5, 6, 2]])), model.pooled(torch.tensor([[0, 6, 5, 2]])))
    model.pooled(torch.tensor([[0, 5, 6, 2]])).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_a_row_is_the_same_alone_and_in_a_batch_and_an_empty_text_has_two_tokens() -> None:
    encoder = JinaEncoder(tiny(), word_tokenizer())
    alone = encoder.encode(["abcdef"])
    batch = encoder.encode(["", "abcdef", "abcdefghijklmnop"])
    assert torch.equal(batch[1], alone[0])
    assert torch.equal(batch[0], encoder.model.pooled(torch.tensor([[0, 2]]))[0])


def test_a_tokenizer_with_more_tokens_than_the_model_is_a_weights_error() -> None:
    with pytest.raises(WeightsError, match="30 tokens"):
        JinaEncoder(JinaTextTower(JinaConfig(**{**TINY.__dict__, "vocab_size": 10})), word_tokenizer())
