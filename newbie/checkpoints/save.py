"""Write weights: the official folder layout, or one file in any layout that is read and has an inverse."""

from __future__ import annotations

import glob
import json
import secrets
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor, nn

from newbie.checkpoints.components import CARD
from newbie.checkpoints.header import write_safetensors
from newbie.checkpoints.layouts import Component
from newbie.checkpoints.quantised import KEY as QUANTISED
from newbie.checkpoints.rules import Table
from newbie.checkpoints.tables import gemma, jina, nextdit, vae
from newbie.checkpoints.translate import untranslate
from newbie.errors import OutputError, UsageError
from newbie.model.config import VARIANTS, NextDiTConfig
from newbie.quant.layers import Compressed
from newbie.request import Recommended

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class Official(NamedTuple):
    """How the published repository calls a part: folder, weights file, class, tokenizer entry of model_index.json."""

    folder: str
    file: str
    kind: str
    tokenizer: str


OFFICIAL: dict[Component, Official] = {
    "transformer": Official("transformer", "diffusion_pytorch_model.safetensors", "NextDiT_CLIP", ""),
    "text_encoder": Official("text_encoder", "model.safetensors", "Gemma3Model", "tokenizer"),
    "clip": Official("clip_model", "model.safetensors", "JinaCLIPModel", "clip_tokenizer"),
    "vae": Official("vae", "diffusion_pytorch_model.safetensors", "AutoencoderKL", ""),
}
MODEL_INDEX = "model_index.json"


@dataclass(frozen=True)
class Trained:
    """One network to write: module, configuration, and for a text encoder the content of its tokenizer.json."""

    module: nn.Module
    config: Any
    tokenizer: bytes | None = None


def save_model(
    folder: Path,
    parts: Mapping[Component, Trained],
    *,
    dtype: torch.dtype = torch.bfloat16,
    name: str = "",
    licence: str = "",
    trained_on: str = "",
    recommended: Recommended | None = None,
) -> None:
    """Write the official folder layout, and newbie.json with how the model is best used.

    Each file is complete or absent: it is written under another name first.

    Raises:
        OutputError: a file could not be written.
    """
    for component, part in parts.items():
        place = folder / OFFICIAL[component].folder
        state = part.module.state_dict()
        save_weights(place / OFFICIAL[component].file, state, component, part.config, dtype=dtype)
        write_json(place / "config.json", config_json(component, part.config))
        if part.tokenizer is not None:
            write_bytes(place / "tokenizer.json", part.tokenizer)
    card = {"name": name, "licence": licence, "trained_on": trained_on}
    settings = recommended.to_json() if recommended is not None else {}
    write_json(folder / CARD, {key: value for key, value in card.items() if value} | settings)
    tokenizers = [component for component, part in parts.items() if part.tokenizer is not None]
    index = model_index({component: part.config for component, part in parts.items()}, tokenizers)
    write_json(folder / MODEL_INDEX, index)


def model_index(configs: Mapping[Component, Any], tokenizers: Container[Component]) -> dict[str, Any]:
    """The content of model_index.json for these parts; `tokenizers` are those with one in their folder."""
    index: dict[str, Any] = {"_class_name": "NewbiePipeline"}
    for component, config in configs.items():
        part = OFFICIAL[component]
        kind = config_json(component, config).get("_class_name", part.kind)
        index["clip_model" if component == "clip" else component] = [part.folder, kind]
        if component in tokenizers:
            index[part.tokenizer] = [part.folder, "AutoTokenizer"]
    return index


def save_weights(
    path: Path,
    state: Mapping[str, Tensor],
    component: Component,
    config: Any,
    *,
    layout: str = "",
    prefix: str = "",
    dtype: torch.dtype | None = None,
) -> None:
    """Write one safetensors file. `layout` is a name of `layouts.ANCHORS`; "" is our own naming.

    The configuration goes into the metadata, so that the file can be used alone. `prefix` stands before every
    name ("model.diffusion_model." is ComfyUI's for transformers).

    Raises:
        UsageError: no such layout, or one that cannot be written.
        OutputError: the file could not be written.
    """
    theirs = untranslate(state, save_table(component, layout, config))
    tensors = {
        prefix + name: tensor.detach().to("cpu", dtype if tensor.is_floating_point() else None).contiguous()
        for name, tensor in theirs.items()
    }
    metadata = {"format": "pt", "config": json.dumps(config_json(component, config), sort_keys=True)}
    with replacing(path) as file:
        write_safetensors(file, tensors, metadata)


def save_quantised(
    path: Path, module: nn.Module, component: Component, config: Any, *, dtype: torch.dtype | None = None
) -> None:
    """Write a network with compressed layers: what they store as it is, all other numbers in `dtype`.

    Raises:
        OutputError: the file could not be written.
    """
    layers = {name: part for name, part in module.named_modules() if isinstance(part, Compressed)}
    said = {name: [layer.codec.name, *layer.shape] for name, layer in layers.items()}
    metadata = {
        "format": "pt",
        "config": json.dumps(config_json(component, config), sort_keys=True),
        QUANTISED: json.dumps(said, sort_keys=True),
    }
    with replacing(path) as file:
        write_safetensors(file, state_as_saved(module, dtype), metadata)


def state_as_saved(module: nn.Module, dtype: torch.dtype | None) -> dict[str, Tensor]:
    """All tensors of a network on the CPU; those outside compressed layers in `dtype`, None: as they are."""
    stored = {
        f"{path}.{name}"
        for path, layer in module.named_modules()
        if isinstance(layer, Compressed)
        for name in layer.specs
    }
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    plain = {name for name in state.keys() - stored if state[name].is_floating_point()}
    return {name: tensor.to(dtype or tensor.dtype) if name in plain else tensor for name, tensor in state.items()}


def save_table(component: Component, layout: str, config: Any) -> Table:
    """The rules by which a layout is written.

    Raises:
        UsageError: no such layout, or one that cannot be written.
    """
    own = {"transformer": "official", "text_encoder": "hugging face", "clip": "merged", "vae": "diffusers"}
    if layout in ("", own[component]):
        return ()
    match component, layout:
        case "transformer", "diffusers":
            queries, keys = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
            return nextdit.diffusers((queries, keys, keys))
        case "vae", "original":
            return vae.original(len(config.block_out_channels))
        case "clip", "transformers":
            return jina.transformers()
        case "text_encoder", "llama.cpp":
            return gemma.llama()
    raise UsageError(f"the layout {layout!r} of the {component} cannot be written", f"use {own[component]!r}")


def config_json(component: Component, config: Any) -> dict[str, Any]:
    """The config.json of a part, with the class names the published repository uses."""
    if component == "vae":
        return dict(config.to_json())
    values: dict[str, Any] = dict(config.to_dict())
    if component == "transformer":
        values |= {"_class_name": _class_name(config), "model_type": "nextdit_clip"}
    return values


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON object, complete or not at all. Raises OutputError."""
    write_bytes(path, (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())


def _class_name(config: NextDiTConfig) -> str:
    """The official name of a published variant; other sizes have the name of the class."""
    return next((name for name, variant in VARIANTS.items() if variant == config), "NextDiT_CLIP")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a small file, complete or not at all. Raises OutputError."""
    with replacing(path) as file:
        file.write(content)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its name when it is complete; what had the name before stays until then.

    What others left who were killed meanwhile goes: these files can be large, and nobody would look for them.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{glob.escape(path.name)}.{'?' * 8}.tmp"):
            _discard(left)
        with temporary.open("xb") as file:
            with suppress(OSError):  # not every network folder has locks
                _lock(file)
            yield file
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: could not be written ({error})", "check the folder and the free space") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _discard(left: Path) -> None:
    """Remove a file unless somebody is writing it, or it cannot be removed."""
    with suppress(OSError):
        if fcntl is None:  # then what is open cannot be removed
            left.unlink()
            return
        with left.open("rb") as file:
            _lock(file)
            left.unlink()


def _lock(file: BinaryIO) -> None:
    """Let nobody else lock a file until this process closes it or dies. Raises OSError where somebody has."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
