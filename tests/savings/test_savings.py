"""Every exact saving leaves the velocities as they are, alone and with the others; and saves what it says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from newbie.accel.leaves import Leaves
from newbie.accel.runner import InOrder, RunBlock
from newbie.accel.savings import Savings
from newbie.denoise import Denoiser
from newbie.model.nextdit import NextDiT
from newbie.sampling.guidance import Guidance, Truncation

from .conftest import GUIDED, Make, noise

pytestmark = pytest.mark.usefixtures("no_gradients")
EXACT = {"prepared_once", "image_queries", "one_row", "text_cache", "channels_last"}  # not a bit
IN_LOOP = [field.name for field in fields(Savings) if field.name not in ("text_cache", "channels_last", "one_row")]


@pytest.fixture
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def only(*names: str) -> Savings:
    return replace(Savings.none(), **dict.fromkeys(names, True))


def velocities(denoiser: Denoiser, pictures: int = 1) -> Tensor:
    velocity, x = denoiser.velocity(pictures), noise(pictures)
    velocity.prepare()
    return torch.stack([velocity(x, t) for t in velocity.times])


@contextmanager
def calls(*modules: nn.Module) -> Iterator[list[tuple[int, ...]]]:
    """Shapes of what each call of these modules was given."""
    seen: list[tuple[int, ...]] = []
    hooks = [
        module.register_forward_pre_hook(lambda m, given: seen.append(tuple(given[0].shape))) for module in modules
    ]
    yield seen
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("pictures", [1, 3])
@pytest.mark.parametrize("saving", IN_LOOP)
def test_a_saving_alone_changes_nothing(make: Make, saving: str, pictures: int) -> None:
    before = "prepared_once" if saving == "modulation_table" else saving  # the table is made once, or not at all
    plain, saved = (velocities(make(taken), pictures) for taken in (Savings.none(), only(saving, before)))
    if saving in EXACT:
        assert torch.equal(saved, plain)
    else:  # other products, or the same shared among threads in another way: a few bits, twice of it by guidance
        torch.testing.assert_close(saved, plain, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("lengths", [(13, 4), (4, 13), (7, 7), (9, 0)])
@pytest.mark.parametrize("blocks", [None, InOrder(RunBlock(Leaves.plain()))])
def test_all_together_change_nothing(make: Make, lengths: tuple[int, int], blocks: InOrder | None) -> None:
    plain = velocities(make(Savings.none(), lengths=lengths), 2)
    saved = velocities(make(lengths=lengths, blocks=blocks), 2)
    torch.testing.assert_close(saved, plain, rtol=2e-5, atol=2e-5)


def test_without_savings_and_wishes_the_models_own_loop_runs(make: Make) -> None:
    velocity = make(Savings.none()).velocity(1)
    assert velocity.runner is None and velocity.refine is None


def test_captions_are_refined_once_per_prompt_and_not_per_evaluation_or_picture(make: Make, model: NextDiT) -> None:
    with calls(model.cap_embedder, model.context_refiner[0]) as seen:
        denoiser = make()
        for _ in range(3):  # three pictures of one prompt, one after another
            velocities(denoiser)
    assert len(seen) == 2
    with calls(model.cap_embedder) as seen:
        velocities(make(Savings.none()))
    assert len(seen) == 4


def test_rotary_turns_and_masks_are_made_once(make: Make) -> None:
    with patch("newbie.model.nextdit.rope", side_effect=AssertionError) as rope:
        denoiser = make()
        velocity = denoiser.velocity(1)
        with pytest.raises(AssertionError):
            velocity.prepare()
        rope.side_effect = None
    velocity.prepare()
    with patch("newbie.model.nextdit.rope", side_effect=AssertionError):
        for t in velocity.times:
            velocity(noise(), t)


def test_modulation_is_one_product_per_block_for_all_times(make: Make, model: NextDiT) -> None:
    linears = [block.adaLN_modulation for block in (*model.noise_refiner, *model.layers)]
    with calls(*linears) as seen:  # type: ignore[arg-type]
        velocities(make())
    rows = 4 * (2 if model.config.clip_text_dim else 1)  # times, and pooled captions where there are any
    assert seen == [(rows, 48)] * len(linears)


def test_without_pooled_captions_a_pair_is_packed_and_refined_once(models: dict[str, NextDiT], make: Make) -> None:
    model = make().transformer
    with calls(model.layers[0].attention.qkv, model.noise_refiner[0].attention.qkv) as seen:  # type: ignore[union-attr]
        velocities(make())
    packed, padded = (1, 13 + 4 + 2 * 6, 48), (2, 16 + 6, 48)
    assert set(seen) == ({packed, (1, 6, 48)} if model.config.clip_text_dim is None else {padded, (2, 6, 48)})


def test_the_last_block_feeds_image_tokens_only(make: Make, model: NextDiT) -> None:
    with calls(model.layers[-1].feed_forward) as seen:  # type: ignore[arg-type]
        velocities(make(only("image_queries")))
    assert set(seen) == {(2, 6, 48)}


def test_a_picture_is_embedded_once_for_both_captions(make: Make, model: NextDiT) -> None:
    with calls(model.x_embedder) as seen:
        velocities(make())
        velocities(make(replace(Savings(), shared_embedding=False)))
    assert seen == [(1, 6, 64)] * 4 + [(2, 6, 64)] * 4


@pytest.mark.parametrize("guidance", [GUIDED, Guidance(4.0, renorm=0.5)])
def test_equal_prompts_run_one_row(make: Make, guidance: Guidance) -> None:
    both, one = make(guidance=guidance, lengths=(7, 7)), make(guidance=guidance, lengths=(7, 7), same=True)
    for denoiser in (both, one):
        hidden, _, pooled = denoiser.features
        hidden[1] = hidden[0]
        if pooled is not None:
            pooled[1] = pooled[0]
    torch.testing.assert_close(velocities(one), velocities(both), rtol=2e-5, atol=2e-5)
    assert (one.work()["rows"], both.work()["rows"]) == (4, 8)


def test_a_guidance_scale_of_one_runs_one_row(make: Make) -> None:
    denoiser = make(guidance=Guidance(1.0))
    velocities(denoiser)
    assert denoiser.work()["rows"] == denoiser.work()["evaluations"] == 4
    assert denoiser.work()["preparations"] == 1


def test_truncated_guidance_prepares_both_kinds_of_evaluation_before_the_first(make: Make, model: NextDiT) -> None:
    denoiser = make(guidance=Guidance(4.0, Truncation.parse("steps:0.5")))
    velocity = denoiser.velocity(1)
    velocity.prepare()
    assert denoiser.work()["preparations"] == 2
    with calls(model.cap_embedder) as seen:
        saved = [velocity(noise(), t) for t in velocity.times]
    assert not seen and velocity.rows == 6
    plain = make(Savings.none(), guidance=denoiser.guidance).velocity(1)
    for t, v in zip(plain.times, saved, strict=True):
        torch.testing.assert_close(plain(noise(), t), v, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("sampler", ["euler", "midpoint", "heun", "rk4", "dpmpp_2m", "res_multistep"])
def test_the_table_knows_every_time_a_solver_asks_for(make: Make, sampler: str) -> None:
    from newbie.sampling.solvers import SOLVERS

    denoiser = make(sampler=sampler)
    velocity = denoiser.velocity(1)
    velocity.prepare()
    SOLVERS[sampler](velocity, noise(), denoiser.grid)
    assert denoiser.work()["modulation_products"] == 1


def test_no_evaluation_waits_for_the_device(make: Make) -> None:
    """Fake tensors have no numbers: `.item()`, `.tolist()`, `nonzero` and masks as indices raise on them."""
    for pictures in (1, 2):
        velocity = make(guidance=Guidance(4.0, Truncation.parse("steps:0.5"), renorm=0.8)).velocity(pictures)
        velocity.prepare()
        first, *others = velocity.times
        velocity(noise(pictures), first)  # policies look at the sequence once
        with FakeTensorMode(allow_non_fake_inputs=True):
            x = torch.empty(pictures, 16, 4, 6)
            for t, end in zip(others, [*others[1:], 1.0], strict=True):
                x = x + (end - t) * velocity(x, t)
            assert x.shape == (pictures, 16, 4, 6)
            with pytest.raises(Exception, match="_local_scalar_dense"):  # this is how it would look
                x.max().item()


def test_requests_share_nothing(make: Make) -> None:
    alone = velocities(make())
    one, two = make().velocity(1), make(lengths=(3, 11)).velocity(1)
    mixed = []
    for t in one.times:
        mixed.append(one(noise(), t))
        two(noise(), t)
    assert torch.equal(torch.stack(mixed), alone)
