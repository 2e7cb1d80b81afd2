"""A network's linear layers in fewer bits: rounded to nearest, or fitted to the inputs that a calibration saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from newbie.calibrate.watch import watched
from newbie.model.swap import with_modules
from newbie.quant.choice import Rule
from newbie.quant.codec import Codec, dense, encoded
from newbie.quant.fit import fit, output_error, without_factors
from newbie.quant.four_bit import FourBit
from newbie.quant.inputs import Inputs
from newbie.quant.layers import CompressedLinear, compressed
from newbie.quant.schemes import scheme


class Layer(NamedTuple):
    """What became of one layer. Errors are relative; that of the output is nan where no input was seen."""

    path: str
    codec: str
    before: int  # bytes
    after: int
    weights: float
    output: float


@dataclass(frozen=True)
class Quantised:
    """A network with compressed layers, and what that did to each of them. The one it was made of is as it was."""

    network: nn.Module
    layers: tuple[Layer, ...]
    before: int  # bytes of all weights
    after: int

    def as_json(self) -> dict[str, Any]:
        """Sizes and errors; the layers as lists."""
        layers = [layer._asdict() for layer in self.layers]
        return {"bytes before": self.before, "bytes after": self.after, "layers": layers}


def quantise(
    network: nn.Module,
    rule: Rule,
    run: Callable[[nn.Module], None] | None = None,
    *,
    rounding: str = "nearest",
    dtype: torch.dtype | None = None,
    on_layer: Callable[[Layer], None] | None = None,
) -> Quantised:
    """A network under a rule. `run` draws pictures with a network that is given to it: the calibration.

    Without `run` every scheme rounds to nearest without having seen an input. Bytes are counted as if what is not
    quantised were in `dtype`; None: as it is.
    """
    kind = scheme(rule.scheme)
    codecs = rule.layers(network)
    tell = on_layer or (lambda layer: None)
    made: dict[str, nn.Module] = {}
    told: list[Layer] = []

    def add(path: str, inputs: Inputs | None) -> None:
        linear = network.get_submodule(path)
        assert isinstance(linear, nn.Linear)
        codec = codecs[path] if inputs is None else kind.calibrated or kind.codec
        made[path], layer = _layer(path, linear, codec, inputs, rounding)
        told.append(layer)
        tell(layer)

    if run is not None:
        for portion in watched(network, list(codecs), run):
            for path, inputs in portion.items():
                add(path, inputs)
    for path in codecs:
        if path not in made:  # never reached while pictures were drawn
            add(path, None)
    result = with_modules(network, made)
    order = {path: i for i, path in enumerate(codecs)}
    told.sort(key=lambda layer: order[layer.path])
    return Quantised(result, tuple(told), weight_bytes(network, dtype), weight_bytes(result, dtype))


def weight_bytes(network: nn.Module, dtype: torch.dtype | None = None) -> int:
    """Of parameters, in `dtype` where it is given, and of what is stored in fewer bits."""
    parameters = sum(each.numel() * (dtype or each.dtype).itemsize for each in network.parameters())
    return parameters + sum(buffer.nbytes for buffer in network.buffers())


def _layer(
    path: str, linear: nn.Linear, codec: Codec, inputs: Inputs | None, rounding: str
) -> tuple[CompressedLinear, Layer]:
    matrix = linear.weight.detach().float()
    if isinstance(codec, FourBit) and inputs is not None:
        stored: Mapping[str, Tensor] = fit(matrix, inputs, codec, rounding).stored
        codec, stored = without_factors(codec, dict(stored))
    else:
        stored = encoded(codec, matrix)
    layer = compressed(linear, codec, linear.weight.dtype)
    assert isinstance(layer, CompressedLinear)
    for name, tensor in stored.items():
        layer.register_buffer(name, tensor)
    layer.bias = linear.bias
    weights = float((dense(codec, stored, torch.float32) - matrix).norm() / matrix.norm().clamp_min(1e-30))
    output = float("nan") if inputs is None else output_error(codec, stored, inputs.sample, inputs.sample @ matrix.T)
    return layer.eval(), Layer(path, codec.name, linear.weight.nbytes, layer.stored_bytes, weights, output)
