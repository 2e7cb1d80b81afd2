"""The beginning of a GGUF file: fields, then names, shapes and places of tensors. Checked completely before use.

Every length in it is compared with what is left of the file before anything is read or made of it, so a header that
lies costs neither memory nor time. (The gguf package has a reader too; it trusts what it reads.)
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; little endian, versions 2 and 3.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from newbie.checkpoints.places import damaged
from newbie.errors import WeightsError
from newbie.quant.ggml import BLOCK_TYPES, BY_ID, OTHER_TYPES, PLAIN_TYPES

MAGIC = b"GGUF"
MAX_HEADER = 64 * 2**20  # bytes; Gemma's with its 262,144 tokens has ten million
MAX_FIELDS = 65_536
MAX_TENSORS = 65_536
MAX_NAME = 1024  # bytes
MAX_AXES = 4
ALIGNMENT = 32  # where no field says otherwise

# Numbers of a field's type and how struct calls them; 8 is a string, 9 an array.
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


class Array(NamedTuple):
    """A list of values of one type, not yet taken apart."""

    kind: int
    length: int
    raw: bytes

    def __str__(self) -> str:
        return f"{self.length:,} values"

    def numbers(self) -> tuple[int | float | bool, ...]:
        """The values of an array of numbers; none for one of strings."""
        return struct.unpack(f"<{self.length}{SCALARS[self.kind]}", self.raw) if self.kind in SCALARS else ()

    def texts(self) -> Iterator[str]:
        """The values of an array of strings; none for one of numbers. What is no UTF-8 is replaced."""
        at = 0
        for _ in range(self.length if self.kind == STRING else 0):
            (length,) = struct.unpack_from("<Q", self.raw, at)
            at += 8 + length
            yield self.raw[at - length : at].decode("utf-8", errors="replace")


Value = int | float | bool | str | Array


class TensorInfo(NamedTuple):
    """One tensor as the header describes it: its innermost axis last, its place in bytes from the file's start."""

    name: str
    kind: int
    shape: tuple[int, ...]
    start: int
    stop: int


class Header(NamedTuple):
    """Everything before the first tensor."""

    version: int
    fields: dict[str, Value]
    tensors: list[TensorInfo]


def read_header(path: Path) -> Header:
    """Read and check the header of a GGUF file.

    Raises:
        WeightsError: truncated, not GGUF, of another version, or contradicting itself; names file and tensor.
    """
    try:
        with path.open("rb") as file:
            return _read(_Cursor(file, os.fstat(file.fileno()).st_size, path))
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})", "check the path and its rights") from error


class _Cursor:
    """Takes a header apart from its first byte on, and refuses to leave the file."""

    def __init__(self, file: BinaryIO, size: int, path: Path) -> None:
        self.file, self.size, self.path = file, size, path
        self.data = bytearray()
        self.at = 0

    def take(self, count: int, what: str) -> int:
        """Where the next `count` bytes begin in `data`."""
        begin, end = self.at, self.at + count
        if end > self.size:
            raise self.damaged(f"is truncated: {what} needs {end:,} bytes, the file has {self.size:,}")
        if end > MAX_HEADER:
            raise self.damaged(f"has a header of more than {MAX_HEADER:,} bytes ({what})")
        while end > len(self.data):
            piece = self.file.read(2**20)
            if not piece:
                raise self.damaged("ended while its header was read: has it changed?")
            self.data += piece
        self.at = end
        return begin

    def number(self, form: str, what: str) -> int:
        return int(struct.unpack_from("<" + form, self.data, self.take(struct.calcsize("<" + form), what))[0])

    def text(self, what: str, limit: int = MAX_HEADER) -> str:
        length = self.number("Q", what)
        if length > limit:
            raise self.damaged(f"{what} has {length:,} bytes, more than {limit:,}")
        begin = self.take(length, what)
        try:
            return self.data[begin : self.at].decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.damaged(f"{what} is not UTF-8 ({error.reason})") from error

    def value(self, kind: int, what: str) -> Value:
        if kind in SCALARS:
            form = "<" + SCALARS[kind]
            value: int | float | bool = struct.unpack_from(form, self.data, self.take(struct.calcsize(form), what))[0]
            return value
        if kind == STRING:
            return self.text(what)
        if kind == ARRAY:
            return self.array(what)
        raise self.damaged(f"{what} has the unknown type {kind}")

    def array(self, what: str) -> Array:
        kind, count = self.number("I", what), self.number("Q", what)
        if kind in SCALARS:
            begin = self.take(count * struct.calcsize("<" + SCALARS[kind]), what)
        elif kind == STRING:
            # Each string has a length of eight bytes: a count that cannot be true is refused before it is counted.
            begin, room = self.at, min(self.size, MAX_HEADER) - self.at
            if count > room // 8:
                raise self.damaged(f"{what} announces {count:,} strings in {room:,} bytes")
            for _ in range(count):
                self.take(self.number("Q", what), what)
        else:
            raise self.damaged(f"{what} is an array of the type {kind}, which is not read")
        return Array(kind, count, bytes(self.data[begin : self.at]))

    def damaged(self, what: str) -> WeightsError:
        return damaged(self.path, what)


def _read(cursor: _Cursor) -> Header:
    begin = cursor.take(len(MAGIC), "a GGUF file")
    if cursor.data[begin : cursor.at] != MAGIC:
        raise cursor.damaged("does not begin like a GGUF file")
    version = cursor.number("I", "the version")
    if version not in (2, 3):
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big") in (2, 3)
        raise WeightsError(
            f"{cursor.path}: is GGUF {'written for big-endian machines' if swapped else f'version {version}'}",
            "versions 2 and 3, little endian, are read: get a newer file, or the safetensors file",
        )
    tensors, count = cursor.number("Q", "the number of tensors"), cursor.number("Q", "the number of fields")
    if tensors > MAX_TENSORS or count > MAX_FIELDS:
        raise cursor.damaged(f"announces {tensors:,} tensors and {count:,} fields; {MAX_TENSORS:,} are the most")
    fields: dict[str, Value] = {}
    for _ in range(count):
        key = cursor.text("a field's name", MAX_NAME)
        if key in fields:
            raise cursor.damaged(f"field {key} appears twice")
        fields[key] = cursor.value(cursor.number("I", f"field {key}"), f"field {key}")
    found = [_info(cursor) for _ in range(tensors)]
    return Header(version, fields, _placed(cursor, found, _alignment(cursor, fields)))


def _info(cursor: _Cursor) -> TensorInfo:
    name = cursor.text("a tensor's name", MAX_NAME)
    what = f"tensor {name}"
    axes = cursor.number("I", what)
    if axes > MAX_AXES:
        raise cursor.damaged(f"{what} has {axes:,} axes, more than {MAX_AXES}")
    shape = tuple(cursor.number("Q", what) for _ in range(axes))[::-1]
    kind, offset = cursor.number("I", what), cursor.number("Q", what)
    if kind not in PLAIN_TYPES and kind not in BY_ID:
        said = OTHER_TYPES.get(kind, f"number {kind}")
        supported = ", ".join(["F32", "F16", "BF16", *(block.name for block in BLOCK_TYPES)])
        raise WeightsError(
            f"{cursor.path}: {what} has the number format {said}, which is not supported", f"supported: {supported}"
        )
    if 0 in shape or math.prod(shape) >= 2**48:
        raise cursor.damaged(f"{what} has the impossible shape {list(shape)}")
    return TensorInfo(name, kind, shape, offset, offset + _bytes(cursor, name, kind, shape))


def _bytes(cursor: _Cursor, name: str, kind: int, shape: tuple[int, ...]) -> int:
    if kind in PLAIN_TYPES:
        return math.prod(shape) * PLAIN_TYPES[kind].itemsize
    try:
        return math.prod(shape[:-1]) * BY_ID[kind].row_bytes(shape[-1] if shape else 1)
    except ValueError as error:
        raise cursor.damaged(f"tensor {name}: {error}") from error


def _alignment(cursor: _Cursor, fields: dict[str, Value]) -> int:
    said = fields.get("general.alignment", ALIGNMENT)
    if not isinstance(said, int) or not 8 <= said <= 2**16 or said & (said - 1):
        raise cursor.damaged(f"has the alignment {said}, not a power of two from 8 to 65,536")
    return said


def _placed(cursor: _Cursor, tensors: list[TensorInfo], alignment: int) -> list[TensorInfo]:
    """The same tensors with places from the file's start; each inside the file, none on another."""
    base = -(-cursor.at // alignment) * alignment
    placed = [info._replace(start=base + info.start, stop=base + info.stop) for info in tensors]
    if len({info.name for info in placed}) < len(placed):
        raise cursor.damaged("names a tensor twice")
    end, before = 0, ""
    for info in sorted(placed, key=lambda info: info.start):
        if info.stop > cursor.size:
            raise cursor.damaged(
                f"is truncated: tensor {info.name} ends at byte {info.stop:,}, the file has {cursor.size:,}"
            )
        if (info.start - base) % alignment:
            raise cursor.damaged(f"tensor {info.name} begins at byte {info.start:,}, which is not aligned")
        if info.start < end:
            raise cursor.damaged(f"tensors {before} and {info.name} overlap at byte {info.start:,}")
        end, before = info.stop, info.name
    return placed
