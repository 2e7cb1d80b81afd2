"""Rules that look at the scene as a whole: counts, places, contradictions, whose tags they are."""

from __future__ import annotations

import pytest

from newbie.prompt import read
from newbie.prompt.lint import lint
from newbie.prompt.vocabulary import bundled
from newbie.prompt.vocabulary.conflicts import of_person, of_picture


def codes(text: str, *only: str) -> list[str]:
    found = [finding.code for finding in lint(read(text))]
    return [code for code in found if code in only] if only else found


def people(genders: list[str], count: str) -> str:
    blocks = [
        f"<character_{i}>\n<n>a</n>\n" + (f"<gender>{g}</gender>\n" if g else "") + f"</character_{i}>"
        for i, g in enumerate(genders, 1)
    ]
    return "\n".join([*blocks, f"<general_tags>\n<count>{count}</count>\n</general_tags>"])


@pytest.mark.parametrize(
    ("genders", "count", "wrong"),
    [
        (["1girl"], "1girl, solo", False),
        (["1girl"], "2girls", True),
        (["1girl", "1girl"], "1girl", True),
        (["1girl", "1girl"], "2girls, multiple_girls", False),
        (["1girl", "1boy"], "1girl, 1boy", False),
        (["1girl", "1boy"], "1boy, 1girl, couple", False),
        (["1girl", "1boy"], "2girls", True),
        (["1girl", "1boy"], "1girl", True),
        (["1girl", "1boy"], "solo", True),
        (["", ""], "2girls", False),
        (["", ""], "1girl", True),
        (["", ""], "1girl, 1boy", False),
        (["girl", "boy"], "1girl, 1boy", False),
        (["woman"], "1girl", False),
        (["1girl"] * 7, "6+girls", False),
        (["1girl"] * 3, "6+girls", False),  # the others are in the picture, and nobody describes them
        (["2girls", "1boy"], "2girls, 1boy", False),
        (["1girl"], "no_humans", True),
        (["女孩", "女孩"], "2girls", False),
        (["1girl"], "masterpiece", False),
        ([], "2girls", False),
    ],
)
def test_the_count_is_held_against_the_characters(genders: list[str], count: str, wrong: bool) -> None:
    assert codes(people(genders, count), "NB207") == ["NB207"] * wrong


def at(*places: str) -> str:
    return "\n".join(
        f"<character_{i}>\n<n>a</n>\n<position{place}</position>\n</character_{i}>" for i, place in enumerate(places, 1)
    )


@pytest.mark.parametrize(
    ("places", "wrong"),
    [
        ((">left", ">right"), 0),
        ((">center", ">center"), 1),
        ((">center left", ">center_left"), 1),
        ((">left_side", ">left"), 1),
        ((">left", ">left", ">left"), 2),
        ((">foreground", ">foreground"), 0),
        ((">behind the tree", ">behind the tree"), 0),
        ((' x="0.1" width="0.3">left', ' x="0.5" width="0.3">left'), 0),
    ],
)
def test_two_characters_need_two_places(places: tuple[str, ...], wrong: int) -> None:
    assert codes(at(*places), "NB209") == ["NB209"] * wrong


@pytest.mark.parametrize(
    ("tags", "wrong"),
    [
        ("1girl, solo, long_hair, short_hair", True),
        ("1girl, solo, long hair, (short_hair:1.2)", True),
        ("1girl, solo, long_hair, very_long_hair", False),
        ("1girl, solo, short_hair_with_long_locks, short_hair, long_hair", False),
        ("1girl, solo, blue_eyes, red_eyes", True),
        ("1girl, solo, blue_eyes, red_eyes, heterochromia", False),
        ("1girl, solo, blonde_hair, blue_hair", True),
        ("1girl, solo, blonde_hair, blue_hair, two-tone_hair", False),
        ("1girl, solo, light_blue_hair, blue_hair", False),
        ("2girls, blonde_hair, blue_hair, red_eyes, blue_eyes", False),
        ("1girl, 1boy, blonde_hair, blue_hair", False),
        ("1girl, 2girls", True),
        ("solo, 2girls", True),
        ("1girl, solo, standing, sitting", True),
        ("1girl, solo, open_mouth, smile, closed_eyes", False),
        ("scenery, day, night", True),
        ("scenery, indoors, outdoors", True),
        ("masterpiece, worst quality, 1girl", True),
        ("1girl, solo, white_background, simple_background", False),
    ],
)
def test_contradictions_are_found_and_what_goes_together_is_left_alone(tags: str, wrong: bool) -> None:
    assert codes(tags, "NB304") == ["NB304"] * wrong


def test_two_people_may_differ_and_one_may_not() -> None:
    one, two = "<appearance>long_hair</appearance>", "<appearance>short_hair</appearance>"
    assert codes(f"<character_1>{one}</character_1><character_2>{two}</character_2>", "NB304") == []
    both = "<character_1><appearance>long_hair</appearance><other>short_hair</other></character_1>"
    assert codes(both, "NB304") == ["NB304"]


def test_every_tag_of_a_conflict_is_in_the_vocabulary() -> None:
    words = {tag for each in (*of_person(), *of_picture()) for tag in (*each.sides, *each.unless)}
    assert sorted(words - bundled().tags.keys()) == []


def test_one_style_line_in_front_goes_with_the_style_of_the_block_and_a_second_does_not() -> None:
    block = "<general_tags><style>anime_style</style></general_tags>"
    line = "<style>sketch</style>\n"
    assert codes(line + block) == []
    assert codes(line + line + block, "NB202") == ["NB202"]


def test_the_looks_of_one_of_two_people_belong_into_a_block() -> None:
    two = "<character_1><n>a</n></character_1><character_2><n>b</n></character_2>"
    one = "<character_1><n>a</n></character_1>"
    general = "<general_tags><other>blue_hair, sunset</other></general_tags>"
    assert codes(two + general, "NB305") == ["NB305"]
    assert codes(one + general, "NB305") == []


def test_fifty_characters_are_more_than_a_picture_holds() -> None:
    assert codes(people(["1girl"] * 50, "6+girls"), "NB208") == ["NB208"]


def test_panels_are_looked_at_for_themselves() -> None:
    inside = "<character_1><n>a</n><position>left</position></character_1>"
    text = f"{inside}<inset_panel>{inside}<general_tags><count>2girls</count></general_tags></inset_panel>"
    assert codes(text) == ["NB207"]


def test_captions_of_our_own_drawings_are_found_right() -> None:
    pytest.importorskip("skia", reason="the extra `train` is not installed", exc_type=ImportError)
    import random

    from newbie.train.figures import caption, sample

    rng = random.Random("captions for the linter")
    for _ in range(300):
        text = caption(sample(rng), rng)
        # Blanks and other names are among what is trained; so are counts and numbers that leave somebody out.
        assert set(codes(text)) <= {"NB203", "NB207", "NB302", "NB306"}, text


def test_a_character_that_stands_in_a_file_is_not_empty():
    assert codes('<character_1 src="aoi.xml"/>', "NB206") == []
    assert codes("<character_1></character_1>", "NB206") == ["NB206"]
