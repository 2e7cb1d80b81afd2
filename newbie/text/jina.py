"""The text tower of Jina CLIP v2, self-contained: token ids in, one pooled vector per text out.

An XLM-RoBERTa encoder with norms after the residual sums and rotary positions instead of learnt ones
(Koukounas et al. 2024, arXiv:2412.08802; rotary positions: arXiv:2104.09864). Parameter names are those of
the original checkpoint below `text_model.transformer.roberta.`, with its LoRA merged into the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from newbie.errors import WeightsError
from newbie.text.features import Keep, afresh
from newbie.text.tokens import Tokenizer, check_vocabulary


@dataclass(frozen=True, kw_only=True)
class JinaConfig:
    """The text tower; the defaults are jinaai/jina-clip-v2, whose config.json states almost none of them."""

    vocab_size: int = 250_002
    hidden_size: int = 1024
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    intermediate_size: int = 4096
    layer_norm_eps: float = 1e-5
    rotary_base: float = 20_000.0
    pad_token_id: int = 1
    lora_rank: int = 4
    lora_alpha: float = 4.0

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_attention_heads or self.head_dim % 2:
            raise WeightsError(
                f"Jina config: width {self.hidden_size} is not {self.num_attention_heads} heads of even size",
                "correct num_attention_heads in the config.json of the CLIP model",
            )

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> JinaConfig:
        """Read a config.json: our flat one, or the original with `text_config` and its nested arguments.

        Raises WeightsError for a value of the wrong type and for another activation than the exact GELU.
        """
        nested = raw.get("text_config")
        if isinstance(nested, Mapping):
            return cls.from_dict(nested)
        extra = raw.get("hf_model_config_kwargs")
        known: dict[str, Any] = {**raw, **extra} if isinstance(extra, Mapping) else dict(raw)
        activation = str(known.get("hidden_act") or "gelu")
        if activation.split()[0] != "gelu":
            raise WeightsError(
                f"Jina config: activation {activation!r}, expected 'gelu'", "use the tower of Jina CLIP v2"
            )
        if "rotary_base" not in known and known.get("rotary_emb_base") is not None:
            known["rotary_base"] = known["rotary_emb_base"]
        whole = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
                 "pad_token_id", "lora_rank")  # fmt: skip
        try:
            fields: dict[str, Any] = {name: int(known[name]) for name in whole if known.get(name) is not None}
            for name in ("layer_norm_eps", "rotary_base", "lora_alpha"):
                if known.get(name) is not None:
                    fields[name] = float(known[name])
        except (TypeError, ValueError) as error:
            raise WeightsError(
                f"the Jina config is unreadable: {error}", "compare it with jinaai/jina-clip-v2"
            ) from error
        return cls(**fields)

    def to_dict(self) -> dict[str, Any]:
        """A config.json for the official folder layout."""
        return {"model_type": "jina_clip_text", "hidden_act": "gelu", **asdict(self)}


class Embeddings(nn.Module):
    """Word plus token type. There is one type, and no position: that is the rotation's job."""

    def __init__(self, config: JinaConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.token_type_embeddings = nn.Embedding(1, config.hidden_size)

    def forward(self, ids: Tensor) -> Tensor:
        return self.word_embeddings(ids) + self.token_type_embeddings(ids.new_zeros(1))


class Mixer(nn.Module):
    """Self-attention in both directions; queries, keys and values are three equal parts of one projection."""

    def __init__(self, config: JinaConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.Wqkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.out_proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor], keys: Tensor) -> Tensor:
        q, k, v = self.Wqkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each (B, H, L, D)
        q, k = rotate(q, rope).to(v.dtype), rotate(k, rope).to(v.dtype)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=keys)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, config: JinaConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Layer(nn.Module):
    def __init__(self, config: JinaConfig) -> None:
        super().__init__()
        self.mixer = Mixer(config)
        self.mlp = FeedForward(config)
        self.norm1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.norm2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor], keys: Tensor) -> Tensor:
        x = self.norm1(x + self.mixer(x, rope, keys))
        return self.norm2(x + self.mlp(x))


class Encoder(nn.Module):
    """Holds the layers, so that their names are the checkpoint's."""

    def __init__(self, config: JinaConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor], keys: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, rope, keys)
        return x


class JinaTextTower(nn.Module):
    """Token ids (B, L) to hidden states (B, L, E) and to their mean (B, E). Has no buffers."""

    def __init__(self, config: JinaConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.emb_ln = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.encoder = Encoder(config)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Hidden states (B, L, E); `mask` (B, L) bool, True at valid tokens. Padding rows mean nothing."""
        rope = angles(ids.shape[1], self.config, ids.device)
        x = self.emb_ln(self.embeddings(ids))
        return self.encoder(x, rope, mask[:, None, None, :])

    def pooled(self, ids: Tensor) -> Tensor:
        """Mean over each text's tokens, <s> and </s> included: (B, E), not projected, not normalised."""
        mask = ids != self.config.pad_token_id
        hidden = self(ids, mask).float()
        weight = mask[..., None].float()
        return (hidden * weight).sum(dim=1) / weight.sum(dim=1)


def angles(length: int, config: JinaConfig, device: torch.device) -> tuple[Tensor, Tensor]:
    """cos and sin (L, D) of the rotation, float32."""
    exponent = torch.arange(0, config.head_dim, 2, dtype=torch.float32, device=device) / config.head_dim
    positions = torch.arange(length, dtype=torch.float32, device=device)
    angle = torch.outer(positions, 1.0 / config.rotary_base**exponent).repeat(1, 2)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
    """Turn channel i together with channel i + D/2 of x (..., L, D); float32."""
    cos, sin = rope
    left, right = x.float().chunk(2, dim=-1)
    return x.float() * cos + torch.cat((-right, left), dim=-1) * sin


def initialise(model: JinaTextTower, generator: torch.Generator) -> None:
    """Random weights to train from nothing: matrices of deviation 0.02, biases 0, norms 1 (BERT's habit)."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2:
                parameter.normal_(0.0, 0.02, generator=generator)
            else:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)


@dataclass(frozen=True)
class JinaEncoder:
    """Texts to pooled vectors. `limit` is the number of tokens kept (2048 in the official pipeline)."""

    model: JinaTextTower
    tokenizer: Tokenizer
    limit: int = 2048

    def __post_init__(self) -> None:
        check_vocabulary("Jina", self.tokenizer, self.model.config.vocab_size)

    @torch.no_grad()
    def encode(self, texts: Sequence[str], keep: Keep = afresh) -> Tensor:
        """Pooled vectors (B, E), float32. Each text runs by itself, so no row depends on its neighbours; `keep` may
        know it."""
        rows: dict[str, Tensor] = {}
        for text in texts:
            if text not in rows:
                ids = self.tokenizer.encode(text, limit=self.limit).ids
                rows[text] = keep(("jina", self.limit, *ids), partial(self._pooled, ids))
        return torch.stack([rows[text] for text in texts])

    def _pooled(self, ids: list[int]) -> Tensor:
        """(E,)."""
        device = next(self.model.parameters()).device
        return self.model.pooled(torch.tensor([ids], device=device))[0]
