"""An adapter file, or the folder a trainer writes, into differences of the modules of one transformer.

Everything is checked before anything is worn: halves that are missing, shapes and ranks that do not fit, NaN. What the
transformer has no place for is listed; where it has a place for nothing, the file is for another model and refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from newbie.checkpoints.hashes import file_hash
from newbie.checkpoints.index import Index
from newbie.checkpoints.layouts import SPOKEN, recognise
from newbie.checkpoints.readers import SUFFIXES, open_weights
from newbie.checkpoints.report import listed
from newbie.checkpoints.shards import read_json
from newbie.checkpoints.source import flag
from newbie.errors import WeightsError
from newbie.lora import scales
from newbie.lora.build import Builder, Group, Patch, Shift, spoken
from newbie.lora.names import FOREIGN, Target, parse_key, resolve, targets
from newbie.lora.report import AdapterReport
from newbie.model.nextdit import NextDiT

STEMS = ("adapter_model", "pytorch_lora_weights")  # what trainers call the file in a folder
# Names that give away whose adapter it is.
_OTHERS = {
    "down_blocks": "Stable Diffusion",
    "input_blocks": "Stable Diffusion",
    "double_blocks": "FLUX",
    "single_transformer_blocks": "FLUX or Qwen-Image",
    "transformer_blocks": "another diffusers transformer",
    "joint_blocks": "Stable Diffusion 3",
    "self_attn": "a language model",
    "lora_te": "a text encoder",
}


@dataclass(frozen=True, eq=False)
class Adapter:
    """A file's differences, as stored, on the CPU; `sha256` is that of the file, by which people look adapters up."""

    name: str
    sha256: str
    patches: tuple[Patch, ...]
    shifts: tuple[Shift, ...]
    report: AdapterReport
    config_sha256: str = ""  # of the adapter_config.json that was read with it


def read_adapter(
    path: Path | str, model: NextDiT, *, config: Mapping[str, Any] | None = None, allow_pickle: bool = False
) -> Adapter:
    """Read an adapter for this transformer (without adapters, on any device; its weights are not looked at).

    `config` stands for the adapter_config.json beside the weights.

    Raises:
        WeightsError: damaged, of another model or method, incomplete, or shapes that do not fit; names the module.
    """
    file, settings = _locate(Path(path).expanduser(), allow_pickle)
    index = open_weights(file, allow_pickle=allow_pickle)
    name = file.parent.resolve().name if file.stem in STEMS else file.name
    said = read_json(settings) if config is None and settings is not None else config
    scaling = scales.from_metadata(index.metadata, name) if said is None else scales.from_config(said, name)
    groups, unmatched, spelling = _grouped(index, model, name)
    builder = Builder(model, name, scaling)
    for target, group in groups.items():
        builder.add(target, group)
    report = builder.report(spelling, sum(map(len, groups.values())), unmatched)
    used = file_hash(settings) if config is None and settings is not None else ""
    return Adapter(name, file_hash(file), tuple(builder.patches), tuple(builder.shifts), report, used)


def _locate(path: Path, allow_pickle: bool) -> tuple[Path, Path | None]:
    """The weights, and the settings that belong to them."""
    if not path.is_dir():
        beside = path.with_name(scales.CONFIG)
        return path, beside if path.stem in STEMS and beside.is_file() else None
    suffixes = SUFFIXES if allow_pickle else SUFFIXES[:1]
    files = sorted(p for p in path.iterdir() if p.suffix.lower() in suffixes)
    standard = [file for stem in STEMS for file in files if file.stem == stem]
    if not standard and len(files) != 1:
        names = f"several files: {listed([p.name for p in files])}" if files else "no .safetensors file"
        raise WeightsError(f"{path}: holds {names}", f"name the file; trainers write {STEMS[0]}.safetensors")
    settings = path / scales.CONFIG
    return (standard or files)[0], settings if settings.is_file() else None


def _grouped(index: Index, model: NextDiT, name: str) -> tuple[dict[Target, Group], list[str], str]:
    """The entries of each target by their roles, the keys without a target, and whose spelling it is."""
    table = targets(model)
    groups: dict[Target, Group] = {}
    unmatched: list[str] = []
    adapters: set[str] = set()
    spellings: dict[str, None] = {}
    known = False
    for key, entry in index.entries.items():
        foreign = next((method for part, method in FOREIGN.items() if part in key), None)
        if foreign:
            raise WeightsError(f"{name}: {key} is part of a {foreign} adapter", "LoRA and LoKr are supported")
        parsed = parse_key(key)
        known = known or parsed is not None
        target, spelling = (None, "") if parsed is None else resolve(parsed.stem, table)
        if parsed is None or target is None:
            unmatched.append(key)
            continue
        if parsed.role in groups.setdefault(target, {}):
            raise WeightsError(
                f"{name}: {spoken(target)} has {parsed.role} twice: {groups[target][parsed.role].name} and {key}",
                "the file mixes two adapters or two spellings; save one of them",
            )
        groups[target][parsed.role] = entry
        adapters |= {parsed.adapter} if parsed.role in ("up", "down") else set()
        spellings[spelling or "plain"] = None
    if len(adapters) > 1:
        raise WeightsError(f"{name}: holds several adapters: {listed(sorted(adapters))}", "save one of them by itself")
    if not groups:
        raise _nothing_fits(index, name, known)
    return groups, unmatched, " and ".join(spellings)


def _nothing_fits(index: Index, name: str, known: bool) -> WeightsError:
    parts = recognise(index.shapes, name)
    if parts:
        held = parts[0].component
        return WeightsError(f"{name}: is the {SPOKEN[held]} itself, not an adapter", f"name it with {flag(held)}")
    if not known:
        return WeightsError(f"{name}: none of its {len(index)} tensors is part of a LoRA or LoKr", "check the file")
    origin = next((whose for part, whose in _OTHERS.items() if any(part in key for key in index)), "")
    return WeightsError(
        f"{name}: is an adapter for another model{f' ({origin})' if origin else ''}: none of its {len(index)} keys "
        f"speaks of a module of this transformer (first: {next(iter(index))})",
        "adapters fit only the architecture that they were trained on",
    )
