"""Make newbie-mini from nothing: draw, learn words, learn to see, learn to paint. Every stage resumes where it stopped.

    python -m newbie train --run runs/mini

Stages, each in its own folder of the run: `pictures` (drawings), `words` (tokenizers), `vae`, `latents`, `flow`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from newbie.checkpoints import Trained, save_model
from newbie.request import Recommended
from newbie.text.tokens import Tokenizer
from newbie.train.autoencoder import reconstruction, train_autoencoder
from newbie.train.data import Drawings, drawn, to_pixels
from newbie.train.flow import CaptionBatches, Painter, train_flow
from newbie.train.recipes import MiniRecipe
from newbie.train.vocabulary import train_tokenizers
from newbie.vae import Autoencoder, AutoencoderConfig

CAPTIONS_FOR_WORDS = 60_000
AUTOENCODER_CHECK = 256  # pictures the autoencoder is measured on; their seed is never trained on


def pictures_stage(recipe: MiniRecipe, run: Path, *, workers: int, say: Callable[[str], None]) -> np.ndarray:
    """(N, size, size, 3) uint8."""
    drawings = Drawings(recipe.seed, recipe.size)
    return drawn(drawings, recipe.pictures, run / "pictures" / "train.bin", workers=workers, say=say)


def words_stage(recipe: MiniRecipe, run: Path, *, say: Callable[[str], None]) -> tuple[Tokenizer, Tokenizer]:
    """The two tokenizers, trained where they are missing."""
    gemma, jina = run / "words" / "gemma", run / "words" / "jina"
    if not (jina / "tokenizer.json").exists():
        drawings = Drawings(recipe.seed, recipe.size)
        say(f"learning words from {CAPTIONS_FOR_WORDS} captions")
        captions = (drawings.caption(i, -1) for i in range(CAPTIONS_FOR_WORDS))
        train_tokenizers(captions, recipe.vocabulary, gemma, jina)
    return Tokenizer.from_folder(gemma, kind="gemma"), Tokenizer.from_folder(jina, kind="jina")


def autoencoder_stage(
    recipe: MiniRecipe, run: Path, pictures: np.ndarray, *, device: torch.device, say: Callable[[str], None]
) -> Autoencoder:
    """The trained autoencoder, with its PSNR on drawings it has never seen in `vae/score.json`."""
    folder = run / "vae"
    if (folder / "config.json").exists():
        config = AutoencoderConfig.from_json(json.loads((folder / "config.json").read_text()))
        model = Autoencoder(config).to(device)
        model.load_state_dict(load_file(folder / "model.safetensors", device=str(device)))
        return model.eval()
    model = train_autoencoder(recipe.autoencoder(), pictures, folder, device=device, say=say)
    unseen = Drawings(recipe.seed + 1, recipe.size)
    check = np.stack([unseen.picture(i) for i in range(AUTOENCODER_CHECK)])
    decibel, _ = reconstruction(model, check, device)
    say(f"autoencoder: {decibel:.2f} dB on {AUTOENCODER_CHECK} unseen drawings")
    (folder / "score.json").write_text(json.dumps({"psnr_db": decibel, "pictures": AUTOENCODER_CHECK}))
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(model.config.to_json()))
    return model


@torch.no_grad()
def latents_stage(
    model: Autoencoder, run: Path, pictures: np.ndarray, *, device: torch.device, say: Callable[[str], None]
) -> Tensor:
    """(N, C, h, w) float16 scaled latents of all pictures, cached in the run."""
    path = run / "latents" / "train.safetensors"
    if path.exists():
        return load_file(path)["latents"]
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = []
    for start in range(0, len(pictures), 64):
        pixels = to_pixels(pictures[start : start + 64]).to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            posterior = model.encode(pixels)
        blocks.append(model.latents(posterior).half().cpu())
        if start % 6400 == 0:
            say(f"encoded {start} of {len(pictures)}")
    latents = torch.cat(blocks)
    save_file({"latents": latents.contiguous()}, path)
    return latents


def make(
    recipe: MiniRecipe,
    run: Path,
    *,
    device: torch.device,
    workers: int = 1,
    until: str = "flow",
    say: Callable[[str], None],
) -> Painter | None:
    """Run the stages up to `until`; None when that is not "flow"."""
    run.mkdir(parents=True, exist_ok=True)
    pictures = pictures_stage(recipe, run, workers=workers, say=say)
    gemma, jina = words_stage(recipe, run, say=say)
    if until == "words":
        return None
    autoencoder = autoencoder_stage(recipe, run, pictures, device=device, say=say)
    if until == "vae":
        return None
    latents = latents_stage(autoencoder, run, pictures, device=device, say=say)
    if until == "latents":
        return None
    captions = CaptionBatches(Drawings(recipe.seed, recipe.size), gemma, jina)
    return train_flow(recipe.flow(gemma.vocab_size), latents, captions, run / "flow", device=device, say=say)


RECOMMENDED = Recommended(
    width=128,
    height=128,
    steps=20,
    cfg_scale=4.5,
    shift=1.5,
    canonical=True,
    system_prompt="",
)


def export(recipe: MiniRecipe, painter: Painter, run: Path, folder: Path) -> None:
    """Write the finished model in the official folder layout, bf16, with how it is best used."""
    gemma, jina = (run / "words" / name / "tokenizer.json" for name in ("gemma", "jina"))
    autoencoder = autoencoder_stage(
        recipe,
        run,
        np.empty((0, recipe.size, recipe.size, 3), np.uint8),
        device=torch.device("cpu"),
        say=lambda _: None,
    )
    flow = recipe.flow(Tokenizer.from_folder(gemma.parent, kind="gemma").vocab_size)
    save_model(
        folder,
        {
            "transformer": Trained(painter.transformer, flow.transformer),
            "text_encoder": Trained(painter.text_encoder, flow.text_encoder, gemma.read_bytes()),
            "clip": Trained(painter.clip_model, flow.clip, jina.read_bytes()),
            "vae": Trained(autoencoder, autoencoder.config),
        },
        name="newbie-mini",
        licence="Apache-2.0",
        trained_on="pictures drawn by this project's own program (newbie/train/figures)",
        recommended=RECOMMENDED,
    )
