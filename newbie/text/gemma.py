"""Gemma 3 as NewBie uses it: the raw output of the last-but-one layer. The only door to transformers.

The published caption features are hidden_states[-2], which no final norm has touched. The last layer and the
final norm can therefore not change a picture: they are never built, and a file may lack them.
Source: google/gemma-3-4b-it model card; the table of fall-backs is the architecture of its text part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from newbie.errors import WeightsError
from newbie.text.features import Keep, afresh, stack_rows
from newbie.text.tokens import Tokenizer, check_vocabulary

SLIDING, FULL = "sliding_attention", "full_attention"


@dataclass(frozen=True, kw_only=True)
class GemmaConfig:
    """The text part of a Gemma 3. The defaults are Gemma-3-4B: the published config.json omits most of them,
    and the class defaults of recent transformers releases differ (window 4096, no RoPE scaling).

    `num_hidden_layers` counts the last layer, which is not built.
    """

    vocab_size: int = 262_208
    hidden_size: int = 2560
    intermediate_size: int = 10_240
    num_hidden_layers: int = 34
    num_attention_heads: int = 8
    num_key_value_heads: int = 4
    head_dim: int = 256
    query_pre_attn_scalar: int = 256
    sliding_window: int = 1024
    rms_norm_eps: float = 1e-6
    rope_theta: float = 1_000_000.0
    rope_local_theta: float = 10_000.0
    rope_factor: float = 8.0
    layer_types: tuple[str, ...] = ()
    pad_token_id: int = 0
    eos_token_id: int = 1
    bos_token_id: int = 2

    def __post_init__(self) -> None:
        if not self.layer_types:
            object.__setattr__(self, "layer_types", layer_pattern(self.num_hidden_layers, every=6))
        if len(self.layer_types) != self.num_hidden_layers or set(self.layer_types) - {SLIDING, FULL}:
            raise WeightsError(
                f"Gemma config: layer_types must name {self.num_hidden_layers} layers {SLIDING} or {FULL}, "
                f"got {len(self.layer_types)}: {', '.join(sorted(set(self.layer_types)))}",
                "correct layer_types in the config.json of the text encoder, or remove it",
            )
        if self.num_hidden_layers < 2:
            raise WeightsError(
                f"Gemma config: {self.num_hidden_layers} layer(s), but features come from the last but one",
                "the text encoder needs num_hidden_layers >= 2",
            )
        if self.num_attention_heads % self.num_key_value_heads or self.head_dim % 2:
            raise WeightsError(
                f"Gemma config: {self.num_attention_heads} heads of size {self.head_dim} cannot share "
                f"{self.num_key_value_heads} key heads",
                "heads must be a multiple of the key heads and the head size even",
            )

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> GemmaConfig:
        """Read a config.json: flat, or nested under `text_config`; old and new RoPE spellings.

        Raises WeightsError for another model family and for features that Gemma 3 does not have.
        """
        nested = raw.get("text_config")
        if isinstance(nested, Mapping):
            return cls.from_dict(nested)
        family = str(raw.get("model_type") or "gemma3_text")
        if not family.startswith("gemma3"):
            raise WeightsError(
                f"the text encoder's config.json says model_type {family!r}, not Gemma 3",
                "NewBie-image was trained with google/gemma-3-4b-it",
            )
        for name in ("attn_logit_softcapping", "use_bidirectional_attention", "attention_bias"):
            if raw.get(name):
                raise WeightsError(
                    f"Gemma config: {name} = {raw[name]!r} is not part of Gemma 3",
                    "use a Gemma 3 text encoder",
                )
        activation = raw.get("hidden_activation") or raw.get("hidden_act") or "gelu_pytorch_tanh"
        if activation != "gelu_pytorch_tanh":
            raise WeightsError(
                f"Gemma config: activation {activation!r}, expected 'gelu_pytorch_tanh'",
                "correct hidden_activation in the config.json of the text encoder",
            )
        try:
            return cls(**_fields(raw))
        except (TypeError, ValueError) as error:
            raise WeightsError(
                f"the Gemma config is unreadable: {error}", "compare it with google/gemma-3-4b-it"
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """A config.json that this class and transformers' Gemma3TextConfig both read."""
        return {
            "architectures": ["Gemma3TextModel"],
            "model_type": "gemma3_text",
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads,
            "num_key_value_heads": self.num_key_value_heads,
            "head_dim": self.head_dim,
            "query_pre_attn_scalar": self.query_pre_attn_scalar,
            "sliding_window": self.sliding_window,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_parameters": {
                FULL: {"rope_type": "linear", "factor": self.rope_factor, "rope_theta": self.rope_theta},
                SLIDING: {"rope_type": "default", "rope_theta": self.rope_local_theta},
            },
            "layer_types": list(self.layer_types),
            "hidden_activation": "gelu_pytorch_tanh",
            "pad_token_id": self.pad_token_id,
            "eos_token_id": self.eos_token_id,
            "bos_token_id": self.bos_token_id,
        }


def layer_pattern(count: int, *, every: int) -> tuple[str, ...]:
    """Layer kinds: full attention on each `every`-th layer, a sliding window on the others."""
    return tuple(SLIDING if (index + 1) % every else FULL for index in range(count))


def _fields(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The constructor's arguments that `raw` states; what it leaves out falls back to Gemma-3-4B."""
    whole = (
        "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "head_dim", "query_pre_attn_scalar", "sliding_window", "pad_token_id",
        "bos_token_id",
    )  # fmt: skip
    fields: dict[str, Any] = {name: int(raw[name]) for name in whole if raw.get(name) is not None}
    for name in ("rms_norm_eps", "rope_theta"):
        if raw.get(name) is not None:
            fields[name] = float(raw[name])
    eos = raw.get("eos_token_id")
    if eos is not None:  # the chat model lists two
        fields["eos_token_id"] = int(eos[0] if isinstance(eos, Sequence) else eos)
    if raw.get("layer_types"):
        fields["layer_types"] = tuple(str(kind) for kind in raw["layer_types"])
    elif raw.get("sliding_window_pattern"):
        count = fields.get("num_hidden_layers", GemmaConfig.num_hidden_layers)
        fields["layer_types"] = layer_pattern(count, every=int(raw["sliding_window_pattern"]))
    return fields | _rope(raw)


def _rope(raw: Mapping[str, Any]) -> dict[str, float]:
    """RoPE settings from `rope_parameters` (new), `rope_scaling` (old) or plain numbers."""
    fields: dict[str, float] = {}
    for name, ours in (("rope_local_base_freq", "rope_local_theta"), ("rope_factor", "rope_factor")):
        if raw.get(name) is not None:
            fields[ours] = float(raw[name])
    parameters = raw.get("rope_parameters") or {}
    full = parameters.get(FULL, parameters)
    local = parameters.get(SLIDING, {})
    if full.get("rope_theta") is not None:
        fields["rope_theta"] = float(full["rope_theta"])
    if local.get("rope_theta") is not None:
        fields["rope_local_theta"] = float(local["rope_theta"])
    scaling = full if "rope_type" in full else raw.get("rope_scaling")
    if scaling is not None:
        kind = scaling.get("rope_type", scaling.get("type", "default"))
        if kind not in ("linear", "default"):
            raise WeightsError(f"Gemma config: RoPE scaling {kind!r}, expected linear", "use a Gemma 3 text encoder")
        fields["rope_factor"] = float(scaling["factor"]) if kind == "linear" else 1.0
    elif "rope_scaling" in raw:  # an explicit null, as in Gemma-3-1B
        fields["rope_factor"] = 1.0
    return fields


class ScaledEmbedding(nn.Embedding):
    """Token embeddings times sqrt(width), where the factor is first rounded to the dtype of the weights."""

    def forward(self, ids: Tensor) -> Tensor:
        return F.embedding(ids, self.weight) * self.factor(self.weight.dtype)

    def factor(self, dtype: torch.dtype) -> float:
        """What rows in `dtype` are multiplied with."""
        # A plain float, not a buffer: it survives the meta device and a change of dtype. Gemma was trained
        # with the rounded factor (50.5 in bfloat16 instead of 50.596).
        return torch.tensor(math.sqrt(self.embedding_dim), dtype=dtype).item()


class Rotary(nn.Module):
    """RoPE angles of both layer kinds, computed in float32 at each call.

    transformers keeps them in buffers, which are empty after a build on meta and lose digits in `.to(bfloat16)`.
    """

    def __init__(self, config: GemmaConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.theta = {FULL: config.rope_theta, SLIDING: config.rope_local_theta}
        self.divisor = {FULL: config.rope_factor, SLIDING: 1.0}

    def forward(self, x: Tensor, position_ids: Tensor, layer_type: str) -> tuple[Tensor, Tensor]:
        """cos and sin (B, L, D) in the dtype of x, for positions (B, L)."""
        exponent = torch.arange(0, self.head_dim, 2, dtype=torch.float32, device=x.device) / self.head_dim
        frequency = 1.0 / self.theta[layer_type] ** exponent / self.divisor[layer_type]
        angle = position_ids[..., None].float() * frequency
        angle = torch.cat((angle, angle), dim=-1)
        return angle.cos().to(x.dtype), angle.sin().to(x.dtype)


def build_gemma(config: GemmaConfig) -> nn.Module:
    """Gemma 3 without its last layer and final norm, on the current default device (meta included).

    Parameter names are the official ones below the text prefix (`embed_tokens.weight`, `layers.0. ...`). There
    are no buffers. On a real device the weights are not set: load them, or call `initialise`.

    Attention is the arithmetic of the reference, operation by operation; a prompt is short, so it costs nothing.
    """
    from transformers.models.gemma3.configuration_gemma3 import Gemma3TextConfig
    from transformers.models.gemma3.modeling_gemma3 import Gemma3TextModel

    built = config.num_hidden_layers - 1
    settings = config.to_dict() | {
        "num_hidden_layers": built,
        "layer_types": list(config.layer_types[:built]),
        "use_cache": False,
        "attn_implementation": "eager",
    }
    with torch.device("meta"):  # the parts replaced below must cost nothing
        model: nn.Module = Gemma3TextModel(Gemma3TextConfig(**settings))
    model.norm = nn.Identity()
    model.rotary_emb = Rotary(config)
    model.embed_tokens = ScaledEmbedding(config.vocab_size, config.hidden_size, device="meta")
    model.eval()
    where = torch.get_default_device()
    return model if where.type == "meta" else model.to_empty(device=where)


def initialise(model: nn.Module, generator: torch.Generator) -> None:
    """Random weights to train a small Gemma from nothing.

    Linear layers get a deviation of 1/sqrt(fan in), norms their neutral 0 (the factor is 1 + weight), and
    embeddings 1/sqrt(width), so that the scaled embedding starts with deviation 1.
    """
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.zero_()
                continue
            fan_in = weight.shape[1]
            weight.normal_(0.0, fan_in**-0.5, generator=generator)
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                weight.mul_(0.5)


def hidden_states(model: nn.Module, ids: Tensor) -> Tensor:
    """Caption features (B, L, E) of right padded token ids (B, L), with gradients where they are enabled.

    No mask goes in: attention is causal, so a valid token never sees the padding at its right. Rows of
    padding come out finite and meaningless.
    """
    output: Tensor = model(input_ids=ids).last_hidden_state
    return output


@dataclass(frozen=True)
class GemmaEncoder:
    """Texts to caption features. `limit` is the number of tokens kept (512 in the official pipeline)."""

    model: nn.Module
    tokenizer: Tokenizer
    limit: int = 512

    def __post_init__(self) -> None:
        rows = cast("int", self.model.get_submodule("embed_tokens").num_embeddings)
        check_vocabulary("Gemma", self.tokenizer, rows)

    @torch.no_grad()
    def encode(self, texts: Sequence[str], keep: Keep = afresh) -> tuple[Tensor, Tensor]:
        """hidden (B, L, E) and mask (B, L) bool, L a multiple of 8.

        Each text runs by itself: a row is the same, bit for bit, whatever else is in the batch. `keep` may know it.
        """
        rows: dict[str, Tensor] = {}
        for text in texts:
            if text not in rows:
                ids = self.tokenizer.encode(text, limit=self.limit).ids
                rows[text] = keep(("gemma", self.limit, *ids), partial(self._features, ids))
        return stack_rows([rows[text] for text in texts])

    def _features(self, ids: list[int]) -> Tensor:
        """(L, E)."""
        device = next(self.model.parameters()).device
        return hidden_states(self.model, torch.tensor([ids], device=device))[0]
