"""The scripts that measure plans of DiTFastAttn: their tables, and the pattern that stands for the paper's plans."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from newbie.accel.work import Work
from newbie.attention.sdpa import Sdpa
from newbie.attention.window import Tiles, Windowed
from newbie.bench.tables import TABLES
from newbie.model.config import RELEASE
from newbie.step import Memory, Step

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def script(name):
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def mix():
    return script("attention_mix")


@pytest.fixture(scope="module")
def ditfastattn():
    return script("ditfastattn_tables")


def test_the_patterns_leave_what_the_paper_leaves(mix):
    work = Work(RELEASE, (256, 256), Windowed(Sdpa(), (128, 128), Tiles(8, 1)))
    for level, published in mix.PUBLISHED.items():
        plan = mix.plan_of(level, *mix.FULL_MODEL)
        assert abs(mix.left_of(work, plan, *mix.FULL_MODEL) - published) < 0.01
        assert {"compute", "window", "window+cfg", "cfg", "reuse"} == set(plan.values())
        assert all(plan[0, layer] == "compute" for layer in range(RELEASE.n_layers))
        found = mix.counts(plan, *mix.FULL_MODEL)
        assert found.total() == len(plan) and found["window"] == sum(each == "window" for each in plan.values())


def test_scores_of_actions_are_those_that_are_counted_elsewhere(mix):
    window = Windowed(Sdpa(), (16, 16), Tiles(4, 1))
    work = Work(RELEASE, (32, 32), window)
    tokens = work.attention("compute") - work.per_pair * mix.scores("compute", 32, window)  # the projections
    assert work.attention("window") - work.per_pair * mix.scores("window", 32, window) == tokens
    assert work.residual() == work.per_pair * (
        mix.scores(mix.WITH_RESIDUAL, 32, window) - mix.scores("compute", 32, window)
    )
    assert (
        mix.scores("cfg", 32, window) - mix.scores("window+cfg", 32, window)
        == (mix.scores("compute", 32, window) - mix.scores("window", 32, window)) / 2
    )


def test_a_small_mix_is_measured_and_told(mix):
    shape = {"image_tokens": 64, "words": 4, "window": "tiles"}
    found = mix.attention(8, 4, 1, Tiles(2, 1), 1, torch.float32)
    lines = TABLES["attention-mix"](shape | {"attention": found})
    assert lines[2].startswith("| D4 | 36.0 % |") and len(lines) == 2 + 3 + 2
    seconds = {"exact": 10.0, "plan": 4.0}
    whole = mix.network("D6", 8, 4, 1, 2, 3, Tiles(2, 1), torch.float32)
    assert whole["seconds"].keys() == seconds.keys() and 0 < whole["attention_left"] < 1
    told = TABLES["attention-mix"](shape | {"network": {**whole, "seconds": seconds, "attention_share_of_time": 0.8}})
    assert told[2].split(" | ")[2] == "25.0 %"  # 2 of 10 seconds are not attention: 2 of 8 are left


def test_windows_alone_forget_their_residuals(ditfastattn):
    memory = Memory({(ditfastattn.KEY, 0, "residual"): torch.ones(2), (ditfastattn.KEY, 0, "output"): torch.ones(2)})
    runner = ditfastattn.WithoutResidual(lambda step, *given: given[0])
    assert runner(Step(0, 1, 0.0, memory), 7) == 7
    assert [value.sum().item() for value in memory.values()] == [0, 2]


def test_every_case_of_the_tables_is_measured_once(ditfastattn):
    cases = [*ditfastattn.cases([28, 50, 100], ["D1", "D2", "D3", "D4", "D5", "D6"])]
    assert len({case.name for case in cases}) == len(cases) == 2 * 3 * 7 + 3 * 5
    assert {case.methods for case in cases if not case.residual} == {"window"}


def test_the_tables_show_what_a_result_has(ditfastattn):
    row = {"attention_left": 0.5, "saved": 0.1, "times": None, "held_mib": 1.5, "error": 0.02, "psnr": None,
           "ssim": 0.98}  # fmt: skip
    read = {"accuracy": 0.9, "binding": None, "frechet": 12.0, "inception": 3.0}
    cases = [*ditfastattn.cases([28], ["D1", "D2"])]
    rows = {case.name: {**case._asdict(), **row, **(read if case.negative else {})} for case in cases}
    lines = TABLES["ditfastattn"]({"rows": rows, "model": "mini", "pixels": 256, "searched_on": 6, "pictures": 64})
    assert (
        sum(line.startswith("| ") for line in lines) == len(cases) + 3 * 2
    )  # rows, and two lines of each table's head
    assert "| D1 | 50.0 % | 10.0 % |  | 1.5 | 0.02 |  | 0.9800 | 90.0 % |  | 12 | 3 |" in lines
    assert "| window without residual, D2 | 50.0 % | 10.0 % |  | 1.5 | 0.02 |  | 0.9800 |  |  |  |  |" in lines
