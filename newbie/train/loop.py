"""The training loop: draw a batch, one loss, one step, an average; log, save, resume. The same for every part.

A run is a folder. `state.pt` is everything needed to go on (written to a temporary name, flushed and renamed, so that
a kill or a full disk leaves the previous one); `log.jsonl` has one line per report. Batches are a function of the step
number alone, so a resumed run sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

import json
import os
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from newbie.errors import UsageError, WeightsError
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
    recipe: str = "",
) -> Average:
    """Train `module` in place and return its averaged weights.

    `loss_at(step)` draws the batch of that step, leaves its gradients in the parameters, and returns the loss and
    some numbers to report. Interrupted runs continue from `folder/state.pt`. `recipe` says in words what is trained
    and how: a run begun with another one is not continued.

    Raises:
        UsageError: the run was begun with another recipe.
        WeightsError: the saved state is damaged, or there is no room to save it.
        FloatingPointError: the gradient is not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    average = Average(module, plan.ema)
    start = _resume(folder / "state.pt", module, optimizers, average, recipe)
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
            _save(folder / "state.pt", done, module, optimizers, average, recipe)
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


def _save(path: Path, step: int, module: nn.Module, optimizers: Optimizers, average: Average, recipe: str) -> None:
    state = {
        "step": step,
        "recipe": recipe,
        "module": module.state_dict(),
        "optimizers": optimizers.state_dict(),
        "average": average.state_dict(),
    }
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        temporary.unlink(missing_ok=True)
        raise WeightsError(
            f"the state of step {step} could not be saved in {path.parent}: {error}",
            "make room and start the same command again: it goes on from the last saved state",
        ) from error


def saved_average(folder: Path, module: nn.Module) -> Average:
    """The averaged weights of the run in `folder`, for a module like the one that is trained there.

    Raises:
        WeightsError: nothing was saved yet, or the saved state is damaged.
    """
    path = folder / "state.pt"
    if not path.exists():
        raise WeightsError(f"nothing is saved in {folder} yet", "let the training run until it has saved its state")
    average = Average(module)
    average.load_state_dict(_read(path)["average"])
    return average


def _read(path: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        state["recipe"]
    except (OSError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise WeightsError(
            f"the saved training state {path} is damaged: {error}",
            "restore it from a copy, or delete it to start this stage again; finished stages are not touched",
        ) from error
    return state


def _resume(path: Path, module: nn.Module, optimizers: Optimizers, average: Average, recipe: str) -> int:
    if not path.exists():
        return 0
    state = _read(path)
    begun_with = state["recipe"]
    if begun_with != recipe:
        raise UsageError(
            f"the run in {path.parent} was begun with another recipe:\n  then: {begun_with}\n  now:  {recipe}",
            "pass the same flags as then, or use another --run folder",
        )
    module.load_state_dict(state["module"])
    optimizers.load_state_dict(state["optimizers"])
    average.load_state_dict(state["average"])
    return int(state["step"])
