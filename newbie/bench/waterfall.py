"""`bench waterfall`: the exact savings one after another, each on top of those before it.

The denoising loops of all stages take turns step by step, on the same weights, so that a difference of a percent can be
seen at all. What is outside the loop, encoding the text and decoding the picture, is timed in the same run, by
newbie-mini's encoders and decoder. Each stage ends at the same latents: how far from those of the first, stands beside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Any

import torch

from newbie.accel.savings import Savings
from newbie.bench import agreement
from newbie.bench.contestants import Ours, fast_blocks
from newbie.bench.options import Options
from newbie.bench.profile import PROMPT
from newbie.bench.race import race
from newbie.bench.sizes import Size, build, given
from newbie.bench.step_kernels import time_grid
from newbie.bench.timing import Run, Timing, significant
from newbie.pipeline import Pipeline
from newbie.request import Request, Settings

Say = Callable[[str], None]
SHORT = 0.02  # seconds of a turn: one step of a small model


def stages() -> dict[str, Savings]:
    """Nothing saved, then one saving more in each stage, in the order of the fields of `Savings`."""
    found = {"nothing saved": Savings.none()}
    taken = Savings.none()
    for field in fields(Savings):
        taken = replace(taken, **{field.name: True})
        found[f"+ {field.name.replace('_', ' ')}"] = taken
    return found


@torch.no_grad()
def measure(size: Size, options: Options, say: Say) -> dict[str, Any]:
    """Seconds per picture, from the prompt to the pixels, by stage."""
    material, grid = given(size, options.device, options.seed), time_grid(options.steps)
    model = build(size.config, options.device, options.dtype, options.seed)
    savings = {**stages(), "+ fast blocks": Savings()}
    loops = [
        Ours(name, model, size, material, grid, savings=taken, blocks=fast_blocks(model) if "blocks" in name else None)
        for name, taken in savings.items()
    ]
    records, outside = race(
        [loop.contestant() for loop in loops],
        material.noise,
        grid,
        generations=options.repeats,
        seed=options.seed,
        probes=_outside(options, material.noise),
        turn=SHORT,
    )
    first = next(iter(records.values())).final
    rows: list[dict[str, Any]] = []
    for name, taken in savings.items():
        record = records[name]
        text = outside[f"text, cache {taken.text_cache}"].median
        decode = outside[f"decode, channels last {taken.channels_last}"].median
        # The median step, many times: single slow moments of the machine do not enter.
        denoise = Timing(tuple(record.begin)).median + options.steps * Timing(tuple(record.step)).median
        assert record.final is not None and first is not None
        rows.append(
            {
                "with": name,
                "seconds": significant(text + denoise + decode),
                "text": significant(text),
                "denoise": significant(denoise),
                "decode": significant(decode),
                "difference": significant(agreement.error(record.final, first), 2),
                **record.to_json(),
            }
        )
        say(f"{size.name}: {name}: {rows[-1]['seconds']:.4g} s per picture")
    return {"size": {"name": size.name, "about": size.about, "side": size.side}, "steps": options.steps, "rows": rows}


def _outside(options: Options, noise: torch.Tensor) -> dict[str, Run]:
    """What a picture costs before and after the loop, with and without the saving that belongs there."""
    runs: dict[str, Run] = {}
    settings = Settings(device=str(options.device), dtype=options.dtype_name)
    for saved in (False, True):
        pipeline = Pipeline.open(
            settings=settings, savings=replace(Savings.none(), text_cache=saved, channels_last=saved)
        )
        rendered = pipeline.read(Request(prompt=PROMPT)).rendered
        texts = [rendered.positive, rendered.negative]
        pipeline.text.encode(texts, reuse=saved)
        runs[f"text, cache {saved}"] = partial(pipeline.text.encode, texts, reuse=saved)
        layout = torch.channels_last if saved else torch.contiguous_format
        runs[f"decode, channels last {saved}"] = partial(pipeline.vae.decode, noise.to(memory_format=layout))
    return runs
