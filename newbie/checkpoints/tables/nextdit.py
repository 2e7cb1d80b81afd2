"""Next-DiT: official names are ours; diffusers' Lumina2Transformer2DModel (and the NewBie port of it) is a table.

diffusers keeps q, k and v apart, which we store as one matrix with the rows of all query heads first.
"""

from __future__ import annotations

from newbie.checkpoints.rules import Drop, Fuse, Rule, Table, rename

ANCHORS: dict[str, tuple[str, ...]] = {
    "official": ("layers.0.attention.qkv.weight", "cap_embedder.1.weight", "x_embedder.weight"),
    "diffusers": ("layers.0.attn.to_q.weight", "time_caption_embed.caption_embedder.1.weight"),
}
# The pooled-vector branch that makes the difference between NewBie and Lumina-Image 2.0.
CLIP_NAMES = ("clip_text_pooled_proj.1.weight", "time_text_embed.1.weight")

# In every official checkpoint, used by no forward pass, left out of repacked files.
OPTIONAL = ("norm_final.weight",)
# Early forks carried an image branch; the released code has none.
IGNORED = ("clip_img_pooled_embedder.", "clip_img_pooled_proj.")

BLOCKS = ("layers", "noise_refiner", "context_refiner")
_WHOLE = {
    "x_embedder.*": "x_embedder.*",
    "t_embedder.mlp.0.*": "time_caption_embed.timestep_embedder.linear_1.*",
    "t_embedder.mlp.2.*": "time_caption_embed.timestep_embedder.linear_2.*",
    "cap_embedder.*.*": "time_caption_embed.caption_embedder.*.*",
    "clip_text_pooled_proj.*.*": "time_caption_embed.clip_text_pooled_proj.*.*",
    "time_text_embed.1.*": "time_caption_embed.time_text_embed.1.*",
    "final_layer.adaLN_modulation.1.*": "norm_out.linear_1.*",
    "final_layer.linear.*": "norm_out.linear_2.*",
}
_BLOCK = {
    "attention.out.weight": "attn.to_out.0.weight",
    "attention.q_norm.weight": "attn.norm_q.weight",
    "attention.k_norm.weight": "attn.norm_k.weight",
    "feed_forward.w1.weight": "feed_forward.linear_1.weight",
    "feed_forward.w2.weight": "feed_forward.linear_2.weight",
    "feed_forward.w3.weight": "feed_forward.linear_3.weight",
    "attention_norm2.weight": "norm2.weight",
    "ffn_norm1.weight": "ffn_norm1.weight",
    "ffn_norm2.weight": "ffn_norm2.weight",
}
_MODULATED = {
    "attention_norm1.weight": "norm1.norm.weight",
    "adaLN_modulation.1.*": "norm1.linear.*",
}
_PLAIN = {"attention_norm1.weight": "norm1.weight"}


def diffusers(qkv: tuple[int, int, int] | tuple[()] = ()) -> Table:
    """Rules for diffusers names. `qkv` (rows of q, k, v) is needed for saving only."""
    rules: list[Rule] = [rename(ours, theirs) for ours, theirs in _WHOLE.items()]
    for group in BLOCKS:
        base = f"{group}.*."
        special = _PLAIN if group == "context_refiner" else _MODULATED
        rules += [rename(base + ours, base + theirs) for ours, theirs in (_BLOCK | special).items()]
        parts = tuple(f"{base}attn.to_{part}.weight" for part in "qkv")
        rules.append(Fuse((f"{base}attention.qkv.weight",), parts, qkv))
    rules.append(Drop(OPTIONAL, ()))
    return tuple(rules)
