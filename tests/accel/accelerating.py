"""What the tests of approximate accelerations share: requests with them, solved; blocks that are counted."""

from __future__ import annotations

from dataclasses import replace

import torch

from newbie.accel.leaves import Leaves
from newbie.accel.runner import InOrder, RunBlock
from newbie.sampling import solvers, times

from .conftest import denoiser

SHIFT = 6.0


def request(model, accel="", plan="", *, steps=12, sampler="euler", blocks=None, **options):
    """A request of twelve steps, with what `--accel` and `--plan` say."""
    facts = ("calibration", "resolution", "weights", "besides", "detail")
    more = {key: options.pop(key) for key in facts if key in options}
    plain = replace(
        denoiser(model, blocks, **options),
        grid=times.schedule("official", steps, shift=SHIFT, sampler=sampler),
        sampler=sampler,
        kernel=_any_kernel(options.get("kernel")),
    )
    if not accel and not plan:
        return plain
    return plain.accelerated(accel, plan, steps=steps, schedule="official", shift=SHIFT, **more)[0]


def noise(request, seeds=(7,)):
    return torch.stack(
        [torch.randn(16, *request.size, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    )


def solved(request, seeds=(7,), on_step=None):
    """Latents of one batch with these seeds, and the velocity that made them."""
    velocity = request.velocity(len(seeds))
    return solvers.SOLVERS[request.sampler](velocity, noise(request, seeds), request.grid, on_step), velocity


def drawn(request, seeds=(7,)):
    return solved(request, seeds)[0]


class Counted:
    """Plain leaves that count how often each part of a block was asked for."""

    def __init__(self):
        self.calls = {"qkv": 0, "rest": 0, "project": 0, "feed": 0}
        plain = Leaves.plain()

        def counting(name):
            def run(*given):
                self.calls[name] += 1
                return getattr(plain, name)(*given)

            return run

        self.blocks = InOrder(RunBlock(Leaves("counted", *map(counting, self.calls))))


def _any_kernel(kernel):
    from newbie.attention.sdpa import Sdpa

    return lambda lengths, bias=False: kernel or Sdpa()
