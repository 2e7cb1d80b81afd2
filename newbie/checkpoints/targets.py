"""Which files a conversion writes, under which names the parts lie in them, and where each of their bytes goes."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import newbie
from newbie.checkpoints import gguf as reading
from newbie.checkpoints import gguf_write as gguf
from newbie.checkpoints import header as safetensors
from newbie.checkpoints import spiece, stream, tokenizer_files
from newbie.checkpoints.layouts import SPIECES, SPOKEN, Component
from newbie.checkpoints.outgoing import Outgoing, Wanted, outgoing
from newbie.checkpoints.plan import Plan
from newbie.checkpoints.save import OFFICIAL, config_json
from newbie.errors import UsageError, require_known

LAYOUTS = ("official", "diffusers", "comfyui", "gguf")
FILES = (".safetensors", ".gguf")  # targets that end otherwise are folders

# The names a part gets in each layout, where they are not our own.
_NAMES: dict[tuple[str, Component], str] = {
    ("diffusers", "transformer"): "diffusers",
    ("comfyui", "vae"): "original",
    ("gguf", "text_encoder"): "llama.cpp",
}
# What ComfyUI puts before the names of one part in a file, and of a part among others.
_ALONE: dict[Component, str] = {"transformer": "", "text_encoder": "model.", "clip": "model.", "vae": ""}
_TOGETHER: dict[Component, str] = {
    "transformer": "model.diffusion_model.",
    "text_encoder": "text_encoders.gemma3.transformer.model.",
    "clip": "text_encoders.jina_clip.model.",
    "vae": "vae.",
}
# Folders and files of a ComfyUI installation.
_COMFY: dict[Component, str] = {
    "transformer": "diffusion_models/newbie",
    "text_encoder": "text_encoders/gemma_3",
    "clip": "text_encoders/jina_clip_v2",
    "vae": "vae/ae",
}
_ARCHITECTURES: dict[Component, str] = {
    "transformer": "lumina2",
    "text_encoder": "gemma3",
    "clip": "jina_clip",
    "vae": "vae",
}


@dataclass(frozen=True)
class File:
    """One file that will be written, and the parts of the model in it."""

    path: Path
    plans: tuple[Plan, ...]
    layout: str

    @property
    def gguf(self) -> bool:
        return self.path.suffix == ".gguf"

    def prefix(self, component: Component) -> str:
        """What stands before every name of a part."""
        if self.layout != "comfyui":
            return ""
        return (_TOGETHER if len(self.plans) > 1 else _ALONE)[component]


def files(goal: Path, plans: Sequence[Plan], layout: str = "") -> list[File]:
    """Which part goes into which file.

    Raises:
        UsageError: the layout does not exist, or cannot be written to such a target.
    """
    layout = layout or ("gguf" if goal.suffix == ".gguf" else "official")
    require_known(layout, LAYOUTS, "layout")
    if goal.suffix not in FILES:
        return [File(goal / _inside(plan.part.component, layout), (plan,), layout) for plan in plans]
    if (goal.suffix == ".gguf") != (layout == "gguf"):
        raise UsageError(f"{goal.name} cannot have the layout {layout}", "GGUF files end in .gguf, and only they")
    if len(plans) > 1 and layout != "comfyui":
        held = ", ".join(plan.part.component for plan in plans)
        raise UsageError(
            f"{goal.name} would hold {len(plans)} parts of a model ({held}), which only ComfyUI's layout does",
            "name one with --part, give a folder as the target, or add --layout comfyui",
        )
    return [File(goal, tuple(plans), layout)]


def _inside(component: Component, layout: str) -> Path:
    if layout == "comfyui":
        return Path(f"{_COMFY[component]}.safetensors")
    part = OFFICIAL[component]
    return Path(part.folder) / Path(part.file).with_suffix(".gguf" if layout == "gguf" else ".safetensors")


def contents(file: File, wanted: Wanted) -> tuple[list[Outgoing], dict[str, Any], list[str]]:
    """The tensors of a file, the fields of its tokenizer (GGUF), and what to tell of them.

    Raises:
        UsageError: a format that the file cannot have.
        WeightsError: a source is incomplete.
    """
    tensors: list[Outgoing] = []
    fields: dict[str, Any] = {}
    notes: list[str] = []
    for plan in file.plans:
        component = plan.part.component
        tensors += outgoing(plan, _NAMES.get((file.layout, component), ""), file.prefix(component), wanted)
        if component not in SPIECES or file.layout not in ("comfyui", "gguf"):
            continue
        model = tokenizer_files.model(plan)
        if model is None:
            notes.append(
                f"{file.path.name} has no tokenizer of the {SPOKEN[component]}: "
                f"keep its files in a folder {tokenizer_files.BESIDE[component][0]} beside it"
            )
        elif file.gguf:
            found, note = _tokens(model, plan)
            fields |= found
            notes += note
        else:
            name = file.prefix(component) + "spiece_model"
            if len(file.plans) > 1:
                name = f"text_encoders.{SPIECES[component][0]}"
            tensors.append(_of_bytes(name, model))
    return tensors, fields, notes


def _tokens(model: bytes, plan: Plan) -> tuple[dict[str, Any], list[str]]:
    """A SentencePiece model as GGUF fields."""
    try:
        return spiece.from_model(model).fields(), []
    except ValueError as error:
        return {}, [f"{plan.source.name}: its tokenizer is not written ({error}); keep its files beside the new one"]


def _of_bytes(name: str, content: bytes) -> Outgoing:
    tensor = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    return Outgoing(name, torch.uint8, (len(content),), lambda: iter([tensor]))


def layout_of(file: File, tensors: Sequence[Outgoing], fields: Mapping[str, Any]) -> stream.Plan:
    """Where every byte of a file goes."""
    sources = json.dumps([newbie.__version__, *_facts(file.plans)])
    return (_gguf if file.gguf else _safetensors)(file, tensors, fields, sources)


def _facts(plans: Sequence[Plan]) -> Iterator[tuple[str, int, int]]:
    """What the sources are known by: names, sizes and times of change."""
    for plan in plans:
        for path in plan.index.files:
            stat = path.stat()
            yield path.name, stat.st_size, stat.st_mtime_ns


def _safetensors(file: File, tensors: Sequence[Outgoing], fields: Mapping[str, Any], sources: str) -> stream.Plan:
    pieces = {tensor.name: tensor.pieces for tensor in tensors}
    forms = {t.name: (t.form, t.shape) for t in tensors if isinstance(t.form, torch.dtype)}
    places = safetensors.arranged(forms)
    metadata = {"format": "pt"}
    for plan in file.plans:
        key = "config" if len(file.plans) == 1 else f"config.{plan.part.component}"
        metadata[key] = json.dumps(config_json(plan.part.component, plan.config), sort_keys=True)
    header = safetensors.header_bytes(places, metadata)
    base = len(header)
    parts = [stream.Part(p.name, base + p.start, base + p.stop, pieces[p.name]) for p in places]
    return stream.Plan(file.path, header, parts, sources)


def _gguf(file: File, tensors: Sequence[Outgoing], fields: Mapping[str, Any], sources: str) -> stream.Plan:
    (plan,) = file.plans
    component = plan.part.component
    numbers: Counter[str] = Counter()
    for tensor in tensors:
        numbers[tensor.spelled] += math.prod(tensor.shape)
    most = max(numbers, key=lambda form: numbers[form], default="")
    said = {
        reading.ARCHITECTURE: _ARCHITECTURES[component],
        "general.quantization_version": 2,
        "general.file_type": gguf.file_type(most),
        reading.CONFIG: json.dumps(config_json(component, plan.config), sort_keys=True),
        **(_gemma_fields(plan) if component == "text_encoder" else {}),
        **fields,
    }
    places, end = [], 0
    for tensor in tensors:
        places.append((tensor.name, tensor.form, tensor.shape, end))
        end = gguf.aligned(end + tensor.nbytes)
    header = gguf.header_bytes(said, places)
    base = len(header)
    parts = [
        stream.Part(tensor.name, base + at, base + at + tensor.nbytes, tensor.pieces)
        for tensor, (*_, at) in zip(tensors, places, strict=True)
    ]
    return stream.Plan(file.path, header, parts, sources)


def _gemma_fields(plan: Plan) -> dict[str, Any]:
    """Gemma's sizes as llama.cpp calls them; layers are counted as they are in the file."""
    there = {name.split(".")[1] for name in (*plan.recipes, *plan.extras) if name.startswith("layers.")}
    return {
        **{field: getattr(plan.config, name) for name, field in reading.GEMMA_FIELDS.items()},
        "gemma3.block_count": len(there),
        "gemma3.context_length": 131_072,
        "gemma3.attention.value_length": plan.config.head_dim,
        "gemma3.rope.scaling.type": "linear",
    }
