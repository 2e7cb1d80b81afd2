"""Who runs: our model as the pipeline runs it, and diffusers', each as a function from noise to a guided velocity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from newbie.accel import choose as accel
from newbie.accel.graphs import Record, on_cuda
from newbie.accel.runner import InOrder
from newbie.accel.savings import Savings
from newbie.attention.choose import choose
from newbie.attention.kernel import Kernel
from newbie.bench import peer as diffusers
from newbie.bench.race import Contestant, Velocity
from newbie.bench.sizes import Given, Size
from newbie.denoise import Denoiser
from newbie.errors import UsageError
from newbie.model.nextdit import NextDiT
from newbie.sampling.guidance import Guidance
from newbie.text.features import TextFeatures

GUIDED = Guidance(4.5)
ALL = Savings()


@dataclass(frozen=True)
class Both(Guidance):
    """Combines nothing: both velocities, (2, C, h, w), so that outputs can be compared before guidance enlarges
    their differences."""

    scale: float = 0.0

    def combine(self, cond: Tensor, uncond: Tensor) -> Tensor:
        return torch.cat((cond, uncond)).float()


@dataclass(frozen=True)
class Ours:
    """Our model: what is done once per generation, and its velocity. The same code as in the pipeline."""

    name: str
    model: NextDiT
    size: Size
    given: Given
    times: Tensor  # the whole time grid
    kernel: str = "auto"
    savings: Savings = ALL
    blocks: InOrder | None = None  # None: the model's own loop
    guidance: Guidance = GUIDED
    record: Record | None = None  # evaluations become graphs

    @property
    def settles(self) -> int:
        """After how many evaluations it runs as it will from then on."""
        return 1 if self.record is None else 2

    def begin(self) -> Velocity:
        denoiser = Denoiser(
            self.model,
            TextFeatures(self.given.hidden, self.given.mask, None),
            size=self.size.latent,
            grid=self.times,
            sampler="euler",
            guidance=self.guidance,
            kernel=lambda lengths: kernel_for(self.kernel, self.model, lengths),
            savings=self.savings,
            blocks=self.blocks,
            record=self.record,
        )
        velocity = denoiser.velocity(1)
        velocity.prepare()
        return velocity

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
    settles: int = 1

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


def kernel_for(name: str, model: NextDiT, lengths: Sequence[int]) -> Kernel:
    """As the pipeline chooses it for rows of so many tokens, words and image."""
    config, weight = model.config, model.x_embedder.weight
    return choose(
        name,
        device=weight.device,
        dtype=weight.dtype,
        head_dim=config.head_dim,
        n_heads=config.n_heads,
        n_kv_heads=config.n_kv_heads,
        masked=lengths,
        length=max(lengths),
    )


def with_graphs(ours: Sequence[Ours]) -> list[Ours]:
    """The same again, with CUDA graphs: of the blocks as the pipeline runs them, and of compiled ones."""
    return [
        replace(one, name=f"{one.name}, CUDA graphs", record=_strictly)
        for one in ours
        if one.name in ("newbie", "newbie, compiled") and one.given.noise.is_cuda
    ]


def _strictly(run: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """A contestant that silently ran without graphs would be measured under a wrong name."""
    try:
        return on_cuda(run)
    except RuntimeError as error:
        raise UsageError(f"evaluations cannot be recorded: {error}", "leave CUDA graphs out") from error


def fast_blocks(model: NextDiT) -> InOrder | None:
    """How the pipeline runs the blocks when nothing is asked for."""
    return accel.choose(model).runner


def ways(model: NextDiT, *, compiled: bool) -> tuple[dict[str, InOrder | None], dict[str, str]]:
    """How the blocks can run here, by the contestant's name; and those that cannot be had, with the reason."""
    found: dict[str, InOrder | None] = {"newbie, plain blocks": None}
    refused: dict[str, str] = {}
    found["newbie"] = fast_blocks(model)
    if model.x_embedder.weight.is_cuda:
        try:
            found["newbie, Triton leaves"] = accel.choose(model, leaves="triton").runner
        except UsageError as error:
            refused["newbie, Triton leaves"] = error.message
    if compiled:
        blocks = accel.choose(model, compile=True)
        if blocks.compiler is None:
            refused["newbie, compiled"] = "; ".join(blocks.notes)
        else:
            found["newbie, compiled"] = blocks.runner
    return found, refused
