"""Pruned heads: what sampled queries say, what is chosen by it, and that it is what happens; and the published recipe,
which never prunes."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from newbie.accel import entropy
from newbie.accel.budget import CLASSES, Pruning, amplification, cheapest, detail
from newbie.accel.compose import asked as asked_for
from newbie.accel.leaves import Leaves
from newbie.accel.packed import Packed
from newbie.accel.prune import PrunedHeads, _of_groups, sample
from newbie.accel.runner import InOrder, RunBlock
from newbie.accel.statistics import details, summary
from newbie.attention.kernel import Needs
from newbie.attention.reference import Reference
from newbie.attention.sdpa import Sdpa
from newbie.attention.window import Tiles, Windowed
from newbie.errors import UsageError
from newbie.step import Book, Memory, Step

from .accelerating import request, solved
from .conftest import CONFIG, small_model

GRID, N, COUNT = (6, 8), 48, 10
FIRST, LAST = 1, 8  # evaluations that are pruned: a tenth before, 15 % after
WINDOW = Windowed(Sdpa(), GRID, Tiles(2, 0))
PLAIN = Leaves.plain()
LAYER = 1  # of three, the only one that is pruned


class Counted:
    """A kernel that counts the heads it is asked for, by the number of queries."""

    name, needs = "counted", Needs(bias=True)

    def __init__(self):
        self.heads = []

    def __call__(self, q, k, v, seq):
        self.heads.append((q.shape[1], q.shape[2]))
        return Sdpa()(q, k, v, seq)


def setting(lengths=(5, 5), *, clip=True, attend=None, seed=0):
    """A model, what it is told, and a sequence of two rows."""
    model, generator = small_model(clip=clip), torch.Generator().manual_seed(seed)
    hidden = torch.randn(len(lengths), max(*lengths, 1), CONFIG.cap_feat_dim, generator=generator)
    mask = torch.arange(hidden.shape[1]) < torch.tensor(lengths)[:, None]
    pooled = torch.randn(len(lengths), CONFIG.clip_text_dim, generator=generator) if clip else None
    size = (2 * GRID[0], 2 * GRID[1])
    prepared = model.prepare(hidden, mask, pooled, size, attend=attend or Sdpa())
    said = model.modulations(torch.full((len(lengths),), 0.3), prepared.pooled).layers
    return model, prepared.seq, said, prepared.words.shape[1]


def states(width, rows=2, *, change=0.0, seed=1):
    generator = torch.Generator().manual_seed(seed)
    first, way = (torch.randn(rows, width + N, CONFIG.dim, generator=generator) for _ in range(2))
    return [first + change * index * way for index in range(COUNT)]


def policy(leaves=PLAIN, *, pictures=1, **given):
    return PrunedHeads(leaves, WINDOW, pictures, Pruning(CONFIG.n_layers, **({"rows": N, "always": True} | given)))


def run(fast, lengths=(5, 5), *, change=0.0, attend=None, common=None, xs=None, leaves=PLAIN, layer=LAYER):
    """The branch of one layer at all evaluations: with `fast`, and plainly; and the book of it."""
    model, seq, said, width = setting(lengths, attend=attend)
    xs = states(width, len(lengths), change=change) if xs is None else xs
    block, m, memory, book = model.layers[layer], said[layer], Memory(), Book()
    common = Memory() if common is None else common
    steps = [Step(i, COUNT, 0.1, memory, book, common) for i in range(COUNT)]
    ours = [fast.attend(step, layer, block, x, m.scale_attn, seq) for step, x in zip(steps, xs, strict=True)]
    plain = [RunBlock(leaves).plain_attend(None, layer, block, x, m.scale_attn, seq) for x in xs]
    return ours, plain, book


def with_heads(change):
    """Leaves whose q, k and v go through `change` first."""
    return Leaves("changed", lambda *given: change(*PLAIN.qkv(*given)), PLAIN.rest)


@settings(max_examples=50)
@given(n=some.integers(2, 24), sharpness=some.sampled_from([0.0, 1.0, 10.0, 1e4]), seed=some.integers(0, 9))
def test_the_published_recipe_is_the_identity(n, sharpness, seed):
    generator = torch.Generator().manual_seed(seed)
    maps = (sharpness * torch.randn(2, 3, n, n, generator=generator)).softmax(-1)
    outputs = torch.randn(2, n, 3, 4, generator=generator)
    printed = entropy.as_printed(maps.double())
    assert (printed <= 2 * math.log(n) + 1e-9).all() and (printed >= 2 * math.log(n) - 1 / 8).all()
    assert torch.equal(entropy.prune_as_printed(maps, outputs), outputs)


def test_entropy_of_rows_is_zero_for_one_token_and_one_for_all_alike():
    assert not entropy.of_rows(torch.eye(7)).any()
    torch.testing.assert_close(entropy.of_rows(torch.full((2, 7), 1 / 7)), torch.ones(2))
    two = torch.tensor([0.5, 0.5, 0, 0])
    assert float(entropy.of_rows(two)) == pytest.approx(0.5)
    assert float(entropy.of_rows(torch.ones(1))) == 1.0


@pytest.mark.parametrize("lengths", [(5, 5), (9, 4)])
def test_sampling_every_query_is_exact(lengths):
    model, seq, said, width = setting(lengths)
    q, k, v = model.layers[0].qkv(states(width)[0], said[0].scale_attn, seq)
    seen = sample(q, k, v, seq.info, seq.image, WINDOW, torch.arange(N))
    torch.testing.assert_close(seen.answers, Reference()(q, k, v, seq.info)[:, width:], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(seen.windowed, WINDOW(q, k, v, seq.info)[:, width:], atol=1e-5, rtol=1e-5)
    real = torch.ones(2, width + N) if seq.info.mask is None else seq.info.mask.float()
    uniform = sample(q, torch.zeros_like(k), v, seq.info, seq.image, WINDOW, torch.arange(N))
    shown = real[:, :width].sum(1) + 4  # the words, and a tile of four
    torch.testing.assert_close(uniform.mass, (shown / real.sum(1))[:, None, None].expand_as(uniform.mass))


def test_few_samples_come_from_everywhere_and_change():
    fast = policy(rows=12)
    places = [fast._places(index, torch.device("cpu")) for index in range(4)]
    assert all(torch.equal(each // 4, torch.arange(12)) for each in places)  # one in each stretch of four
    assert len({tuple(each.tolist()) for each in places}) > 1


def test_without_a_budget_nothing_changes_by_a_bit_and_nothing_is_sampled():
    for fast in (policy(budget=0.0), policy(classes=())):
        ours, plain, book = run(fast)
        assert all(map(torch.equal, ours, plain)) and not book.pruned.whole


def test_the_first_and_last_layers_and_evaluations_are_never_pruned():
    for layer in (0, CONFIG.n_layers - 1):
        fast = policy(budget=100.0)
        ours, plain, book = run(fast, layer=layer)
        assert all(map(torch.equal, ours, plain)) and not book.pruned.groups
    fast = policy(budget=100.0)
    ours, plain, book = run(fast, change=0.5)
    same = [index for index in range(COUNT) if torch.equal(ours[index], plain[index])]
    assert same == [0, 8, 9] and sum(book.pruned.groups.values()) == (LAST - FIRST) * CONFIG.n_kv_heads


def test_what_does_not_change_is_reused_until_it_is_too_old():
    fast = policy(classes=("reuse",), refresh=2)
    ours, plain, book = run(fast)
    assert book.pruned.classes() == {"reuse": 2 * 5, "full": 2 * 2}  # seven evaluations: two old, one new, ...
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_uniform_attention_makes_the_mean_exact():
    leaves = with_heads(lambda q, k, v: (q, torch.zeros_like(k), v))
    fast = policy(leaves, classes=("mean_v",), budget=1e-4)
    ours, plain, book = run(fast, (9, 4), change=0.7, leaves=leaves)
    assert set(book.pruned.classes()) == {"mean_v"} and book.pruned.seen[0][0] == pytest.approx(1, abs=1e-5)
    real = torch.cat((torch.arange(9) < torch.tensor([[9], [4]]), torch.ones(2, N).bool()), 1)
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a[real], b[real], atol=1e-4, rtol=1e-4)


def test_attention_inside_tiles_makes_the_window_exact():
    places = torch.arange(N)
    tile = places // 8 // 2 * 4 + places % 8 // 2
    code = torch.nn.functional.one_hot(tile, 16).float() * 40  # a head is 16 wide, there are twelve tiles

    def inside(q, k, v):
        turned = torch.zeros_like(q)
        turned[:, -N:] = code[:, None]
        return turned, turned[:, :, : k.shape[2]], v

    leaves = with_heads(inside)
    fast = policy(leaves, classes=("window",), budget=1e-4)
    ours, plain, book = run(fast, change=0.7, leaves=leaves)
    assert set(book.pruned.classes()) == {"window"} and min(mass for _, mass in book.pruned.seen) == pytest.approx(
        1, abs=1e-6
    )
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("budget", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("classes", [CLASSES, ("window",), ("mean_v",), ("reuse",)])
@pytest.mark.parametrize("lengths", [(5, 5), (9, 4)])
def test_the_error_stays_within_the_budget_where_every_query_is_sampled(budget, classes, lengths):
    """Before the norm, image tokens, relative to the mean length: the budget's own terms."""
    _, seq, _, width = setting(lengths)
    bare = Leaves("bare", PLAIN.qkv, PLAIN.rest, project=lambda block, o: block.attention.out(o.flatten(2)))
    fast = policy(bare, budget=budget, classes=classes)
    ours, plain, book = run(fast, lengths, change=0.02, leaves=bare)
    for a, b in zip(ours, plain, strict=True):
        wrong = (a - b)[:, width:].norm(dim=-1).mean(-1) / b[:, width:].norm(dim=-1).mean(-1)
        assert (wrong < budget + 1e-4).all()
        real = torch.ones_like(a[..., 0]).bool() if seq.info.mask is None else seq.info.mask
        real[:, width:] = False
        torch.testing.assert_close(a[real], b[real], atol=1e-4, rtol=1e-4)  # words are computed always
    assert "full" not in book.pruned.classes() or budget < 1.0 or classes != CLASSES


def test_halves_are_treated_alike_by_the_worse_of_them():
    _, _, _, width = setting()
    still, moving = states(width), [states(width, seed=seed)[0] for seed in range(COUNT)]
    one = [torch.stack((a[0], b[1])) for a, b in zip(still, moving, strict=True)]
    for xs, expected in ((still, {"reuse"}), (one, {"full"})):
        fast = policy(classes=("reuse",), refresh=99)
        book = run(fast, xs=xs)[2]
        assert set(book.pruned.classes()) == expected


def test_groups_that_are_spared_run_no_scores():
    kernel, fast = Counted(), policy(classes=("reuse",), refresh=99)
    run(fast, attend=kernel)
    whole, spared = CONFIG.n_heads * COUNT, CONFIG.n_heads * (LAST - FIRST)
    image = sum(heads for queries, heads in kernel.heads[:-COUNT] if queries == 5 + N)
    words = sum(heads for queries, heads in kernel.heads if queries == 5)
    assert image == whole - spared and words == spared + CONFIG.n_heads  # the context refiner has words alone


@settings(max_examples=60)
@given(
    errors=some.lists(some.tuples(*[some.floats(0, 1)] * 3), min_size=1, max_size=8),
    budgets=some.tuples(some.floats(0, 4), some.floats(0, 4)),
)
def test_less_budget_never_prunes_more(errors, budgets):
    table = dict(zip(CLASSES, map(list, zip(*errors, strict=True)), strict=True))
    spared = {"reuse": 1.0, "window": 0.7, "mean_v": 1.0}
    less, more = (cheapest(table, spared, budget) for budget in sorted(budgets))
    assert all(a in ("full", b) for a, b in zip(less, more, strict=True))
    for chosen, budget in zip((less, more), sorted(budgets), strict=True):
        spent = sum(table[name][group] for group, name in enumerate(chosen) if name != "full")
        assert spent < budget or set(chosen) == {"full"}


def test_numbers_that_are_none_mean_compute():
    assert cheapest({"reuse": [math.nan, math.inf, 0.0]}, {"reuse": 1.0}, 1.0) == ["full", "full", "reuse"]


def test_detail_words_and_guidance_take_from_the_budget():
    prompts = ["1girl, simple", "1girl, highly detailed", "highly detailed, intricate", "8k, intricate, 高清, texture"]
    values = [detail(prompt) for prompt in prompts]
    assert values == [0.0, 1 / 3, 2 / 3, 1.0] and detail("Highly_Detailed") == 1 / 3
    assert detail("textures") == 1 / 3 and detail("handsome, context") == 0.0  # words, not letters
    allowed = [Pruning(3, detail=value).allowed(None) for value in values]
    assert all(a > b for a, b in pairwise(allowed)) and allowed[-1] == pytest.approx(0.01)
    # From the specification: 5.70 where the halves err apart, 2.04 at 0.9, 1 where they err alike.
    assert [amplification(4.5, rho) for rho in (0, 0.9, 1)] == pytest.approx([5.70, 2.04, 1], abs=5e-3)
    assert Pruning(3, 4.5).allowed(0.9) == pytest.approx(0.02 / 2.04, rel=2e-3)
    assert Pruning(3, 4.5).allowed(None) == Pruning(3, 4.5, guidance=False).allowed(0.9) == 0.02
    assert Pruning(3, 0.9).allowed(0.9) == 0.02  # errors that guidance makes smaller earn no budget


def test_the_correlation_of_the_halves_is_learnt():
    common, fast = Memory(), policy(scale=4.5, budget=1.0)
    _, _, _, width = setting()
    twins = [x[:1].expand(2, -1, -1) for x in states(width, change=0.01)]
    run(fast, common=common, xs=twins)
    alike = common["pruned heads", "rho"]
    common = Memory()
    run(fast, common=common, xs=states(width, change=0.01))
    assert common["pruned heads", "rho"] < 0.7 < 0.9 < alike


def test_it_switches_itself_off_where_deciding_costs_more_than_there_is():
    tiny = Windowed(Sdpa(), (1, 2), Tiles(1, 0))
    fast = PrunedHeads(PLAIN, tiny, 1, Pruning(3, budget=100.0))
    model, generator = small_model(), torch.Generator().manual_seed(0)
    hidden, pooled = (torch.randn(2, *shape, generator=generator) for shape in ((5, 20), (12,)))
    prepared = model.prepare(hidden, torch.ones(2, 5), pooled, (2, 4), attend=Sdpa())
    m, x = model.modulations(torch.full((2,), 0.3), prepared.pooled).layers[1], torch.randn(2, 7, 96)
    memory, book, common = Memory(), Book(), Memory()
    for index in range(COUNT):
        step = Step(index, COUNT, 0.1, memory, book, common)
        y = fast.attend(step, 1, model.layers[1], x, m.scale_attn, prepared.seq)
        assert torch.equal(y, RunBlock(PLAIN).plain_attend(None, 1, model.layers[1], x, m.scale_attn, prepared.seq))
    assert len(book.notes) == 1 and "all there is to gain" in book.notes[0]
    assert not book.pruned.overhead and not memory


def test_it_switches_itself_off_where_it_gains_nothing():
    fast = policy(budget=1e-9, rows=1, classes=("reuse",), always=False)
    ours, plain, book = run(fast, change=1.0)
    assert all(map(torch.equal, ours, plain)) and book.pruned.classes() == {"full": 2 * CONFIG.n_kv_heads}
    assert len(book.notes) == 1 and "by evaluation 2 deciding had cost" in book.notes[0] and book.pruned.saved < 0


def test_errors_of_groups_are_those_of_the_layer_itself():
    """Weights that can be taken apart are; others, as in few bits, are asked for each group by itself."""
    block, error = small_model().layers[1], torch.randn(2, 7, 6, 16, generator=torch.Generator().manual_seed(0))
    apart = _of_groups(block, error, 2, torch.float32)
    block.attention.out = torch.nn.Sequential(block.attention.out)
    torch.testing.assert_close(apart, _of_groups(block, error, 2, torch.float32), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(apart.sum(0), block.attention.out(error.flatten(2)), atol=1e-5, rtol=1e-5)


def test_what_is_kept_is_foreseen_and_dropped_where_it_is_off():
    for classes in ("all", "window", "mean_v"):
        accel = f"prune:classes={classes},always=yes,tile=1,radius=0,refresh=1"
        asked = request(small_model(), accel, words=(5, 5))
        velocity = asked.velocity(2)
        xs = torch.randn(2, 16, *asked.size, generator=torch.Generator().manual_seed(1))
        for t in asked.times[:4]:
            velocity(xs, t)
        kept = sum(getattr(each, "nbytes", 0) for memory in velocity.memories for each in memory.values())
        assert kept <= asked.kept(2) <= 2 * kept or (classes == "mean_v" and kept == asked.kept(2) == 0)
    asked = request(small_model(), "prune", words=(5, 5))  # sixteen tokens: deciding costs more than there is
    _, velocity = solved(asked)
    assert not any(memory.get(("pruned heads", LAYER)) for memory in velocity.memories)
    assert len(velocity.book.notes) == 1 and not velocity.approximate


def test_a_batch_decides_by_its_worst_picture_and_mixes_nothing():
    """With one class that everything may use, three pictures drawn together are those drawn alone."""
    accel = "prune:classes=mean_v,budget=1000,always=yes"
    asked = request(small_model(), accel)
    together, velocity = solved(asked, (1, 2, 3))
    assert set(velocity.book.pruned.classes()) == {"mean_v"}
    for row, seed in zip(together, (1, 2, 3), strict=True):
        single = solved(asked, (seed,))[0][0]
        torch.testing.assert_close(row, single, atol=1e-4 * single.abs().max().item(), rtol=0)


def test_it_goes_with_caches_and_is_refused_beside_what_speaks_of_attention():
    for accel in ("prune,delta", "dbcache,prune:budget=0.1", "prune,mask:steps=0-27"):
        asked_for(accel, "")
    refused = [("prune,fora", "", ()), ("prune", "balanced", ()), ("prune", "exact", ())]
    refused += [("prune", "", (wish,)) for wish in ("cuda graphs", "heat-maps", "regions")]
    for accel, plan, besides in refused:
        with pytest.raises(UsageError, match="do not go together") as caught:
            asked_for(accel, plan, frozenset(besides))
        assert caught.value.hint
    with pytest.raises(UsageError, match="unknown prune:classes"):
        asked_for("prune:classes=zero", "")


def test_settings_arrive_and_a_prompt_that_asks_for_detail_is_told():
    model = small_model()
    pruning = request(model, "prune:detail=yes,classes=reuse+mean_v,rows=9", detail=0.5).policies.pruning
    assert pruning == Pruning(3, 4.5, rows=9, classes=("reuse", "mean_v"), detail=0.5)
    assert request(model, "prune", detail=0.5).policies.pruning.detail == 0.0
    assert request(model, "prune:budget=0,detail=yes", detail=0.5).policies is None
    composed = request(model).accelerated("prune:detail=yes", steps=12, schedule="official", shift=6.0, detail=1.0)[1]
    assert composed.notes == ("prune: the prompt asks for detail, so the budget is 0.01",)


def test_the_record_says_what_was_done():
    asked = request(small_model(), "prune:budget=3,tile=1,radius=0,always=yes", words=(5, 5))
    _, velocity = solved(asked)
    pruned, told = velocity.book.pruned, details(velocity.book)["pruned"]
    evaluations = range(math.ceil(0.1 * 12), 12 - math.ceil(0.15 * 12))
    groups = len(evaluations) * CONFIG.n_kv_heads
    assert sum(told["layers"]["1"].values()) == groups == sum(pruned.groups.values())
    # Two rows of 5 words and 16 image tokens, 6 heads of 16 numbers, QK and PV.
    assert told["operations"]["whole"] == len(evaluations) * 2 * 4 * 6 * 16 * 16 * 21
    line = summary(velocity.book, 12, asked.operations(velocity, 1))
    assert sum(count for name, count in line.items() if name.startswith("heads_")) == groups
    whole = told["operations"]
    assert line["scores_saved"] == pytest.approx((whole["gained"] - whole["overhead"]) / whole["whole"], abs=1e-4)
    assert 0 <= told["entropy"] <= 1 and 0 <= told["window_mass"] <= 1


def test_generations_do_not_meet_and_rows_of_unequal_length_are_taken():
    fast = policy(budget=0.5)
    alone = [run(policy(budget=0.5), lengths, change=0.05)[0] for lengths in ((9, 4), (5, 5))]
    for lengths, right in zip(((9, 4), (5, 5)), alone, strict=True):
        assert all(map(torch.equal, run(fast, lengths, change=0.05)[0], right))


def test_what_pruning_refuses():
    for wrong in ({"budget": -0.1}, {"budget": math.nan}, {"detail": 2.0}, {"classes": ("zero",)}, {"rows": 0}):
        with pytest.raises(UsageError, match="attention pruning"):
            policy(**wrong)
    model, seq, said, width = setting((9, 4), clip=False)
    fast = policy()
    packed = Packed(InOrder(RunBlock(PLAIN, attend=fast.attend)), Sdpa(), N)
    with pytest.raises(UsageError, match="packed"):
        packed(Step(3, COUNT, 0.1, Memory()), model.layers, states(width)[0], said, seq)
