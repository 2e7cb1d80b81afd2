"""From files to parts in memory: what `Pipeline.open` does, in order.

Files are located and numbers chosen before anything is read; then all parts are loaded to stay, or lodged where memory
is limited; then it is settled how the transformer's blocks run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from newbie import devices
from newbie.accel import choose as accel
from newbie.checkpoints import (
    Components,
    load_gemma,
    load_jina,
    load_transformer,
    load_vae,
    require_fit,
)
from newbie.checkpoints.load import Loaded
from newbie.errors import UsageError, WeightsError
from newbie.memory.device_map import lines
from newbie.memory.lodging import Lodging
from newbie.memory.opening import careful, lodged, placed, wanted
from newbie.model.nextdit import NextDiT
from newbie.pipeline.shortage import memory_errors
from newbie.quant.choice import Choice as Quant
from newbie.quant.layers import slow
from newbie.request import Request, Settings
from newbie.text.encode import TextStack
from newbie.text.gemma import GemmaEncoder
from newbie.text.jina import JinaEncoder
from newbie.vae import Autoencoder

BUNDLED = Path(__file__).resolve().parents[2] / "weights" / "newbie-mini"


class Opened(NamedTuple):
    """A model in memory, or as much of it as may be there at a time."""

    transformer: NextDiT
    text: TextStack
    vae: Autoencoder
    chosen: dict[str, devices.Choice]
    blocks: accel.Blocks
    lodging: Lodging | None


def opened(
    parts: Components,
    settings: Settings,
    say: Callable[[str], None],
    *,
    drawing: Request | None = None,
    channels_last: bool = True,
) -> Opened:
    """Load the parts as `settings` ask; `say` is told what a person may want to know.

    `drawing`: for which memory is planned, where that is asked for; else for what the model recommends.

    Raises:
        WeightsError: a part is broken, or does not fit the others.
        UsageError: a setting that cannot be honoured on this machine.
        MemoryShortage: it does not fit.
    """
    devices.keep_few_programs()
    quant = Quant.parse(settings.quant, settings.quant_skip)
    places = placed(parts, settings, drawing) if settings.device_map else {}
    if places:
        say(f"devices: {lines(places)}")
    chosen = _choices(settings, parts, places)
    device = torch.device(chosen["device"].value)
    if settings.cuda_graphs and device.type != "cuda":
        raise UsageError(f"CUDA graphs need an NVIDIA card, this is {device.type}", "leave --cuda-graphs out")
    settings = careful(parts, settings, chosen, say, drawing)
    lodging = None
    with memory_errors(chosen["device"].value):
        if wanted(settings):
            lodging = lodged(parts, settings, chosen, say, drawing)
            loaded, words, decoder = (lodging.loaded(name) for name in ("transformer", "text_encoder", "vae"))
            pooled = lodging.loaded("clip") if parts.clip is not None else None
        else:
            loaded, words, pooled, decoder = _load_all(parts, places, chosen, quant)
    for part in (loaded, words, pooled, decoder):
        for note in part.report.notes if part is not None else ():
            say(note)
        if part is not None and (why := slow(part.module)):
            say(why)
    if settings.compile:
        devices.keep_compiled()
    if lodging is not None:
        lodging.bring("transformer")  # to see how its blocks will run
    blocks = accel.choose(
        loaded.module,
        leaves=settings.leaves,
        compile=settings.compile,
        free=None if lodging is None else lodging.plan.spare,
    )
    if lodging is not None and not lodging.stays("transformer"):
        blocks = blocks.without_weights()
    for note in blocks.notes:
        say(note)
    text = TextStack(
        GemmaEncoder(words.module, words.tokenizer),
        None if pooled is None else JinaEncoder(pooled.module, pooled.tokenizer),
    )
    return Opened(
        transformer=loaded.module,
        text=text if lodging is None else replace(text, bring=lodging.bring_encoder),
        vae=decoder.module.channels_last() if channels_last else decoder.module,
        chosen=chosen,
        blocks=blocks,
        lodging=lodging,
    )


def bundled() -> Path:
    """The folder of newbie-mini: beside the package in a clone, else below the current folder.

    Raises:
        WeightsError: it is in neither place.
    """
    for folder in (BUNDLED, Path.cwd() / "weights" / BUNDLED.name):
        if folder.is_dir():
            return folder
    raise WeightsError(
        "the bundled model weights/newbie-mini is not here",
        "run inside a clone of the repository, or name a model with --model",
    )


def _choices(settings: Settings, parts: Components, places: Mapping[str, str]) -> dict[str, devices.Choice]:
    """Device (of the transformer, where `places` has one for each part) and number formats."""
    device = devices.device(settings.device)
    if places:
        device = devices.Choice(places["transformer"], "of the transformer, by --device-map")
    return {
        "device": device,
        "dtype": devices.dtype(settings.dtype, device.value, parts.parameters),
        "vae_dtype": devices.vae_dtype(settings.vae_dtype, places.get("vae", device.value)),
        **({"device_map": devices.Choice(lines(places), settings.device_map)} if places else {}),
    }


def _text_dtype(place: str, dtype: torch.dtype) -> torch.dtype:
    """Of an encoder: that of the transformer, but a processor does not compute float16."""
    return torch.float32 if torch.device(place).type == "cpu" and dtype == torch.float16 else dtype


def _load_all(
    parts: Components, places: Mapping[str, str], chosen: Mapping[str, devices.Choice], quant: Quant
) -> tuple[Loaded[NextDiT, Any], Loaded[Any, Any], Loaded[Any, Any] | None, Loaded[Autoencoder, Any]]:
    """Transformer, text encoder, CLIP tower and autoencoder, to stay."""
    dtype = devices.DTYPES[chosen["dtype"].value]

    def where(part: str) -> dict[str, Any]:
        place = places.get(part, chosen["device"].value)
        return {"device": place, "dtype": _text_dtype(place, dtype), "quant": quant.rule(part)}

    transformer = load_transformer(parts.transformer, **where("transformer"))
    words = load_gemma(parts.text_encoder, **where("text_encoder"))
    pooled = load_jina(parts.clip, **where("clip")) if parts.clip is not None else None
    vae_device = places.get("vae", chosen["device"].value)
    decoder = load_vae(parts.vae, device=vae_device, dtype=devices.DTYPES[chosen["vae_dtype"].value])
    require_fit(
        {
            "transformer": transformer.config,
            "text_encoder": words.config,
            "clip": None if pooled is None else pooled.config,
            "vae": decoder.config,
        }
    )
    return transformer, words, pooled, decoder
