"""FlashAttention from the beginning: makes every number and picture of docs/flash-attention.md.

    python docs/examples/flash_attention.py                        everything, into outputs/flash-attention
    python docs/examples/flash_attention.py train clip             only these chapters
    python docs/examples/flash_attention.py --draw numbers.json    pictures again, from numbers measured before

This file is the part to read: the mean in pieces, a mini Transformer, its training. `flash_attention_measure.py`
counts bytes and seconds, `flash_attention_plots.py` draws.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import flash_attention_measure as measure
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from newbie.attention.choose import choose
from newbie.attention.kernel import Kernel, SequenceInfo
from newbie.attention.tiled import Tiled
from newbie.model.layers import FeedForward, RMSNorm

KERNELS = ("reference", "tiled", "sdpa")
DIGITS, LENGTH, DIM, ROWS = 10, 40, 64, 64  # 40 is no multiple of the tiles of 16 x 16 that are used below


# --- A mean in pieces ---


class Moment(NamedTuple):
    """What is remembered after a tile of keys: the largest score, the sum of weights, the unfinished mean."""

    m: float
    l: float  # noqa: E741 - the papers' letter
    acc: float


def worked(scores: list[float], values: list[float], tile: int) -> list[Moment]:
    """Online softmax for one query with values that are single numbers. The result is acc / l of the last moment."""
    m, l, acc = -math.inf, 0.0, 0.0  # noqa: E741
    moments = []
    for start in range(0, len(scores), tile):
        s, v = scores[start : start + tile], values[start : start + tile]
        m_new = max(m, *s)
        p = [math.exp(score - m_new) for score in s]
        fade = math.exp(m - m_new)
        l = fade * l + sum(p)  # noqa: E741
        acc = fade * acc + sum(weight * value for weight, value in zip(p, v, strict=True))
        m = m_new
        moments.append(Moment(m, l, acc))
    return moments


# --- A mini Transformer ---


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)). The only line about attention is `self.attend`."""

    def __init__(self, dim: int, heads: int, attend: Kernel) -> None:
        super().__init__()
        self.heads, self.attend = heads, attend
        self.norm1, self.norm2 = RMSNorm(dim, 1e-6), RMSNorm(dim, 1e-6)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)  # one product instead of three
        self.out = nn.Linear(dim, dim, bias=False)
        self.feed_forward = FeedForward(dim, 2 * dim)  # SwiGLU

    def forward(self, x: Tensor, seq: SequenceInfo) -> Tensor:
        """x (B, L, dim) -> (B, L, dim)."""
        q, k, v = self.split(x)
        x = x + self.out(self.attend(q, k, v, seq).flatten(2))
        return x + self.feed_forward(self.norm2(x))

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        """x (B, L, dim) -> q, k, v, each (B, L, H, D). A head is a stretch of the channels and nothing more."""
        return self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).unbind(2)


class MiniTransformer(nn.Module):
    """Digits in, digits out, every place at once; places are learned vectors."""

    def __init__(self, heads: int, attend: Kernel, *, dim: int = DIM, layers: int = 1) -> None:
        super().__init__()
        self.digit = nn.Embedding(DIGITS, dim)
        self.place = nn.Parameter(torch.randn(LENGTH, dim))
        self.blocks = nn.ModuleList(Block(dim, heads, attend) for _ in range(layers))
        self.norm = RMSNorm(dim, 1e-6)
        self.head = nn.Linear(dim, DIGITS)

    def forward(self, digits: Tensor) -> Tensor:
        """digits (B, L) -> logits (B, L, 10)."""
        seq = SequenceInfo.of(torch.ones_like(digits, dtype=torch.bool))
        x = self.digit(digits) + self.place
        for block in self.blocks:
            x = block(x, seq)
        return self.head(self.norm(x))

    @torch.no_grad()
    def looks_at(self, digits: Tensor) -> Tensor:
        """The weights of the first block, (B, H, L, L): for pictures only, so all at once."""
        q, k, _ = self.blocks[0].split(self.digit(digits) + self.place)
        return (torch.einsum("bqhd,bkhd->bhqk", q, k) * q.shape[-1] ** -0.5).softmax(-1)


def reverse(digits: Tensor) -> Tensor:
    """(B, L) -> (B, L): last digit first. Each place must look at exactly one other."""
    return digits.flip(1)


def ascending(digits: Tensor) -> Tensor:
    """(B, L) -> (B, L): sorted. Each place must look at all others and count."""
    return digits.sort(1).values


class Run(NamedTuple):
    """One training: losses and lengths of the gradient step by step, and where the heads ended up looking.

    `at_places` (H, L, L): the weight that each place gives to each other, on average over rows; `at_digits`
    (H, L, 10): the weight that it gives to all ones, all twos, and so on.
    """

    loss: list[float]
    norm: list[float]
    seconds: float
    largest_weight: float
    at_places: Tensor
    at_digits: Tensor


def train(
    answer: Callable[[Tensor], Tensor],
    kernel: str,
    *,
    heads: int,
    steps: int,
    rate: float = 3e-3,
    optimizer: str = "adamw",
    clip: float = math.inf,
) -> Run:
    """Train a mini Transformer to give `answer(digits)`. Same weights, same digits, whatever the kernel.

    `clip` is the length that the gradient of all weights together may have; longer ones are scaled down to it.
    """
    attend = choose(kernel, device="cpu", dtype=torch.float32, head_dim=DIM // heads, n_heads=heads, n_kv_heads=heads)
    if isinstance(attend, Tiled):
        attend = replace(attend, block_q=16, block_k=16)  # 3 x 3 tiles, the last ones half empty
    torch.manual_seed(0)
    model, draw = MiniTransformer(heads, attend), torch.Generator().manual_seed(1)
    if optimizer == "adamw":
        opt: torch.optim.Optimizer = torch.optim.AdamW(model.parameters(), rate, betas=(0.9, 0.98))
    else:
        opt = torch.optim.SGD(model.parameters(), rate, momentum=0.9)
    warm = torch.optim.lr_scheduler.LambdaLR(opt, lambda step: min(1, (step + 1) / 30) * (1 - step / steps) ** 0.5)
    losses, norms, start = [], [], time.perf_counter()
    for _ in range(steps):
        digits = torch.randint(DIGITS, (ROWS, LENGTH), generator=draw)
        loss = F.cross_entropy(model(digits).flatten(0, 1), answer(digits).flatten())
        opt.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
        if not (loss.isfinite() and norm.isfinite()):
            break  # NaN never comes back
        losses.append(loss.item())
        norms.append(norm.item())
        opt.step()
        warm.step()
    seconds = time.perf_counter() - start
    weights = model.looks_at(digits)
    at_digits = torch.einsum("bhqk,bkn->hqn", weights, F.one_hot(digits, DIGITS).float()) / ROWS
    largest = max(p.abs().max().item() for p in model.parameters())
    return Run(losses, norms, seconds, largest, weights.mean(0), at_digits)


# --- The chapters: each gives what is written into numbers.json ---


def chapter_worked(_: float) -> dict[str, Any]:
    scores, values = [2.0, 3.0, 1.0, 5.0], [10.0, 20.0, 30.0, 40.0]
    moments = worked(scores, values, tile=2)
    for number, moment in enumerate(moments, 1):
        print(f"  after tile {number}:  m = {moment.m:.0f}   l = {moment.l:.4f}   acc = {moment.acc:.4f}")
    last = moments[-1]
    print(f"  acc / l = {last.acc / last.l:.4f},  lse = m + ln l = {last.m + math.log(last.l):.4f}")
    at_once = torch.tensor(scores).softmax(0) @ torch.tensor(values)
    print(f"  all at once: {at_once:.4f}")
    return {"moments": moments, "result": last.acc / last.l, "at_once": at_once.item()}


def chapter_train(effort: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, answer, heads, steps in (("reverse", reverse, 1, 120), ("sort", ascending, 4, 240)):
        steps = max(3, round(steps * effort))
        runs = {kernel: train(answer, kernel, heads=heads, steps=steps) for kernel in KERNELS}
        for kernel, run in runs.items():
            apart = max(abs(a - b) for a, b in zip(run.loss, runs["reference"].loss, strict=True))
            print(
                f"  {name}, {heads} head(s), {kernel:9}  loss {run.loss[-1]:.4f}   largest difference to reference"
                f" {apart:.1e}   {run.seconds:.1f} s"
            )
        found[name] = {
            "heads": heads,
            "loss": {kernel: run.loss for kernel, run in runs.items()},
            "seconds": {kernel: run.seconds for kernel, run in runs.items()},
            "at_places": _rounded(runs["reference"].at_places),
            "at_digits": _rounded(runs["reference"].at_digits),
        }
    alone = train(ascending, "sdpa", heads=1, steps=max(3, round(240 * effort)))
    print(f"  sort, 1 head of {DIM} instead of 4 of {DIM // 4}: loss {alone.loss[-1]:.4f}")
    found["sort"]["one_head"] = alone.loss
    return found


def _rounded(weights: Tensor) -> list[list[list[float]]]:
    return [[[round(w, 4) for w in row] for row in head] for head in weights.tolist()]


def chapter_clip(effort: float) -> dict[str, Any]:
    found = {}
    for name, clip in (("as it comes", math.inf), ("clipped to 1", 1.0)):
        steps = max(3, round(120 * effort))
        run = train(ascending, "sdpa", heads=4, steps=steps, rate=2.0, optimizer="sgd", clip=clip)
        end = f"loss {run.loss[-1]:.3f}" if len(run.loss) == steps else f"NaN at step {len(run.loss) + 1}"
        print(f"  {name:12}  {end}   longest gradient {max(run.norm):.3g}   largest weight {run.largest_weight:.3g}")
        found[name] = {"loss": run.loss, "norm": run.norm, "largest_weight": run.largest_weight}
    return found


CHAPTERS: dict[str, Callable[[float], dict[str, Any]]] = {
    "worked": chapter_worked,
    "train": chapter_train,
    "clip": chapter_clip,
    "traffic": measure.traffic_by_length,
    "memory": measure.peak_by_length,
    "tiles": measure.sweep_tiles,
    "alignment": measure.alignment,
    "claim": measure.claim,
}


def main(argv: Iterable[str] | None = None) -> int:
    """Run chapters, keep their numbers, draw their pictures."""
    parser = argparse.ArgumentParser(description="Numbers and pictures of docs/flash-attention.md")
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help=f"some of: {', '.join(CHAPTERS)} (all)")
    parser.add_argument("--out", type=Path, default=Path("outputs/flash-attention"), help="folder for the pictures")
    parser.add_argument("--numbers", type=Path, help="file for the numbers, kept up to date (OUT/numbers.json)")
    parser.add_argument("--draw", action="store_true", help="measure nothing: draw what the file of numbers holds")
    parser.add_argument("--effort", type=float, default=1.0, help="less than 1: shorter trainings, fewer lengths")
    args = parser.parse_args(None if argv is None else list(argv))
    if unknown := set(args.chapters) - set(CHAPTERS):
        parser.error(f"no such chapter: {', '.join(sorted(unknown))}")
    args.out.mkdir(parents=True, exist_ok=True)
    path: Path = args.numbers or args.out / "numbers.json"
    numbers: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for name in () if args.draw else args.chapters or CHAPTERS:
        print(name, flush=True)
        command = f"python docs/examples/flash_attention.py {name}"
        numbers[name] = {"command": command, "machine": measure.machine(), "found": CHAPTERS[name](args.effort)}
        path.write_text(json.dumps(numbers, allow_nan=False) + "\n", encoding="utf-8")
    from flash_attention_plots import draw  # matplotlib is an extra: pip install "newbie[plots]"

    for picture in draw(numbers, args.out):
        print(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
