"""Train the Next-DiT and its two text encoders together, from nothing, on cached latents (rectified flow).

x_t = t * image + (1 - t) * noise, and the network learns the velocity image - noise (Liu et al. 2022; Esser et al.
2024 for the logit-normal t). Captions are made anew at every visit, one in ten is empty, so guidance needs no other
trick. The text encoders are the real classes with small configurations; their gradients come through the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from newbie.attention.kernel import Needs, SequenceInfo
from newbie.model import init as model_init
from newbie.model.config import NextDiTConfig
from newbie.model.nextdit import NextDiT
from newbie.text import gemma, jina
from newbie.text.tokens import Tokenizer
from newbie.train.data import Drawings, batch_numbers
from newbie.train.loop import Plan, fit
from newbie.train.optim import Optimizers, split_parameters

# Tables and borders: what they hold is a direction per row, not a map from one space to another.
NOT_FOR_MUON = ("embed_tokens", "embeddings.", "x_embedder", "final_layer", "t_embedder", "adaLN_modulation")


@dataclass(frozen=True)
class FlowRecipe:
    """The dials of the transformer's training."""

    transformer: NextDiTConfig
    text_encoder: gemma.GemmaConfig
    clip: jina.JinaConfig
    steps: int
    batch: int = 48
    parts: int = 3  # a batch is run in so many parts of similar caption length: less padding, the same gradient
    muon_lr: float = 0.02
    adam_lr: float = 2e-3
    uniform_share: float = 0.15  # of the times t; the rest is logit-normal, thin at both ends
    seed: int = 0


@dataclass(frozen=True)
class MatmulAttention:
    """Two batched products and a float32 softmax. For the short sequences of training on a CPU the backward pass of
    this is twice as fast as that of PyTorch's fused kernel."""

    name: str = "matmul"
    needs: Needs = field(default=Needs())

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (B, L, H, D), k and v (B, L, K, D) -> (B, L, H, D) in the dtype of v."""
        rows, length, heads, size = q.shape
        kv_heads = k.shape[2]
        q = (q * size**-0.5).transpose(1, 2).reshape(rows, kv_heads, -1, size)  # (B, K, H/K * L, D)
        scores = (q @ k.permute(0, 2, 3, 1)).float()
        if seq.mask is not None:
            scores = scores.masked_fill(~seq.mask[:, None, None, :], torch.finfo(scores.dtype).min)
        o = scores.softmax(-1).to(v.dtype) @ v.transpose(1, 2)
        return o.view(rows, heads, length, size).transpose(1, 2)


MATMUL = MatmulAttention()


class Painter(nn.Module):
    """Everything that is trained here, under the names of the official folder."""

    def __init__(self, recipe: FlowRecipe) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(recipe.seed)
        self.transformer = model_init.initialise(NextDiT(recipe.transformer), generator)
        self.text_encoder = gemma.build_gemma(recipe.text_encoder, attention="sdpa")
        gemma.initialise(self.text_encoder, generator)
        self.clip_model = jina.JinaTextTower(recipe.clip)
        jina.initialise(self.clip_model, generator)

    def forward(self, latents: Tensor, t: Tensor, words: Tensor, mask: Tensor, clip_words: Tensor) -> Tensor:
        """Velocity (B, C, h, w) at times t (B,) for Gemma ids (B, L) with mask, and Jina ids (B, M)."""
        hidden = gemma.hidden_states(self.text_encoder, words)
        pooled = self.clip_model.pooled(clip_words)
        size = (latents.shape[2], latents.shape[3])
        prepared = self.transformer.prepare(hidden, mask, pooled, size, attend=MATMUL)
        return self.transformer(latents, t, prepared)


@dataclass(frozen=True)
class CaptionBatches:
    """Turns picture numbers into padded token ids for both encoders."""

    drawings: Drawings
    gemma: Tokenizer
    jina: Tokenizer

    def parts(self, numbers: list[int], visit: int, count: int) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """The batch in `count` parts, short captions first: (places in the batch, Gemma ids (B, L), their mask,
        Jina ids (B, M)); lengths are padded to multiples of 16."""
        captions = [self.drawings.caption(i, visit) for i in numbers]
        words = [self.gemma.encode(text).ids for text in captions]
        clip_words = [self.jina.encode(text).ids for text in captions]
        order = torch.tensor(sorted(range(len(numbers)), key=lambda place: len(words[place])))
        for places in order.tensor_split(count):
            ids, mask = _padded([words[place] for place in places], self.gemma.pad_id)
            yield places, ids, mask, _padded([clip_words[place] for place in places], self.jina.pad_id)[0]


def train_flow(
    recipe: FlowRecipe,
    latents: Tensor,
    captions: CaptionBatches,
    folder: Path,
    *,
    device: torch.device,
    say: Callable[[str], None],
) -> Painter:
    """Train on `latents` (N, C, h, w), picture i of `captions.drawings`; return the averaged weights."""
    model = Painter(recipe).to(device)
    muon, adam = split_parameters(model, NOT_FOR_MUON)
    optimizers = Optimizers(muon, adam, muon_lr=recipe.muon_lr, adam_lr=recipe.adam_lr)

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        numbers = batch_numbers(recipe.seed, step, recipe.batch, len(latents))
        visit = step * recipe.batch // len(latents)
        image = latents[numbers].float().to(device)
        noise = torch.randn(image.shape, generator=generator).to(device)
        t = sample_times(recipe.batch, recipe.uniform_share, generator).to(device)
        at = t[:, None, None, None]
        noisy, target = at * image + (1 - at) * noise, image - noise
        losses = []
        for places, *ids in captions.parts(numbers.tolist(), visit, recipe.parts):
            words, mask, clip_words = (x.to(device) for x in ids)
            with torch.autocast(device.type, torch.bfloat16):
                velocity = model(noisy[places], t[places], words, mask, clip_words)
            loss = F.mse_loss(velocity.float(), target[places]) * (len(places) / recipe.batch)
            loss.backward()
            losses.append(loss.detach())
        return torch.stack(losses).sum(), {}

    plan = Plan(steps=recipe.steps, ema=0.999, decay=0.45, save_every=250)
    average = fit(model, loss_at, optimizers, plan, folder, say=say)
    average.copy_to(model)
    return model.eval()


def sample_times(count: int, uniform_share: float, generator: torch.Generator) -> Tensor:
    """Times t in (0, 1): logit-normal, but a share of them uniform, so that both ends are seen."""
    t = torch.randn(count, generator=generator).sigmoid()
    uniform = torch.rand(count, generator=generator)
    chosen = torch.rand(count, generator=generator) < uniform_share
    return torch.where(chosen, uniform, t)


def _padded(rows: list[list[int]], pad: int) -> tuple[Tensor, Tensor]:
    length = -(-max(len(row) for row in rows) // 16) * 16
    ids = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.zeros(len(rows), length, dtype=torch.bool)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = True
    return ids, mask
