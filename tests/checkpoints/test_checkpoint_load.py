"""Loading: identical tensors from every layout, golden outputs, nothing half, nothing silent, nothing twice."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from newbie.checkpoints import places
from newbie.checkpoints.load import load_gemma, load_jina, load_transformer, load_vae
from newbie.checkpoints.plan import plan_load, require_fit
from newbie.checkpoints.save import save_table, save_weights
from newbie.checkpoints.source import find
from newbie.checkpoints.translate import untranslate
from newbie.errors import WeightsError
from newbie.quant.fp8 import FORMATS
from newbie.text.gemma import build_gemma

from . import measure_load
from .conftest import FILES, GEMMA, LOADERS


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def golden_config(golden: Path, name: str) -> dict:
    return json.loads((golden / f"{name}.json").read_text(encoding="utf-8"))["config"]


@pytest.mark.parametrize("component", LOADERS)
def test_a_saved_part_loads_to_the_same_numbers_and_configuration(component, saved_model, parts):
    loaded = LOADERS[component](saved_model / FILES[component])
    assert same(loaded.module.state_dict(), parts[component].module.state_dict())
    assert loaded.config == parts[component].config
    assert loaded.report.complete and not loaded.report.converted and not loaded.report.unexpected
    assert not loaded.report.notes
    assert not loaded.module.training
    assert not any(parameter.requires_grad for parameter in loaded.module.parameters())


OTHER_LAYOUTS = [
    ("transformer", "diffusers", ""),
    ("transformer", "official", "model.diffusion_model."),
    ("transformer", "diffusers", "transformer."),
    ("text_encoder", "hugging face", "language_model.model."),
    ("clip", "merged", "model."),
    ("clip", "transformers", ""),
    ("vae", "original", ""),
    ("vae", "original", "first_stage_model."),
]


@pytest.mark.parametrize(("component", "layout", "prefix"), OTHER_LAYOUTS)
def test_every_layout_loads_to_identical_tensors_from_a_single_file(tmp_path, parts, component, layout, prefix):
    part = parts[component]
    state = dict(part.module.state_dict())
    path = tmp_path / "single.safetensors"
    save_weights(path, state, component, part.config, layout=layout, prefix=prefix)
    options = {} if component in ("transformer", "vae") else {"tokenizer": False}
    loaded = LOADERS[component](path, **options)
    if layout == "diffusers" and component == "transformer":
        state["norm_final.weight"] = torch.ones_like(state["norm_final.weight"])
        assert loaded.report.filled == ("norm_final.weight",)
    assert same(loaded.module.state_dict(), state)
    assert loaded.config == part.config
    assert loaded.report.prefix == prefix


@pytest.mark.parametrize("name", ["dit_clip_gqa", "dit_noclip_mha"])
def test_golden_transformers_load_tensor_for_tensor(golden, name):
    path = golden / f"{name}_weights.safetensors"
    loaded = load_transformer(path, config=golden_config(golden, f"{name}_weights"))
    assert same(loaded.module.state_dict(), load_file(path))


def test_the_golden_gemma_loads_without_its_last_layer_and_final_norm(golden):
    path = golden / "gemma_tiny_weights.safetensors"
    loaded = load_gemma(path, config=golden_config(golden, "gemma_tiny_weights"), tokenizer=False)
    expected = {name.removeprefix("model."): tensor for name, tensor in load_file(path).items()}
    state = loaded.module.state_dict()
    assert all(torch.equal(state[name], expected[name]) for name in state)
    unused = expected.keys() - state.keys()
    assert unused == set(loaded.report.ignored) and "norm.weight" in unused
    assert all(name.startswith(("layers.6.", "norm.")) for name in unused)


@pytest.mark.parametrize("layout", ["original", "merged"])
def test_both_golden_jina_files_give_the_golden_pooled_vectors(golden, layout):
    name = f"jina_tiny_weights_{layout}"
    loaded = load_jina(golden / f"{name}.safetensors", config=golden_config(golden, name), tokenizer=False)
    io = load_file(golden / "jina_tiny_io.safetensors")
    ids = next(tensor for key, tensor in io.items() if key.endswith("input_ids"))
    pooled = next(tensor for key, tensor in io.items() if key.endswith("pooled"))
    assert torch.allclose(loaded.module.pooled(ids), pooled, atol=1e-5)
    assert "logit_scale" in loaded.report.ignored
    assert bool(loaded.report.converted) == (layout == "original")


# ---- nothing half, nothing silent


@pytest.fixture
def edit(model):
    """edit(component, change): rewrite the weights of one part after change(tensors)."""

    def change(component, alter, metadata=None):
        path = model / FILES[component]
        tensors = load_file(path)
        alter(tensors)
        save_file(tensors, path, metadata)
        return path

    return change


@pytest.mark.parametrize(
    ("component", "name"),
    [
        ("transformer", "layers.1.feed_forward.w2.weight"),
        ("text_encoder", "layers.1.mlp.up_proj.weight"),
        ("clip", "encoder.layers.1.norm2.bias"),
        ("vae", "encoder.mid_block.attentions.0.to_q.bias"),
    ],
)
def test_a_missing_tensor_is_an_error_with_its_name(edit, component, name):
    path = edit(component, lambda tensors: tensors.pop(name))
    with pytest.raises(WeightsError, match=rf"1 of \d+ tensors .* missing: {name}"):
        LOADERS[component](path)


def test_a_missing_final_norm_is_normal_and_told(edit, parts):
    loaded = load_transformer(edit("transformer", lambda tensors: tensors.pop("norm_final.weight")))
    assert loaded.report.filled == ("norm_final.weight",)
    assert torch.equal(loaded.module.state_dict()["norm_final.weight"], torch.ones(36))
    assert any("filled in: norm_final.weight" in line for line in loaded.report.lines())


def test_a_wrong_shape_is_an_error_with_both_shapes(edit):
    def shorten(tensors):
        tensors["layers.1.ffn_norm1.weight"] = torch.ones(35)

    with pytest.raises(WeightsError, match=r"layers\.1\.ffn_norm1\.weight has the shape \[35\], expected \[36\]"):
        load_transformer(edit("transformer", shorten))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("component", LOADERS)
def test_one_number_that_is_not_finite_is_an_error_with_the_tensor(edit, component, value):
    names = []

    def spoil(tensors):
        names.append(max(tensors, key=lambda name: tensors[name].numel()))
        tensors[names[0]].view(-1)[-1] = value

    with pytest.raises(WeightsError, match="NaN or infinity") as caught:
        LOADERS[component](edit(component, spoil))
    assert names[0] in caught.value.message and ".safetensors" in caught.value.message


def test_numbers_beyond_a_narrow_format_are_told_from_a_damaged_file(edit):
    def enlarge(tensors):
        tensors["x_embedder.bias"] = torch.full((36,), 1e6)

    path = edit("transformer", enlarge)
    with pytest.raises(WeightsError, match=r"x_embedder\.bias has numbers too large for float16") as caught:
        load_transformer(path, dtype=torch.float16)
    assert "bf16" in caught.value.hint
    assert load_transformer(path, dtype=torch.bfloat16).report.complete


def test_unknown_tensors_are_listed_and_known_extras_are_told_apart(edit):
    def add(tensors):
        tensors["surprise.weight"] = torch.ones(1)
        tensors["clip_img_pooled_embedder.0.weight"] = torch.ones(1)

    report = load_transformer(edit("transformer", add)).report
    assert report.unexpected == ("surprise.weight",)
    assert report.ignored == ("clip_img_pooled_embedder.0.weight",)
    assert any("unexpected, not used: surprise.weight" in line for line in report.lines())


def test_the_extras_of_published_text_encoders_are_ignored(edit):
    def add(tensors):
        for name in ("vision_tower.x", "multi_modal_projector.y", "lm_head.weight", "norm.weight", "layers.2.z.weight"):
            tensors[name] = torch.ones(1)

    assert len(load_gemma(edit("text_encoder", add)).report.ignored) == 5

    def add_clip(tensors):
        tensors |= {"vision_model.x": torch.ones(1), "logit_scale": torch.ones(())}

    assert len(load_jina(edit("clip", add_clip)).report.ignored) == 2


@pytest.mark.parametrize(
    ("component", "raw"),
    [
        ("transformer", {"axes_dims": [4, 4, 4], "ffn_dim_multiplier": math.inf}),
        ("transformer", {"axes_dims": [4, 4, 4], "norm_eps": {}}),
        ("text_encoder", {"rms_norm_eps": 1e-6, "rope_scaling": math.inf}),
        ("text_encoder", {"rms_norm_eps": 1e-6, "rope_parameters": {"rope_type": "linear"}}),
        ("text_encoder", {"rms_norm_eps": 1e-6, "num_hidden_layers": 3, "layer_types": 3}),
        ("clip", {"rotary_base": "fast"}),
        ("vae", {"block_out_channels": 3, "norm_num_groups": [1]}),
    ],
)
def test_a_config_that_is_wrong_in_any_way_is_named_not_a_crash(model, component, raw):
    path = model / FILES[component]
    (path.parent / "config.json").write_text(json.dumps(raw))
    with pytest.raises(WeightsError, match="safetensors: ") as caught:
        LOADERS[component](path)
    assert caught.value.hint


def test_every_tensor_of_the_file_and_of_the_model_is_in_exactly_one_list(edit):
    path = edit("transformer", lambda tensors: tensors.update({"surprise": torch.ones(1)}))
    plan = plan_load(find("transformer", path))
    report = plan.report
    of_model = [*report.matched, *(name for name, _ in report.converted), *report.missing, *report.filled]
    assert sorted(of_model) == sorted(plan.module.state_dict())
    assert sorted([*report.matched, *report.unexpected, *report.ignored]) == sorted(plan.index)


def test_another_part_than_asked_for_is_named(saved_model):
    with pytest.raises(WeightsError, match=r"holds the autoencoder.*not the transformer"):
        load_transformer(saved_model / FILES["vae"])


def test_parts_of_different_models_do_not_fit(parts):
    configs = {component: part.config for component, part in parts.items()}
    with pytest.raises(WeightsError, match=r"text encoder.*makes caption features of 32, .* with 2560"):
        require_fit(configs | {"transformer": dataclasses.replace(configs["transformer"], cap_feat_dim=2560)})


# ---- number formats and devices


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_are_cast_exactly_once(saved_model, dtype):
    path = saved_model / FILES["transformer"]
    loaded = load_transformer(path, dtype=dtype)
    for name, tensor in load_file(path).items():
        assert torch.equal(loaded.module.state_dict()[name], tensor.to(dtype))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("layout", ["official", "diffusers"])
def test_a_plain_fp8_cast_is_cast_up_where_that_is_asked_for(tmp_path, parts, kind, layout):
    config = parts["transformer"].config
    state = {n: t.to(kind) if t.ndim == 2 else t for n, t in parts["transformer"].module.state_dict().items()}
    theirs = untranslate({n: t.float() for n, t in state.items()}, save_table("transformer", layout, config))
    save_file({n: t.to(kind).contiguous() if t.ndim == 2 else t for n, t in theirs.items()}, tmp_path / "a.safetensors")
    loaded = load_transformer(tmp_path / "a.safetensors", decode=True).module.state_dict()
    assert all(torch.equal(loaded[n], t.float()) for n, t in state.items() if n != "norm_final.weight")


@pytest.mark.parametrize("spelling", ["scale_weight", "weight_scale"])
def test_scaled_fp8_is_multiplied_out_and_reported_where_that_is_asked_for(edit, spelling):
    name, scale = "layers.0.feed_forward.w1", torch.tensor(0.25)
    whole = {}

    def quantise(tensors):
        weight = (tensors[f"{name}.weight"].float() / scale).to(torch.float8_e4m3fn)
        whole[name] = weight.float() * scale
        tensors |= {f"{name}.weight": weight, f"{name}.{spelling}": scale, f"{name}.input_scale": torch.ones(())}
        if spelling == "weight_scale":
            text = b'{"format": "float8_e4m3fn"}'
            tensors[f"{name}.comfy_quant"] = torch.tensor(list(text), dtype=torch.uint8)
        else:
            tensors["scaled_fp8"] = torch.zeros(2, dtype=torch.float8_e4m3fn)

    loaded = load_transformer(edit("transformer", quantise), decode=True)
    assert torch.equal(loaded.module.state_dict()[f"{name}.weight"], whole[name])
    assert loaded.report.converted == ((f"{name}.weight", "rescale fp8"),)
    assert not loaded.report.unexpected


@pytest.mark.parametrize("how", ["per row", "another format", "not fp8"])
def test_other_quantisations_are_refused_by_the_tensor(edit, how):
    name = "layers.0.feed_forward.w1"

    def quantise(tensors):
        tensors[f"{name}.weight"] = tensors[f"{name}.weight"].to(
            torch.int8 if how == "not fp8" else torch.float8_e4m3fn
        )
        tensors[f"{name}.weight_scale"] = torch.ones(5 if how == "per row" else 1)
        form = "nvfp4" if how == "another format" else "float8_e4m3fn"
        tensors[f"{name}.comfy_quant"] = torch.tensor(list(b'{"format": "%s"}' % form.encode()), dtype=torch.uint8)

    with pytest.raises(WeightsError, match=r"layers\.0\.feed_forward\.w1"):
        load_transformer(edit("transformer", quantise))


@pytest.mark.parametrize("text", [b"[" * 4000, b" " * 100_000, b"no JSON"], ids=["deep", "long", "not JSON"])
def test_a_hostile_word_on_the_format_is_refused_by_the_tensor(edit, text):
    def quantise(tensors):
        tensors["layers.0.feed_forward.w1.comfy_quant"] = torch.tensor(list(text), dtype=torch.uint8)

    with pytest.raises(WeightsError, match=r"layers\.0\.feed_forward\.w1\.comfy_quant is not readable JSON"):
        load_transformer(edit("transformer", quantise))


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8])
def test_whole_numbers_without_a_scale_are_refused_by_the_tensor(edit, kind):
    def quantise(tensors):
        name = "layers.0.feed_forward.w1.weight"
        tensors[name] = (tensors[name] * 100).to(kind)

    with pytest.raises(WeightsError, match=r"layers\.0\.feed_forward\.w1\.weight is stored as u?int8"):
        load_transformer(edit("transformer", quantise))


# ---- pickles, several files, tokenizers


def test_a_pickled_training_checkpoint_loads_to_identical_tensors(tmp_path, parts):
    state = dict(parts["transformer"].module.state_dict())
    torch.save({"model": state}, tmp_path / "consolidated.00-of-01.pth")
    loaded = load_transformer(tmp_path, allow_pickle=True)
    assert same(loaded.module.state_dict(), state)
    with pytest.raises(WeightsError, match="only read when asked for"):
        load_transformer(tmp_path)


def test_averaged_weights_are_preferred_to_raw_ones(tmp_path, parts):
    state = dict(parts["transformer"].module.state_dict())
    save_file({name: tensor + 1 for name, tensor in state.items()}, tmp_path / "consolidated.00-of-01.safetensors")
    save_file(state, tmp_path / "consolidated_ema.00-of-01.safetensors")
    (tmp_path / "model_args.pth").write_bytes(b"\x80\x02not to be opened")
    assert same(load_transformer(tmp_path).module.state_dict(), state)


def test_two_files_that_hold_one_part_together_load_as_one(tmp_path, saved_model, parts):
    tensors = load_file(saved_model / FILES["vae"])
    for half in ("encoder", "decoder"):
        save_file({n: t for n, t in tensors.items() if n.startswith(half)}, tmp_path / f"{half}.safetensors")
    halves = [tmp_path / "decoder.safetensors", tmp_path / "encoder.safetensors"]
    loaded = load_vae(halves, config={"norm_num_groups": 8})
    assert same(loaded.module.state_dict(), parts["vae"].module.state_dict())
    with pytest.raises(WeightsError, match="missing: encoder"):
        load_vae(halves[0], config={"norm_num_groups": 8})


def test_a_folders_tokenizer_comes_with_its_text_encoder(saved_model):
    words = load_gemma(saved_model / "text_encoder").tokenizer
    assert words.encode("blue hair").ids == [0, 3, 4]
    pooled = load_jina(saved_model / "clip_model").tokenizer
    assert pooled.encode("blue hair").ids == [0, 4, 5, 2]


def test_a_missing_tokenizer_is_an_error_before_the_weights_are_read(model):
    (model / "text_encoder" / "tokenizer.json").unlink()
    with pytest.raises(WeightsError, match="no tokenizer") as caught:
        load_gemma(model / "text_encoder")
    assert "tokenizer.json" in caught.value.hint
    with pytest.raises(WeightsError, match="without a tokenizer"):
        load_gemma(model / "text_encoder", tokenizer=False).tokenizer  # noqa: B018


def test_a_tokenizer_folder_beside_the_model_is_found(model):
    (model / "tokenizer_2").mkdir()
    (model / "clip_model" / "tokenizer.json").rename(model / "tokenizer_2" / "tokenizer.json")
    assert load_jina(model / "clip_model").tokenizer.pad_id == 1


def test_an_embedded_sentencepiece_model_is_the_tokenizer(edit, tmp_path):
    sentencepiece = pytest.importorskip("sentencepiece")
    text = tmp_path / "text.txt"
    text.write_text("blue hair girl smile\n" * 20)
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(tmp_path / "sp"), vocab_size=24, model_type="bpe", minloglevel=2,
        pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", bos_piece="<bos>", eos_piece="<eos>",
    )  # fmt: skip
    data = torch.tensor(list((tmp_path / "sp.model").read_bytes()), dtype=torch.uint8)
    path = edit("text_encoder", lambda tensors: tensors.update(spiece_model=data))
    (path.parent / "tokenizer.json").unlink()
    loaded = load_gemma(path)
    assert loaded.tokenizer.encode("blue hair").ids[0] == 2
    assert "spiece_model" in loaded.report.ignored


def test_a_single_number_is_no_sentencepiece_model(edit):
    path = edit("text_encoder", lambda tensors: tensors.update(spiece_model=torch.tensor(1.0)))
    with pytest.raises(WeightsError, match="its own tokenizer is no SentencePiece model"):
        load_gemma(path)


# ---- memory


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("large") / "w.safetensors"
    measure_load.write(path)
    return path


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs the memory counters of Linux")
@pytest.mark.parametrize(("how", "dtype", "copies"), [("read", "float32", 1), ("mapped", "bfloat16", 0)])
def test_a_load_never_holds_two_copies_of_the_model(how, dtype, copies, large):
    """Peak memory of a process grows by one model; by next to nothing where the file's own pages are used."""
    script = [sys.executable, measure_load.__file__, str(large), how, dtype]
    grown, model = map(float, subprocess.check_output(script, text=True).split())
    assert grown < copies * model + 24  # MiB; a second copy, in the format of the file, would be 97 more


def test_a_mapped_model_equals_a_read_one(monkeypatch, saved_model, parts):
    monkeypatch.setattr(places, "MAP_FROM", 1)
    monkeypatch.setattr(places, "MAP_TENSOR_FROM", 1)
    loaded = load_transformer(saved_model / FILES["transformer"], dtype=torch.bfloat16)
    expected = {name: tensor.bfloat16() for name, tensor in parts["transformer"].module.state_dict().items()}
    assert same(loaded.module.state_dict(), expected)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="this system does not tell")
def test_looking_at_a_table_does_not_keep_it_in_memory(monkeypatch, tmp_path):
    """All numbers are looked at while loading, but of a table of words only a few rows are used."""
    config = dataclasses.replace(GEMMA, vocab_size=40_000)
    path = tmp_path / "gemma.safetensors"
    state = {name: torch.ones(each.shape) for name, each in build_gemma(config).state_dict().items()}
    save_weights(path, state, "text_encoder", config)
    monkeypatch.setattr(places, "MAP_FROM", 1)
    module = load_gemma(path, tokenizer=False).module
    table = next(each for each in module.modules() if isinstance(each, torch.nn.Embedding))
    size = table.weight.nbytes
    assert size > 2**22 and resident_of(path) < size / 4
    table(torch.tensor([7, 39_999]))
    assert 0 < resident_of(path) < size / 4
    table.weight.sum()
    assert resident_of(path) >= size  # so it is measured rightly


def resident_of(path: Path) -> int:
    """Bytes of a file that are in this process's memory as its mapped pages."""
    found, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            ours = line.endswith(str(path))
        elif ours and line.startswith("Rss:"):
            found += 1024 * int(line.split()[1])
    return found
