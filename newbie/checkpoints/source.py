"""Where one part of a model lies: its weights, its config.json, its tokenizer. Finding it decides by content."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from newbie.checkpoints.index import Index
from newbie.checkpoints.layouts import SPOKEN, Component, Part, recognise, unrecognised
from newbie.checkpoints.readers import PICKLE_SUFFIXES, SUFFIXES, open_weights
from newbie.checkpoints.shards import NUMBERED, numbered, read_json, weight_map
from newbie.errors import WeightsError

CONFIG = "config.json"
# A key that only this part's config.json has, so that another part's is not taken for it.
_TELLTALE: dict[Component, tuple[str, ...]] = {
    "transformer": ("dim", "axes_dims", "axes_dim_rope"),
    "text_encoder": ("sliding_window", "rms_norm_eps"),
    "clip": ("lora_rank", "rotary_base", "rotary_emb_base", "hf_model_name_or_path"),
    "vae": ("block_out_channels",),
}
_FIRST = ("diffusion_pytorch_model", "model", "pytorch_model")  # the standard names
_NOT_WEIGHTS = ("model_args.pth", "adapter_model.safetensors", "optimizer.bin", "training_args.bin")


class OtherPart(WeightsError):
    """Sound, as far as one can tell, but not the part that is looked for."""


class SeveralFound(WeightsError):
    """More than one candidate; the user has to choose."""


@dataclass(frozen=True)
class Opened:
    """A file's contents by name, and which of them make the part."""

    index: Index
    part: Part


@dataclass(frozen=True)
class Source:
    """One part of a model on disk. `folder` is where its config.json and tokenizer are looked for."""

    component: Component
    files: tuple[Path, ...]
    folder: Path
    allow_pickle: bool = False
    config: Mapping[str, Any] = field(default_factory=dict, hash=False)  # what the caller knows better
    tokenizer: Path | None = None  # the folder with another model's, for an encoder that has none of its own

    @property
    def name(self) -> str:
        """For messages: the file's name, without a folder that might name its user."""
        first = self.files[0]
        generic = first.name.startswith((*_FIRST, CONFIG))
        name = f"{first.parent.name}/{first.name}" if generic else first.name
        return name if len(self.files) == 1 else f"{name} and {len(self.files) - 1} more"

    def open(self) -> Opened:
        """Read the headers.

        Raises:
            WeightsError: damaged, refused, or without this part.
        """
        index = open_weights(self.files[0] if len(self.files) == 1 else self.files, allow_pickle=self.allow_pickle)
        parts = recognise(index.shapes, self.name)
        for part in parts:
            if part.component == self.component:
                return Opened(index, part)
        if not parts:
            raise OtherPart(*unrecognised(index.shapes, self.name))
        held = " and the ".join(SPOKEN[part.component] for part in parts)
        raise OtherPart(
            f"{self.name}: holds the {held}, not the {SPOKEN[self.component]}", "check which file goes with which flag"
        )

    def raw_config(self, index: Index) -> dict[str, Any]:
        """What is said about the part: by the caller, beside the weights, or in the file's metadata."""
        return {**index.config, **self._written_config(index), **self.config}

    def _written_config(self, index: Index) -> dict[str, Any]:
        path = self.folder / CONFIG
        if path.is_file():
            values = read_json(path)
            nested = values.get("text_config")
            keys = {*values, *(nested if isinstance(nested, Mapping) else ())}
            if keys & set(_TELLTALE[self.component]):
                return values
        return _from_metadata(index.metadata, self.component)


def find(
    component: Component,
    where: Path | Sequence[Path],
    *,
    allow_pickle: bool = False,
    config: Mapping[str, Any] | None = None,
) -> Source:
    """The source of a part in a file, a folder, or several files that hold it together.

    Raises:
        WeightsError: nothing there, the part is not in it, or several candidates.
    """
    if not isinstance(where, Path):
        return _checked(Source(component, tuple(where), where[0].parent, allow_pickle, config or {}))
    if not where.is_dir():
        return _checked(Source(component, (where,), where.parent, allow_pickle, config or {}))
    return search(component, where, allow_pickle=allow_pickle, config=config)


def search(
    component: Component,
    folder: Path,
    *,
    allow_pickle: bool = False,
    config: Mapping[str, Any] | None = None,
) -> Source:
    """The best named weights in `folder` that hold the part.

    Raises:
        WeightsError: none do (the reason for the first is given), or several do equally.
    """
    damaged: WeightsError | None = None
    other: OtherPart | None = None
    found: dict[int, list[Source]] = {}
    for files in candidates(folder):
        rank = _rank(files[0])
        if found and rank > min(found):
            break
        try:
            source = _checked(Source(component, files, folder, allow_pickle, config or {}))
        except OtherPart as error:
            other = other or error
        except WeightsError as error:
            damaged = damaged or error
        else:
            found.setdefault(rank, []).append(source)
    if not found:
        raise (
            damaged
            or other
            or OtherPart(
                f"{folder.name}: no weights in it", "expected a .safetensors or .gguf file, or .pth with --allow-pickle"
            )
        )
    best = found[min(found)]
    if len(best) > 1:
        names = ", ".join(source.files[0].name for source in best)
        raise SeveralFound(
            f"{folder.name}: several files hold the {SPOKEN[component]}: {names}", f"name one with {flag(component)}"
        )
    return best[0]


def candidates(folder: Path) -> list[tuple[Path, ...]]:
    """The checkpoints in a folder, each as the files it consists of, the most standard names first."""
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.name not in _NOT_WEIGHTS)
    indexes = [path for path in paths if path.name.endswith((".safetensors.index.json", ".bin.index.json"))]
    known = {folder / name for index in indexes for name in weight_map(index).values()}
    weights = [p for p in paths if p.suffix.lower() in SUFFIXES and p not in known]
    groups = [tuple(group) for group in numbered(weights) if len(group) > 1]
    single = [(path,) for path in weights if not any(path in group for group in groups)]
    return sorted([*((index,) for index in indexes), *groups, *single], key=lambda files: (_rank(files[0]), files))


def flag(component: Component) -> str:
    """The command line flag that names the part."""
    return "--" + component.replace("_", "-")


def _checked(source: Source) -> Source:
    source.open()
    return source


def _rank(path: Path) -> int:
    """Standard names before others, whole files before shards, averaged weights before raw, pickles last."""
    name = path.name.lower()
    stem = NUMBERED.fullmatch(name)
    base = stem["stem"] if stem else name.split(".")[0]
    if base in _FIRST:
        rank = 0 if name.count(".") == 1 and not stem else 1
    elif "ema" in base.replace("-", "_").replace(".", "_").split("_"):
        rank = 2
    else:
        rank = 3
    pickle = name.endswith((*PICKLE_SUFFIXES, ".bin.index.json"))
    return rank + 10 if pickle else rank


def _from_metadata(metadata: Mapping[str, str], component: Component) -> dict[str, Any]:
    """The configuration that single-file checkpoints carry as text; with several parts in a file, one for each."""
    try:
        values = json.loads(metadata.get(f"config.{component}") or metadata.get("config", "{}"))
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
