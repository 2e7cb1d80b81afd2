"""Safetensors files of our own quantised networks, as `save.save_quantised` writes them: read back bit for bit.

What a layer stores lies beside its place in the network ("layers.0.attention.qkv.codes"). The file's metadata has one
entry more, which says of each such layer how it is stored: {"layers.0.attention.qkv": ["nf4", 384, 192]}.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from newbie.checkpoints.index import Entry, Index, Packed
from newbie.checkpoints.places import damaged
from newbie.errors import WeightsError
from newbie.quant.schemes import codec_named

KEY = "newbie.quant"


def with_codecs(index: Index) -> Index:
    """The same file with a matrix for every layer that its metadata speaks of; another file as it is.

    Raises:
        WeightsError: what is said does not fit the tensors, or names a format that is not known here.
    """
    if KEY not in index.metadata:
        return index
    path = index.files[0]
    entries = dict(index.entries)
    for name, said in _said(index.metadata[KEY], path).items():
        entries[f"{name}.weight"] = _matrix(f"{name}.weight", said, entries, path)
    metadata = {key: value for key, value in index.metadata.items() if key != KEY}
    return Index(entries, index.files, index.kind, metadata, index.notes, index.config, index.spiece)


def _said(text: str, path: Path) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"has a list of quantised layers that cannot be read ({error})") from error
    if not isinstance(said, dict):
        raise damaged(path, "has a list of quantised layers that is no table")
    return said


def _matrix(name: str, said: Any, entries: dict[str, Entry], path: Path) -> Entry:
    """The entry of one layer; what it is stored as is taken out of `entries`."""
    layer = name.removesuffix(".weight")
    kinds = [type(each) for each in said] if isinstance(said, list) else []
    if kinds != [str, int, int] or min(said[1:]) < 1:
        raise damaged(path, f"says of the layer {layer} {said!r:.60}, expected a format, rows and columns")
    text, rows, columns = said
    codec = codec_named(text)
    if codec is None:
        raise WeightsError(f"{path}: layer {layer} is stored as {text!r}, which is not known here", "update newbie")
    try:
        specs = codec.stored(rows, columns)
    except ValueError as error:
        raise damaged(path, f"layer {layer} cannot be {text}: {error}") from error
    parts: dict[str, Entry] = {}
    for part, spec in specs.items():
        entry = entries.pop(f"{layer}.{part}", None)
        if entry is None:
            raise damaged(path, f"the {part} of the layer {layer} ({text}) is missing")
        if (entry.shape, entry.dtype) != (spec.shape, spec.dtype):
            found = f"{str(entry.dtype).removeprefix('torch.')} {list(entry.shape)}"
            raise damaged(path, f"tensor {entry.name} is {found}, which is not what {rows} x {columns} in {text} needs")
        parts[part] = entry
    if name in entries:
        raise damaged(path, f"tensor {name} is there twice, plain and as {text}")
    packed = Packed(codec, parts)
    return Entry(name, (rows, columns), torch.float32, path, read=packed.decoded, made=f"decode {text}", packed=packed)
