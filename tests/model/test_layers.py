"""The small layers against their definitions, and their precision inside a bfloat16 model."""

from __future__ import annotations

import math

import torch

from newbie.model.layers import FeedForward, FinalLayer, RMSNorm, TimestepEmbedder


def test_rms_norm_follows_its_definition():
    norm = RMSNorm(6, eps=0.5)
    with torch.no_grad():
        norm.weight.copy_(torch.arange(6.0))
        x = torch.randn(4, 6)
        expected = x / (x.square().mean(1, keepdim=True) + 0.5).sqrt() * torch.arange(6.0)
        torch.testing.assert_close(norm(x), expected)


def test_rms_norm_of_bfloat16_is_computed_in_float32_and_rounded_twice():
    norm = RMSNorm(512, eps=1e-5).bfloat16()
    with torch.no_grad():
        norm.weight.normal_()
        x = (100 * torch.randn(8, 512)).bfloat16()
        rounded = (x.float() * (x.float().square().mean(1, keepdim=True) + 1e-5).rsqrt()).bfloat16()
        assert norm(x).dtype == torch.bfloat16
        assert torch.equal(norm(x), rounded * norm.weight)


def test_time_is_raw_and_its_sinusoids_are_float32_in_a_bfloat16_model():
    embedder = TimestepEmbedder(32).bfloat16()
    seen = []
    embedder.mlp[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    times = [0.0, 0.123456, 0.5001, 0.987654, 1.0]
    embedder(torch.tensor(times), torch.bfloat16)
    frequencies = [math.exp(-math.log(10000) * k / 128) for k in range(128)]
    exact = [[wave(t * f) for wave in (math.cos, math.sin) for f in frequencies] for t in times]
    torch.testing.assert_close(seen[0].float(), torch.tensor(exact).bfloat16().float(), atol=0, rtol=2**-8)
    assert (seen[0] == torch.tensor(exact).bfloat16()).float().mean() > 0.99


def test_feed_forward_is_swiglu():
    feed = FeedForward(4, 6)
    x = torch.randn(2, 3, 4)
    gate = x @ feed.w1.weight.T
    expected = (gate * torch.sigmoid(gate) * (x @ feed.w3.weight.T)) @ feed.w2.weight.T
    torch.testing.assert_close(feed(x), expected)


def test_final_layer_norms_in_float32():
    layer = FinalLayer(64, 8, 4).bfloat16()
    seen = []
    layer.linear.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with torch.no_grad():
        layer.adaLN_modulation[1].weight.zero_()
        layer.adaLN_modulation[1].bias.zero_()
        x = (300 + torch.randn(1, 5, 64)).bfloat16()  # a large mean: bfloat16 sums would lose the rest
        layer(x, layer.modulation(torch.randn(1, 8).bfloat16()))
    x = x.float()
    expected = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(seen[0].float(), expected, atol=1e-2, rtol=1e-2)
