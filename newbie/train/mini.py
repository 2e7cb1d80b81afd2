"""Make newbie-mini from nothing: draw, learn words, learn to see, learn to paint. Every stage resumes where it stopped.

    python -m newbie train --run runs/mini

Stages, each in its own folder of the run: `pictures` (drawings), `words` (tokenizers), `vae`, `latents`, `flow`.
Pictures and latents are there once for each size, made when their part of the training begins.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from newbie.checkpoints import Trained, load_vae, save_model, save_weights
from newbie.checkpoints.save import config_json, write_json
from newbie.errors import UsageError
from newbie.request import Recommended
from newbie.text.tokens import Tokenizer
from newbie.train import learnt
from newbie.train.autoencoder import psnr, reconstruction, train_autoencoder
from newbie.train.data import Drawings, Pictures, drawn, to_pixels
from newbie.train.figures import layout
from newbie.train.flow import RATE, CaptionBatches, Painter, Stage, train_flow
from newbie.train.latents import Latents, encoded
from newbie.train.loop import saved_average
from newbie.train.recipes import MiniRecipe
from newbie.train.start import fingerprint, painter_like
from newbie.train.vocabulary import train_tokenizers
from newbie.vae import Autoencoder, AutoencoderConfig

CAPTIONS_FOR_WORDS = 60_000
AUTOENCODER_CHECK = 256  # pictures the autoencoder is measured on; their seed is never trained on


def drawings_of(recipe: MiniRecipe, size: int) -> Drawings:
    """The training drawings of one size; each size has its own."""
    return Drawings(recipe.seed * 10_000 + size, size)


def pictures_stage(
    recipe: MiniRecipe, stage: Stage, run: Path, *, workers: int, say: Callable[[str], None]
) -> Pictures:
    """The pictures of one stage, drawn where they are missing."""
    drawings = drawings_of(recipe, stage.size)
    return drawn(drawings, stage.pictures, run / "pictures" / f"{stage.size}.bin", workers=workers, say=say)


def words_stage(recipe: MiniRecipe, run: Path, *, say: Callable[[str], None]) -> tuple[Tokenizer, Tokenizer]:
    """The two tokenizers, trained where they are missing."""
    gemma, jina = run / "words" / "gemma", run / "words" / "jina"
    if not (jina / "tokenizer.json").exists():
        drawings = drawings_of(recipe, recipe.size)
        say(f"learning words from {CAPTIONS_FOR_WORDS} captions")
        captions = (drawings.caption(i, -1) for i in range(CAPTIONS_FOR_WORDS))
        train_tokenizers(captions, recipe.vocabulary, gemma, jina)
    return Tokenizer.from_folder(gemma, kind="gemma"), Tokenizer.from_folder(jina, kind="jina")


def eyes_of(recipe: MiniRecipe) -> Callable[[int], list[layout.Box]]:
    """Where the eyes are in the drawings of the main size."""
    drawings = drawings_of(recipe, recipe.size)
    return lambda i: layout.eyes(drawings.spec(i), recipe.size)


def autoencoder_stage(
    recipe: MiniRecipe, run: Path, pictures: Pictures, *, device: torch.device, say: Callable[[str], None]
) -> Autoencoder:
    """The trained autoencoder, with its PSNR on drawings it has never seen in `vae/score.json`."""
    folder = run / "vae"
    if (folder / "config.json").exists():
        return trained_autoencoder(folder, device)
    eyes = eyes_of(recipe)
    model = train_autoencoder(recipe.autoencoder(), pictures, folder, device=device, say=say, eyes=eyes)
    _keep(model, folder, _measured(model, recipe, device, say))
    return model


def _measured(
    model: Autoencoder, recipe: MiniRecipe, device: torch.device, say: Callable[[str], None]
) -> dict[str, float]:
    """PSNR on drawings it has never seen: whole, and about the eyes."""
    unseen = Drawings(recipe.seed + 1, recipe.size)
    pictures = [unseen.picture(i) for i in range(AUTOENCODER_CHECK)]
    decibel, again = reconstruction(model, pictures, device)
    eyes = [
        psnr(to_pixels(a[None, top:bottom, left:right]), to_pixels(b[None, top:bottom, left:right]))
        for i, (a, b) in enumerate(zip(pictures, again, strict=True))
        for left, top, right, bottom in layout.eyes(unseen.spec(i), recipe.size)
    ]
    found = {"psnr_db": round(decibel, 2), "eyes_psnr_db": round(sum(eyes) / len(eyes), 2), "pictures": len(pictures)}
    say(
        f"autoencoder: {found['psnr_db']} dB on {len(pictures)} unseen drawings, {found['eyes_psnr_db']} dB at the eyes"
    )
    return found


def _keep(model: Autoencoder, folder: Path, score: dict[str, float]) -> None:
    """`config.json` is written last: where it is, the stage is done."""
    (folder / "score.json").write_text(json.dumps(score))
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(model.config.to_json()))


def adopt_autoencoder(folder: Path, run: Path) -> None:
    """Let the autoencoder in `folder`, of a finished model, be the one of this run, unless it has its own already.

    Raises:
        WeightsError: there is none in the folder.
        UsageError: the run has latents of another one.
    """
    kept = run / "vae"
    if (kept / "config.json").exists():
        return
    if (run / "latents").exists():
        raise UsageError(f"{run} has latents of another autoencoder", "use another --run folder")
    kept.mkdir(parents=True, exist_ok=True)
    _keep(load_vae(folder).module, kept, {})


def trained_autoencoder(folder: Path, device: torch.device) -> Autoencoder:
    """What a stage left in `folder`."""
    config = AutoencoderConfig.from_json(json.loads((folder / "config.json").read_text()))
    model = Autoencoder(config).to(device)
    model.load_state_dict(load_file(folder / "model.safetensors", device=str(device)))
    return model.eval()


def make(
    recipe: MiniRecipe,
    run: Path,
    *,
    device: torch.device,
    workers: int = 1,
    compiled: bool = False,
    until: str = "flow",
    start: Path | None = None,
    rate: float = RATE,
    autoencoder: Path | None = None,
    say: Callable[[str], None],
) -> Painter | None:
    """Run the stages up to `until`; None when that is not "flow". `start` is a finished model to paint on from, with
    `rate` of the step size; `autoencoder` the folder of a finished one to be used.

    Raises:
        NewbieError: see `newbie.train.loop.fit` and `newbie.train.start`.
    """
    run.mkdir(parents=True, exist_ok=True)
    stages = recipe.stages()
    gemma, jina = words_stage(recipe, run, say=say)
    if until == "words":
        return None
    main = next(stage for stage in stages if stage.size == recipe.size)
    first = pictures_stage(recipe, main, run, workers=workers, say=say)
    if autoencoder is not None:
        adopt_autoencoder(autoencoder, run)
    eyes = autoencoder_stage(recipe, run, first, device=device, say=say)
    if until == "vae":
        return None

    def latents(stage: Stage) -> Latents:
        pictures = pictures_stage(recipe, stage, run, workers=workers, say=say)
        path = run / "latents" / f"{stage.size}.safetensors"
        return encoded(eyes, pictures, path, device=device, say=say)

    if until == "latents":
        for stage in stages:
            latents(stage)
        return None
    captions = [CaptionBatches(drawings_of(recipe, stage.size), gemma, jina) for stage in stages]
    flow = recipe.flow(gemma.vocab_size)
    begin = None
    if start is not None:
        begin = painter_like(start, flow, run / "words")
        flow = flow.going_on(start.name, recipe.seed + fingerprint(begin), rate)
    return train_flow(flow, latents, captions, run / "flow", device=device, say=say, start=begin, compiled=compiled)


RECOMMENDED = Recommended(
    width=256,
    height=256,
    steps=20,
    cfg_scale=4.5,
    shift=1.5,
    canonical=True,
    system_prompt="",
)


def as_it_stands(recipe: MiniRecipe, run: Path) -> Painter:
    """The averaged weights of a run that is not finished, as they were last saved.

    Raises:
        WeightsError: there is no saved state, or it is damaged.
    """
    gemma = Tokenizer.from_folder(run / "words" / "gemma", kind="gemma")
    painter = Painter(recipe.flow(gemma.vocab_size))
    saved_average(run / "flow", painter).copy_to(painter)
    return painter.eval()


def export_autoencoder(run: Path, folder: Path) -> None:
    """Write the run's autoencoder into `folder`, in bf16: what `--autoencoder` of a run takes."""
    autoencoder = trained_autoencoder(run / "vae", torch.device("cpu"))
    save_weights(
        folder / "diffusion_pytorch_model.safetensors",
        autoencoder.state_dict(),
        "vae",
        autoencoder.config,
        dtype=torch.bfloat16,
    )
    write_json(folder / "config.json", config_json("vae", autoencoder.config))


def export(recipe: MiniRecipe, painter: Painter, run: Path, folder: Path) -> None:
    """Write a model in the official folder layout, bf16, with how it is best used and the words it knows."""
    gemma, jina = (run / "words" / name / "tokenizer.json" for name in ("gemma", "jina"))
    autoencoder = trained_autoencoder(run / "vae", torch.device("cpu"))
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
    learnt.write(folder)
