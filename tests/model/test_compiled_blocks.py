"""torch.compile on blocks and on their parts: one graph, no breaks, no graph per caption length."""

from __future__ import annotations

import pytest
import torch

from newbie.attention.reference import Reference
from newbie.attention.sdpa import Sdpa
from newbie.model.block import Block


class Counting:
    """A compiler backend that runs the traced graph as it is and counts graphs."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph, example_inputs):
        self.graphs += 1
        return graph.forward


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def compiled_runner(backend):
    block_forward = torch.compile(Block.forward, backend=backend, fullgraph=True)

    def run(blocks, x, m, seq):
        for block, said in zip(blocks, m, strict=True):
            x = block_forward(block, x, said, seq)
        return x

    return run


@pytest.mark.parametrize("attend", [Sdpa(), Reference()], ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("autocast", [False, True])
def test_a_block_compiles_without_breaks_into_one_graph_for_all_layers(model, make_inputs, attend, autocast):
    given, backend = make_inputs((5, 3)), Counting()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        prepared = model.prepare(*given.text, given.size, attend=attend)
        plain = model(given.latents, given.t, prepared)
        compiled = model(given.latents, given.t, prepared, run_blocks=compiled_runner(backend))
    assert backend.graphs == 1
    torch.testing.assert_close(compiled, plain, atol=1e-6, rtol=1e-6)


def test_other_caption_lengths_times_and_kernels_of_one_kind_add_no_graph(model, make_inputs):
    backend = Counting()
    runner = compiled_runner(backend)
    with torch.no_grad():
        for lengths in ((5, 3), (6, 3), (8, 1), (7, 0), (2, 5)):  # all padded to 8
            given = make_inputs(lengths)
            prepared = model.prepare(*given.text, given.size, attend=Sdpa())
            assert prepared.words.shape[1] == 8
            model(given.latents, given.t, prepared, run_blocks=runner)
    assert backend.graphs == 1


def test_each_part_of_a_block_compiles_without_breaks(model, make_inputs):
    given, block, backend = make_inputs(), model.layers[0], Counting()
    prepared = model.prepare(*given.text, given.size, attend=Sdpa())
    parts = {
        part: torch.compile(getattr(Block, part), backend=backend, fullgraph=True)
        for part in ("modulation", "qkv", "project", "feed")
    }
    with torch.no_grad():
        x = torch.randn(2, prepared.words.shape[1] + 6, 48)
        temb = model.conditioning(given.t, prepared.pooled)
        m = parts["modulation"](block, temb)
        q, k, v = parts["qkv"](block, x, m.scale_attn, prepared.seq)
        y = x + m.gate_attn * parts["project"](block, prepared.seq.attend(q, k, v, prepared.seq.info))
        y = y + m.gate_ffn * parts["feed"](block, y, m.scale_ffn)
        torch.testing.assert_close(y, block(x, m, prepared.seq), atol=1e-6, rtol=1e-6)
    assert backend.graphs == 4


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch's tracer looks at it and hides this itself
def test_compiled_blocks_train_to_the_same_gradients(make_model, make_inputs):
    given, grads = make_inputs((5, 3)), []
    for compiled in (False, True):
        model = make_model()
        # aot_eager traces the backward pass too, and needs no C++ compiler.
        runner = {"run_blocks": compiled_runner("aot_eager")} if compiled else {}
        prepared = model.prepare(*given.text, given.size, attend=Sdpa())
        model(given.latents, given.t, prepared, **runner).square().mean().backward()
        grads.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    for name, grad in grads[0].items():
        torch.testing.assert_close(grads[1][name], grad, atol=1e-5, rtol=1e-3)
