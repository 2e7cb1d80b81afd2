"""Attention at 16,384 image tokens by fixed plans that leave as much of it as the DiTFastAttn paper's for 2048x2048.

    python benchmarks/attention_mix.py                        the attention of each action, and a whole small network
    python benchmarks/attention_mix.py --part attention       one of both

The paper (Yuan et al. 2024, arXiv 2406.08552, table 1) has 36, 29 and 24 % of the attention's operations left at levels
D4, D5 and D6 there; which actions these are is not published. Here a pattern of actions repeats along the evaluations,
begins elsewhere in every layer, and computes once in each round, so that residuals stay fresh.

The attention of each action runs as it does in a picture (`accel.fastattn`), on random queries, keys and values of a
guided pair, without projections; a plan's time is the sum of what its actions take, beside its share of the scores.
End to end, a network with random weights is drawn with the plan and without. What is expected of it: the attention's
share of the time without a plan, of which the plan leaves its share of operations. Times are processor seconds of one
thread, as other work may share the machine. Writes benchmarks/results/attention-mix-bf16-cpu.json (or the like), and
attention-mix-network3-bf16-cpu.json, by the number of its heads.
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from newbie import devices
from newbie.accel.fastattn import FastAttention
from newbie.accel.leaves import Leaves
from newbie.accel.plan import Plan, Run, WindowShape, leaves_a_residual
from newbie.accel.policies import Policies
from newbie.accel.runner import InOrder, RunBlock
from newbie.accel.work import Work, saved
from newbie.attention.choose import choose
from newbie.attention.kernel import Kernel
from newbie.attention.window import Tiles, Windowed
from newbie.bench import machine
from newbie.bench.floor import qkv
from newbie.bench.results import Result, write
from newbie.bench.timing import significant
from newbie.denoise import Denoiser
from newbie.model.block import Block, TokenSequence
from newbie.model.config import RELEASE, NextDiTConfig
from newbie.model.nextdit import NextDiT
from newbie.model.rope import Rope
from newbie.sampling import solvers, times
from newbie.sampling.guidance import Guidance
from newbie.step import Memory, Step
from newbie.text.features import TextFeatures

# By the paper's level: what a layer does in turn after its first evaluation.
PATTERNS = {
    "D4": ("window", "window+cfg", "cfg", "window", "reuse", "window+cfg", "compute"),
    "D5": ("window+cfg", "window", "reuse", "window+cfg", "cfg", "window+cfg", "reuse", "window", "window+cfg",
           "compute"),
    "D6": ("window+cfg", "reuse", "window", "window+cfg", "reuse", "cfg", "window+cfg", "reuse", "window", "window+cfg",
           "reuse", "window+cfg", "compute"),
}  # fmt: skip
PUBLISHED = {"D4": 0.36, "D5": 0.29, "D6": 0.24}  # of the attention's operations left
WITH_RESIDUAL = "compute, with a residual"
FULL_MODEL = 28, RELEASE.n_layers  # evaluations and layers of the plans


def plan_of(level: str, evaluations: int, layers: int) -> dict[tuple[int, int], str]:
    """(evaluation, layer) -> action."""
    pattern = PATTERNS[level]
    stride = 5 if len(pattern) % 5 else 4  # neighbouring layers are far apart in the pattern
    return {
        (i, layer): pattern[(i - 1 + stride * layer) % len(pattern)] if i else "compute"
        for i in range(evaluations)
        for layer in range(layers)
    }


def counts(plan: dict[tuple[int, int], str], evaluations: int, layers: int) -> Counter[str]:
    """How often each action runs; a computation whose residual is read later is another one."""
    found: Counter[str] = Counter()
    for (i, layer), action in plan.items():
        read = action == "compute" and leaves_a_residual(plan[each, layer] for each in range(i + 1, evaluations))
        found[WITH_RESIDUAL if read else action] += 1
    return found


def scores(action: str, words: int, window: Windowed) -> int:
    """Pairs of a query and a key, of both rows and one head."""
    tokens = words + window.image
    seen, own = window.pairs(words), words * tokens
    return {
        "compute": 2 * tokens**2, WITH_RESIDUAL: 2 * tokens**2 + 2 * (seen - own), "window": 2 * seen,
        "cfg": tokens**2 + own, "window+cfg": seen + own, "reuse": 0,
    }[action]  # fmt: skip


def seconds(run: Callable[[], object]) -> float:
    """Of the processor."""
    began = time.process_time()
    run()
    return time.process_time() - began


def attention(side: int, words: int, groups: int, tiles: Tiles, rounds: int, dtype: torch.dtype) -> dict[str, Any]:
    """Processor seconds of each action, for `groups` key/value heads with three queries each."""
    config = replace(RELEASE, dim=3 * groups * RELEASE.head_dim, n_heads=3 * groups, n_kv_heads=groups)
    tokens = words + side * side
    kernel = kernel_for(config, tokens, dtype)
    q, k, v, info = qkv(2, tokens, config, torch.device("cpu"), dtype)
    window = Windowed(kernel, (side, side), tiles)
    nothing = Rope(*(torch.empty(1, 0) for _ in Rope._fields))
    seq = TokenSequence(nothing, info, kernel, slice(words, None))
    leaves = replace(
        Leaves.plain(),
        qkv=lambda block, x, scale, seq: (q[: len(x)], k[: len(x)], v[: len(x)]),
        project=lambda block, o: o.flatten(2),
    )
    x = torch.empty(2, tokens, 1)
    block: Any = None
    left = Memory()  # by an evaluation that computed
    FastAttention(leaves, window, {}, 1, keep="all").attend(Step(0, 1, 0.0, left), 0, block, x, x, seq)
    runs: dict[str, Callable[[], Tensor]] = {}
    for action in ("compute", WITH_RESIDUAL, "window", "window+cfg", "cfg", "reuse"):
        row = {0: action.partition(",")[0], 1: "window" if action == WITH_RESIDUAL else "compute"}
        fast = FastAttention(leaves, window, lambda i, layer, row=row: row[i], 1)  # type: ignore[misc]

        def run(fast: FastAttention = fast) -> Tensor:
            return fast.attend(Step(0, 2, 0.5, Memory(left)), 0, block, x, x, seq)

        runs[action] = run
    samples: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        for name in list(runs)[:: 1 if number % 2 else -1]:
            samples[name].append(seconds(runs[name]))
            print(f"{name:26} {samples[name][-1]:8.3f} s", flush=True)
    middle = {name: statistics.median(each) for name, each in samples.items()}
    rows = {}
    evaluations, layers = FULL_MODEL
    work = Work(RELEASE, (words, words), window)
    for level in PATTERNS:
        plan = plan_of(level, evaluations, layers)
        found = counts(plan, evaluations, layers)
        whole = evaluations * layers
        took = sum(count * middle[name] for name, count in found.items()) / (whole * middle["compute"])
        share = sum(count * scores(name, words, window) for name, count in found.items())
        share /= whole * scores("compute", words, window)
        rows[level] = {
            "published": PUBLISHED[level], "attention_left": left_of(work, plan, evaluations, layers),
            "scores_left": significant(share, 4), "time_left": significant(took, 4),
            "time_per_share": significant(took / share, 4), "actions": dict(found),
        }  # fmt: skip
        print(level, rows[level], flush=True)
    return {
        "heads": {"query": 3 * groups, "key_value": groups, "size": RELEASE.head_dim}, "kernel": kernel.name,
        "seconds": {name: [significant(one, 4) for one in each] for name, each in samples.items()}, "plans": rows,
    }  # fmt: skip


def left_of(work: Work, plan: dict[tuple[int, int], str], evaluations: int, layers: int) -> float:
    """Of the attention's operations with projections, as the paper counts."""
    gone, _ = saved(lambda i: work, lambda i, layer: plan[i, layer], lambda i, layer: "compute",
                    evaluations=evaluations, layers=layers)  # fmt: skip
    return significant(1 - gone / (evaluations * layers * work.attention("compute")), 4)


def kernel_for(config: NextDiTConfig, tokens: int, dtype: torch.dtype) -> Kernel:
    about = {"head_dim": config.head_dim, "n_heads": config.n_heads, "n_kv_heads": config.n_kv_heads}
    return choose("auto", device="cpu", dtype=dtype, masked=False, length=tokens, **about)


@dataclass
class Timed:
    """The attention branch as it is, and the processor seconds it took."""

    leaves: Leaves
    total: float = 0.0
    plain: RunBlock = field(init=False)

    def __post_init__(self) -> None:
        self.plain = RunBlock(self.leaves)

    def __call__(
        self, step: Step | None, layer: int, block: Block, x: Tensor, scale: Tensor, seq: TokenSequence
    ) -> Tensor:
        began = time.process_time()
        y = self.plain.plain_attend(step, layer, block, x, scale, seq)
        self.total += time.process_time() - began
        return y


def network(
    level: str, side: int, words: int, heads: int, layers: int, evaluations: int, tiles: Tiles, dtype: torch.dtype
) -> dict[str, Any]:
    """A picture of a network with random weights, without refiners: all of it is joint blocks."""
    config = replace(
        RELEASE, dim=heads * RELEASE.head_dim, n_heads=heads, n_kv_heads=1, n_layers=layers, n_refiner_layers=0,
        cap_feat_dim=64, clip_text_dim=None,
    )  # fmt: skip
    torch.manual_seed(0)
    model = NextDiT(config).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.02) if weight.ndim > 1 else torch.nn.init.ones_(weight)
    model = model.to(dtype)
    hidden = torch.randn(2, words, config.cap_feat_dim).to(dtype)
    grid = times.schedule("official", evaluations, shift=6.0, sampler="euler")
    kernel = kernel_for(config, words + side * side, dtype)
    timed = Timed(Leaves.plain())
    features = TextFeatures(hidden, torch.ones(2, words, dtype=torch.bool), None)
    exact = Denoiser(
        model, features, (2 * side, 2 * side), grid, "euler", Guidance(4.5), kernel=lambda *given, **more: kernel,
        blocks=InOrder(RunBlock(Leaves.plain(), attend=timed)),
    )  # fmt: skip
    actions = plan_of(level, evaluations, layers)
    rows = {(n, "attn"): tuple(actions[i, n] for i in range(evaluations)) for n in range(layers)}
    run = Run(layers, config.dim, evaluations, "euler", "official", 6.0, (True,) * evaluations)
    plan = Plan.of(run, layer_actions=rows, window=WindowShape(tiles.side, tiles.radius))
    planned = replace(exact, blocks=InOrder(RunBlock(Leaves.plain())), policies=Policies(None, plan), _made={})
    noise = torch.randn(1, config.in_channels, 2 * side, 2 * side)
    took = {}
    for name, denoiser in (("exact", exact), ("plan", planned)):
        velocity = denoiser.velocity(1)
        velocity.prepare()
        took[name] = seconds(lambda velocity=velocity: solvers.SOLVERS["euler"](velocity, noise, grid, None))  # type: ignore[misc]
        print(f"{name}: {took[name]:.1f} s", flush=True)
    work = Work(config, (words, words), Windowed(kernel, (side, side), tiles))
    left, share = left_of(work, actions, evaluations, layers), timed.total / took["exact"]
    gone, everything = saved(lambda i: work, lambda i, n: actions[i, n], lambda i, n: "compute",
                             evaluations=evaluations, layers=layers)  # fmt: skip
    predicted = 1 / (1 - share * (1 - left))
    measured = took["exact"] / took["plan"]
    return {
        "level": level, "width": config.dim, "heads": heads, "layers": layers, "evaluations": evaluations,
        "seconds": {name: significant(each, 4) for name, each in took.items()},
        "attention_share_of_time": significant(share, 4), "attention_left": left,
        "predicted_by_operations": significant(everything / (everything - gone), 4),
        "predicted": significant(predicted, 4),
        "measured": significant(measured, 4), "measured_of_predicted": significant(measured / predicted, 4),
    }  # fmt: skip


@torch.no_grad()
def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    flags.add_argument("--side", type=int, default=128, help="of the grid of image tokens (default: %(default)s)")
    flags.add_argument("--words", type=int, default=256)
    flags.add_argument("--groups", type=int, default=1, help="key/value heads; heads do not meet, so few suffice")
    flags.add_argument("--tile", type=int, default=8)
    flags.add_argument("--rounds", type=int, default=3)
    flags.add_argument("--part", default="both", choices=("both", "attention", "network"))
    flags.add_argument("--level", default="D6", choices=tuple(PATTERNS), help="of the network's plan")
    flags.add_argument("--heads", type=int, default=3, help="of the network, to one key/value head")
    flags.add_argument("--layers", type=int, default=2)
    flags.add_argument("--evaluations", type=int, default=6)
    flags.add_argument("--note", default="", help="what else the machine was doing")
    flags.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    args = flags.parse_args()
    torch.set_num_threads(1)
    half = devices.native_bf16("cpu")
    dtype, name = (torch.bfloat16, "bf16") if half else (torch.float32, "float32")
    tiles = Tiles(args.tile, 1)
    about = {
        "command": shlex.join(["python", "benchmarks/attention_mix.py", *sys.argv[1:]]), "note": args.note,
        "dtype": name, "seed": 0, **machine.facts(torch.device("cpu")),
    }  # fmt: skip
    shape: dict[str, Any] = {"image_tokens": args.side**2, "words": args.words, "window": str(tiles)}
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "attention": lambda: attention(args.side, args.words, args.groups, tiles, args.rounds, dtype),
        "network": lambda: network(
            args.level, args.side, args.words, args.heads, args.layers, args.evaluations, tiles, dtype
        ),
    }
    for part, measure in parts.items():
        if args.part not in ("both", part):
            continue
        what = "" if part == "attention" else f"network{args.heads}-"
        result = Result(
            f"attention-mix-{what}{name}-{machine.label(torch.device('cpu'))}",
            "attention-mix",
            about,
            shape | {part: measure()},
        )
        print(f"measured: {write(result, args.results)}", flush=True)


if __name__ == "__main__":
    main()
