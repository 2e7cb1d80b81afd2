"""Few graphs, no breaks, the same numbers; and a machine where nothing can be compiled."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from newbie import devices
from newbie.accel.choose import choose
from newbie.accel.compiler import Compiler, Worth, broken
from newbie.accel.cpu import CpuBlocks
from newbie.accel.leaves import Leaves
from newbie.accel.passes import Passes
from newbie.accel.runner import InOrder, RunBlock
from newbie.cli.create import main

from .conftest import draw_velocity, small_model

# Prompts of several lengths, two sizes, one to four pictures, guided and not.
SESSION = [
    {"words": (9, 4), "side": 16},
    {"words": (12, 4), "side": 16},
    {"words": (17, 4), "side": 16, "pictures": 2},
    {"words": (33, 4), "side": 24},
    {"words": (9, 9), "side": 16},
    {"words": (9, 9), "side": 24, "pictures": 4},
    {"words": (9, 4), "side": 24, "pictures": 3, "scale": 1.0},
    {"words": (9, 4), "side": 16, "scale": 1.0},
    {"words": (1, 0), "side": 16},
]


def as_traced(graph, inputs):
    """A code generator that generates nothing: the traced graph runs as it is."""
    return graph.forward


def cannot(graph, inputs):
    raise RuntimeError("there is no C++ compiler\nand more lines")


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.parametrize("kind", ["blocks", "passes"])
@pytest.mark.parametrize("clip", [True, False], ids=["clip", "no clip"])
def test_a_session_of_many_prompts_sizes_and_batches_needs_at_most_eight_graphs(kind, clip):
    model, compiler = small_model(clip=clip), Compiler(as_traced)
    if kind == "blocks":
        leaves = Leaves.compiled(compiler)
    else:
        leaves = CpuBlocks.of([*model.noise_refiner, *model.layers], passes=Passes.compiled(compiler)).leaves()
    counts = []
    for _ in range(2):
        for request in SESSION:
            ours = draw_velocity(model, InOrder(RunBlock(leaves)), **request)
            theirs = draw_velocity(model, **request)
            torch.testing.assert_close(ours, theirs, atol=2e-5 * theirs.abs().max().item(), rtol=0)
        counts.append(compiler.graphs)
    assert counts[0] <= 8
    assert counts[1] == counts[0], "a second round compiled again"


def test_a_length_that_equals_another_size_is_not_taken_to_equal_it_always():
    model, compiler = small_model(), Compiler(as_traced)
    runner = InOrder(RunBlock(Leaves.compiled(compiler)))
    # 64 image tokens and 32 words are 96 tokens, which is the width of the model; then 97.
    for words in ((32, 32), (33, 33)):
        draw_velocity(model, runner, words=words, side=16)
    assert compiler.graphs == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's code generator imports what torch deprecates
def test_compiled_loops_compute_what_the_passes_say():
    if why := broken(torch.device("cpu")):
        pytest.skip(why)
    model = small_model()
    blocks = choose(model, leaves="cpu", compile=True)
    ours, theirs = draw_velocity(model, blocks.runner), draw_velocity(model)
    assert blocks.name == "cpu, compiled"
    assert blocks.compiler.graphs > 0
    torch.testing.assert_close(ours, theirs, atol=2e-5 * theirs.abs().max().item(), rtol=0)


def test_where_nothing_can_be_compiled_the_blocks_run_without_and_a_note_says_why():
    model = small_model()
    blocks = choose(model, compile=True, backend=cannot)
    assert blocks.compiler is None
    assert len(blocks.notes) == 1
    assert "there is no C++ compiler" in blocks.notes[0]
    assert "more lines" not in blocks.notes[0]
    assert torch.equal(draw_velocity(model, blocks.runner), draw_velocity(model, choose(model).runner))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_door_without_a_compiler_draws_tells_and_ends_well(tmp_path, capsys):
    from torch._inductor import config  # which takes a second, here and not in every worker
    from torch._inductor.utils import fresh_cache

    command = ["--prompt", "1girl", "--size", "64", "--steps", "1", "--seed", "1", "--compile"]
    with fresh_cache(), config.patch({"cpp.cxx": ("/nowhere/c++",)}):  # as with CXX=/nowhere/c++
        assert main([*command, "--output", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "not compiled" in said.out + said.err
    assert list(tmp_path.glob("*.png"))


def test_compiling_pays_after_its_cost_is_won_back():
    assert Worth(4, compiling=30.0, plain=0.5, compiled=0.4).pictures(28) == 11  # 2.8 s are won per picture
    assert Worth(4, compiling=1.0, plain=0.5, compiled=0.4).pictures(28) == 1
    never = Worth(4, compiling=30.0, plain=0.4, compiled=0.4)
    assert never.pictures(28) is None
    assert "never" in never.told(28)


def test_what_is_compiled_is_kept_in_the_users_cache_folder(monkeypatch):
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    kept = devices.keep_compiled()
    assert kept.parts[-2:] == ("newbie", "compiled")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/somewhere/else")
    assert devices.keep_compiled() == Path("/somewhere/else")
