"""Who runs: our model as the pipeline runs it, and diffusers', each as a function from noise to a guided velocity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from newbie.attention.choose import choose
from newbie.attention.kernel import Kernel
from newbie.bench import peer as diffusers
from newbie.bench.race import Contestant, Velocity
from newbie.bench.sizes import Given, Size
from newbie.model.nextdit import NextDiT
from newbie.sampling.guidance import Guidance, Runner
from newbie.sampling.guidance import Velocity as Guided

GUIDED = Guidance(4.5)


@dataclass(frozen=True)
class Both(Guidance):
    """Combines nothing: both velocities, (2, C, h, w), so that outputs can be compared before guidance enlarges
    their differences."""

    scale: float = 0.0

    def combine(self, cond: Tensor, uncond: Tensor) -> Tensor:
        return torch.cat((cond, uncond)).float()


@dataclass(frozen=True)
class Ours:
    """Our model: what is done once per generation, and its velocity."""

    name: str
    model: NextDiT
    size: Size
    given: Given
    times: Tensor  # the whole time grid
    kernel: Kernel
    runner: Runner | None = None
    guidance: Guidance = GUIDED

    def begin(self) -> Velocity:
        prepared = self.model.prepare(self.given.hidden, self.given.mask, None, self.size.latent, attend=self.kernel)
        steps = len(self.times) - 1
        return Guided(
            self.model,
            self.guidance,
            pair=lambda: prepared,
            alone=lambda: prepared,
            steps=steps,
            evaluations=steps,
            runner=self.runner,
        )

    def contestant(self) -> Contestant:
        return Contestant(self.name, self.begin)

    def both(self) -> Contestant:
        """The same, its two velocities not combined."""
        return replace(self, guidance=Both()).contestant()


@dataclass(frozen=True)
class Theirs:
    """diffusers' model, in one call of two rows or in two calls of one."""

    name: str
    peer: Callable[..., object]
    given: Given
    together: bool
    guidance: Guidance = GUIDED

    def begin(self) -> Velocity:
        pair = diffusers.velocities(self.peer, self.given, together=self.together)

        def velocity(x: Tensor, t: float) -> Tensor:
            return self.guidance.combine(*pair(x, t).chunk(2))

        return velocity

    def contestant(self) -> Contestant:
        return Contestant(self.name, self.begin)

    def both(self) -> Contestant:
        """The same, its two velocities not combined."""
        return replace(self, guidance=Both()).contestant()


def kernel_for(name: str, size: Size, device: torch.device, dtype: torch.dtype) -> Kernel:
    """As the pipeline chooses it for a guidance pair of this size."""
    config = size.config
    return choose(
        name,
        device=device,
        dtype=dtype,
        head_dim=config.head_dim,
        n_heads=config.n_heads,
        n_kv_heads=config.n_kv_heads,
        masked=size.words,
        length=max(size.tokens),
    )
