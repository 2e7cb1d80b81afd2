"""The models and pictures that are measured: a name each."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from newbie.model.config import RELEASE, NextDiTConfig
from newbie.model.layers import RMSNorm
from newbie.model.nextdit import NextDiT

FACTOR = 8  # pixels to one latent


class Size(NamedTuple):
    """A network, a square picture and the words of the guidance pair."""

    name: str
    about: str
    config: NextDiTConfig
    side: int  # pixels
    words: tuple[int, int]  # tokens of the prompt and of the empty prompt

    @property
    def latent(self) -> tuple[int, int]:
        return self.side // FACTOR, self.side // FACTOR

    @property
    def image_tokens(self) -> int:
        return (self.side // FACTOR // self.config.patch_size) ** 2

    @property
    def tokens(self) -> tuple[int, ...]:
        """Real tokens of both rows, words and image."""
        return tuple(n + self.image_tokens for n in self.words)


_TINY = NextDiTConfig(
    dim=64, n_layers=2, n_heads=4, n_kv_heads=2, axes_dims=(4, 6, 6), n_refiner_layers=1,
    cap_feat_dim=32, clip_text_dim=None, multiple_of=32,
)  # fmt: skip
# weights/newbie-mini/transformer/config.json without the CLIP branch, which diffusers' model lacks.
_MINI = NextDiTConfig(
    dim=192, n_layers=7, n_heads=6, n_kv_heads=3, axes_dims=(8, 12, 12),
    cap_feat_dim=192, clip_text_dim=None, multiple_of=64, ffn_dim_multiplier=0.75,
)  # fmt: skip
_WIDE = NextDiTConfig(
    dim=768, n_layers=12, n_heads=8, n_kv_heads=4, axes_dims=(32, 32, 32), cap_feat_dim=768, clip_text_dim=None
)
_RELEASE = replace(RELEASE, clip_text_dim=None)

SIZES: dict[str, Size] = {
    size.name: size
    for size in (
        Size("tiny", "two layers, for tests of the benchmark itself", _TINY, 64, (9, 3)),
        Size("mini128", "newbie-mini's network at 128x128", _MINI, 128, (160, 24)),
        Size("mini256", "newbie-mini's network at 256x256", _MINI, 256, (160, 24)),
        Size("wide512", "768 wide, 12 layers, at 512x512", _WIDE, 512, (160, 24)),
        Size("release512", "the 3.5B network at 512x512", _RELEASE, 512, (256, 40)),
        Size("release1024", "the 3.5B network at 1024x1024", _RELEASE, 1024, (256, 40)),
        Size("release1536", "the 3.5B network at 1536x1536", _RELEASE, 1536, (256, 40)),
    )
}
ON = {"cpu": ("mini256", "wide512"), "cuda": ("release512", "release1024", "release1536")}
WIDEST_ON_CPU = 1024  # beyond, one evaluation takes minutes


@torch.no_grad()
def build(config: NextDiTConfig, device: torch.device, dtype: torch.dtype, seed: int) -> NextDiT:
    """A network with random weights that keep signals of ordinary size, the same for the same seed and device.

    Speed does not depend on the numbers, but agreement does: gates and the output start at zero in training, which
    would hide every error, so here nothing is zero.
    """
    with torch.device(device):
        model = NextDiT(config).eval()
    generator = torch.Generator(device).manual_seed(seed)
    for module in model.modules():
        if isinstance(module, RMSNorm):
            module.weight.normal_(1.0, 0.1, generator=generator)
        elif isinstance(module, torch.nn.Linear):
            module.weight.normal_(0.0, module.in_features**-0.5, generator=generator)
            if module.bias is not None:
                module.bias.normal_(0.0, 0.02, generator=generator)
    return model.to(dtype).requires_grad_(False)


class Given(NamedTuple):
    """The input of a generation, float32."""

    noise: Tensor  # (1, C, h, w)
    hidden: Tensor  # (2, L, cap_feat_dim): prompt, empty prompt
    mask: Tensor  # (2, L) bool


def given(size: Size, device: torch.device, seed: int) -> Given:
    """Noise and word features, drawn on the CPU: the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    width = max(size.words)
    noise = torch.randn(1, size.config.in_channels, *size.latent, generator=generator)
    hidden = torch.randn(2, width, size.config.cap_feat_dim, generator=generator)
    mask = torch.arange(width) < torch.tensor(size.words)[:, None]
    return Given(noise.to(device), hidden.to(device), mask.to(device))
