"""The safetensors reader against the format's own library, and against damaged files."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from newbie.checkpoints import header, places
from newbie.checkpoints.header import DTYPES, open_safetensors
from newbie.checkpoints.index import Index
from newbie.errors import WeightsError

KINDS = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
]  # fmt: skip


def write(path: Path, header: object, body: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


def entry(dtype: str = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Bit for bit, so that NaN is equal to itself."""
    raw = a.reshape(-1).view(torch.uint8), b.reshape(-1).view(torch.uint8)
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(*raw)


def everything() -> dict[str, torch.Tensor]:
    tensors = {str(kind): torch.randint(0, 2, (3, 5)).to(kind) for kind in KINDS}
    return tensors | {"none": torch.zeros(0, 4), "scalar": torch.tensor(1.5), "nan": torch.full((3,), math.nan)}


def test_every_number_format_is_read_as_the_formats_own_library_reads_it(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file(everything(), path, {"hello": "world"})
    index = open_safetensors(path)
    expected = load_file(path)
    assert set(index) == set(expected)
    assert all(same(index[name].read(), tensor) for name, tensor in expected.items())
    assert index.metadata == {"hello": "world"}
    assert {index[str(kind)].dtype for kind in KINDS} == set(KINDS) == set(DTYPES.values())


def test_what_is_written_is_what_the_formats_own_library_reads_and_the_same_each_time(tmp_path):
    tensors = everything()
    for name in ("a", "b"):
        with (tmp_path / f"{name}.safetensors").open("wb") as file:
            header.write_safetensors(file, dict(reversed(tensors.items())), {"z": "日本", "a": "1"})
        tensors = dict(reversed(tensors.items()))
    first = tmp_path / "a.safetensors"
    assert first.read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert all(same(tensor, tensors[name]) for name, tensor in load_file(first).items())
    with safe_open(first, "pt") as file:
        assert file.metadata() == {"z": "日本", "a": "1"} and set(file.keys()) == set(tensors)


def test_a_mapped_tensor_is_the_read_one_and_writing_to_it_leaves_the_file_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "MAP_FROM", 1)
    monkeypatch.setattr(places, "MAP_TENSOR_FROM", 1)
    path = tmp_path / "a.safetensors"
    save_file(everything(), path)
    before = path.read_bytes()
    index = open_safetensors(path)
    views = {name: index[name].view() for name in index if index[name].view is not None}
    assert len(views) >= len(KINDS)
    for name, view in views.items():
        assert same(view, index[name].read())
        view.zero_()
    assert path.read_bytes() == before


@pytest.mark.parametrize("gone", [True, False])
def test_a_file_that_is_gone_or_cut_before_it_is_mapped_names_the_tensor(tmp_path, monkeypatch, gone):
    monkeypatch.setattr(places, "MAP_FROM", 1)
    monkeypatch.setattr(places, "MAP_TENSOR_FROM", 1)
    path = tmp_path / "a.safetensors"
    save_file({"w": torch.ones(100)}, path)
    entry = open_safetensors(path)["w"]
    if gone:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(WeightsError, match=r"a\.safetensors: .*tensor w"):
        entry.view()


def test_small_files_are_not_mapped(tmp_path):
    save_file(everything(), tmp_path / "a.safetensors")
    assert all(e.view is None for e in open_safetensors(tmp_path / "a.safetensors").entries.values())


def test_a_file_cut_anywhere_is_refused_with_its_name(tmp_path):
    path = tmp_path / "whole.safetensors"
    save_file({"a": torch.ones(4), "b": torch.ones(2, 2)}, path)
    content = path.read_bytes()
    for length in range(len(content)):
        cut = tmp_path / "cut.safetensors"
        cut.write_bytes(content[:length])
        with pytest.raises(WeightsError, match=r"cut\.safetensors"):
            open_safetensors(cut)


def test_a_truncated_file_names_the_tensor_and_both_sizes(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"layers.0.w": torch.ones(100)}, path)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=rf"layers\.0\.w ends at byte {size:,}, the file has {size - 1:,}"):
        open_safetensors(path)


def test_a_file_that_shrinks_after_it_was_opened_names_the_tensor(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"w": torch.ones(100)}, path)
    opened = open_safetensors(path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(WeightsError, match="tensor w"):
        opened["w"].read()


BAD = {
    "no table": ([], b"", "list, not an object"),
    "not json": (b"{nope", b"", "cannot be read"),
    "not text": (b"\xff\xfe", b"", "cannot be read"),
    "deeply nested": (b'{"a":' + b"[" * 100_000, b"", "cannot be read"),
    "a name twice": (b'{"a": 1, "a": 2}', b"", "twice"),
    "a number for an entry": ({"a": 3}, b"", "tensor a"),
    "no offsets": ({"a": {"dtype": "F32", "shape": [2]}}, b"", "tensor a"),
    "an unknown format": ({"a": entry("F3")}, b"12345678", "'F3'"),
    "a format that is no text": ({"a": entry([])}, b"12345678", "tensor a"),
    "a negative side": ({"a": entry(shape=(-2,))}, b"12345678", "tensor a"),
    "a side that is no number": ({"a": entry(shape=("2",))}, b"12345678", "tensor a"),
    "true for a side": ({"a": entry(shape=(True,), offsets=(0, 4))}, b"1234", "tensor a"),
    "three offsets": ({"a": entry(offsets=(0, 8, 8))}, b"12345678", "tensor a"),
    "offsets backwards": ({"a": entry(offsets=(8, 0))}, b"12345678", "tensor a"),
    "a shape larger than its bytes": ({"a": entry(shape=(3,))}, b"12345678", "needs 12 bytes"),
    "an astronomical shape": ({"a": entry(shape=(2**40, 2**40))}, b"12345678", "tensor a"),
    "nothing of an astronomical length": ({"a": entry(shape=(0, 2**80), offsets=(0, 0))}, b"", "impossible shape"),
    "nothing in astronomical strides": ({"a": entry(shape=(0, 2**62, 2**62), offsets=(0, 0))}, b"", "impossible shape"),
    "a thousand axes": ({"a": entry(shape=(1,) * 1000, offsets=(0, 4))}, b"1234", "impossible shape"),
    "a name of megabytes": ({"transformer." * 2**17: entry()}, b"12345678", "name of 1,572,864 characters"),
    "half a character in a name": (b'{"\\ud800": {}}', b"", "cannot be read"),
    "half a character in metadata": (b'{"__metadata__": {"a": "\\udfff"}}', b"", "cannot be read"),
    "an overlap": ({"a": entry(), "b": entry(offsets=(4, 12))}, b"0" * 12, "overlap at byte"),
    "the same bytes twice": ({"a": entry(), "b": entry()}, b"0" * 8, "overlap"),
    "a hole": ({"a": entry(offsets=(4, 12))}, b"0" * 12, "4 bytes before tensor a"),
    "bytes behind the last tensor": ({"a": entry()}, b"0" * 9, "1 bytes at its end"),
    "an offset beyond the end": ({"a": entry(offsets=(0, 8))}, b"0" * 7, "truncated"),
    "metadata that is no table": ({"__metadata__": [1]}, b"", "metadata"),
    "metadata that is no text": ({"__metadata__": {"a": 1}}, b"", "metadata"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_header_that_contradicts_itself_is_refused_and_says_how(tmp_path, case):
    head, body, said = BAD[case]
    with pytest.raises(WeightsError, match=said) as caught:
        open_safetensors(write(tmp_path / "bad.safetensors", head, body))
    assert "bad.safetensors" in caught.value.message
    assert caught.value.hint


def test_an_announced_header_of_terabytes_is_refused_without_reading_it(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes((2**45).to_bytes(8, "little") + b"{}")
    with pytest.raises(WeightsError, match="not a safetensors file"):
        open_safetensors(path)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_any_bytes_are_an_index_or_a_weights_error(tmp_path, content):
    path = tmp_path / "any.safetensors"
    path.write_bytes(content)
    try:
        assert isinstance(open_safetensors(path), Index)
    except WeightsError as error:
        assert "any.safetensors" in error.message


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.dictionaries(
        st.text(max_size=5),
        st.fixed_dictionaries(
            {
                "dtype": st.sampled_from([*DTYPES, "F4", None, 7]),
                "shape": st.lists(st.one_of(st.integers(-1, 4), st.none(), st.integers(2**62, 2**65)), max_size=3),
                "data_offsets": st.lists(st.integers(-1, 40), max_size=3),
            }
        ),
        max_size=3,
    ),
    body=st.binary(max_size=40),
)
def test_any_header_is_read_whole_or_refused(tmp_path, table, body):
    path = write(tmp_path / "any.safetensors", table, body)
    try:
        index = open_safetensors(path)
    except WeightsError:
        return
    assert sum(one.read().nbytes for one in index.entries.values()) == len(body)
