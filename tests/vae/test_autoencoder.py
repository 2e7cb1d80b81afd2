"""The autoencoder against golden data, against diffusers, and against what its docstrings promise."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from newbie.errors import UsageError, WeightsError
from newbie.vae import Autoencoder, AutoencoderConfig, Posterior, layers
from newbie.vae.layers import Attention, GroupNorm

GOLDEN = Path(__file__).parents[1] / "golden"
SHARED = Path(__file__).parents[3] / "shared" / "golden"  # beside a working copy of the project, not in a clone
SMALL = AutoencoderConfig(block_out_channels=(8, 16, 16), layers_per_block=1, latent_channels=4, norm_num_groups=4)


def golden(name: str) -> Path:
    for folder in (GOLDEN, SHARED):
        if (folder / name).exists():
            return folder / name
    pytest.skip(f"{name} is not among the golden files of this copy")


def golden_model(layout: str) -> tuple[Autoencoder, dict[str, Tensor]]:
    """The autoencoder of a golden case and the case's tensors."""
    io = golden(f"vae_{layout}_io.safetensors")
    config = AutoencoderConfig.from_json(json.loads(io.with_suffix(".json").read_text())["config_diffusers"])
    model = Autoencoder(config)
    weights: dict[str, Tensor] = {}
    for part in ("encoder", "decoder"):
        weights |= load_file(golden(f"vae_{layout}_{part}_weights.safetensors"))
    if layout == "original":
        levels = len(config.block_out_channels)
        weights = {rename(k, levels): v for k, v in weights.items()}
        weights = {k: v.flatten(1) if "attentions" in k and v.ndim == 4 else v for k, v in weights.items()}
    model.load_state_dict(weights)
    return model.eval(), load_file(io)


def rename(name: str, levels: int) -> str:
    """The name of a tensor in the original FLUX file, in the words of diffusers."""
    half, *rest = name.split(".")
    text = ".".join(rest)
    if rest[0] in ("down", "up"):
        level = int(rest[1]) if rest[0] == "down" else levels - 1 - int(rest[1])
        kind = "resnets" if rest[2] == "block" else f"{rest[0]}samplers.0"
        text = ".".join([f"{rest[0]}_blocks", str(level), kind, *rest[3:]])
    for old, new in (
        ("mid.block_1", "mid_block.resnets.0"),
        ("mid.block_2", "mid_block.resnets.1"),
        ("mid.attn_1.norm", "mid_block.attentions.0.group_norm"),
        ("mid.attn_1.proj_out", "mid_block.attentions.0.to_out.0"),
        ("mid.attn_1.", "mid_block.attentions.0.to_"),
        ("nin_shortcut", "conv_shortcut"),
        ("norm_out", "conv_norm_out"),
    ):
        text = text.replace(old, new)
    return f"{half}.{text}"


def psnr(a: Tensor, b: Tensor) -> float:
    """Decibels, for pictures whose nominal range is [-1, 1]."""
    return 10 * math.log10(4.0 / (a - b).square().mean().item())


def contrasty() -> tuple[Autoencoder, Tensor]:
    """A narrow autoencoder as deep as the published one, and latents that it draws with the contrast of pictures."""
    model = random_model(AutoencoderConfig(block_out_channels=(16, 32, 64, 64), norm_num_groups=8))
    z = torch.randn(2, 16, 6, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        gain = 0.4 / model.decode(z).std()  # fresh weights alone draw everything in one pale colour
        model.decoder.conv_out.weight *= gain
        model.decoder.conv_out.bias *= gain
    return model, z


def random_model(config: AutoencoderConfig = SMALL) -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(config).eval()


@pytest.mark.parametrize("layout", ["diffusers", "original"])
@torch.no_grad()
def test_encode_and_decode_reproduce_the_golden_pictures(layout: str) -> None:
    model, tensors = golden_model(layout)
    for case in {name.split("/")[0] for name in tensors}:
        want = {k.split("/")[1]: v for k, v in tensors.items() if k.startswith(case + "/")}
        posterior = model.encode(want["image"])
        close = {"rtol": 0.0, "atol": 1e-5}
        torch.testing.assert_close(posterior.mean, want["mean"], **close)
        torch.testing.assert_close(posterior.logvar, want["logvar"], **close)
        torch.testing.assert_close(model.latents(posterior), want["latents_from_image"], **close)
        torch.testing.assert_close(model.decode(want["latents"]), want["decoded"], **close)


@torch.no_grad()
def test_bf16_decode_stays_45_decibels_from_float32_on_the_golden_weights() -> None:
    model, tensors = golden_model("diffusers")
    model.bfloat16()
    for case in ("wide", "tall"):
        assert psnr(model.decode(tensors[f"{case}/latents"]), tensors[f"{case}/decoded"]) >= 45.0


@torch.no_grad()
def test_bf16_decode_stays_45_decibels_from_float32_at_the_depth_of_the_published_one() -> None:
    model, z = contrasty()
    want = model.decode(z)
    pixels = model.bfloat16().decode(z)
    assert pixels.dtype == torch.float32
    assert psnr(pixels, want) >= 45.0


@pytest.mark.parametrize("levels", [(8, 16, 16), (16, 8, 24, 8)])
@torch.no_grad()
def test_diffusers_loads_our_weights_and_config_and_computes_the_same(levels: tuple[int, ...]) -> None:
    diffusers = pytest.importorskip("diffusers")
    config = AutoencoderConfig(block_out_channels=levels, layers_per_block=2, latent_channels=16, norm_num_groups=4)
    model = random_model(config)
    settings = {k: v for k, v in config.to_json().items() if k != "_class_name"}
    peer = diffusers.AutoencoderKL(**settings).eval()
    peer.load_state_dict(model.state_dict())
    side = 4 * config.factor
    pixels = torch.rand(2, 3, side, side + config.factor) * 2 - 1
    ours, theirs = model.encode(pixels), peer.encode(pixels).latent_dist
    torch.testing.assert_close(ours.mean, theirs.mean, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.logvar, theirs.logvar, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.kl(), theirs.kl(), rtol=1e-4, atol=1e-4)
    z = torch.randn(2, 16, 4, 5)
    want = peer.decode(z / config.scaling_factor + config.shift_factor).sample
    torch.testing.assert_close(model.decode(z), want, rtol=0, atol=1e-5)


@torch.no_grad()
def test_bf16_decode_is_as_near_to_float32_as_that_of_diffusers() -> None:
    diffusers = pytest.importorskip("diffusers")
    model, z = contrasty()
    config, want = model.config, model.decode(z)
    peer = diffusers.AutoencoderKL(**{k: v for k, v in config.to_json().items() if k != "_class_name"}).eval()
    peer.load_state_dict(model.state_dict())
    ours = psnr(model.bfloat16().decode(z), want)
    shifted = (z / config.scaling_factor + config.shift_factor).bfloat16()
    theirs = psnr(peer.bfloat16().decode(shifted).sample.float(), want)
    assert ours >= theirs - 0.5  # half a decibel: the order in which sums are taken


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_group_norm_of_bf16_keeps_float32_statistics(memory_format: torch.memory_format) -> None:
    norm = GroupNorm(4, 32)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2.0)
        norm.bias.normal_()
    norm.bfloat16()
    # A mean of 5 beside a deviation of 1: sums kept in bf16 would be far off.
    x = (torch.randn(2, 32, 24, 24) + 5).bfloat16().contiguous(memory_format=memory_format)
    want = torch.nn.functional.group_norm(x.double(), 4, norm.weight.double(), norm.bias.double(), norm.eps)
    error = (norm(x).double() - want).abs()
    assert (error <= want.abs() * 2**-8 + 1e-4).all()  # one rounding to bf16


def test_attention_of_bf16_keeps_a_float32_softmax() -> None:
    layer = Attention(16, 4)
    with torch.no_grad():
        for weight in (layer.to_q.weight, layer.to_k.weight, layer.to_v.weight, layer.to_out[0].weight):
            weight.copy_(torch.eye(16))
        for bias in (layer.to_q.bias, layer.to_k.bias, layer.to_v.bias, layer.to_out[0].bias):
            bias.zero_()
    layer.bfloat16()
    x = torch.randn(1, 16, 24, 24).bfloat16()
    normed = layer.group_norm(x).double().flatten(2).transpose(1, 2)
    o = torch.softmax(normed @ normed.transpose(1, 2) / 4.0, dim=-1) @ normed
    want = x.double() + o.transpose(1, 2).reshape(x.shape)
    error = (layer(x).double() - want).abs()
    assert (error <= want.abs() * 2**-8 + o.transpose(1, 2).reshape(x.shape).abs() * 2**-7 + 1e-3).all()


@torch.no_grad()
def test_a_device_without_float32_sums_of_its_own_gets_them_by_casting(monkeypatch: pytest.MonkeyPatch) -> None:
    model, z = contrasty()
    model.bfloat16()
    native = model.decode(z)
    monkeypatch.setattr(layers, "FLOAT32_INSIDE", ())
    cast = model.decode(z)
    assert psnr(cast, native) >= 45.0
    norm, x = GroupNorm(4, 16).bfloat16(), torch.randn(2, 16, 8, 8).bfloat16()
    want = torch.nn.functional.group_norm(x.double(), 4, norm.weight.double(), norm.bias.double(), norm.eps)
    assert norm(x).dtype == torch.bfloat16
    assert ((norm(x).double() - want).abs() <= want.abs() * 2**-8 + 1e-4).all()


@torch.no_grad()
def test_the_log_variance_is_clamped() -> None:
    model = random_model()
    model.encoder.conv_out.bias[4:6] = 1e4
    model.encoder.conv_out.bias[6:] = -1e4
    logvar = model.encode(torch.zeros(1, 3, 8, 8)).logvar
    assert (logvar[:, :2] == 20).all() and (logvar[:, 2:] == -30).all()


@torch.no_grad()
def test_channels_last_gives_the_same_picture() -> None:
    model = random_model()
    pixels, z = torch.rand(2, 3, 16, 24) * 2 - 1, torch.randn(2, 4, 4, 6)
    mean, picture = model.encode(pixels).mean, model.decode(z)
    model.to(memory_format=torch.channels_last)
    torch.testing.assert_close(model.encode(pixels).mean, mean, rtol=0, atol=1e-5)
    torch.testing.assert_close(model.decode(z), picture, rtol=0, atol=1e-5)


@torch.no_grad()
def test_channels_last_in_bf16_is_as_near_to_float32_as_the_other_layout() -> None:
    model, z = random_model(), torch.randn(4, 4, 8, 8)
    exact = model.decode(z)
    model = model.bfloat16()
    other = (model.decode(z) - exact).square().mean()
    last = (model.channels_last().decode(z) - exact).square().mean()
    assert model.decoder.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    assert last < 1.2 * other


@torch.no_grad()
def test_a_picture_decodes_the_same_alone_and_in_a_batch() -> None:
    model, z = random_model(), torch.randn(3, 4, 4, 6)
    torch.testing.assert_close(model.decode(z)[1:2], model.decode(z[1:2]), rtol=0, atol=1e-5)


def test_every_weight_receives_a_gradient() -> None:
    model = random_model().train()
    generator = torch.Generator().manual_seed(1)
    posterior = model.encode(torch.rand(2, 3, 8, 8) * 2 - 1)
    pixels = model.decode(model.latents(posterior, generator))
    (pixels.square().mean() + posterior.kl().mean()).backward()
    # A key's bias moves every score of a row alike, so softmax hides it: its gradient is rounding noise.
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert all(name.endswith("to_k.bias") for name in silent)


def test_gradients_agree_with_finite_differences() -> None:
    config = AutoencoderConfig(block_out_channels=(4, 4), layers_per_block=1, latent_channels=2, norm_num_groups=2)
    model = random_model(config)
    model.double()
    x = torch.rand(1, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: model.decoder(model.encoder(x)[:, :2]), (x,))


def test_training_under_bf16_autocast_works() -> None:
    model = random_model().train()
    pixels = torch.rand(1, 3, 8, 8) * 2 - 1
    with torch.autocast("cpu", dtype=torch.bfloat16):
        posterior = model.encode(pixels)
        out = model.decode(model.latents(posterior))
    assert posterior.mean.dtype == out.dtype == torch.float32
    (out - pixels).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_a_sample_follows_the_posterior_and_repeats_with_its_seed() -> None:
    posterior = Posterior(torch.full((1, 4, 64, 64), 3.0), torch.full((1, 4, 64, 64), -2.0))
    first, again = (posterior.sample(torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.mean().item() == pytest.approx(3.0, abs=0.02)
    assert first.std().item() == pytest.approx(math.exp(-1.0), abs=0.01)


def test_latents_are_the_shifted_and_scaled_mean_or_sample() -> None:
    model = random_model()
    posterior = Posterior(torch.randn(1, 4, 2, 2), torch.randn(1, 4, 2, 2))
    sample = posterior.sample(torch.Generator().manual_seed(5))
    assert torch.equal(model.latents(posterior), (posterior.mean - 0.1159) * 0.3611)
    assert torch.equal(model.latents(posterior, torch.Generator().manual_seed(5)), (sample - 0.1159) * 0.3611)


def test_the_published_autoencoder_has_the_known_size_and_names() -> None:
    with torch.device("meta"):
        model = Autoencoder(AutoencoderConfig())
    state = model.state_dict()
    assert len(state) == 244
    assert sum(p.numel() for p in state.values()) == 83_819_683
    assert sum(p.numel() for p in model.encoder.parameters()) == 34_274_208
    assert state["decoder.mid_block.attentions.0.to_out.0.weight"].shape == (512, 512)
    assert state["decoder.up_blocks.3.resnets.0.conv_shortcut.weight"].shape == (128, 256, 1, 1)
    assert model.config.factor == 8


def test_a_size_that_cannot_be_halved_is_refused_with_the_multiple() -> None:
    with pytest.raises(UsageError, match="18x16") as error:
        random_model().encode(torch.zeros(1, 3, 16, 18))
    assert "4" in error.value.hint


def test_a_config_survives_its_file() -> None:
    assert AutoencoderConfig.from_json(json.loads(json.dumps(SMALL.to_json()))) == SMALL
    assert AutoencoderConfig.from_json({}) == AutoencoderConfig()


@pytest.mark.parametrize(
    "values",
    [
        {"use_quant_conv": True},
        {"act_fn": "relu"},
        {"block_out_channels": "wide"},
        {"block_out_channels": 5},
        {"block_out_channels": []},
        {"block_out_channels": [100], "norm_num_groups": 32},
        {"latent_channels": 0},
        {"scaling_factor": None},
    ],
)
def test_a_config_of_another_family_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(WeightsError) as error:
        AutoencoderConfig.from_json(values)
    assert error.value.hint
