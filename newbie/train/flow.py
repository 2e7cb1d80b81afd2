"""Train the Next-DiT and its two text encoders together, from nothing, on cached latents (rectified flow).

x_t = t * image + (1 - t) * noise, and the network learns the velocity image - noise (Liu et al. 2022; Esser et al.
2024 for the logit-normal t). Captions are made anew at every visit, one in ten is empty, so guidance needs no other
trick. The text encoders are the real classes with small configurations; their gradients come through the picture.

Small pictures first: what words mean is learnt on cheap 128-pixel pictures, fine detail on larger ones. The few steps
with the largest are spread among those before them: at the end, where the learning rate is nearly zero, they teach
nothing.

Not every part of a picture counts alike in the loss: faces most, then figures; and drawings that show what is hard to
learn come more often than others (newbie.train.emphasis).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from newbie.accel.leaves import Leaves
from newbie.accel.runner import InOrder, RunBlock
from newbie.model import init as model_init
from newbie.model.block import Modulation, TokenSequence
from newbie.model.config import NextDiTConfig
from newbie.model.nextdit import NextDiT, RunBlocks, run_in_order
from newbie.text import gemma, jina
from newbie.text.tokens import Tokenizer
from newbie.train.attention import MATMUL
from newbie.train.data import Drawings, batch_numbers
from newbie.train.emphasis import repeats, weights
from newbie.train.lanes import Lanes
from newbie.train.latents import Latents
from newbie.train.loop import Plan, fit
from newbie.train.optim import Optimizers, split_parameters

RATE = 0.6  # of the step size, for a round that goes on
# Tables and borders: what they hold is a direction per row, not a map from one space to another.
NOT_FOR_MUON = ("embed_tokens", "embeddings.", "x_embedder", "final_layer", "t_embedder", "adaLN_modulation")


@dataclass(frozen=True)
class Stage:
    """A part of the run: so many steps on pictures of one size."""

    size: int  # pixels, as in Drawings
    pictures: int
    steps: int
    batch: int
    shift: float = 1.0  # larger pictures need more noise to hide as much: sigma -> s sigma / (1 + (s - 1) sigma)
    spread: bool = False  # its steps are spread evenly among those of the stage before, not put behind them


@dataclass(frozen=True)
class FlowRecipe:
    """The dials of the transformer's training."""

    transformer: NextDiTConfig
    text_encoder: gemma.GemmaConfig
    clip: jina.JinaConfig
    stages: tuple[Stage, ...]
    part: int = 16  # a batch is run in parts of one picture size and similar caption length: less padding
    muon_lr: float = 0.02
    adam_lr: float = 2e-3
    decay: float = 0.45  # the share of the run over which the learning rate falls
    uniform_share: float = 0.15  # of the times t; the rest is logit-normal, thin at both ends
    faces: float = 6.0  # how much a cell of a face counts in the loss, where one of the background counts 1
    eight_bit: bool = False  # AdamW's state in 8 bits (bitsandbytes)
    start: str = ""  # the model it begins with (newbie.train.start); empty: random weights
    seed: int = 0

    def going_on(self, start: str, seed: int, rate: float = RATE) -> FlowRecipe:
        """The recipe of a round that begins with a finished model: `rate` of the step size, and no long plateau, which
        would first undo what the round before has settled."""
        muon_lr, adam_lr = rate * self.muon_lr, rate * self.adam_lr
        return replace(self, start=start, seed=seed, decay=0.9, muon_lr=muon_lr, adam_lr=adam_lr)

    @property
    def steps(self) -> int:
        return sum(stage.steps for stage in self.stages)

    def stage_at(self, step: int) -> tuple[int, int]:
        """(which stage, which of its steps) the run's step `step` is."""
        return self._order[step]

    @cached_property
    def _order(self) -> list[tuple[int, int]]:
        order: list[tuple[float, int, int]] = []
        for number, stage in enumerate(self.stages):
            among = number - 1 if stage.spread and number else number
            order += [(among + (place + 0.5) / stage.steps, number, place) for place in range(stage.steps)]
        return [(number, place) for _, number, place in sorted(order)]


class Painter(nn.Module):
    """Everything that is trained here, under the names of the official folder."""

    def __init__(self, recipe: FlowRecipe) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(recipe.seed)
        self.transformer = model_init.initialise(NextDiT(recipe.transformer), generator)
        self.text_encoder = gemma.build_gemma(recipe.text_encoder)
        gemma.initialise(self.text_encoder, generator)
        self.clip_model = jina.JinaTextTower(recipe.clip)
        jina.initialise(self.clip_model, generator)

    def forward(
        self,
        latents: Tensor,
        t: Tensor,
        words: Tensor,
        mask: Tensor,
        clip_words: Tensor,
        run_blocks: RunBlocks = run_in_order,
    ) -> Tensor:
        """Velocity (B, C, h, w) at times t (B,) for Gemma ids (B, L) with mask, and Jina ids (B, M)."""
        hidden = gemma.hidden_states(self.text_encoder, words)
        pooled = self.clip_model.pooled(clip_words)
        size = (latents.shape[2], latents.shape[3])
        prepared = self.transformer.prepare(hidden, mask, pooled, size, attend=MATMUL)
        velocity: Tensor = self.transformer(latents, t, prepared, run_blocks, run_blocks)
        return velocity


@dataclass(frozen=True)
class CaptionBatches:
    """Turns picture numbers into padded token ids for both encoders."""

    drawings: Drawings
    gemma: Tokenizer
    jina: Tokenizer

    def parts(self, numbers: list[int], latents: Latents, visit: int, limit: int, faces: float = 1.0) -> Iterator[Part]:
        """The batch in parts of at most `limit` pictures of one size, short captions first."""
        captions = [self.drawings.caption(i, visit) for i in numbers]
        words = [self.gemma.encode(text).ids for text in captions]
        clip_words = [self.jina.encode(text).ids for text in captions]
        for size, places in sorted(latents.by_size(numbers).items()):
            order = torch.tensor(sorted(places, key=lambda place: len(words[place])))
            for some in order.tensor_split(-(-len(places) // limit)):
                ids, mask = _padded([words[place] for place in some], self.gemma.pad_id)
                clip_ids, _ = _padded([clip_words[place] for place in some], self.jina.pad_id)
                chosen = [numbers[place] for place in some]
                specs = [self.drawings.spec(i) for i in chosen]
                weight = torch.stack([weights(spec, self.drawings.size, size, faces) for spec in specs])
                yield Part(latents.batch(chosen, size), ids, mask, clip_ids, weight[:, None])


class Part(NamedTuple):
    """Pictures of one size with captions of about one length; captions are padded to multiples of 16."""

    latents: Tensor  # (B, C, h, w)
    words: Tensor  # (B, L) Gemma ids
    mask: Tensor  # (B, L)
    clip_words: Tensor  # (B, M) Jina ids
    weight: Tensor  # (B, 1, h, w): how much each cell counts in the loss


def train_flow(
    recipe: FlowRecipe,
    latents: Callable[[Stage], Latents],
    captions: Sequence[CaptionBatches],
    folder: Path,
    *,
    device: torch.device,
    say: Callable[[str], None],
    start: Painter | None = None,
    compiled: bool = False,
) -> Painter:
    """Train stage after stage and return the averaged weights. `latents(stage)` is asked when a stage begins; its
    picture i is drawing i of `captions[n].drawings`, n the number of the stage.

    `start` is a trained model to go on from; None begins with random weights. `compiled` runs the parts of the blocks
    through torch.compile: it needs a C++ compiler and half a minute to start. On one core with bfloat16 matrix units a
    batch then took 0.6 of its time (3.1 s instead of 5.2 s at 128 pixels).
    """
    model = Painter(recipe)
    if start is not None:
        model.load_state_dict(start.state_dict())
    model.to(device)
    run_blocks = run_compiled() if compiled else run_in_order
    muon, adam = split_parameters(model, NOT_FOR_MUON)
    optimizers = Optimizers(muon, adam, muon_lr=recipe.muon_lr, adam_lr=recipe.adam_lr, eight_bit=recipe.eight_bit)

    of_stage = lru_cache(maxsize=2)(latents)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]

    @lru_cache(maxsize=2)
    def epoch(number: int, count: int) -> Tensor:
        """The drawings of a stage, each as often as it comes before all of them come again."""
        specs = map(captions[number].drawings.spec, range(count))
        return torch.arange(count).repeat_interleave(torch.tensor([repeats(spec) for spec in specs]))

    def part_loss(part: Part, noise: Tensor, t: Tensor, share: float) -> tuple[Tensor, tuple[Tensor | None, ...]]:
        """A part's share of the batch's (weighted loss, mean square error), and the loss's gradients."""
        image, words, mask, clip_words, weight = (x.to(device) for x in part)
        noise, at = noise.to(device), t.to(device)[:, None, None, None]
        # Each weight is cast once in a part, so keeping casts gains nothing, and parts must not share them.
        with torch.autocast(device.type, torch.bfloat16, cache_enabled=False):
            velocity = model(at * image + (1 - at) * noise, t.to(device), words, mask, clip_words, run_blocks)
        error = (velocity.float() - (image - noise)).square()
        loss = (error * (weight / weight.mean())).mean() * share
        said = torch.stack([loss.detach(), error.detach().mean() * share])
        return said, torch.autograd.grad(loss, trained, allow_unused=True)

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        number, place = recipe.stage_at(step)
        stage = recipe.stages[number]
        pictures = of_stage(stage)
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        pool = epoch(number, len(pictures))
        numbers = pool[batch_numbers(recipe.seed + number, place, stage.batch, len(pool))].tolist()
        visit = recipe.seed * 1_000_003 + step  # other words each time
        tasks = []
        for part in captions[number].parts(numbers, pictures, visit, recipe.part, recipe.faces):
            count = len(part.latents)
            noise = torch.randn(part.latents.shape, generator=generator)
            t = sample_times(count, recipe.uniform_share, generator, stage.shift)
            tasks.append((part, noise, t, count / stage.batch))
        total = torch.zeros(2, device=device)
        for said, gradients in lanes.starmap(part_loss, tasks):
            total += said
            for parameter, gradient in zip(trained, gradients, strict=True):
                if gradient is not None:
                    parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
        return total[0], {"mse": float(total[1])}

    plan = Plan(steps=recipe.steps, ema=0.999, decay=recipe.decay, save_every=100)
    with Lanes(torch.get_num_threads() if device.type == "cpu" else 1) as lanes:
        average = fit(model, loss_at, optimizers, plan, folder, say=say, recipe=repr(recipe))
    average.copy_to(model)
    return model.eval()


def run_compiled(backend: str = "inductor") -> RunBlocks:
    """The plain loop, over blocks whose parts before and after the kernel are compiled, their gradients too."""
    in_order = InOrder(RunBlock(Leaves.compiled(partial(torch.compile, dynamic=True, fullgraph=True, backend=backend))))

    def run(blocks: Iterable[nn.Module], x: Tensor, m: Sequence[Modulation], seq: TokenSequence) -> Tensor:
        # A graph is tied to what the code generator assumed of sizes and strides: three picture sizes need a dozen.
        # Here and not around the training, since every thread has a configuration of its own.
        with torch._dynamo.config.patch(recompile_limit=64):
            return in_order(None, blocks, x, m, seq)

    return run


def sample_times(count: int, uniform_share: float, generator: torch.Generator, shift: float = 1.0) -> Tensor:
    """Times t in (0, 1): logit-normal, but a share of them uniform, so that both ends are seen; then shifted towards
    the noise (Esser et al. 2024, section 5.3.2)."""
    t = torch.randn(count, generator=generator).sigmoid()
    uniform = torch.rand(count, generator=generator)
    chosen = torch.rand(count, generator=generator) < uniform_share
    t = torch.where(chosen, uniform, t)
    return t / (shift - (shift - 1) * t)


def _padded(rows: list[list[int]], pad: int) -> tuple[Tensor, Tensor]:
    length = -(-max(len(row) for row in rows) // 16) * 16
    ids = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.zeros(len(rows), length, dtype=torch.bool)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = True
    return ids, mask
