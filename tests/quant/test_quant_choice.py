"""Which layers become what: parsing `--quant`, skip lists, sizes."""

from __future__ import annotations

import pytest
import torch

from newbie.errors import MissingExtra, UsageError
from newbie.model.config import RELEASE
from newbie.model.nextdit import NextDiT
from newbie.quant.choice import SKIP, Choice, Rule, codec_bytes, linears

GB = 1e9


@pytest.fixture(scope="module")
def release() -> NextDiT:
    """The 3.5B network without memory."""
    with torch.device("meta"):
        return NextDiT(RELEASE)


def test_one_scheme_is_for_all_networks():
    choice = Choice.parse("nf4")
    assert {part: choice.rule(part) for part in ("transformer", "text_encoder", "clip")} == {
        part: Rule("nf4") for part in ("transformer", "text_encoder", "clip")
    }
    assert choice.rule("vae") is None


def test_parts_may_differ_and_those_not_named_stay():
    choice = Choice.parse("transformer=w8a8, text-encoder=int8")
    assert choice.rule("transformer") == Rule("w8a8")
    assert choice.rule("text_encoder") == Rule("int8")
    assert choice.rule("clip") is None
    assert Choice.parse("").rules == {}


def test_a_scheme_for_all_can_be_changed_for_one():
    choice = Choice.parse("nf4,text-encoder=int8")
    assert choice.rule("text_encoder").scheme == "int8" and choice.rule("clip").scheme == "nf4"


@pytest.mark.parametrize(
    ("text", "message"), [("nf5", "no quantisation 'nf5'"), ("unet=nf4", "no part 'unet'"), ("vae=int8", "no part")]
)
def test_what_does_not_exist_is_refused_with_what_does(text, message):
    with pytest.raises(UsageError, match=message) as caught:
        Choice.parse(text)
    assert "nf4" in caught.value.hint or "text-encoder" in caught.value.hint


def test_a_guest_that_is_not_installed_names_its_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="bitsandbytes") as caught:
        Choice.parse("transformer=bnb-nf4")
    assert "newbie[bitsandbytes]" in caught.value.hint


def test_the_usual_skip_list_leaves_only_the_blocks_own_products(release):
    found = linears(release)
    assert {path.split(".")[0] for path in found} == {"layers", "noise_refiner", "context_refiner"}
    assert len(found) == 5 * 40
    assert not any("adaLN" in path for path in found)


def test_names_can_be_added_to_the_list_or_replace_it(release):
    more = Choice.parse("int8", "layers.0., w2").rule("transformer")
    assert more.skip == (*SKIP, "layers.0.", "w2")
    assert not any("layers.0." in path or "w2" in path for path in more.layers(release))
    instead = Choice.parse("int8", "none,w2").rule("transformer")
    assert instead.skip == ("w2",) and any("adaLN" in path for path in instead.layers(release))


def stored_bytes(network, rule):
    """Of a network's weights under a rule, the others in bf16."""
    layers = {f"{path}.weight": codec for path, codec in (rule.layers(network) if rule else {}).items()}
    return sum(
        codec_bytes(layers[name], *weight.shape) if name in layers else weight.numel() * torch.bfloat16.itemsize
        for name, weight in network.named_parameters()
    )


# Transformer of the release, others in bf16, modulation kept: the table of sizes, in GB.
@pytest.mark.parametrize(
    ("name", "size"), [("", 6.97), ("int8", 3.86), ("w8a8", 3.86), ("fp8", 3.86), ("nf4", 2.35), ("svdquant", 2.52)]
)
def test_sizes_of_the_release_are_those_of_the_accounting(release, name, size):
    rule = Rule(name) if name else None
    assert stored_bytes(release, rule) / GB == pytest.approx(size, rel=0.02)


def test_layers_that_do_not_fit_a_scheme_are_left_alone():
    network = torch.nn.Sequential(torch.nn.Linear(96, 8), torch.nn.Linear(128, 8))
    assert list(Rule("nf4").layers(network)) == ["1"]
    assert list(Rule("int8").layers(network)) == ["0", "1"]
