"""The training loop: optimisers, averages, schedules, resuming."""

from __future__ import annotations

import errno
import itertools
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest
import torch
from torch import Tensor, nn

from newbie.errors import MissingExtra, UsageError, WeightsError
from newbie.train.attention import MATMUL
from newbie.train.data import batch_numbers
from newbie.train.ema import Average
from newbie.train.flow import sample_times
from newbie.train.loop import Plan, fit
from newbie.train.optim import Muon, Optimizers, learning_rate, orthogonalise, split_parameters


def test_orthogonalise_brings_all_singular_values_near_one():
    matrix = torch.randn(40, 24, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(matrix).float())
    assert values.min() > 0.6 and values.max() < 1.4


def test_orthogonalise_keeps_the_singular_vectors():
    u, _ = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(1)))
    v, _ = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(2)))
    matrix = u @ torch.diag(torch.linspace(1, 3, 12)) @ v.T
    inside = u.T @ orthogonalise(matrix).float() @ v
    assert (inside - torch.diag(inside.diagonal())).abs().max() < 0.05  # the products are bf16 where that is fast


def test_muon_minimises_a_convolution_loss():
    torch.manual_seed(0)
    target, model = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 3)
    model.bias.data = target.bias.data.clone()
    optimizer = Muon([model.weight], lr=0.02)
    x = torch.randn(4, 3, 8, 8)
    losses = []
    for _ in range(60):
        loss = (model(x) - target(x).detach()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


def test_parameters_go_to_one_optimiser_each():
    module = nn.ModuleDict({"table": nn.Embedding(5, 4), "layer": nn.Linear(4, 4), "norm": nn.LayerNorm(4)})
    muon, adam = split_parameters(module, ["table"])
    assert [p.shape for p in muon] == [(4, 4)]
    assert len(muon) + len(adam) == len(list(module.parameters()))


def test_the_learning_rate_rises_stays_and_falls_to_the_end():
    rates = [learning_rate(step, 1000, warmup=100, decay=0.4) for step in range(1000)]
    assert rates[0] == 0.01 and rates[99] == 1.0
    assert set(rates[100:600]) == {1.0}
    assert all(a > b for a, b in itertools.pairwise(rates[601:981]))
    assert rates[-1] == 0.02


def test_the_average_of_constant_weights_is_that_constant_and_follows_a_change():
    module = nn.Linear(2, 2)
    average = Average(module, decay=0.5)
    for _ in range(20):
        average.update(module)
    assert torch.equal(average.shadow["weight"], module.weight)
    before = module.weight.detach().clone()
    with torch.no_grad():
        module.weight.add_(1.0)
    average.update(module)
    torch.testing.assert_close(average.shadow["weight"], before + 0.5)


def test_every_picture_is_seen_once_before_any_is_seen_twice():
    seen = torch.cat([batch_numbers(0, step, 7, 50) for step in range(15)]).tolist()
    assert sorted(seen[:50]) == list(range(50))
    assert sorted(seen[50:100]) == list(range(50))
    assert seen[:50] != seen[50:100]


def test_batches_are_a_function_of_the_step_alone():
    assert torch.equal(batch_numbers(3, 11, 8, 100), batch_numbers(3, 11, 8, 100))
    assert not torch.equal(batch_numbers(4, 11, 8, 100), batch_numbers(3, 11, 8, 100))


def _run(folder: Path, steps: int, stop: int | None = None, recipe: str = "") -> dict[str, Tensor]:
    torch.manual_seed(0)
    module = nn.Linear(4, 3)
    muon, adam = split_parameters(module)
    optimizers = Optimizers(muon, adam, muon_lr=0.02, adam_lr=0.01)

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        if step == stop:
            raise KeyboardInterrupt
        x = torch.randn(5, 4, generator=torch.Generator().manual_seed(step))
        loss = (module(x) - x[:, :3]).square().mean()
        loss.backward()
        return loss.detach(), {}

    plan = Plan(steps=steps, report_every=5, save_every=5, warmup=2)
    average = fit(module, loss_at, optimizers, plan, folder, say=lambda text: None, recipe=recipe)
    return {**module.state_dict(), **{f"average {k}": v for k, v in average.shadow.items()}}


def test_a_resumed_run_ends_bit_equal_to_an_uninterrupted_one(tmp_path: Path):
    whole = _run(tmp_path / "whole", 20)
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path / "parts", 20, stop=13)
    parts = _run(tmp_path / "parts", 20)
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_run_killed_outright_goes_on_from_its_last_saved_state_to_the_same_end(tmp_path: Path):
    program = (
        "import importlib.util, os, signal, sys; from pathlib import Path\n"
        f"spec = importlib.util.spec_from_file_location('loop_test', {__file__!r})\n"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)\n"
        "import torch; real = torch.optim.AdamW.step; count = [0]\n"
        "def step(self, *args, **kwargs):\n"
        "    count[0] += 1\n"
        "    if count[0] == 13: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(self, *args, **kwargs)\n"
        "torch.optim.AdamW.step = step\n"
        f"module._run(Path({str(tmp_path / 'killed')!r}), 20)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    lines = (tmp_path / "killed" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [5, 10]
    resumed, whole = _run(tmp_path / "killed", 20), _run(tmp_path / "whole", 20)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    curves = [
        {row["step"]: row["loss"] for row in map(json.loads, (tmp_path / name / "log.jsonl").read_text().splitlines())}
        for name in ("killed", "whole")
    ]
    assert curves[0] == curves[1]


def test_a_run_begun_with_another_recipe_is_not_continued(tmp_path: Path):
    _run(tmp_path, 5, recipe="width 192")
    with pytest.raises(UsageError, match=r"(?s)then: width 192.*now:  width 256"):
        _run(tmp_path, 10, recipe="width 256")
    _run(tmp_path, 10, recipe="width 192")


@pytest.mark.parametrize("damage", [b"", b"not a training state", None])
def test_a_damaged_state_is_named_and_left_alone(tmp_path: Path, damage: bytes | None):
    _run(tmp_path, 5)
    path = tmp_path / "state.pt"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    before = path.read_bytes()
    with pytest.raises(WeightsError, match=r"state\.pt is damaged"):
        _run(tmp_path, 10)
    assert path.read_bytes() == before


def test_a_full_disk_is_told_and_the_last_saved_state_survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path, 20, stop=7)
    before = (tmp_path / "state.pt").read_bytes()

    def full(state: object, file: IO[bytes]) -> None:
        file.write(b"the first bytes still fit")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(WeightsError, match="state of step 10 could not be saved"):
        _run(tmp_path, 20)
    assert (tmp_path / "state.pt").read_bytes() == before
    assert not (tmp_path / "state.tmp").exists()
    monkeypatch.undo()
    resumed, whole = _run(tmp_path, 20), _run(tmp_path / "whole", 20)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_eight_bit_adam_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(MissingExtra, match="8-bit AdamW needs the package bitsandbytes"):
        Optimizers([], [nn.Parameter(torch.zeros(4))], muon_lr=0.1, adam_lr=0.1, eight_bit=True)


def test_a_broken_gradient_stops_the_run_instead_of_ruining_it(tmp_path: Path):
    module = nn.Linear(2, 2)
    optimizers = Optimizers(*split_parameters(module), muon_lr=0.1, adam_lr=0.1)

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        loss = module(torch.full((1, 2), float("inf"))).sum()
        loss.backward()
        return loss.detach(), {}

    with pytest.raises(FloatingPointError, match="step 0"):
        fit(module, loss_at, optimizers, Plan(steps=3), tmp_path, say=lambda text: None)


def test_times_lie_between_noise_and_image_and_reach_both_ends():
    t = sample_times(20_000, 0.15, torch.Generator().manual_seed(0))
    assert t.min() > 0 and t.max() < 1
    assert 0.48 < t.mean() < 0.52
    # The logit-normal alone has about 1.4 % below 0.1; a share of 0.15 uniform adds 1.5 %.
    assert 0.022 < (t < 0.1).float().mean() < 0.034


def test_a_shift_moves_times_towards_the_noise_as_published():
    plain = sample_times(1000, 0.15, torch.Generator().manual_seed(0))
    moved = sample_times(1000, 0.15, torch.Generator().manual_seed(0), shift=2.0)
    sigma = 1 - plain
    torch.testing.assert_close(1 - moved, 2 * sigma / (1 + sigma))


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_the_training_kernel_equals_the_reference(kv_heads: int):
    from newbie.attention.kernel import SequenceInfo
    from newbie.attention.reference import Reference

    generator = torch.Generator().manual_seed(0)
    q = torch.randn(3, 9, 4, 8, generator=generator)
    k, v = (torch.randn(3, 9, kv_heads, 8, generator=generator) for _ in "kv")
    for lengths in ([9, 9, 9], [9, 4, 1]):
        mask = torch.arange(9) < torch.tensor(lengths)[:, None]
        seq = SequenceInfo.of(mask)
        theirs, ours = ([x.detach().requires_grad_() for x in (q, k, v)] for _ in "ab")
        for kernel, given in ((Reference(), theirs), (MATMUL, ours)):
            (kernel(*given, seq)[mask] * torch.linspace(-1, 1, 8)).sum().backward()
        torch.testing.assert_close(MATMUL(q, k, v, seq)[mask], Reference()(q, k, v, seq)[mask], atol=2e-6, rtol=1e-5)
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a.grad, b.grad, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("at_once", [1, 100, 10**9])
def test_how_many_rows_the_training_kernel_takes_at_once_changes_nothing(at_once: int, monkeypatch: pytest.MonkeyPatch):
    from newbie.attention.kernel import SequenceInfo
    from newbie.train import attention

    def gradients() -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(0)
        given = [torch.randn(5, 7, heads, 8, generator=generator).requires_grad_() for heads in (4, 2, 2)]
        MATMUL(*given, SequenceInfo.of(torch.arange(7) < torch.tensor([7, 3, 7, 1, 5])[:, None])).sin().sum().backward()
        return [x.grad for x in given if x.grad is not None]

    whole = gradients()
    monkeypatch.setattr(attention, "SCORES_AT_ONCE", at_once)
    for a, b in zip(gradients(), whole, strict=True):
        torch.testing.assert_close(a, b, atol=2e-6, rtol=1e-5)
