"""Styles and lights: each is visible, and none of them hides what the picture shows."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest

from newbie.train.figures import Character, PictureSpec, draw, words
from newbie.train.figures.light import lit
from newbie.train.figures.palette import HAIR, tone
from newbie.train.figures.pen import Look, Pen, oval, shape
from newbie.train.figures.scene import PAINTERS
from newbie.train.figures.style import finish, look

LOOK_ALIKES = (
    ("blonde", "orange"), ("orange", "brown"), ("purple", "pink"), ("black", "brown"), ("white", "blonde"),
    ("purple", "blue"), ("red", "orange"), ("red", "pink"), ("red", "brown"),
)  # fmt: skip


def canvas(color: tuple[int, int, int], size: int = 64) -> np.ndarray:
    return np.full((size, size, 3), color, np.uint8)


def disc(color: tuple[int, int, int], size: int = 64) -> np.ndarray:
    """A figures' layer: one disc in the middle, as skia leaves it (premultiplied)."""
    layer = np.zeros((size, size, 4), np.uint8)
    pen = Pen(layer, 1.0)
    pen.fill(oval(size / 2, size / 2, size * 0.3, size * 0.3), color)
    return layer


def test_every_style_and_every_light_changes_the_picture_and_is_the_same_again():
    spec = PictureSpec((Character(),), "forest", seed=4)
    plain = draw(spec, 96).astype(int)
    for changed in (
        *(replace(spec, style=style) for style in words.STYLES[1:]),
        *(replace(spec, lighting=light) for light in words.LIGHTS[1:]),
    ):
        picture = draw(changed, 96)
        assert np.abs(picture - plain).mean() > 4, changed
        assert np.array_equal(picture, draw(changed, 96)), changed


@pytest.mark.parametrize("style", words.STYLES)
@pytest.mark.parametrize("size", [(64, 64), (75, 100), (101, 67)])
def test_a_style_keeps_the_size_of_the_picture(style: str, size: tuple[int, int]):
    picture = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    finished = finish(picture, style, 3)
    assert finished.shape == picture.shape
    assert finished.dtype == np.uint8


@pytest.mark.parametrize("light", words.LIGHTS)
@pytest.mark.parametrize("style", words.STYLES)
def test_hair_colours_that_are_easily_confused_stay_apart(light: str, style: str):
    """Measured in the middle of a disc of each colour before a grey background, in steps of 0 to 255."""
    seen = {}
    for color in {name for pair in LOOK_ALIKES for name in pair}:
        picture = finish(lit(canvas((150, 150, 150)), disc(HAIR[color]), light, 5), style, 5)
        seen[color] = picture[24:40, 24:40].reshape(-1, 3).mean(0)
    for one, other in LOOK_ALIKES:
        assert np.linalg.norm(seen[one] - seen[other]) > 40, (one, other)


def test_daylight_is_the_figures_over_the_background_and_nothing_else():
    picture = lit(canvas((10, 200, 30)), disc((200, 40, 90)), "daylight", 0)
    assert tuple(picture[32, 32]) == (200, 40, 90)
    assert tuple(picture[1, 1]) == (10, 200, 30)


def test_warm_light_comes_from_one_side_which_the_seed_chooses():
    for seed, bright, dim in ((0, np.s_[:, :8], np.s_[:, -8:]), (1, np.s_[:, -8:], np.s_[:, :8])):
        picture = lit(canvas((120, 130, 140)), disc((90, 90, 90)), "warm_light", seed).astype(int)
        assert picture[bright][..., 0].mean() > picture[dim][..., 0].mean() + 20
        assert picture[..., 0].mean() > picture[..., 2].mean() + 15


def test_moonlight_is_dark_and_bluer_than_day():
    day, night = (lit(canvas((200, 190, 180)), disc((220, 200, 180)), light, 0) for light in ("daylight", "moonlight"))
    assert night.mean() < day.mean() - 50
    assert night[2, 2, 2] > night[2, 2, 0]


def test_backlighting_draws_a_bright_rim_but_none_where_the_frame_cuts_a_figure():
    layer = np.zeros((100, 100, 4), np.uint8)
    layer[30:, 20:80] = (90, 40, 60, 255)
    picture = lit(canvas((60, 60, 90), 100), layer, "backlighting", 0).astype(int)
    assert picture[30, 50].min() > 170  # the upper edge of the figure
    assert picture[60, 50].max() < 95  # its inside
    assert np.array_equal(picture[99, 50], picture[80, 50])  # its foot is outside the picture, not an edge


def test_flat_colour_has_no_lines_and_no_shadows_but_keeps_features():
    pixels = np.zeros((60, 60, 4), np.uint8)
    pen = Pen(pixels, 2.0, look("flat_color"))
    cloth = tone((200, 60, 70))
    pen.cel(oval(30, 30, 20, 20), cloth, (-6, -6))
    pen.stroke(shape((20, 25), (40, 25), close=False), (0, 0, 0), 2.0)
    pen.shadow(oval(30, 40, 5, 5), (0, 0, 0))
    assert {tuple(int(v) for v in pixel) for pixel in pixels[20:42, 20:42, :3].reshape(-1, 3)} == {cloth.base}
    pen.mark(shape((20, 30), (40, 30), close=False), (0, 0, 0), 2.0)
    assert pixels[30, 30, :3].max() == 0


def test_an_outline_is_as_wide_as_the_look_wants_and_a_mark_always_the_same():
    def ink(look: Look, method: str) -> float:
        pixels = np.zeros((60, 60, 4), np.uint8)
        pen = Pen(pixels, 4.0, look)
        getattr(pen, method)(shape((10, 30), (50, 30), close=False), (255, 255, 255))
        return float(pixels[:, 30, 3].sum()) / 255

    assert ink(Look(), "stroke") == pytest.approx(4, abs=0.3)
    assert ink(Look(outline=0.5), "stroke") == pytest.approx(2, abs=0.3)
    assert ink(Look(outline=0.5), "mark") == pytest.approx(4, abs=0.3)


def test_pixel_art_shows_pixels_of_the_same_share_of_the_height_at_every_size():
    for size, cell in ((128, 2), (256, 3), (512, 6)):
        picture = draw(PictureSpec((Character(),), "beach", style="pixel_art"), size)
        whole = size // cell * cell
        blocks = picture[:whole, :whole].reshape(whole // cell, cell, whole // cell, cell, 3)
        assert (blocks == blocks[:, :1, :, :1]).all()


def test_watercolour_leaves_bare_paper_at_the_margin_and_is_paler_inside():
    spec = PictureSpec((Character(hair_color="black"),), "night", style="watercolor")
    picture, plain = draw(spec, 128).astype(int), draw(replace(spec, style="anime_style"), 128).astype(int)
    assert picture[0].min() > 225
    assert picture[:, -1].min() > 225
    assert picture[20:-20, 20:-20].mean() > plain[20:-20, 20:-20].mean() + 10


def painted(background: str, style: str, width: float, height: int, seed: int) -> np.ndarray:
    """A background alone, (H, W, 4)."""
    pixels = np.zeros((height, round(width * height / 100), 4), np.uint8)
    pen = Pen(pixels, 1.0, look(style))
    pen.canvas.scale(height / 100, height / 100)
    PAINTERS[background](pen, width, random.Random(seed))
    return pixels


@pytest.mark.parametrize("width", [75.0, 100.0, 150.0])
@pytest.mark.parametrize("background", words.BACKGROUNDS)
def test_every_background_covers_the_whole_picture_in_every_look(background: str, width: float):
    for style in words.STYLES:
        assert painted(background, style, width, 40, 3)[:, :, 3].min() > 250, style


def test_no_two_backgrounds_look_alike_above_a_row_of_heads():
    """The upper third is all that three busts leave to be seen."""
    tops = {}
    for background in words.BACKGROUNDS:
        pictures = [painted(background, "anime_style", 100, 32, seed)[:11, :, :3] for seed in range(6)]
        tops[background] = np.mean(pictures, 0)
    for one, other in itertools.combinations(tops, 2):
        assert np.abs(tops[one] - tops[other]).mean() > 6, (one, other)
