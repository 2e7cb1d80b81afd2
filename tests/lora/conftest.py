"""A small transformer with random weights, and adapter files written as other programs write them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from newbie.attention.sdpa import Sdpa
from newbie.model.config import NextDiTConfig
from newbie.model.nextdit import NextDiT, Prepared

CONFIG = NextDiTConfig(
    dim=96,
    n_layers=2,
    n_heads=6,
    n_kv_heads=2,
    axes_dims=(8, 4, 4),
    n_refiner_layers=1,
    cap_feat_dim=20,
    clip_text_dim=12,
    multiple_of=32,
)
TARGETS = ("layers.0.attention.qkv", "layers.1.feed_forward.w2", "time_text_embed.1", "context_refiner.0.attention.out")


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def small_model(dtype: torch.dtype = torch.float32) -> NextDiT:
    """Random weights that nothing ignores."""
    model = NextDiT(CONFIG)
    with torch.no_grad():
        for seed, (name, weight) in enumerate(model.named_parameters()):
            noise = random(*weight.shape, seed=seed)
            weight.copy_(1 + 0.1 * noise if "norm" in name and weight.ndim == 1 else noise / weight.shape[-1] ** 0.5)
    return model.eval().requires_grad_(False).to(dtype)


def question(model: NextDiT) -> tuple[Tensor, Tensor, Prepared]:
    """Latents (2, 16, 8, 8), times and captions, always the same."""
    hidden, mask = random(2, 7, CONFIG.cap_feat_dim, seed=1).to(model.dtype), torch.ones(2, 7, dtype=torch.bool)
    prepared = model.prepare(hidden, mask, random(2, 12, seed=2).to(model.dtype), (8, 8), attend=Sdpa())
    return random(2, 16, 8, 8, seed=3), torch.tensor([0.3, 0.6]), prepared


def velocity(model: NextDiT) -> Tensor:
    """(2, 16, 8, 8): what the model answers to that."""
    answer = model(*question(model))
    assert isinstance(answer, Tensor)
    return answer


def low_rank(model: NextDiT, name: str, rank: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    """(down, up) for a module of ours."""
    rows, columns = model.get_parameter(f"{name}.weight").shape
    return random(rank, columns, seed=seed), random(rows, rank, seed=seed + 1) / 10


def written(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata)
    return path


def peft(folder: Path, tensors: Mapping[str, Tensor], **config: object) -> Path:
    """A trainer's folder."""
    written(folder / "adapter_model.safetensors", tensors, {"format": "pt"})
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"} | config))
    return folder


def pairs(model: NextDiT, spelled: str, *names: str, rank: int = 4) -> dict[str, Tensor]:
    """LoRA tensors of modules; `spelled` is a format of the key with {name} and {side} (A or B)."""
    tensors = {}
    for seed, name in enumerate(names or TARGETS):
        down, up = low_rank(model, name, rank, seed=10 * seed)
        tensors |= {spelled.format(name=name, side="A"): down, spelled.format(name=name, side="B"): up}
    return tensors


PEFT = "base_model.model.{name}.lora_{side}.weight"


@pytest.fixture(scope="session")
def model() -> NextDiT:
    return small_model()


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield
