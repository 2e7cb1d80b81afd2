"""What the counts of operations say: against the published shares, and against counting the products one by one."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from torch.utils.flop_counter import FlopCounterMode

from newbie.accel.fastattn import ATTENTION, FEED
from newbie.accel.work import Work, saved
from newbie.attention.reference import Reference
from newbie.attention.sdpa import Sdpa
from newbie.attention.window import Tiles, Windowed
from newbie.model.config import NextDiTConfig
from newbie.sampling import solvers
from newbie.sampling.guidance import Truncation

from .accelerating import noise, request
from .conftest import small_model

LARGE = NextDiTConfig(dim=2304, n_layers=36, n_heads=24, n_kv_heads=8, axes_dims=(32, 32, 32))


def work(side, words=(256, 256), **given):
    return Work(LARGE, words, Windowed(Sdpa(), (side, side), Tiles(8, 1)), **given)


def test_a_forward_at_1024_pixels_is_that_of_the_specification():
    one = work(64, words=(256,))
    layers = 36 * (one.attention("compute") + one.feed("compute"))
    assert layers / 1e12 == pytest.approx(30.76, rel=0.01)  # 32.35 less the noise refiner's 4.9 %
    assert 36 * one.per_pair * (256 + 4096) ** 2 / layers == pytest.approx(0.194 / 0.951, rel=0.02)


def test_shares_of_the_actions():
    each = work(64)
    whole = each.attention("compute")
    assert each.attention("reuse") == 0
    assert work(64, hold_words=True).attention("cfg") == whole / 2
    assert work(64, hold_words=True).attention("window+cfg") == each.attention("window") / 2
    order = [each.attention(action) for action in ("reuse", "mean_v", "window", "compute")]
    assert order == sorted(order)
    words = 256 * (256 + 4096) * each.per_pair
    assert each.attention("cfg") - whole / 2 > words  # its words, and the keys they need
    assert each.residual() + 2 * words == 2 * each.per_pair * each.window.pairs(256)
    assert each.feed("cfg") / each.feed("compute") == pytest.approx((512 + 4096) / (512 + 8192))


def test_what_a_plan_saves():
    each = work(32, words=(100, 40))
    plan = {(1, 0): "window", (2, 0): "reuse", (3, 1): "cfg"}
    gone, everything = saved(
        lambda index: each, lambda i, layer: plan.get((i, layer), "compute"), lambda i, layer: "compute",
        evaluations=4, layers=2,
    )  # fmt: skip
    whole = each.attention("compute")
    assert everything == 8 * (whole + each.feed("compute"))
    assert gone == whole - each.attention("window") - each.residual() + whole + whole - each.attention("cfg")


def test_an_empty_plan_saves_nothing_and_every_action_has_a_price():
    each = work(32)
    assert saved(lambda i: each, lambda i, n: "compute", lambda i, n: "compute", evaluations=3, layers=2)[0] == 0
    assert all(each.attention(action) >= 0 for action in ATTENTION) and all(each.feed(action) >= 0 for action in FEED)


class Executed:
    """A request solved, and what the joint blocks really multiplied, as torch's own counter sees it."""

    def __init__(self, asked, seeds=(7,)):
        self.flops, self.velocity = 0, asked.velocity(len(seeds))
        inner = self.velocity.runner

        def counted(*given):
            with FlopCounterMode(display=False) as counter:
                y = inner(*given)
            self.flops += counter.get_total_flops()
            return y

        self.velocity.runner = counted
        solvers.SOLVERS[asked.sampler](self.velocity, noise(asked, seeds), asked.grid)
        self.told = asked.operations(self.velocity, len(seeds))


ROW = ["compute", "mean_v", "reuse", "window", "cfg", "window+cfg", "compute", "compute"]
PACKED, BESIDE = (9, 4), (6, 6)  # captions of unequal length packed into one row, and of one length side by side
WAYS = [
    "fora:interval=2",
    "fora:interval=3,parts=ffn,order=1",
    "deepcache:interval=3,front=1,back=1",
    "dbcache:threshold=1000,front=2,order=1",
    "delta:period=2",
    "delta:period=3,fbcache:threshold=0.3",
    "plan",
    "until",
    "until,teacache:threshold=0.5,curve=identity",
    "freeze:at=0.2,refresh=3",
    "until,freeze:at=0.2,deepcache:interval=2",
    "fbcache:threshold=0.25,scope=branch",
]
SOME = ("plan", "delta:period=2", "freeze:at=0.2,refresh=3")


@pytest.fixture(scope="module")
def exact():
    """Without anything."""
    models = {words: small_model(clip=words == BESIDE) for words in (PACKED, BESIDE)}
    return {words: (model, Executed(_asked(model, words))) for words, model in models.items()}


def _asked(model, words, accel="", plan=""):
    """`until` in front of the methods: guided in the first half only."""
    plain = request(model, steps=len(ROW), kernel=Reference(), words=words)
    if accel.startswith("until"):
        plain = replace(plain, guidance=replace(plain.guidance, truncation=Truncation("steps", 0.5)))
    accel = accel.removeprefix("until").strip(",")
    return plain.accelerated(accel, plan, steps=len(ROW), schedule="official", shift=6.0)[0] if accel or plan else plain


@pytest.mark.parametrize(("words", "way"), [(PACKED, way) for way in WAYS] + [(BESIDE, way) for way in SOME])
def test_operations_are_those_that_are_executed(exact, words, way, tmp_path):
    model, whole = exact[words]
    plan = ""
    if way == "plan":
        rows = {"1": {"attn": ROW, "ffn": ["compute", "cfg", "reuse", "compute"] * 2}, "2": {"attn": ROW}}
        grid = {"solver": "euler", "schedule": "official", "shift": 6.0}
        values = {
            "format": "accel-plan/1", "model": {"layers": 3, "width": 96}, "steps": 8, "branch_layout": "cond+uncond",
            "grid": grid, "window": {"side": 2, "radius": 0}, "step_actions": ["compute"] * 8, "layer_actions": rows,
        }  # fmt: skip
        (tmp_path / "plan.json").write_text(json.dumps(values))
        way, plan = "", str(tmp_path / "plan.json")
    ours = Executed(_asked(model, words, way, plan))
    assert whole.told == (whole.flops, 0, 0, 8)
    assert ours.told.whole == whole.flops
    assert ours.told.whole - ours.told.blocks - ours.told.guidance == ours.flops
    assert (ours.told.guidance > 0) == ("delta" in way or "until" in way)
    assert ours.told.unconditional == sum(said == "computed" for said in ours.velocity.book.guidance)


def test_operations_of_a_batch_are_those_of_its_pictures(exact):
    model, whole = exact[PACKED]
    assert Executed(_asked(model, PACKED, "fora:interval=2"), (1, 2)).told.whole == 2 * whole.flops
