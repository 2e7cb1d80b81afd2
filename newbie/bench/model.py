"""`bench model`: a guided evaluation and a whole generation beside diffusers, with the same weights, in one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from newbie.bench import agreement
from newbie.bench.contestants import Ours, Theirs, kernel_for, ways, with_graphs
from newbie.bench.floor import FLOORS, Work
from newbie.bench.options import Options
from newbie.bench.peer import peer_of
from newbie.bench.race import Record, Velocity, evaluate, race
from newbie.bench.sizes import Given, Size, build, given
from newbie.bench.step_kernels import time_grid
from newbie.bench.timing import Timing, attempt, significant, stopwatch, synchroniser
from newbie.model.nextdit import NextDiT

Say = Callable[[str], None]
PATIENCE = 420.0  # seconds of a race
MANY, FEW = 31, 7  # samples of the floors, of small and of large models


@torch.no_grad()
def measure(size: Size, options: Options, say: Say) -> dict[str, Any]:
    """Contestants, agreement, floor."""
    material = given(size, options.device, options.seed)
    grid = time_grid(options.steps)
    say(f"{size.name}: agreement in float32")
    exact_model = build(size.config, options.device, torch.float32, options.seed)
    exact, in_float32 = _agreement_in_float32(exact_model, size, material, grid)
    agrees: dict[str, Any] = {"float32": in_float32}
    t = middle(grid)
    model = exact_model.to(options.dtype)
    peer = peer_of(model)
    found, left_out = ways(model, compiled=options.compiled)
    ours = [Ours(name, model, size, material, grid, blocks=blocks) for name, blocks in found.items()]
    ours += with_graphs(ours)
    theirs = [
        Theirs("diffusers, one call", peer, material, True),
        Theirs("diffusers, two calls", peer, material, False),
    ]
    if options.compiled:
        fitter = min(theirs, key=lambda each: _seconds(each, material, t))
        theirs.append(Theirs(f"{fitter.name}, compiled", compiled_peer(model), material, fitter.together))
    first_call: dict[str, float] = {}
    everybody: list[Ours | Theirs] = [*ours, *theirs]
    for each in everybody:
        say(f"{size.name}: first call of {each.name}")
        reason, seconds = attempt(partial(_settle, each, material.noise, t), synchroniser(options.device))
        if reason:
            left_out[each.name] = reason
        else:
            first_call[each.name] = significant(seconds, 3)
    alive = [one for one in everybody if one.name not in left_out]
    evaluation = {one.name: _seconds(one, material, t) for one in alive}
    left_out |= _too_long(evaluation, options)
    ours = [one for one in ours if one.name not in left_out]
    theirs = [one for one in theirs if one.name not in left_out]
    for name, reason in left_out.items():
        say(f"{size.name}: left out {name}: {reason}")
    if options.dtype != torch.float32:
        agrees["rounded"] = {
            one.name: agreement.rounded(
                evaluate(one.both(), material.noise, t), evaluate(theirs[0].both(), material.noise, t), exact
            )
            for one in ours
        }
    say(f"{size.name}: racing {len(ours) + len(theirs)} contestants over {options.steps} steps")
    floors = {
        name: Work.of(model, size, options.device, options.dtype, spared=spared)
        for name, spared in zip(FLOORS, (False, True), strict=True)
    }
    records, probed = race(
        [*(one.contestant() for one in ours), *(one.contestant() for one in theirs)],
        material.noise,
        grid,
        generations=options.repeats,
        seed=options.seed,
        probe_rounds=MANY if sum(evaluation.values()) < 1.0 else FEW,
        probes={f"{floor}: {name}": run for floor, work in floors.items() for name, run in work.runs.items()},
    )
    agrees["generations"] = _finals(records, ours, theirs)
    lowest = {
        name: work.measured({each: probed[f"{name}: {each}"] for each in work.runs}) for name, work in floors.items()
    }
    for name, record in records.items():
        say(f"{size.name}: {name}: {Timing(tuple(record.step)).median:.4g} s per step")
    return {
        "size": {"name": size.name, "about": size.about, "side": size.side, "words": size.words},
        "network": size.config.to_dict(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": options.steps,
        "contestants": {name: record.to_json() for name, record in records.items()},
        "first_call_seconds": first_call,
        "left_out": left_out,
        "kernel": kernel_for("auto", model, size.tokens[:1]).name,
        "agreement": agrees,
        "floors": {
            name: {
                **about,
                "shares": {
                    one: significant(about["seconds"] / Timing(tuple(record.step)).median, 3)
                    for one, record in records.items()
                },
            }
            for name, about in lowest.items()
        },
    }


def middle(grid: Tensor) -> float:
    """The time at which outputs are compared: neither noise nor image."""
    return float(grid[2 * len(grid) // 3])


def compiled_peer(model: NextDiT) -> Callable[..., object]:
    """diffusers' blocks compiled one by one: they share their code, so that one compilation serves all layers.

    Shapes are fixed: what is compiled for any shape is slower, and the peer shall be at its best.
    """
    peer: Any = peer_of(model)
    for blocks in (peer.layers, peer.noise_refiner, peer.context_refiner):
        for block in blocks:
            block.compile(dynamic=False)
    return peer


def _agreement_in_float32(model: NextDiT, size: Size, material: Given, grid: Tensor) -> tuple[Tensor, dict[str, Any]]:
    """diffusers' float32 output, and how far ours is from it."""
    theirs = Theirs("diffusers", peer_of(model), material, True)
    exact = evaluate(theirs.both(), material.noise, middle(grid))
    found, _ = ways(model, compiled=False)
    ours = [Ours(name, model, size, material, grid, blocks=blocks) for name, blocks in found.items()]
    ours += with_graphs(ours)
    return exact, {
        one.name: agreement.in_float32(evaluate(one.both(), material.noise, middle(grid)), exact) for one in ours
    }


def _finals(records: dict[str, Record], ours: Sequence[Ours], theirs: Sequence[Theirs]) -> dict[str, Any]:
    """How far the finished latents are from those of diffusers, which rounds at other places."""
    ends = {name: record.final for name, record in records.items() if record.final is not None}
    first = ends[theirs[0].name]
    return {
        name: significant(agreement.error(final, first), 3) for name, final in ends.items() if name != theirs[0].name
    }


def _too_long(seconds: dict[str, float], options: Options) -> dict[str, str]:
    """Who is left out where a race of all, by the seconds of one evaluation each, would outlast our patience: our plain
    blocks, and the slower form of diffusers. None of the comparisons that matter needs them."""
    whole = options.steps * options.repeats * sum(seconds.values())
    if whole <= PATIENCE:
        return {}
    forms = [name for name in seconds if name.startswith("diffusers") and "compiled" not in name]
    spare = [name for name in seconds if "plain" in name] + sorted(forms, key=lambda name: seconds[name])[1:]
    return {name: f"for lack of time; one evaluation took {seconds[name]:.3g} s" for name in spare}


def _settle(one: Ours | Theirs, noise: Tensor, t: float) -> Velocity:
    """Begin a generation, and evaluate until whatever is done once is done."""
    velocity = one.begin()
    for _ in range(one.settles):
        velocity(noise, t)
    return velocity


def _seconds(one: Ours | Theirs, material: Given, t: float) -> float:
    """One evaluation, after what is done once."""
    wait, velocity = synchroniser(material.noise.device), _settle(one, material.noise, t)
    return stopwatch(lambda: velocity(material.noise, t), wait)
