"""How fast 8-bit products are beside our bf16 path: the linear layers of one block, and whole generations.

    python benchmarks/quantisation_speed.py                    the 768-wide model at 512x512, 28 steps, three times
    python benchmarks/quantisation_speed.py --size mini256 --steps 4 --generations 1

Both take turns in random order; inputs are rounded inside what is timed.
Writes benchmarks/results/quantisation-speed.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from newbie import devices
from newbie.accel import choose as accel
from newbie.accel.cpu import CpuBlocks
from newbie.bench.contestants import Ours
from newbie.bench.machine import facts
from newbie.bench.race import race
from newbie.bench.results import Result, write
from newbie.bench.sizes import SIZES, Size, build, given
from newbie.bench.timing import Timing, interleave
from newbie.calibrate.quantise import quantise
from newbie.model.block import Block
from newbie.model.nextdit import NextDiT
from newbie.quant.choice import Rule
from newbie.sampling import times

LAYERS = ("qkv", "out", "w1", "w3", "w2")


def layers(models: dict[str, NextDiT], size: Size, rounds: int) -> dict[str, dict[str, Timing]]:
    """Each of a block's products by name, and all of them one after another, as the leaves for a CPU compute them."""
    generator = torch.Generator().manual_seed(0)
    config = size.config
    tokens = sum(size.tokens)
    narrow = torch.randn(1, tokens, config.dim, generator=generator).bfloat16()
    wide = torch.randn(1, tokens, config.ffn_dim, generator=generator).bfloat16()

    def products(model: NextDiT) -> list[Callable[[], Tensor]]:
        block = model.layers[0]
        assert isinstance(block, Block)
        weights = CpuBlocks.of([block]).weights[block]
        return [lambda n=name: getattr(weights, n)(wide if n == "w2" else narrow) for name in LAYERS]  # type: ignore

    found = {name: products(model) for name, model in models.items()}

    def together(each: Sequence[Callable[[], Tensor]]) -> Callable[[], object]:
        return lambda: [product() for product in each]

    runs = {"all five": {name: together(each) for name, each in found.items()}}
    for i, layer in enumerate(LAYERS):
        runs[layer] = {name: each[i] for name, each in found.items()}
    cpu = torch.device("cpu")
    return {layer: interleave(each, rounds=rounds, seed=1, device=cpu) for layer, each in runs.items()}


@torch.no_grad()
def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    flags.add_argument("--size", choices=SIZES, default="wide512")
    flags.add_argument("--steps", type=int, default=28)
    flags.add_argument("--generations", type=int, default=3)
    flags.add_argument("--rounds", type=int, default=15)
    flags.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    args = flags.parse_args()
    size, cpu = SIZES[args.size], torch.device("cpu")
    plain = build(size.config, cpu, torch.bfloat16, 0)
    models = {"bf16": plain, "w8a8": quantise(plain, Rule("w8a8")).network}
    one = layers(models, size, args.rounds)  # type: ignore[arg-type]
    values: dict[str, object] = {"layers": {}, "generation": {}}
    for layer, timing in one.items():
        ratio = timing["bf16"].median / timing["w8a8"].median
        values["layers"][layer] = {name: each.to_json() for name, each in timing.items()} | {"times": ratio}  # type: ignore
        milliseconds = {name: f"{each.median * 1e3:.1f} ms" for name, each in timing.items()}
        print(f"{layer:9} {milliseconds}  {ratio:.2f} times")
    grid = times.schedule("official", args.steps, shift=6.0, sampler="euler")
    inputs = given(size, cpu, 0)
    running = [
        Ours(name, model, size, inputs, grid, blocks=accel.choose(model).runner).contestant()  # type: ignore[arg-type]
        for name, model in models.items()
    ]
    records, _ = race(running, inputs.noise, grid, generations=args.generations, seed=2)
    whole = {name: Timing(tuple(record.generation)) for name, record in records.items()}
    ratio = whole["bf16"].median / whole["w8a8"].median
    first, second = (records[name].final for name in ("bf16", "w8a8"))
    assert first is not None and second is not None
    values["generation"] = {name: each.to_json() for name, each in whole.items()} | {
        "times": ratio,
        "relative distance of results": float((second - first).norm() / first.norm()),
    }
    print(f"generation { ({name: f'{each.median:.2f} s' for name, each in whole.items()}) }  {ratio:.2f} times")
    about = {**facts(cpu), "size": args.size, "steps": args.steps, "threads": devices.threads()}
    write(Result("quantisation-speed", "quantisation", about, values), args.results)


if __name__ == "__main__":
    main()
