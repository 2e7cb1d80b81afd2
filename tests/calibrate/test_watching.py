"""Watching layers: the network computes as before, and what was seen is what was given."""

from __future__ import annotations

import torch
from torch import nn

from newbie.calibrate.quantise import quantise, weight_bytes
from newbie.calibrate.watch import SAMPLE, Record, watched
from newbie.quant.choice import Rule
from newbie.quant.inputs import Inputs
from newbie.quant.layers import CompressedLinear, told


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 128), nn.SiLU(), nn.Linear(128, 64, bias=False)).requires_grad_(False)


def given(batches: int = 3):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(2, 5 + i, 64, generator=generator) for i in range(batches)]


def test_what_was_seen_is_what_was_given_and_nothing_changed():
    plain, answers = network(), []

    def run(net: nn.Module) -> None:
        answers.extend(net(x) for x in given())

    (found,) = watched(plain, ["0", "2"], run)
    assert all(torch.equal(ours, plain(x)) for ours, x in zip(answers, given(), strict=True))
    tokens = torch.cat([x.flatten(0, 1) for x in given()])
    wanted = Inputs.of(tokens)
    for ours, theirs in zip(found["0"][:3], wanted[:3], strict=True):
        torch.testing.assert_close(ours, theirs)
    hidden = Inputs.of(plain[1](plain[0](tokens)))
    torch.testing.assert_close(found["2"].square, hidden.square)


def test_the_sample_is_of_tokens_that_were_given_and_bounded():
    (found,) = watched(network(), ["0"], lambda net: [net(x) for x in given(60) * 2] and None)
    tokens = {tuple(row) for x in given(60) for row in x.flatten(0, 1).tolist()}
    assert {tuple(row) for row in found["0"].sample.tolist()} <= tokens
    assert len(found["0"].sample) == SAMPLE


def test_the_sample_takes_no_more_memory_the_longer_it_is_drawn_from_and_is_of_all_calls_alike():
    calls = 640
    record = Record.empty(8, torch.device("cpu"))
    for number in range(calls):
        record.look(torch.full((2, 30, 8), float(number)))
    assert record.sample.shape == (SAMPLE, 8)  # as is counted for the budget
    drawn = record.inputs().sample[:, 0]
    # 1024 of 32 tokens a call: about 511 of the calls are in it, and their mean number is off by 6 or so.
    assert 450 < len(drawn.unique()) < 570
    assert abs(drawn.mean() - (calls - 1) / 2) < 25


def test_few_layers_at_a_time_see_the_same():
    runs = []

    def run(net: nn.Module) -> None:
        runs.append(1)
        for x in given():
            net(x)

    whole = next(watched(network(), ["0", "2"], run))
    parts = list(watched(network(), ["0", "2"], run, budget=1))
    assert [list(part) for part in parts] == [["0"], ["2"]] and len(runs) == 3
    for part in parts:
        for path, inputs in part.items():
            assert all(torch.equal(ours, theirs) for ours, theirs in zip(inputs, whole[path], strict=True))


def test_a_layer_that_is_never_reached_is_rounded_without_having_been_seen():
    class Spare(nn.Sequential):
        def forward(self, x):
            return self[0](x)

    torch.manual_seed(0)
    plain = Spare(nn.Linear(64, 64), nn.Linear(64, 64)).requires_grad_(False)
    found = quantise(plain, Rule("svdquant"), lambda net: net(torch.randn(50, 64)) is None)
    assert [layer.path for layer in found.layers] == ["0", "1"]
    assert found.layers[0].output == found.layers[0].output  # a number
    assert found.layers[1].output != found.layers[1].output  # none was seen
    assert isinstance(found.network[1], CompressedLinear)


def test_quantising_leaves_the_given_network_as_it_was_and_counts_bytes():
    plain = network()
    before = {name: tensor.clone() for name, tensor in plain.state_dict().items()}
    found = quantise(plain, Rule("int8"), lambda net: [net(x) for x in given()] and None)
    assert all(torch.equal(tensor, before[name]) for name, tensor in plain.state_dict().items())
    assert told(found.network) == "int8 2"
    assert found.before == weight_bytes(plain) == 4 * (64 * 128 * 2 + 128)
    assert found.after == 64 * 128 * 2 + 4 * (128 + 64) + 4 * 128
    assert weight_bytes(found.network, torch.bfloat16) == found.after - 2 * 128  # the bias in 16 bits
    assert all(0 < layer.output < 0.02 and 0 < layer.weights < 0.02 for layer in found.layers)
    torch.testing.assert_close(found.network[0].bias, plain[0].bias)


def test_without_a_calibration_a_layer_is_what_a_load_makes_of_it():
    plain = network()
    found = quantise(plain, Rule("nf4"))
    codec = found.network[0].codec
    theirs = codec.encode(plain[0].weight)
    assert all(torch.equal(found.network[0].stored[name], theirs[name]) for name in theirs)
