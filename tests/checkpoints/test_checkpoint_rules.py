"""Every rule and table is its own inverse, and the tables agree with the libraries whose names they hold."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from newbie.checkpoints.rules import Drop, Fuse, MergeLora, Squeeze, rename
from newbie.checkpoints.save import save_table
from newbie.checkpoints.tables import jina, vae
from newbie.checkpoints.translate import translate, untranslate
from newbie.errors import WeightsError
from newbie.text.jina import JinaTextTower
from newbie.vae import Autoencoder, AutoencoderConfig


def load(entries, table):
    return {name: recipe.read() for name, recipe in translate(entries, table).recipes.items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


RULES = {
    "rename": (rename("a.*.w", "b.*.x"), {"a.3.w": (2, 3)}),
    "fuse in equal parts": (Fuse(("w",), ("q", "k", "v")), {"w": (6, 2)}),
    "fuse in grouped parts": (Fuse(("l.*.w",), ("l.*.q", "l.*.k", "l.*.v"), (4, 2, 2)), {"l.7.w": (8, 3)}),
    "squeeze": (Squeeze(("w",), ("conv",)), {"w": (4, 3)}),
}


@pytest.mark.parametrize("name", RULES)
def test_a_reversible_rule_is_its_own_inverse(name, entries_of):
    rule, shapes = RULES[name]
    ours = {key: torch.randn(shape) for key, shape in shapes.items()}
    theirs = untranslate(ours, (rule,))
    assert theirs.keys() != ours.keys()
    assert same(load(entries_of(theirs), (rule,)), ours)
    assert same(untranslate(load(entries_of(theirs), (rule,)), (rule,)), theirs)


def test_a_dropped_tensor_is_not_written_and_the_rest_is(entries_of):
    ours = {"used": torch.ones(2), "unused": torch.ones(3)}
    assert untranslate(ours, (Drop(("unused",), ()),)).keys() == {"used"}


def test_fusing_stacks_queries_before_keys_before_values():
    (whole,) = Fuse(("w",), ("q", "k", "v")).load([torch.full((n, 2), float(n)) for n in (4, 2, 3)])
    assert whole[:, 0].tolist() == [4.0] * 4 + [2.0] * 2 + [3.0] * 3


def test_a_merged_linear_layer_gives_what_the_layer_and_its_adapter_give():
    weight, a, b, x = torch.randn(5, 7), torch.randn(1, 2, 7), torch.randn(1, 5, 2), torch.randn(3, 7)
    (merged,) = MergeLora(("w",), ("o", "a", "b"), scale=0.5).load([weight, a, b])
    apart = x @ weight.T + 0.5 * (x @ a[0].T) @ b[0].T
    assert torch.allclose(x @ merged.T, apart, atol=1e-5)


def test_a_merged_embedding_gives_what_the_table_and_its_adapter_give():
    weight, a, b = torch.randn(9, 4), torch.randn(1, 9, 2), torch.randn(1, 2, 4)
    (merged,) = MergeLora(("w",), ("o", "a", "b"), scale=2.0, table=True).load([weight, a, b])
    ids = torch.tensor([3, 8])
    assert torch.allclose(merged[ids], weight[ids] + 2.0 * a[0][ids] @ b[0], atol=1e-5)


def test_an_adapter_is_merged_in_float32_and_rounded_once():
    weight, a, b = (torch.randn(shape).bfloat16() for shape in ((64, 64), (1, 4, 64), (1, 64, 4)))
    (merged,) = MergeLora(("w",), ("o", "a", "b")).load([weight, a, b])
    assert merged.dtype == torch.float32
    exact = weight.double() + b[0].double() @ a[0].double()
    assert torch.allclose(merged.double(), exact, atol=1e-5)


def test_a_merge_cannot_be_written_back():
    with pytest.raises(WeightsError, match="no inverse"):
        untranslate({"emb.weight": torch.ones(1)}, (MergeLora(("emb.weight",), ("o", "a", "b")),))


def test_two_tensors_that_become_one_are_refused_by_name(entries_of):
    both = entries_of({"a": torch.ones(1), "b": torch.ones(1)})
    with pytest.raises(WeightsError, match="b and a are both a"):
        translate(both, (rename("a", "b"),))


def test_the_parts_of_an_incomplete_fusion_are_reported_not_used(entries_of):
    half = entries_of({"q": torch.ones(1), "k": torch.ones(1)})
    found = translate(half, (Fuse(("w",), ("q", "k", "v")),))
    assert found.half == ["q", "k"] and not found.recipes


def test_parts_that_do_not_fit_together_are_named_with_their_shapes(entries_of):
    odd = entries_of({"q": torch.ones(2, 3), "k": torch.ones(2, 4)})
    recipe = translate(odd, (Fuse(("w",), ("q", "k")),)).recipes["w"]
    with pytest.raises(WeightsError, match=r"w cannot be made of q \[2, 3\], k \[2, 4\]"):
        recipe.shape  # noqa: B018


LAYOUTS = [
    ("transformer", "official"),
    ("transformer", "diffusers"),
    ("text_encoder", "hugging face"),
    ("clip", "merged"),
    ("clip", "transformers"),
    ("vae", "diffusers"),
    ("vae", "original"),
]


@pytest.mark.parametrize(("component", "layout"), LAYOUTS)
def test_every_layout_that_is_written_reads_back_to_the_same_tensors(component, layout, parts, entries_of):
    state = dict(parts[component].module.state_dict())
    table = save_table(component, layout, parts[component].config)
    theirs = untranslate(state, table)
    assert (theirs.keys() == state.keys()) == (not table)
    back = load(entries_of(theirs), table)
    if layout == "diffusers" and component == "transformer":
        state.pop("norm_final.weight")  # has no place there
    assert same(back, state)


# ---- the libraries whose names the tables hold


@pytest.fixture
def lumina(parts):
    """diffusers' transformer of the same size as ours, which has a CLIP branch besides."""
    diffusers = pytest.importorskip("diffusers")
    config = parts["transformer"].config
    return diffusers.Lumina2Transformer2DModel(
        patch_size=config.patch_size,
        in_channels=config.in_channels,
        hidden_size=config.dim,
        num_layers=config.n_layers,
        num_refiner_layers=config.n_refiner_layers,
        num_attention_heads=config.n_heads,
        num_kv_heads=config.n_kv_heads,
        multiple_of=config.multiple_of,
        axes_dim_rope=config.axes_dims,
        axes_lens=(32, 32, 32),
        cap_feat_dim=config.cap_feat_dim,
    )


def test_the_diffusers_names_are_those_of_diffusers_own_transformer(parts, lumina):
    config = parts["transformer"].config
    ours = dict(parts["transformer"].module.state_dict())
    theirs = untranslate(ours, save_table("transformer", "diffusers", config))
    port = {name for name in theirs if ".clip_text_pooled_proj." in name or ".time_text_embed." in name}
    assert len(port) == 5  # of the NewBie port, which diffusers does not have
    expected = {name: tensor.shape for name, tensor in lumina.state_dict().items()}
    assert {name: tensor.shape for name, tensor in theirs.items() if name not in port} == expected


def test_the_original_vae_names_are_those_that_diffusers_converts(parts, entries_of):
    single_file = pytest.importorskip("diffusers.loaders.single_file_utils")
    config = AutoencoderConfig(block_out_channels=(8, 16, 16, 8), layers_per_block=2, norm_num_groups=8)
    module = Autoencoder(config)
    theirs = untranslate(dict(module.state_dict()), vae.original(4))
    # The converter's own configuration: two blocks per level, as published.
    converted = single_file.convert_ldm_vae_checkpoint(
        {f"first_stage_model.{name}": tensor for name, tensor in theirs.items()},
        {"down_block_types": [""] * 4, "up_block_types": [""] * 4, "layers_per_block": 2},
    )
    assert same(converted, dict(module.state_dict()))


def test_very_old_attention_names_of_the_vae_are_read(parts, entries_of):
    ours = dict(parts["vae"].module.state_dict())
    theirs = untranslate(ours, vae.old_attention())
    assert "encoder.mid_block.attentions.0.query.weight" in theirs
    assert same(load(entries_of(theirs), vae.old_attention()), ours)


def test_the_transformers_names_are_those_of_its_own_jina_class(parts):
    transformers = pytest.importorskip("transformers")
    config = parts["clip"].config
    theirs = untranslate(dict(parts["clip"].module.state_dict()), jina.transformers())
    peer = transformers.JinaEmbeddingsV3Model(
        transformers.JinaEmbeddingsV3Config(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            num_hidden_layers=config.num_hidden_layers,
            num_attention_heads=config.num_attention_heads,
            intermediate_size=config.intermediate_size,
            type_vocab_size=1,
        ),
        add_pooling_layer=False,
    )
    assert {n: t.shape for n, t in theirs.items()} == {n: t.shape for n, t in peer.state_dict().items()}


def test_the_original_jina_file_becomes_the_merged_one(golden, entries_of):
    prefix = "text_model.transformer.roberta."
    original = load_file(golden / "jina_tiny_weights_original.safetensors")
    merged = load_file(golden / "jina_tiny_weights_merged.safetensors")
    state = {n.removeprefix(prefix): t for n, t in original.items() if n.startswith(prefix)}
    ours = load(entries_of(state), jina.original(1.0))
    expected = {n.removeprefix("model."): t for n, t in merged.items() if n.startswith("model.")}
    assert ours.keys() == expected.keys()
    assert max(float((ours[n] - expected[n]).abs().max()) for n in ours) < 1e-6
    table = "embeddings.word_embeddings"
    unmerged = state[f"{table}.parametrizations.weight.original"]
    assert float((ours[f"{table}.weight"] - unmerged).abs().max()) > 1e-3  # the adapter does something


def test_a_tower_can_be_built_from_what_the_tables_make(parts):
    JinaTextTower(parts["clip"].config).load_state_dict(parts["clip"].module.state_dict(), strict=True)
