"""Places in numbers become boxes where they can be read in one way, and stay as they are, and told, where not."""

from __future__ import annotations

import json
from itertools import product

import pytest

from newbie.prompt import boxes, read
from newbie.prompt.convert import convert
from newbie.prompt.convert.places import from_list, from_words
from newbie.prompt.lint import lint


def written(text: str) -> tuple[float, ...]:
    """The box of the first character in the XML that is made of a prompt, as the regions read it."""
    found = boxes.written(read(convert(read(text), "xml").text))
    return tuple(round(value, 4) for value in found["character_1"][:4]) if found else ()


def template(bbox: object, position: str = "") -> str:
    tags = f"<character_1>\n<appearance>blue_hair</appearance>\n{position}</character_1>"
    return json.dumps({"character_1": {"bbox": bbox, "name": "$character_1$"}, "image": {"tags": tags, "caption": ""}})


@pytest.mark.parametrize(
    ("words", "box", "rest"),
    [
        ("x: 10%, y: 20%, width: 30%, height: 80%", (0.1, 0.2, 0.3, 0.8), ""),
        ("left: 50%, top: 0%, w: 50%, h: 100%", (0.5, 0, 0.5, 1), ""),
        ("x=0.6 width=0.4, standing", (0.6, 0, 0.4, 1), "standing"),
        ("left 40% of the picture", (0, 0, 0.4, 1), "left"),
        ("right 30%", (0.7, 0, 0.3, 1), "right"),
        ("bottom 50% of the frame", (0, 0.5, 1, 0.5), "bottom"),
        ("left, bbox: [0, 0, 500, 1000]", (0, 0, 0.5, 1), "left"),
        ("[0.5, 0.1, 1, 1]", (0.5, 0.1, 0.5, 0.9), ""),
    ],
)
def test_numbers_in_words_are_a_box(words: str, box: tuple[float, ...], rest: str):
    text = f"<character_1>\n<appearance>blue_hair</appearance>\n<position>{words}</position>\n</character_1>"
    assert written(text) == pytest.approx(box)
    made = convert(read(text), "xml")
    position = read(made.text).scene.characters[0].position
    assert position is not None and position.text == rest
    assert convert(read(made.text), "xml").text == made.text


@pytest.mark.parametrize(
    "words",
    [
        "left", "center, 50% visible", "3rd from the left", "left 120%", "x: 10%", "x: 10%, width: 0.3",
        "x: 70%, width: 50%", "[100, 100, 300, 500]", "[0, 0, 50, 100]", "x: 1, x: 0.5, width: 0.5", "left 1%",
        "[0, 0, 5000, 100]", "10% left, 20% right",
    ],
)  # fmt: skip
def test_what_can_be_read_in_two_ways_or_none_stays(words: str):
    assert from_words(words) is None
    text = f"<character_1>\n<appearance>a</appearance>\n<position>{words}</position>\n</character_1>"
    assert convert(read(text), "xml").text == text


def test_a_box_that_is_written_stays():
    text = '<character_1>\n<position x="0.5">left 40%</position>\n</character_1>'
    assert convert(read(text), "xml").text == text


@pytest.mark.parametrize(
    ("bbox", "box"),
    [
        ([0, 0, 500, 1000], (0, 0, 0.5, 1)),
        ([500, 100, 1000, 1000], (0.5, 0.1, 0.5, 0.9)),
        ([0, 0, 0.5, 1], (0, 0, 0.5, 1)),
    ],
)
def test_the_box_of_a_template_is_kept(bbox: list[float], box: tuple[float, ...]):
    assert written(template(bbox)) == box
    made = convert(read(template(bbox, "<position>left</position>\n")), "xml")
    assert ">left</position>" in made.text and not made.notes
    back = convert(read(made.text), "template")
    scale = 1 if max(bbox) > 1 else 1000
    assert json.loads(back.text)["character_1"]["bbox"] == [each * scale for each in bbox]
    assert back.lost == ()


@pytest.mark.parametrize(
    "bbox", [[100, 100, 300, 500], [0, 0, 50, 100], [9, 9], "left", [0, 0, None, 1], [0, 0, -1, 1]]
)
def test_a_box_that_nobody_can_read_is_told(bbox: object):
    made = convert(read(template(bbox)), "xml")
    assert "<position" not in made.text
    assert any("the box of character_1 is lost" in note for note in made.notes)


def test_plain_json_may_hold_a_box_too():
    form = {"character_1": {"appearance": ["hat"], "position": "left", "bbox": [0, 0, 500, 1000]}}
    assert written(json.dumps(form)) == (0, 0, 0.5, 1)
    form["character_1"]["bbox"] = [100, 100, 300, 500]
    made = convert(read(json.dumps(form)), "xml")
    assert "<position>left</position>" in made.text and any("is lost" in note for note in made.notes)
    assert not [each for each in lint(read(json.dumps(form))) if "bbox" in each.message]


@pytest.mark.parametrize("box", [(0.5, 0, 0.5, 1), (0.1, 0.1, 0.2, 0.3), (0.4, 0.3, 0.5, 0.7)])
def test_json_gives_back_every_box_and_a_template_says_which_it_cannot(box: tuple[float, ...]):
    sides = " ".join(f'{name}="{value:g}"' for name, value in zip(("x", "y", "width", "height"), box, strict=True))
    text = f"<character_1>\n<gender>1girl</gender>\n<position {sides}>left</position>\n</character_1>"
    made = convert(read(text), "json")
    assert made.lost == () and convert(read(made.text), "xml").text == text
    template = convert(read(text), "template")
    back = convert(read(template.text), "xml").text
    assert template.lost == ((f"attributes: {sides}",) if "<position>" in back else ())
    assert ("<position>" in back) == (box[0] == 0.1)  # where corner and size could be meant


def test_boxes_inside_a_panel_have_no_place_in_json():
    inner = '<character_1>\n<position x="0.5">right</position>\n</character_1>'
    made = convert(read(f"{inner}\n<inset_panel>\n{inner}\n</inset_panel>"), "json")
    assert made.lost == ('attributes: x="0.5"',)
    assert json.loads(made.text)["character_1"]["bbox"] == {"x": 0.5, "y": 0, "width": 0.5, "height": 1}


@pytest.mark.parametrize(
    "bbox", [{}, {"x": 2}, {"left": 0.1}, {"x": "0.1"}, {"x": True}, {"x": 0.6, "width": 0.6}, {"width": 0.001}, None]
)
def test_an_object_that_is_no_box_is_told(bbox: object):
    made = convert(read(json.dumps({"character_1": {"appearance": ["hat"], "bbox": bbox}})), "xml")
    assert "<position" not in made.text and any("the box of character_1 is lost" in note for note in made.notes)


def test_the_whole_picture_is_no_box():
    assert written(template([0, 0, 1000, 1000])) == ()


def test_corners_that_could_be_sizes_are_not_guessed():
    """Every box in tenths is given back from its corners, unless it is one as a corner and a size too."""
    for x, y, right, bottom in product(range(10), range(10), range(11), range(11)):
        if right <= x or bottom <= y:
            continue
        found = from_list([100 * x, 100 * y, 100 * right, 100 * bottom])
        two_ways = x + right <= 10 and y + bottom <= 10 and (x or y)
        one_hundredth = max(right, bottom) <= 1  # 100 may be a percentage
        expected = (x / 10, y / 10, (right - x) / 10, (bottom - y) / 10)
        assert (found is None) if two_ways or one_hundredth else found == pytest.approx(expected)
