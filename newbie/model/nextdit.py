"""Next-DiT, the network of NewBie-image-Exp0.1: words and image tokens in one sequence, velocity out.

The architecture is that of Lumina-Image 2.0 (Qin et al. 2025, arXiv 2503.21758) with a pooled CLIP vector
joined to the time. `prepare` does once what the time does not change; `forward` is one evaluation. How the
joint blocks run is the caller's business: see `run_in_order`.

B pictures, L words, N image tokens, dim the width, t = 0 noise and t = 1 image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple, overload

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from newbie.attention.kernel import Kernel, SequenceInfo
from newbie.errors import UsageError
from newbie.model import tokens
from newbie.model.block import Block, TokenSequence
from newbie.model.config import NextDiTConfig
from newbie.model.layers import FinalLayer, RMSNorm, TimestepEmbedder
from newbie.model.rope import rope
from newbie.model.tokens import Grid, Size, join, patchify, unpatchify

RunBlocks = Callable[[Iterable[nn.Module], Tensor, Tensor | None, TokenSequence], Tensor]


class Prepared(NamedTuple):
    """What one generation needs at every step and the time does not change."""

    words: Tensor  # (B, L, dim) refined captions
    pooled: Tensor | None  # (B, clip_text_dim) projected; None: the time alone conditions
    image: TokenSequence  # of the image tokens by themselves, for the noise refiner
    seq: TokenSequence  # of words and image together
    grid: Grid


def run_in_order(blocks: Iterable[nn.Module], x: Tensor, temb: Tensor | None, seq: TokenSequence) -> Tensor:
    """The plain loop."""
    for block in blocks:
        x = block(x, temb, seq)
    return x


def run_checkpointed(
    blocks: Iterable[nn.Module], x: Tensor, temb: Tensor | None, seq: TokenSequence
) -> Tensor:
    """The same numbers and gradients in less memory: each block runs again when its gradient is due."""
    for block in blocks:
        x = checkpoint(block, x, temb, seq, use_reentrant=False)
    return x


class NextDiT(nn.Module):
    """Parameter names are those of the official checkpoints. Holds weights and no state of a generation."""

    def __init__(self, config: NextDiTConfig) -> None:
        super().__init__()
        self.config = config
        dim, cond, refiners = config.dim, config.cond_dim, range(config.n_refiner_layers)
        self.x_embedder = nn.Linear(config.patch_dim, dim)
        self.noise_refiner = nn.ModuleList(Block(config) for _ in refiners)
        self.context_refiner = nn.ModuleList(Block(config, modulated=False) for _ in refiners)
        self.t_embedder = TimestepEmbedder(cond)
        self.cap_embedder = nn.Sequential(
            RMSNorm(config.cap_feat_dim, config.norm_eps), nn.Linear(config.cap_feat_dim, dim)
        )
        if config.clip_text_dim is not None:
            clip = config.clip_text_dim
            self.clip_text_pooled_proj = nn.Sequential(
                RMSNorm(clip, config.qk_norm_eps), nn.Linear(clip, clip)
            )
            self.time_text_embed = nn.Sequential(nn.SiLU(), nn.Linear(cond + clip, cond))
        self.layers = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm_final = RMSNorm(dim, config.norm_eps)  # in every checkpoint, used by none
        self.final_layer = FinalLayer(dim, cond, config.patch_dim)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the residual stream. Norms have it even where linear layers are quantised."""
        return self.norm_final.weight.dtype

    def prepare(
        self,
        hidden: Tensor,
        mask: Tensor,
        pooled: Tensor | None,
        sizes: Size | Sequence[Size],
        *,
        attend: Kernel,
        without_pooled: Literal["skip", "zeros"] = "skip",
    ) -> Prepared:
        """Captions and picture sizes -> all that stays the same during a generation.

        `hidden` (B, L, cap_feat_dim) and `mask` (B, L), 1 = a real token, padded on the right; `pooled`
        (B, clip_text_dim); `sizes` latent (height, width), one for all or one per row. Where `pooled` is None
        the official code conditions on the time alone ("skip"); ComfyUI puts zeros where the projected vector
        would be ("zeros"). Raises UsageError for shapes that do not belong together.
        """
        self._check(hidden, mask, pooled)
        mask = tokens.word_mask(mask).to(hidden.device)
        grid = Grid.of(sizes, len(hidden), self.config.patch_size)
        lengths = mask.sum(1).tolist()
        width = tokens.useful_width(lengths, mask.shape[1])
        mask = mask[:, :width]

        turns = rope(
            tokens.positions(lengths, width, grid),
            self.config.axes_dims,
            self.config.rope_theta,
            hidden.device,
        )
        pixels = tokens.image_mask(grid, hidden.device)
        caption = TokenSequence(turns.part(0, width), SequenceInfo.of(mask), attend)
        image = TokenSequence(turns.part(width), SequenceInfo.of(pixels), attend)
        joint = TokenSequence(turns, SequenceInfo.of(join(mask, pixels)), attend)

        # Under autocast a linear layer answers in bfloat16; the residual stream keeps the dtype of the norms.
        words = self.cap_embedder(hidden[:, :width].to(self.dtype)).to(self.dtype)
        words = run_in_order(self.context_refiner, words, None, caption)
        return Prepared(words, self._project_pooled(pooled, words, without_pooled), image, joint, grid)

    @overload
    def forward(
        self, latents: Tensor, t: Tensor, prepared: Prepared, run_blocks: RunBlocks = ...
    ) -> Tensor: ...
    @overload
    def forward(
        self, latents: list[Tensor], t: Tensor, prepared: Prepared, run_blocks: RunBlocks = ...
    ) -> list[Tensor]: ...
    def forward(
        self,
        latents: Tensor | list[Tensor],
        t: Tensor,
        prepared: Prepared,
        run_blocks: RunBlocks = run_in_order,
    ) -> Tensor | list[Tensor]:
        """Latents (B, C, h, w), or a list of (C, h, w), at times t (B,) -> velocity (image - noise), the
        same shape.

        The velocity has the dtype of the latents.
        """
        temb = self.conditioning(t, prepared.pooled)  # (B, cond_dim)
        image = self.embed_image(latents, prepared.grid)  # (B, N, dim)
        image = run_in_order(self.noise_refiner, image, temb, prepared.image)
        x = join(prepared.words, image)  # (B, L + N, dim)
        x = run_blocks(self.layers, x, temb, prepared.seq)
        patches = self.final_layer(x[:, prepared.words.shape[1] :], temb)  # (B, N, p*p*C)
        as_list = not isinstance(latents, Tensor)
        return unpatchify(patches.to(latents[0].dtype), prepared.grid, as_list=as_list)

    def conditioning(self, t: Tensor, pooled: Tensor | None) -> Tensor:
        """Time t (B,) and the projected pooled vector -> (B, cond_dim). With a vector, the mix replaces the
        time."""
        time = self.t_embedder(t, self.dtype)
        return (
            time if pooled is None else self.time_text_embed(torch.cat((time, pooled.to(time.dtype)), dim=1))
        )

    def embed_image(self, latents: Tensor | list[Tensor], grid: Grid) -> Tensor:
        """Latents -> image tokens (B, N, dim)."""
        return self.x_embedder(patchify(latents, grid).to(self.dtype)).to(self.dtype)

    def _project_pooled(self, pooled: Tensor | None, words: Tensor, without: str) -> Tensor | None:
        if pooled is not None:
            return self.clip_text_pooled_proj(pooled.to(self.dtype))
        if without == "zeros" and self.config.clip_text_dim is not None:
            return words.new_zeros(len(words), self.config.clip_text_dim)
        return None

    def _check(self, hidden: Tensor, mask: Tensor, pooled: Tensor | None) -> None:
        config = self.config
        if hidden.ndim != 3 or hidden.shape[2] != config.cap_feat_dim or mask.shape != hidden.shape[:2]:
            raise UsageError(
                f"caption features {tuple(hidden.shape)} with mask {tuple(mask.shape)}: this model takes "
                f"(B, L, {config.cap_feat_dim}) with (B, L)",
                "check that the text encoder belongs to this transformer",
            )
        if pooled is not None and config.clip_text_dim is None:
            raise UsageError("a pooled vector for a model without a CLIP branch", "pass pooled=None")
        if pooled is not None and pooled.shape != (len(hidden), config.clip_text_dim):
            raise UsageError(
                f"pooled vector {tuple(pooled.shape)}: expected ({len(hidden)}, {config.clip_text_dim})",
                "check that the CLIP encoder belongs to this transformer",
            )
