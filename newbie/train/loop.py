"""The training loop: draw a batch, one loss, one step, an average; log, save, resume. The same for every part.

A run is a folder. `state.pt` is everything needed to go on (written to a temporary name and renamed, so that a kill
leaves the previous one); `log.jsonl` has one line per report. Batches are a function of the step number alone, so a
resumed run sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from newbie.train.ema import Average
from newbie.train.optim import Optimizers, learning_rate


@dataclass(frozen=True)
class Plan:
    """How long a run lasts and how often it reports and saves (steps)."""

    steps: int
    report_every: int = 50
    save_every: int = 500
    warmup: int = 100
    decay: float = 0.45
    clip: float = 1.0
    ema: float = 0.999


def fit(
    module: nn.Module,
    loss_at: Callable[[int], tuple[Tensor, dict[str, float]]],
    optimizers: Optimizers,
    plan: Plan,
    folder: Path,
    *,
    say: Callable[[str], None],
) -> Average:
    """Train `module` in place and return its averaged weights.

    `loss_at(step)` draws the batch of that step, leaves its gradients in the parameters, and returns the loss and
    some numbers to report. Interrupted runs continue from `folder/state.pt`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    average = Average(module, plan.ema)
    start = _resume(folder / "state.pt", module, optimizers, average)
    if start:
        say(f"resuming at step {start} of {plan.steps}")
    sums: dict[str, float] = {}
    began = time.monotonic()
    last_report = start
    module.train()
    for step in range(start, plan.steps):
        loss, numbers = loss_at(step)
        norm = torch.nn.utils.clip_grad_norm_(module.parameters(), plan.clip)
        if not torch.isfinite(norm):
            raise FloatingPointError(f"the gradient is not finite at step {step}")
        optimizers.step(learning_rate(step, plan.steps, plan.warmup, plan.decay))
        average.update(module)
        for name, value in {"loss": float(loss), **numbers}.items():
            sums[name] = sums.get(name, 0.0) + value
        done = step + 1
        if done % plan.report_every == 0 or done == plan.steps:
            count = done - last_report
            means = {name: value / count for name, value in sums.items()}
            elapsed = time.monotonic() - began
            eta = elapsed / (done - start) * (plan.steps - done)
            _report(folder / "log.jsonl", say, done, plan.steps, means, elapsed, eta)
            sums, last_report = {}, done
        if done % plan.save_every == 0 or done == plan.steps:
            _save(folder / "state.pt", done, module, optimizers, average)
    module.eval()
    return average


def _report(
    log: Path,
    say: Callable[[str], None],
    step: int,
    steps: int,
    means: dict[str, float],
    elapsed: float,
    eta: float,
) -> None:
    numbers = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
    say(f"step {step}/{steps}  {numbers}  {elapsed / 60:.1f} min, {eta / 60:.1f} min to go")
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step, "seconds": round(elapsed, 1), **means}) + "\n")


def _save(path: Path, step: int, module: nn.Module, optimizers: Optimizers, average: Average) -> None:
    state = {
        "step": step,
        "module": module.state_dict(),
        "optimizers": optimizers.state_dict(),
        "average": average.state_dict(),
    }
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.replace(path)


def _resume(path: Path, module: nn.Module, optimizers: Optimizers, average: Average) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    module.load_state_dict(state["module"])
    optimizers.load_state_dict(state["optimizers"])
    average.load_state_dict(state["average"])
    return int(state["step"])
