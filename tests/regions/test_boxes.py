"""Words, order and written boxes become areas; what cannot be one is told with its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newbie.prompt import read
from newbie.prompt.boxes import Box, troubles
from newbie.regions.boxes import boxes
from newbie.regions.places import Place, place_of


def prompt(*positions: str | None) -> str:
    """One character per position; None: without the element; with `=` in it: attributes of an empty element."""
    blocks = []
    for number, position in enumerate(positions, 1):
        element = "" if position is None else f"<position>{position}</position>"
        if position and "=" in position:
            element = f"<position {position}/>"
        blocks.append(f"<character_{number}><n>someone</n>{element}</character_{number}>")
    return "\n".join(blocks)


def rounded(*positions: str | None) -> list[tuple[float, ...]]:
    return [tuple(round(side, 3) for side in box[:4]) for box in boxes(read(prompt(*positions))).values()]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("left", Place(0.2)), ("left_side", Place(0.2)), ("right", Place(0.8)), ("center_left", Place(0.35)),
        ("center right", Place(0.65)), ("center", Place(0.5)), ("middle", Place(0.5)), ("top left", Place(0.2, 0.2)),
        ("in the lower right corner", Place(0.8, 0.8)), ("bottom", Place(None, 0.8)), ("左边", Place(0.2)),
        ("右", Place(0.8)), ("中间", Place(0.5)), ("foreground", Place(everywhere=True)), ("", Place()),
        ("full-frame", Place(everywhere=True)), ("extreme close-up", Place(everywhere=True)), ("somewhere", Place()),
        ("left, foreground", Place(0.2)), ("from left to right", Place()), ("top center", Place(0.5, 0.2)),
        ("solo", Place(everywhere=True)),
    ],
)  # fmt: skip
def test_position_words_are_places(text: str, place: Place) -> None:
    assert place_of(text) == place


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        (("left", "right"), [(0, 0, 0.5, 1), (0.5, 0, 0.5, 1)]),
        (("right", "left"), [(0.5, 0, 0.5, 1), (0, 0, 0.5, 1)]),
        ((None, None), [(0, 0, 0.5, 1), (0.5, 0, 0.5, 1)]),
        ((None, "left"), [(0.475, 0, 0.525, 1), (0, 0, 0.475, 1)]),
        (("left", "center", "right"), [(0, 0, 0.35, 1), (0.35, 0, 0.3, 1), (0.65, 0, 0.35, 1)]),
        (("left", None, "right"), [(0, 0, 0.35, 1), (0.35, 0, 0.3, 1), (0.65, 0, 0.35, 1)]),
        (("top", "bottom"), [(0, 0, 1, 0.5), (0, 0.5, 1, 0.5)]),
        (("upper left", "lower left", "right"), [(0, 0, 0.5, 0.5), (0, 0.5, 0.5, 0.5), (0.5, 0, 0.5, 1)]),
        (("left", "left"), [(0, 0, 0.25, 1), (0.25, 0, 0.25, 1)]),
        (("foreground", "left"), [(0, 0, 0.5, 1)]),
        ((None,) * 4, [(0, 0, 0.25, 1), (0.25, 0, 0.25, 1), (0.5, 0, 0.25, 1), (0.75, 0, 0.25, 1)]),
    ],
)
def test_words_and_order_divide_the_picture(
    positions: tuple[str | None, ...], expected: list[tuple[float, ...]]
) -> None:
    assert rounded(*positions) == expected


@pytest.mark.parametrize("position", [None, "left", "center", "foreground"])
def test_nobody_alone_has_an_area(position: str | None) -> None:
    assert not boxes(read(prompt(position)))


@given(
    st.lists(
        st.sampled_from([None, "left", "right", "center", "center_left", "top", "bottom right", "foreground", "a"])
    )
)
def test_areas_lie_in_the_picture_and_those_of_words_do_not_overlap(positions: list[str | None]) -> None:
    found = list(boxes(read(prompt(*positions))).values())
    for box in found:
        assert 0 <= box.x <= box.right <= 1 + 1e-9 and 0 <= box.y <= box.bottom <= 1 + 1e-9
        assert box.width > 0 and box.height > 0
    for i, one in enumerate(found):
        for other in found[i + 1 :]:
            along = min(one.right, other.right) - max(one.x, other.x)
            down = min(one.bottom, other.bottom) - max(one.y, other.y)
            assert min(along, down) < 1e-9


def test_fifty_characters_stand_in_a_row() -> None:
    found = boxes(read(prompt(*[None] * 50)))
    assert len(found) == 50
    assert [round(box.x, 9) for box in found.values()] == [round(i / 50, 9) for i in range(50)]


def test_written_boxes_count_as_they_are() -> None:
    text = prompt('x="0.1" y="0.2" width="0.3" height="0.4"', 'x="0.5"', "left")
    found = boxes(read(text))
    assert found["character_1"] == Box(0.1, 0.2, 0.3, 0.4, explicit=True)
    assert found["character_2"] == Box(0.5, 0, 0.5, 1, explicit=True)
    assert found["character_3"] == Box(0, 0, 0.5, 1)
    assert list(boxes(read(text), explicit_only=True)) == ["character_1", "character_2"]


def test_a_written_box_makes_an_area_for_one_alone() -> None:
    assert boxes(read(prompt('x="0.5"'))) == {"character_1": Box(0.5, 0, 0.5, 1, explicit=True)}


def test_two_characters_of_one_number_have_paths_of_their_own() -> None:
    text = "<character_1><n>a</n></character_1><character_1><n>b</n></character_1>"
    assert list(boxes(read(text))) == ["character_1", "character_1~2"]


@pytest.mark.parametrize(
    ("attributes", "place", "said"),
    [
        ('x="nan"', "nan", "no share"), ('x="-0.1"', "-0.1", "no share"), ('width="1e9"', "1e9", "no share"),
        ('y="two"', "two", "no share"), ('x="0.7" width="0.5"', '0.7" width="0.5', "out of the picture"),
        ('width="0.001"', "0.001", "room for nobody"), ('x="1"', "1", "room for nobody"),
    ],
)  # fmt: skip
def test_boxes_that_cannot_be_are_told_with_their_place(attributes: str, place: str, said: str) -> None:
    text = prompt(attributes, None)
    (trouble,) = troubles(read(text))
    assert text[trouble.span.start : trouble.span.stop] == place
    assert said in trouble.message and trouble.hint
    assert not boxes(read(text))["character_1"].explicit  # words and order count instead


def test_places_are_found_behind_a_system_prompt_and_a_byte_order_mark() -> None:
    text = "\ufeffYou are an assistant. <Prompt Start> " + prompt("right", "left")
    assert [box.x for box in boxes(read(text)).values()] == [0.5, 0]


def test_tags_and_sentences_have_no_areas() -> None:
    assert not boxes(read("2girls, blue_hair, red_hair")) and not boxes(read("Two girls stand side by side."))
