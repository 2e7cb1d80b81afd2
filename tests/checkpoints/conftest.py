"""A model of a few thousand numbers in the official folder layout, with real tokenizers, and the golden folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import tokenizers
import torch

from newbie.checkpoints import load_gemma, load_jina, load_transformer, load_vae
from newbie.checkpoints.index import Entry
from newbie.checkpoints.save import Trained, save_model
from newbie.model.config import NextDiTConfig
from newbie.model.nextdit import NextDiT
from newbie.request import Recommended
from newbie.text.gemma import GemmaConfig, build_gemma
from newbie.text.jina import JinaConfig, JinaTextTower
from newbie.vae import Autoencoder, AutoencoderConfig

GOLDEN = Path(__file__).parents[1] / "golden"

LOADERS = {"transformer": load_transformer, "text_encoder": load_gemma, "clip": load_jina, "vae": load_vae}
FILES = {
    "transformer": "transformer/diffusion_pytorch_model.safetensors",
    "text_encoder": "text_encoder/model.safetensors",
    "clip": "clip_model/model.safetensors",
    "vae": "vae/diffusion_pytorch_model.safetensors",
}
DIT = NextDiTConfig(
    dim=36,
    n_layers=2,
    n_heads=3,
    n_kv_heads=1,
    axes_dims=(4, 4, 4),
    n_refiner_layers=1,
    cap_feat_dim=32,
    clip_text_dim=64,
    multiple_of=16,
)
# Wide enough for blocks of 32 numbers, and too narrow for those of 256.
WIDE = NextDiTConfig(
    dim=96,
    n_layers=2,
    n_heads=4,
    n_kv_heads=2,
    axes_dims=(8, 8, 8),
    n_refiner_layers=1,
    cap_feat_dim=64,
    clip_text_dim=32,
    multiple_of=32,
)
GEMMA = GemmaConfig(
    vocab_size=40,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=3,
    num_attention_heads=2,
    num_key_value_heads=1,
    head_dim=16,
    query_pre_attn_scalar=16,
    sliding_window=8,
)
JINA = JinaConfig(vocab_size=40, hidden_size=64, num_hidden_layers=2, num_attention_heads=1, intermediate_size=48)
VAE = AutoencoderConfig(block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=8)


def random_(module: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Small random numbers that bf16 holds exactly, so that a file in bf16 loses nothing."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in module.state_dict().values():
            tensor.copy_((torch.randn(tensor.shape, generator=generator) * 0.05).bfloat16())
    return module


def tokenizer_json(first: str, last: str | None, padding: str) -> bytes:
    words = [word for word in (first, padding, last, "<unk>") if word] + ["blue", "hair", "girl"]
    model = tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>")
    whole = tokenizers.Tokenizer(model)
    whole.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return whole.to_str().encode()


def trained() -> dict[str, Trained]:
    return {
        "transformer": Trained(random_(NextDiT(DIT), 0), DIT),
        "text_encoder": Trained(random_(build_gemma(GEMMA), 1), GEMMA, tokenizer_json("<bos>", None, "<pad>")),
        "clip": Trained(random_(JinaTextTower(JINA), 2), JINA, tokenizer_json("<s>", "</s>", "<pad>")),
        "vae": Trained(random_(Autoencoder(VAE), 3), VAE),
    }


@pytest.fixture(scope="session")
def golden() -> Path:
    return GOLDEN


@pytest.fixture(scope="session")
def parts() -> dict[str, Trained]:
    return trained()


@pytest.fixture(scope="session")
def saved_model(parts: dict[str, Trained], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only: take `model` to change something."""
    folder = tmp_path_factory.mktemp("models") / "tiny-newbie"
    save_model(
        folder,
        parts,
        name="tiny-newbie",
        licence="Apache-2.0",
        trained_on="nothing at all",
        recommended=Recommended(width=64, height=64, steps=4),
    )
    return folder


@pytest.fixture
def model(saved_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved_model, tmp_path / "tiny-newbie"))


def _entries(state: dict[str, torch.Tensor]) -> dict[str, Entry]:
    def entry(name: str, tensor: torch.Tensor) -> Entry:
        return Entry(name, tuple(tensor.shape), tensor.dtype, Path("memory.safetensors"), read=tensor.clone)

    return {name: entry(name, tensor) for name, tensor in state.items()}


@pytest.fixture(scope="session")
def entries_of() -> Callable[[dict[str, torch.Tensor]], dict[str, Entry]]:
    """A state dict as the contents of a file."""
    return _entries
