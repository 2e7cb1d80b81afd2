"""`bench waterfall`: the exact savings one after another, each on top of those before it.

All stages take turns in one run, so that a difference of a few percent can be seen at all. Each stage draws the same
picture: how far its pixels are from those of the first stage stands beside its time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np

from newbie.accel.savings import Savings
from newbie.bench.options import Options
from newbie.bench.profile import PROMPT, pipeline_of
from newbie.bench.sizes import Size
from newbie.bench.timing import interleave
from newbie.request import Request

Say = Callable[[str], None]


def stages() -> dict[str, Savings]:
    """Nothing saved, then one saving more in each stage, in the order of the fields of `Savings`."""
    found = {"nothing saved": Savings.none()}
    taken = Savings.none()
    for field in fields(Savings):
        taken = replace(taken, **{field.name: True})
        found[f"+ {field.name.replace('_', ' ')}"] = taken
    return found


def measure(size: Size, options: Options, say: Say) -> dict[str, Any]:
    """Seconds per picture, from the prompt to the pixels, by stage."""
    request = Request(prompt=PROMPT, width=size.side, height=size.side, steps=options.steps, seed=options.seed)
    whole = pipeline_of(size, options)
    pipelines = {
        name: replace(pipeline_of(size, options, savings), transformer=whole.transformer)
        for name, savings in stages().items()
    }
    pictures = {name: np.asarray(each.generate(request).images[0]) for name, each in pipelines.items()}
    first = next(iter(pictures.values())).astype(int)
    runs = {name: partial(each.generate, request) for name, each in pipelines.items()}
    timings = interleave(runs, rounds=options.repeats, seed=options.seed, device=options.device)
    rows = []
    for name, timing in timings.items():
        say(f"{size.name}: {name}: {timing.median:.4g} s per picture")
        difference = int(np.abs(pictures[name].astype(int) - first).max())
        rows.append({"with": name, "seconds": timing.to_json(), "largest_pixel_difference": difference})
    return {
        "size": {"name": size.name, "about": size.about, "side": size.side},
        "steps": options.steps,
        "ran": whole.describe(),
        "rows": rows,
    }
