"""What computing is said to need, against what torch allocates."""

from __future__ import annotations

import pytest
import torch

from newbie.accel import cpu
from newbie.accel.packed import Segment
from newbie.accel.runner import RunBlock
from newbie.bench.memory import peak_bytes
from newbie.memory import activations
from newbie.memory.activations import Rows
from newbie.memory.watch import peak_of
from newbie.model.block import Block, Modulation, TokenSequence
from newbie.model.config import NextDiTConfig
from newbie.model.rope import Rope
from newbie.vae import Autoencoder, AutoencoderConfig

CPU = torch.device("cpu")
CONFIG = NextDiTConfig(dim=384, n_layers=1, n_heads=6, n_kv_heads=3, axes_dims=(16, 24, 24), multiple_of=64)
ROWS = Rows(2, 64, 448)


def test_a_peak_is_that_of_what_lives_at_one_time():
    def run() -> torch.Tensor:
        a = torch.empty(1000, device="meta")
        b = a + 1
        del a
        c = b.mul_(2) * 3  # in place: nothing new
        return c.view(10, 100)

    assert peak_of(run) == 2 * 4000


def test_a_decoder_without_content_needs_what_a_real_one_does():
    config = AutoencoderConfig(block_out_channels=(16, 32, 32), norm_num_groups=8, layers_per_block=1)
    vae = Autoencoder(config).eval().requires_grad_(False)
    latents = torch.randn(1, config.latent_channels, 48, 32)
    with torch.no_grad():
        real = peak_bytes(lambda: vae.decode(latents), CPU)
    counted = activations.of_decoding(config, (48, 32), torch.float32, None) - activations.PROGRAMS
    assert counted == pytest.approx(real, rel=0.2)  # convolutions arrange their input for themselves


@pytest.mark.parametrize("leaves", ["plain", "cpu"])
def test_a_block_without_content_needs_what_a_real_one_does(leaves):
    block = Block(CONFIG).requires_grad_(False)
    length = ROWS.words + ROWS.image
    angles = torch.zeros(ROWS.rows, length, 1, CONFIG.head_dim // 2)
    said = Modulation(*torch.zeros(4, ROWS.rows, 1, CONFIG.dim))
    info = Segment.of(ROWS.rows, length, CPU).info
    seq = TokenSequence(Rope(angles, angles), info, lambda q, k, v, _: torch.empty_like(q), slice(ROWS.words, None))

    def run() -> torch.Tensor:
        x = torch.zeros(ROWS.rows, length, CONFIG.dim)
        if leaves == "plain":
            return block(x, said, seq)
        return RunBlock(cpu.CpuBlocks.of([block], arrange=False).leaves())(None, 0, block, x, said, seq)

    with torch.no_grad():
        real = peak_bytes(run, CPU)
    counted = {"plain": activations._of_block, "cpu": activations._of_cpu_block}[leaves](CONFIG, ROWS, torch.float32)
    assert real <= 1.05 * counted
    assert counted < 1.35 * real
