"""Lists of lines with dashes, dots or numbers, perhaps under headings: as chat programs and people type them."""

from __future__ import annotations

from pathlib import Path

import pytest

from newbie.cli.main import main
from newbie.errors import PromptError
from newbie.prompt import canonical_text, read, render, set_value
from newbie.prompt.convert import convert, recognise
from newbie.prompt.format import formatted
from newbie.prompt.lint import fixed, lint
from newbie.prompt.meaning import meaning
from newbie.regions.places import place_of

DUO = """Here is the prompt:

**Character 1 (left):**
* Name: Hatsune Miku
* Hair: long, aqua, twintails
* Outfit:
  * white shirt
  * pleated skirt
* smile

**Girl 2**
1. short red hair
2. She waves at the other girl.

**Background:** classroom, sunset

The two girls are standing in a classroom.
Avoid: bad hands
"""
DUO_XML = """<character_1>
<n>Hatsune_Miku</n>
<appearance>long_hair, aqua_hair, twintails</appearance>
<clothing>white_shirt, pleated_skirt</clothing>
<expression>smile</expression>
<position>left</position>
</character_1>
<character_2>
<gender>1girl</gender>
<appearance>short_red_hair</appearance>
<action>She waves at the other girl.</action>
</character_2>
<general_tags>
<background>classroom, sunset</background>
</general_tags>
<caption>The two girls are standing in a classroom.</caption>"""


@pytest.mark.parametrize(
    "text",
    [
        "- 1girl\n- blue hair\n- smile",
        "* 1girl\n* blue hair\n* smile\n",
        "1. 1girl\n2. blue hair\n3. smile",
        "1) 1girl\n2) blue hair\n\n3) smile",
        "  • 1girl, blue hair\n  • smile",
        "1、1girl\n2、blue hair\n3、smile",
        "```\n- 1girl\n- blue hair\n- smile\n```",
    ],
)
def test_a_list_of_tags_is_the_list_without_its_signs(text: str):
    reading = read(text)
    assert [tag.text for tag in reading.scene.tags] == ["1girl", "blue hair", "smile"]
    assert all(text[tag.span.start : tag.span.stop] == tag.text for tag in reading.scene.tags)
    assert render(reading).jina.text == text  # what is typed is what is sent
    assert formatted(reading).rstrip() == "1girl, blue_hair, smile"
    made = convert(reading, "xml")
    assert made.source == "outline" and made.text == convert(read("1girl, blue hair, smile"), "xml").text
    assert "read as a list of 3 tags" in made.notes


def test_its_signs_are_told_once_and_can_be_corrected():
    reading = read("- 1girl\n  - blue_hair\n- smile")
    (found,) = [each for each in lint(reading) if each.code == "NB307"]
    assert reading.source.place(found.span.start) == (1, 1)
    assert fixed(reading).text == "1girl\n  blue_hair\nsmile"


@pytest.mark.parametrize(
    "text",
    [
        "- 1girl\nblue hair\n- smile",  # not every line
        "- a girl",
        "-1girl\n-smile",
        "1girl, - , smile",
        "3.5 meters\n1.5 liters",
        "- <n>miku</n>\n- smile",
        '{"a": "\n- x\n- y"}',
        "1girl, solo\nstyle: ink",  # one heading alone
        "A girl waves.\nScene: she is at the beach.",
        "- 1girl\n- smile\nSteps: 20, Seed: 1",
    ],
)
def test_what_is_no_list_is_left_alone(text: str):
    reading = read(text)
    assert recognise(reading) != "outline"
    assert not [each for each in lint(reading) if each.code == "NB117"]


def test_a_list_of_sentences_keeps_its_order_and_loses_its_numbers():
    reading = read("1. A girl with long hair.\n2. She waves at us.")
    assert convert(reading, "text").text == "A girl with long hair.\nShe waves at us."
    assert [each.code for each in lint(reading)] == ["NB117"]
    assert formatted(reading) == reading.source.text


def test_headings_are_persons_and_elements():
    reading = read(DUO)
    assert reading.dialect == "outline"
    made = convert(reading, "xml")
    assert made.text == DUO_XML
    assert made.negative == "bad hands" and "the negative prompt: bad hands" in made.lost
    assert any("character_1 (8)" in note and "caption (1)" in note for note in made.notes)


def test_a_lone_full_stop_is_nothing_as_in_xml():
    scene = read("1girl, blue hair\nCharacter 1: .\n- smile\nCharacter 2: 。").scene  # found by the fuzz
    assert meaning(scene) == meaning(read(canonical_text(scene)).scene)
    assert "." not in canonical_text(scene)


def test_values_of_a_list_have_their_places():
    reading = read(DUO)
    fields = [field for person in reading.scene.characters for field in person.fields]
    assert {"n", "appearance", "clothing", "position", "#text"} == {field.name for field in fields}
    for field in fields:
        assert DUO[slice(*field.value.span)] == field.value.text
    first, second = reading.scene.characters
    assert DUO[slice(*first.outer)].startswith("**Character 1 (left):**")
    assert DUO[slice(*second.outer)].endswith("She waves at the other girl.")


@pytest.mark.parametrize(
    ("text", "xml"),
    [
        (
            "Girl A: 1girl, blue hair\nGirl B: 1girl, red hair\nScene: beach",
            "<character_1>\n<gender>1girl</gender>\n<appearance>blue_hair</appearance>\n</character_1>\n<character_2>\n"
            "<gender>1girl</gender>\n<appearance>red_hair</appearance>\n</character_2>\n<general_tags>\n"
            "<background>beach</background>\n</general_tags>",
        ),
        (
            "## Appearance\n- long hair\n## Clothing\n- white dress\n## Style\n- watercolor",
            "<character_1>\n<appearance>long_hair</appearance>\n<clothing>white_dress</clothing>\n</character_1>\n"
            "<general_tags>\n<style>watercolor</style>\n</general_tags>",
        ),
        (
            "- **Girl 1** (Left): blue hair\n- **Girl 2** (right): red hair",
            "<character_1>\n<gender>1girl</gender>\n<appearance>blue_hair</appearance>\n<position>left</position>\n"
            "</character_1>\n<character_2>\n<gender>1girl</gender>\n<appearance>red_hair</appearance>\n"
            "<position>right</position>\n</character_2>",
        ),
        (
            "Left: red hair, smile\nRight Side: blue hair, glasses\nBackground: beach",
            "<character_1>\n<appearance>red_hair</appearance>\n<expression>smile</expression>\n"
            "<position>left</position>\n</character_1>\n<character_2>\n<appearance>blue_hair</appearance>\n"
            "<clothing>glasses</clothing>\n<position>right_side</position>\n</character_2>\n<general_tags>\n"
            "<background>beach</background>\n</general_tags>",
        ),
        (
            "**left**\n- red hair\n- waving\n**center**\n- blue hair\n\nStyle: watercolor",
            "<character_1>\n<appearance>red_hair</appearance>\n<action>waving</action>\n<position>left</position>\n"
            "</character_1>\n<character_2>\n<appearance>blue_hair</appearance>\n<position>center</position>\n"
            "</character_2>\n<general_tags>\n<style>watercolor</style>\n</general_tags>",
        ),
        (
            "left:\n- red hair\nBackground: beach",  # one alone may be anything
            "<character_1>\n<appearance>red_hair</appearance>\n</character_1>\n<general_tags>\n"
            "<background>beach</background>\n</general_tags>",
        ),
        (
            "角色1：长发，左边\n角色2：短发，画面右侧\n背景：海滩",
            "<character_1>\n<appearance>长发</appearance>\n<position>左边</position>\n</character_1>\n<character_2>\n"
            "<appearance>短发</appearance>\n<position>画面右侧</position>\n</character_2>\n<general_tags>\n"
            "<background>海滩</background>\n</general_tags>",
        ),
        (
            "角色1：1girl，长发\n背景：教室",
            "<character_1>\n<gender>1girl</gender>\n<appearance>长发</appearance>\n</character_1>\n<general_tags>\n"
            "<background>教室</background>\n</general_tags>",
        ),
        (
            "Details:\n- 1girl\n- long hair\n- beach",
            "<character_1>\n<appearance>long_hair</appearance>\n</character_1>\n<general_tags>\n<count>1girl</count>\n"
            "<background>beach</background>\n</general_tags>",
        ),
        (
            "Details:\n- 2girls\n- long hair\n- beach",
            "<general_tags>\n<count>2girls</count>\n<background>beach</background>\n<other>long_hair</other>\n"
            "</general_tags>",
        ),
    ],
)
def test_headings_in_the_words_of_people(text: str, xml: str):
    assert convert(read(text), "xml").text == xml


def people(text: str) -> tuple[dict[str, str], ...]:
    """What `convert` makes of the persons of a list."""
    scene = read(convert(read(text), "xml").text).scene
    return tuple({name: value.text for name, value in person.items()} for person in scene.characters)


def captions(text: str) -> list[str]:
    return [each.text for each in read(convert(read(text), "xml").text).scene.captions]


def test_a_sentence_below_a_person_stays_theirs_where_it_plainly_speaks_of_them():
    text = """Character 1: Alice
Alice has long blonde hair.
Her hands are behind her back.
Character 2: Bob
He has brown hair. The boy is jumping. Alice laughs at him.
The sky is full of stars.
They are friends.
Character 1 looks at Bob."""
    alice, bob = people(text)
    assert alice == {
        "n": "Alice",
        "appearance": "Alice has long blonde hair.",
        "action": "Her hands are behind her back.",
    }
    assert bob == {"n": "Bob", "appearance": "He has brown hair.", "action": "The boy is jumping."}
    assert captions(text) == [
        "Alice laughs at him.",
        "The sky is full of stars.",
        "They are friends.",
        "Character 1 looks at Bob.",
    ]


def test_what_stands_at_a_persons_heading_is_theirs_and_what_stands_apart_is_not():
    text = """Girl A: a tall woman with red hair. The city burns behind her.
- a scarf around her neck, blue

## Character 2

Silver hair, red eyes. She holds a teacup.

She is the last one in a long story."""
    first, second = people(text)
    assert first == {
        "gender": "1girl",
        "appearance": "a tall woman with red hair., a scarf around her neck, blue",
    }
    assert second == {"appearance": "Silver_hair, red_eyes", "action": "She holds a teacup."}
    assert captions(text) == ["The city burns behind her.", "She is the last one in a long story."]


def test_sentences_of_a_person_have_their_places():
    text = "Character 1:\n  She waves. The sun sets. Her hair is red.\nBackground: beach"
    scene = read(text).scene
    (person,) = scene.characters
    assert [text[slice(*field.value.span)] for field in person.fields] == ["She waves.", "Her hair is red."]
    assert [text[slice(*each.span)] for each in scene.captions] == ["The sun sets."]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("キャラクター1：青髪、三つ編み\nキャラクター2：赤髪\n背景：教室", ("青髪, 三つ編み", "赤髪")),
        ("캐릭터 1: 파란 머리\n캐릭터 2: 빨간 머리\n배경: 교실", ("파란 머리", "빨간 머리")),
        ("角色一：蓝发\n角色二：\n- 头发：金色，双马尾\n背景：教室", ("蓝发", "金色头发, 双马尾")),
        (
            "角色1：\n姓名：初音未来\n性别：1girl\n外貌：双马尾\n角色2：\n外貌：金发\n背景：舞台\n画师：wlop",
            ("双马尾", "金发"),
        ),
    ],
)
def test_headings_in_other_scripts(text: str, wanted: tuple[str, ...]):
    assert [person["appearance"] for person in people(text)] == list(wanted)
    assert "<background>" in convert(read(text), "xml").text


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("**Character 1: Luna**", "**Character 2: Sol**"),
        ("## Character 1 - Luna", "## Character 2 – Sol"),
        ("### Character 1 — Luna:", "### Character 2 — Sol:"),
        ("**Character 1 - Luna**:", "**Character 2 - Sol:**"),
        ("[Character 1: Luna]", "[Character 2: Sol]"),
        ("【角色1：Luna】", "【角色2：Sol】"),
        ("Girl A - Luna", "Girl B - Sol"),
    ],
)
def test_a_name_in_a_heading_is_the_name_whatever_signs_stand_around_it(first: str, second: str):
    text = f"# Scene\nA cafe in the rain.\n\n{first}\nblue hair\n\n{second}\nred hair\n\nStyle - watercolor"
    assert [(person["n"], person["appearance"]) for person in people(text)] == [
        ("Luna", "blue_hair"),
        ("Sol", "red_hair"),
    ]
    assert "<style>watercolor</style>" in convert(read(text), "xml").text


def test_a_dash_is_a_heading_only_behind_the_words_for_one():
    assert [tag.text for tag in read("1girl - solo\nmaid - cafe\nsmile").scene.tags] == [
        "1girl - solo",
        "maid - cafe",
        "smile",
    ]


@pytest.mark.parametrize("heading", ["Prompt:", "Positive prompt:", "**Positive Prompt:**\n", "正面提示词："])
def test_what_stands_below_prompt_is_the_prompt_and_below_negative_prompt_what_is_not_wanted(heading: str):
    made = convert(read(f"{heading} 1girl, blue hair, beach\n\n**Negative prompt:** lowres"), "xml")
    assert "<appearance>blue_hair</appearance>" in made.text and "<background>beach</background>" in made.text
    assert made.negative == "lowres" and "rompt" not in made.text


def test_the_heading_of_a_person_says_a_name_a_place_or_a_kind():
    first, second, third = people("Character 1: Hatsune Miku\n- smile\nBoy 2: left\nCharacter 3: Witch\n- 1boy")
    assert first == {"n": "Hatsune_Miku", "expression": "smile"}
    assert second == {"gender": "1boy", "position": "left"}
    assert "n" not in third and third["gender"] == "1boy"  # a witch is somebody, and nobody's name


def test_a_heading_in_the_plural_is_no_person():
    assert people("Characters:\n- 2girls\nBackground: beach") == ()


def test_headings_are_told_and_the_tags_below_them_are_looked_at():
    reading = read("Character 1:\n- lnog_hair\n- short_hair, long_hair\nBackground: beach")
    found = {each.code: each for each in lint(reading)}
    assert {"NB117", "NB301", "NB304"} <= found.keys() and "NB109" not in found
    assert reading.source.place(found["NB301"].span.start) == (2, 3)
    assert "character_1, general_tags" in found["NB117"].message


def test_fmt_leaves_a_list_with_headings_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "duo.txt"
    path.write_text(DUO, encoding="utf-8")
    assert main(["fmt", str(path)]) == 0
    assert path.read_text("utf-8") == DUO
    assert "a list with headings" in capsys.readouterr().err


def test_a_scene_as_a_list_is_read_back():
    made = convert(read(DUO_XML), "outline")
    assert made.lost == ()
    assert meaning(read(convert(read(made.text), "xml").text).scene) == meaning(read(DUO_XML).scene)


@pytest.mark.parametrize("text", ["A girl waves at the sea.", "", "一个女孩在海边。"])
def test_a_single_line_is_written_as_it_is(text: str):
    made = convert(read(text), "outline")
    assert (made.text, made.lost) == (text, ())


def test_an_element_that_is_set_makes_xml_of_a_list():
    changed = read(set_value("Character 1:\n- 1girl\nBackground: beach", "character_1.appearance", "red_hair"))
    assert changed.dialect == "xml"
    person = changed.scene.character(1)
    assert person and person["appearance"].text == "red_hair" and person["#text"].text == "1girl"


def test_a_prompt_that_is_no_list_cannot_be_named_one():
    with pytest.raises(PromptError, match="no list of lines") as caught:
        convert(read("1girl, smile"), "xml", source="outline")
    assert caught.value.hint


@pytest.mark.parametrize("place", ["左边", "右侧", "最右边", "左上角", "中央", "真ん中", "畫面中間"])
def test_a_place_in_chinese_or_japanese_is_a_place_for_regions_too(place: str):
    (person,) = read(convert(read(f"1girl, {place}"), "xml").text).scene.characters
    assert [field.value.text for field in person.fields if field.name == "position"] == [place]
    assert place_of(place).said


@pytest.mark.parametrize("word", ["左手", "右眼", "上衣", "中国", "左右"])
def test_words_with_a_side_in_them_are_no_places(word: str):
    assert "<position>" not in convert(read(f"1girl, {word}"), "xml").text


@pytest.mark.parametrize("blank", ["\x1f", "\x1c ", " \x1f", "\u3000", "\xa0"])
def test_any_blank_behind_a_sign_is_one(blank: str):
    reading = read(f"- hat\n-{blank}scarf", negative=True)
    assert [tag.text for tag in reading.scene.tags] == ["hat", "scarf"]
    assert meaning(read(canonical_text(reading.scene), negative=True).scene) == meaning(reading.scene)
