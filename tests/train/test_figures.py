"""Drawings: seeded, drawable without exception, and showing what their spec says."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from newbie.errors import UsageError
from newbie.train.figures import Character, PictureSpec, draw, held_out, sample, words
from newbie.train.figures.palette import EYES, HAIR, OUTFIT


def near(picture: np.ndarray, color: tuple[int, int, int], distance: float = 14.0) -> np.ndarray:
    """Where the picture has this colour, as a boolean (H, W)."""
    return np.linalg.norm(picture.astype(np.float32) - np.array(color, np.float32), axis=2) < distance


def portrait(background: str = "white_background", **fields: object) -> PictureSpec:
    return PictureSpec((replace(Character(), **fields),), background)  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_specs_and_the_same_pixels():
    first = [sample(random.Random(7)) for _ in range(2)]
    assert first[0] == first[1]
    assert sample(random.Random(8)) != first[0]
    assert np.array_equal(draw(first[0], 64), draw(first[1], 64))


def test_two_thousand_random_specs_draw_without_exception_and_are_never_blank():
    rng = random.Random(11)
    for _ in range(2000):
        picture = draw(sample(rng, split="any"), 32)
        assert picture.shape == (32, 32, 3)
        assert picture.dtype == np.uint8
        assert picture.std() > 8


def test_a_picture_may_be_wider_than_high_and_keeps_both_figures():
    spec = sample(random.Random(3), characters=2)
    picture = draw(spec, (96, 64))
    assert picture.shape == (64, 96, 3)


def test_a_larger_drawing_is_the_same_picture():
    spec = sample(random.Random(5))
    small = draw(spec, 64).astype(np.float32)
    large = draw(spec, 256).reshape(64, 4, 64, 4, 3).mean((1, 3))
    assert np.abs(small - large).mean() < 8


@pytest.mark.parametrize("color", words.HAIR_COLORS)
@pytest.mark.parametrize("style", words.HAIR_STYLES)
def test_hair_is_painted_in_its_colour(color: str, style: str):
    picture = draw(portrait(hair_color=color, hair_style=style, background="forest"), 128)
    assert near(picture, HAIR[color])[:80].mean() > 0.04


def test_each_of_two_figures_has_its_own_hair_colour_on_its_own_side():
    rng = random.Random(2)
    checked = 0
    for _ in range(300):
        spec = sample(rng, characters=2)
        left, right = (HAIR[character.hair_color] for character in spec.characters)
        if left == right:
            continue
        picture = draw(replace(spec, background="white_background"), 96)
        if "white" in {character.hair_color for character in spec.characters}:
            continue  # as white as the paper
        for color, home in ((left, slice(0, 48)), (right, slice(48, 96))):
            there = near(picture, color)[:52]
            assert there[:, home].sum() > 0.5 * there.sum(), spec
            assert there[:, home].sum() > 60, spec
        checked += 1
    assert checked > 150


@pytest.mark.parametrize("color", words.EYE_COLORS)
def test_open_eyes_show_their_colour_and_closed_eyes_do_not(color: str):
    seen, hidden = (
        near(draw(portrait(eye_color=color, hair_color="black", outfit_color="white", lids=lids), 128), EYES[color])
        for lids in ("open", "closed_eyes")
    )
    assert seen.sum() > 50
    assert hidden.sum() < seen.sum() / 10


@pytest.mark.parametrize("color", words.OUTFIT_COLORS)
@pytest.mark.parametrize("outfit", words.OUTFITS)
def test_clothes_show_their_colour(color: str, outfit: str):
    character = replace(Character(), outfit=outfit, outfit_color=color, hair_style="short_hair")
    picture = draw(PictureSpec((character,), background="sunset"), 128)
    assert near(picture, OUTFIT[color])[92:].mean() > 0.05


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("mouth", words.MOUTHS),
        ("lids", words.LIDS),
        ("action", words.ACTIONS),
        ("position", words.POSITIONS),
        ("hair_style", words.HAIR_STYLES),
        ("outfit", words.OUTFITS),
        ("blush", (False, True)),
        ("gender", words.GENDERS),
        ("accessories", ((), *((name,) for name in words.ACCESSORIES))),
    ],
)
def test_every_value_of_an_attribute_changes_the_picture(field: str, values: tuple[object, ...]):
    pictures = [draw(portrait(**{field: value}), 128).astype(np.int16) for value in values]
    for i, a in enumerate(pictures):
        for b in pictures[:i]:
            changed = (np.abs(a - b).max(axis=2) > 24).sum()
            assert changed > 30, (field, changed)


@pytest.mark.parametrize("count", [1, 2])
def test_figures_stand_where_their_position_says(count: int):
    rng = random.Random(4)
    for _ in range(60):
        spec = replace(sample(rng, characters=count), background="white_background")
        if count == 2:
            assert spec.characters[0].position in ("left", "center_left")
            assert spec.characters[1].position in ("right", "center_right")
            continue
        ink = 255.0 - draw(spec, 96).astype(np.float32).mean(2)
        ink[ink < 8] = 0
        middle = float((ink.sum(0) * np.linspace(0, 1, 96)).sum() / ink.sum())
        low, high = {"left": (0.2, 0.46), "center": (0.4, 0.6), "right": (0.54, 0.8)}.get(
            spec.characters[0].position, (0.3, 0.7)
        )
        assert low < middle < high, (spec.characters[0].position, middle)


def test_training_never_draws_a_held_out_combination_and_the_evaluation_only_those():
    rng = random.Random(6)
    assert not any(held_out(sample(rng)) for _ in range(3000))
    assert all(held_out(sample(rng, split="held_out")) for _ in range(50))
    share = np.mean([held_out(sample(rng, split="any")) for _ in range(4000)])
    assert 0.04 < share < 0.09


def test_holding_out_looks_at_attributes_and_not_at_the_pose():
    spec = sample(random.Random(9), split="held_out")
    character = replace(spec.characters[0], pose=Character().pose, mouth="sad", eye_color="aqua")
    assert held_out(replace(spec, characters=(character, *spec.characters[1:]), seed=1, background="snow"))


def test_every_value_of_the_vocabulary_occurs_in_training():
    rng = random.Random(10)
    figures = [character for _ in range(1500) for character in sample(rng).characters]
    for field, values in (
        ("hair_color", words.HAIR_COLORS),
        ("hair_style", words.HAIR_STYLES),
        ("eye_color", words.EYE_COLORS),
        ("outfit", words.OUTFITS),
        ("outfit_color", words.OUTFIT_COLORS),
        ("mouth", words.MOUTHS),
        ("lids", words.LIDS),
        ("action", words.ACTIONS),
        ("position", words.POSITIONS),
        ("gender", words.GENDERS),
    ):
        assert {getattr(figure, field) for figure in figures} == set(values)
    assert {name for figure in figures for name in figure.accessories} == set(words.ACCESSORIES)


def test_a_spec_that_cannot_be_drawn_says_what_can():
    with pytest.raises(UsageError, match="'tartan'"):
        Character(hair_color="tartan")
    with pytest.raises(UsageError, match="left to right"):
        PictureSpec((Character(position="right"), Character(position="left")))
    with pytest.raises(UsageError, match="5 characters"):
        sample(random.Random(0), characters=5)
