"""Whole generations of the tiny golden transformers against the official solvers and ComfyUI's samplers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from newbie.accel.choose import choose as choose_blocks
from newbie.attention.reference import Reference
from newbie.denoise import Denoiser
from newbie.model.config import NextDiTConfig
from newbie.model.nextdit import NextDiT
from newbie.sampling.guidance import Guidance, Velocity
from newbie.sampling.solvers import SOLVERS, asked, evaluations
from newbie.sampling.times import initial_scale, resolve, schedule
from newbie.text.features import TextFeatures

GOLDEN = Path(__file__).parents[1] / "golden"
OFFICIAL = {"euler": "euler", "midpoint": "midpoint", "rk4": "rk4", "dpm": "dpmpp_2m"}
FAMILIES = ("dit_clip_gqa", "dit_noclip_mha")


def sidecar(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return found


@pytest.fixture(scope="module")
def models() -> dict[str, NextDiT]:
    made = {}
    for family in FAMILIES:
        config = NextDiTConfig.from_dict(sidecar(f"{family}_weights")["config"])
        made[family] = NextDiT(config).eval()
        made[family].load_state_dict(load_file(GOLDEN / f"{family}_weights.safetensors"))
    return made


def velocity(
    model: NextDiT, inputs: dict[str, Tensor], guidance: Guidance, size: tuple[int, int], **count: int
) -> Velocity:
    """Row 0 of the inputs is conditional, row 1 unconditional."""
    hidden, mask, pooled = inputs["in.cap_feats"], inputs["in.cap_mask"].bool(), inputs.get("in.clip_text_pooled")

    def prepare(rows: int) -> Any:
        vector = None if pooled is None else pooled[:rows]
        return model.prepare(hidden[:rows], mask[:rows], vector, size, attend=Reference())

    return Velocity(model, guidance, pair=lambda: prepare(2), alone=lambda: prepare(1), **count)


def follow(sampler: str, v: Velocity, noise: Tensor, times: Tensor) -> tuple[Tensor, list[float]]:
    """All states of a generation, (T, C, h, w), and the times the velocity was asked for."""
    states, asked = [noise], []

    def watched(x: Tensor, t: float) -> Tensor:
        asked.append(t)
        return v(x, t)

    SOLVERS[sampler](watched, noise, times, lambda i, n, x, t, denoised: states.append(x))
    return torch.cat(states), asked


@pytest.mark.parametrize(("family", "run"), [(f, r) for f in FAMILIES for r in sidecar(f"{f}_trajectory")["runs"]])
@torch.no_grad()
def test_official_trajectories_are_reproduced(models: dict[str, NextDiT], family: str, run: str) -> None:
    tensors = load_file(GOLDEN / f"{family}_trajectory.safetensors")
    settings = sidecar(f"{family}_trajectory")["runs"][run]
    sampler, noise = OFFICIAL[settings["solver"]], tensors["noise"]
    steps = settings["num_steps"] - (sampler != "dpmpp_2m")  # the ODE solvers count points
    times = schedule("auto", steps, shift=settings["shift"] or 0.0, sampler=sampler)
    guidance = Guidance.parse(settings["cfg_scale"], f"time:{settings['cfg_trunc']}", settings["renorm_cfg"])
    count = evaluations(sampler, steps)
    assert count == settings["model_evaluations"]

    v = velocity(models[family], tensors, guidance, noise.shape[2:], steps=steps, evaluations=count)
    states, at = follow(sampler, v, noise, times)
    torch.testing.assert_close(torch.tensor(at), tensors[f"{run}/model_t"], rtol=0, atol=1e-6)
    # The official DPM solver recovers the image by a division that loses digits near pure noise.
    tolerance = 3e-3 if sampler == "dpmpp_2m" else 2e-4
    torch.testing.assert_close(states, tensors[f"{run}/x"], rtol=0, atol=tolerance)


@pytest.mark.parametrize("leaves", ["plain", "auto"])
@pytest.mark.parametrize(("family", "run"), [(f, r) for f in FAMILIES for r in sidecar(f"{f}_trajectory")["runs"]])
@torch.no_grad()
def test_official_trajectories_are_reproduced_with_all_exact_savings(
    models: dict[str, NextDiT], family: str, run: str, leaves: str
) -> None:
    tensors = load_file(GOLDEN / f"{family}_trajectory.safetensors")
    settings = sidecar(f"{family}_trajectory")["runs"][run]
    sampler, noise = OFFICIAL[settings["solver"]], tensors["noise"]
    denoiser = Denoiser(
        models[family],
        TextFeatures(tensors["in.cap_feats"], tensors["in.cap_mask"].bool(), tensors.get("in.clip_text_pooled")),
        size=(noise.shape[2], noise.shape[3]),
        grid=schedule("auto", settings["num_steps"] - (sampler != "dpmpp_2m"), shift=settings["shift"] or 0.0,
                      sampler=sampler),
        sampler=sampler,
        guidance=Guidance.parse(settings["cfg_scale"], f"time:{settings['cfg_trunc']}", settings["renorm_cfg"]),
        kernel=lambda tokens: Reference(),
        blocks=choose_blocks(models[family], leaves=leaves).runner,
    )  # fmt: skip
    v = denoiser.velocity(1)
    v.prepare()
    states, asked_times = follow(sampler, v, noise, denoiser.grid)
    assert asked_times == asked(sampler, denoiser.grid)
    tolerance = 3e-3 if sampler == "dpmpp_2m" else 2e-4
    torch.testing.assert_close(states, tensors[f"{run}/x"], rtol=0, atol=tolerance)


@pytest.mark.parametrize("run", sidecar("comfy_sampling")["runs"])
@torch.no_grad()
def test_comfyui_trajectories_are_reproduced(models: dict[str, NextDiT], run: str) -> None:
    tensors, inputs = (load_file(GOLDEN / f"{n}.safetensors") for n in ("comfy_sampling", "dit_clip_gqa_trajectory"))
    settings = sidecar("comfy_sampling")["runs"][run]
    sampler, steps = settings["sampler"], settings["steps"]
    name = resolve(settings["scheduler"], sampler)
    times = schedule(name, steps, shift=settings["shift"])
    assert torch.equal((1 - times).float(), tensors[f"{run}/sigmas"])

    noise = inputs["noise"] * initial_scale(name, times)
    guidance = Guidance(settings["cfg"])
    v = velocity(models["dit_clip_gqa"], inputs, guidance, noise.shape[2:], steps=steps, evaluations=steps)
    states, _ = follow(sampler, v, noise, times)
    torch.testing.assert_close(states, tensors[f"{run}/x"], rtol=0, atol=5e-4)


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_official_guided_velocities_are_reproduced(models: dict[str, NextDiT], family: str) -> None:
    tensors = load_file(GOLDEN / f"{family}_cfg.safetensors")
    x = tensors["in.x"][:1]
    for name, case in sidecar(f"{family}_cfg")["cases"].items():
        guidance = Guidance.parse(case["cfg_scale"], f"time:{case['cfg_trunc']}", case["renorm_cfg"])
        v = velocity(models[family], tensors, guidance, x.shape[2:], steps=1, evaluations=1)
        torch.testing.assert_close(v(x, case["t"]), tensors[f"{name}/out"], rtol=0, atol=2e-5)
