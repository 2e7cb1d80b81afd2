"""Gemma 3, text part: the names below the text prefix are ours, so there is nothing to rename; llama.cpp has its own.

What the file holds beyond that (picture encoder, output head, last layer and final norm, which cannot change the
features) is listed as ignored.
"""

from __future__ import annotations

from newbie.checkpoints.rules import Rule, Shift, Table, rename

ANCHORS: dict[str, tuple[str, ...]] = {
    "hugging face": (
        "layers.0.self_attn.q_norm.weight",
        "layers.0.pre_feedforward_layernorm.weight",
        "embed_tokens.weight",
    ),
    "llama.cpp": ("blk.0.attn_q_norm.weight", "blk.0.post_ffw_norm.weight", "token_embd.weight"),
}
IGNORED = ("vision_tower.", "multi_modal_projector.", "vision_model.", "lm_head.", "output.weight", "rope_freqs.")

_LINEARS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_NORMS = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
}


def unused(layers: int) -> tuple[str, ...]:
    """Names, or beginnings of names, that a model of so many layers (the last included) never needs."""
    return (f"layers.{layers - 1}.", "norm.weight")


def llama() -> Table:
    """Rules for llama.cpp's names. Its norms hold 1 + weight: multiplied as they are, where ours add the one."""
    rules: list[Rule] = [
        rename("embed_tokens.weight", "token_embd.weight"),
        Shift(("norm.weight",), ("output_norm.weight",)),
    ]
    rules += [rename(f"layers.*.{ours}.weight", f"blk.*.{theirs}.weight") for ours, theirs in _LINEARS.items()]
    rules += [Shift((f"layers.*.{ours}.weight",), (f"blk.*.{theirs}.weight",)) for ours, theirs in _NORMS.items()]
    return tuple(rules)
