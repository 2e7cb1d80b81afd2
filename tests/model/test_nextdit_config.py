"""Configurations: the published numbers, the official names, the round trips."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from newbie.errors import WeightsError
from newbie.model.config import RELEASE, VARIANTS, NextDiTConfig
from newbie.model.nextdit import NextDiT


def on_meta(config):
    with torch.device("meta"):
        return NextDiT(config).state_dict()


def name(size, clip=False):
    return f"NextDiT_{size}_GQA_patch2_Adaln_Refiner" + ("_WHIT_CLIP" if clip else "")


PUBLISHED = {
    name("2B"): (2_610_361_536, 400),
    name("2B", clip=True): (2_962_760_640, 457),
    name("3B", clip=True): (3_486_636_096, 535),
    name("3B"): (3_735_492_720, 452),
    name("4B"): (4_793_356_032, 478),
    name("7B"): (8_248_645_632, 478),
}


def test_all_variants_that_can_be_built_are_there():
    assert set(VARIANTS) == set(PUBLISHED)
    assert VARIANTS[name("3B", clip=True)] is RELEASE


@pytest.mark.parametrize("variant", PUBLISHED)
def test_variant_has_the_published_number_of_parameters_and_tensors(variant):
    state = on_meta(VARIANTS[variant])
    assert (sum(t.numel() for t in state.values()), len(state)) == PUBLISHED[variant]


def test_lumina_image_2_is_the_2b_row_with_gemma_2_features():
    state = on_meta(replace(VARIANTS[name("2B")], cap_feat_dim=2304))
    assert sum(t.numel() for t in state.values()) == 2_609_771_456


def test_release_has_the_official_names_and_shapes():
    d, c, f = 2304, 1024, 9216
    expected = {
        "x_embedder.weight": (d, 64),
        "x_embedder.bias": (d,),
        "t_embedder.mlp.0.weight": (c, 256),
        "t_embedder.mlp.0.bias": (c,),
        "t_embedder.mlp.2.weight": (c, c),
        "t_embedder.mlp.2.bias": (c,),
        "cap_embedder.0.weight": (2560,),
        "cap_embedder.1.weight": (d, 2560),
        "cap_embedder.1.bias": (d,),
        "clip_text_pooled_proj.0.weight": (1024,),
        "clip_text_pooled_proj.1.weight": (1024, 1024),
        "clip_text_pooled_proj.1.bias": (1024,),
        "time_text_embed.1.weight": (c, 2048),
        "time_text_embed.1.bias": (c,),
        "norm_final.weight": (d,),
        "final_layer.linear.weight": (64, d),
        "final_layer.linear.bias": (64,),
        "final_layer.adaLN_modulation.1.weight": (d, c),
        "final_layer.adaLN_modulation.1.bias": (d,),
    }
    for group, count in (("layers", 36), ("noise_refiner", 2), ("context_refiner", 2)):
        for i in range(count):
            block = {
                "attention.qkv.weight": (3840, d),
                "attention.out.weight": (d, d),
                "attention.q_norm.weight": (96,),
                "attention.k_norm.weight": (96,),
                "feed_forward.w1.weight": (f, d),
                "feed_forward.w3.weight": (f, d),
                "feed_forward.w2.weight": (d, f),
                "attention_norm1.weight": (d,),
                "attention_norm2.weight": (d,),
                "ffn_norm1.weight": (d,),
                "ffn_norm2.weight": (d,),
            }
            if group != "context_refiner":
                block |= {"adaLN_modulation.1.weight": (4 * d, c), "adaLN_modulation.1.bias": (4 * d,)}
            expected |= {f"{group}.{i}.{key}": shape for key, shape in block.items()}
    assert {key: tuple(t.shape) for key, t in on_meta(RELEASE).items()} == expected


@pytest.mark.parametrize("variant", VARIANTS)
def test_config_survives_its_file(variant):
    config = VARIANTS[variant]
    assert NextDiTConfig.from_dict(config.to_dict()) == config


def test_config_of_the_released_folder_leaves_fields_out_and_still_means_the_release():
    released = {
        "_class_name": name("3B", clip=True),
        "model_type": "nextdit_clip",
        "patch_size": 2,
        "in_channels": 16,
        "dim": 2304,
        "n_layers": 36,
        "n_heads": 24,
        "n_kv_heads": 8,
        "axes_dims": [32, 32, 32],
        "axes_lens": [1024, 512, 512],
        "clip_text_dim": 1024,
        "clip_img_dim": 1024,
    }
    assert NextDiTConfig.from_dict(released) == RELEASE


def test_config_without_kv_heads_has_equal_heads_and_without_clip_no_branch():
    config = NextDiTConfig.from_dict(
        {"dim": 48, "n_layers": 2, "n_heads": 3, "n_kv_heads": None, "axes_dims": [8, 4, 4], "with_clip": False}
    )
    assert config.n_kv_heads == 3 and config.clip_text_dim is None


@pytest.mark.parametrize(("dim", "ffn_dim"), [(2304, 9216), (48, 256), (48, 100), (192, 512), (192, 768), (64, 1000)])
def test_feed_forward_width_read_from_a_file_is_kept_exactly(dim, ffn_dim):
    config = replace(RELEASE, dim=dim, n_heads=1, n_kv_heads=1, axes_dims=(dim // 4, dim // 4, dim // 2))
    wide = config.with_ffn_dim(ffn_dim)
    assert wide.ffn_dim == ffn_dim
    assert NextDiTConfig.from_dict(wide.to_dict()).ffn_dim == ffn_dim


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_heads": 7}, "7 heads"),
        ({"n_kv_heads": 5}, "5 key/value"),
        ({"axes_dims": [32, 32, 16]}, "head size 96"),
        ({"axes_dims": [48, 48]}, "head size 96"),
        ({"axes_dims": [31, 33, 32]}, "even"),
        ({"qk_norm": False}, "qk_norm"),
        ({"n_heads": 0}, "has no|positive"),
        ({"dim": -2304}, "dim is -2304"),
        ({"dim": "wide"}, "dim is 'wide'"),
        ({"n_layers": 3.5}, "n_layers is 3.5"),
        ({"axes_dims": [32, 32, None]}, "axes_dims"),
        ({"axes_dims": 96}, "axes_dims is 96, not a list"),
        ({"dim": None}, "has no dim"),
        ({"_class_name": "NextDiT_2B_GQA_patch2_Adaln_Refiner_WITH_CLIP_CNN"}, "CNN"),
    ],
)
def test_config_that_cannot_be_built_is_refused_in_words(change, said):
    with pytest.raises(WeightsError, match=said) as caught:
        NextDiTConfig.from_dict(RELEASE.to_dict() | change)
    assert caught.value.hint
