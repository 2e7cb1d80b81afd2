"""Gemma 3, text part: the names below the text prefix are ours, so there is nothing to rename.

What the file holds beyond that (picture encoder, output head, last layer and final norm, which cannot change the
features) is listed as ignored.
"""

from __future__ import annotations

ANCHORS: dict[str, tuple[str, ...]] = {
    "hugging face": (
        "layers.0.self_attn.q_norm.weight",
        "layers.0.pre_feedforward_layernorm.weight",
        "embed_tokens.weight",
    ),
}
IGNORED = ("vision_tower.", "multi_modal_projector.", "vision_model.", "lm_head.")


def unused(layers: int) -> tuple[str, ...]:
    """Names, or beginnings of names, that a model of so many layers (the last included) never needs."""
    return (f"layers.{layers - 1}.", "norm.weight")
