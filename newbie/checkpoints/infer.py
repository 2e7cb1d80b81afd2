"""Configurations from the shapes of tensors. What a config.json says is used where shapes cannot tell;
where the two disagree the shapes are right, and the disagreement is noted.

All shapes here are under our own names, after translation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from newbie.errors import WeightsError
from newbie.model.config import NextDiTConfig
from newbie.text.gemma import GemmaConfig
from newbie.text.jina import JinaConfig
from newbie.vae import AutoencoderConfig

Shapes = Mapping[str, tuple[int, ...]]
Raw = Mapping[str, Any]

MAX_BLOCKS = 1024  # building them takes time before anything shows that a file is not true; published are 36
DIFFUSERS_KEYS = {
    "hidden_size": "dim",
    "num_layers": "n_layers",
    "num_refiner_layers": "n_refiner_layers",
    "num_attention_heads": "n_heads",
    "num_kv_heads": "n_kv_heads",
    "axes_dim_rope": "axes_dims",
    "pooled_projection_dim": "clip_text_dim",
}


class Inferred(NamedTuple):
    """A configuration, and what had to be decided on the way."""

    config: Any
    notes: tuple[str, ...]


def transformer(shapes: Shapes, raw: Raw) -> Inferred:
    """A NextDiTConfig. RoPE axes come from `raw`, else the head size is split into equal thirds.

    Raises:
        WeightsError: a tensor that tells the size is missing, or the axes cannot be known; the hint says what to pass.
    """
    said = {DIFFUSERS_KEYS.get(key, key): value for key, value in raw.items()}
    notes: list[str] = []
    dim, patch_dim = _shape(shapes, "x_embedder.weight", 2)
    (head_dim,) = _shape(shapes, "layers.0.attention.q_norm.weight", 1)
    heads = _shape(shapes, "layers.0.attention.out.weight", 2)[1] // max(head_dim, 1)
    rows = _shape(shapes, "layers.0.attention.qkv.weight", 2)[0]
    patch = said.get("patch_size")
    patch = patch if isinstance(patch, int) and patch > 0 else 2
    facts: dict[str, Any] = {
        "dim": dim,
        "patch_size": patch,
        "in_channels": patch_dim // patch**2,
        "n_layers": _blocks(shapes, "layers."),
        "n_refiner_layers": max(_blocks(shapes, "noise_refiner."), _blocks(shapes, "context_refiner.")),
        "n_heads": heads,
        "n_kv_heads": (rows // max(head_dim, 1) - heads) // 2,
        "cap_feat_dim": _shape(shapes, "cap_embedder.0.weight", 1)[0],
        "clip_text_dim": None,
    }
    if "clip_text_pooled_proj.0.weight" in shapes:
        (facts["clip_text_dim"],) = _shape(shapes, "clip_text_pooled_proj.0.weight", 1)
    _require_positive(facts)
    if said.get("with_clip") is False:  # such a config may still mention the width
        said.pop("clip_text_dim", None)
    notes += _disagreements("transformer", facts, said)
    facts["axes_dims"] = _axes(said.get("axes_dims"), head_dim, notes)
    kept = {key: value for key, value in said.items() if key not in ("with_clip", *facts)}
    for key in ("norm_eps", "qk_norm_eps", "rope_theta"):
        if kept.get(key) is not None:
            kept[key] = _number(key, kept[key])
    if not _whole_numbers(kept.get("axes_lens"), 3):
        kept.pop("axes_lens", None)
    for key in ("multiple_of", "ffn_dim_multiplier"):  # what they lead to is in the shapes
        if not isinstance(kept.get(key), int | float) or kept[key] <= 0:
            kept.pop(key, None)
    config = NextDiTConfig.from_dict(kept | facts)
    return Inferred(config.with_ffn_dim(_shape(shapes, "layers.0.feed_forward.w1.weight", 2)[0]), tuple(notes))


def vae(shapes: Shapes, raw: Raw) -> Inferred:
    """An AutoencoderConfig. Norm groups cannot be seen in shapes: 32 unless `raw` says otherwise.

    Raises:
        WeightsError: a tensor that tells the size is missing, or `raw` describes another family.
    """
    half = "decoder.up_blocks." if "decoder.conv_in.weight" in shapes else "encoder.down_blocks."
    levels = _blocks(shapes, half)
    channels = tuple(_shape(shapes, f"{half}{level}.resnets.0.conv1.weight", 4)[0] for level in range(levels))
    blocks = _blocks(shapes, f"{half}0.resnets.")
    if half.startswith("decoder"):
        channels, blocks = channels[::-1], blocks - 1
        latent = _shape(shapes, "decoder.conv_in.weight", 4)[1]
    else:
        latent = _shape(shapes, "encoder.conv_out.weight", 4)[0] // 2
    facts = {"block_out_channels": channels, "layers_per_block": blocks, "latent_channels": latent}
    said = {key: tuple(v) if isinstance(v, list) else v for key, v in raw.items()}
    notes = _disagreements("vae", facts, said)
    groups = AutoencoderConfig.norm_num_groups
    if "norm_num_groups" not in said and any(count % groups for count in channels):
        raise WeightsError(
            f"the autoencoder's {channels} channels do not divide into {groups} norm groups, and no config says more",
            "put a config.json with norm_num_groups beside the weights",
        )
    return Inferred(AutoencoderConfig.from_json({**raw, **facts}), tuple(notes))


def gemma(shapes: Shapes, raw: Raw) -> Inferred:
    """A GemmaConfig whose layer count includes the last layer, which a file may have or lack.

    Raises:
        WeightsError: a tensor that tells the size is missing, or `raw` is another model's.
    """
    said = raw["text_config"] if isinstance(raw.get("text_config"), Mapping) else raw
    vocabulary, width = _shape(shapes, "embed_tokens.weight", 2)
    (head_dim,) = _shape(shapes, "layers.0.self_attn.q_norm.weight", 1)
    present = _blocks(shapes, "layers.")
    facts: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": _shape(shapes, "layers.0.mlp.gate_proj.weight", 2)[0],
        "num_attention_heads": _shape(shapes, "layers.0.self_attn.q_proj.weight", 2)[0] // max(head_dim, 1),
        "num_key_value_heads": _shape(shapes, "layers.0.self_attn.k_proj.weight", 2)[0] // max(head_dim, 1),
        "head_dim": head_dim,
    }
    layers = said.get("num_hidden_layers")
    if layers not in (present, present + 1):  # without its final norm a file has also lost its last layer
        facts["num_hidden_layers"] = present if "norm.weight" in shapes else present + 1
    if said.get("query_pre_attn_scalar") is None and head_dim != GemmaConfig.head_dim:
        facts["query_pre_attn_scalar"] = head_dim
    notes = _disagreements("text encoder", facts, said)
    if not said and width != GemmaConfig.hidden_size:
        notes.append("text encoder: no config; what shapes cannot tell is that of Gemma-3-4B (window, RoPE)")
    _require_positive(facts)
    plain = dict(said)
    if layers != facts.get("num_hidden_layers", layers):
        plain.pop("layer_types", None)
    plain.setdefault("model_type", raw.get("model_type"))
    return Inferred(GemmaConfig.from_dict(plain | facts), tuple(notes))


def jina(shapes: Shapes, raw: Raw) -> Inferred:
    """A JinaConfig. The number of heads cannot be seen in shapes: heads of 64 unless `raw` says otherwise.

    Raises:
        WeightsError: a tensor that tells the size is missing, or the number of heads cannot be known.
    """
    said: dict[str, Any] = dict(raw["text_config"] if isinstance(raw.get("text_config"), Mapping) else raw)
    extra = said.pop("hf_model_config_kwargs", None)
    said |= extra if isinstance(extra, Mapping) else {}
    vocabulary, width = _shape(shapes, "embeddings.word_embeddings.weight", 2)
    facts: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "num_hidden_layers": _blocks(shapes, "encoder.layers."),
        "intermediate_size": _shape(shapes, "encoder.layers.0.mlp.fc1.weight", 2)[0],
    }
    _require_positive(facts)
    heads = said.get("num_attention_heads")
    if not isinstance(heads, int) or heads < 1:
        if width % 64:
            raise WeightsError(
                f"the CLIP model is {width} wide, which is no number of heads of 64, and no config says more",
                "put a config.json with num_attention_heads beside the weights",
            )
        heads = width // 64
    notes = _disagreements("CLIP model", facts, said)
    return Inferred(JinaConfig.from_dict(said | facts | {"num_attention_heads": heads}), tuple(notes))


def _shape(shapes: Shapes, name: str, axes: int) -> tuple[int, ...]:
    if name not in shapes:
        raise WeightsError(f"tensor {name} is missing", "the file is incomplete; download it again")
    if len(shapes[name]) != axes:
        raise WeightsError(
            f"tensor {name} has the shape {list(shapes[name])}, expected {axes} axes", "download the file again"
        )
    return shapes[name]


def _blocks(shapes: Shapes, prefix: str) -> int:
    """How many numbered blocks follow `prefix`; they must be numbered without a gap."""
    numbers = {name.removeprefix(prefix).split(".")[0] for name in shapes if name.startswith(prefix)}
    found = sorted(int(number) for number in numbers if number.isascii() and number.isdigit() and len(number) < 7)
    for expected, number in enumerate(found):
        if expected != number:
            raise WeightsError(
                f"block {prefix}{expected} is missing, {prefix}{found[-1]} is there", "half a model is not run"
            )
    if not found:
        raise WeightsError(f"no tensor begins with {prefix}0", "the file is incomplete; download it again")
    if len(found) > MAX_BLOCKS:
        raise WeightsError(f"there are {len(found):,} blocks {prefix}N; no model has so many", "check the file")
    return len(found)


def _axes(said: Any, head_dim: int, notes: list[str]) -> tuple[int, ...]:
    if said is not None:
        if _whole_numbers(said, 3) and sum(said) == head_dim and not any(axis % 2 for axis in said):
            return tuple(said)
        notes.append(f"transformer: the config's axes_dims {said} do not fit heads of {head_dim}; not used")
    if head_dim % 6:
        raise WeightsError(
            f"the RoPE axes of a model with heads of {head_dim} cannot be seen in its weights",
            f"put axes_dims (three even numbers that add up to {head_dim}) into a config.json beside the weights",
        )
    return (head_dim // 3,) * 3


def _require_positive(facts: Mapping[str, int | None]) -> None:
    if any(value is not None and value < 1 for value in facts.values()):
        raise WeightsError(f"the shapes contradict each other: {facts}", "the file is damaged; download it again")


def _disagreements(part: str, facts: Mapping[str, Any], said: Raw) -> list[str]:
    return [
        f"{part}: the config says {key} {said[key]}, the weights {value}; the weights are right"
        for key, value in facts.items()
        if said.get(key) is not None and said[key] != value
    ]


def _whole_numbers(values: Any, count: int) -> bool:
    return (
        isinstance(values, list | tuple)
        and len(values) == count
        and all(isinstance(value, int) and value > 0 for value in values)
    )


def _number(key: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise WeightsError(f"the transformer's config says {key} {value!r}", "it should be a number") from None
