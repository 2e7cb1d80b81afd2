"""One block of the Next-DiT: attention and feed-forward between sandwich norms, gated by the conditioning
vector."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from newbie.attention.kernel import Kernel, SequenceInfo
from newbie.model.config import NextDiTConfig
from newbie.model.layers import FeedForward, RMSNorm
from newbie.model.rope import Rope, rotate


class TokenSequence(NamedTuple):
    """All a block must know about the tokens it gets: where they stand, which are real, how they attend.

    Belongs to one generation and is shared by its blocks; the kernel travels here so that modules hold no
    choice.
    """

    rope: Rope
    info: SequenceInfo
    attend: Kernel
    image: slice | Tensor  # where the image tokens stand: x[:, image]; behind the words, if there are any


class Modulation(NamedTuple):
    """What the conditioning vector says to one block, each (B, 1, dim): scales are 1 + s, gates are tanh(g)."""

    scale_attn: Tensor
    gate_attn: Tensor
    scale_ffn: Tensor
    gate_ffn: Tensor

    @classmethod
    def of(cls, said: Tensor) -> Modulation:
        """From what `adaLN_modulation` answers, (B, 4 dim)."""
        scale_attn, gate_attn, scale_ffn, gate_ffn = said.unsqueeze(1).chunk(4, dim=-1)
        # The gate goes through tanh before the sandwich norm is added: checkpoints depend on it.
        return cls(1 + scale_attn, gate_attn.tanh(), 1 + scale_ffn, gate_ffn.tanh())

    def rows(self, some: slice) -> Modulation:
        """What is said to some rows of the batch."""
        return Modulation(*(numbers[some] for numbers in self))


class Attention(nn.Module):
    """The weights of one attention: fused q, k, v without bias, a norm per head, and the output
    projection."""

    def __init__(self, config: NextDiTConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.heads = (config.n_heads, config.n_kv_heads, config.n_kv_heads)
        self.qkv = nn.Linear(config.dim, sum(self.heads) * self.head_dim, bias=False)
        self.out = nn.Linear(config.dim, config.dim, bias=False)
        self.q_norm = RMSNorm(self.head_dim, config.qk_norm_eps)
        self.k_norm = RMSNorm(self.head_dim, config.qk_norm_eps)

    def forward(self, x: Tensor, rope: Rope) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, L, dim) -> q (B, L, H, D), k and v (B, L, K, D); q and k normed and turned."""
        q, k, v = self.qkv(x).unflatten(-1, (-1, self.head_dim)).split(self.heads, dim=2)
        q = rotate(self.q_norm(q), rope).to(v.dtype)  # turned in float32
        k = rotate(self.k_norm(k), rope).to(v.dtype)
        return q, k, v


class Block(nn.Module):
    """A residual block; without `modulated` (the context refiner) scales and gates are one and have no
    parameters.

    Public parts, in the order in which a token meets them, so that a runner outside can arrange them
    differently: `modulation`, `qkv`, `project`, `feed`; `forward` is the plain arrangement.
    """

    def __init__(self, config: NextDiTConfig, *, modulated: bool = True) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.feed_forward = FeedForward(config.dim, config.ffn_dim)
        self.attention_norm1 = RMSNorm(config.dim, config.norm_eps)
        self.attention_norm2 = RMSNorm(config.dim, config.norm_eps)
        self.ffn_norm1 = RMSNorm(config.dim, config.norm_eps)
        self.ffn_norm2 = RMSNorm(config.dim, config.norm_eps)
        if modulated:
            self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(config.cond_dim, 4 * config.dim))

    def modulation(self, temb: Tensor | None) -> Modulation:
        """temb (B, cond_dim) -> scales and gates; None in the context refiner, which the time does not
        reach."""
        if temb is None:
            one = self.attention_norm1.weight.new_ones(1, 1, 1)
            return Modulation(one, one, one, one)
        return Modulation.of(self.adaLN_modulation(temb))

    def qkv(self, x: Tensor, scale: Tensor, seq: TokenSequence) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, L, dim) -> q (B, L, H, D), k and v (B, L, K, D), ready for the kernel."""
        return self.attention(self.attention_norm1(x) * scale, seq.rope)

    def project(self, o: Tensor) -> Tensor:
        """What the kernel gave, o (B, L, H, D) -> (B, L, dim), normed once more."""
        return self.attention_norm2(self.attention.out(o.flatten(2)))

    def feed(self, x: Tensor, scale: Tensor) -> Tensor:
        """The feed-forward branch, (B, L, dim) -> (B, L, dim)."""
        return self.ffn_norm2(self.feed_forward(self.ffn_norm1(x) * scale))

    def forward(self, x: Tensor, m: Modulation, seq: TokenSequence) -> Tensor:
        """x (B, L, dim) -> (B, L, dim), modulated by what `modulation` said."""
        q, k, v = self.qkv(x, m.scale_attn, seq)
        x = x + m.gate_attn * self.project(seq.attend(q, k, v, seq.info))
        return x + m.gate_ffn * self.feed(x, m.scale_ffn)
