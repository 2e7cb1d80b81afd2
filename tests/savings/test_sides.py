"""A bias on one side of a pair: the same as one large mask on a padded batch, and nothing for the other side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from newbie.accel.leaves import Leaves
from newbie.accel.runner import InOrder, RunBlock
from newbie.accel.savings import Savings
from newbie.accel.sides import At
from newbie.attention.choose import KERNELS
from newbie.attention.kernel import Kernel
from newbie.denoise import Denoiser
from newbie.sampling.guidance import Guidance, Truncation
from newbie.step import Step

from .conftest import GUIDED, Make, noise

IMAGE = 6  # tokens


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def added(words: int, seed: int = 5) -> Tensor:
    """A bias without any symmetry, (heads, L, L)."""
    length = words + IMAGE
    return 2 * torch.randn(6, length, length, generator=torch.Generator().manual_seed(seed))


def velocities(denoiser: Denoiser, pictures: int = 1) -> Tensor:
    velocity, x = denoiser.velocity(pictures), noise(pictures)
    velocity.prepare()
    return torch.stack([velocity(x, t) for t in velocity.times])


def padded(bias: Tensor | None, words: int, width: int) -> Tensor:
    """The bias of one row in a batch padded to `width` words."""
    whole = torch.zeros(6, width + IMAGE, width + IMAGE)
    if bias is not None:
        places = torch.cat((torch.arange(words), torch.arange(width, width + IMAGE)))
        whole[:, places[:, None], places] = bias
    return whole


def by_one_large_mask(denoiser: Denoiser, biases: tuple[Tensor | None, Tensor | None], pictures: int) -> Tensor:
    """Guided velocities of the plain model: a padded pair, and one bias of (B, H, L, L)."""
    rows = [0] * pictures + [1] * pictures
    hidden, mask, pooled = denoiser.features
    prepared = denoiser.transformer.prepare(
        hidden[rows], mask[rows], None if pooled is None else pooled[rows], denoiser.size, attend=KERNELS["reference"]
    )
    lengths, width = denoiser.features.lengths(), prepared.words.shape[1]
    whole = torch.stack([padded(biases[row], lengths[row], width) for row in rows])
    prepared = prepared._replace(seq=prepared.seq._replace(info=prepared.seq.info._replace(bias=whole)))
    x, found = noise(pictures), []
    for t in denoiser.grid[:-1].tolist():
        v = denoiser.transformer(torch.cat((x, x)), torch.full((len(rows),), t), prepared).float()
        found.append(denoiser.guidance.combine(*v.chunk(2)))
    return torch.stack(found)


def always(bias: Tensor | None) -> At | None:
    return None if bias is None else lambda step: bias


def only_with_bias(lengths: list[int], *, bias: bool = False) -> Kernel:
    """The fastest kernel here, as the pipeline chooses it."""
    return KERNELS["reference" if bias else "tiled"]


@pytest.mark.parametrize("lengths", [(13, 4), (4, 13), (7, 7)])
@pytest.mark.parametrize("pictures", [1, 2])
@pytest.mark.parametrize("sides", [(True, False), (False, True), (True, True)], ids=["prompt", "negative", "both"])
def test_a_bias_of_a_side_is_one_large_mask(
    make: Make, lengths: tuple[int, int], pictures: int, sides: tuple[bool, bool]
) -> None:
    biases = tuple(added(n, n) if there else None for n, there in zip(lengths, sides, strict=True))
    denoiser = make(lengths=lengths, biases=tuple(map(always, biases)), kernel=only_with_bias)
    wanted = by_one_large_mask(denoiser, biases, pictures)  # type: ignore[arg-type]
    torch.testing.assert_close(velocities(denoiser, pictures), wanted, rtol=5e-5, atol=5e-5)


@pytest.mark.parametrize("savings", [Savings(), Savings.none()], ids=["all savings", "none"])
@pytest.mark.parametrize("blocks", [None, InOrder(RunBlock(Leaves.plain()))], ids=["model's loop", "runner"])
def test_a_bias_goes_with_every_saving_and_runner(make: Make, savings: Savings, blocks: InOrder | None) -> None:
    biases = (added(13), None)
    denoiser = make(savings, biases=tuple(map(always, biases)), blocks=blocks)
    torch.testing.assert_close(velocities(denoiser), by_one_large_mask(denoiser, biases, 1), rtol=5e-5, atol=5e-5)


def test_steps_without_a_bias_are_those_of_a_request_without_any(make: Make) -> None:
    def early(step: Step) -> Tensor | None:
        return added(13) if step.index < 2 else None

    biased, plain = velocities(make(biases=(early, None))), velocities(make())
    assert torch.equal(biased[2:], plain[2:])
    assert not torch.allclose(biased[:2], plain[:2], atol=1e-3)


def test_a_bias_of_zero_changes_nothing_but_rounding(make: Make) -> None:
    zero = torch.zeros(13 + IMAGE, 13 + IMAGE)
    torch.testing.assert_close(velocities(make(biases=(always(zero), None))), velocities(make()), rtol=2e-5, atol=2e-5)


def test_a_row_for_all_queries_is_enough(make: Make) -> None:
    row = added(13)[:1, :1]  # (1, 1, L): louder words
    wanted = by_one_large_mask(make(), (row.expand(6, 19, 19), None), 1)
    torch.testing.assert_close(velocities(make(biases=(always(row), None))), wanted, rtol=5e-5, atol=5e-5)


def test_a_bias_acts_with_and_without_the_negative_prompt(make: Make) -> None:
    guidance = Guidance(4.0, Truncation.parse("steps:0.5"), renorm=0.8)
    biases = (added(13), None)
    denoiser = make(guidance=guidance, biases=tuple(map(always, biases)))
    found = velocities(denoiser)
    assert denoiser.work()["rows"] == 2 * 2 + 2
    both = by_one_large_mask(denoiser, biases, 1)
    torch.testing.assert_close(found[:2], both[:2], rtol=5e-5, atol=5e-5)
    alone = by_one_large_mask(replace(denoiser, guidance=Guidance(1.0)), biases, 1)
    torch.testing.assert_close(found[2:], alone[2:], rtol=5e-5, atol=5e-5)


def test_one_text_on_both_sides_still_runs_both_rows_where_one_is_biased(make: Make) -> None:
    denoiser = make(lengths=(7, 7), same=True, guidance=GUIDED, biases=(always(added(7)), None))
    velocities(denoiser)
    assert denoiser.work()["rows"] == 8


def test_the_side_without_a_bias_keeps_its_kernel(make: Make) -> None:
    denoiser = make(biases=(always(added(13)), None), kernel=only_with_bias)
    velocities(denoiser)
    assert sorted(denoiser.kernels) == ["reference", "tiled"]


def test_a_biased_request_is_never_recorded(make: Make) -> None:
    record = lambda run: run  # noqa: E731
    assert make(record=record).recorded is not None
    assert make(record=record, biases=(always(added(13)), None)).recorded is None
