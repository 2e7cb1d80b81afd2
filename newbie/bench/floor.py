"""What this machine can do: the ceilings of products and memory, and the floor of one evaluation of a model.

The floor is the time of the products alone, of the shapes and weights of the model, plus the best attention kernel:
what would be left if everything else cost nothing. It is measured beside the model, in the same run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from newbie.attention.choose import KERNELS, explain
from newbie.attention.kernel import Kernel, SequenceInfo, takes_fewer_queries
from newbie.bench.sizes import Size
from newbie.bench.timing import Timing, attempt, significant, stopwatch, synchroniser
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


def products(model: NextDiT, size: Size, *, spared: bool = False) -> list[Product]:
    """The products of one guided evaluation: real tokens of both rows, no padding; the captions are refined before.

    `spared`: without what `newbie.accel.savings` leaves out exactly: image tokens are embedded and refined once for
    both rows, and the last block computes image tokens only.
    """
    joint, both = sum(size.tokens), 2 * size.image_tokens
    early = size.image_tokens if spared else both
    found = [Product(early, model.x_embedder.weight), Product(both, model.final_layer.linear.weight)]
    for block in cast("Iterable[Block]", model.noise_refiner):
        found += _products_of(block, early, early)
    for number, block in enumerate(cast("Iterable[Block]", model.layers), start=1):
        found += _products_of(block, joint, both if spared and number == len(model.layers) else joint)
    return found


def _products_of(block: Block, rows: int, rows_after: int) -> list[Product]:
    """Of a block, whose rows may become fewer after the attention."""
    feed = block.feed_forward
    after = (block.attention.out, feed.w1, feed.w3, feed.w2)
    return [Product(rows, block.attention.qkv.weight), *(Product(rows_after, each.weight) for each in after)]


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


class Attended(NamedTuple):
    """One row of so many queries and keys, in so many blocks."""

    queries: int
    keys: int
    blocks: int


def attention_work(size: Size, *, spared: bool = False) -> list[Attended]:
    """The attention of one guided evaluation, row by row; `spared` as in `products`."""
    image, layers, refiners = size.image_tokens, size.config.n_layers, size.config.n_refiner_layers
    if not spared:
        return [Attended(image, image, 2 * refiners), *(Attended(n, n, layers) for n in size.tokens)]
    last = [Attended(image, n, 1) for n in size.tokens]
    return [Attended(image, image, refiners), *(Attended(n, n, layers - 1) for n in size.tokens), *last]


def attention_flop(size: Size, work: Sequence[Attended]) -> int:
    """Of its two products."""
    return sum(4 * size.config.dim * each.queries * each.keys * each.blocks for each in work)


def attentions(
    size: Size, work: Sequence[Attended], device: torch.device, dtype: torch.dtype
) -> Mapping[str, Callable[[], None]]:
    """Per fast kernel that can serve, and does: a function that runs this work, row by row, so that no kernel pays
    for padding."""
    names = [name for name in serving(size.config, device, dtype, masked=False) if name not in NOT_FOR_SPEED]
    sets = [(each, *qkv(1, each.keys, size.config, device, dtype)) for each in work]
    runs = {name: _attend(KERNELS[name], sets) for name in names}
    return {name: run for name, run in runs.items() if not attempt(run, synchroniser(device))[0]}


def _attend(
    kernel: Kernel, sets: Sequence[tuple[Attended, Tensor, Tensor, Tensor, SequenceInfo]]
) -> Callable[[], None]:
    def run() -> None:
        for (queries, keys, blocks), q, k, v, info in sets:
            asked = q[:, keys - queries :] if takes_fewer_queries(kernel, info) else q
            for _ in range(blocks):
                kernel(asked, k, v, info)

    return run


FLOORS = ("same shapes", "after the exact savings")


class Work(NamedTuple):
    """What a floor consists of, ready to be timed."""

    runs: Mapping[str, Callable[[], None]]  # "products", and every kernel by name
    product_flop: int
    attention_flop: int

    @classmethod
    def of(cls, model: NextDiT, size: Size, device: torch.device, dtype: torch.dtype, *, spared: bool) -> Work:
        multiplied, attended = products(model, size, spared=spared), attention_work(size, spared=spared)
        return cls(
            {"products": multiply(multiplied), **attentions(size, attended, device, dtype)},
            sum(product.flop for product in multiplied),
            attention_flop(size, attended),
        )

    def measured(self, timings: Mapping[str, Timing]) -> dict[str, Any]:
        """Products and the best attention, in seconds per guided evaluation."""
        kernels = {name: timing for name, timing in timings.items() if name != "products"}
        best = min(kernels, key=lambda name: kernels[name].median)
        seconds = timings["products"].median, kernels[best].median
        return {
            "seconds": significant(sum(seconds)),
            "products": timings["products"].to_json(),
            "attention": {name: timing.to_json() for name, timing in kernels.items()},
            "best_attention": best,
            "product_gflop": significant(self.product_flop / 1e9),
            "attention_gflop": significant(self.attention_flop / 1e9),
            "product_tflops": significant(self.product_flop / seconds[0] / 1e12),
            "attention_tflops": significant(self.attention_flop / seconds[1] / 1e12),
        }


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
