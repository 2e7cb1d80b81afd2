"""The search for a plan: against Algorithm 1 written out over whole generations, and what a search must keep to."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from newbie.accel.fastattn import FastAttention
from newbie.accel.leaves import Leaves
from newbie.accel.packed import Packed
from newbie.accel.runner import InOrder, RunBlock
from newbie.accel.search import (
    FEED_METHODS,
    LEVELS,
    LOSSES,
    METHODS,
    Found,
    Outcome,
    Search,
    at_equal_error,
    official_signed,
    paper_abs,
    velocity_judge,
)  # fmt: skip
from newbie.accel.work import Work, saved
from newbie.attention.sdpa import Sdpa
from newbie.attention.window import Tiles, Windowed
from newbie.errors import OutputError, UsageError
from newbie.sampling.guidance import Guidance, Truncation, Velocity

from .conftest import CONFIG, small_model

GRID, N, STEPS, LAYERS = (4, 4), 16, 4, CONFIG.n_layers
WINDOW, PLAIN = Windowed(Sdpa(), GRID, Tiles(2, 0)), Leaves.plain()
TIMES = [0.1, 0.3, 0.55, 0.8, 1.0]
DELTA = 0.24


class Studio:
    """One guided picture of a random model."""

    def __init__(self, lengths=(5, 3), *, clip=True, truncation=None):
        self.model, generator = small_model(clip=clip), torch.Generator().manual_seed(0)
        hidden = torch.randn(2, max(lengths), CONFIG.cap_feat_dim, generator=generator)
        mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
        pooled = torch.randn(2, CONFIG.clip_text_dim, generator=generator) if clip else None
        size = (2 * GRID[0], 2 * GRID[1])

        def prepared(rows):
            return self.model.prepare(
                hidden[rows], mask[rows], None if pooled is None else pooled[rows], size, attend=Sdpa()
            )

        self.lengths, self.pair, self.alone = lengths, prepared([0, 1]), prepared([0])
        self.guidance = Guidance(3.0, truncation)
        self.noise = torch.randn(1, 16, *size, generator=generator)

    def velocity(self, runner=None):
        return Velocity(self.model, self.guidance, pair=lambda: self.pair, alone=lambda: self.alone, steps=STEPS,
                        evaluations=STEPS, runner=runner)  # fmt: skip

    def draw(self, runner=None, *, until=STEPS):
        """Final latents and the velocities on the way."""
        velocity, x, ways = self.velocity(runner), self.noise, []
        for index in range(until):
            ways.append(velocity(x, TIMES[index]))
            x = x + (TIMES[index + 1] - TIMES[index]) * ways[-1]
        return x, ways

    def planned(self, attention, feed=None, **given):
        fast = FastAttention(PLAIN, WINDOW, attention, 1, feed or {}, **given)
        return InOrder(RunBlock(PLAIN, attend=fast.attend, feed=fast.feed))

    def search(self, delta=DELTA, **given):
        judge = velocity_judge(self.model, self.pair.pooled, 1, self.guidance.combine)
        search = Search(PLAIN, WINDOW, 1, judge, delta, work=self.work, **({"found": Found()} | given))
        return search

    def work(self, rows):
        return Work(CONFIG, self.lengths[:rows], WINDOW)


@pytest.fixture(scope="module")
def studio():
    with torch.no_grad():
        return Studio()


def algorithm_1(studio, delta, methods, loss, feed_methods=()):
    """Every trial is a generation from its beginning by an ordinary plan."""
    plans, losses = ({}, {}), [0.0]
    units = [(branch, layer) for layer in range(LAYERS) for branch in range(2 if feed_methods else 1)]

    def at(index):
        return studio.draw(studio.planned(*plans), until=index + 1)[1][-1]

    for index in range(1, STEPS):
        exact, reached = at(index), 0.0
        for number, (branch, layer) in enumerate(units):
            for method in (methods, feed_methods)[branch]:
                plans[branch][index, layer] = method
                mine = float(loss(exact, at(index)))
                if mine < (number + 1) / len(units) * delta:
                    reached = mine
                    break
                del plans[branch][index, layer]
        losses.append(reached)
    return plans, losses


@pytest.mark.parametrize(
    ("loss", "methods", "feed_methods"),
    [
        ("paper_abs", METHODS, ()),
        ("official_signed", METHODS[1:], ()),
        ("official_signed", METHODS, FEED_METHODS),
    ],
    ids=["attention", "without reuse", "and feed"],
)
def test_it_is_algorithm_1(studio, loss, methods, feed_methods):
    delta = DELTA if loss == "paper_abs" else 2 * DELTA
    plans, losses = algorithm_1(studio, delta, methods, LOSSES[loss], feed_methods)
    chosen = len(plans[0]) + len(plans[1])
    assert 1 < chosen < (STEPS - 1) * LAYERS * (2 if feed_methods else 1)  # something was found, and not everything
    for prefix in (True, False):
        search = studio.search(delta, loss=loss, methods=methods, feed_methods=feed_methods, prefix=prefix)
        studio.draw(search)
        for index in range(STEPS):
            for layer in range(LAYERS):
                assert search.found.action(index, layer) == plans[0].get((index, layer), "compute")
                assert search.found.feed_action(index, layer) == plans[1].get((index, layer), "compute")
        assert search.found.losses == pytest.approx(losses, rel=1e-3, abs=1e-5)


def test_trials_from_where_a_layer_begins_change_nothing_and_run_fewer_blocks(studio):
    fast, slow = studio.search(), studio.search(prefix=False)
    assert torch.equal(studio.draw(fast)[0], studio.draw(slow)[0])
    assert (fast.found.attention, fast.found.losses) == (slow.found.attention, slow.found.losses)
    without = LAYERS * (1 + 2 * (STEPS - 1))  # the first evaluation, and each later one without and with its actions
    assert slow.found.blocks == without + LAYERS * slow.found.tried
    assert fast.found.tried == slow.found.tried and without < fast.found.blocks < slow.found.blocks


@pytest.mark.parametrize("objective", ["paper", "ratio"])
def test_a_search_draws_the_picture_of_its_plan_and_leaves_the_model_as_it_is(studio, objective):
    before = {name: tensor.clone() for name, tensor in studio.model.state_dict().items()}
    search = studio.search(objective=objective, feed_methods=FEED_METHODS)
    found = studio.draw(search)[0]
    planned = studio.draw(studio.planned(search.found.action, search.found.feed_action))[0]
    assert torch.equal(found, planned) and not torch.equal(found, studio.draw()[0])
    after = studio.model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("objective", ["paper", "ratio"])
def test_no_loss_no_actions_any_loss_reuse_everywhere(studio, objective):
    nothing = studio.search(0.0, objective=objective, feed_methods=FEED_METHODS)
    assert torch.equal(studio.draw(nothing)[0], studio.draw()[0])
    assert nothing.found.counts() == {"compute": STEPS * LAYERS}
    everything = studio.search(math.inf, feed_methods=FEED_METHODS)
    studio.draw(everything)
    rest = [["compute"] * LAYERS] + [["reuse"] * LAYERS] * (STEPS - 1)
    assert everything.found.attention == rest and everything.found.feed == rest


def test_by_ratio_every_evaluation_stays_within_its_weighted_loss(studio):
    weights = [1.0, 0.5, 1.0, 4.0]
    search = studio.search(objective="ratio", weights=weights, feed_methods=FEED_METHODS)
    studio.draw(search)
    assert all(loss < DELTA / weight for loss, weight in zip(search.found.losses, weights, strict=True))
    assert sum(action != "compute" for row in search.found.attention + search.found.feed for action in row)
    for index in range(1, STEPS):  # the losses are those of the plan
        until = studio.draw(studio.planned(search.found.action, search.found.feed_action), until=index + 1)[1][-1]
        plan = {(i, n): search.found.action(i, n) for i in range(index) for n in range(LAYERS)}
        feed = {(i, n): search.found.feed_action(i, n) for i in range(index) for n in range(LAYERS)}
        exact = studio.draw(studio.planned(plan, feed), until=index + 1)[1][-1]
        assert float(paper_abs(exact, until)) == pytest.approx(search.found.losses[index], rel=1e-3, abs=1e-5)


def test_without_guidance_nothing_is_shared_and_its_evaluations_remember_apart():
    studio = Studio(truncation=Truncation("time", 0.5))  # two guided evaluations, two others
    search = studio.search(math.inf)
    drawn = studio.draw(search)[0]
    assert search.found.attention[2] == ["compute"] * LAYERS  # the first without guidance has nothing to reuse
    assert search.found.attention[1] == search.found.attention[3] == ["reuse"] * LAYERS
    assert torch.equal(drawn, studio.draw(studio.planned(search.found.action))[0])
    shared = studio.search(math.inf, methods=("cfg",))
    studio.draw(shared)
    assert shared.found.counts() == {"compute": 3 * LAYERS, "cfg": LAYERS}


def test_packed_rows_are_searched_as_padded_ones():
    studio = Studio(clip=False)
    padded, packed = studio.search(), studio.search()
    studio.draw(padded)
    studio.draw(Packed(packed, Sdpa(), N))
    assert packed.found.attention == padded.found.attention
    assert packed.found.losses == pytest.approx(padded.found.losses, rel=1e-2, abs=1e-4)


def test_an_action_that_always_fails_is_given_up(studio):
    patient, hasty = studio.search(1e-6), studio.search(1e-6, patience=1)
    studio.draw(patient)
    studio.draw(hasty)
    assert patient.found.tried == (STEPS - 1) * LAYERS * len(METHODS) and hasty.found.tried == LAYERS * len(METHODS)


@pytest.mark.parametrize("objective", ["paper", "ratio"])
def test_searches_that_share_their_trials_find_the_same_with_fewer(studio, objective):
    trials, tried = {}, []
    for delta in (DELTA, 2 * DELTA):
        alone, sharing = (studio.search(delta, objective=objective, **given) for given in ({}, {"trials": trials}))
        assert torch.equal(studio.draw(alone)[0], studio.draw(sharing)[0])
        assert (alone.found.attention, alone.found.feed) == (sharing.found.attention, sharing.found.feed)
        assert alone.found.losses == sharing.found.losses
        tried.append((alone.found.tried, sharing.found.tried))
    assert tried[0][0] == tried[0][1] and tried[1][0] > tried[1][1]  # at least those of the first evaluation are known
    again = studio.search(2 * DELTA, objective=objective, trials=trials)
    studio.draw(again)  # the same search once more: everything is known
    assert again.found.attention == sharing.found.attention
    assert again.found.tried == 0 and again.found.blocks <= (2 * STEPS - 1) * LAYERS


class Killed(Exception):
    pass


@pytest.mark.parametrize(("objective", "patience"), [("paper", None), ("ratio", None), ("paper", 1)])
def test_a_search_that_was_killed_goes_on(studio, tmp_path, objective, patience):
    how = {"objective": objective, "patience": patience}
    path, whole = tmp_path / "search.json", studio.search(**how)
    right = studio.draw(whole)[0]

    def kill(line):
        if line.startswith("evaluation 3"):
            raise Killed

    with pytest.raises(Killed):
        studio.draw(studio.search(**how, found=Found.open(path, whole.settings()), say=kill))
    resumed = studio.search(**how, found=Found.open(path, whole.settings()))
    assert len(resumed.found.losses) == 3
    tried = resumed.found.tried
    assert torch.equal(studio.draw(resumed)[0], right)
    assert (resumed.found.attention, resumed.found.losses) == (whole.found.attention, whole.found.losses)
    assert resumed.found.tried == whole.found.tried and 0 < tried < whole.found.tried
    again = studio.search(**how, found=Found.open(path, whole.settings()))
    assert torch.equal(studio.draw(again)[0], right) and again.found.tried == whole.found.tried


def test_what_was_kept_stays_whole_when_writing_fails(studio, tmp_path, monkeypatch):
    found = Found.open(tmp_path / "search.json", {"a": 1})
    found.attention, found.feed, found.losses = [["compute"]], [["compute"]], [0.0]
    found.write()
    kept = found.path.read_bytes()
    found.losses.append(1.0)
    monkeypatch.setattr("pathlib.Path.replace", lambda *given: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OutputError, match="full"):
        found.write()
    assert found.path.read_bytes() == kept


def test_files_that_are_not_this_search_are_refused(studio, tmp_path):
    path = tmp_path / "search.json"
    search = studio.search(found=Found.open(path, studio.search().settings()))
    studio.draw(search)
    for change in ({"delta": 0.5}, {"subject": "other weights"}):
        with pytest.raises(UsageError, match=f"other settings: {next(iter(change))}"):
            Found.open(path, search.settings() | change)
    kept = json.loads(path.read_text())
    for damaged in (path.read_text()[:-9], json.dumps(kept | {"losses": [0.0]}), json.dumps({"format": "x"}), "[1]"):
        path.write_text(damaged)
        with pytest.raises(UsageError, match=r"search\.json"):
            Found.open(path, search.settings())
    short = Found(attention=[["compute"]], feed=[["compute"]], losses=[0.0])
    with pytest.raises(UsageError, match="over 1 layers, for a network of 3"):
        studio.draw(studio.search(found=short))


def test_searches_that_cannot_be(studio):
    search = studio.search()
    for change in (
        {"delta": -1.0}, {"delta": math.nan}, {"loss": "l2"}, {"objective": "luck"}, {"methods": ("mean_v",)},
        {"feed_methods": ("window",)}, {"objective": "ratio", "work": None},
    ):  # fmt: skip
        with pytest.raises(UsageError, match="search"):
            replace(search, **change)


numbers = some.lists(some.floats(-1e3, 1e3), min_size=4, max_size=4).map(torch.tensor)


@settings(max_examples=50)
@given(a=numbers, b=numbers)
def test_losses_are_symmetric_and_bounded(a, b):
    for loss, most in ((paper_abs, 2), (official_signed, 10)):
        assert float(loss(a, a)) == 0 <= float(loss(a, b)) <= most
        assert float(loss(a, b)) == pytest.approx(float(loss(b, a)))


def test_losses_of_five_percent_noise_are_those_of_the_specification():
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(200_000, generator=generator)
    b = a + 0.05 * torch.randn(a.shape, generator=generator)
    assert float(paper_abs(a, b)) == pytest.approx(0.12, abs=0.01)
    assert float(official_signed(a, b)) == pytest.approx(0.20, abs=0.015)
    assert list(LEVELS.values()) == pytest.approx([0.025 * n for n in range(1, 7)])


def test_plans_are_compared_at_equal_error(studio):
    ours = [Outcome(0.01, 0.1), Outcome(0.02, 0.3), Outcome(0.05, 0.5)]
    papers = [Outcome(0.005, 0.05), Outcome(0.02, 0.2), Outcome(0.04, 0.35)]
    assert at_equal_error(ours, papers) == [(0.005, 0.0, 0.05), (0.02, 0.3, 0.2), (0.04, 0.3, 0.35)]

    def share(found):
        gone, everything = saved(lambda index: studio.work(2), found.action, found.feed_action,
                                 evaluations=STEPS, layers=LAYERS)  # fmt: skip
        return gone / everything

    exact = studio.draw()[0]
    nothing, much = (Outcome.of(lambda runner: studio.draw(runner)[0], studio.search(delta), exact, share)
                     for delta in (0.0, math.inf))  # fmt: skip
    assert nothing == (0.0, 0.0) and much.error > 0.05 and 0.1 < much.saved < 0.5
