"""Train the small autoencoder: pictures → latents → pictures.

Loss: |difference| + the same of horizontal and vertical differences (line art is edges) + the squared difference,
which is what PSNR counts, + a trace of KL that keeps the latents bounded. The log-variance output starts near -6: with
the usual start the noise drowns the gradient and training stalls. At the end the latents'
own mean and spread become shift and scale.

A quarter of the crops are about eyes: few pixels of a picture, and what people look at first.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from newbie.train.data import Pictures, batch_numbers, to_pixels
from newbie.train.figures.layout import Box
from newbie.train.loop import Plan, fit
from newbie.train.optim import Optimizers, split_parameters
from newbie.vae import Autoencoder, AutoencoderConfig


@dataclass(frozen=True)
class AutoencoderRecipe:
    """The dials of the autoencoder's training."""

    config: AutoencoderConfig
    steps: int
    batch: int = 24
    crop: int = 64  # pixels
    eyes: float = 0.25  # the share of crops whose middle lies between or about the eyes of a figure
    whole: int = 2  # the last tenth of the run sees so many whole pictures at a time
    muon_lr: float = 0.02
    adam_lr: float = 2e-3
    kl: float = 1e-6
    edges: float = 1.0
    squares: float = 2.0
    seed: int = 0


def train_autoencoder(
    recipe: AutoencoderRecipe,
    pictures: Pictures,
    folder: Path,
    *,
    device: torch.device,
    say: Callable[[str], None],
    eyes: Callable[[int], Sequence[Box]] | None = None,
) -> Autoencoder:
    """Train on `pictures` and return the averaged autoencoder, its scale and shift measured.

    `eyes` tells where they are in picture i (see `figures.layout.eyes`); None: crops lie anywhere.
    """
    torch.manual_seed(recipe.seed)
    model = Autoencoder(recipe.config)
    _quiet_variance(model)
    model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    muon, adam = split_parameters(model, ("conv_in", "conv_out"))
    optimizers = Optimizers(muon, adam, muon_lr=recipe.muon_lr, adam_lr=recipe.adam_lr)
    whole_from = int(recipe.steps * 0.9)

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        numbers = batch_numbers(recipe.seed, step, recipe.batch, len(pictures)).sort().values.tolist()
        if step < whole_from:
            about = (torch.rand(len(numbers), generator=generator) < recipe.eyes).tolist()
            boxes = [eyes(i) if eyes is not None and near else () for i, near in zip(numbers, about, strict=True)]
            crops = [_crop(pictures[i], recipe.crop, generator, at) for i, at in zip(numbers, boxes, strict=True)]
            pixels = to_pixels(np.stack(crops))
        else:
            pixels = to_pixels(np.stack(_same_shape([pictures[i] for i in numbers])[: recipe.whole]))
        pixels = pixels.to(device).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            posterior = model.encode(pixels)
            decoded = model.decoder(posterior.sample(generator)).float()
        flat = F.l1_loss(decoded, pixels)
        edge = _edges(decoded, pixels)
        kl = posterior.kl().mean() / posterior.mean[0, 0].numel()  # by place, in crops and in whole pictures
        with torch.no_grad():
            decibel = psnr(decoded, pixels)
        loss = flat + recipe.edges * edge + recipe.squares * F.mse_loss(decoded, pixels) + recipe.kl * kl
        loss.backward()
        return loss.detach(), {"psnr": decibel, "kl": kl.item()}

    plan = Plan(steps=recipe.steps, ema=0.998, decay=0.5, save_every=250)
    average = fit(model, loss_at, optimizers, plan, folder, say=say, recipe=repr(recipe))
    average.copy_to(model)
    return _with_measured_scale(model, pictures, device)


@torch.no_grad()
def _quiet_variance(model: Autoencoder) -> None:
    """Start the log-variance near -6."""
    channels = model.config.latent_channels
    assert model.encoder.conv_out.bias is not None
    model.encoder.conv_out.weight[channels:].mul_(0.1)
    model.encoder.conv_out.bias[channels:].fill_(-6.0)


@torch.no_grad()
def reconstruction(
    model: Autoencoder, pictures: Sequence[np.ndarray], device: torch.device
) -> tuple[float, list[np.ndarray]]:
    """(mean PSNR in dB over whole pictures, the reconstructions); pictures are (H, W, 3) uint8."""
    scores, decoded = [], []
    for picture in pictures:
        pixels = to_pixels(picture[None]).to(device)
        again = model.decode(model.latents(model.encode(pixels))).clamp(-1, 1)
        scores.append(psnr(again, pixels))
        decoded.append(((again[0] + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy())
    return sum(scores) / len(scores), decoded


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal to noise in dB; pixels in [-1, 1]."""
    error = F.mse_loss(a.clamp(-1, 1), b).item()
    return 10 * math.log10(4 / max(error, 1e-12))


def _crop(picture: np.ndarray, size: int, generator: torch.Generator, boxes: Sequence[Box] = ()) -> np.ndarray:
    """A square from anywhere, or with its middle in one of the boxes, as far as the frame allows."""

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, max(high, low) + 1, (), generator=generator))

    height, width = picture.shape[:2]
    row, column = number(0, height - size), number(0, width - size)
    if boxes:
        left, top, right, bottom = boxes[number(0, len(boxes) - 1)]
        row = min(max(number(top, bottom) - size // 2, 0), height - size)
        column = min(max(number(left, right) - size // 2, 0), width - size)
    return picture[row : row + size, column : column + size]


def _same_shape(pictures: list[np.ndarray]) -> list[np.ndarray]:
    return [picture for picture in pictures if picture.shape == pictures[0].shape]


def _edges(a: Tensor, b: Tensor) -> Tensor:
    across = F.l1_loss(a[..., 1:] - a[..., :-1], b[..., 1:] - b[..., :-1])
    down = F.l1_loss(a[..., 1:, :] - a[..., :-1, :], b[..., 1:, :] - b[..., :-1, :])
    return across + down


@torch.no_grad()
def _with_measured_scale(model: Autoencoder, pictures: Pictures, device: torch.device) -> Autoencoder:
    """The same weights in an autoencoder whose scaled latents have mean 0 and spread 1."""
    means = [model.encode(to_pixels(pictures[i][None]).to(device)).mean for i in range(min(len(pictures), 512))]
    latents = torch.cat([mean.flatten() for mean in means])
    mean, spread = latents.mean().item(), latents.std().item()
    config = dataclasses.replace(model.config, shift_factor=round(mean, 4), scaling_factor=round(1 / spread, 4))
    scaled = Autoencoder(config).to(device)
    scaled.load_state_dict(model.state_dict())
    return scaled.eval()
