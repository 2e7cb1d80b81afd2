"""Time grids against the tables that the official code and ComfyUI produced, and against their definitions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from newbie.errors import UsageError
from newbie.request import SAMPLERS
from newbie.request import SCHEDULES as REQUESTED
from newbie.sampling.beta import beta_cdf
from newbie.sampling.times import OWN, SCHEDULES, initial_scale, resolve, schedule

GOLDEN = Path(__file__).parents[1] / "golden"
COMFY = {k: v for k, v in load_file(GOLDEN / "comfy_sampling.safetensors").items() if k.startswith("sigmas/")}


def test_the_golden_file_has_tables_of_six_schedules() -> None:
    assert len({name.split("/")[1] for name in COMFY}) == 6


@pytest.mark.parametrize("name", COMFY)
def test_comfyui_tables_are_met_to_the_last_bit(name: str) -> None:
    _, kind, shift, steps = name.split("/")
    times = schedule(kind, int(steps.removeprefix("steps")), shift=float(shift.removeprefix("shift")))
    assert torch.equal((1.0 - times).float(), COMFY[name])


@pytest.mark.parametrize(
    ("run", "kind", "steps", "shift"),
    [
        ("euler8", "official", 8, 6.0),
        ("euler_off_by_one", "official", 7, 6.0),
        ("euler_noshift", "official", 8, 0.0),
        ("rk4_5", "official", 5, 6.0),
        ("dpm8", "dpm", 8, 6.0),
        ("dpm8_noshift", "dpm", 8, 1.0),
        ("dpm3", "dpm", 3, 6.0),
    ],
)
def test_official_grids_are_met(run: str, kind: str, steps: int, shift: float) -> None:
    grid = load_file(GOLDEN / "dit_clip_gqa_trajectory.safetensors")[f"{run}/grid"].double()
    times = schedule(kind, steps, shift=shift)
    want = 1.0 - grid if kind == "dpm" else grid
    torch.testing.assert_close(times, want, rtol=0, atol=2e-7)  # the official grids are float32


def test_the_numbers_written_in_the_model_description() -> None:
    five_points = torch.tensor([0, 0.0526316, 0.1428571, 0.3333333, 1], dtype=torch.float64)
    torch.testing.assert_close(schedule("official", 4, shift=6), five_points, rtol=0, atol=1e-7)
    noise = torch.tensor([0.9998332, 0.9471688, 0.8568978, 0.6663702, 0], dtype=torch.float64)
    torch.testing.assert_close(1 - schedule("dpm", 4, shift=6), noise, rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("shift", [0.01, 1.0, 3.0, 6.0, 100.0])
def test_every_grid_rises_strictly_from_noise_to_image(name: str, shift: float) -> None:
    for steps in (*range(1 + (name == "ddim_uniform"), 40), 100, 333, 1000):
        times = schedule(name, steps, shift=shift)
        assert times.dtype == torch.float64
        assert times[0] >= 0.0 and times[-1] == 1.0
        assert (times.diff() > 0).all()
        if name not in ("beta", "ddim_uniform"):
            assert len(times) == steps + 1


def test_the_official_grid_is_the_one_of_diffusers_euler() -> None:
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=6.0)
    scheduler.set_timesteps(sigmas=torch.linspace(1, 1 / 12, 12).tolist())
    ours = 1.0 - schedule("official", 12, shift=6)
    torch.testing.assert_close(ours.float(), scheduler.sigmas, rtol=0, atol=1e-6)


def test_auto_is_the_samplers_own_schedule_and_covers_every_sampler() -> None:
    assert set(OWN) == set(SAMPLERS)
    assert set(REQUESTED) == {"auto", *SCHEDULES}
    for sampler, own in OWN.items():
        assert resolve("auto", sampler) == own
        assert torch.equal(schedule("auto", 9, shift=6, sampler=sampler), schedule(own, 9, shift=6, sampler="euler"))


def test_noise_is_scaled_as_comfyui_does_and_left_alone_on_official_grids() -> None:
    ddim = schedule("ddim_uniform", 8, shift=6)
    assert initial_scale("ddim_uniform", ddim) == pytest.approx(COMFY["sigmas/ddim_uniform/shift6/steps8"][0])
    assert initial_scale("simple", schedule("simple", 8, shift=6)) == 1.0
    assert initial_scale("dpm", schedule("dpm", 8, shift=6)) == 1.0


@pytest.mark.parametrize(
    ("name", "steps", "sampler"),
    [("karras", 8, "euler"), ("auto", 8, "ddim"), ("simple", 0, "euler"), ("ddim_uniform", 1, "euler")],
)
def test_what_cannot_be_made_is_refused_with_a_hint(name: str, steps: int, sampler: str) -> None:
    with pytest.raises(UsageError) as error:
        schedule(name, steps, shift=6, sampler=sampler)
    assert error.value.hint


@pytest.mark.parametrize(("a", "b"), [(0.6, 0.6), (1.0, 1.0), (2.0, 5.0), (0.5, 3.0), (9.0, 0.7)])
def test_the_beta_distribution_agrees_with_a_numerical_integral(a: float, b: float) -> None:
    # x = sin^2 (pi u / 2) smooths both ends of the density; then Gauss-Legendre in u.
    nodes, weights = _gauss_legendre(400)
    for x in (1e-6, 0.01, 0.2, 0.5, 0.77, 0.999, 1 - 1e-9):
        top = torch.asin(torch.tensor(x, dtype=torch.float64).sqrt())
        u = top * (nodes + 1) / 2
        area = (2 * u.sin() ** (2 * a - 1) * u.cos() ** (2 * b - 1) * weights).sum() * top / 2
        whole = torch.exp(
            torch.lgamma(torch.tensor(a)) + torch.lgamma(torch.tensor(b)) - torch.lgamma(torch.tensor(a + b))
        )
        assert beta_cdf(x, a, b) == pytest.approx((area / whole).item(), abs=2e-4)
    assert beta_cdf(0.0, a, b) == 0.0 and beta_cdf(1.0, a, b) == 1.0


def test_the_beta_distribution_has_its_known_values() -> None:
    for x in (0.1, 0.5, 0.9):
        assert beta_cdf(x, 1, 1) == pytest.approx(x, abs=1e-14)
        assert beta_cdf(x, 3, 1) == pytest.approx(x**3, abs=1e-14)
        assert beta_cdf(x, 2, 2) == pytest.approx(3 * x**2 - 2 * x**3, abs=1e-14)
        assert beta_cdf(x, 0.6, 0.6) + beta_cdf(1 - x, 0.6, 0.6) == pytest.approx(1, abs=1e-14)
        arcsine = 2 / torch.pi * torch.asin(torch.tensor(x, dtype=torch.float64).sqrt()).item()
        assert beta_cdf(x, 0.5, 0.5) == pytest.approx(arcsine, abs=1e-13)


def _gauss_legendre(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Nodes and weights on [-1, 1] (Golub and Welsch)."""
    k = torch.arange(1, n, dtype=torch.float64)
    off = k / (4 * k**2 - 1).sqrt()
    values, vectors = torch.linalg.eigh(torch.diag(off, 1) + torch.diag(off, -1))
    return values, 2 * vectors[0] ** 2
