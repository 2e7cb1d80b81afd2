"""What computing needs beside the weights: each stage's largest moment, in bytes.

Where a stage runs on tensors without content it is run so and watched (`watch`). The leaves for a CPU use operators
that have no such form, and transformers looks into its masks, so for those two there is a formula; the tests hold both
to what torch really allocates.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from newbie.attention.kernel import SequenceInfo
from newbie.memory.watch import peak_of
from newbie.model.block import Block, Modulation, TokenSequence
from newbie.model.config import NextDiTConfig
from newbie.model.rope import Rope
from newbie.model.tokens import useful_width
from newbie.text.gemma import GemmaConfig
from newbie.vae import Autoencoder, AutoencoderConfig
from newbie.vae.tiling import Tiling

FLOAT32 = 4  # bytes
WORDS = 512  # tokens that Gemma reads at most
LIBRARY = 64 * 2**20  # what products and convolutions take for themselves: workspaces, arranged inputs
PROGRAMS = 12 * 10**6  # what a processor's library keeps of a size that a decoder is given: programs it compiled


class Rows(NamedTuple):
    """The rows of one guided evaluation."""

    rows: int
    words: int
    image: int

    @classmethod
    def of(cls, config: NextDiTConfig, latent: tuple[int, int], pictures: int, words: int = WORDS) -> Rows:
        patch = config.patch_size
        return cls(2 * pictures, useful_width([words], words), (latent[0] // patch) * (latent[1] // patch))

    @property
    def tokens(self) -> int:
        return self.rows * (self.words + self.image)


def of_text(config: GemmaConfig, dtype: torch.dtype, words: int = WORDS) -> int:
    """The feed-forward of a layer of Gemma, or its attention, which holds all scores, in float32 while they are
    normalised; and two layers' worth of tokens around them."""
    size = dtype.itemsize
    feed = 3 * words * config.intermediate_size * size
    scores = config.num_attention_heads * words**2 * (2 * size + FLOAT32)
    return 6 * words * config.hidden_size * size + max(feed, scores) + LIBRARY


@cache
def of_evaluation(config: NextDiTConfig, rows: Rows, dtype: torch.dtype, *, leaves: str, steps: int) -> int:
    """One evaluation at its largest moment, and the modulations of all of them."""
    block = _of_cpu_block(config, rows, dtype) if leaves.startswith("cpu") else _of_block(config, rows, dtype)
    words = rows.rows * rows.words * (config.cap_feat_dim * 2 + config.dim) * dtype.itemsize  # as given, and refined
    stream = rows.tokens * config.dim * dtype.itemsize  # words and image side by side, before the first block
    return block + stream + words + of_modulations(config, dtype, rows.rows, steps) + LIBRARY


def of_modulations(config: NextDiTConfig, dtype: torch.dtype, rows: int, steps: int) -> int:
    """The table of all scales and gates; see `accel.modulation`."""
    from newbie.accel.modulation import LIMIT

    blocks = config.n_layers + config.n_refiner_layers
    row = (4 * blocks + 1) * config.dim * rows * dtype.itemsize
    return row * min(max(LIMIT // row, 1), steps)


@cache
def of_decoding(
    config: AutoencoderConfig, latent: tuple[int, int], dtype: torch.dtype, tiling: Tiling | None, device: str = "cpu"
) -> int:
    """One picture from its latents to pixels; on a CPU with `heap.apart`, for the heap would keep holes."""
    tile = latent if tiling is None else tiling.tile(latent, config.factor)
    pixels = 0 if tile == latent else 3 * FLOAT32 * latent[0] * latent[1] * config.factor**2
    with torch.device("meta"):
        vae = Autoencoder(config).to(dtype)
        given = torch.empty(1, config.latent_channels, *tile)
    return peak_of(lambda: vae.decode(given)) + pixels + (PROGRAMS if device == "cpu" else LIBRARY)


def _of_block(config: NextDiTConfig, rows: Rows, dtype: torch.dtype) -> int:
    """A block as the model writes it, its input included. The kernel is taken for one that holds no scores."""
    length = rows.words + rows.image
    lengths = (length,) * rows.rows
    info = SequenceInfo(None, lengths, length, None, torch.zeros(rows.rows + 1, dtype=torch.int32), ())
    with torch.device("meta"):
        block = Block(config).to(dtype)
        angles = torch.empty(rows.rows, length, 1, config.head_dim // 2)
        said = Modulation(*torch.empty(4, rows.rows, 1, config.dim, dtype=dtype))

        def run() -> Tensor:
            x = torch.empty(rows.rows, length, config.dim, dtype=dtype)
            return block(x, said, TokenSequence(Rope(angles, angles), info, _answer, slice(rows.words, None)))  # type: ignore[arg-type]

        return peak_of(run)


def _answer(q: Tensor, k: Tensor, v: Tensor, info: SequenceInfo) -> Tensor:
    return torch.empty_like(q)


def _of_cpu_block(config: NextDiTConfig, rows: Rows, dtype: torch.dtype) -> int:
    """The leaves of `accel.cpu`: the stream in float32; at the worst moment its normed copy, gates, products and
    their result, or the heads, which are turned in float32."""
    d, f, size = config.dim, config.ffn_dim, dtype.itemsize
    heads = (config.n_heads + config.n_kv_heads) * config.head_dim
    values = heads + config.n_kv_heads * config.head_dim
    feed = FLOAT32 * d + size * d + 3 * size * f
    turned = FLOAT32 * d + size * d + size * values + (FLOAT32 + size) * heads
    return rows.tokens * (max(feed, turned) + FLOAT32 * d)  # and the stream of the block before


def latent_size(width: int, height: int, factor: int) -> tuple[int, int]:
    """Pixels to latent (height, width)."""
    return math.ceil(height / factor), math.ceil(width / factor)
