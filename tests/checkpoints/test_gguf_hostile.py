"""GGUF files that lie: every one is an index or an error with the file's name, in little time and little memory."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newbie.checkpoints.gguf import open_gguf
from newbie.checkpoints.gguf_header import Array, read_header
from newbie.checkpoints.load import load_transformer
from newbie.errors import NewbieError, WeightsError

MUCH = 2**64 - 1


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def field(key: bytes, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def tensor(name: bytes = b"x", dims: tuple[int, ...] = (4,), kind: int = 0, offset: int = 0) -> bytes:
    shape = struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
    return text(name) + shape + struct.pack("<IQ", kind, offset)


def file(
    tensors: list[bytes] = (),
    fields: list[bytes] = (),
    *,
    body: bytes = b"",
    version: int = 3,
    counts: tuple[int, int] | None = None,
) -> bytes:
    announced = counts or (len(tensors), len(fields))
    head = b"GGUF" + struct.pack("<IQQ", version, *announced) + b"".join(fields) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + body


def saved(folder: Path, content: bytes) -> Path:
    path = folder / "hostile.gguf"
    path.write_bytes(content)
    return path


GOOD = file([tensor()], [field(b"a", 4, struct.pack("<I", 1))], body=bytes(32))

HOSTILE = {
    "nothing": (b"", "truncated"),
    "magic alone": (b"GGUF", "truncated"),
    "other magic": (b"GGML" + bytes(40), "does not begin"),
    "version 1": (file(version=1), "version 1"),
    "version 99": (file(version=99), "version 99"),
    "big endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
    "a billion tensors": (file(counts=(10**9, 0)), "1,000,000,000 tensors"),
    "too many fields": (file(counts=(0, MUCH)), "fields"),
    "tensors that are not there": (file(counts=(5, 0)), "truncated|name has 0"),
    "a field's name of exabytes": (file(fields=[struct.pack("<Q", MUCH)]), "name has"),
    "a string of exabytes": (file(fields=[field(b"a", 8, struct.pack("<Q", MUCH))]), "field a"),
    "an array of exabytes": (file(fields=[field(b"a", 9, struct.pack("<IQ", 4, MUCH))]), "field a"),
    "an array whose size overflows": (file(fields=[field(b"a", 9, struct.pack("<IQ", 12, 2**61))]), "field a"),
    "an array of too many strings": (file(fields=[field(b"a", 9, struct.pack("<IQ", 8, 2**40))]), "announces"),
    "arrays in arrays": (file(fields=[field(b"a", 9, struct.pack("<IQ", 9, 1))]), "array of the type 9"),
    "an unknown type of field": (file(fields=[field(b"a", 77, b"")]), "unknown type 77"),
    "a field twice": (file(fields=[field(b"a", 4, bytes(4))] * 2), "a appears twice"),
    "a name that is no text": (file(fields=[field(b"\xff\xfe", 4, bytes(4))]), "UTF-8"),
    "an alignment of zero": (file(fields=[field(b"general.alignment", 4, bytes(4))]), "alignment 0"),
    "an alignment of three": (file(fields=[field(b"general.alignment", 4, struct.pack("<I", 3))]), "alignment 3"),
    "an alignment in words": (file(fields=[field(b"general.alignment", 8, text(b"32"))]), "alignment"),
    "an unknown format": (file([tensor(kind=999)], body=bytes(32)), "x has the number format number 999"),
    "a format that is gone": (file([tensor(kind=4)], body=bytes(32)), "Q4_2"),
    "a format for products": (file([tensor((b"x"), (32,), 9)], body=bytes(64)), "Q8_1"),
    "a format nobody decodes": (file([tensor((b"x"), (128,), 41)], body=bytes(64)), "Q1_0"),
    "a thousand axes": (file([tensor(dims=(1,) * 1000)], body=bytes(32)), "1,000 axes"),
    "an axis of zero": (file([tensor(dims=(0, 4))], body=bytes(32)), r"shape \[4, 0\]"),
    "axes whose product overflows": (file([tensor(dims=(2**32, 2**32))], body=bytes(32)), "shape"),
    "an axis of all ones": (file([tensor(dims=(MUCH,))], body=bytes(32)), "shape"),
    "half a block": (file([tensor(dims=(48,), kind=8)], body=bytes(64)), "no whole number of Q8_0 blocks"),
    "beyond the end": (file([tensor(offset=64)], body=bytes(32)), "x ends at byte"),
    "an offset that overflows": (file([tensor(offset=MUCH - 31)], body=bytes(32)), "x ends at byte"),
    "an unaligned offset": (file([tensor(offset=8)], body=bytes(64)), "not aligned"),
    "one on the other": (file([tensor(b"x", (16,)), tensor(b"y", (16,), 0, 32)], body=bytes(96)), "x and y overlap"),
    "a tensor twice": (file([tensor(), tensor(b"x", (4,), 0, 32)], body=bytes(64)), "twice"),
    "a name of two kilobytes": (file([tensor(b"n" * 2000)], body=bytes(32)), "name has 2,000"),
    "a truncated body": (file([tensor(dims=(100,))], body=bytes(399)), "ends at byte"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_file_that_lies_is_refused_with_what_it_says(tmp_path, case):
    content, said = HOSTILE[case]
    with pytest.raises(WeightsError, match=said) as caught:
        read_header(saved(tmp_path, content))
    assert "hostile.gguf" in caught.value.message and caught.value.hint


@pytest.mark.parametrize("case", HOSTILE)
def test_a_lie_costs_no_memory(tmp_path, case):
    path = saved(tmp_path, HOSTILE[case][0])
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError):
            read_header(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()


def test_a_shape_of_millions_of_axes_is_told_in_few_words(tmp_path):
    shape = struct.pack("<IQ", 0, 2**21) + bytes(2**21)
    path = saved(tmp_path, file([tensor()], [field(b"comfy.gguf.orig_shape.x", 9, shape)], body=bytes(32)))
    with pytest.raises(WeightsError, match=r"x of shape .* is said to have been '2,097,152 values'") as caught:
        open_gguf(path)
    assert len(str(caught.value)) < 500


def test_a_file_cut_anywhere_is_refused(tmp_path):
    content = file(
        [tensor(), tensor(b"y", (32,), 8, 32)],
        [field(b"a", 8, text(b"b")), field(b"c", 9, struct.pack("<IQ", 8, 2) + text(b"d") + text(b"e"))],
        body=bytes(32 + 34),
    )
    assert len(open_gguf(saved(tmp_path, content))) == 2
    for length in range(len(content)):
        with pytest.raises(WeightsError, match=r"hostile\.gguf"):
            open_gguf(saved(tmp_path, content[:length]))


def test_a_header_that_is_too_long_is_refused_without_reading_the_file(tmp_path):
    path = saved(tmp_path, file(fields=[field(b"a", 8, struct.pack("<Q", 2**33))]))
    with path.open("r+b") as sparse:
        sparse.truncate(2**34)
    with pytest.raises(WeightsError, match="more than 67,108,864"):
        read_header(path)


def test_a_file_that_shrinks_after_it_was_opened_names_the_tensor(tmp_path):
    path = saved(tmp_path, file([tensor(b"y", (32,), 8)], body=bytes(34)))
    opened = open_gguf(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="tensor y"):
        opened["y"].read()


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_any_bytes_behind_the_magic_are_an_index_or_a_weights_error(tmp_path, content):
    openable(tmp_path, b"GGUF" + content)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.integers(0, len(GOOD)),
)
def test_a_good_file_with_wrong_bytes_is_an_index_or_a_weights_error(tmp_path, changes, cut):
    content = bytearray(GOOD)
    for at, byte in changes:
        content[at] = byte
    openable(tmp_path, bytes(content[: max(cut, 1)] if cut % 3 == 0 else content))


sizes = st.one_of(st.integers(0, 300), st.sampled_from((2**16, 2**31, 2**32, 2**40, 2**63, MUCH)))
values = st.one_of(
    st.builds(lambda kind, raw: (kind, raw), st.integers(0, 14), st.binary(max_size=16)),
    st.builds(lambda raw: (8, text(raw)), st.binary(max_size=8)),
    st.builds(lambda kind, n, raw: (9, struct.pack("<IQ", kind, n) + raw), st.integers(0, 13), sizes, st.binary()),
)
KEYS = (
    b"general.alignment",
    b"general.architecture",
    b"newbie.config",
    b"a",
    b"comfy.gguf.orig_shape.x",
    b"tokenizer.ggml.tokens",
    b"tokenizer.ggml.model",
)
keys = st.sampled_from(KEYS)
infos = st.builds(
    tensor,
    st.sampled_from((b"x", b"y", b"", b"layers.0.w")),
    st.lists(sizes, max_size=5).map(tuple),
    st.one_of(st.sampled_from((0, 1, 2, 8, 12, 16, 29, 30, 39)), st.integers(0, 2**32 - 1)),
    sizes,
)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tensors=st.lists(infos, max_size=4),
    fields=st.lists(st.builds(lambda key, value: field(key, *value), keys, values), max_size=4),
    body=st.binary(max_size=400),
)
def test_any_header_is_read_whole_or_refused(tmp_path, tensors, fields, body):
    openable(tmp_path, file(tensors, fields, body=body))


def openable(folder: Path, content: bytes) -> None:
    """Opened, it is whole: every tensor reads, every list comes apart. Anything else is a WeightsError."""
    path = saved(folder, content)
    try:
        index = open_gguf(path)
    except WeightsError as error:
        assert "hostile.gguf" in error.message
        return
    for name in index:
        assert index[name].read().shape == index[name].shape
    for value in read_header(path).fields.values():
        if isinstance(value, Array):
            assert len(list(value.texts())) + len(value.numbers()) == value.length
    if index.spiece is not None:
        try:
            index.spiece()
        except WeightsError as error:
            assert "hostile.gguf" in error.message


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text_=st.text(max_size=40))
def test_whatever_our_own_field_says_a_load_ends_in_an_error_of_ours(tmp_path, text_):
    names = (b"layers.0.attention.qkv.weight", b"cap_embedder.1.weight", b"x_embedder.weight")
    infos = [tensor(name, (4, 4), 0, 64 * at) for at, name in enumerate(names)]
    path = saved(tmp_path, file(infos, [field(b"newbie.config", 8, text(text_.encode()))], body=bytes(192)))
    with pytest.raises(NewbieError):
        load_transformer(path)
