"""The table of scales and gates: what a step would have made, in bounded memory, without the weights being there."""

from __future__ import annotations

import copy

import pytest
import torch

from newbie.accel.modulation import ModulationTable
from newbie.accel.parking import modulation_bytes, park
from newbie.model.nextdit import Modulations, NextDiT

from .conftest import Make, captions, noise

TIMES = [0.0, 0.1, 0.35, 0.6, 0.9]
CPU = torch.device("cpu")


def table(model: NextDiT, **options: int) -> ModulationTable:
    pooled = captions(model).pooled
    with torch.no_grad():
        projected = None if pooled is None else model.clip_text_pooled_proj(pooled)
    return ModulationTable(model, projected, TIMES, CPU, **options)


def close(found: Modulations, made: Modulations) -> None:
    for ours, theirs in zip((*found.refiner, *found.layers), (*made.refiner, *made.layers), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a.expand_as(b), b, rtol=1e-6, atol=1e-6)  # products over more rows
    torch.testing.assert_close(found.final.expand_as(made.final), made.final, rtol=1e-6, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("limit", [10**9, 1, 50_000])
def test_every_row_is_what_the_step_would_have_made(model: NextDiT, limit: int) -> None:
    rows = table(model, limit=limit)
    for t in TIMES:
        close(rows.at(t), model.modulations(torch.full((2,), t), rows.pooled))


@torch.no_grad()
def test_a_time_that_nobody_announced_is_answered(model: NextDiT) -> None:
    rows = table(model)
    rows.at(0.0)
    close(rows.at(0.123), model.modulations(torch.full((2,), 0.123), rows.pooled))
    close(rows.at(0.35), model.modulations(torch.full((2,), 0.35), rows.pooled))


@torch.no_grad()
def test_it_never_holds_more_than_its_limit(model: NextDiT) -> None:
    whole = table(model)
    assert whole.capacity >= len(TIMES)
    one = whole.bytes // len(TIMES)
    rows = table(model, limit=2 * one)
    for t in TIMES:
        rows.at(t)
    assert (rows.bytes, rows.products) == (2 * one, 3)


@torch.no_grad()
def test_its_size_is_counted_in_bytes(model: NextDiT) -> None:
    rows = table(model)
    said = rows.at(TIMES[0])
    tensors = [tensor for each in (*said.refiner, *said.layers) for tensor in each] + [said.final]
    assert rows.bytes == len(TIMES) * sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@torch.no_grad()
def test_once_it_is_made_the_modulation_weights_are_not_needed(make: Make) -> None:
    plain = make().velocity(1)
    expected = [plain(noise(), t) for t in plain.times]
    denoiser = make()
    object.__setattr__(denoiser, "transformer", copy.deepcopy(denoiser.transformer))
    model, velocity = denoiser.transformer, denoiser.velocity(1)
    velocity.prepare()
    weights = [block.adaLN_modulation for block in (*model.noise_refiner, *model.layers)]
    assert park(model, "meta") == sum(modulation_bytes(each) for each in weights) > 0  # type: ignore[arg-type]
    assert all(torch.equal(velocity(noise(), t), v) for t, v in zip(plain.times, expected, strict=True))


def test_weights_that_are_parked_already_do_not_move(model: NextDiT) -> None:
    model = copy.deepcopy(model)
    before = model.layers[0].adaLN_modulation
    assert park(model) == 0 and model.layers[0].adaLN_modulation is before


@torch.no_grad()
def test_parked_weights_are_fetched_for_a_table_and_stay_parked(model: NextDiT) -> None:
    """The model on one device, its modulation weights on another: here the other way round, as a CPU has no second."""
    model = copy.deepcopy(model).to("meta")
    for block in (*model.noise_refiner, *model.layers):
        block.adaLN_modulation.to_empty(device="cpu")  # type: ignore[union-attr, operator]
    pooled = None if model.config.clip_text_dim is None else torch.empty(2, 12, device="meta")
    said = ModulationTable(model, pooled, TIMES, torch.device("meta")).at(0.1)
    assert said.layers[0].gate_attn.device.type == "meta"
    assert model.layers[0].adaLN_modulation[1].weight.device.type == "cpu"  # type: ignore[union-attr, index]


@torch.no_grad()
def test_parking_is_a_tenth_of_the_published_model() -> None:
    from newbie.model.config import RELEASE

    with torch.device("meta"):
        model = NextDiT(RELEASE)
    blocks = (*model.noise_refiner, *model.layers)
    parked = sum(modulation_bytes(block.adaLN_modulation) for block in blocks)  # type: ignore[arg-type]
    assert parked / sum(p.nbytes for p in model.parameters()) == pytest.approx(0.103, abs=0.001)
