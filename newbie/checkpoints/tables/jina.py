"""The Jina CLIP v2 text tower: merged original names are ours.

The original file keeps each weight apart from a rank-4 adapter that is always active; it is merged here. The
transformers library has a class of its own for the tower, with q, k and v apart.
"""

from __future__ import annotations

from newbie.checkpoints.rules import Fuse, MergeLora, Rule, Table, rename

ANCHORS: dict[str, tuple[str, ...]] = {
    "original": ("encoder.layers.0.mixer.Wqkv.parametrizations.weight.original", "emb_ln.weight"),
    "merged": ("encoder.layers.0.mixer.Wqkv.weight", "emb_ln.weight"),
    "transformers": ("layers.0.self_attn.q_proj.weight", "layers.0.post_mlp_layernorm.weight"),
}
IGNORED = ("vision_model.", "vision_tower.", "logit_scale", "text_projection.", "visual_projection.", "pooler.")

_TABLES = ("embeddings.word_embeddings", "embeddings.token_type_embeddings")
_LINEARS = tuple(f"encoder.layers.*.{name}" for name in ("mixer.Wqkv", "mixer.out_proj", "mlp.fc1", "mlp.fc2"))


def original(scale: float) -> Table:
    """Rules for the original file; `scale` is lora_alpha / lora_rank. Loading only: a merge has no inverse."""
    rules: list[Rule] = []
    for ours in (*_TABLES, *_LINEARS):
        parts = tuple(f"{ours}.parametrizations.weight.{part}" for part in ("original", "0.lora_A", "0.lora_B"))
        rules.append(MergeLora((f"{ours}.weight",), parts, scale=scale, table=ours in _TABLES))
    return tuple(rules)


def transformers() -> Table:
    """Rules for transformers' JinaEmbeddingsV3Model."""
    base, theirs = "encoder.layers.*.", "layers.*."
    rules: list[Rule] = [
        *(rename(f"{table}.weight", f"{table}.weight") for table in _TABLES),
        rename("emb_ln.*", "embeddings.LayerNorm.*"),
        rename(base + "mixer.out_proj.*", theirs + "self_attn.o_proj.*"),
        rename(base + "mlp.fc1.*", theirs + "mlp.fc1.*"),
        rename(base + "mlp.fc2.*", theirs + "mlp.fc2.*"),
        rename(base + "norm1.*", theirs + "post_attention_layernorm.*"),
        rename(base + "norm2.*", theirs + "post_mlp_layernorm.*"),
    ]
    for kind in ("weight", "bias"):
        parts = tuple(f"{theirs}self_attn.{part}_proj.{kind}" for part in "qkv")
        rules.append(Fuse((f"{base}mixer.Wqkv.{kind}",), parts))
    return tuple(rules)
