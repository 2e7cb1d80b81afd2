"""Converting weights: the same numbers in every layout and container, the right bytes, and nothing half."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import weakref
from collections import Counter
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from newbie.checkpoints import header, inspect, locate, origin, outgoing, stream, verify
from newbie.checkpoints.convert import convert, main
from newbie.checkpoints.gguf import open_gguf
from newbie.checkpoints.load import load_gemma, load_jina, load_transformer
from newbie.checkpoints.plan import plan_load
from newbie.checkpoints.save import save_weights
from newbie.checkpoints.source import Source
from newbie.errors import MissingExtra, OutputError, UsageError, WeightsError
from newbie.model.config import VARIANTS
from newbie.model.nextdit import NextDiT
from newbie.quant.ggml import BY_NAME, WRITABLE
from newbie.quant.layers import Compressed
from newbie.text.gemma import hidden_states

from .conftest import FILES, LOADERS, WIDE


def same(a, b):
    """Equal numbers; a norm that has had one added to it in float32 may have lost its last bits."""
    return a.keys() == b.keys() and all(torch.allclose(a[name], b[name], rtol=0, atol=2**-24) for name in a)


def used(state, filled):
    return {name: tensor for name, tensor in state.items() if name not in filled}


def load(component: str, path: Path, **more):
    options = {} if component in ("transformer", "vae") else {"tokenizer": False}
    return LOADERS[component](path, **options, **more)


def numbers(module):
    found = {f"{n}.weight": part.dense() for n, part in module.named_modules() if isinstance(part, Compressed)}
    return found | {name: tensor.float() for name, tensor in module.named_parameters()}


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> Path:
    """Read only: a transformer in bf16."""
    torch.manual_seed(0)
    state = {n: (torch.randn(t.shape) * 0.05).bfloat16() for n, t in NextDiT(WIDE).state_dict().items()}
    path = tmp_path_factory.mktemp("wide") / "wide.safetensors"
    save_weights(path, state, "transformer", WIDE)
    return path


# ---- the same numbers


@pytest.mark.parametrize("layout", ["official", "diffusers", "comfyui", "gguf"])
@pytest.mark.parametrize("component", FILES)
def test_every_part_keeps_its_numbers_in_every_layout(tmp_path, saved_model, parts, component, layout):
    target = tmp_path / ("a.gguf" if layout == "gguf" else "a.safetensors")
    done = convert(saved_model / FILES[component], target, layout=layout)
    loaded = load(component, target)
    state = dict(parts[component].module.state_dict())
    if (component, layout) == ("transformer", "diffusers"):  # which has no place for what nothing uses
        assert loaded.report.filled == ("norm_final.weight",)
        state["norm_final.weight"] = torch.ones_like(state["norm_final.weight"])
    assert same(loaded.module.state_dict(), state)
    assert loaded.config == parts[component].config
    assert not loaded.report.unexpected and not loaded.report.compressed
    assert sum(done.sizes) == target.stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == [target.name]  # nothing else is left


@pytest.mark.parametrize("layout", ["official", "diffusers", "comfyui", "gguf"])
def test_a_whole_model_becomes_a_folder_that_is_found_and_whole(tmp_path, saved_model, parts, layout):
    done = convert(saved_model, tmp_path / "new", layout=layout)
    assert len(done.files) == 4 and not any("tokenizer" in note for note in done.notes)
    found = locate(tmp_path / "new")
    for component, source in found.sources().items():
        loaded = LOADERS[component](source)  # with its tokenizer
        filled = loaded.report.filled
        expected = parts[component].module.state_dict()
        assert same(used(loaded.module.state_dict(), filled), used(expected, filled))
    assert verify(tmp_path / "new").ok
    assert (
        layout == "comfyui"
        or (tmp_path / "new" / "model_index.json").read_text() == (saved_model / "model_index.json").read_text()
    )
    assert (tmp_path / "new" / "newbie.json").read_bytes() == (saved_model / "newbie.json").read_bytes()


def test_a_whole_model_becomes_one_comfyui_file_and_comes_back(tmp_path, saved_model, parts):
    done = convert(saved_model, tmp_path / "all.safetensors", layout="comfyui")
    assert any("no tokenizer of the text encoder" in note for note in done.notes)
    assert load_file(tmp_path / "all.safetensors").keys() >= {"model.diffusion_model.norm_final.weight"}
    for component, source in locate(tmp_path / "all.safetensors").sources().items():
        options = {} if component in ("transformer", "vae") else {"tokenizer": False}
        loaded = LOADERS[component](source, **options)
        assert loaded.config == parts[component].config  # each has its own in the file
        assert same(loaded.module.state_dict(), parts[component].module.state_dict())
    done = convert(tmp_path / "all.safetensors", tmp_path / "back")
    assert [note for note in done.notes if "there was no tokenizer of the text encoder" in note]
    for component, file in FILES.items():
        back, first = load_file(tmp_path / "back" / file), load_file(saved_model / file)
        assert back.keys() == first.keys() and all(torch.equal(back[name], first[name]) for name in back), component


def test_tokenizers_are_kept_beside_one_file_of_everything_as_its_notes_say(tmp_path, saved_model):
    whole = tmp_path / "all.safetensors"
    done = convert(saved_model, whole, layout="comfyui")
    assert not verify(whole).ok
    for part, folder in (("text_encoder", "tokenizer"), ("clip_model", "tokenizer_2")):
        assert any(note.endswith(f"keep its files in a folder {folder} beside it") for note in done.notes)
        (tmp_path / folder).mkdir()
        shutil.copyfile(saved_model / part / "tokenizer.json", tmp_path / folder / "tokenizer.json")
    (tmp_path / "tokenizer.json").write_text("{}")  # of whatever else lies here
    assert verify(whole).ok
    for part, load_encoder in (("text_encoder", load_gemma), ("clip_model", load_jina)):
        ids = [load_encoder(place).tokenizer.encode("blue hair").ids for place in (whole, saved_model / part)]
        assert ids[0] == ids[1]


def test_there_and_back_through_gguf_gives_the_very_same_file(tmp_path, saved_model):
    first = saved_model / FILES["transformer"]
    convert(first, tmp_path / "a.gguf")
    convert(tmp_path / "a.gguf", tmp_path / "b.safetensors", type="bf16")
    assert (tmp_path / "b.safetensors").read_bytes() == first.read_bytes()


def test_the_golden_jina_is_merged_on_its_way(tmp_path, golden):
    config = json.loads((golden / "jina_tiny_weights_original.json").read_text(encoding="utf-8"))["config"]
    source = tmp_path / "source"
    source.mkdir()
    shutil.copy(golden / "jina_tiny_weights_original.safetensors", source / "model.safetensors")
    (source / "config.json").write_text(json.dumps(config))
    convert(source, tmp_path / "merged.safetensors")
    merged = load_jina(tmp_path / "merged.safetensors", tokenizer=False).module.state_dict()
    expected = load_jina(source, tokenizer=False).module.state_dict()
    assert same(merged, expected)


def test_a_gemma_keeps_its_last_layer_and_leaves_its_picture_encoder(tmp_path, golden):
    state = load_file(golden / "gemma_tiny_weights.safetensors")
    config = json.loads((golden / "gemma_tiny_weights.json").read_text(encoding="utf-8"))["config"]
    source = tmp_path / "source"
    source.mkdir()
    save_file(state | {"vision_tower.x": torch.ones(2)}, source / "model.safetensors")
    (source / "config.json").write_text(json.dumps(config | {"model_type": "gemma3_text"}))
    done = convert(source, tmp_path / "a.gguf", parts=["text_encoder"])
    assert done.left == ["vision_tower.x"] and "left out" in "\n".join(done.lines())
    index = open_gguf(tmp_path / "a.gguf")
    assert "output_norm.weight" in index and "blk.6.attn_q.weight" in index
    assert index.metadata["gemma3.block_count"] == "7"
    io = load_file(golden / "gemma_tiny_io.safetensors")
    ids = next(tensor for name, tensor in io.items() if name.endswith("input_ids"))
    models = [load_gemma(path, tokenizer=False).module for path in (source, tmp_path / "a.gguf")]
    with torch.no_grad():
        assert torch.allclose(*(hidden_states(model, ids) for model in models), atol=1e-5)


# ---- GGUF


@pytest.mark.parametrize("name", WRITABLE)
def test_blocks_are_the_packages_own_bytes_and_the_package_reads_the_file(tmp_path, wide, name):
    convert(wide, tmp_path / "a.gguf", type=name)
    state = load_file(wide)
    reader = gguf.GGUFReader(tmp_path / "a.gguf")
    assert {tensor.name for tensor in reader.tensors} == state.keys()
    quantised = 0
    for tensor in reader.tensors:
        whole = state[tensor.name].float().numpy()
        assert tuple(reversed(tensor.shape)) == whole.shape
        if tensor.tensor_type.name == name:
            expected = gguf.quantize(whole, tensor.tensor_type)
            quantised += 1
        elif tensor.tensor_type.name == "BF16":
            expected = state[tensor.name].view(torch.uint8).numpy()
        else:
            assert tensor.tensor_type.name == "F32" and (whole.ndim == 1 or whole.size <= 1024)
            expected = whole
        assert np.array_equal(tensor.data.reshape(-1).view(np.uint8), expected.reshape(-1).view(np.uint8)), tensor.name
    width = BY_NAME[name].numbers
    assert quantised == (20 if width == 32 else 0)  # qkv, out, w1, w2, w3 of four blocks, where rows are whole blocks
    fields = {key: field.contents() for key, field in reader.fields.items()}
    assert fields["general.architecture"] == "lumina2" and fields["general.quantization_version"] == 2
    assert json.loads(fields["newbie.config"])["dim"] == 96
    numbers = Counter()
    for tensor in reader.tensors:
        numbers[tensor.tensor_type.name] += tensor.n_elements
    kinds = {kind.name.removeprefix("MOSTLY_").removesuffix("_MOE"): kind for kind in gguf.LlamaFileType}
    assert fields["general.file_type"] == kinds[numbers.most_common(1)[0][0]]


def test_what_keeps_16_bits_and_what_more_may_be_named(tmp_path, wide):
    convert(wide, tmp_path / "a.gguf", type="Q8_0")
    kinds = {name: entry.format for name, entry in open_gguf(tmp_path / "a.gguf").entries.items()}
    assert {kinds[name] for name in ("x_embedder.weight", "layers.0.adaLN_modulation.1.weight")} == {"bfloat16"}
    assert kinds["layers.1.feed_forward.w2.weight"] == "Q8_0"
    convert(wide, tmp_path / "b.gguf", type="Q8_0", skip=["w2", "refiner"])
    kinds = {name: entry.format for name, entry in open_gguf(tmp_path / "b.gguf").entries.items()}
    assert kinds["layers.1.feed_forward.w2.weight"] == kinds["noise_refiner.0.attention.out.weight"] == "bfloat16"
    assert kinds["layers.1.feed_forward.w1.weight"] == "Q8_0"


def test_blocks_that_stay_are_copied_bit_for_bit(tmp_path, wide):
    convert(wide, tmp_path / "a.gguf", type="Q5_0")
    convert(tmp_path / "a.gguf", tmp_path / "b.gguf")
    assert (tmp_path / "b.gguf").read_bytes() == (tmp_path / "a.gguf").read_bytes()


def test_blocks_become_plain_numbers_where_that_is_asked_for(tmp_path, wide):
    convert(wide, tmp_path / "a.gguf", type="Q4_1")
    convert(tmp_path / "a.gguf", tmp_path / "b.safetensors", type="float32", layout="diffusers")
    plain, packed = load_transformer(tmp_path / "b.safetensors"), load_transformer(tmp_path / "a.gguf")
    expected = numbers(packed.module)
    assert all(
        torch.equal(tensor, expected[n]) for n, tensor in numbers(plain.module).items() if n != "norm_final.weight"
    )
    assert not plain.report.compressed and packed.report.compressed


def test_a_file_of_blocks_has_the_size_that_its_format_promises(tmp_path, wide):
    done = convert(wide, tmp_path / "a.gguf", type="Q4_0")
    blocks = sum(t.numel() for n, t in load_file(wide).items() if open_gguf(tmp_path / "a.gguf")[n].format == "Q4_0")
    assert done.formats[0]["Q4_0"] == blocks // 32 * 18


# Gigabytes of the 3.5B transformer: 16 bits for what is skipped, the modulations among it (0.75), and its blocks.
RELEASE = {"bf16": 6.97, "fp8": 3.86, "Q8_0": 4.06, "Q5_0": 2.89, "Q4_0": 2.50}


def test_the_release_has_the_size_of_the_accounting_in_every_format(tmp_path):
    config = VARIANTS["NextDiT_3B_GQA_patch2_Adaln_Refiner_WHIT_CLIP"]
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in NextDiT(config).state_dict().items()}
    places = header.arranged({name: (torch.bfloat16, shape) for name, shape in shapes.items()})
    path = tmp_path / "release.safetensors"
    with path.open("wb") as file:
        head = header.header_bytes(places, {})
        file.write(head)
        file.truncate(len(head) + places[-1].stop)  # sparse: only the header is ever read
    plan = plan_load(Source("transformer", (path,), tmp_path))
    for kind, gigabytes in RELEASE.items():
        tensors = outgoing.outgoing(plan, "", "", outgoing.Wanted(kind, kind in WRITABLE))
        assert sum(tensor.nbytes for tensor in tensors) / 1e9 == pytest.approx(gigabytes, rel=0.01), kind


def test_only_the_package_writes_blocks_and_its_absence_is_told_first(tmp_path, wide, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="writing Q8_0"):
        convert(wide, tmp_path / "a.gguf", type="Q8_0")
    convert(wide, tmp_path / "b.gguf", type="bf16")
    assert not (tmp_path / "a.gguf").exists()


# ---- 8 bits


@pytest.mark.parametrize("kind", ["fp8", "fp8-scaled", "fp8-scaled-old"])
def test_eight_bits_are_loaded_as_they_were_written(tmp_path, wide, kind):
    convert(wide, tmp_path / "a.safetensors", type=kind)
    stored = load_file(tmp_path / "a.safetensors")
    name = "layers.0.feed_forward.w1"
    scale = {"fp8-scaled": "weight_scale", "fp8-scaled-old": "scale_weight"}.get(kind)
    factor = stored[f"{name}.{scale}"] if scale else torch.ones(())
    assert ("scaled_fp8" in stored) == (kind == "fp8-scaled-old")
    assert (f"{name}.comfy_quant" in stored) == (kind == "fp8-scaled")
    whole = load_file(wide)[f"{name}.weight"].float()
    if scale:
        assert torch.equal(factor, whole.abs().max() / 448)
    codes = (whole / factor).to(torch.float8_e4m3fn)
    assert torch.equal(stored[f"{name}.weight"].view(torch.uint8), codes.view(torch.uint8))
    loaded = load_transformer(tmp_path / "a.safetensors")
    assert torch.equal(numbers(loaded.module)[f"{name}.weight"], codes.float() * factor)
    assert len(loaded.report.compressed) == 20
    assert stored["x_embedder.weight"].dtype == torch.bfloat16


@pytest.mark.parametrize("kind", ["fp8", "fp8-scaled"])
@pytest.mark.parametrize("layout", ["official", "diffusers"])
def test_eight_bits_that_stay_are_copied(tmp_path, wide, kind, layout):
    convert(wide, tmp_path / "a.safetensors", type=kind)
    convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", layout=layout)
    first, second = (load_transformer(tmp_path / f"{n}.safetensors") for n in "ab")
    expected = numbers(first.module)
    assert all(torch.equal(t, expected[n]) for n, t in numbers(second.module).items() if n != "norm_final.weight")
    assert second.report.compressed == first.report.compressed
    if layout == "official":
        assert (tmp_path / "b.safetensors").read_bytes() == (tmp_path / "a.safetensors").read_bytes()


def test_the_two_spellings_of_a_scale_become_each_other_without_a_loss(tmp_path, wide):
    convert(wide, tmp_path / "a.safetensors", type="fp8-scaled")
    convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", type="fp8-scaled-old")
    convert(tmp_path / "b.safetensors", tmp_path / "c.safetensors", type="fp8-scaled")
    assert (tmp_path / "c.safetensors").read_bytes() == (tmp_path / "a.safetensors").read_bytes()


# ---- refusals


@pytest.mark.parametrize(
    ("target", "options", "said"),
    [
        ("a.safetensors", {"type": "Q8_0"}, "GGUF files only"),
        ("a.gguf", {"type": "fp8"}, "no 8-bit floats"),
        ("a.gguf", {"layout": "diffusers"}, "cannot have the layout diffusers"),
        ("a.safetensors", {"layout": "gguf"}, "cannot have the layout gguf"),
        ("a.safetensors", {"layout": "other"}, "no layout 'other'"),
        ("a.safetensors", {"type": "float64"}, "no type 'float64'"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, wide, target, options, said):
    with pytest.raises(UsageError, match=said):
        convert(wide, tmp_path / target, **options)
    assert not list(tmp_path.iterdir())


def test_several_parts_in_one_file_need_comfyuis_layout(tmp_path, saved_model):
    with pytest.raises(UsageError, match="4 parts"):
        convert(saved_model, tmp_path / "a.safetensors")
    convert(saved_model, tmp_path / "a.safetensors", parts=["vae"])
    with pytest.raises(WeightsError, match="holds no CLIP"):
        convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", parts=["clip"])


def test_a_format_that_the_target_does_not_have_must_be_decided(tmp_path, wide):
    convert(wide, tmp_path / "a.gguf", type="Q8_0")
    with pytest.raises(UsageError, match="Q8_0, which safetensors"):
        convert(tmp_path / "a.gguf", tmp_path / "b.safetensors")
    convert(wide, tmp_path / "a.safetensors", type="fp8")
    with pytest.raises(UsageError, match="float8_e4m3fn, which GGUF"):
        convert(tmp_path / "a.safetensors", tmp_path / "b.gguf")


def test_a_target_that_is_there_is_replaced_only_when_asked_for_and_never_the_source(tmp_path, wide):
    target = tmp_path / "a.safetensors"
    target.write_bytes(b"precious")
    with pytest.raises(UsageError, match="is there already"):
        convert(wide, target)
    assert target.read_bytes() == b"precious"
    convert(wide, target, overwrite=True)
    with pytest.raises(UsageError, match="is what is converted"):
        convert(target, target, overwrite=True)


@pytest.mark.parametrize(
    ("value", "kind", "said"), [(float("nan"), "bf16", "NaN"), (1e30, "fp16", "too large for fp16")]
)
def test_numbers_that_cannot_be_written_are_named_and_nothing_is_there(tmp_path, wide, value, kind, said):
    state = load_file(wide)
    state["layers.1.attention.out.weight"][3, 4] = value
    save_file(state, tmp_path / "bad.safetensors")
    with pytest.raises(WeightsError, match=rf"layers\.1\.attention\.out\.weight.*{said}"):
        convert(tmp_path / "bad.safetensors", tmp_path / "a.safetensors", type=kind)
    assert not (tmp_path / "a.safetensors").exists()


def test_a_folder_with_another_model_keeps_its_configuration(tmp_path, wide):
    convert(wide, tmp_path / "model")
    config = tmp_path / "model" / "transformer" / "config.json"
    config.write_text("{}")
    with pytest.raises(UsageError, match=r"config\.json is there already") as refused:
        convert(wide, tmp_path / "model", layout="gguf")  # a file of another name, beside the same configuration
    assert "--overwrite" in str(refused.value.hint) and config.read_text() == "{}"
    assert [path.suffix for path in config.parent.iterdir() if path != config] == [".safetensors"]
    convert(wide, tmp_path / "model", layout="gguf", overwrite=True)
    assert config.read_text() != "{}"


def test_half_a_model_is_not_converted(tmp_path, wide):
    state = load_file(wide)
    del state["layers.1.attention.out.weight"]
    save_file(state, tmp_path / "half.safetensors")
    with pytest.raises(WeightsError, match=r"missing: layers\.1\.attention\.out\.weight"):
        convert(tmp_path / "half.safetensors", tmp_path / "a.safetensors")


# ---- interruptions


@pytest.fixture
def whole(tmp_path, wide) -> bytes:
    """The file that one run without interruption writes."""
    convert(wide, tmp_path / "whole.gguf", type="Q8_0")
    return (tmp_path / "whole.gguf").read_bytes()


class Stopped(Exception):
    pass


def stop_after(count: int):
    """Progress is told ten times a file; stop when it was told so many times."""
    seen = []

    def tell(text: str) -> None:
        seen.append(text)
        if len(seen) > count:
            raise Stopped

    return tell


def test_an_interrupted_conversion_goes_on_where_it_was_and_makes_the_same_file(tmp_path, wide, whole):
    target = tmp_path / "a.gguf"
    with pytest.raises(Stopped):
        convert(wide, target, type="Q8_0", on_progress=stop_after(5))
    assert not target.exists() and target.with_name(".a.gguf.part").exists()
    done = convert(wide, target, type="Q8_0")
    assert done.continued[0] > 20 and "from an earlier run" in "\n".join(done.lines())
    assert target.read_bytes() == whole
    assert not list(tmp_path.glob(".a*"))


def test_two_conversions_into_one_target_do_not_disturb_each_other(tmp_path, wide, whole):
    target, refused = tmp_path / "a.gguf", []

    def tell(text: str) -> None:
        if not refused:
            with pytest.raises(OutputError, match="another process is writing it") as caught:
                convert(wide, target, type="Q8_0")
            refused.append(caught.value.hint)

    convert(wide, target, type="Q8_0", on_progress=tell)
    assert "another place" in refused[0]
    assert target.read_bytes() == whole
    assert not list(tmp_path.glob(".a*"))


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_a_killed_process_leaves_no_half_file_and_the_next_one_goes_on(tmp_path, wide, whole):
    target = tmp_path / "a.gguf"
    code = (
        "import os, signal, sys\n"
        "from newbie.checkpoints.convert import convert\n"
        "seen = []\n"
        "def tell(text):\n"
        "    seen.append(text)\n"
        "    if len(seen) == 6: os.kill(os.getpid(), signal.SIGKILL)\n"
        "convert(sys.argv[1], sys.argv[2], type='Q8_0', on_progress=tell)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(wide), str(target)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not target.exists()
    assert convert(wide, target, type="Q8_0").continued[0] > 20
    assert target.read_bytes() == whole


def test_a_full_disk_leaves_no_half_file_and_the_next_run_goes_on(tmp_path, wide, whole):
    resource = pytest.importorskip("resource")
    target = tmp_path / "a.gguf"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) // 2, before[1]))  # writes beyond fail, as on a full disk
    try:
        with pytest.raises(OutputError, match=r"tensors are in \.a\.gguf\.part") as caught:
            convert(wide, target, type="Q8_0")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "continues" in caught.value.hint and not target.exists()
    assert convert(wide, target, type="Q8_0").continued[0] > 0
    assert target.read_bytes() == whole


def test_a_disk_that_is_too_small_is_known_before_a_tensor_is_written(tmp_path, wide, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(OutputError, match=r"a\.gguf: needs 0\.\d[1-9] GB, the disk has 0\.00 GB free") as caught:
        convert(wide, tmp_path / "a.gguf", type="Q8_0")
    needed = caught.value.message.split("needs ")[1].split(",")[0]
    assert f"make room for {needed} more on the disk of {tmp_path}, " in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_a_target_that_cannot_be_is_no_matter_of_room(tmp_path, wide):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="could not be written") as caught:
        convert(wide, tmp_path / "file" / "a.gguf")
    assert "the folder" in caught.value.hint and "room" not in caught.value.hint + caught.value.message
    (tmp_path / "a.gguf").mkdir()
    with pytest.raises(UsageError, match=r"a\.gguf is a folder"):
        convert(wide, tmp_path / "a.gguf", overwrite=True)


def test_what_was_made_of_a_damaged_source_goes_but_not_where_the_source_could_not_be_read(tmp_path, wide, monkeypatch):
    state = load_file(wide)
    last = state["norm_final.weight"] = torch.full_like(state["norm_final.weight"], torch.nan)
    assert not last.isfinite().any()
    source = tmp_path / "source.safetensors"
    save_weights(source, state, "transformer", WIDE)
    with pytest.raises(WeightsError, match=r"norm_final\.weight contains NaN"):
        convert(source, tmp_path / "new" / "a.gguf")
    assert not list((tmp_path / "new").iterdir())

    def fails(self):
        raise WeightsError("cannot be read") from OSError("a network that is away")

    monkeypatch.setattr(origin.Origin, "read", fails)
    with pytest.raises(WeightsError, match="cannot be read"):
        convert(wide, tmp_path / "new" / "a.gguf")
    assert (tmp_path / "new" / ".a.gguf.part").exists()


def test_a_folder_is_not_converted_into_itself(tmp_path, saved_model):
    folder = shutil.copytree(saved_model, tmp_path / "model")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match="model is what is converted"):
        convert(folder, tmp_path / "other" / ".." / "model", layout="gguf", overwrite=True)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_part_that_is_named_twice_is_written_once(tmp_path, saved_model):
    assert len(convert(saved_model, tmp_path / "new", parts=["vae", "vae"]).files) == 1


def test_a_card_that_cannot_be_written_is_told_like_any_other_file(tmp_path, saved_model):
    (tmp_path / "new" / "newbie.json").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"newbie\.json: could not be written"):
        convert(saved_model, tmp_path / "new")


def test_what_was_damaged_meanwhile_is_written_again(tmp_path, wide, whole):
    target = tmp_path / "a.gguf"
    with pytest.raises(Stopped):
        convert(wide, target, type="Q8_0", on_progress=stop_after(5))
    part = target.with_name(".a.gguf.part")
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    convert(wide, target, type="Q8_0")
    assert target.read_bytes() == whole


@pytest.mark.parametrize("other", ["another type", "another source", "a log that is no log"])
def test_what_is_left_of_another_conversion_is_not_continued(tmp_path, wide, other):
    target = tmp_path / "a.gguf"
    source = Path(shutil.copy(wide, tmp_path / "source.safetensors"))
    with pytest.raises(Stopped):
        convert(source, target, type="Q8_0", on_progress=stop_after(5))
    if other == "another source":
        state = load_file(source)
        save_file({name: tensor * 2 for name, tensor in state.items()}, source)
    if other == "a log that is no log":
        target.with_name(".a.gguf.part.log").write_bytes(os.urandom(200))
    done = convert(source, target, type="Q4_0" if other == "another type" else "Q8_0")
    assert done.continued == [0]
    convert(source, tmp_path / "b.gguf", type="Q4_0" if other == "another type" else "Q8_0")
    assert target.read_bytes() == (tmp_path / "b.gguf").read_bytes()


def test_a_disk_that_gives_back_other_bytes_is_found_out(tmp_path, wide, monkeypatch):
    target = tmp_path / "a.gguf"

    def fails(number: int) -> None:
        with target.with_name(".a.gguf.part").open("r+b") as file:
            file.seek(-100, os.SEEK_END)
            file.write(b"\xff" * 50)

    monkeypatch.setattr(stream.os, "fsync", fails)
    with pytest.raises(OutputError, match="not what is read back"):
        convert(wide, target, type="Q8_0")
    assert not list(tmp_path.glob("*a.gguf*")) + list(tmp_path.glob(".a*"))


def test_one_tensor_at_a_time_is_in_memory(tmp_path, wide, monkeypatch):
    alive: list[weakref.ref] = []
    read = origin.Origin.read

    def watched(self):
        assert not any(each() is not None for each in alive), "the one before is still there"
        content = read(self)
        alive.append(weakref.ref(content if isinstance(content, torch.Tensor) else content.stored["blocks"]))
        return content

    monkeypatch.setattr(origin.Origin, "read", watched)
    convert(wide, tmp_path / "a.gguf", type="Q8_0")
    convert(tmp_path / "a.gguf", tmp_path / "b.safetensors", type="bf16")
    assert len(alive) > 100


# ---- types that cannot be written


@pytest.mark.parametrize(
    ("asked", "instead"),  # as many bits: those of ggml's block structures, 4.5, 5.5, 6.5625, 2.625, 4.25
    [("Q4_K", "Q4_0"), ("q4_k_m", "Q4_0"), ("Q5_K_S", "Q5_0"), ("Q6_K", "Q5_1"), ("Q2_K", "Q4_0"), ("IQ4_XS", "Q4_0")],
)
def test_a_type_that_is_only_read_is_told_with_the_nearest_that_is_written(tmp_path, wide, asked, instead):
    with pytest.raises(UsageError, match=f"{asked} can be read, but not written") as caught:
        main([str(wide), str(tmp_path / "a.gguf"), "--type", asked], print)
    assert f"use --type {instead} " in caught.value.hint
    written, read = caught.value.hint.split("written: ")[1].split("; only read: ")
    packed = {kind for kind in written.split(", ") if kind in BY_NAME}
    assert packed == set(WRITABLE) and set(read.split(", ")) == BY_NAME.keys() - packed
    convert(wide, tmp_path / "b.gguf", type=instead)  # what is told works


@pytest.mark.parametrize(
    ("asked", "guess"),
    [("q8_0", "Q8_0"), ("Q80", "Q8_0"), ("bfloat16", "bf16"), ("fp32", "float32"), ("fp8-scald", "fp8-scaled")],
)
def test_a_misspelt_type_is_told_what_was_probably_meant(tmp_path, wide, asked, guess):
    with pytest.raises(UsageError, match=f"there is no type '{asked}'") as caught:
        main([str(wide), str(tmp_path / "a.gguf"), "--type", asked], print)
    assert caught.value.hint.startswith(f"did you mean {guess}? ")


def test_types_of_nobody_and_schemes_of_ours_are_told_apart(tmp_path):
    nowhere = tmp_path / "is looked at later.safetensors"
    with pytest.raises(UsageError, match="Q8_K can neither be read nor written"):
        convert(nowhere, tmp_path / "a.gguf", type="Q8_K")
    with pytest.raises(UsageError, match="svdquant is a scheme of ours") as caught:
        convert(nowhere, tmp_path / "a.gguf", type="svdquant")
    assert "newbie quantize svdquant" in caught.value.hint
    with pytest.raises(UsageError, match="there is no type 'xyzzy'") as caught:
        convert(nowhere, tmp_path / "a.gguf", type="xyzzy")
    assert caught.value.hint.startswith("written: keep, ")


# ---- the command


def test_the_command_tells_what_it_wrote(tmp_path, wide, capsys):
    said: list[str] = []
    assert main([str(wide), str(tmp_path / "a.gguf"), "--type", "Q8_0"], said.append) == 0
    assert said[-1].startswith("a.gguf: ") and "read back and whole" in said[-1] and "Q8_0" in said[-1]
    assert any("tensors" in line for line in said[:-1])
    said.clear()
    assert main([str(tmp_path / "a.gguf"), str(tmp_path / "b"), "--type", "fp16", "--json"], said.append) == 0
    (line,) = said
    assert json.loads(line)["files"] == ["transformer/diffusion_pytorch_model.safetensors"]
    assert inspect(tmp_path / "b").checkpoints[0].parts[0].dtypes.keys() == {"float16"}


@pytest.mark.parametrize(
    ("flag", "asked", "what", "guess"),
    [
        ("--layout", "diffuser", "layout", "diffusers"),
        ("--layout", "ComfyUI ", "layout", "comfyui"),
        ("--part", "transformers", "part", "transformer"),
        ("--part", "text-encodr", "part", "text_encoder"),
    ],
)
def test_a_misspelt_layout_or_part_is_told_what_was_probably_meant(tmp_path, wide, flag, asked, what, guess):
    with pytest.raises(UsageError, match=f"there is no {what} '{asked.replace('-', '_')}'") as caught:
        main([str(wide), str(tmp_path / "a.safetensors"), flag, asked], print)
    assert caught.value.hint.startswith(f"did you mean {guess}? use one of: ")
    assert not list(tmp_path.glob("a.*"))


def test_a_part_may_be_spelt_as_other_flags_spell_it(tmp_path, wide):
    with pytest.raises(WeightsError, match="holds no text encoder"):  # it is understood
        main([str(wide), str(tmp_path / "a.safetensors"), "--part", "text-encoder"], print)
