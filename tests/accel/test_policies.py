"""What must hold of every approximate acceleration: U1 to U8 of its contract."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from newbie.accel import methods
from newbie.accel.calibration import Calibration, Grid
from newbie.accel.compiler import Compiler
from newbie.accel.cpu import CpuBlocks
from newbie.accel.leaves import Leaves
from newbie.accel.runner import InOrder, RunBlock
from newbie.accel.savings import Savings
from newbie.errors import Cancelled
from newbie.sampling.guidance import Truncation
from newbie.text.features import TextFeatures

from .accelerating import Counted, drawn, noise, request, solved
from .conftest import small_model

STEPS = 6  # of what is drawn many times; where evaluations are counted there are twelve
MEASURED = Calibration(
    "small", ratios={Grid("euler", "official", 6.0, n): (1.0, *[0.98] * (n - 1)) for n in (STEPS, 12)}
)
NEUTRAL = [
    "fora:interval=1",
    "deepcache:interval=1",
    "mask:steps=0-5",
    "fbcache:threshold=0",
    "dbcache:threshold=0",
    "dbcache:threshold=1000,front=3",
    "deepcache:interval=4,front=2,back=1",
    "teacache:threshold=0,curve=identity",
    "teacache:threshold=0,curve=lumina2-v2,clamp=no",
    "magcache:threshold=0",
    "delta:period=1",
    "freeze:at=1",
    "freeze:refresh=1",
    "prune:budget=0",
    "prune:budget=0,fbcache:threshold=0",
]
PRUNE = "prune:budget=3,rows=5,tile=1,radius=0,always=yes,refresh=2"
# Each of them skips something in so many evaluations of a random model.
ACTIVE = [
    "fora:interval=2,cooldown=1",
    "fora:interval=3,parts=attn,order=1",
    "deepcache:interval=3,front=1,back=1,cooldown=1",
    "mask:steps=0+2+5,order=1",
    "fbcache:threshold=1000,in_a_row=2",
    "dbcache:threshold=1000,front=2,order=1,warmup=3",
    "dbcache:threshold=1000,front=1,back=1,in_a_row=1",
    "teacache:threshold=0.5,curve=identity",
    "magcache:threshold=0.1",
    "delta:period=3,order=1",
    "delta:period=2,dbcache:threshold=1000,warmup=2",
    "delta:period=2,fora:interval=3",
    "freeze:at=0.2,refresh=3",
    "freeze:at=0.2,delta:period=2,dbcache:threshold=1000,in_a_row=1",
    "teacache:threshold=0.5,curve=identity,scope=branch",
    "delta:period=2,dbcache:threshold=1000,back=1,in_a_row=1,scope=branch",
    PRUNE,
    f"delta:period=2,dbcache:threshold=1000,in_a_row=1,warmup=1,{PRUNE}",
]
BY_THEMSELVES = "fbcache:threshold=0.19,warmup=1,cooldown=1,scope=branch"
BY_CLOCK = [each for each in ACTIVE if not methods.parse(each)[-1].name.startswith(("fb", "db", "tea", "prune"))]


def accelerated(model, accel, *, steps=STEPS, **options):
    return request(model, accel, steps=steps, calibration=MEASURED, **options)


def also(asked, accel):
    return asked.accelerated(accel, steps=len(asked.grid) - 1, schedule="official", shift=6.0, calibration=MEASURED)[0]


@pytest.fixture(scope="module", params=[True, False], ids=["clip", "no clip"])
def model(request):
    return small_model(clip=request.param)


@pytest.fixture(scope="module")
def exact(model):
    """What is drawn without anything, by how the leaves are computed; and the blocks for that."""
    cpu = InOrder(RunBlock(CpuBlocks.of([*model.noise_refiner, *model.layers]).leaves()))
    with torch.no_grad():
        return {
            name: (each, drawn(request(model, steps=STEPS, blocks=each)))
            for name, each in (("plain", None), ("cpu", cpu))
        }


@pytest.fixture(scope="module")
def packing():
    """Without a pooled caption rows of unequal length are packed into one."""
    return small_model(clip=False)


@pytest.fixture(scope="module")
def padding():
    return small_model()


@pytest.mark.parametrize("accel", NEUTRAL)
@pytest.mark.parametrize("leaves", ["plain", "cpu"])
def test_neutral_settings_change_no_bit(model, exact, accel, leaves):
    blocks, plain = exact[leaves]
    assert torch.equal(drawn(accelerated(model, accel, blocks=blocks)), plain)


def test_without_policies_the_models_own_loop_runs(model):
    velocity = replace(request(model), savings=Savings.none()).velocity(1)
    assert velocity.runner is None


@pytest.mark.parametrize("accel", ACTIVE)
def test_it_skips_and_a_second_generation_is_like_the_first(model, exact, accel):
    asked = accelerated(model, accel)
    first, velocity = solved(asked)
    second, _ = solved(asked)
    assert torch.equal(first, second)
    assert not torch.equal(first, exact["plain"][1])
    assert torch.isfinite(first).all()
    assert velocity.approximate


@pytest.mark.parametrize("accel", ACTIVE)
def test_two_interleaved_generations_are_each_as_if_alone(packing, accel):
    pair = [accelerated(packing, accel, seed=1), accelerated(packing, accel, seed=2, words=(5, 7))]
    alone = [drawn(each) for each in pair]
    velocities, states = [each.velocity(1) for each in pair], [noise(each) for each in pair]
    grid = pair[0].grid.tolist()
    for t, end in pairwise(grid):
        for i, velocity in enumerate(velocities):
            states[i] = states[i] + (end - t) * velocity(states[i], t)
    for state, expected in zip(states, alone, strict=True):
        assert torch.equal(state, expected)


@pytest.mark.parametrize(
    "accel", ["fbcache:threshold=1000", "fora:interval=2", "delta:period=2", "freeze:at=0.2", PRUNE]
)
def test_a_cancelled_generation_leaves_nothing(packing, accel):
    asked = accelerated(packing, accel)
    expected = drawn(asked)
    before = {name: set(vars(module)) for name, module in packing.named_modules()}

    def stop(index, *_):
        if index == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        solved(asked, on_step=stop)
    assert torch.equal(drawn(asked), expected)
    assert {name: set(vars(module)) for name, module in packing.named_modules()} == before


@pytest.mark.parametrize("accel", BY_CLOCK)
def test_pictures_of_a_batch_do_not_see_each_other(padding, accel):
    asked = accelerated(padding, accel)
    together = drawn(asked, (1, 2, 3))
    for row, seed in zip(together, (1, 2, 3), strict=True):
        single = drawn(asked, (seed,))[0]
        torch.testing.assert_close(row, single, atol=1e-4 * single.abs().max().item(), rtol=0)


def test_a_threshold_computes_a_batch_when_one_picture_asks_for_it(model):
    """Documented: rows of one batch are computed together."""
    asked = accelerated(model, "fbcache:threshold=0.25,cooldown=1,warmup=1", steps=12)
    computed = [{i for i, a in solved(asked, seeds)[1].book.stack.items() if a == "compute"} for seeds in ((1,), (2,))]
    both = solved(asked, (1, 2))[1].book.stack
    first = min(i for i in range(1, 12) if i in computed[0] | computed[1])
    assert next(i for i in range(1, 12) if both[i] == "compute") == first


def test_counted_branches_are_those_of_the_plan(model):
    counted = Counted()
    asked = accelerated(model, "fora:interval=3,warmup=1,cooldown=1", steps=12, blocks=counted.blocks, words=(8, 8))
    _, velocity = solved(asked)
    rows = asked.policies.plan.actions(0, "attn")
    assert rows.count("compute") == 5  # 0, 3, 6, 9, and the last one
    refiner = 12 * len(model.noise_refiner)  # runs whole, and in every evaluation
    assert counted.calls == {"qkv": 5 * 3 + refiner, "project": 5 * 3, "feed": 5 * 3, "rest": refiner}
    assert sum(action == "compute" for action in velocity.book.layers.values()) == 2 * 5 * 3


def test_counted_blocks_are_those_of_the_mask(model):
    counted = Counted()
    asked = accelerated(
        model, "deepcache:interval=4,front=1,back=1,warmup=1,cooldown=2", steps=12, blocks=counted.blocks, words=(8, 8)
    )
    _, velocity = solved(asked)
    computed = [i for i in range(12) if velocity.book.stack[i] == "compute"]
    assert computed == [0, 4, 8, 10, 11]
    assert counted.calls["rest"] == 12 * len(model.noise_refiner) + 12 * 2 + 5 * 1
    assert asked.policies.plan.step_actions == tuple(velocity.book.stack[i] for i in range(12))


def test_an_infinite_threshold_computes_warm_up_and_cool_down_only(model):
    for accel in ("fbcache:threshold=1000", "teacache:threshold=1000,curve=identity"):
        book = solved(accelerated(model, f"{accel},warmup=3,cooldown=2", steps=12))[1].book
        assert [i for i in range(12) if book.stack[i] == "compute"] == [0, 1, 2, 10, 11]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_no_more_are_skipped_in_a_row_than_allowed(model, limit):
    accel = f"dbcache:threshold=1000,warmup=1,cooldown=1,in_a_row={limit}"
    book = solved(accelerated(model, accel, steps=12))[1].book
    runs = "".join("c" if book.stack[i] == "compute" else "s" for i in range(12)).split("c")
    assert max(map(len, runs)) == limit


def test_a_statistic_that_is_not_a_number_computes(model):
    from newbie.accel.decide import Change
    from newbie.step import Memory, Step

    memory, decide = Memory(), Change(threshold=1e9)
    bad = [torch.ones(1, 4, 4), torch.full((1, 4, 4), torch.nan), torch.full((1, 4, 4), torch.inf), torch.ones(1, 4, 4)]
    assert [decide(Step(i, 9, 0.0, memory), "x", lambda i=i: bad[i]) for i in range(4)] == [True] * 4


@pytest.mark.parametrize(
    "accel",
    [
        "fbcache:threshold=1000",
        "fora:interval=2",
        "delta:period=2",
        "freeze:at=0.2",
        "fbcache:threshold=0.3,scope=branch",
    ],
)
def test_both_guidance_layouts_decide_alike(accel):
    """Rows packed into one, apart, or padded side by side: the same evaluations are computed."""
    model = small_model(clip=False)
    packed, padded = accelerated(model, accel), accelerated(model, accel)
    padded = replace(padded, savings=replace(Savings(), packed_rows=False))
    (one, first), (two, second) = solved(packed), solved(padded)
    books = [first.book, second.book]
    if accel == BY_THEMSELVES:
        books += [book.negative for book in books]
    for one_way, other in zip(books[::2], books[1::2], strict=True):
        assert one_way.stack == other.stack
        assert one_way.layers == other.layers
    torch.testing.assert_close(one, two, atol=1e-4 * two.abs().max().item(), rtol=0)


def test_rows_apart_follow_the_prompts_decision(model, monkeypatch):
    monkeypatch.setattr("newbie.denoise.pays", lambda padding, block: True)
    accel = "fbcache:threshold=0.3,warmup=1,cooldown=1"
    apart = accelerated(model, accel, steps=12)
    beside = replace(apart, savings=replace(Savings(), packed_rows=False))
    (one, first), (two, second) = solved(apart), solved(beside)
    assert first.book.stack == second.book.stack
    assert "compute" in [first.book.stack[i] for i in range(1, 11)]
    assert "skip" in first.book.stack.values()
    torch.testing.assert_close(one, two, atol=1e-4 * two.abs().max().item(), rtol=0)


@pytest.mark.parametrize("accel", ACTIVE)
def test_guidance_that_ends_keeps_its_numbers_apart(padding, accel):
    """An interval: off, on, and off again."""
    plain = request(padding, steps=STEPS)
    guidance = replace(plain.guidance, truncation=Truncation("steps", 0.75, 0.25))
    latents, velocity = solved(also(replace(plain, guidance=guidance), accel))
    assert torch.isfinite(latents).all()
    assert velocity.book.guidance.count("off") == STEPS // 2


def test_what_was_learnt_is_counted_and_forgotten(model):
    asked = accelerated(model, "fbcache:threshold=1000,order=1,cooldown=1")
    _, velocity = solved(asked)
    width, tokens = model.config.dim, asked.image_tokens
    # Order 1, a pair, float32; and what the threshold is compared with, of the prompt's rows.
    assert velocity.book.kept == (2 * 2 + 1) * tokens * width * 4
    velocity.forget()
    assert not any(velocity.memories)


@pytest.mark.parametrize("accel", ["fora:interval=2", "freeze:at=0.2,dbcache:threshold=1000,order=1"])
def test_it_compiles_to_few_graphs_without_breaks(accel):
    torch.compiler.reset()
    model = small_model()
    compiler = Compiler(lambda graph, inputs: graph.forward)
    blocks = InOrder(RunBlock(Leaves.compiled(compiler)))
    ours, theirs = drawn(accelerated(model, accel, blocks=blocks)), drawn(accelerated(model, accel))
    torch.testing.assert_close(ours, theirs, atol=1e-4 * theirs.abs().max().item(), rtol=0)
    assert compiler.graphs <= 8
    torch.compiler.reset()


def test_inference_mode_and_bfloat16(model):
    in_half = small_model(dtype=torch.bfloat16)
    with torch.inference_mode():
        assert torch.isfinite(drawn(accelerated(in_half, "dbcache:threshold=1000,order=1"))).all()


@pytest.fixture(scope="module")
def biased(packing):
    """A request whose rows lie by themselves while a bias acts, and together afterwards; and what it draws."""
    bias = torch.randn(6, 9 + 16, 9 + 16, generator=torch.Generator().manual_seed(4))
    asked = replace(request(packing, steps=STEPS), biases=(lambda step: bias if step.index < 3 else None, None))
    with torch.no_grad():
        return asked, drawn(asked)


@pytest.mark.parametrize("accel", [each for each in ACTIVE if PRUNE not in each])
def test_regions_that_end_go_with_everything(biased, accel):
    """No policy mixes rows up that begin to lie otherwise."""
    asked, plain = biased
    latents = drawn(also(asked, accel))
    assert torch.isfinite(latents).all()
    assert not torch.equal(latents, plain)


def test_a_neutral_setting_changes_no_bit_where_regions_end(biased):
    asked, plain = biased
    assert torch.equal(drawn(also(asked, "dbcache:threshold=0")), plain)


def test_bytes_foreseen_are_not_less_than_those_kept(model):
    alone = ("fora:interval=2", "dbcache:threshold=1000,order=1", "deepcache:interval=3,back=1", "freeze:at=0.2")
    for accel in (*alone, *(f"{each},delta:period=3" for each in alone)):  # which remembers both kinds of evaluations
        asked = accelerated(model, accel)
        _, velocity = solved(asked, (1, 2))
        assert velocity.book.kept <= asked.kept(2) <= 3 * velocity.book.kept


def test_each_branch_decides_as_if_it_were_alone(padding):
    """With a scale of 0 only the negative prompt's velocity counts: its rows are those of a request with that alone."""
    guided, alone = (accelerated(padding, BY_THEMSELVES, steps=12, scale=scale) for scale in (0.0, 1.0))
    swapped = TextFeatures(*(None if each is None else each.flip(0) for each in alone.features))
    latents, pair = solved(guided)
    expected, single = solved(replace(alone, features=swapped))
    assert pair.book.negative.stack == single.book.stack != pair.book.stack
    assert pair.book.negative.drift == pytest.approx(single.book.drift, rel=1e-3)
    assert {*pair.book.negative.stack.values(), *pair.book.stack.values()} == {"compute", "skip"}
    torch.testing.assert_close(latents, expected, atol=1e-4 * expected.abs().max().item(), rtol=0)


def test_blocks_are_counted_for_each_branch(model):
    counted = Counted()
    _, velocity = solved(accelerated(model, BY_THEMSELVES, steps=12, blocks=counted.blocks))
    computed = [list(book.stack.values()).count("compute") for book in (velocity.book, velocity.book.negative)]
    assert counted.calls["rest"] == 12 * len(model.noise_refiner) + 2 * 12 * 1 + sum(computed) * 2


def test_a_threshold_of_zero_for_each_branch_changes_no_bit_of_rows_that_run_apart(padding, monkeypatch):
    monkeypatch.setattr("newbie.denoise.pays", lambda padding, block: True)
    assert torch.equal(
        drawn(accelerated(padding, "dbcache:threshold=0,scope=branch")), drawn(request(padding, steps=STEPS))
    )
