"""Rows packed and rows apart, and the last block for the image: against the padded batch that they replace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
import torch
from torch import Tensor

from newbie.accel.apart import Apart, pays
from newbie.accel.last import ImageQueries, image_tokens, in_order, in_order_to_the_image, to_the_image
from newbie.accel.leaves import Leaves
from newbie.accel.packed import Packed
from newbie.accel.runner import InOrder, RunBlock, Runner
from newbie.attention.kernel import Needs, SequenceInfo
from newbie.attention.reference import Reference
from newbie.attention.sdpa import Sdpa
from newbie.model.nextdit import NextDiT, Prepared
from newbie.step import Memory, Step

from .conftest import SIZE, captions

N = 6  # image tokens
PLAIN = InOrder(RunBlock(Leaves.plain()))


@dataclass(frozen=True)
class WholeRowsOnly:
    """A kernel that takes as many queries as keys."""

    name: str = "whole"
    needs: Needs = field(default=Needs(fewer_queries=False))

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        assert q.shape[1] == k.shape[1]
        return Reference()(q, k, v, seq)


def run(
    model: NextDiT, policy: Callable[..., Tensor], lengths: Sequence[int], *, t: float = 0.3, attend: object = None
) -> Tensor:
    """Image tokens that the joint blocks give, (B, N, dim)."""
    features = captions(model, lengths)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        prepared = model.prepare(*features, SIZE, attend=attend or Sdpa())  # type: ignore[arg-type]
        x = torch.cat((prepared.words, torch.randn(len(lengths), N, 48, generator=generator)), 1)
        m = model.modulations(torch.full((len(lengths),), t), prepared.pooled).layers
        y = policy(Step(0, 4, t, Memory()), model.layers, x, m, prepared.seq)
    return y[:, -N:]


def policies(model: NextDiT, inner: Runner, kernel: object = None) -> list[Runner]:
    kernel = kernel or Sdpa()
    apart: Runner = Apart(inner, kernel, N)  # type: ignore[arg-type]
    return [apart] if model.config.clip_text_dim else [apart, Packed(inner, kernel, N)]  # type: ignore[arg-type]


@pytest.mark.parametrize("lengths", [(13, 4), (4, 13), (13, 13, 4, 4), (0, 9), (5, 7, 1), (8, 8)])
@pytest.mark.parametrize("inner", [in_order, in_order_to_the_image, PLAIN, to_the_image(PLAIN, 2)])
def test_unpadded_rows_give_the_same_image_tokens(model: NextDiT, lengths: tuple[int, ...], inner: Runner) -> None:
    padded = run(model, in_order, lengths)
    for policy in policies(model, inner):
        torch.testing.assert_close(run(model, policy, lengths), padded, rtol=1e-5, atol=1e-5)


def test_a_kernel_that_wants_whole_rows_gets_them(model: NextDiT) -> None:
    padded = run(model, in_order, (13, 4))
    whole = run(model, in_order_to_the_image, (13, 4), attend=WholeRowsOnly())
    torch.testing.assert_close(whole, padded, rtol=1e-5, atol=1e-5)
    for policy in policies(model, in_order_to_the_image, WholeRowsOnly()):
        torch.testing.assert_close(run(model, policy, (13, 4)), padded, rtol=1e-5, atol=1e-5)


def test_unpadded_rows_need_no_mask(model: NextDiT) -> None:
    masks = []

    def watch(step: Step, blocks: object, x: Tensor, m: object, seq: object) -> Tensor:
        masks.append((tuple(x.shape), seq.info.mask))  # type: ignore[attr-defined]
        return x

    for policy in policies(model, watch):
        run(model, policy, (13, 4))
    apart, packed = [(1, 13 + N, 48), (1, 4 + N, 48)], [(1, 17 + 2 * N, 48)]
    assert [shape for shape, _ in masks] == (apart if model.config.clip_text_dim else apart + packed)
    assert all(mask is None for _, mask in masks)


def test_rows_that_run_apart_remember_apart(model: NextDiT) -> None:
    memories = []

    def watch(step: Step, blocks: object, x: Tensor, m: object, seq: object) -> Tensor:
        memories.append(step.memory)
        return x

    run(model, Apart(watch, Sdpa(), N), (13, 4))
    assert memories[0] is not memories[1]


def test_a_bias_or_a_window_leaves_the_rows_padded(models: dict[str, NextDiT]) -> None:
    model, shapes = models["plain"], []

    def watch(step: Step, blocks: object, x: Tensor, m: object, seq: object) -> Tensor:
        shapes.append(tuple(x.shape))
        return x

    for policy in policies(model, watch):
        for change in ({"window": (3, 3)}, {"bias": torch.zeros(1, 1, 22, 22)}):

            def biased(step: Step, blocks: object, x: Tensor, m: object, seq: object) -> Tensor:
                info = seq.info._replace(**change)  # type: ignore[attr-defined]  # noqa: B023
                return policy(step, blocks, x, m, seq._replace(info=info))  # type: ignore # noqa: B023

            run(model, biased, (13, 4))
    assert shapes == [(2, 22, 48)] * 4


def test_the_last_block_gives_the_image_rows_bit_for_bit(model: NextDiT) -> None:
    features = captions(model)
    with torch.no_grad():
        prepared: Prepared = model.prepare(*features, SIZE, attend=Reference())
        x = torch.randn(2, 16 + N, 48, generator=torch.Generator().manual_seed(5))
        m, block = model.modulations(torch.full((2,), 0.3), prepared.pooled).layers[-1], model.layers[-1]
        whole = block(x, m, prepared.seq)
        assert torch.equal(image_tokens(Leaves.plain(), block, x, m, prepared.seq), whole[:, 16:])  # type: ignore
        assert torch.equal(ImageQueries(Leaves.plain())(None, 0, block, x, m, prepared.seq), whole[:, 16:])  # type: ignore


def test_a_policy_for_branches_keeps_its_last_block_whole() -> None:
    runner = InOrder(RunBlock(Leaves.plain(), feed=lambda step, layer, block, x, scale: x))
    assert to_the_image(runner, 2) is runner
    assert to_the_image(PLAIN, 2) == replace(PLAIN, last=ImageQueries(PLAIN.run_block.leaves))


def test_little_padding_does_not_pay_for_another_run(model: NextDiT) -> None:
    block = model.layers[0]
    weights = sum(p.numel() for part in (block.attention, block.feed_forward) for p in part.parameters())  # type: ignore
    enough = int(1e8 / weights / 2) + 1
    assert pays(enough, block) and not pays(enough - 1, block)  # type: ignore[arg-type]
