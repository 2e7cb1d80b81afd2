"""The accounting of weights against the tensors of loaded networks."""

from __future__ import annotations

import pytest
import torch

from newbie.bench.memory import peak_bytes
from newbie.checkpoints import places
from newbie.checkpoints.load import fetch, fill, furnished, read
from newbie.checkpoints.plan import plan_load
from newbie.memory.weights import Weights, joint_blocks
from newbie.quant.choice import SKIP, Rule

CPU = torch.device("cpu")
COMPONENTS = ("transformer", "text_encoder", "clip", "vae")


def held(module: torch.nn.Module) -> int:
    tensors = [*module.parameters(), *module.buffers()]
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("component", COMPONENTS)
def test_what_is_counted_is_what_is_held_to_the_byte(parts, component, dtype):
    plan = plan_load(parts.sources()[component])
    counted = Weights.of(plan, CPU, dtype)
    assert counted.bytes == counted.own == held(fill(plan, CPU, dtype))


@pytest.mark.parametrize("scheme", ["w8a8", "int8", "nf4", "int4", "svdquant", "fp8"])
def test_fewer_bits_are_counted_as_they_are_stored(parts, scheme):
    rest = [f"layers.{n}." for n in range(1, 7)]  # stay as they are: one block and the refiners tell as much as all
    plan = plan_load(parts.transformer, quant=Rule(scheme, (*SKIP, *rest)))
    counted = Weights.of(plan, CPU, torch.bfloat16)
    assert counted.own == held(fill(plan, CPU, torch.bfloat16))
    assert counted.bytes < Weights.of(plan_load(parts.transformer), CPU, torch.bfloat16).bytes


@pytest.mark.parametrize("scheme", ["", "w8a8", "int8", "nf4", "int4", "svdquant", "fp8"])
def test_loading_a_matrix_takes_no_more_than_is_counted(parts, scheme):
    plan = plan_load(parts.transformer, quant=Rule(scheme) if scheme else None)
    piece = max(Weights.of(plan, CPU, torch.bfloat16).pieces, key=lambda piece: piece.bytes)
    taken = peak_bytes(lambda: read(plan, piece.name, CPU, torch.bfloat16), CPU)
    assert taken <= piece.bytes + piece.passing + 2**12  # and a few numbers


def test_rounding_a_matrix_takes_little_beside_it(parts, monkeypatch):
    monkeypatch.setattr("newbie.quant.codec.ROUNDED", 2**12)
    monkeypatch.setattr("newbie.memory.weights.ROUNDED", 2**12)
    plan = plan_load(parts.transformer, quant=Rule("nf4"))
    piece = max(Weights.of(plan, CPU, torch.bfloat16).pieces, key=lambda piece: piece.bytes * (piece.passing > 0))
    stored = plan.recipes[piece.name].entries[0].nbytes
    taken = peak_bytes(lambda: read(plan, piece.name, CPU, torch.bfloat16), CPU)
    assert stored < taken <= piece.bytes + piece.passing + 2**12 < 2 * stored


def test_what_lies_in_the_file_is_counted_apart(parts, monkeypatch):
    monkeypatch.setattr(places, "MAP_FROM", 0)
    monkeypatch.setattr(places, "MAP_TENSOR_FROM", 2**16)
    plan = plan_load(parts.text_encoder)
    stored = next(iter(plan.recipes.values())).entries[0].dtype
    counted = Weights.of(plan, CPU, stored)
    module = fill(plan, CPU, stored)
    own = [t for t in module.state_dict().values() if t.nbytes < 2**16]
    assert counted.mapped > 0 and counted.own == sum(t.nbytes for t in own)
    assert counted.bytes == sum(t.nbytes for t in module.state_dict().values())
    assert counted.touched < counted.bytes  # the table of the vocabulary


def test_blocks_are_all_alike_and_leave_their_modulation_out(parts):
    plan = plan_load(parts.transformer)
    blocks = joint_blocks(plan)
    assert len(blocks) == plan.config.n_layers
    sizes = {Weights.of(plan, CPU, torch.float32).only(block).bytes for block in blocks}
    assert len(sizes) == 1
    assert not any("adaLN" in name for block in blocks for name in block)


def test_a_network_can_be_filled_in_parts(parts):
    plan, whole = plan_load(parts.transformer), fill(plan_load(parts.transformer), CPU, torch.float32)
    module = furnished(plan, torch.float32)
    first = joint_blocks(plan)[0]
    fetch(plan, module, first, CPU, torch.float32)
    there = {name for name, tensor in module.state_dict().items() if tensor.device.type != "meta"}
    assert there == first
    assert all(torch.equal(module.state_dict()[name], whole.state_dict()[name]) for name in first)
