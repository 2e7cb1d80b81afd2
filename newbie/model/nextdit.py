"""Next-DiT, the network of NewBie-image-Exp0.1: words and image tokens in one sequence, velocity out.

The architecture is that of Lumina-Image 2.0 (Qin et al. 2025, arXiv 2503.21758) with a pooled CLIP vector
joined to the time. `prepare` does once what the time does not change; `forward` is one evaluation. How the
joint blocks run is the caller's business: see `run_in_order`.

B pictures, L words, N image tokens, dim the width, t = 0 noise and t = 1 image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from newbie.attention.kernel import Kernel, SequenceInfo
from newbie.model import tokens
from newbie.model.block import Block, Modulation, TokenSequence
from newbie.model.config import NextDiTConfig
from newbie.model.layers import FinalLayer, RMSNorm, TimestepEmbedder
from newbie.model.rope import rope
from newbie.model.tokens import Grid, Latents, Size, join, patchify, unpatchify

RunBlocks = Callable[[Iterable[nn.Module], Tensor, Sequence[Modulation], TokenSequence], Tensor]


class Modulations(NamedTuple):
    """What the conditioning vector says to everything that listens, at one time."""

    refiner: tuple[Modulation, ...]  # one for each block of the noise refiner
    layers: tuple[Modulation, ...]  # one for each joint block
    final: Tensor  # (B, 1, dim) scale before the last projection


class Prepared(NamedTuple):
    """What one generation needs at every step and the time does not change."""

    words: Tensor  # (B, L, dim) refined captions
    pooled: Tensor | None  # (B, clip_text_dim) projected; None: the time alone conditions
    image: TokenSequence  # of the image tokens by themselves, for the noise refiner
    seq: TokenSequence  # of words and image together
    grid: Grid
    copies: int = 1  # how many captions share each picture: 2 in a guided pair
    modulations: Modulations | None = None  # of the next evaluation, where they are known before; None: by its time


def run_in_order(blocks: Iterable[nn.Module], x: Tensor, m: Sequence[Modulation], seq: TokenSequence) -> Tensor:
    """The plain loop: each block with what is said to it."""
    for block, said in zip(blocks, m, strict=True):
        x = block(x, said, seq)
    return x


def run_checkpointed(blocks: Iterable[nn.Module], x: Tensor, m: Sequence[Modulation], seq: TokenSequence) -> Tensor:
    """The same numbers and gradients in less memory: each block runs again when its gradient is due."""
    for block, said in zip(blocks, m, strict=True):
        x = checkpoint(block, x, said, seq, use_reentrant=False)
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
            self.clip_text_pooled_proj = nn.Sequential(RMSNorm(clip, config.qk_norm_eps), nn.Linear(clip, clip))
            self.time_text_embed = nn.Sequential(nn.SiLU(), nn.Linear(cond + clip, cond))
        self.layers = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm_final = RMSNorm(dim, config.norm_eps)  # in every checkpoint, used by none
        self.final_layer = FinalLayer(dim, cond, config.patch_dim)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the residual stream. Norms have it even where linear layers are quantised."""
        return self.get_parameter("cap_embedder.0.weight").dtype

    def prepare(
        self,
        hidden: Tensor,
        mask: Tensor,
        pooled: Tensor | None,
        sizes: Size | Sequence[Size],
        *,
        attend: Kernel,
        without_pooled: Literal["skip", "zeros"] = "skip",
        copies: int = 1,
    ) -> Prepared:
        """Captions and picture sizes -> all that stays the same during a generation.

        `hidden` (B, L, cap_feat_dim) and `mask` (B, L), 1 = a real token, padded on the right; `pooled`
        (B, clip_text_dim); `sizes` latent (height, width), one for all or one per row. Where `pooled` is None
        the official code conditions on the time alone ("skip"); ComfyUI puts zeros where the projected vector
        would be ("zeros"). With `copies` k, `forward` gets B / k pictures and shows each to k captions: row r is
        about picture r modulo B / k. Raises UsageError for shapes that do not belong together.
        """
        tokens.check_captions(hidden, mask, pooled, self.config)
        mask = tokens.word_mask(mask).to(hidden.device)
        grid = Grid.of(sizes, len(hidden), self.config.patch_size)
        lengths = mask.sum(1).tolist()
        width = tokens.useful_width(lengths, mask.shape[1])
        hidden, mask = hidden[:, :width], mask[:, :width]
        caption, image, joint = self._sequences(mask, lengths, grid, attend)

        # Padding may hold anything, NaN included, and zero attention to NaN is still NaN: blank it.
        hidden = hidden.masked_fill(~mask[..., None], 0)
        # Under autocast a linear layer answers in bfloat16; the residual stream keeps the dtype of the norms.
        words = self.cap_embedder(hidden.to(self.dtype)).to(self.dtype)  # (B, L, dim)
        if width:  # without a single word there is nothing to refine
            words = run_in_order(self.context_refiner, words, _said(self.context_refiner, None), caption)
        return Prepared(words, self._project_pooled(pooled, words, without_pooled), image, joint, grid, copies)

    def forward(
        self,
        latents: Latents,
        t: Tensor,
        prepared: Prepared,
        run_blocks: RunBlocks = run_in_order,
        refine: RunBlocks = run_in_order,
    ) -> Latents:
        """Latents (B, C, h, w), or a list of (C, h, w), at times t (B,) -> the velocity, image - noise.

        The velocity has the form and the dtype of the latents; prepared with `copies`, it has so many times the rows.
        `run_blocks` runs the joint blocks and may give back their image tokens alone; `refine` the noise refiner.
        """
        m = prepared.modulations or self.modulations(t, prepared.pooled)
        image = self.embed_image(latents, prepared.grid, prepared.copies)  # (B, N, dim)
        image = refine(self.noise_refiner, image, m.refiner, prepared.image)
        x = join(prepared.words, image)  # (B, L + N, dim)
        x = run_blocks(self.layers, x, m.layers, prepared.seq)
        patches = self.final_layer(x[:, -image.shape[1] :], m.final)  # (B, N, p*p*C)
        return unpatchify(patches, prepared.grid, like=latents)

    def modulations(self, t: Tensor, pooled: Tensor | None) -> Modulations:
        """All scales and gates at times t (B,). They do not depend on the picture, so they can be made ahead."""
        temb = self.conditioning(t, pooled)  # (B, cond_dim)
        return Modulations(_said(self.noise_refiner, temb), _said(self.layers, temb), self.final_layer.modulation(temb))

    def conditioning(self, t: Tensor, pooled: Tensor | None) -> Tensor:
        """Time t (B,) and the projected pooled vector -> (B, cond_dim). The mix of both replaces the time."""
        time = self.t_embedder(t, self.dtype)
        return time if pooled is None else self.time_text_embed(torch.cat((time, pooled.to(time.dtype)), dim=1))

    def embed_image(self, latents: Tensor | list[Tensor], grid: Grid, copies: int = 1) -> Tensor:
        """Latents of B / copies pictures -> image tokens (B, N, dim)."""
        patches = patchify(latents, grid.part(len(grid.rows) // copies))
        image = self.x_embedder(patches.to(self.dtype)).to(self.dtype)
        return image if copies == 1 else image.repeat(copies, 1, 1)

    def _sequences(
        self, mask: Tensor, lengths: list[int], grid: Grid, attend: Kernel
    ) -> tuple[TokenSequence, TokenSequence, TokenSequence]:
        """The words alone, the image alone, and both together: where their tokens stand and which are real."""
        width, config = mask.shape[1], self.config
        places = tokens.positions(lengths, width, grid)  # (B, L + N, 3)
        turns = rope(places, config.axes_dims, config.rope_theta, mask.device)
        real = join(mask, tokens.image_mask(grid, mask.device))
        parts = (0, width, width), (width, None, 0), (0, None, width)
        words, image, both = (
            TokenSequence(turns.part(start, stop), SequenceInfo.of(real[:, start:stop]), attend, slice(pictures, None))
            for start, stop, pictures in parts
        )
        return words, image, both

    def _project_pooled(self, pooled: Tensor | None, words: Tensor, without: str) -> Tensor | None:
        if pooled is not None:
            return self.clip_text_pooled_proj(pooled.to(self.dtype))
        if without == "zeros" and self.config.clip_text_dim is not None:
            return words.new_zeros(len(words), self.config.clip_text_dim)
        return None


def _said(blocks: nn.ModuleList, temb: Tensor | None) -> tuple[Modulation, ...]:
    """What the conditioning vector says to each of these blocks."""
    return tuple(block.modulation(temb) for block in cast("Iterable[Block]", blocks))
