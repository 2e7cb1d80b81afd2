"""Guidance against the official numbers, and the evaluations that a Velocity makes or spares."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from newbie.errors import UsageError
from newbie.sampling.guidance import Guidance, Truncation, Velocity
from newbie.sampling.solvers import SOLVERS, evaluations
from newbie.sampling.times import schedule
from newbie.step import Step

GOLDEN = Path(__file__).parents[1] / "golden"


def cases(family: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((GOLDEN / f"{family}.json").read_text())["cases"]
    return found


class Model:
    """Velocity = the row's word, (B, 1, 1, 1); the prepared state is the words."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.times: list[Tensor] = []

    def __call__(self, latents: Tensor, t: Tensor, prepared: Tensor, **options: Any) -> Tensor:
        assert t.shape == (len(latents),) and len(prepared) == len(latents)
        self.rows.append(len(latents))
        self.times.append(t)
        v = prepared + 0 * latents
        return options["run_blocks"](["block"], v, "m", "seq") if "run_blocks" in options else v


COND = torch.tensor([3.0, 5.0, -1.0]).reshape(3, 1, 1, 1)
UNCOND = torch.tensor([1.0, 1.0, 2.0]).reshape(3, 1, 1, 1)
X = torch.zeros(3, 1, 2, 2)


def velocity(guidance: Guidance, *, steps: int = 4, per_step: int = 1, **options: Any) -> tuple[Velocity, Model]:
    model = Model()
    made = Velocity(
        model,
        guidance,
        pair=lambda: torch.cat([COND, UNCOND]),
        alone=lambda: COND,
        steps=steps,
        evaluations=steps * per_step,
        **options,
    )
    return made, model


@pytest.mark.parametrize("family", ["dit_clip_gqa_cfg", "dit_noclip_mha_cfg"])
def test_the_official_guided_velocities_are_reproduced_from_the_official_plain_ones(family: str) -> None:
    tensors = load_file(GOLDEN / f"{family}.safetensors")
    for name, case in cases(family).items():
        guidance = Guidance.parse(case["cfg_scale"], f"time:{case['cfg_trunc']}", case["renorm_cfg"])
        cond, uncond = tensors[f"velocity_t{case['t']}"].chunk(2)
        on = guidance.truncation is not None and guidance.truncation.guided(case["t"], 0, 1)
        assert on == case["guidance_active"]
        v = guidance.combine(cond, uncond) if guidance.active(case["t"], 0, 1) else cond
        torch.testing.assert_close(v, tensors[f"{name}/out"], rtol=0, atol=1e-5)


def test_each_picture_of_a_batch_is_renormalised_by_itself() -> None:
    guidance = Guidance(4.0, renorm=1.0)
    generator = torch.Generator().manual_seed(0)
    cond, uncond = (torch.randn(3, 4, 5, 6, generator=generator) for _ in range(2))
    uncond[1] = cond[1] * 1.05  # guided velocity shorter than the conditional one: left alone
    together = guidance.combine(cond, uncond)
    alone = torch.cat([guidance.combine(c[None], u[None]) for c, u in zip(cond, uncond, strict=True)])
    assert torch.equal(together, alone)
    lengths = together.flatten(1).norm(dim=1) / cond.flatten(1).norm(dim=1)
    assert lengths[0].item() == pytest.approx(1.0, abs=1e-6)
    assert lengths[1].item() < 0.99


def test_a_velocity_of_zero_survives_renormalisation() -> None:
    zero = torch.zeros(2, 4, 2, 2)
    assert torch.equal(Guidance(4.0, renorm=1.0).combine(zero, zero), zero)


def test_half_precision_velocities_are_combined_in_float32() -> None:
    cond, uncond = torch.full((1, 1), 1.0078125), torch.full((1, 1), 1.0)
    out = Guidance(7.0).combine(cond.bfloat16(), uncond.bfloat16())
    assert out.dtype == torch.float32 and out.item() == 1.0 + 7.0 * 0.0078125


def test_one_packed_evaluation_serves_both_prompts_of_every_picture() -> None:
    v, model = velocity(Guidance(2.0))
    assert torch.equal(v(X, 0.5), (2 * COND - UNCOND).expand_as(X))
    assert model.rows == [6]
    assert torch.equal(model.times[0], torch.full((6,), 0.5))


@pytest.mark.parametrize("renorm", [0.0, 1.0, 2.0])
def test_scale_one_spares_the_unconditional_rows(renorm: float) -> None:
    v, model = velocity(Guidance(1.0, renorm=renorm))
    assert torch.equal(v(X, 0.1), COND.expand_as(X))
    assert model.rows == [3]


def test_scale_one_with_a_shortening_renorm_is_still_guided() -> None:
    v, model = velocity(Guidance(1.0, renorm=0.5))
    torch.testing.assert_close(v(X, 0.1), 0.5 * COND.expand_as(X))
    assert model.rows == [6]


def test_scale_zero_is_the_negative_prompt_alone() -> None:
    v, _ = velocity(Guidance(0.0))
    assert torch.equal(v(X, 0.1), UNCOND.expand_as(X))


@pytest.mark.parametrize(
    ("text", "guided"),
    [
        ("", [True] * 6),
        ("time:0.25", [True, True, True, True, False, False]),
        ("0.25", [True, True, True, True, False, False]),
        ("steps:0.5", [True, True, True, False, False, False]),
        ("sigma:0.8", [False, False, False, False, True, True]),
        ("time:0", [False] * 6),
        ("time:100", [True] * 6),
        ("time:0.05-0.25", [False, False, True, True, False, False]),
        ("steps:0.5-0.84", [False, False, False, True, True, False]),
        ("sigma:0.6-0.9", [False, False, False, True, True, False]),
        ("time:1e-3-1", [False, True, True, True, True, True]),
    ],
)
def test_truncation_runs_the_conditional_rows_only(text: str, guided: list[bool]) -> None:
    v, model = velocity(Guidance(2.0, Truncation.parse(text)), steps=6)
    SOLVERS["euler"](v, X, schedule("official", 6, shift=6.0))  # t = 0, .032, .077, .143, .25, .455
    assert model.rows == [6 if on else 3 for on in guided]


def test_steps_are_counted_in_intervals_whatever_the_solver_asks() -> None:
    v, model = velocity(Guidance(2.0, Truncation.parse("steps:0.5")), steps=4, per_step=4)
    SOLVERS["rk4"](v, X, schedule("official", 4, shift=6.0))
    assert model.rows == [6] * 8 + [3] * 8
    assert v.index == evaluations("rk4", 4)


def test_each_prepared_state_is_made_once_and_only_when_needed() -> None:
    made: list[str] = []

    def prepare(name: str, words: Tensor) -> Tensor:
        made.append(name)
        return words

    v = Velocity(
        Model(),
        Guidance(2.0, Truncation.parse("time:0.5")),
        pair=lambda: prepare("pair", torch.cat([COND, UNCOND])),
        alone=lambda: prepare("alone", COND),
        steps=4,
        evaluations=4,
    )
    v(X, 0.0)
    v(X, 0.1)
    assert made == ["pair"]
    v(X, 0.6)
    v(X, 0.7)
    assert made == ["pair", "alone"]


def test_a_runner_receives_every_step_with_a_memory_for_pairs_and_one_for_single_rows() -> None:
    seen: list[Step] = []

    def runner(step: Step, blocks: list[str], x: Tensor, m: str, seq: str) -> Tensor:
        assert (blocks, m, seq) == (["block"], "m", "seq")
        step.memory["evaluations"] = step.memory.get("evaluations", 0) + 1
        seen.append(step)
        return x

    v, _ = velocity(Guidance(2.0, Truncation.parse("time:0.5")), runner=runner)
    for t in (0.0, 0.25, 0.5, 0.75):
        v(X, t)
    assert [(s.index, s.count, s.t) for s in seen] == [(0, 4, 0.0), (1, 4, 0.25), (2, 4, 0.5), (3, 4, 0.75)]
    assert seen[0].memory is seen[1].memory and seen[2].memory is seen[3].memory
    assert seen[0].memory is not seen[2].memory
    assert [s.memory["evaluations"] for s in (seen[0], seen[2])] == [2, 2]


def test_two_generations_on_one_model_share_nothing() -> None:
    memories: list[object] = []

    def runner(step: Step, blocks: object, x: Tensor, m: object, seq: object) -> Tensor:
        memories.append(step.memory)
        return x

    first, _ = velocity(Guidance(2.0), runner=runner)
    second, _ = velocity(Guidance(2.0), runner=runner)
    first(X, 0.0), second(X, 0.0), first(X, 0.5)
    assert memories[0] is memories[2] and memories[0] is not memories[1]
    assert (first.index, second.index) == (2, 1)


@pytest.mark.parametrize("text", ["time:0.25", "steps:0.5", "sigma:0.8", "time:1e-3"])
def test_an_interval_from_0_is_what_has_one_end(text: str) -> None:
    unit, _, end = text.partition(":")
    assert Truncation.parse(f"{unit}:0-{end}") == Truncation.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "time", "time:", "late:0.5", "steps:half", "time:-1", "sigma:nan", "a:b:c", ":1", "0.1-0.6", "time:0.6-0.1",
        "time:0.5-0.5", "steps:-0.1-0.5", "sigma:nan-0.5", "sigma:0.1-nan", "time:0.1-", "time:0-0.1-0.6",
    ],
)  # fmt: skip
def test_a_truncation_that_makes_no_sense_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError) as error:
        Truncation.parse(text)
    assert text in error.value.message and "time:0.25" in error.value.hint


@given(st.text(max_size=12))
def test_any_text_is_a_truncation_or_a_usage_error(text: str) -> None:
    try:
        truncation = Truncation.parse(text)
    except UsageError:
        return
    if truncation is None:
        assert not text.strip()
    else:
        assert truncation.value >= 0 and isinstance(truncation.guided(0.5, 0, 2), bool)


def test_official_values_are_read_as_the_official_code_reads_them() -> None:
    assert Guidance.parse(5.0, "0.25", "0.0") == Guidance(5.0, Truncation("time", 0.25), 0.0)
    assert Guidance.parse(4, "", "1").renorm == 1.0
    for scale, renorm in ((math.nan, 0.0), (math.inf, 0.0), (4.0, "much"), (4.0, "nan")):
        with pytest.raises(UsageError):
            Guidance.parse(scale, "", renorm)
