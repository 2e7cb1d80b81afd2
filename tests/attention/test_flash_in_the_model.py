"""A whole Next-DiT on the flash kernels: everything it hands them obeys the package's rules."""

from __future__ import annotations

from functools import cache, partial

import pytest
import torch
from torch import Tensor

from newbie.attention.flash import Flash, FlashKvPacked, FlashPacked, FlashVarlen
from newbie.attention.flash3 import Flash3
from newbie.attention.kernel import Kernel
from newbie.attention.sdpa import Sdpa, SdpaVarlen
from newbie.attention.xformers import XFormers
from newbie.model.config import NextDiTConfig
from newbie.model.nextdit import NextDiT

KERNELS = [Flash(), FlashPacked(), FlashKvPacked(), FlashVarlen(), Flash3(), SdpaVarlen(), XFormers()]


@cache
def build(kv_heads: int) -> NextDiT:
    config = NextDiTConfig(
        dim=64,
        n_layers=2,
        n_heads=4,
        n_kv_heads=kv_heads,
        axes_dims=(8, 4, 4),
        n_refiner_layers=1,
        cap_feat_dim=24,
        clip_text_dim=None,
        multiple_of=32,
    )
    model = NextDiT(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            scale = 1.0 if weight.ndim == 1 else weight.shape[1] ** -0.5
            weight.copy_(torch.randn(weight.shape, generator=generator) * scale)
    return model.bfloat16().eval()


def answer(kv_heads: int, lengths: tuple[int, int], sizes: tuple[tuple[int, int], ...], attend: Kernel) -> list[Tensor]:
    """Two pictures' velocities."""
    model = build(kv_heads)
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(2, 16, 24, generator=generator)
    mask = torch.arange(16) < torch.tensor(lengths)[:, None]
    latents = [torch.randn(16, *size, generator=generator) for size in sizes]
    with torch.no_grad():
        return model(latents, torch.tensor([0.2, 0.7]), model.prepare(hidden, mask, None, sizes, attend=attend))


by_sdpa = cache(partial(answer, attend=Sdpa()))


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("kv_heads", [4, 2])
@pytest.mark.parametrize("lengths", [(6, 6), (9, 2), (0, 5), (0, 0)])
@pytest.mark.parametrize("sizes", [((4, 6), (4, 6)), ((4, 4), (2, 6))])
def test_velocity_equals_that_of_sdpa(packages, kernel, kv_heads, lengths, sizes):
    ours, expected = answer(kv_heads, lengths, sizes, kernel), by_sdpa(kv_heads, lengths, sizes)
    for row, exact in zip(ours, expected, strict=True):
        # Two bfloat16 networks that round at different places.
        assert (row - exact).square().mean().sqrt() < 0.03 * exact.std()
    refined = sum(lengths) > 0
    sequences = 1 + 2 + refined  # noise refiner, joint layers, context refiner where there are words
    calls = packages[kernel.needs.package].calls
    assert len(calls) >= sequences
    assert {name for name, _ in calls} <= {kernel.needs.function, "flash_attn_func"}
