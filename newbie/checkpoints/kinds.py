"""The number formats that weights can be converted into, by the names people know; and what to say of all others."""

from __future__ import annotations

import re

import torch

from newbie.errors import UsageError, nearest
from newbie.quant.ggml import BY_NAME, OTHER_TYPES, WRITABLE, BlockType
from newbie.quant.schemes import SCHEMES

CASTS = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
EIGHT_BITS = ("fp8", "fp8-scaled", "fp8-scaled-old")
TYPES = ("keep", *CASTS, *EIGHT_BITS, *WRITABLE)

ONLY_READ = tuple(name for name in BY_NAME if name not in WRITABLE)
_ELSEWHERE = {  # what they are called by other programs
    "f32": "float32", "fp32": "float32", "float": "float32", "bfloat16": "bf16", "f16": "fp16", "float16": "fp16",
    "half": "fp16", "float8_e4m3fn": "fp8", "fp8_e4m3fn": "fp8", "e4m3": "fp8", "same": "keep", "none": "keep",
}  # fmt: skip
# llama.cpp's names of whole files (Q4_K_M): most tensors are of the format before the last letters.
_MIXTURE = re.compile(r"(I?Q\d_[K\d])_(?:XS|S|M|L|XL)")
_USUAL = tuple(name for name in WRITABLE if name.startswith("Q"))  # not for models that were trained to have such


def require_type(text: str) -> None:
    """Raise UsageError unless `text` is one of TYPES: what of its kind there is, and what to use instead."""
    if text in TYPES:
        return
    mixture = _MIXTURE.fullmatch(text.upper())
    name = mixture[1] if mixture else text.upper()
    if name in ONLY_READ:
        kind = BY_NAME[name]
        raise UsageError(
            f"{text} can be read, but not written: the gguf package only decodes {name}",
            f"use --type {_nearest(kind)} ({_told(BY_NAME[_nearest(kind)])}; {name} has {_bits(kind):.1f}). {_all()}",
        )
    if name in OTHER_TYPES.values():
        raise UsageError(f"{text} can neither be read nor written", _all())
    if text in SCHEMES:
        raise UsageError(
            f"{text} is a scheme of ours, for folders, and no type of files that other programs read",
            f"python -m newbie quantize {text} --out FOLDER writes it. {_all()}",
        )
    known = {each.lower(): each for each in (*TYPES, *ONLY_READ)} | _ELSEWHERE
    meant = nearest(text.lower(), known)
    guess = f"did you mean {known[meant]}? " if meant else ""
    raise UsageError(f"there is no type {text!r}", guess + _all())


def _all() -> str:
    return f"written: {', '.join(TYPES)}; only read: {', '.join(ONLY_READ)}"


def _nearest(kind: BlockType) -> str:
    """The writable format that takes most nearly as many bits, rather more than fewer."""
    return min(_USUAL, key=lambda name: (abs(_bits(BY_NAME[name]) - _bits(kind)), -_bits(BY_NAME[name])))


def _told(kind: BlockType) -> str:
    return f"{_bits(kind):.1f} bits a number"


def _bits(kind: BlockType) -> float:
    return 8 * kind.bytes / kind.numbers
