"""Layers of other packages: the door, what a network with them is, and the packages themselves where they are there."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from newbie.errors import MissingExtra, UsageError
from newbie.quant import guests
from newbie.quant.choice import Rule
from newbie.quant.guests import GUESTS, GuestLinear, seated
from newbie.quant.layers import told


@pytest.fixture
def installed(monkeypatch):
    """Every package is said to be there."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())


@pytest.fixture
def torchao(monkeypatch, installed):
    """A stand-in with the package's calls: `quantize_` puts a tensor that can be decoded in the place of weights."""

    class Halves(torch.Tensor):
        def dequantize(self):
            return self.as_subclass(torch.Tensor)

    def quantize(module, config):
        for layer in module.children():
            if layer.in_features % 128 == 0 or config != "four":
                layer.weight = nn.Parameter((layer.weight.data * 2).round().div(2).as_subclass(Halves), False)

    def fp8():
        raise RuntimeError("needs a card\nand more")

    package = ModuleType("torchao")
    package.quantization = SimpleNamespace(
        quantize_=quantize,
        Int8WeightOnlyConfig=lambda: "eight",
        Int4WeightOnlyConfig=lambda: "four",
        Float8DynamicActivationFloat8WeightConfig=fp8,
    )
    monkeypatch.setitem(sys.modules, "torchao", package)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 32), nn.SiLU(), nn.Linear(32, 8, bias=False)).requires_grad_(False)


def test_guests_sit_where_the_rule_says_and_the_given_network_stays(torchao):
    plain = network()
    found = Rule("torchao-int8", skip=("2",)).welcome(plain)
    assert isinstance(found[0], GuestLinear) and type(found[2]) is nn.Linear
    assert type(plain[0]) is nn.Linear
    assert told(found) == "torchao-int8 1"
    assert Rule("nf4").welcome(plain) is plain


def test_a_guest_is_a_linear_layer_that_can_be_decoded_and_has_no_weight(torchao):
    linear = network()[0]
    guest = seated("torchao-int8", linear)
    x = torch.randn(3, 64, generator=torch.Generator().manual_seed(1))
    assert (guest.in_features, guest.out_features) == (64, 32)
    assert torch.equal(guest.dense(), (linear.weight * 2).round() / 2)
    torch.testing.assert_close(guest(x), x @ guest.dense().T + linear.bias)
    assert not hasattr(guest, "weight")


def test_a_package_that_refuses_is_told_in_one_line(torchao):
    with pytest.raises(UsageError, match="here: needs a card\n  hint"):
        seated("torchao-fp8-dynamic", network()[0])


def test_a_package_that_does_nothing_without_a_word_is_caught(torchao):
    with pytest.raises(UsageError, match="leaves weights of 32 x 64 as they are"):
        seated("torchao-int4", network()[0])


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(guests.importlib.util, "find_spec", lambda name: None)
    for name, guest in GUESTS.items():
        with pytest.raises(MissingExtra, match=guest.package):
            seated(name, network()[0])


@pytest.mark.filterwarnings("ignore")  # of the packages, while they are imported
@pytest.mark.parametrize("name", ["bnb-nf4", "bnb-int8", "torchao-int8", "torchao-w8a8"])
def test_real_packages_compute_what_they_decode(name):
    pytest.importorskip(GUESTS[name].package)
    torch.manual_seed(3)
    linear = nn.Linear(128, 64).requires_grad_(False)
    guest = seated(name, linear)
    x = torch.randn(20, 128)
    for _ in range(2):  # some arrange their weights in the first call
        y = guest(x)
        wanted = x @ guest.dense().float().T + linear.bias
        assert (y - wanted).norm() < 0.02 * wanted.norm()  # two of them round the input too
    assert (guest.dense() - linear.weight).norm() < 0.1 * linear.weight.norm()
