"""Weights into networks: built without memory, then each tensor read, converted, cast and put in its place.

Our parameter names are the official ones; everything else goes through a table. One tensor is in flight at a
time, so a load needs the memory of the model plus its largest tensor. Matrices that a file holds in fewer bits stay so,
in layers that decode them on use, unless `decode` is asked for. Every load leaves a report.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypedDict, TypeVar, Unpack

import torch
from torch import Tensor, nn

from newbie.checkpoints import tokenizer_files
from newbie.checkpoints.index import Entry, Packed
from newbie.checkpoints.layouts import SPOKEN, Component
from newbie.checkpoints.plan import Plan, plan_load
from newbie.checkpoints.report import LoadReport
from newbie.checkpoints.source import Source, find
from newbie.checkpoints.translate import Recipe
from newbie.devices import is_shortage
from newbie.errors import MemoryShortage, WeightsError
from newbie.model.config import NextDiTConfig
from newbie.model.nextdit import NextDiT
from newbie.model.swap import with_modules
from newbie.quant.choice import Rule
from newbie.quant.codec import dense, encoded
from newbie.quant.fp8 import FORMATS
from newbie.quant.layers import compressed
from newbie.text.gemma import GemmaConfig
from newbie.text.jina import JinaConfig, JinaTextTower
from newbie.text.tokens import SPIECE_NAMES, Kind, Tokenizer
from newbie.vae import Autoencoder, AutoencoderConfig

M = TypeVar("M", bound=nn.Module)
C = TypeVar("C")
Weights = Source | Path | str | Sequence[Path | str]  # a source, a file, a folder, or several files


@dataclass(frozen=True)
class Loaded(Generic[M, C]):
    """A network with its weights, its configuration, and what was found in the file."""

    module: M
    config: C
    report: LoadReport
    own_tokenizer: Tokenizer | None = None

    @property
    def tokenizer(self) -> Tokenizer:
        """A text encoder's tokenizer. Raises WeightsError where none was loaded."""
        if self.own_tokenizer is None:
            raise WeightsError(f"{self.report.source}: was loaded without a tokenizer", "load it with tokenizer=True")
        return self.own_tokenizer


class How(TypedDict, total=False):
    """How weights are loaded. What is left out: on the CPU, in float32, no pickles, what is compressed stays so."""

    device: torch.device | str
    dtype: torch.dtype
    config: Mapping[str, Any] | None  # keys of config.json; they go before what is written beside the weights
    allow_pickle: bool
    decode: bool  # matrices in fewer bits become plain ones


class HowRounded(How, total=False):
    """… and which linear layers to keep in fewer bits; what the file already has so stays as it is."""

    quant: Rule | None


def load_transformer(weights: Weights, **how: Unpack[HowRounded]) -> Loaded[NextDiT, NextDiTConfig]:
    """Load a Next-DiT.

    Raises:
        WeightsError: damaged, incomplete, of another kind, or not finite; names the file or the tensor.
        MemoryShortage: the device is full.
    """
    return _load("transformer", weights, **how)


def load_vae(weights: Weights, **how: Unpack[How]) -> Loaded[Autoencoder, AutoencoderConfig]:
    """Load an autoencoder; see `load_transformer`."""
    return _load("vae", weights, **how)


def load_gemma(
    weights: Weights, *, tokenizer: bool = True, **how: Unpack[HowRounded]
) -> Loaded[nn.Module, GemmaConfig]:
    """Load the text part of a Gemma 3 without its last layer, and its tokenizer unless that is not wanted."""
    return _load("text_encoder", weights, tokenizer=tokenizer, **how)


def load_jina(
    weights: Weights, *, tokenizer: bool = True, **how: Unpack[HowRounded]
) -> Loaded[JinaTextTower, JinaConfig]:
    """Load the text tower of a Jina CLIP v2, and its tokenizer unless that is not wanted."""
    return _load("clip", weights, tokenizer=tokenizer, **how)


def _load(
    component: Component,
    weights: Weights,
    *,
    tokenizer: bool = False,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    config: Mapping[str, Any] | None = None,
    allow_pickle: bool = False,
    decode: bool = False,
    quant: Rule | None = None,
) -> Loaded[Any, Any]:
    plan = plan_load(_source(component, weights, config, allow_pickle), decode=decode, quant=quant)
    found = find_tokenizer(plan, tokenizer_files.KINDS[component]) if tokenizer else None  # before the long part
    module = fill(plan, device, dtype)
    # The layers of other packages come last, if those were asked for.
    return Loaded(module if quant is None else quant.welcome(module), plan.config, plan.report, found)


def fill(plan: Plan, device: torch.device | str, dtype: torch.dtype) -> nn.Module:
    """Read every tensor of a plan into its module, which is then ready to run, without gradients.

    Raises:
        WeightsError: incomplete, or a tensor with NaN or infinity; names it.
        MemoryShortage: the device is full.
    """
    module = furnished(plan, dtype)
    fetch(plan, module, list(plan.module.state_dict()), device, dtype)
    return module


def furnished(plan: Plan, dtype: torch.dtype) -> nn.Module:
    """The network of a plan as it will be, still without memory, with layers that keep their weights in fewer bits.

    Raises:
        WeightsError: the file is incomplete; says what is missing.
    """
    plan.report.require_complete()
    layers: dict[str, nn.Module] = {}
    codecs = {name: packed.codec for name, packed in plan.compressed.items()} | plan.quantised
    for name, codec in codecs.items():
        codec.require()
        path = name.removesuffix(".weight")
        layer = compressed(plan.module.get_submodule(path), codec, dtype)
        assert layer is not None  # the plan chose linear layers and embeddings
        layers[path] = layer
    return (with_modules(plan.module, layers) if layers else plan.module).eval()


def fetch(plan: Plan, module: nn.Module, names: Iterable[str], device: torch.device | str, dtype: torch.dtype) -> None:
    """Read the tensors of some names of the plan's network into `module`, which is `furnished`; one at a time.

    Raises:
        WeightsError, MemoryShortage: as `fill`.
    """
    target = torch.device(device)
    try:
        for name in names:
            for place, tensor in read(plan, name, target, dtype).items():
                put(module, place, tensor)
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_shortage(error):
            raise
        raise MemoryShortage(
            f"{plan.source.name}: no room on {target} for the {SPOKEN[plan.part.component]} "
            f"({sum(t.numel() for t in plan.module.state_dict().values()) * dtype.itemsize / 2**30:.1f} GiB)",
            "close other programs, or use --dtype bf16 or --memory auto",
        ) from error


def read(plan: Plan, name: str, device: torch.device, dtype: torch.dtype, *, look: bool = True) -> dict[str, Tensor]:
    """What the network holds for one name of a plan, by the names of its own tensors, on the device.

    Mostly one tensor; for a matrix in fewer bits those that its codec stores. `look`: refuse NaN and infinity.
    """
    path = name.removesuffix(".weight")
    recipe = plan.recipes.get(name)
    if name in plan.compressed:
        packed = plan.compressed[name]
        stored = _kept(packed, device, dtype) if look else packed.read(device)
        if look and _is_mapped_table(plan, name, next(iter(packed.parts.values())), device):
            stored = packed.read(device)
        return {f"{path}.{each}": tensor for each, tensor in stored.items()}
    if recipe is None:
        empty = plan.module.state_dict()[name]
        return {name: torch.ones(empty.shape, device=device, dtype=dtype if empty.is_floating_point() else empty.dtype)}
    if name in plan.quantised:
        return {f"{path}.{each}": tensor for each, tensor in _quantised(plan, recipe, device, dtype).items()}
    tensor = _fetch(recipe, device, dtype)
    tensor = tensor.to(device, dtype if tensor.is_floating_point() else tensor.dtype).contiguous()
    if look:
        require_finite(tensor, plan, recipe)
        if stays_mapped(recipe, device, dtype) and _is_mapped_table(plan, name, recipe.entries[0], device):
            tensor = _fetch(recipe, device, dtype)
    return {name: tensor}


def _is_mapped_table(plan: Plan, name: str, entry: Entry, device: torch.device) -> bool:
    """Whether only a few rows of it will ever be used where it lies in its file.

    To look at all its numbers brings all its pages into memory. They go with the mapping through which it was looked
    at, so it is mapped anew for use: of the published Gemma's table that is 1.3 GB.
    """
    mapped = entry.view is not None and device.type == "cpu"
    return mapped and isinstance(plan.module.get_submodule(name.rpartition(".")[0]), nn.Embedding)


def _kept(packed: Packed, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """What is stored for one matrix, after a look at its numbers."""
    stored = packed.read(device)
    entry = next(iter(packed.parts.values()))
    found = packed.codec.problem(stored)
    if found:
        raise WeightsError(
            f"{entry.file.name}: tensor {entry.name} contains {found}", "the file is damaged; download it again"
        )
    if dtype == torch.float16 and not is_finite(dense(packed.codec, stored, dtype)):
        raise WeightsError(
            f"{entry.file.name}: tensor {entry.name} has numbers too large for float16", "use --dtype bf16 or float32"
        )
    return stored


def _quantised(plan: Plan, recipe: Recipe, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """Read one matrix and round it. Of the matrix nothing stays."""
    matrix = recipe.read().to(device)
    require_finite(matrix, plan, recipe)
    codec = plan.quantised[recipe.name]
    stored = encoded(codec, matrix)
    if dtype == torch.float16 and not is_finite(dense(codec, stored, dtype)):
        raise WeightsError(f"tensor {recipe.name} has numbers too large for float16", "use --dtype bf16 or float32")
    return stored


def is_finite(tensor: Tensor) -> bool:
    """Whether no number is NaN or infinite. One pass: the extremes of a tensor show both."""
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    low, high = torch.aminmax(tensor.float() if tensor.dtype in FORMATS else tensor)
    return bool(torch.isfinite(low) & torch.isfinite(high))


def require_finite(tensor: Tensor, plan: Plan, recipe: Recipe) -> None:
    """Raise WeightsError when a tensor cannot be computed with; tells a damaged file from a narrow number format."""
    if is_finite(tensor):
        return
    name, file = recipe.entries[0].name, recipe.entries[0].file.name
    if is_finite(recipe.read()):
        raise WeightsError(
            f"{file}: tensor {name} has numbers too large for {str(tensor.dtype).removeprefix('torch.')}",
            "use --dtype bf16 or --dtype float32",
        )
    raise WeightsError(f"{file}: tensor {name} contains NaN or infinity", "the file is damaged; download it again")


def find_tokenizer(plan: Plan, kind: Kind) -> Tokenizer:
    """The tokenizer embedded in the weights, else the one in their folder or in a tokenizer folder beside it.

    Raises:
        WeightsError: there is none.
    """
    data = tokenizer_files.embedded(plan)
    if data is not None:
        return Tokenizer.from_spiece(data, kind, name=f"{plan.source.name}: its own tokenizer")
    place = tokenizer_files.folder(plan.source)
    if place is not None:
        return Tokenizer.from_folder(place, kind)
    folder = plan.source.folder
    raise WeightsError(
        f"{plan.source.name}: no tokenizer for the {SPOKEN[plan.part.component]} in the file or in {folder}",
        f"put tokenizer.json (or {SPIECE_NAMES[0]}) of the original model there, or name one that has it with --model",
    )


def _fetch(recipe: Recipe, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The tensor as stored; left in the file's mapping where it can be used as it is."""
    view = recipe.entries[0].view
    return view() if view is not None and stays_mapped(recipe, device, dtype) else recipe.read()


def stays_mapped(recipe: Recipe, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether a tensor is used where it lies in its file, without a copy."""
    entry = recipe.entries[0]
    return not recipe.how and entry.view is not None and device.type == "cpu" and entry.dtype == dtype


def put(module: nn.Module, name: str, tensor: Tensor) -> None:
    """Let `tensor` be the parameter or buffer `name` of a module below `module`, whatever was there."""
    parent, _, leaf = name.rpartition(".")
    owner = module.get_submodule(parent)
    if leaf in owner._parameters:
        owner.register_parameter(leaf, nn.Parameter(tensor, requires_grad=False))
    else:
        owner.register_buffer(leaf, tensor)


def _source(component: Component, weights: Weights, config: Mapping[str, Any] | None, allow_pickle: bool) -> Source:
    if isinstance(weights, Source):
        if weights.component != component:
            raise WeightsError(
                f"{weights.name}: is the {SPOKEN[weights.component]}, not the {SPOKEN[component]}", "pass the other"
            )
        return dataclasses.replace(weights, config={**weights.config, **(config or {})})
    where = Path(weights) if isinstance(weights, str | Path) else [Path(path) for path in weights]
    return find(component, where, allow_pickle=allow_pickle, config=config)
