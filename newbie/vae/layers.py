"""What the encoder and the decoder are made of. Pictures are (B, C, h, w); names are those of diffusers.

Precision: weights and convolutions run in the dtype of the weights. GroupNorm takes its statistics and the
attention its softmax in float32, whatever that dtype is. PyTorch's CPU and CUDA kernels do so by themselves,
without a float32 copy of the activations (1 GiB at 1024x1024); the tests hold them to it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from newbie.vae.config import NORM_EPS

FLOAT32_INSIDE = ("cpu", "cuda", "meta")  # devices whose group_norm and attention accumulate in float32


class GroupNorm(nn.GroupNorm):
    """Group normalisation with float32 statistics."""

    def __init__(self, groups: int, channels: int) -> None:
        super().__init__(groups, channels, eps=NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32 or x.device.type in FLOAT32_INSIDE:
            return super().forward(x)
        y = F.group_norm(x.float(), self.num_groups, self.weight.float(), self.bias.float(), self.eps)
        return y.to(x.dtype)


def silu(x: Tensor) -> Tensor:
    """SiLU that overwrites its input when no gradient can need it."""
    return F.silu(x, inplace=not torch.is_grad_enabled())


class ResnetBlock(nn.Module):
    """Two normalised 3x3 convolutions beside a shortcut, (B, cin, h, w) to (B, cout, h, w)."""

    def __init__(self, cin: int, cout: int, groups: int) -> None:
        super().__init__()
        self.norm1 = GroupNorm(groups, cin)
        self.conv1 = nn.Conv2d(cin, cout, 3, padding=1)
        self.norm2 = GroupNorm(groups, cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(cin, cout, 1) if cin != cout else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(silu(self.norm1(x)))
        y = self.conv2(silu(self.norm2(y)))
        return y + (x if self.conv_shortcut is None else self.conv_shortcut(x))


class Attention(nn.Module):
    """One head over all places of the picture, beside a shortcut."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.group_norm = GroupNorm(groups, channels)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])  # "to_out.0" in the files

    def forward(self, x: Tensor) -> Tensor:
        places = self.group_norm(x).flatten(2).transpose(1, 2)  # (B, h*w, C)
        q, k, v = (to(places).unsqueeze(1) for to in (self.to_q, self.to_k, self.to_v))  # (B, 1, h*w, C)
        if x.device.type in FLOAT32_INSIDE:
            o = F.scaled_dot_product_attention(q, k, v)
        else:
            o = F.scaled_dot_product_attention(q.float(), k.float(), v.float()).to(v.dtype)
        y: Tensor = self.to_out[0](o.squeeze(1))
        return x + y.transpose(1, 2).unflatten(2, x.shape[2:])


class MidBlock(nn.Module):
    """Block, attention, block, at the lowest resolution."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.resnets = nn.ModuleList([ResnetBlock(channels, channels, groups) for _ in range(2)])
        self.attentions = nn.ModuleList([Attention(channels, groups)])

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.resnets[1](self.attentions[0](self.resnets[0](x)))
        return y


class Downsample(nn.Module):
    """Halve both sides. The zeros stand right and below only: the files were trained so."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return y


class Upsample(nn.Module):
    """Double both sides: repeat every pixel, then smooth with a 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return y


def resnets(cin: int, cout: int, layers: int, groups: int) -> nn.ModuleList:
    """`layers` residual blocks, of which the first changes the number of channels."""
    return nn.ModuleList([ResnetBlock(cin if j == 0 else cout, cout, groups) for j in range(layers)])


class DownBlock(nn.Module):
    """One level of the encoder: `layers` residual blocks, then half the size unless it is the last level."""

    def __init__(self, cin: int, cout: int, *, layers: int, groups: int, last: bool) -> None:
        super().__init__()
        self.resnets = resnets(cin, cout, layers, groups)
        self.downsamplers = nn.ModuleList([] if last else [Downsample(cout)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in (*self.resnets, *self.downsamplers):
            x = layer(x)
        return x


class UpBlock(nn.Module):
    """One level of the decoder: `layers` residual blocks, then twice the size unless it is the last level."""

    def __init__(self, cin: int, cout: int, *, layers: int, groups: int, last: bool) -> None:
        super().__init__()
        self.resnets = resnets(cin, cout, layers, groups)
        self.upsamplers = nn.ModuleList([] if last else [Upsample(cout)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in (*self.resnets, *self.upsamplers):
            x = layer(x)
        return x
