"""What the counts of operations say: against the published shares, and against counting the products one by one."""

from __future__ import annotations

import pytest

from newbie.accel.fastattn import ATTENTION, FEED
from newbie.accel.work import Work, saved
from newbie.attention.sdpa import Sdpa
from newbie.attention.window import Tiles, Windowed
from newbie.model.config import NextDiTConfig

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
