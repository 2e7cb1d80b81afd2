"""Regions, weights and heat-maps in whole generations of the bundled model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from newbie import Pipeline, Request
from newbie.attention.choose import choose
from newbie.errors import UsageError

TWO = """<character_1>
<gender>1girl</gender>
<appearance>{0}, long_hair</appearance>{2}
</character_1>
<character_2>
<gender>1girl</gender>
<appearance>{1}, long_hair</appearance>{3}
</character_2>
<general_tags>
<count>2girls</count>
<background>white_background</background>
</general_tags>"""
LEFT, RIGHT = '<position x="0" width="0.5"/>', '<position x="0.5"/>'
STEPS = 8
GRID = 8  # image tokens a side
SMALL = {"seed": 3, "steps": STEPS, "width": 16 * GRID, "height": 16 * GRID}


def draw(mini: Pipeline, prompt: str, **more: object) -> np.ndarray:
    return np.asarray(mini.generate(Request(prompt=prompt, **SMALL | more)).images[0])  # type: ignore[arg-type]


def blueness(part: np.ndarray) -> float:
    """Of hair, in the upper two thirds: blue beyond red."""
    upper = part[: len(part) * 2 // 3].astype(float)
    return float((upper[..., 2] - upper[..., 0]).mean())


@pytest.mark.parametrize("swapped", [False, True])
def test_hair_is_where_its_owner_s_box_is(mini: Pipeline, swapped: bool) -> None:
    places = (RIGHT, LEFT) if swapped else (LEFT, RIGHT)
    as_trained = {"width": mini.recommended.width, "height": mini.recommended.height}
    picture = draw(mini, TWO.format("blue_hair", "red_hair", *places), **as_trained)
    left, right = (blueness(half) for half in np.split(picture, 2, axis=1))
    assert (left < 0 < right) if swapped else (right < 0 < left)


def test_off_is_the_picture_without_boxes_to_the_last_bit(mini: Pipeline) -> None:
    boxed, plain = (TWO.format("blue_hair", "red_hair", *places) for places in ((LEFT, RIGHT), ("", "")))
    off = mini.generate(Request(prompt=boxed, regions="off", **SMALL))
    assert np.array_equal(np.asarray(off.images[0]), draw(mini, plain))
    assert np.array_equal(np.asarray(off.images[0]), draw(mini, plain, regions="auto@0"))
    assert "regions" not in off.ran and any("regions are off" in note for note in off.notes)


def test_words_and_order_act_only_where_they_are_asked_to(mini: Pipeline) -> None:
    plain = TWO.format("blue_hair", "red_hair", "", "")
    by_default, auto = (mini.generate(Request(prompt=plain, regions=r, **SMALL)) for r in (None, "auto"))
    assert "regions" not in by_default.ran
    assert auto.ran["regions"] == ["character_1 0,0 0.5x1", "character_2 0.5,0 0.5x1"]
    assert not np.array_equal(np.asarray(by_default.images[0]), np.asarray(auto.images[0]))


def test_a_weight_of_one_is_the_picture_without_and_others_are_not(mini: Pipeline) -> None:
    plain = draw(mini, TWO.format("blue_hair", "red_hair", "", ""))
    assert np.array_equal(draw(mini, TWO.format("(blue_hair:1.0)", "red_hair", "", "")), plain)
    assert not np.array_equal(draw(mini, TWO.format("(blue_hair:1.5)", "red_hair", "", "")), plain)
    assert not np.array_equal(draw(mini, TWO.format("(blue_hair:1.0)", "red_hair", "", ""), weights=False), plain)


def test_pictures_drawn_together_are_those_drawn_alone(mini: Pipeline) -> None:
    prompt = TWO.format("(blue_hair:1.5)", "red_hair", LEFT, RIGHT)
    one, both = (mini.generate(Request(prompt=prompt, count=2, batch_size=n, **SMALL)) for n in (1, 2))
    for a, b in zip(one.images, both.images, strict=True):
        assert np.abs(np.asarray(a).astype(int) - np.asarray(b)).max() <= 5


@pytest.mark.parametrize("more", [{}, {"regions": "auto"}, {"cfg_trunc": "steps:0.5"}, {"negative": "(sad:1.5)"}])
def test_heat_maps_change_nothing_and_share_out_the_attention(mini: Pipeline, more: dict[str, str]) -> None:
    prompt = TWO.format("blue_hair", "red_hair", "", "")
    request = Request(prompt=prompt, count=2, batch_size=2, **SMALL | {"steps": 2} | more)  # type: ignore[arg-type]
    plain, watched = mini.generate(request), mini.generate(request, heatmaps=True)
    assert all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(plain.images, watched.images, strict=True))
    assert not plain.heatmaps and len(watched.heatmaps) == 2
    for heats in watched.heatmaps:
        maps = {path: heat.share for path, heat in heats.items()}
        assert heats["character_2.appearance[0]"].words == "red_hair"
        people = maps["character_1"] + maps["character_2"]
        assert people.shape == (GRID, GRID) and (people > 0).all() and (people + maps["general_tags"] <= 1).all()
        tags = maps["character_1.appearance[0]"] + maps["character_1.appearance[1]"]
        assert (tags <= maps["character_1.appearance"] + 1e-6).all()
    if more.get("regions"):
        heats, left_half = watched.heatmaps[0], np.s_[:, : GRID // 2]
        left, right = (heats[path].share[left_half].mean() for path in ("character_1", "character_2"))
        assert left > 3 * right


def test_a_negative_prompt_may_weigh_its_words_and_is_then_no_double(mini: Pipeline) -> None:
    prompt = TWO.format("blue_hair", "red_hair", "", "")
    one, two = (draw(mini, prompt, negative=negative) for negative in ("sad", "(sad:3)"))
    assert not np.array_equal(one, two)
    same = mini.generate(Request(prompt="smile", negative="(smile:2)", **SMALL | {"steps": 2}))
    assert same.work["rows"] == 4


def test_kernels_that_take_no_bias_refuse_clearly(mini: Pipeline) -> None:
    facts = {"device": "cpu", "dtype": torch.bfloat16, "head_dim": 32, "n_heads": 6, "n_kv_heads": 3}
    with pytest.raises(UsageError, match="regions and weights") as refused:
        choose("folded", bias=True, **facts)  # type: ignore[arg-type]
    assert "--regions off" in refused.value.hint
    assert choose("auto", bias=True, length=4000, **facts).needs.bias  # type: ignore[arg-type]


def test_graphs_that_cannot_be_are_told(mini: Pipeline) -> None:
    recording = replace(mini, record=lambda run: run)
    result = recording.generate(Request(prompt="(smile:1.5)", **SMALL | {"steps": 2}))
    assert any("no CUDA graphs" in note for note in result.notes) and result.ran["cuda_graphs"] is False


def test_bad_numbers_are_told_and_the_picture_is_drawn_without_them(mini: Pipeline) -> None:
    prompt = TWO.format("(blue_hair:1e9)", "red_hair", '<position x="7"/>', "")
    result = mini.generate(Request(prompt=prompt, **SMALL | {"steps": 2}))
    assert any("1e9 is no weight" in note for note in result.notes)
    assert any("no share of the picture" in note for note in result.notes)


def test_what_regions_cannot_say_is_refused_before_anything_is_drawn(mini: Pipeline) -> None:
    with pytest.raises(UsageError, match="regions"):
        mini.generate(Request(prompt="1girl", regions="strong"))
