"""What this machine can do: the ceilings of products and memory, and the floor of one evaluation of a model.

The floor is the time of the products alone, of the shapes and weights of the model, plus the best attention kernel:
what would be left if everything else cost nothing. It is measured beside the model, in the same run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor

from newbie.attention.choose import KERNELS, explain
from newbie.attention.kernel import Kernel, SequenceInfo
from newbie.bench.sizes import Size
from newbie.bench.timing import attempt, stopwatch, synchroniser
from newbie.model.block import Block
from newbie.model.config import NextDiTConfig
from newbie.model.nextdit import NextDiT

NOT_FOR_SPEED = ("reference", "sdpa-math", "tiled", "sage")  # written to be read, the formula itself, or not exact


class Product(NamedTuple):
    """rows x width times width x outputs, `weight` (outputs, width)."""

    rows: int
    weight: Tensor

    @property
    def flop(self) -> int:
        return 2 * self.rows * self.weight.numel()


class Ceilings(NamedTuple):
    """The most that was measured on this machine, with these threads."""

    tflops: float  # products
    gb_per_second: float  # memory, read and written


def products(model: NextDiT, size: Size) -> list[Product]:
    """The products of one guided evaluation: real tokens of both rows, no padding; the captions are refined before."""
    joint, image = sum(size.tokens), 2 * size.image_tokens
    found = [Product(image, model.x_embedder.weight), Product(image, model.final_layer.linear.weight)]
    for blocks, rows in ((model.noise_refiner, image), (model.layers, joint)):
        for block in cast("Iterable[Block]", blocks):
            linears = (
                block.attention.qkv, block.attention.out,
                block.feed_forward.w1, block.feed_forward.w3, block.feed_forward.w2,
            )  # fmt: skip
            found += [Product(rows, linear.weight) for linear in linears]
    return found


def multiply(work: Sequence[Product]) -> Callable[[], None]:
    """A function that runs the products, into memory that is already there."""
    device, dtype = work[0].weight.device, work[0].weight.dtype
    inputs = {(p.rows, p.weight.shape[1]): torch.empty(0) for p in work}
    inputs = {shape: torch.randn(shape, device=device).to(dtype) for shape in inputs}
    shapes = {(p.rows, p.weight.shape[0]) for p in work}
    outputs = {shape: torch.empty(shape, device=device, dtype=dtype) for shape in shapes}

    def run() -> None:
        for rows, weight in work:
            torch.mm(inputs[rows, weight.shape[1]], weight.T, out=outputs[rows, weight.shape[0]])

    return run


def attention_flop(size: Size) -> int:
    """Of the two products of attention, in one guided evaluation."""
    per_layer = 4 * size.config.dim
    joint = sum(n * n for n in size.tokens) * size.config.n_layers
    return per_layer * (joint + 2 * size.image_tokens**2 * size.config.n_refiner_layers)


def attentions(size: Size, device: torch.device, dtype: torch.dtype) -> Mapping[str, Callable[[], None]]:
    """Per fast kernel that can serve, and does: a function that runs all attention of one guided evaluation, row by
    row, so that no kernel pays for padding."""
    config = size.config
    names = [name for name in serving(config, device, dtype, masked=False) if name not in NOT_FOR_SPEED]
    work = [(n, config.n_layers) for n in size.tokens] + [(size.image_tokens, 2 * config.n_refiner_layers)]
    sets = [(*qkv(1, n, config, device, dtype), count) for n, count in work]
    runs = {name: _attend(KERNELS[name], sets) for name in names}
    return {name: run for name, run in runs.items() if not attempt(run, synchroniser(device))[0]}


def _attend(kernel: Kernel, sets: Sequence[tuple[Tensor, Tensor, Tensor, SequenceInfo, int]]) -> Callable[[], None]:
    def run() -> None:
        for q, k, v, info, count in sets:
            for _ in range(count):
                kernel(q, k, v, info)

    return run


def qkv(
    rows: int, tokens: int, config: NextDiTConfig, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, SequenceInfo]:
    """Random q (B, L, H, D), k and v (B, L, K, D), cut from one product as in the model; every token is real."""
    heads = (config.n_heads, config.n_kv_heads, config.n_kv_heads)
    joined = torch.randn(rows, tokens, sum(heads), config.head_dim, device=device).to(dtype)
    q, k, v = joined.split(heads, dim=2)
    # q and k leave norm and rotation as tensors of their own; v stays a view of the product.
    everything = torch.ones(rows, tokens, dtype=torch.bool, device=device)
    return q.contiguous(), k.contiguous(), v, SequenceInfo.of(everything)


def serving(config: NextDiTConfig, device: torch.device, dtype: torch.dtype, *, masked: bool) -> list[str]:
    """The kernels that can serve this model here."""
    return [name for name, refusal in refusals(config, device, dtype, masked=masked).items() if not refusal]


def refusals(config: NextDiTConfig, device: torch.device, dtype: torch.dtype, *, masked: bool) -> dict[str, str]:
    """Every kernel, with the reason why it cannot serve or ""."""
    return dict(
        explain(
            device=device,
            dtype=dtype,
            head_dim=config.head_dim,
            n_heads=config.n_heads,
            n_kv_heads=config.n_kv_heads,
            masked=masked,
        )
    )


def ceilings(device: torch.device, dtype: torch.dtype, *, rounds: int = 5, scale: int = 1) -> Ceilings:
    """The best of some rounds: a ceiling is what was reached once.

    The product is 2,304 wide as in the 3.5B model, 2,048 / `scale` rows; memory is copied in 256 MiB / `scale`.
    """
    wait = synchroniser(device)
    rows, width, outputs = 2048 // scale, 2304 // scale, 9216 // scale
    multiplied = multiply([Product(rows, torch.randn(outputs, width, device=device).to(dtype))])
    source = torch.empty(2**26 // scale, device=device).normal_()
    target = torch.empty_like(source)

    def fastest(run: Callable[[], object]) -> float:
        stopwatch(run, wait)
        return min(stopwatch(run, wait) for _ in range(rounds))

    return Ceilings(
        2 * rows * width * outputs / fastest(multiplied) / 1e12,
        2 * source.nbytes / fastest(lambda: target.copy_(source)) / 1e9,
    )
