"""Gemma 3 against golden hidden states, against transformers, and against what its docstrings promise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer as JsonTokenizer
from tokenizers import models
from torch import nn

from newbie.errors import WeightsError
from newbie.text.gemma import FULL, SLIDING, GemmaConfig, GemmaEncoder, build_gemma, hidden_states, initialise
from newbie.text.tokens import Tokenizer

GOLDEN = Path(__file__).parents[1] / "golden"
TINY = GemmaConfig(
    vocab_size=40, hidden_size=16, intermediate_size=32, num_hidden_layers=8, num_attention_heads=4,
    num_key_value_heads=2, head_dim=8, query_pre_attn_scalar=8, sliding_window=4,
)  # fmt: skip


def tiny(seed: int = 0) -> nn.Module:
    model = build_gemma(TINY)
    initialise(model, torch.Generator().manual_seed(seed))
    return model


def word_tokenizer() -> Tokenizer:
    vocabulary = {"<pad>": 0, "<eos>": 1, "<bos>": 2, "<unk>": 3} | {chr(97 + i): 4 + i for i in range(26)}
    return Tokenizer.from_json(JsonTokenizer(models.BPE(vocabulary, [], unk_token="<unk>")).to_str(), "gemma")


def golden() -> tuple[nn.Module, dict[str, torch.Tensor], list[str]]:
    about = json.loads((GOLDEN / "gemma_tiny_io.json").read_text())
    model = build_gemma(GemmaConfig.from_dict(about["config"]))
    weights = load_file(GOLDEN / "gemma_tiny_weights.safetensors")
    names = model.state_dict().keys()
    model.load_state_dict({name: weights[about["key_prefix"] + name] for name in names})
    return model, load_file(GOLDEN / "gemma_tiny_io.safetensors"), list(about["cases"])


def test_hidden_states_equal_the_golden_ones_also_beyond_the_window() -> None:
    model, tensors, cases = golden()
    assert cases == ["short", "beyond_window"]
    for case in cases:
        first: list[torch.Tensor] = []
        hook = model.layers[0].register_forward_hook(lambda module, args, out, seen=first: seen.append(out))
        ids, mask = tensors[f"{case}/input_ids"], tensors[f"{case}/attention_mask"].bool()
        with torch.no_grad():
            hidden = hidden_states(model, ids)
        hook.remove()
        for name, ours in (
            ("penultimate", hidden),
            ("hidden_1", first[0]),
            ("embeds", model.embed_tokens(ids)),
        ):
            error = (ours - tensors[f"{case}/{name}"])[mask].abs().max().item()
            assert error <= 1e-5, f"{case}/{name}: {error:.1e}"
        assert hidden.isfinite().all()


def test_hidden_states_equal_the_second_last_of_transformers_with_mask_and_eager_attention() -> None:
    from transformers import Gemma3TextConfig, Gemma3TextModel

    peer = Gemma3TextModel(Gemma3TextConfig(**TINY.to_dict(), attn_implementation="eager")).eval()
    ours = build_gemma(TINY)
    with torch.no_grad():
        for parameter in peer.parameters():
            parameter.normal_(0, 0.3, generator=torch.Generator().manual_seed(parameter.numel()))
    ours.load_state_dict({name: peer.state_dict()[name] for name in ours.state_dict()})
    ids = torch.randint(4, 40, (2, 24), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0
    with torch.no_grad():
        theirs = peer(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[-2]
        torch.testing.assert_close(hidden_states(ours, ids)[mask.bool()], theirs[mask.bool()], rtol=1e-4, atol=1e-5)


def test_the_last_layer_and_the_final_norm_are_never_built() -> None:
    names = set(build_gemma(TINY).state_dict())
    assert max(int(name.split(".")[1]) for name in names if name.startswith("layers.")) == 6
    assert not any(name.startswith("norm.") for name in names)


def test_the_published_size_on_the_meta_device_has_the_parameters_of_33_layers() -> None:
    with torch.device("meta"):
        model = build_gemma(GemmaConfig())
    assert {p.device.type for p in model.parameters()} == {"meta"}
    assert not list(model.buffers())
    assert sum(p.numel() for p in model.parameters()) == 3_880_263_168 - 94_382_592 - 2_560
    assert [i for i, kind in enumerate(GemmaConfig().layer_types) if kind == FULL] == [5, 11, 17, 23, 29]
    assert model.layers[5].self_attn.layer_type == FULL


def test_the_published_config_falls_back_to_gemma_3_4b_where_it_is_silent() -> None:
    published = {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "model_type": "gemma3",
        "text_config": {
            "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text",
            "num_hidden_layers": 34,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024,
        },
    }  # fmt: skip
    assert GemmaConfig.from_dict(published) == GemmaConfig()
    assert GemmaConfig.from_dict({}) == GemmaConfig()


def test_a_config_survives_its_dict() -> None:
    other = GemmaConfig(vocab_size=9, num_hidden_layers=3, layer_types=(FULL, SLIDING, FULL), rope_factor=2.0)
    assert GemmaConfig.from_dict(json.loads(json.dumps(other.to_dict()))) == other


def test_a_null_rope_scaling_means_none() -> None:
    assert GemmaConfig.from_dict({"rope_scaling": None}).rope_factor == 1.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"model_type": "gemma2"},
        {"num_hidden_layers": 1},
        {"num_attention_heads": 5},
        {"layer_types": ["full_attention"]},
        {"attn_logit_softcapping": 50.0},
        {"hidden_activation": "relu"},
        {"vocab_size": "many"},
        {"rope_scaling": {"rope_type": "yarn", "factor": 8}},
    ],
)
def test_a_config_that_is_no_gemma_3_is_a_weights_error(wrong: dict[str, object]) -> None:
    with pytest.raises(WeightsError):
        GemmaConfig.from_dict(wrong)


def test_the_embedding_factor_is_rounded_to_the_dtype_of_the_weights() -> None:
    with torch.device("meta"):
        model = build_gemma(GemmaConfig(vocab_size=4, num_hidden_layers=2, intermediate_size=8))
    embedding = model.embed_tokens.to_empty(device="cpu")
    nn.init.ones_(embedding.weight)
    ids = torch.tensor([1])
    assert embedding(ids)[0, 0].item() == pytest.approx(50.5964, abs=1e-4)
    assert embedding.bfloat16()(ids)[0, 0].item() == 50.5
    assert embedding.float()(ids)[0, 0].item() == pytest.approx(50.5964, abs=1e-4)


def test_gradients_reach_every_parameter_and_stay_finite_beside_padding() -> None:
    model = tiny().train()
    ids = torch.tensor([[2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], [2] + [0] * 11])
    hidden = hidden_states(model, ids)
    (hidden[0].square().sum() + hidden[1, :1].square().sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_bf16_autocast_gives_finite_features_near_the_float32_ones() -> None:
    model = tiny()
    ids = torch.randint(4, 40, (2, 12), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        exact = hidden_states(model, ids)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = hidden_states(model, ids)
    assert rough.isfinite().all()
    assert (rough.float() - exact).norm() / exact.norm() < 0.03


def test_a_row_is_the_same_alone_and_in_a_batch() -> None:
    encoder = GemmaEncoder(tiny(), word_tokenizer())
    alone, _ = encoder.encode(["abcdefghijkl"])
    batch, mask = encoder.encode(["", "abcdefghijkl", "abcdefghijklmnopqrstuvwxyz"])
    assert batch.shape[1] == 32
    assert mask.sum(dim=1).tolist() == [1, 13, 27]
    assert torch.equal(batch[1, :13], alone[0, :13])
    assert torch.equal(batch[~mask], torch.zeros_like(batch[~mask]))


def test_the_limit_cuts_and_the_default_is_512() -> None:
    encoder = GemmaEncoder(tiny(), word_tokenizer())
    assert encoder.encode(["a" * 700])[1].sum().item() == 512


def test_a_tokenizer_with_more_tokens_than_the_model_is_a_weights_error() -> None:
    small = build_gemma(GemmaConfig(**{**TINY.__dict__, "vocab_size": 10}))
    with pytest.raises(WeightsError, match="30 tokens"):
        GemmaEncoder(small, word_tokenizer())
