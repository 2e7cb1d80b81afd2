"""Drawings: seeded, drawable without exception, and showing what their spec says."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from newbie.errors import UsageError
from newbie.train.figures import Character, PictureSpec, draw, held_out, layout, sample, words
from newbie.train.figures.layout import canvas, places
from newbie.train.figures.palette import EYES, HAIR, OUTFIT


def near(picture: np.ndarray, color: tuple[int, int, int], distance: float = 14.0) -> np.ndarray:
    """Where the picture has this colour, as a boolean (H, W)."""
    return np.linalg.norm(picture.astype(np.float32) - np.array(color, np.float32), axis=2) < distance


def portrait(background: str = "white_background", **fields: object) -> PictureSpec:
    return PictureSpec((replace(Character(), **fields),), background)  # type: ignore[arg-type]


def seated(spec: PictureSpec) -> bool:
    return any(character.action == "sitting" for character in spec.characters)


def test_the_same_seed_gives_the_same_specs_and_the_same_pixels():
    first = [sample(random.Random(7)) for _ in range(2)]
    assert first[0] == first[1]
    assert sample(random.Random(8)) != first[0]
    assert np.array_equal(draw(first[0], 64), draw(first[1], 64))


def test_hundreds_of_random_specs_draw_without_exception_and_are_never_blank():
    rng = random.Random(11)
    for _ in range(300):
        spec = sample(rng, split="any")
        picture = draw(spec, 64)
        width, height = canvas(spec.shape, 64)
        assert picture.shape == (height, width, 3)
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
        plain = {"background": "white_background", "lighting": "daylight", "style": "anime_style", "shape": "square"}
        crossing = any(c.prop == "balloon" or c.action == "arms_up" for c in spec.characters)
        if crossing:
            continue  # a red balloon is no hair, and a sleeve may have the other's colour
        picture = draw(replace(spec, framing="upper_body", **plain), 96) if not seated(spec) else None
        if picture is None or "white" in {character.hair_color for character in spec.characters}:
            continue  # as white as the paper
        for color, home in ((left, slice(0, 48)), (right, slice(48, 96))):
            there = near(picture, color)[:52]
            assert there[:, home].sum() > 0.5 * there.sum(), spec
            assert there[:, home].sum() > 60, spec
        checked += 1
    assert checked > 100


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
        ("prop", ("", *words.PROPS)),
        ("position", words.POSITIONS),
        ("hair_style", words.HAIR_STYLES),
        ("outfit", words.OUTFITS),
        ("blush", (False, True)),
        ("gender", words.GENDERS),
        ("accessories", ((), *((name,) for name in words.ACCESSORIES))),
    ],
)
def test_every_value_of_an_attribute_changes_the_picture(field: str, values: tuple[object, ...]):
    pictures = [
        draw(PictureSpec((replace(Character(), **{field: value}),), framing="full_body"), 128).astype(np.int16)  # type: ignore[arg-type]
        for value in values
    ]
    for i, a in enumerate(pictures):
        for b in pictures[:i]:
            changed = (np.abs(a - b).max(axis=2) > 24).sum()
            assert changed > 30, (field, changed)


@pytest.mark.parametrize("shape", words.SHAPES)
def test_a_single_figure_stands_where_its_position_says(shape: str):
    rng = random.Random(4)
    seen: dict[str, list[float]] = {}
    for _ in range(60):
        spec = sample(rng, characters=1)
        figure = replace(spec.characters[0], prop="", action="standing")
        plain = PictureSpec((figure,), framing=spec.framing, shape=shape)
        ink = 255.0 - draw(plain, 64).astype(np.float32).mean(2)
        ink[ink < 8] = 0
        place = np.linspace(0, 1, ink.shape[1])
        seen.setdefault(figure.position, []).append(float((ink.sum(0) * place).sum() / ink.sum()))
    middles = [float(np.median(seen[position])) for position in words.POSITIONS if position in seen]
    assert middles == sorted(middles)
    assert max(seen["left"]) < min(seen["right"])


@pytest.mark.parametrize("size", [64, 128, 256, 384, 512])
def test_every_canvas_is_a_multiple_of_sixteen_and_has_the_right_proportions(size: int):
    for shape in words.SHAPES:
        width, height = canvas(shape, size)
        assert width % 16 == height % 16 == 0
        assert (width > height) == (shape == "landscape")
    assert [canvas(shape, 256) for shape in words.SHAPES] == [(256, 256), (224, 288), (288, 224)]
    assert [canvas(shape, 128) for shape in words.SHAPES] == [(128, 128), (112, 144), (144, 112)]


def test_no_figure_stands_before_the_face_of_another():
    rng = random.Random(12)
    for _ in range(600):
        spec = sample(rng, split="any")
        width, height = canvas(spec.shape, 256)
        found = places(spec, 100 * width / height)
        for left, right in pairwise(found):
            assert right.x - left.x > 105 * max(left.unit, right.unit), spec
        for place in found:
            assert 55 * place.unit < place.x < 100 * width / height - 55 * place.unit, spec


def test_a_whole_body_stands_on_the_ground_and_nothing_of_it_is_cut_off():
    rng = random.Random(13)
    for _ in range(60):
        spec = sample(rng, split="any")
        figures = tuple(replace(figure, prop="", hair_color="black") for figure in spec.characters)
        picture = draw(PictureSpec(figures, framing="full_body", shape=spec.shape), 128)
        assert (picture[:1].min(2) > 200).all(), "a head is cut off"
        assert (picture[-2:].min(2) > 200).all(), "feet are cut off"
        assert (picture[-14:].min(2) < 200).any(), "feet hang in the air"


@pytest.mark.parametrize("prop", words.PROPS)
@pytest.mark.parametrize("position", ["left", "center", "right"])
def test_what_is_held_hides_neither_the_face_nor_the_clothes(prop: str, position: str):
    bare = portrait(position=position, hair_style="short_hair", outfit="hoodie", outfit_color="green")
    held = replace(bare, characters=(replace(bare.characters[0], prop=prop),))
    unit = places(bare, 100.0)[0]
    a, b = (draw(spec, 128).astype(np.int16) for spec in (bare, held))
    changed = np.abs(a - b).max(2) > 24
    face = np.s_[
        round(1.28 * (unit.y - 20 * unit.unit)) : round(1.28 * (unit.y + 48 * unit.unit)),
        round(1.28 * (unit.x - 45 * unit.unit)) : round(1.28 * (unit.x + 45 * unit.unit)),
    ]
    assert not changed[face].any()
    assert changed.sum() > 150
    assert near(b.astype(np.uint8), OUTFIT["green"]).sum() > 0.5 * near(a.astype(np.uint8), OUTFIT["green"]).sum()


@pytest.mark.parametrize("count", [2, 3])
def test_busy_hands_leave_every_face_free(count: int):
    rng = random.Random(14)
    for _ in range(25):
        spec = sample(rng, characters=count, split="any")
        still = tuple(replace(figure, action="standing", prop="") for figure in spec.characters)
        plain = PictureSpec(still, framing=spec.framing, shape=spec.shape)
        for action in ("waving", "peace_sign"):
            busy = replace(plain, characters=tuple(replace(figure, action=action) for figure in still))
            pictures = [draw(one, 128).astype(np.int16) for one in (plain, busy)]
            changed = np.abs(pictures[0] - pictures[1]).max(2) > 24
            height, width = changed.shape
            for place in places(plain, 100 * width / height):
                y, x, r = (value * height / 100 for value in (place.y, place.x, place.unit))
                assert not changed[int(y - 10 * r) : int(y + 30 * r), int(x - 38 * r) : int(x + 38 * r)].any()


@pytest.mark.parametrize("outfit", words.OUTFITS)
def test_a_boy_and_a_girl_can_sit_and_stand_in_every_outfit(outfit: str):
    pictures = [
        draw(PictureSpec((Character(gender=gender, outfit=outfit, action=action),), framing="full_body"), 64)
        for gender in words.GENDERS
        for action in ("standing", "sitting")
    ]
    for i, a in enumerate(pictures):
        for b in pictures[:i]:
            assert (a != b).any(2).mean() > 0.01


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
        ("prop", ("", *words.PROPS)),
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


@pytest.mark.parametrize("characters", [1, 2, 3])
def test_the_boxes_of_the_eyes_hold_the_eyes(characters: int):
    rng = random.Random(characters)
    for _ in range(6):
        spec = sample(rng, characters=characters)
        figures = tuple(
            replace(figure, eye_color="aqua", hair_color="brown", accessories=(), lids="open",
                                action="standing", prop="", name="")
            for figure in spec.characters
        )  # fmt: skip
        plain = {"lighting": "daylight", "style": "anime_style", "background": "white_background"}
        spec = replace(spec, characters=figures, **plain)
        picture = draw(spec, 256).astype(int)
        aqua = np.abs(picture - np.array(EYES["aqua"])).max(-1) < 50
        boxes = layout.eyes(spec, 256)
        for left, top, right, bottom in boxes:
            middle = (left + right) // 2
            assert aqua[top:bottom, left:middle].any() and aqua[top:bottom, middle:right].any()
        for left, top, right, bottom in boxes:
            aqua[top:bottom, left:right] = False
        assert aqua.sum() < 12  # hardly any outside all boxes


@pytest.mark.parametrize("characters", [1, 2, 3])
def test_what_a_face_shows_is_in_its_box_and_what_a_figure_shows_in_its_own(characters: int):
    rng = random.Random(characters)
    for _ in range(4):
        spec = sample(rng, characters=characters)
        plain = replace(spec, lighting="daylight", style="anime_style")
        for boxes, other in (
            (layout.faces, {"mouth": "sad", "lids": "closed_eyes", "blush": False}),
            (layout.figures, {"hair_color": "green", "outfit_color": "pink", "name": ""}),
        ):
            figures = [replace(figure, accessories=(), action="standing", prop="") for figure in plain.characters]
            one = replace(plain, characters=tuple(figures))
            two = replace(plain, characters=tuple(replace(figure, **other) for figure in figures))
            changed = np.abs(draw(one, 256).astype(int) - draw(two, 256)).max(-1) > 40
            everything = changed.sum()
            for left, top, right, bottom in boxes(one, 256):
                changed[top:bottom, left:right] = False
            assert everything > 20 and changed.sum() <= 0.03 * everything
