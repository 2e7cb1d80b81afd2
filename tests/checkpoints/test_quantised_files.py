"""Files of quantised networks: what is written loads back bit for bit, and what does not fit is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newbie.checkpoints import load_transformer, verify
from newbie.checkpoints.convert import convert
from newbie.checkpoints.header import open_safetensors, write_safetensors
from newbie.checkpoints.inspect import inspect
from newbie.checkpoints.quantised import KEY
from newbie.checkpoints.readers import open_weights
from newbie.checkpoints.save import save_quantised
from newbie.errors import NewbieError, UsageError, WeightsError
from newbie.quant.choice import SKIP, Rule
from newbie.quant.layers import told
from newbie.quant.schemes import SCHEMES

MINI = Path(__file__).resolve().parents[2] / "weights" / "newbie-mini" / "transformer"
LAYER = "layers.0.attention.qkv"


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """newbie-mini's transformer in NF4."""
    loaded = load_transformer(MINI, quant=Rule("nf4"))
    path = tmp_path_factory.mktemp("quantised") / "mini-nf4.safetensors"
    save_quantised(path, loaded.module, "transformer", loaded.config, dtype=torch.bfloat16)
    return path


def changed(file: Path, to: Path, *, said=None, metadata=None, tensors=None) -> Path:
    """The same file with other things said of its layers, or other tensors."""
    index = open_safetensors(file)
    found = {name: index[name].read() for name in index}
    facts = dict(index.metadata)
    if said is not None:
        facts[KEY] = json.dumps({**json.loads(facts[KEY]), **said})
    if metadata is not None:
        facts[KEY] = metadata
    for name, tensor in (tensors or {}).items():
        found[name] = tensor
    with to.open("wb") as out:
        write_safetensors(out, {name: tensor for name, tensor in found.items() if tensor is not None}, facts)
    return to


@pytest.mark.parametrize("name", SCHEMES)
def test_what_is_written_loads_back_bit_for_bit(name, tmp_path):
    rest = [f"layers.{n}." for n in range(1, 7)]  # stay as they are: one block and the refiners tell as much as all
    first = load_transformer(MINI, quant=Rule(name, (*SKIP, *rest)), dtype=torch.bfloat16)
    save_quantised(tmp_path / "x.safetensors", first.module, "transformer", first.config)
    second = load_transformer(tmp_path / "x.safetensors", dtype=torch.bfloat16)
    ours, theirs = first.module.state_dict(), second.module.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(ours[key].dtype == theirs[key].dtype and torch.equal(ours[key], theirs[key]) for key in ours)
    assert told(second.module) == told(first.module) == f"{SCHEMES[name].codec.name} 25"
    assert second.config == first.config


def test_the_size_of_the_file_is_that_of_its_numbers(file):
    state = load_transformer(file, dtype=torch.bfloat16).module.state_dict()
    header = 40_000
    assert 0 < file.stat().st_size - sum(tensor.nbytes for tensor in state.values()) < header


def test_a_load_in_another_format_leaves_codes_and_scales_alone(file):
    half, whole = (load_transformer(file, dtype=dtype).module for dtype in (torch.bfloat16, torch.float32))
    for name in ("codes", "block_scale", "row_scale"):
        ours, theirs = half.get_buffer(f"{LAYER}.{name}"), whole.get_buffer(f"{LAYER}.{name}")
        assert ours.dtype == theirs.dtype and torch.equal(ours, theirs)
    assert whole.get_parameter("norm_final.weight").dtype == torch.float32


def test_conversion_names_what_only_quantize_writes(file, tmp_path):
    with pytest.raises(UsageError, match="is nf4, which is written by `quantize` only") as refused:
        convert(file, tmp_path / "x.safetensors")
    assert "--type bf16" in refused.value.hint and not list(tmp_path.iterdir())


def test_layers_can_be_decoded_while_loading(file):
    plain, kept = load_transformer(file, decode=True).module, load_transformer(file).module
    assert not told(plain)
    assert torch.equal(plain.get_submodule(LAYER).weight, kept.get_submodule(LAYER).dense())


def test_what_is_quantised_in_the_file_stays_so_and_that_is_told(file):
    loaded = load_transformer(file, quant=Rule("int8"))
    assert told(loaded.module) == "nf4 55"
    assert "55 layers are nf4 in the file and stay so, not int8" in loaded.report.notes


def test_the_report_tells_which_tensors_were_quantised():
    report = load_transformer(MINI, quant=Rule("int8", skip=(*SKIP, "layers", "refiner.1", "w"))).report
    assert dict(report.converted) == {
        f"{stack}_refiner.0.attention.{name}.weight": "quantise to int8"
        for stack in ("noise", "context")
        for name in ("qkv", "out")
    }
    assert report.complete and report.total == len(report.matched) + 4


def test_inspect_and_verify_know_such_files(file):
    (found,) = inspect(file).checkpoints
    assert found.parts[0].dtypes["nf4"] == 4_866_048 and found.parts[0].loadable
    assert verify(file).ok


def test_a_number_that_is_none_is_refused_with_its_layer(file, tmp_path):
    scale = open_safetensors(file)[f"{LAYER}.row_scale"].read()
    scale[3] = torch.nan
    bad = changed(file, tmp_path / "bad.safetensors", tensors={f"{LAYER}.row_scale": scale})
    with pytest.raises(WeightsError, match=rf"{LAYER}.*NaN"):
        load_transformer(bad)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({LAYER: ["nf9", 384, 192]}, "is stored as 'nf9', which is not known"),
        ({LAYER: ["nf4", 384, 96]}, "no whole number of groups of 64"),
        ({LAYER: ["nf4", 192, 384]}, "is not what 192 x 384 in nf4 needs"),
        ({LAYER: ["nf4", 10**18, 64]}, "not what 1000000000000000000 x 64 in nf4 needs"),
        ({LAYER: ["nf4", -384, 192]}, "expected a format, rows and columns"),
        ({LAYER: ["nf4", True, 192]}, "expected a format, rows and columns"),
        ({LAYER: ["int8", 384, 192]}, "the scale of the layer|which is not what"),
        ({LAYER: "nf4"}, "expected a format, rows and columns"),
        ({"layers.99.attention.qkv": ["nf4", 384, 192]}, r"codes of the layer layers\.99\.attention\.qkv .* missing"),
    ],
)
def test_what_is_said_of_a_layer_must_fit_its_tensors(said, message, file, tmp_path):
    bad = changed(file, tmp_path / "bad.safetensors", said=said)
    with pytest.raises(WeightsError, match=message):
        load_transformer(bad)


def test_a_scale_that_is_missing_is_named(file, tmp_path):
    bad = changed(file, tmp_path / "bad.safetensors", tensors={f"{LAYER}.row_scale": None})
    with pytest.raises(WeightsError, match=rf"row_scale of the layer {LAYER} \(nf4\) is missing"):
        load_transformer(bad)


def test_a_weight_that_is_there_twice_is_refused(file, tmp_path):
    twice = {f"{LAYER}.weight": torch.zeros(384, 192)}
    with pytest.raises(WeightsError, match="is there twice"):
        load_transformer(changed(file, tmp_path / "bad.safetensors", tensors=twice))


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """One layer, to be damaged."""
    codec = SCHEMES["nf4"].codec
    stored = codec.encode(torch.randn(8, 64, generator=torch.Generator().manual_seed(0)))
    path = tmp_path_factory.mktemp("small") / "small.safetensors"
    with path.open("wb") as out:
        tensors = {f"x.{name}": tensor for name, tensor in stored.items()}
        write_safetensors(out, tensors, {KEY: json.dumps({"x": ["nf4", 8, 64]})})
    return path


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["nf4", "int4-r3", "x", "x.codes", ""]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["x", "", "y", "x.codes"]), inner),
    max_leaves=8,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=JSON | st.text(max_size=20))
def test_whatever_is_said_of_layers_the_reader_answers_or_refuses(said, small, tmp_path):
    text = said if isinstance(said, str) else json.dumps(said)
    bad = changed(small, tmp_path / "bad.safetensors", metadata=text)
    try:
        index = open_weights(bad)
    except NewbieError:
        return
    assert all(entry.read().shape == entry.shape for entry in index.entries.values())
