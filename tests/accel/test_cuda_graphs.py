"""Recorded evaluations: whatever changes between steps reaches them, and nothing else is asked of Python again.

No card is needed for that: a traced list of operations is as blind as a CUDA graph, it repeats them on the memory they
were traced with. What needs a card is marked so.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from newbie.accel.graphs import Recorded, on_cuda
from newbie.attention.kernel import SequenceInfo
from newbie.attention.sdpa import Sdpa
from newbie.errors import UsageError
from newbie.pipeline import Pipeline
from newbie.request import Request, Settings
from newbie.sampling import solvers

from .conftest import denoiser, small_model


def traced(run):
    """As blind as a CUDA graph: the operations of one run, on the memory it used."""
    operations = make_fx(lambda: run(), tracing_mode="real")()
    held = operations()
    return lambda: held.copy_(operations())


def drawn(request, *, pictures=1, sampler="euler", seeds=(7,)):
    """The latents of several batches of one request."""
    results = []
    for seed in seeds:
        noise = torch.randn(pictures, 16, *request.size, generator=torch.Generator().manual_seed(seed))
        velocity = request.velocity(pictures)
        results.append(solvers.SOLVERS[sampler](velocity, noise, request.grid, lambda *_: None))
    return torch.stack(results)


class Counting:
    """A kernel that counts how often Python asks it."""

    def __init__(self):
        self.kernel, self.calls = Sdpa(), 0
        self.name, self.needs = self.kernel.name, self.kernel.needs

    def __call__(self, q, k, v, seq: SequenceInfo):
        self.calls += 1
        return self.kernel(q, k, v, seq)


# What is recorded is one evaluation, of each kind; a sampler is only who asks for it.
@pytest.mark.parametrize(
    ("sampler", "scale", "clip"),
    [
        ("euler", 4.5, True),
        ("euler", 4.5, False),
        ("euler", 1.0, True),
        ("euler", 1.0, False),
        ("heun", 4.5, True),
        ("res_multistep", 4.5, False),
    ],
)
def test_a_recorded_generation_gives_the_same_latents(sampler, scale, clip):
    request = replace(denoiser(small_model(clip=clip, layers=1), scale=scale), sampler=sampler)
    recorded = replace(request, record=traced)
    expected = drawn(request, sampler=sampler, seeds=(7, 8))
    assert torch.equal(drawn(recorded, sampler=sampler, seeds=(7, 8)), expected)
    assert recorded.work()["cuda_graphs"] == 1


def test_two_evaluations_ask_python_and_all_others_replay():
    kernel = Counting()
    request = replace(denoiser(small_model(layers=1), kernel=kernel), record=traced)
    drawn(request)  # three steps: run, recorded, replayed
    calls = kernel.calls
    drawn(request, seeds=(8, 9))
    assert kernel.calls == calls
    assert request.recorded.graphs == 1


def test_batches_of_another_size_are_recorded_apart():
    request = replace(denoiser(small_model(layers=1)), record=traced)
    expected = drawn(replace(request, record=None), pictures=2)
    drawn(request)
    assert torch.equal(drawn(request, pictures=2), expected)
    assert request.recorded.graphs == 2


def test_an_answer_is_not_overwritten_by_the_next():
    request = replace(denoiser(small_model(layers=1), scale=1.0), record=traced)
    velocity, noise = request.velocity(1), torch.ones(1, 16, *request.size)
    for t in request.grid[:3].tolist():
        kept = velocity(noise, t)
    before = kept.clone()
    velocity(-noise, float(request.grid[1]))
    assert torch.equal(kept, before)


def test_what_cannot_be_recorded_runs_as_ever_and_says_why():
    def refuses(run):
        raise RuntimeError("operation not permitted when stream is capturing\nand more lines")

    request = denoiser(small_model(layers=1))
    recorded = replace(request, record=refuses)
    assert torch.equal(drawn(recorded), drawn(request))
    assert recorded.recorded.failed == "operation not permitted when stream is capturing"
    assert recorded.work()["cuda_graphs"] == 0


def test_the_pipeline_records_and_tells_of_it():
    pipeline = Pipeline.open(settings=Settings(device="cpu", leaves="plain"))
    request = Request(prompt="1girl, blue_hair", steps=3, width=64, height=64, seed=5, count=2)
    plain = pipeline.generate(request)
    recorded = replace(pipeline, record=traced).generate(request)
    assert [image.tobytes() for image in recorded.images] == [image.tobytes() for image in plain.images]
    assert (plain.ran["cuda_graphs"], recorded.ran["cuda_graphs"]) == (False, True)
    assert recorded.work["cuda_graphs"] == 1

    def refuses(run):
        raise RuntimeError("not permitted")

    failed = replace(pipeline, record=refuses).generate(request)
    assert failed.ran["cuda_graphs"] is False
    assert "no CUDA graphs, evaluations cannot be recorded here: not permitted" in failed.notes


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card here")
def test_without_a_card_graphs_are_refused():
    with pytest.raises(UsageError, match="need an NVIDIA card"):
        Pipeline.open(settings=Settings(cuda_graphs=True))


@pytest.mark.gpu
def test_on_a_card_the_graph_gives_the_same_latents():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    model = small_model().cuda()
    noise = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(7)).cuda()
    prepared = model.prepare(
        torch.randn(2, 5, model.config.cap_feat_dim, device="cuda"),
        torch.ones(2, 5, device="cuda"),
        torch.randn(2, model.config.clip_text_dim, device="cuda"),
        (8, 8),
        attend=Sdpa(),
        copies=2,
    )
    recorded = Recorded(model, on_cuda)
    for t in (0.1, 0.4, 0.7, 0.9):
        time = torch.full((2,), t, device="cuda")
        assert torch.equal(recorded(noise, time, prepared), model(noise, time, prepared))
    assert recorded.graphs == 1
