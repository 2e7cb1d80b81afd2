"""GGUF blocks to float32, in torch: the same numbers as the gguf package, bit for bit, on any device.

A decoder gets blocks (n, bytes) uint8 and gives (n, numbers). Each keeps the package's order of operations, for float32
rounds after every one of them. What the layouts share: scales are float16, quants are packed from the low bits up, and
the "K" formats have small scales of their own for each 16 or 32 of their 256 numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# Sixteen levels at quantiles of a bell curve (IQ4), and the values of a four-bit float, doubled (MXFP4).
IQ4_LEVELS = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
FP4_LEVELS = (0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)


def half(blocks: Tensor, at: int) -> Tensor:
    """The float16 at byte `at` of each block, (n, 1) float32."""
    return blocks[:, at : at + 2].contiguous().view(torch.float16).float()


def fields(packed: Tensor, bits: int) -> Tensor:
    """(..., k) bytes -> (..., 8 // bits, k): all lowest fields, then all second ones, and so on."""
    shifts = torch.arange(0, 8, bits, dtype=torch.uint8, device=packed.device)
    return (packed.unsqueeze(-2) >> shifts.unsqueeze(-1)) & (2**bits - 1)


def _q4_0(b: Tensor) -> Tensor:
    return half(b, 0) * (fields(b[:, 2:], 4).flatten(1).float() - 8)


def _q4_1(b: Tensor) -> Tensor:
    return half(b, 0) * fields(b[:, 4:], 4).flatten(1).float() + half(b, 2)


def _q5_0(b: Tensor) -> Tensor:
    return half(b, 0) * (_fifth_bits(b[:, 2:6], b[:, 6:]).float() - 16)


def _q5_1(b: Tensor) -> Tensor:
    return half(b, 0) * _fifth_bits(b[:, 4:8], b[:, 8:]).float() + half(b, 2)


def _fifth_bits(high: Tensor, low: Tensor) -> Tensor:
    """Five-bit quants (n, 32): bit j of the four high bytes belongs to number j."""
    fifth = fields(high, 1).transpose(1, 2).flatten(1)  # (n, 8, 4) -> byte by byte, bit by bit
    return fields(low, 4).flatten(1) | (fifth << 4)


def _q8_0(b: Tensor) -> Tensor:
    return b[:, 2:].contiguous().view(torch.int8).float() * half(b, 0)


def _q2_k(b: Tensor) -> Tensor:
    scale = half(b, 80) * (b[:, :16] & 15).float()
    least = half(b, 82) * (b[:, :16] >> 4).float()
    quants = fields(b[:, 16:80].unflatten(1, (2, 32)), 2).reshape(-1, 16, 16).float()
    return (scale[..., None] * quants - least[..., None]).flatten(1)


def _q3_k(b: Tensor) -> Tensor:
    scale = fields(b[:, 96:104], 4).flatten(1) | (fields(b[:, 104:108], 2).flatten(1) << 4)
    scale = half(b, 108) * (scale.float() - 32)
    low = fields(b[:, 32:96].unflatten(1, (2, 32)), 2).reshape(-1, 16, 16).float()
    absent = 1 - fields(b[:, :32], 1).reshape(-1, 16, 16).float()  # a cleared bit takes four away
    return (scale[..., None] * (low - 4 * absent)).flatten(1)


def _small_scales(packed: Tensor) -> tuple[Tensor, Tensor]:
    """Eight scales and eight minima of six bits each, from twelve bytes: (n, 12) -> twice (n, 8)."""
    first, second, both = packed.split(4, dim=1)
    scale = torch.cat((first & 63, (both & 15) | ((first >> 2) & 48)), dim=1)
    least = torch.cat((second & 63, (both >> 4) | ((second >> 2) & 48)), dim=1)
    return scale.float(), least.float()


def _q4_k(b: Tensor) -> Tensor:
    return _with_minima(b, fields(b[:, 16:].unflatten(1, (4, 32)), 4).reshape(-1, 8, 32))


def _q5_k(b: Tensor) -> Tensor:
    low = fields(b[:, 48:].unflatten(1, (4, 32)), 4).reshape(-1, 8, 32)
    return _with_minima(b, low | (fields(b[:, 16:48], 1) << 4))


def _with_minima(b: Tensor, quants: Tensor) -> Tensor:
    scale, least = _small_scales(b[:, 4:16])
    scale, least = half(b, 0) * scale, half(b, 2) * least
    return (scale[..., None] * quants.float() - least[..., None]).flatten(1)


def _q6_k(b: Tensor) -> Tensor:
    low = fields(b[:, :128].unflatten(1, (2, 64)), 4).reshape(-1, 8, 32)
    high = fields(b[:, 128:192].unflatten(1, (2, 32)), 2).reshape(-1, 8, 32)
    quants = ((low | (high << 4)).float() - 32).reshape(-1, 16, 16)
    scale = half(b, 208) * b[:, 192:208].contiguous().view(torch.int8).float()
    return (scale[..., None] * quants).flatten(1)


def _iq4_nl(b: Tensor) -> Tensor:
    return half(b, 0) * _levels(IQ4_LEVELS, fields(b[:, 2:], 4).flatten(1))


def _iq4_xs(b: Tensor) -> Tensor:
    low = fields(b[:, 4:8], 4).transpose(1, 2).flatten(1)  # two scales a byte, one byte after the other
    high = fields(b[:, 2:4], 2).transpose(1, 2).flatten(1)
    scale = half(b, 0) * ((low | (high << 4)).float() - 32)
    quants = fields(b[:, 8:].unflatten(1, (8, 16)), 4).reshape(-1, 8, 32)
    return (scale[..., None] * _levels(IQ4_LEVELS, quants)).flatten(1)


def _mxfp4(b: Tensor) -> Tensor:
    exponent = b[:, :1].int()
    # Half of 2^(e - 127), put together from its bits; the two smallest are subnormal.
    bits = torch.where(exponent < 2, 0x00200000 << exponent.clamp(max=1), (exponent - 1) << 23)
    return bits.view(torch.float32) * _levels(FP4_LEVELS, fields(b[:, 1:], 4).flatten(1))


def _levels(levels: tuple[int, ...], quants: Tensor) -> Tensor:
    return torch.tensor(levels, dtype=torch.float32, device=quants.device)[quants.int()]


DECODERS: dict[str, Callable[[Tensor], Tensor]] = {
    "Q4_0": _q4_0,
    "Q4_1": _q4_1,
    "Q5_0": _q5_0,
    "Q5_1": _q5_1,
    "Q8_0": _q8_0,
    "Q2_K": _q2_k,
    "Q3_K": _q3_k,
    "Q4_K": _q4_k,
    "Q5_K": _q5_k,
    "Q6_K": _q6_k,
    "IQ4_NL": _iq4_nl,
    "IQ4_XS": _iq4_xs,
    "MXFP4": _mxfp4,
}
