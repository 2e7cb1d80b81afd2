"""Adapters onto a transformer, and off again. The transformer that is given is never changed: one that wears adapters
is another network, made of the same weights. Taking an adapter off is going back to the first one, bit for bit.

`attach` computes each adapter beside its layer, W x + s (scale B A) x: any base, compressed ones too, any strength, and
small differences keep their precision. `merge` adds it to a copy of the weights, W + s (scale B A): nothing to compute
any more, but rounded to the weights' format, which in bfloat16 loses differences below 1/256 of a weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor, nn

from newbie.checkpoints.load import is_finite
from newbie.errors import UsageError, WeightsError
from newbie.lora.build import Patch
from newbie.lora.read import Adapter
from newbie.model.adapted import AdaptedLinear, Branch, width
from newbie.model.nextdit import NextDiT
from newbie.model.swap import twin, with_modules


class Worn(NamedTuple):
    """An adapter and how strongly it is applied: 1 as trained, 0 not at all, below 0 the opposite."""

    adapter: Adapter
    strength: float = 1.0


class _Layer(NamedTuple):
    """What all adapters do to one linear layer."""

    base: nn.Module
    patches: list[tuple[Patch, float]]


def attach(model: NextDiT, worn: Sequence[Worn]) -> NextDiT:
    """The same transformer with these adapters computed beside its layers.

    Raises:
        UsageError: it wears adapters already.
        WeightsError: an adapter's numbers are too large for the transformer's number format.
    """
    replaced: dict[str, nn.Module] = {}
    for path, layer in _layers(model, worn).items():
        place = _place(layer.base)
        replaced[path] = AdaptedLinear(
            layer.base, [_branch(patch, strength, place, model.dtype) for patch, strength in layer.patches]
        )
    return with_modules(model, replaced | _shifted(model, worn, replaced))


def merge(model: NextDiT, worn: Sequence[Worn]) -> NextDiT:
    """The same transformer with these adapters added to copies of the matrices that they change.

    Sums are made in float32 and rounded once. A layer whose weights are compressed becomes a plain one.

    Raises:
        UsageError: it wears adapters already.
        WeightsError: sums are too large for the transformer's number format.
    """
    replaced: dict[str, nn.Module] = {}
    for path, layer in _layers(model, worn).items():
        replaced[path] = _merged(path, layer, model.dtype)
    return with_modules(model, replaced | _shifted(model, worn, replaced))


def _layers(model: NextDiT, worn: Iterable[Worn]) -> dict[str, _Layer]:
    if any(isinstance(module, AdaptedLinear) for module in model.modules()):
        raise UsageError("the transformer wears adapters already", "give all of them at once, to the bare one")
    layers: dict[str, _Layer] = {}
    for adapter, strength in worn:
        for patch in adapter.patches if strength else ():
            layer = layers.setdefault(patch.module, _Layer(model.get_submodule(patch.module), []))
            layer.patches.append((patch, strength))
    return layers


def _branch(patch: Patch, strength: float, place: torch.device, dtype: torch.dtype) -> Branch:
    delta = patch.delta.scaled(strength).to(place, dtype)
    for numbers in delta.buffers():
        _require_finite(numbers, patch.module)
    return Branch(delta, patch.start, patch.stop)


def _require_finite(numbers: Tensor, name: str) -> None:
    if not is_finite(numbers):
        raise WeightsError(
            f"the adapter of {name} has numbers too large for {str(numbers.dtype).removeprefix('torch.')}",
            "use --dtype bf16 or --dtype float32, or a smaller strength",
        )


def _merged(path: str, layer: _Layer, dtype: torch.dtype) -> nn.Linear:
    base = layer.base
    whole = dense(base).float().clone()
    for patch, strength in layer.patches:
        whole[patch.start : patch.stop] += strength * patch.delta.dense().to(whole.device)
    columns, rows = width(base)
    bias = getattr(base, "bias", None)
    with torch.device("meta"):
        new = nn.Linear(columns, rows, bias=bias is not None)
    new.weight = nn.Parameter(whole.to(dtype), requires_grad=False)
    _require_finite(new.weight, path)
    if bias is not None:
        new.bias = bias
    return new


def dense(linear: nn.Module) -> Tensor:
    """The matrix (out, in) of a linear layer of any kind; of a compressed one, decoded.

    Raises:
        UsageError: it cannot be decoded.
    """
    if isinstance(linear, nn.Linear):
        return linear.weight.detach()
    decode = getattr(linear, "dense", None)
    if decode is None:
        raise UsageError(f"adapters cannot be merged into a {type(linear).__name__}", "attach them instead")
    matrix = decode()
    assert isinstance(matrix, Tensor)
    return matrix


def _shifted(model: NextDiT, worn: Iterable[Worn], replaced: dict[str, nn.Module]) -> dict[str, nn.Module]:
    """Modules whose norm weights or biases differ: twins with parameters of their own."""
    sums: dict[str, Tensor] = {}
    for adapter, strength in worn:
        for name, difference in adapter.shifts if strength else ():
            if name not in sums:
                sums[name] = model.get_parameter(name).detach().float()
            sums[name] = sums[name] + strength * difference.to(sums[name].device, torch.float32)
    new: dict[str, nn.Module] = {}
    for name, numbers in sums.items():
        path, _, leaf = name.rpartition(".")
        parameter = nn.Parameter(numbers.to(model.get_parameter(name).dtype), requires_grad=False)
        _require_finite(parameter, name)
        module = replaced.get(path)
        if isinstance(module, AdaptedLinear):
            module.base = twin(module.base)
            module.base.register_parameter(leaf, parameter)
            continue
        new.setdefault(path, module if module is not None else twin(model.get_submodule(path)))
        new[path].register_parameter(leaf, parameter)
    return new


def _place(base: nn.Module) -> torch.device:
    return next(chain(base.parameters(), base.buffers())).device
