"""SentencePiece models and the lists of pieces that GGUF files have instead: one into the other, both ways.

A model is a protobuf message with pieces (text, score, type), the trainer's settings and the normaliser's; GGUF has
the same three lists under `tokenizer.ggml.*` with the same numbers for types. Only the fields that tokenizing depends
on are written. Source: sentencepiece_model.proto of google/sentencepiece.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from newbie.checkpoints.gguf_header import Array, Value
from newbie.errors import WeightsError

_PREFIX = "tokenizer.ggml."
TOKENS = _PREFIX + "tokens"
UNIGRAM, BPE = 1, 2
_MODELS = {"t5": UNIGRAM, "llama": BPE}  # what ggml calls them
_NORMAL, _BYTE = 1, 6
_IDS = {"unknown_token_id": 40, "bos_token_id": 41, "eos_token_id": 42, "padding_token_id": 43}  # … in TrainerSpec
_PIECES = {"unknown_token_id": 45, "bos_token_id": 46, "eos_token_id": 47, "padding_token_id": 48}


class Pieces(NamedTuple):
    """A SentencePiece model, as far as tokenizing depends on it."""

    algorithm: int  # UNIGRAM or BPE
    texts: list[str]
    scores: list[float]
    types: list[int]
    ids: dict[str, int]  # of special pieces, by ggml's names
    add_space: bool  # a space is put before the text
    squeeze: bool  # runs of spaces become one
    rules: bytes = b""  # the normaliser's compiled table

    @property
    def has_bytes(self) -> bool:
        """Characters without a piece are spelled in bytes."""
        return _BYTE in self.types

    def fields(self) -> dict[str, Any]:
        """As GGUF fields."""
        found: dict[str, Any] = {
            _PREFIX + "model": {number: name for name, number in _MODELS.items()}[self.algorithm],
            TOKENS: self.texts,
            _PREFIX + "scores": self.scores,
            _PREFIX + "token_type": self.types,
            _PREFIX + "add_space_prefix": self.add_space,
            _PREFIX + "remove_extra_whitespaces": self.squeeze,
            **{_PREFIX + name: number for name, number in self.ids.items()},
        }
        if self.rules:
            found[_PREFIX + "precompiled_charsmap"] = self.rules
        return found

    def model(self) -> bytes:
        """As a serialised SentencePiece model."""
        body = bytearray()
        for text, score, kind in zip(self.texts, self.scores, self.types, strict=True):
            piece = _bytes(1, text.encode()) + b"\x15" + struct.pack("<f", score)
            body += _bytes(1, piece if kind == _NORMAL else piece + _number(3, kind))
        trainer = _number(3, self.algorithm) + _number(4, len(self.texts)) + _number(35, int(self.has_bytes))
        for name, field in _IDS.items():
            number = self.ids.get(name, -1)
            trainer += _number(field, number)
            if 0 <= number < len(self.texts):
                trainer += _bytes(_PIECES[name], self.texts[number].encode())
        normaliser = _number(3, int(self.add_space)) + _number(4, int(self.squeeze))
        return bytes(body) + _bytes(2, trainer) + _bytes(3, _bytes(2, self.rules) + normaliser)


def from_fields(fields: Mapping[str, Value], path: Path) -> bytes:
    """The model that a GGUF file describes.

    Raises:
        WeightsError: lists of different lengths, numbers that none can have, or a tokenizer of another kind.
    """
    try:
        return _described(fields, path).model()
    except (ValueError, OverflowError) as error:  # a score beyond float32, a type that is NaN
        raise WeightsError(
            f"{path.name}: its tokenizer has impossible numbers ({error})", "download the file again"
        ) from error


def _described(fields: Mapping[str, Value], path: Path) -> Pieces:
    said = fields.get(_PREFIX + "model")
    if said not in _MODELS:
        raise WeightsError(
            f"{path.name}: its tokenizer is of the kind {said!r}, not SentencePiece",
            "put tokenizer.json of the original model beside it",
        )
    texts = list(_array(fields, "tokens").texts())
    scores = [float(score) for score in _array(fields, "scores").numbers()] or [0.0] * len(texts)
    types = [int(kind) for kind in _array(fields, "token_type").numbers()] or [_NORMAL] * len(texts)
    if not len(texts) == len(scores) == len(types):
        raise WeightsError(
            f"{path.name}: its tokenizer has {len(texts):,} tokens, {len(scores):,} scores and {len(types):,} types",
            "download the file again",
        )
    ids = {name: fields.get(_PREFIX + name) for name in _IDS}
    return Pieces(
        algorithm=_MODELS[str(said)],
        texts=texts,
        scores=scores,
        types=[kind if 1 <= kind <= _BYTE else _NORMAL for kind in types],
        ids={name: number for name, number in ids.items() if isinstance(number, int) and number < len(texts)},
        add_space=bool(fields.get(_PREFIX + "add_space_prefix", said == "t5")),
        squeeze=bool(fields.get(_PREFIX + "remove_extra_whitespaces", False)),
        rules=_array(fields, "precompiled_charsmap").raw,
    )


def from_model(data: bytes) -> Pieces:
    """A serialised SentencePiece model, taken apart.

    Raises:
        ValueError: it is none, or of an algorithm that no file of this family uses.
    """
    try:
        return _taken_apart(data)
    except (TypeError, AttributeError, struct.error) as error:  # a field of another type than the format's
        raise ValueError(f"not a SentencePiece model ({error})") from error


def _taken_apart(data: bytes) -> Pieces:
    pieces: list[dict[int, Any]] = []
    trainer: dict[int, Any] = {}
    normaliser: dict[int, Any] = {}
    for field, value in _messages(data):
        if field == 1:
            pieces.append(dict(_messages(value)))
        elif field == 2:
            trainer |= dict(_messages(value))
        elif field == 3:
            normaliser |= dict(_messages(value))
    algorithm = int(trainer.get(3, UNIGRAM))
    if not pieces or algorithm not in _MODELS.values():
        raise ValueError(f"{len(pieces)} pieces, algorithm {algorithm}")
    unset = dict(zip(_IDS, (0, 1, 2, -1), strict=True))  # the format's defaults
    ids = {name: _signed(int(trainer.get(field, unset[name]))) for name, field in _IDS.items()}
    return Pieces(
        algorithm=algorithm,
        texts=[piece.get(1, b"").decode("utf-8", errors="replace") for piece in pieces],
        scores=[float(struct.unpack("<f", piece[2])[0]) if 2 in piece else 0.0 for piece in pieces],
        types=[int(piece.get(3, _NORMAL)) for piece in pieces],
        ids={name: number for name, number in ids.items() if number >= 0},
        add_space=bool(normaliser.get(3, 1)),
        squeeze=bool(normaliser.get(4, 1)),
        rules=b"" + normaliser.get(2, b""),  # not bytes(): of a number that would be as many zeros
    )


def _array(fields: Mapping[str, Value], name: str) -> Array:
    value = fields.get(_PREFIX + name)
    return value if isinstance(value, Array) else Array(0, 0, b"")


def _varint(number: int) -> bytes:
    number &= 2**64 - 1  # negative numbers are written as their two's complement
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number


def _messages(data: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, value) of one protobuf message; values of fixed width as bytes. Raises ValueError."""
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        kind = key & 7
        if kind == 0:
            value: Any
            value, at = _read_varint(data, at)
        else:
            size, at = _read_varint(data, at) if kind == 2 else ({1: 8, 5: 4}.get(kind, -1), at)
            if not 0 <= size <= len(data) - at:
                raise ValueError(f"a field of {size} bytes at byte {at} of {len(data)}")
            value, at = data[at : at + size], at + size
        yield key >> 3, value


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        number |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return number, at
    raise ValueError(f"a number that does not end at byte {at}")
