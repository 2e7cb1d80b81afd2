"""GGUF files as an index: plain tensors like those of any file, matrices in blocks that stay in blocks until used.

Two habits meet here. Transformers carry the names of their safetensors file (ComfyUI's converter). Text encoders
carry the names of llama.cpp, the configuration in fields, and the tokenizer as lists of pieces.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from newbie.checkpoints import spiece
from newbie.checkpoints.gguf_header import Array, TensorInfo, Value, read_header
from newbie.checkpoints.index import Entry, Index, Packed
from newbie.checkpoints.places import Place, damaged, entry_at
from newbie.errors import WeightsError
from newbie.quant.ggml import BY_ID, PLAIN_TYPES
from newbie.quant.gguf import BLOCKS, Gguf

ARCHITECTURE = "general.architecture"
CONFIG = "newbie.config"  # our own field: the config.json of the part
SHAPE = "comfy.gguf.orig_shape."  # before a tensor's name: the shape of one that was stored in another
MAX_AXES = 8  # of such a shape; the format itself has four

# What llama.cpp calls the sizes of Gemma 3, below "gemma3.".
_GEMMA = {
    "block_count": "num_hidden_layers",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.sliding_window": "sliding_window",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "rope.freq_base": "rope_theta",
    "rope.scaling.factor": "rope_factor",
}
GEMMA_FIELDS = {ours: f"gemma3.{theirs}" for theirs, ours in _GEMMA.items()}


def open_gguf(path: Path) -> Index:
    """Names, shapes and formats of a GGUF file. Reads the header only.

    Raises:
        WeightsError: truncated, hostile, or in a format that cannot be decoded; names file and tensor.
    """
    header = read_header(path)
    size = path.stat().st_size
    fields = header.fields
    entries = {info.name: _entry(info, fields, path, size) for info in header.tensors}
    metadata = {key: str(value) for key, value in fields.items() if not key.startswith(SHAPE)}
    config = metadata.pop(CONFIG, None)
    if config is not None:
        metadata["config"] = config
    tokens = fields.get(spiece.TOKENS)
    described = isinstance(tokens, Array) and tokens.length > 0
    return Index(
        entries,
        (path,),
        "GGUF",
        metadata,
        config=_gemma_config(fields),
        spiece=(lambda: spiece.from_fields(fields, path)) if described else None,
    )


def _entry(info: TensorInfo, fields: Mapping[str, Value], path: Path, size: int) -> Entry:
    shape = _shape(info, fields, path)
    if info.kind in PLAIN_TYPES:
        return entry_at(Place(info.name, PLAIN_TYPES[info.kind], shape, info.start, info.stop), path, size)
    codec = Gguf(BY_ID[info.kind])
    rows = math.prod(info.shape[:-1])
    place = Place(info.name, torch.uint8, (rows, (info.stop - info.start) // rows), info.start, info.stop)
    packed = Packed(codec, {BLOCKS: entry_at(place, path, size)})
    whole = Entry(
        info.name,
        shape,
        torch.float32,
        path,
        read=lambda: packed.decoded().view(shape),
        made=f"decode {codec.name}",
    )
    if len(shape) != 2 or shape != info.shape:
        return whole  # its rows are not those of a matrix
    return replace(whole, offset=info.start, packed=packed)


def _shape(info: TensorInfo, fields: Mapping[str, Value], path: Path) -> tuple[int, ...]:
    said = fields.get(SHAPE + info.name)
    if said is None:
        return info.shape
    numbers = said.numbers() if isinstance(said, Array) and said.length <= MAX_AXES else ()
    shape = tuple(int(number) for number in numbers if isinstance(number, int))
    if not shape or min(shape) < 1 or math.prod(shape) != math.prod(info.shape):
        told = list(numbers) if numbers else f"{str(said)!r:.60}"
        raise damaged(path, f"tensor {info.name} of shape {list(info.shape)} is said to have been {told}")
    return shape


def _gemma_config(fields: Mapping[str, Value]) -> dict[str, Any]:
    """The fields of a Gemma 3 as its config.json would have them; nothing for other networks."""
    if fields.get(ARCHITECTURE) != "gemma3":
        return {}
    found = {ours: fields.get(theirs) for ours, theirs in GEMMA_FIELDS.items()}
    config: dict[str, Any] = {
        name: value
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
    }
    return {"model_type": "gemma3_text", **config}


def require_gemma3(index: Index) -> None:
    """Raise WeightsError when a file with llama.cpp's names says it is another network than Gemma 3."""
    said = index.metadata.get(ARCHITECTURE, "gemma3")
    if said != "gemma3":
        raise WeightsError(
            f"{index.files[0].name}: says it is {said!r}, not Gemma 3", "NewBie-image was trained with Gemma-3-4B-it"
        )
