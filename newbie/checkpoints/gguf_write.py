"""The beginning of a GGUF file, written: fields, then names, shapes and places of tensors."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from newbie.checkpoints.gguf_header import ALIGNMENT, ARRAY, MAGIC, SCALARS, STRING
from newbie.quant.ggml import PLAIN_TYPES, BlockType

VERSION = 3
_KINDS = {dtype: number for number, dtype in PLAIN_TYPES.items()}
_U8, _U32, _I32, _F32, _BOOL = 0, 4, 5, 6, 7
# general.file_type, for people and for programs that list files; blocks that have no number there are "guessed".
_FILE_TYPES = {
    "float32": 0,
    "float16": 1,
    "Q4_0": 2,
    "Q4_1": 3,
    "Q8_0": 7,
    "Q5_0": 8,
    "Q5_1": 9,
    "Q2_K": 10,
    "Q3_K": 12,
    "Q4_K": 15,
    "Q5_K": 17,
    "Q6_K": 18,
    "bfloat16": 32,
    "TQ1_0": 36,
    "TQ2_0": 37,
    "MXFP4": 38,
}
_GUESSED = 1024

Form = torch.dtype | BlockType


def can_hold(dtype: torch.dtype) -> bool:
    """Whether a GGUF file has plain numbers of this format."""
    return dtype in _KINDS


def aligned(place: int) -> int:
    """The next byte at which a tensor may begin."""
    return -(-place // ALIGNMENT) * ALIGNMENT


def file_type(form: str) -> int:
    """The number of the format that most numbers of a file are in."""
    return _FILE_TYPES.get(form, _GUESSED)


def header_bytes(fields: Mapping[str, Any], tensors: Iterable[tuple[str, Form, tuple[int, ...], int]]) -> bytes:
    """Everything before the first tensor, padded. `tensors`: name, format, shape, place behind the header."""
    infos = [_info(*tensor) for tensor in tensors]
    said = [_text(key) + _value(value) for key, value in fields.items()]
    head = MAGIC + struct.pack("<IQQ", VERSION, len(infos), len(said)) + b"".join(said) + b"".join(infos)
    return head + bytes(aligned(len(head)) - len(head))


def _info(name: str, form: Form, shape: tuple[int, ...], place: int) -> bytes:
    kind = form.id if isinstance(form, BlockType) else _KINDS[form]
    axes = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
    return _text(name) + axes + struct.pack("<IQ", kind, place)


def _value(value: Any) -> bytes:
    """A field's type and value: whole numbers are uint32, others float32."""
    if isinstance(value, bool):
        return _scalar(_BOOL, value)
    if isinstance(value, int):
        return _scalar(_U32, value)
    if isinstance(value, float):
        return _scalar(_F32, value)
    if isinstance(value, str):
        return struct.pack("<I", STRING) + _text(value)
    if isinstance(value, bytes):
        return struct.pack("<IIQ", ARRAY, _U8, len(value)) + value
    return struct.pack("<I", ARRAY) + _array(list(value))


def _array(values: list[Any]) -> bytes:
    if values and isinstance(values[0], str):
        return struct.pack("<IQ", STRING, len(values)) + b"".join(map(_text, values))
    kind = _F32 if values and isinstance(values[0], float) else _I32
    return struct.pack(f"<IQ{len(values)}{SCALARS[kind]}", kind, len(values), *values)


def _scalar(kind: int, value: float) -> bytes:
    return struct.pack("<I" + SCALARS[kind], kind, value)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data
