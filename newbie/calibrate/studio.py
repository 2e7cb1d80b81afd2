"""A pipeline with one of its networks replaced: to watch it, or because its weights are in fewer bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from PIL import Image
from torch import nn

from newbie import Pipeline, Request
from newbie.accel import choose as accel
from newbie.model.nextdit import NextDiT
from newbie.text.encode import TextStack
from newbie.text.jina import JinaTextTower


def networks(pipeline: Pipeline) -> dict[str, nn.Module]:
    """The networks that can be quantised, by the names of `quant.choice.PARTS`."""
    found = {"transformer": pipeline.transformer, "text_encoder": pipeline.text.gemma.model}
    return found | ({"clip": pipeline.text.jina.model} if pipeline.text.jina is not None else {})


def with_network(pipeline: Pipeline, part: str, network: nn.Module) -> Pipeline:
    """The same pipeline with another network in the place of a part; nothing that was encoded is remembered."""
    if part == "transformer":
        model = cast("NextDiT", network)
        return replace(pipeline, transformer=model, blocks=accel.choose(model))
    gemma, jina = pipeline.text.gemma, pipeline.text.jina
    if part == "text_encoder":
        gemma = replace(gemma, model=network)
    elif jina is not None:
        jina = replace(jina, model=cast("JinaTextTower", network))
    return replace(pipeline, text=TextStack(gemma, jina))


def drawing(pipeline: Pipeline, part: str, prompts: Sequence[str], request: Request) -> Callable[[nn.Module], None]:
    """What a calibration runs: every prompt drawn once by a pipeline with the network it is given as that part."""

    def run(network: nn.Module) -> None:
        draw(with_network(pipeline, part, network), prompts, request)

    return run


def draw(pipeline: Pipeline, prompts: Sequence[str], request: Request) -> list[Image.Image]:
    """One picture for each prompt; picture i has the seed of the request + i."""
    return [
        pipeline.generate(replace(request, prompt=prompt, seed=request.seed + i)).images[0]
        for i, prompt in enumerate(prompts)
    ]
