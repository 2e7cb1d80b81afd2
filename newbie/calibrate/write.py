"""A model folder with quantised networks, read back as soon as it is written."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from newbie.checkpoints import Components, tokenizer_files
from newbie.checkpoints.convert import beside, convert
from newbie.checkpoints.header import open_safetensors
from newbie.checkpoints.index import Index
from newbie.checkpoints.plan import Plan, plan_load
from newbie.checkpoints.save import save_quantised, state_as_saved
from newbie.checkpoints.targets import File, files
from newbie.errors import OutputError, UsageError
from newbie.memory.amount import told
from newbie.quant.choice import Choice, Rule, codec_bytes
from newbie.quant.schemes import scheme


def write(parts: Components, place: Path, goal: Path, networks: Mapping[str, nn.Module], *, overwrite: bool) -> None:
    """Write the model `parts`, found at `place`, once more, with these networks in the place of its own.

    What is not quantised keeps the number format of its file.

    Raises:
        UsageError: there is something already.
        OutputError: it could not be written, or does not read back as it was.
    """
    targets = require_free(parts, goal, overwrite=overwrite)
    for file in targets:
        (plan,) = file.plans
        component = plan.part.component
        if component not in networks:
            source = plan.source.files[0] if len(plan.source.files) == 1 else plan.source.folder
            convert(source, goal, parts=[component], overwrite=overwrite, allow_pickle=plan.source.allow_pickle)
            continue
        dtype = file_dtype(plan.index)
        save_quantised(file.path, networks[component], component, plan.config, dtype=dtype)
        _check(file.path, networks[component], dtype)
    beside(goal, place, targets)


def require_free(parts: Components, goal: Path, *, overwrite: bool) -> list[File]:
    """The files that will be written. Raises UsageError when one of them is there and not to be replaced."""
    targets = files(goal, [plan_load(source) for source in parts.sources().values()])
    there = [file.path for file in targets if file.path.exists()]
    if there and not overwrite:
        raise UsageError(f"{there[0]} is there already", "--overwrite replaces it, also where a run was killed")
    return targets


def require_room(targets: Sequence[File], goal: Path, choice: Choice, *, calibrated: bool) -> None:
    """Raise OutputError where what `write` will write has no room, or the place cannot be written to."""
    place = next(each for each in (goal.absolute(), *goal.absolute().parents) if each.exists())
    if not place.is_dir():
        raise OutputError(f"{place}: is a file, where a folder is needed", "name another folder with --out")
    try:
        with tempfile.TemporaryFile(dir=place):
            free = shutil.disk_usage(place).free
    except OSError as error:
        raise OutputError(f"{place}: cannot be written to ({error})", "name another folder with --out") from error
    needed = room(targets, choice, calibrated=calibrated)
    if needed > free:
        raise OutputError(
            f"{goal}: needs {told(needed)}, the disk has {told(free)} free",
            f"make room for {told(needed - free)} more, or name a folder on another disk with --out",
        )


def room(targets: Sequence[File], choice: Choice, *, calibrated: bool) -> int:
    """Bytes of disk that `write` takes at most: a file that is replaced stays until the new one is whole."""
    taken = most = 0
    for file in targets:
        (plan,) = file.plans
        taken += _bytes(plan, choice.rule(plan.part.component), calibrated=calibrated)
        taken += sum(path.stat().st_size for path in tokenizer_files.files(plan))
        most = max(most, taken)
        taken -= file.path.stat().st_size if file.path.exists() else 0
    return most


def _bytes(plan: Plan, rule: Rule | None, *, calibrated: bool) -> int:
    """Of the weights of one part, before they are quantised."""
    if rule is None:
        return sum(plan.index[name].nbytes for name in plan.index)
    kind, dtype = scheme(rule.scheme), file_dtype(plan.index)
    codec = (kind.calibrated or kind.codec) if calibrated else kind.codec
    sizes = 0
    layers = {f"{path}.weight" for path in rule.layers(plan.module)}
    for name, tensor in plan.module.state_dict().items():
        if name in layers:
            sizes += codec_bytes(codec, *tensor.shape)
        else:
            sizes += tensor.numel() * (dtype if dtype and tensor.is_floating_point() else tensor.dtype).itemsize
    return sizes


def file_dtype(index: Index) -> torch.dtype | None:
    """The plain number format that most of a file is in; None where it has none."""
    named = {str(each).removeprefix("torch."): each for each in (torch.float32, torch.float16, torch.bfloat16)}
    return next((named[name] for name in index.dtypes if name in named), None)


def _check(path: Path, network: nn.Module, dtype: torch.dtype | None) -> None:
    """Raise OutputError unless every tensor of the file has the bits it was written with."""
    index = open_safetensors(path)
    state = state_as_saved(network, dtype)
    for name, tensor in state.items():
        if name not in index or not torch.equal(_bits(index[name].read()), _bits(tensor)):
            raise OutputError(f"{path}: {name} does not read back as it was written", "look at the disk")


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous().view(torch.uint8)
