"""The canonical layout: one text for every spelling, and itself when made canonical again."""

from __future__ import annotations

import pytest

from newbie.prompt import Scene, canonical_text, compose, read

FULL = """\
<character_1>
<n>$character_1$</n>
<gender>1girl</gender>
<appearance>blue_hair, twintails</appearance>
<body_type>slim</body_type>
<clothing>serafuku</clothing>
<expression>smile, >_<</expression>
<action>waving</action>
<interaction>holding_hands</interaction>
<position>center_left</position>
</character_1>
<character_2>
<gender>1boy</gender>
</character_2>
<general_tags>
<count>1girl, 1boy</count>
<artists>artist:someone, year_2024</artists>
<style>anime_style</style>
<background>sunset</background>
<environment>beach</environment>
<perspective>from_above</perspective>
<lighting>backlighting</lighting>
<atmosphere>calm</atmosphere>
<quality>very_aesthetic, masterpiece, no_text</quality>
<resolution>max_high_resolution</resolution>
<objects>umbrella</objects>
<other>tiger_&_bunny</other>
</general_tags>
<caption>A girl and a boy wave, at sunset.</caption>"""


def canonical(text: str) -> str:
    return canonical_text(read(text).scene)


def test_the_layout_is_this() -> None:
    assert canonical(FULL) == FULL


def test_order_indentation_blanks_and_empty_elements_do_not_matter() -> None:
    messy = """
    <img>
      <caption>A girl and a boy
         wave, at sunset.</caption>
      <general tags><other>tiger_&_bunny</other><objects>umbrella,</objects><artist>artist:someone，year 2024</artist>
      <count>1girl ,1boy</count><quality>very aesthetic, masterpiece,no text</quality><style>anime style</style>
      <resolution>max high resolution</resolution><atmosphere>calm</atmosphere><lighting>backlighting</lighting>
      <perspective>from above</perspective><environment>beach</environment><background>sunset</background>
      </general tags><character 2><n></n><gender>1boy</gender><clothing>  </clothing></character 2>
      <character 1><position>center left</position><interaction>holding hands</interaction><action>waving</action>
      <expression>smile, >_<</expression><clothing>serafuku</clothing><body_type>slim</body_type>
      <appearance>blue  hair,
         twintails</appearance><gender>1girl</gender><n>$character_1$</n></character 1>
    </img>"""
    assert canonical(messy) == FULL


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1girl,blue hair ,  looking at viewer", "1girl, blue_hair, looking_at_viewer"),
        ("1girl，蓝发、微笑", "1girl, 蓝发, 微笑"),
        ("1girl, A girl is walking in the rain, smile", "1girl, A girl is walking in the rain, smile"),
        ("aris_\\(blue archive\\), 1girl", "aris_\\(blue_archive\\), 1girl"),
        ("  A girl   smiles.\n\n  It is the evening. ", "A girl smiles.\nIt is the evening."),
        ("一个女孩，蓝色的头发", "一个女孩，蓝色的头发"),
        ("", ""),
        (" \n", ""),
        ("You are. <Prompt Start> 1girl, blue hair", "1girl, blue_hair"),
        ("<caption> A  girl. </caption>", "<caption>A girl.</caption>"),
        ("<danbooru_tags>low res,ugly</danbooru_tags>", "<danbooru_tags>low_res, ugly</danbooru_tags>"),
        ("<character_1></character_1>", "<character_1>\n</character_1>"),
        ("<character_1><position>tight shot</position></character_1>",
         "<character_1>\n<position>tight shot</position>\n</character_1>"),
        ("<character_1><tail>long tail</tail><n>a</n></character_1>",
         "<character_1>\n<n>a</n>\n<tail>long_tail</tail>\n</character_1>"),
        ("<inset_panel><character_1><n>b</n></character_1></inset_panel>",
         "<inset_panel>\n<character_1>\n<n>b</n>\n</character_1>\n</inset_panel>"),
    ],
)  # fmt: skip
def test_each_dialect_has_one_canonical_form(text: str, expected: str) -> None:
    assert canonical(text) == expected
    assert canonical(expected) == expected


def test_characters_stand_in_the_order_of_their_numbers() -> None:
    assert canonical("<character_2><n>b</n></character_2><character_1><n>a</n></character_1>").startswith(
        "<character_1>"
    )


def test_a_composed_scene_has_the_layout_of_a_read_one() -> None:
    scene = compose(
        [{"n": "a", "appearance": "blue hair, smile"}, {"gender": "1boy"}], {"count": "2people"}, "Hello there."
    )
    text = canonical_text(scene)
    assert text == (
        "<character_1>\n<n>a</n>\n<appearance>blue_hair, smile</appearance>\n</character_1>\n"
        "<character_2>\n<gender>1boy</gender>\n</character_2>\n"
        "<general_tags>\n<count>2people</count>\n</general_tags>\n<caption>Hello there.</caption>"
    )
    assert canonical(text) == text


def test_the_empty_scene_is_the_empty_text() -> None:
    assert canonical_text(Scene()) == ""
