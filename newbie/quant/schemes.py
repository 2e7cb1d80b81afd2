"""The schemes by name: what `--quant` takes, and the codecs that quantised files name."""

from __future__ import annotations

import re
from typing import NamedTuple

import torch

from newbie.errors import require_known
from newbie.quant.codec import Codec
from newbie.quant.four_bit import FourBit
from newbie.quant.fp8 import FORMATS, Fp8
from newbie.quant.fp8_dynamic import Fp8Dynamic
from newbie.quant.guests import GUESTS
from newbie.quant.int8 import W8A8, Int8
from newbie.quant.nf4 import Nf4

RANK = 32
INPUTS = 16  # inputs that share a scale: their rounding is what costs most, and a scale made as they come costs nothing


class Scheme(NamedTuple):
    """A way to quantise. `codec` rounds to nearest, `calibrated` is for who has looked at inputs first."""

    codec: Codec
    about: str
    calibrated: Codec | None = None  # None: the same


SCHEMES = {
    "w8a8": Scheme(W8A8(), "8-bit weights and inputs, multiplied as integers: the fastest on a CPU"),
    "int8": Scheme(Int8(), "8-bit weights, decoded for each product"),
    "fp8": Scheme(Fp8(torch.float8_e4m3fn), "8-bit floats, decoded for each product"),
    "fp8-dynamic": Scheme(Fp8Dynamic(), "8-bit floats, multiplied as such on cards from 8.9 on"),
    "nf4": Scheme(Nf4(), "4-bit normal floats with double quantisation"),
    "int4": Scheme(FourBit(), "4-bit integers in groups of 64", FourBit(smooth=True)),
    "int4-a4": Scheme(
        FourBit(inputs=INPUTS), "the same, inputs too: for comparison", FourBit(smooth=True, inputs=INPUTS)
    ),
    "svdquant": Scheme(
        FourBit(rank=RANK, inputs=INPUTS),
        f"4-bit weights and inputs beside a branch of rank {RANK} in 16 bits",
        FourBit(rank=RANK, smooth=True, inputs=INPUTS),
    ),
    "svdquant-g64": Scheme(
        FourBit(rank=RANK, inputs=64),
        "the same with the paper's groups of 64 inputs",
        FourBit(rank=RANK, smooth=True, inputs=64),
    ),
}
_FOUR_BIT = re.compile(r"int4(?:-g(\d{1,4}))?(-smooth)?(?:-r(\d{1,4}))?(?:-a4g(\d{1,4}))?")


def scheme(name: str) -> Scheme:
    """A scheme by its name. Raises UsageError with the nearest one."""
    require_known(name, (*SCHEMES, *GUESTS), "quantisation")
    return SCHEMES[name]


def codec_named(name: str) -> Codec | None:
    """The codec that a file calls so; None where there is none."""
    plain: dict[str, Codec] = {codec.name: codec for codec in (W8A8(), Int8(), Nf4(), Fp8Dynamic(), *map(Fp8, FORMATS))}
    if name in plain:
        return plain[name]
    found = _FOUR_BIT.fullmatch(name)
    if found is None:
        return None
    group, smooth, rank, inputs = found.groups()
    codec = FourBit(int(group or 64), int(rank or 0), bool(smooth), int(inputs or 0))
    return codec if codec.group > 0 and codec.group % 2 == 0 and codec.name == name else None
