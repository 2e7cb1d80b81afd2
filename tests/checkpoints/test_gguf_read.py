"""GGUF files written by the gguf package: every format, names and fields of both habits, mapped, and in a model."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from newbie.checkpoints import inspect, load_transformer, places, verify
from newbie.checkpoints.gguf import open_gguf
from newbie.checkpoints.hashes import hash_sources
from newbie.checkpoints.load import load_gemma
from newbie.checkpoints.readers import open_weights
from newbie.checkpoints.save import save_table
from newbie.checkpoints.source import candidates, find
from newbie.checkpoints.translate import untranslate
from newbie.errors import MissingExtra, WeightsError
from newbie.model.nextdit import NextDiT
from newbie.quant.ggml import BLOCK_TYPES, BY_NAME, WRITABLE
from newbie.quant.gguf import BLOCKS
from newbie.quant.layers import Compressed, CompressedEmbedding, CompressedLinear
from newbie.text.gemma import hidden_states

from .conftest import WIDE

Kind = gguf.GGMLQuantizationType


def write(path: Path, tensors: dict, architecture: str = "lumina2", fields=lambda writer: None) -> Path:
    """A file by the gguf package. `tensors`: name -> array, or (bytes of rows, format)."""
    writer = gguf.GGUFWriter(path, architecture)
    fields(writer)
    for name, value in tensors.items():
        array, kind = value if isinstance(value, tuple) else (value, None)
        writer.add_tensor(name, array, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def quantised(state: dict[str, torch.Tensor], kind: Kind) -> dict:
    """As converters do: matrices in blocks where they fit, everything else in float32."""
    block = gguf.GGML_QUANT_SIZES[kind][0]
    found = {}
    for name, tensor in state.items():
        array = tensor.float().numpy()
        fits = array.ndim == 2 and array.shape[1] % block == 0
        found[name] = (gguf.quantize(array, kind), kind) if fits else array
    return found


def dit_state(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {name: tensor.shape for name, tensor in NextDiT(WIDE).state_dict().items()}
    return {name: torch.randn(shape, generator=generator) * 0.05 for name, shape in shapes.items()}


@pytest.mark.parametrize("name", [block.name for block in BLOCK_TYPES])
def test_every_block_format_reads_as_the_package_reads_it(tmp_path, name):
    kind, block = Kind[name], BY_NAME[name]
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (5, 2 * block.bytes), dtype=np.uint8)
    for at in block.scales:
        rows.reshape(-1, block.bytes)[:, at + 1] &= 0x3B  # finite
    path = write(tmp_path / "a.gguf", {"odd.name": (rows, kind), "plain": np.arange(6, dtype=np.float32)})
    index = open_gguf(path)
    entry = index["odd.name"]
    assert entry.shape == (5, 2 * block.numbers) and entry.format == name
    assert np.array_equal(entry.packed.parts[BLOCKS].read().numpy(), rows)
    theirs = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    expected = gguf.dequantize(theirs["odd.name"].data, kind)
    assert np.array_equal(entry.read().numpy(), expected, equal_nan=True)
    assert np.array_equal(index["plain"].read().numpy(), theirs["plain"].data)


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int32, torch.int8]
)
def test_plain_numbers_keep_their_format_and_axes(tmp_path, dtype):
    tensor = (torch.arange(24).view(2, 3, 4) - 5).to(dtype)
    if dtype == torch.bfloat16:
        value = (tensor.view(torch.uint8).numpy(), Kind.BF16)
    else:
        value = tensor.numpy()
    entry = open_gguf(write(tmp_path / "a.gguf", {"x": value}))["x"]
    assert entry.dtype == dtype and torch.equal(entry.read(), tensor)


def test_fields_are_metadata_and_long_lists_are_counted(tmp_path):
    def fields(writer):
        writer.add_file_type(7)
        writer.add_string("general.name", "日本")
        writer.add_bool("a.flag", True)
        writer.add_array("tokenizer.ggml.tokens", ["a", "b", "c"])

    index = open_gguf(write(tmp_path / "a.gguf", {"x": np.zeros(1, np.float32)}, fields=fields))
    assert index.metadata["general.architecture"] == "lumina2"
    assert index.metadata["general.name"] == "日本"
    assert (index.metadata["a.flag"], index.metadata["general.file_type"]) == ("True", "7")
    assert index.metadata["tokenizer.ggml.tokens"] == "3 values"


def test_a_tensor_that_was_stored_in_another_shape_gets_its_own_back(tmp_path):
    def fields(writer):
        writer.add_array("comfy.gguf.orig_shape.x", [3, 64])
        writer.add_array("comfy.gguf.orig_shape.y", [2, 1, 3])

    matrix = np.random.default_rng(0).standard_normal((6, 32)).astype(np.float32)
    tensors = {"x": (gguf.quantize(matrix, Kind.Q8_0), Kind.Q8_0), "y": np.arange(6, dtype=np.float32)}
    index = open_gguf(write(tmp_path / "a.gguf", tensors, fields=fields))
    assert index.shapes == {"x": (3, 64), "y": (2, 1, 3)}
    expected = gguf.dequantize(gguf.quantize(matrix, Kind.Q8_0), Kind.Q8_0).reshape(3, 64)
    assert np.array_equal(index["x"].read().numpy(), expected)
    assert not any(key.startswith("comfy") for key in index.metadata)


def test_a_shape_that_does_not_fit_is_refused(tmp_path):
    path = write(
        tmp_path / "a.gguf",
        {"x": np.zeros(6, np.float32)},
        fields=lambda writer: writer.add_array("comfy.gguf.orig_shape.x", [7]),
    )
    with pytest.raises(WeightsError, match="tensor x"):
        open_gguf(path)


def test_blocks_are_mapped_where_a_file_is_large(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "MAP_FROM", 1)
    monkeypatch.setattr(places, "MAP_TENSOR_FROM", 1)
    matrix = np.random.default_rng(0).standard_normal((8, 64)).astype(np.float32)
    path = write(tmp_path / "a.gguf", {"x": (gguf.quantize(matrix, Kind.Q4_0), Kind.Q4_0)})
    blocks = open_gguf(path)["x"].packed.parts[BLOCKS]
    view = blocks.view()
    assert torch.equal(view, blocks.read())
    before = path.read_bytes()
    view.zero_()
    assert path.read_bytes() == before


# ---- a transformer


@pytest.mark.parametrize("name", [name for name in WRITABLE if not name.startswith("TQ")])
@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_a_transformer_stays_compressed_and_computes_what_the_package_decodes(tmp_path, name, prefix):
    state = {prefix + name: tensor for name, tensor in dit_state().items()}
    tensors = quantised(state, Kind[name])
    path = write(tmp_path / "a.gguf", tensors)
    loaded = load_transformer(path)
    assert loaded.report.complete and not loaded.report.unexpected and not loaded.report.converted
    decoded = {
        name.removeprefix(prefix): gguf.dequantize(*value) if isinstance(value, tuple) else value
        for name, value in tensors.items()
    }
    kept = dict(loaded.report.compressed)
    assert set(kept.values()) == {name}
    assert set(kept) == {n.removeprefix(prefix) for n, value in tensors.items() if isinstance(value, tuple)}
    for key, expected in decoded.items():
        path_, _, leaf = key.rpartition(".")
        part = loaded.module.get_submodule(path_)
        found = part.dense() if key in kept else part.get_parameter(leaf)
        assert np.array_equal(found.numpy(), expected), key
    plain = load_transformer(path, decode=True)
    assert dict(plain.report.converted) == {name: f"decode {kind}" for name, kind in kept.items()}
    x = torch.randn(1, 3, 96, generator=torch.Generator().manual_seed(1))
    assert torch.equal(loaded.module.layers[0].feed(x, x), plain.module.layers[0].feed(x, x))


def test_a_compressed_model_takes_the_memory_of_its_file(tmp_path):
    path = write(tmp_path / "a.gguf", quantised(dit_state(), Kind.Q4_0))
    model = load_transformer(path).module
    held = sum(t.nbytes for t in [*model.parameters(), *model.buffers()])
    stored = sum(tensor.n_bytes for tensor in gguf.GGUFReader(path).tensors)
    assert held == stored
    assert all(p.ndim == 1 for p in model.parameters())


def test_differing_formats_of_one_projection_are_decoded_before_they_are_fused(tmp_path):
    state = dit_state()
    tensors = quantised(untranslate(state, save_table("transformer", "diffusers", WIDE)), Kind.Q8_0)
    value = "layers.0.attn.to_v.weight"
    whole = gguf.dequantize(*tensors[value])
    tensors[value] = (gguf.quantize(whole, Kind.Q4_0), Kind.Q4_0)
    loaded = load_transformer(write(tmp_path / "a.gguf", tensors))
    expected = np.concatenate([gguf.dequantize(*tensors[f"layers.0.attn.to_{part}.weight"]) for part in "qkv"])
    assert np.array_equal(loaded.module.layers[0].attention.qkv.weight.numpy(), expected)
    assert dict(loaded.report.converted)["layers.0.attention.qkv.weight"] == "fuse"
    other = loaded.module.layers[1].attention.qkv  # the same format three times
    assert isinstance(other, CompressedLinear)
    parts = [gguf.dequantize(*tensors[f"layers.1.attn.to_{part}.weight"]) for part in "qkv"]
    assert np.array_equal(other.dense().numpy(), np.concatenate(parts))


def test_a_scale_that_is_not_finite_is_an_error_with_the_tensor(tmp_path):
    tensors = quantised(dit_state(), Kind.Q8_0)
    tensors["layers.1.attention.out.weight"][0][7, 1] = 0x7F  # NaN
    path = write(tmp_path / "a.gguf", tensors)
    for decode in (False, True):
        with pytest.raises(WeightsError, match=r"layers\.1\.attention\.out\.weight contains NaN"):
            load_transformer(path, decode=decode)
    assert not verify(path).ok


def test_a_format_that_only_the_package_decodes_says_so_where_it_is_missing(tmp_path, monkeypatch):
    path = write(tmp_path / "a.gguf", wide("IQ2_XXS"), fields=axes)
    assert isinstance(load_transformer(path).module.layers[0].attention.qkv, CompressedLinear)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="IQ2_XXS"):
        load_transformer(path)


AXES = (8, 12, 12)


def axes(writer):
    """Heads of 32 have no equal thirds: our own field says how they are split."""
    writer.add_string("newbie.config", json.dumps({"axes_dims": AXES}))


def wide(name: str) -> dict:
    """A transformer of width 256 with random blocks of any format."""
    config = dataclasses.replace(WIDE, dim=256, n_heads=8, axes_dims=AXES, multiple_of=256)
    block, rng = BY_NAME[name], np.random.default_rng(0)
    tensors = {}
    for key, tensor in NextDiT(config).state_dict().items():
        tensors[key] = np.full(tensor.shape, 0.01, np.float32)
        if key.endswith("qkv.weight"):
            rows = rng.integers(0, 256, (len(tensor), block.row_bytes(256)), dtype=np.uint8)
            for at in block.scales:
                rows.reshape(-1, block.bytes)[:, at + 1] = 0x20
            tensors[key] = (rows, Kind[name])
    return tensors


@pytest.mark.parametrize("name", ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS", "IQ3_S"])
def test_formats_of_256_are_used_as_the_package_decodes_them(tmp_path, name):
    tensors = wide(name)
    loaded = load_transformer(write(tmp_path / "a.gguf", tensors, fields=axes))
    assert loaded.config.axes_dims == AXES
    layer = loaded.module.layers[1].attention.qkv
    expected = torch.from_numpy(gguf.dequantize(*tensors["layers.1.attention.qkv.weight"]))
    assert torch.equal(layer.dense(), expected)
    x = torch.randn(2, 3, 256)
    assert torch.equal(layer(x), torch.nn.functional.linear(x, expected))


# ---- a text encoder


GEMMA_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}


def llama_names(state: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """As llama.cpp's converter writes a Gemma: its names, and one added to every norm."""
    found = {}
    for name, tensor in state.items():
        array = tensor.float().numpy()
        if name.endswith("norm.weight"):
            array = array + 1
        plain = name.removesuffix(".weight")
        if plain == "embed_tokens":
            theirs = "token_embd"
        elif plain == "norm":
            theirs = "output_norm"
        else:
            _, number, rest = plain.split(".", 2)
            theirs = f"blk.{number}.{GEMMA_NAMES[rest]}"
        found[f"{theirs}.weight"] = array
    return found


def gemma_fields(config):
    def fields(writer):
        writer.add_block_count(config["num_hidden_layers"])
        writer.add_embedding_length(config["hidden_size"])
        writer.add_feed_forward_length(config["intermediate_size"])
        writer.add_head_count(config["num_attention_heads"])
        writer.add_head_count_kv(config["num_key_value_heads"])
        writer.add_key_length(config["head_dim"])
        writer.add_sliding_window(config["sliding_window"])
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
        writer.add_rope_freq_base(config["rope_theta"])
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(config["rope_factor"])

    return fields


@pytest.fixture
def gemma(golden):
    state = {n.removeprefix("model."): t for n, t in load_file(golden / "gemma_tiny_weights.safetensors").items()}
    config = json.loads((golden / "gemma_tiny_weights.json").read_text(encoding="utf-8"))["config"]
    return state, config


def test_the_names_of_the_architecture_are_llama_cpps_own():
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GEMMA3, 2)
    for ours, theirs in GEMMA_NAMES.items():
        assert names.get_name(f"model.layers.1.{ours}") == f"blk.1.{theirs}"
    assert names.get_name("model.embed_tokens") == "token_embd"
    assert names.get_name("model.norm") == "output_norm"


def test_a_gemma_in_llama_cpps_names_gives_the_golden_features(tmp_path, golden, gemma):
    state, config = gemma
    path = write(tmp_path / "a.gguf", llama_names(state), "gemma3", gemma_fields(config))
    loaded = load_gemma(path, tokenizer=False)
    assert loaded.report.layout == "llama.cpp" and loaded.report.complete
    assert {how for _, how in loaded.report.converted} == {"subtract one"}
    assert loaded.report.ignored and not loaded.report.unexpected
    ours = loaded.module.state_dict()
    for name, tensor in ours.items():
        assert torch.allclose(tensor, state[name], rtol=0, atol=2**-23), name  # one is added and taken off in float32
    io = load_file(golden / "gemma_tiny_io.safetensors")
    ids = next(t for name, t in io.items() if name.endswith("input_ids"))
    plain = load_gemma(golden / "gemma_tiny_weights.safetensors", tokenizer=False, config=config).module
    with torch.no_grad():
        assert torch.allclose(hidden_states(loaded.module, ids), hidden_states(plain, ids), atol=1e-5)


def test_what_shapes_cannot_tell_comes_from_the_fields(tmp_path, gemma):
    state, config = gemma
    path = write(tmp_path / "a.gguf", llama_names(state), "gemma3", gemma_fields(config | {"sliding_window": 9}))
    found = load_gemma(path, tokenizer=False).config
    assert (found.sliding_window, found.rope_factor, found.num_hidden_layers) == (9, 8.0, 7)
    assert found.rope_theta == 1e6 and found.rms_norm_eps == pytest.approx(1e-6)


def test_another_network_in_llama_cpps_names_is_named(tmp_path, gemma):
    path = write(tmp_path / "a.gguf", llama_names(gemma[0]), "gemma4")
    with pytest.raises(WeightsError, match="'gemma4', not Gemma 3"):
        load_gemma(path, tokenizer=False)
    tensors = {name: np.zeros((2, 2), np.float32) for name in ("blk.0.attn_q.weight", "token_embd.weight")}
    with pytest.raises(WeightsError, match="another language model"):
        load_gemma(write(tmp_path / "b.gguf", tensors, "llama"), tokenizer=False)


def test_a_quantised_table_of_words_is_looked_up_without_decoding_it(tmp_path, parts):
    state = parts["text_encoder"].module.state_dict()
    tensors = llama_names(state)
    for name, array in tensors.items():
        if array.ndim == 2 and array.shape[1] == 32:
            tensors[name] = (gguf.quantize(array, Kind.Q8_0), Kind.Q8_0)
    fields = gemma_fields({"num_hidden_layers": 3, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2,
                           "num_key_value_heads": 1, "head_dim": 16, "sliding_window": 8, "rms_norm_eps": 1e-6,
                           "rope_theta": 1e6, "rope_factor": 8.0})  # fmt: skip
    path = write(tmp_path / "a.gguf", tensors, "gemma3", fields)
    loaded = load_gemma(path, tokenizer=False, dtype=torch.bfloat16)
    plain = load_gemma(path, tokenizer=False, dtype=torch.bfloat16, decode=True)
    assert isinstance(loaded.module.embed_tokens, CompressedEmbedding)
    ids = torch.tensor([[5, 39, 5, 0]])
    assert torch.equal(loaded.module.embed_tokens(ids), plain.module.embed_tokens(ids))
    with torch.no_grad():
        assert torch.equal(hidden_states(loaded.module, ids), hidden_states(plain.module, ids))
    assert sum(isinstance(part, Compressed) for part in loaded.module.modules()) == len(loaded.report.compressed)


# ---- around it


def test_a_gguf_is_found_in_a_folder_inspected_verified_and_hashed(tmp_path):
    path = write(tmp_path / "newbie-Q8_0.gguf", quantised(dit_state(), Kind.Q8_0))
    assert candidates(tmp_path) == [(path,)]
    source = find("transformer", tmp_path)
    assert verify(path).ok and verify(path, quick=True).ok
    held = inspect(path).checkpoints[0].parts[0]
    assert held.loadable and held.dtypes.keys() == {"Q8_0", "float32"}
    before = hash_sources([source])
    tensors = quantised(dit_state(), Kind.Q8_0)
    tensors["layers.1.attention.out.weight"][0][3, 9] ^= 1
    write(path, tensors)
    assert hash_sources([source]) != before
    assert hash_sources([source], full=True) == hash_sources([source])


def test_a_gguf_that_was_split_is_one_checkpoint_and_half_of_it_is_none(tmp_path):
    tensors = quantised(dit_state(), Kind.Q8_0)
    names = list(tensors)
    halves = names[: len(names) // 2], names[len(names) // 2 :]
    for number, half in enumerate(halves, start=1):
        write(tmp_path / f"newbie-{number:05d}-of-00002.gguf", {name: tensors[name] for name in half})
    source = find("transformer", tmp_path)
    assert len(source.files) == 2
    assert load_transformer(source).report.complete
    with pytest.raises(WeightsError):
        load_transformer(source.files[0])
    source.files[1].unlink()
    with pytest.raises(WeightsError, match=r"00002-of-00002\.gguf: missing"):
        find("transformer", tmp_path)


def test_large_files_are_hashed_by_samples_of_their_blocks(tmp_path, monkeypatch):
    path = write(tmp_path / "a.gguf", quantised(dit_state(), Kind.Q8_0))
    monkeypatch.setattr("newbie.checkpoints.hashes.SAMPLED_FROM", 1)
    assert hash_sources([find("transformer", path)]).startswith("sampled:")


def test_a_gguf_is_known_by_its_content_whatever_it_is_called(tmp_path):
    path = write(tmp_path / "a.safetensors", {"x": np.zeros(1, np.float32)})
    assert open_weights(path).kind == "GGUF"
