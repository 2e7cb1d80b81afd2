"""Fields, belonging and biases against closed forms; steps in which they act."""

from __future__ import annotations

import math

import pytest
import torch

from newbie.errors import UsageError
from newbie.prompt.boxes import Box
from newbie.prompt.tokens import EncoderInput, TokenSpan, TokenWeight
from newbie.regions.bias import COUPLING, bias_of
from newbie.regions.fields import belonging, field
from newbie.regions.schedule import Regions
from newbie.step import Memory, Step

LEFT, RIGHT = Box(0, 0, 0.5, 1), Box(0.5, 0, 0.5, 1)
GRID = (2, 20)
WORDS = 9


def given(*weights: tuple[int, int, float]) -> EncoderInput:
    spans = (TokenSpan("character_1", 1, 4), TokenSpan("character_2", 4, 7))
    return EncoderInput("", tuple(range(WORDS)), spans, (), WORDS, 99, weights=tuple(TokenWeight(*w) for w in weights))


def step(index: int, count: int = 10) -> Step:
    return Step(index, count, 0.0, Memory())


def test_a_field_is_one_inside_zero_outside_and_does_not_fade_at_the_frame() -> None:
    inside = field(LEFT, GRID).unflatten(0, GRID)
    assert torch.equal(inside[0], inside[1])
    assert inside[0, :8].eq(1).all() and inside[0, 12:].eq(0).all()
    assert (inside[0, :-1] >= inside[0, 1:]).all()
    torch.testing.assert_close(inside[0] + inside[0].flip(0), torch.ones(20))  # the soft edge is the same both ways


def test_halves_of_a_picture_belong_to_one_each() -> None:
    belongs = belonging([field(LEFT, GRID), field(RIGHT, GRID)]).unflatten(1, GRID)
    torch.testing.assert_close(belongs[0], -belongs[1])
    assert belongs[0, :, 0].eq(1).all() and belongs[0, :, -1].eq(-1).all()


def test_what_is_everybodys_or_nobodys_belongs_to_none() -> None:
    upper = Box(0, 0, 1, 0.5)
    belongs = belonging([field(upper, (8, 4)), field(upper, (8, 4))])
    assert not belongs.any()
    corner = belonging([field(Box(0, 0, 0.2, 0.2), (20, 20)), field(Box(0.8, 0, 0.2, 0.2), (20, 20))])
    assert not corner.unflatten(1, (20, 20))[:, 10:].any()


def test_three_belong_to_the_one_whose_box_it_is() -> None:
    thirds = [field(Box(i / 3, 0, 1 / 3, 1), (1, 30)) for i in range(3)]
    belongs = belonging(thirds)
    assert [int(belongs[:, column].argmax()) for column in (3, 14, 26)] == [0, 1, 2]
    assert belongs[:, 14].tolist() == [-1, 1, -1]


def test_one_with_a_written_box_is_kept_in_it() -> None:
    assert belonging([field(LEFT, GRID)]).unflatten(1, GRID)[0, 0, [0, -1]].tolist() == [1, -1]


def test_regions_act_on_the_image_s_queries_and_the_words_of_characters() -> None:
    bias = bias_of(given(), {"character_1": LEFT, "character_2": RIGHT}, Regions(strength=2.0), GRID)
    assert bias is not None
    added = bias(step(0))
    assert added is not None and added.shape == (WORDS + 40, WORDS + 40)
    assert not added[:WORDS].any() and not added[:, WORDS:].any()  # words' queries; the image's keys
    image = added[WORDS:, :WORDS].unflatten(0, GRID)
    assert image[0, 0].tolist() == [0, *[2 * COUPLING] * 3, *[-2 * COUPLING] * 3, 0, 0]
    assert torch.equal(image[:, -1], image[:, 0][:, [0, 4, 5, 6, 1, 2, 3, 7, 8]])


@pytest.mark.parametrize("weight", [0.25, 0.5, 1.5, 2.0])
def test_a_weight_multiplies_what_is_heard_of_a_word(weight: float) -> None:
    bias = bias_of(given((2, 4, weight)), {}, Regions(), GRID)
    assert bias is not None
    added = bias(step(9))
    assert added is not None and added.shape == (1, WORDS + 40)
    scores = torch.randn(1, WORDS + 40, generator=torch.Generator().manual_seed(0))
    heard, plain = (scores + added).softmax(-1)[0], scores.softmax(-1)[0]
    ratio = (heard / plain) / (heard / plain)[0]  # relative to a word without a weight
    expected = torch.ones(WORDS + 40)
    expected[2:4] = weight ** bias_loudness()
    torch.testing.assert_close(ratio, expected)


def bias_loudness() -> float:
    from newbie.regions.bias import LOUDNESS

    return LOUDNESS


def test_weights_of_one_word_multiply_and_zero_hides_it() -> None:
    bias = bias_of(given((2, 4, 2.0), (3, 5, 0.5), (6, 7, 0.0)), {}, Regions(), GRID)
    assert bias is not None
    added = bias(step(0))
    assert added is not None
    loud = bias_loudness() * math.log(2)
    torch.testing.assert_close(added[0, :8], torch.tensor([0, 0, loud, 0, -loud, 0, -math.inf, 0]))


def test_regions_and_weights_add_up_and_weights_stay_when_regions_end() -> None:
    areas = {"character_1": LEFT, "character_2": RIGHT}
    both = bias_of(given((2, 4, 2.0)), areas, Regions(until=0.5), GRID)
    one, other = bias_of(given((2, 4, 2.0)), {}, Regions(), GRID), bias_of(given(), areas, Regions(), GRID)
    assert both is not None and one is not None and other is not None
    torch.testing.assert_close(both(step(4)), one(step(4)) + other(step(4)))  # type: ignore[operator]
    assert torch.equal(both(step(5)), one(step(5)))  # type: ignore[arg-type]
    assert other(step(9)) is None


def test_nothing_said_is_no_bias() -> None:
    areas = {"character_1": LEFT, "character_2": RIGHT}
    assert bias_of(given(), {}, Regions(), GRID) is None
    assert bias_of(given(), areas, Regions.parse("off"), GRID) is None
    assert bias_of(given(), {"character_9": LEFT}, Regions(), GRID) is None  # its words fell off the end


@pytest.mark.parametrize(
    ("text", "regions"),
    [
        ("auto", Regions(True, 1.0)), ("boxes", Regions(False, 1.0)), ("off", Regions(False, 0.0)),
        ("1.5", Regions(True, 1.5)), ("0", Regions(True, 0.0)), ("auto@0.3", Regions(True, 1.0, 0.3)),
        (" 2@1 ", Regions(True, 2.0, 1.0)), ("BOXES@.5", Regions(False, 1.0, 0.5)),
    ],
)  # fmt: skip
def test_what_the_flag_says(text: str, regions: Regions) -> None:
    assert Regions.parse(text) == regions


@pytest.mark.parametrize("text", ["", "on", "nan", "-1", "9", "1e9", "auto@", "auto@2", "1@x", "@0.5"])
def test_what_the_flag_cannot_say(text: str) -> None:
    with pytest.raises(UsageError, match="regions"):
        Regions.parse(text)


def test_regions_act_in_the_first_part_of_the_evaluations() -> None:
    acting = [Regions(until=0.3).act(step(i)) for i in range(10)]
    assert acting == [True] * 3 + [False] * 7
    assert not Regions(until=0.0).act(step(0)) and Regions(until=1.0).act(step(9))
