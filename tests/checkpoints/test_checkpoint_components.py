"""Finding the parts of a model in every layout people have, and saying what is missing."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from newbie.checkpoints import load_gemma, load_jina, load_transformer, load_vae, locate, weights_hash
from newbie.checkpoints.convert import convert
from newbie.checkpoints.gguf import open_gguf
from newbie.checkpoints.save import save_table, save_weights
from newbie.checkpoints.translate import untranslate
from newbie.errors import WeightsError
from newbie.text.gemma import build_gemma

from .conftest import GEMMA, random_, tokenizer_json

LOADERS = {"transformer": load_transformer, "text_encoder": load_gemma, "clip": load_jina, "vae": load_vae}


def loads_to(components, parts) -> bool:
    """Whether every part loads to the tensors it was saved from."""
    for component, source in components.sources().items():
        loaded = LOADERS[component](source).module.state_dict()
        expected = parts[component].module.state_dict()
        if any(not torch.equal(loaded[name], expected[name]) for name in expected if name != "norm_final.weight"):
            return False
    return len(components.sources()) == 4


def test_the_official_folder_is_found_whole(saved_model, parts):
    components = locate(saved_model)
    assert loads_to(components, parts)
    assert components.name == "tiny-newbie"
    assert (components.recommended.width, components.recommended.steps) == (64, 4)
    assert components.licences == ("tiny-newbie: Apache-2.0. nothing at all (newbie.json)",)
    assert components.parameters == sum(t.numel() for p in parts.values() for t in p.module.state_dict().values())


RENAMED = [
    {"clip_model": "text_encoder_2"},
    {"text_encoder": "gemma3-4b-it", "clip_model": "jina-clip-v2"},
    {"text_encoder": "Gemma-3-4B-it", "clip_model": "Jina_CLIP_v2", "vae": "ae", "transformer": "dit"},
    {"transformer": "diffusion_models", "vae": "VAE"},
]


@pytest.mark.parametrize("names", RENAMED)
def test_folders_under_the_names_of_tutorials_are_found(model, parts, names):
    for old, new in names.items():
        (model / old).rename(model / f"{new}.renamed")
        (model / f"{new}.renamed").rename(model / new)
    assert loads_to(locate(model), parts)


@pytest.fixture
def comfy(tmp_path, saved_model, parts) -> Path:
    """The folders of a ComfyUI installation, single files with its names, and files of other models among them."""
    root = tmp_path / "ComfyUI" / "models"
    names = {
        "transformer": "diffusion_models/NewBie-Image-Exp0.1-bf16.safetensors",
        "text_encoder": "text_encoders/gemma_3_4b_it_bf16.safetensors",
        "clip": "text_encoders/jina_clip_v2_bf16.safetensors",
        "vae": "vae/ae.safetensors",
    }
    prefixes = {"transformer": "model.diffusion_model.", "text_encoder": "model.", "clip": "model.", "vae": ""}
    for component, name in names.items():
        part = parts[component]
        layout = "original" if component == "vae" else ""
        state = dict(part.module.state_dict())
        save_weights(root / name, state, component, part.config, layout=layout, prefix=prefixes[component])
    save_file(
        {"double_blocks.0.img_attn.qkv.weight": torch.ones(1)}, root / "diffusion_models" / "flux1-dev.safetensors"
    )
    save_file(
        {"encoder.block.0.layer.0.SelfAttention.q.weight": torch.ones(1)}, root / "text_encoders" / "t5.safetensors"
    )
    for folder, encoder in (("tokenizer", "text_encoder"), ("tokenizer_2", "clip_model")):
        shutil.copytree(
            saved_model / encoder, root / folder, ignore=shutil.ignore_patterns("*.safetensors", "config.json")
        )
    return tmp_path / "ComfyUI"


@pytest.mark.parametrize("place", ["", "models", "models/diffusion_models/NewBie-Image-Exp0.1-bf16.safetensors"])
def test_a_comfyui_tree_is_found_from_its_root_its_models_or_its_transformer_file(comfy, parts, place):
    notes = []
    assert loads_to(locate(comfy / place, on_note=notes.append), parts)
    assert len(notes) == (3 if place.endswith(".safetensors") else 0)


def test_several_candidates_are_listed_with_the_flag_that_decides(comfy):
    folder = comfy / "models" / "vae"
    shutil.copy(folder / "ae.safetensors", folder / "other.safetensors")
    with pytest.raises(
        WeightsError, match=r"several files hold the autoencoder.*ae\.safetensors, other\.safetensors"
    ) as caught:
        locate(comfy)
    assert "--vae" in caught.value.hint
    assert locate(comfy, vae=folder / "other.safetensors").vae.files[0].name == "other.safetensors"


def test_an_all_in_one_file_is_all_four_parts(tmp_path, parts):
    tensors: dict[str, torch.Tensor] = {}
    prefixes = {
        "transformer": "model.diffusion_model.",
        "text_encoder": "text_encoders.gemma3.transformer.model.",
        "clip": "text_encoders.jina_clip.model.",
        "vae": "vae.",
    }
    for component, prefix in prefixes.items():
        part = parts[component]
        layout = "original" if component == "vae" else ""
        theirs = untranslate(dict(part.module.state_dict()), save_table(component, layout, part.config))
        tensors |= {prefix + name: tensor.contiguous() for name, tensor in theirs.items()}
    path = tmp_path / "all.safetensors"
    save_file(tensors, path)
    components = locate(path)
    assert all(source.files == (path,) for source in components.sources().values())
    for component in ("transformer", "text_encoder", "clip", "vae"):
        known = {"vae": {"norm_num_groups": 8}, "text_encoder": {"sliding_window": 8}}.get(component)
        options = {"tokenizer": False} if component in ("text_encoder", "clip") else {}
        loaded = LOADERS[component](getattr(components, component), config=known, **options)
        config = parts[component].config
        if component == "transformer":  # the same width by another way of rounding
            assert dataclasses.replace(loaded.config, multiple_of=config.multiple_of) == config
        else:
            assert loaded.config == config
        expected = parts[component].module.state_dict()
        assert all(torch.equal(loaded.module.state_dict()[name], expected[name]) for name in expected)


# ---- encoders without a tokenizer


@pytest.fixture
def bare(tmp_path, saved_model) -> dict[str, Path]:
    """Both encoders as GGUF files that are alone in a folder, without tokens."""
    files = {}
    for component, folder in (("text_encoder", "text_encoder"), ("clip", "clip_model")):
        files[component] = tmp_path / "downloads" / f"{component}.gguf"
        convert(saved_model / folder / "model.safetensors", files[component])
        assert open_gguf(files[component]).spiece is None
    return files


def test_an_encoder_without_a_tokenizer_takes_that_of_the_named_model_and_says_so(saved_model, bare):
    notes: list[str] = []
    components = locate(saved_model, **bare, on_note=notes.append)
    for component, folder, note in zip(bare, ("text_encoder", "clip_model"), notes, strict=True):
        words = LOADERS[component](getattr(components, component)).tokenizer
        own = LOADERS[component](saved_model / folder).tokenizer
        assert words.encode("blue hair").ids == own.encode("blue hair").ids
        assert f"{component}.gguf has no tokenizer; that of tiny-newbie/{folder} " in note and note.endswith("is used")


def test_one_of_its_own_goes_before_one_that_stands_in(saved_model, bare):
    own = bare["text_encoder"].parent / "tokenizer"
    own.mkdir()
    (own / "tokenizer.json").write_bytes(tokenizer_json("<bos>", None, "<pad>").replace(b'"hair":4', b'"hare":4'))
    notes: list[str] = []
    components = locate(saved_model, text_encoder=bare["text_encoder"], on_note=notes.append)
    assert not notes and load_gemma(components.text_encoder).tokenizer.encode("hare").ids[-1] == 4


def test_the_spare_models_tokenizer_serves_where_no_model_is_named(saved_model, bare, tmp_path):
    parts = {"transformer": saved_model / "transformer", "vae": saved_model / "vae", **bare}
    components = locate(**parts, spare=saved_model)
    assert load_jina(components.clip).tokenizer.encode("blue hair").ids[1:-1] == [4, 5]
    with pytest.raises(WeightsError, match=r"text_encoder\.gguf: no tokenizer"):
        load_gemma(locate(**parts, spare=tmp_path / "is not there").text_encoder)


@pytest.mark.parametrize("rows", [6, 6 + 64])
def test_a_tokenizer_of_another_size_does_not_stand_in(saved_model, tmp_path, rows):
    config = dataclasses.replace(GEMMA, vocab_size=rows)  # 6 tokens there: 6 rows fit, 70 do not
    file = tmp_path / "alone" / "gemma.safetensors"
    save_weights(file, dict(random_(build_gemma(config), 1).state_dict()), "text_encoder", config)
    notes: list[str] = []
    components = locate(saved_model, text_encoder=file, on_note=notes.append)
    if rows == 6:
        assert load_gemma(components.text_encoder).tokenizer.vocab_size == 6
        return
    assert any("has 6 tokens for 70 rows of its table: not used" in note for note in notes)
    with pytest.raises(WeightsError, match="no tokenizer") as caught:
        load_gemma(components.text_encoder)
    assert "--model" in caught.value.hint


def test_parts_named_one_by_one_need_no_model(saved_model, parts):
    components = locate(
        transformer=saved_model / "transformer" / "diffusion_pytorch_model.safetensors",
        text_encoder=saved_model / "text_encoder",
        clip=str(saved_model / "clip_model"),
        vae=saved_model / "vae",
    )
    assert loads_to(components, parts)


def test_a_named_part_replaces_the_models_own(model, saved_model):
    other = saved_model / "vae"
    assert locate(model, vae=other).vae.folder == other


def test_sharded_parts_are_found(model, parts):
    path = model / "text_encoder" / "model.safetensors"
    tensors = load_file(path)
    path.unlink()
    names = list(tensors)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for shard, held in shards.items():
        save_file({name: tensors[name] for name in held}, path.with_name(shard))
    table = {name: shard for shard, held in shards.items() for name in held}
    path.with_name("model.safetensors.index.json").write_text(json.dumps({"weight_map": table}))
    assert loads_to(locate(model), parts)


@pytest.mark.parametrize(
    ("folder", "said", "flag"),
    [
        ("transformer", r"transformer \(Next-DiT\) is missing", "--transformer"),
        ("text_encoder", r"text encoder \(Gemma 3\) is missing", "--text-encoder"),
        ("clip_model", r"CLIP model \(Jina CLIP v2, text\) is missing", "--clip"),
        ("vae", r"autoencoder \(VAE\) is missing", "--vae"),
    ],
)
def test_a_missing_part_is_named_with_where_it_was_looked_for_and_its_flag(model, folder, said, flag):
    shutil.rmtree(model / folder)
    with pytest.raises(WeightsError, match=said) as caught:
        locate(model)
    assert flag in caught.value.hint and f"{folder}/" in caught.value.hint
    assert "looked in" in caught.value.message


@pytest.mark.parametrize("folder", ["transformer", "text_encoder", "clip_model", "vae"])
def test_a_damaged_part_is_said_to_be_damaged_not_missing(model, folder):
    path = next((model / folder).glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(WeightsError, match=f"{path.name}.*truncated"):
        locate(model)


def test_the_file_of_a_part_that_lies_elsewhere_damaged_is_mentioned(model):
    (model / "vae" / "diffusion_pytorch_model.safetensors").rename(model / "ae.safetensors")
    (model / "ae.safetensors").write_bytes((model / "ae.safetensors").read_bytes()[:-10])
    with pytest.raises(WeightsError, match=r"is missing; .*Not usable: .*ae\.safetensors.*truncated"):
        locate(model)


def test_a_folder_of_pickles_says_how_to_allow_them(model):
    path = model / "vae" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(path), model / "vae" / "model.pth")
    path.unlink()
    with pytest.raises(WeightsError, match=r"model\.pth.*only read when asked for") as caught:
        locate(model)
    assert "--allow-pickle" in caught.value.hint
    assert locate(model, allow_pickle=True).vae.files[0].name == "model.pth"


def test_the_wrong_file_for_a_flag_says_what_it_is(saved_model):
    with pytest.raises(WeightsError, match="holds the autoencoder"):
        locate(saved_model, transformer=saved_model / "vae")


def test_a_model_without_a_clip_branch_needs_no_clip_model(model, parts):
    path = model / "transformer" / "diffusion_pytorch_model.safetensors"
    save_file({n: t for n, t in load_file(path).items() if "clip_text" not in n and "time_text" not in n}, path)
    shutil.rmtree(model / "clip_model")
    components = locate(model)
    assert components.clip is None and set(components.sources()) == {"transformer", "text_encoder", "vae"}
    loaded = load_transformer(components.transformer)
    assert loaded.config.clip_text_dim is None
    assert "clip_text_dim 64, the weights None" in loaded.report.notes[0]


@pytest.mark.parametrize("path", ["gone", "gone/too", "./gone/too", "~/surely/not/here", ""])
def test_nothing_at_a_path_is_said_plainly(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if path == "gone/too":  # could be a hub id
        (tmp_path / "gone").mkdir()
        path = str(tmp_path / path)
    with pytest.raises(WeightsError, match=r"no such file or folder|is missing") as caught:
        locate(path)
    assert caught.value.hint


def test_no_model_at_all_is_said_plainly():
    with pytest.raises(WeightsError, match="no model is named"):
        locate()


def test_uneven_axes_can_be_passed(model, golden):
    path = model / "transformer" / "diffusion_pytorch_model.safetensors"
    shutil.copy(golden / "dit_clip_gqa_weights.safetensors", path)
    (path.parent / "config.json").unlink()
    with pytest.raises(WeightsError, match="heads of 16"):
        load_transformer(locate(model).transformer)
    assert load_transformer(locate(model, axes_dims=(4, 6, 6)).transformer).config.axes_dims == (4, 6, 6)


def test_the_config_of_another_part_in_a_flat_folder_is_not_taken(tmp_path, saved_model, parts):
    """Newbie-nodes keep newbie_dit.safetensors and its config.json beside each other, and people add the rest."""
    shutil.copy(
        saved_model / "transformer" / "diffusion_pytorch_model.safetensors", tmp_path / "newbie_dit.safetensors"
    )
    shutil.copy(saved_model / "transformer" / "config.json", tmp_path)
    for name in ("text_encoder", "clip_model"):
        shutil.copy(saved_model / name / "model.safetensors", tmp_path / f"{name}.safetensors")
    shutil.copy(saved_model / "vae" / "diffusion_pytorch_model.safetensors", tmp_path / "ae.safetensors")
    components = locate(tmp_path)
    assert load_transformer(components.transformer).config == parts["transformer"].config
    assert load_vae(components.vae).config == parts["vae"].config  # from the metadata of its own file


@pytest.mark.parametrize(
    "card",
    [{"steps": "many"}, {"width": 1.5}, {"canonical": 1}, {"sampler": None}, {"system_prompt": 3}, {"cfg_scale": True}],
)
def test_a_card_with_a_setting_of_the_wrong_type_is_named(model, card):
    (model / "newbie.json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match=f"newbie.json: {next(iter(card))}"):
        locate(model)


def test_a_card_from_the_future_and_no_card_are_fine(model):
    (model / "newbie.json").write_text(json.dumps({"cfg_scale": 3, "invented": [1]}))
    components = locate(model)
    assert components.recommended.cfg_scale == 3 and components.card == {"invented": [1]}
    (model / "newbie.json").unlink()
    assert locate(model).recommended.width == 1024 and locate(model).name == "tiny-newbie"


# ---- the hash of weights


def test_the_hash_does_not_depend_on_how_tensors_are_cut_into_files(model, saved_model):
    whole = weights_hash(locate(saved_model))
    path = model / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    save_file(dict(reversed(tensors.items())), path, {"other": "metadata"})
    assert weights_hash(locate(model)) == whole
    assert whole.startswith("sha256:") and len(whole) == 71


@pytest.mark.parametrize("change", ["a bit", "a shape", "a name"])
def test_the_hash_depends_on_every_name_shape_and_bit(model, saved_model, change):
    path = model / "clip_model" / "model.safetensors"
    tensors = load_file(path)
    name = "encoder.layers.0.mlp.fc1.weight"
    if change == "a bit":
        tensors[name].view(torch.int16).view(-1)[-1] ^= 1
    elif change == "a shape":
        tensors[name] = tensors[name].reshape(1, *tensors[name].shape)
    else:
        tensors["another"] = torch.ones(0)
    save_file(tensors, path)
    assert weights_hash(locate(model)) != weights_hash(locate(saved_model))


def test_large_models_are_sampled_unless_asked_otherwise(model, saved_model, monkeypatch):
    from newbie.checkpoints import hashes

    full = weights_hash(locate(saved_model))
    monkeypatch.setattr(hashes, "SAMPLED_FROM", 0)
    monkeypatch.setattr(hashes, "SAMPLE", 16)
    sampled = weights_hash(locate(saved_model))
    assert sampled.startswith("sampled:")
    assert weights_hash(locate(saved_model), full=True) == full
    path = model / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    torch.save(tensors, model / "vae" / "vae.pth")
    path.unlink()
    assert weights_hash(locate(model, allow_pickle=True)) == sampled  # whatever the container
    tensors["encoder.conv_in.weight"].view(torch.int16).view(-1)[0] ^= 1
    torch.save(tensors, model / "vae" / "vae.pth")
    assert weights_hash(locate(model, allow_pickle=True)) != sampled
