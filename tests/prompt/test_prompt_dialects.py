"""Every dialect that people use becomes the same scene."""

from __future__ import annotations

import pytest

from newbie.prompt import Reading, Scene, read

SKELETON = """\
<character_1>
<n>hatsune_miku</n>
<gender>1girl</gender>
<appearance>aqua_hair, twintails</appearance>
<clothing>dress</clothing>
<expression>smile</expression>
<action>waving</action>
<position>center_left</position>
</character_1>

<general_tags>
<count>1girl, solo</count>
<artists>artist:someone</artists>
<style>anime_style</style>
<background>sunset</background>
</general_tags>

<caption>A girl waves at the sunset.</caption>"""


def values(scene: Scene) -> dict[str, str]:
    """What the scene says, flat."""
    said = {f"{c.path}.{name}": value.text for c in scene.characters for name, value in c.items()}
    said |= {f"general.{name}": value.text for name, value in scene.general.items()}
    return said | {f"caption{i}": c.text for i, c in enumerate(scene.captions)}


EXPECTED = {
    "character_1.n": "hatsune_miku",
    "character_1.gender": "1girl",
    "character_1.appearance": "aqua_hair, twintails",
    "character_1.clothing": "dress",
    "character_1.expression": "smile",
    "character_1.action": "waving",
    "character_1.position": "center_left",
    "general.count": "1girl, solo",
    "general.artists": "artist:someone",
    "general.style": "anime_style",
    "general.background": "sunset",
    "caption0": "A girl waves at the sunset.",
}

CAPTION = "<caption>A girl waves at the sunset.</caption>"
OTHER_SPELLINGS = {
    "as in the README": SKELETON,
    "indented": SKELETON.replace("\n<", "\n  <"),
    "one line": SKELETON.replace("\n", ""),
    "windows line ends": SKELETON.replace("\n", "\r\n"),
    "in <img>": f"<img>\n{SKELETON}\n</img>",
    "in <image>": f"<image>{SKELETON}</image>",
    "in an unknown root": f"<scene_description>{SKELETON}</scene_description>",
    "<character 1>": SKELETON.replace("character_1>", "character 1>"),
    "capitals": SKELETON.replace("character_1", "Character_1").replace("gender", "Gender"),
    "<artist>": SKELETON.replace("artists>", "artist>"),
    "<general tags>": SKELETON.replace("general_tags>", "general tags>"),
    "caption in general tags": SKELETON.replace("\n\n" + CAPTION, "").replace(
        "</general_tags>", CAPTION + "</general_tags>"
    ),
    "caption first": CAPTION + "\n" + SKELETON.replace("\n\n" + CAPTION, ""),
    "caption without tags": SKELETON.replace(CAPTION, "A girl waves at the sunset."),
    "style line in front": "<style>anime_style</style>\n" + SKELETON.replace("<style>anime_style</style>\n", ""),
    "custom section": SKELETON.replace("<clothing>", "<custom_section><clothing>").replace(
        "</clothing>", "</clothing></custom_section>"
    ),
    "xml header": '<?xml version="1.0" encoding="UTF-8"?>\n' + SKELETON,
    "comments": SKELETON.replace("<gender>", "<!-- who -->\n<gender>"),
    "cdata": SKELETON.replace("A girl waves at the sunset.", "<![CDATA[A girl waves at the sunset.]]>"),
    "attributes": SKELETON.replace("<character_1>", '<character_1 id="a">'),
    "system prompt": "You are an assistant. <Prompt Start> " + SKELETON,
    "system prompt with a comma": "You are an assistant. <Prompt Start>, \n" + SKELETON,
    "system prompt twice": "You are an assistant. <Prompt Start> You are. <prompt start>\n" + SKELETON,
}


@pytest.mark.parametrize("text", OTHER_SPELLINGS.values(), ids=OTHER_SPELLINGS)
def test_every_spelling_is_read_as_the_same_scene(text: str) -> None:
    reading = read(text)
    assert values(reading.scene) == EXPECTED
    assert reading.dialect == "xml"


@pytest.mark.parametrize("text", OTHER_SPELLINGS.values(), ids=OTHER_SPELLINGS)
def test_every_value_is_found_at_its_place_in_the_source(text: str) -> None:
    scene = read(text).scene
    for character in scene.characters:
        for field in character.fields:
            assert text[slice(*field.value.span)] == field.value.text
            assert text[slice(*field.outer)].startswith("<") and text[slice(*field.outer)].endswith(">")
    for caption in scene.captions:
        assert text[slice(*caption.span)] == caption.text


def test_a_pasted_system_prompt_and_the_body_are_the_text_byte_for_byte() -> None:
    reading = read("You are an assistant. <Prompt Start>\n <character_1><n>a</n></character_1>")
    assert reading.system_prompt == "You are an assistant. <Prompt Start>"
    assert reading.body == "\n <character_1><n>a</n></character_1>"


@pytest.mark.parametrize(
    "text",
    [
        "1girl, blue hair, smile",
        "blue_hair",
        "sunset",
        "1girl,solo,>_<,:<",
        "masterpiece, best quality, 1girl, school uniform, looking at viewer",
        "蓝发，双马尾，微笑",
        "初音ミク、笑顔、青空",
        "1girl\nsolo\nblue hair",
        "artist:wlop, 1girl",
        "(blue hair:1.2), [smile], ((masterpiece))",
        "1girl, <lora:detail:0.8>, smile",
    ],
)
def test_danbooru_lists_are_tags(text: str) -> None:
    reading = read(text)
    assert reading.dialect == "tags"
    assert [text[slice(*tag.span)] for tag in reading.scene.tags] == [tag.text for tag in reading.scene.tags]


@pytest.mark.parametrize(
    "text",
    [
        "A girl with blue hair smiles.",
        "a girl with red hair and green eyes, at the beach",
        "Two girls are holding hands, the left one laughs, and it is raining.",
        "一个蓝发双马尾的女孩在微笑。",
        "她在樱花树下走路，穿着水手服",
        "青い髪の少女が立っている。",
        '{"character_1": {"bbox": [0,0,1000,1000]}, "image": {"tags": "<general_tags></general_tags>"}}',
    ],
)
def test_sentences_are_text_and_stay_whole(text: str) -> None:
    reading = read(text)
    assert reading.dialect == "text"
    assert reading.scene.caption is not None and reading.scene.caption.text == text


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\u3000"])
def test_white_space_is_the_unconditional_picture(text: str) -> None:
    reading = read(text)
    assert reading.dialect == "empty" and reading.source.text == text
    assert reading.scene == Scene(dialect="empty")


def test_a_danbooru_wrapper_holds_plain_tags() -> None:
    reading = read(
        "<danbooru_tags>worst quality, microsoft paint \\(medium\\),low_aesthetic</danbooru_tags>", negative=True
    )
    assert [t.text for t in reading.scene.tags] == ["worst quality", "microsoft paint \\(medium\\)", "low_aesthetic"]


def test_a_panel_holds_a_scene_of_its_own() -> None:
    scene = read(
        "<character_1><n>a</n></character_1><inset_panel><character_1><n>b</n></character_1>"
        "<general_tags><background>sky</background><caption>Far away.</caption></general_tags></inset_panel>"
    ).scene
    assert [c["n"].text for c in scene.characters] == ["a"]
    (panel,) = scene.panels
    assert panel.characters[0]["n"].text == "b" and panel.general["background"].text == "sky"
    assert panel.caption is not None and panel.caption.text == "Far away." and scene.caption is None


def test_the_character_properties_and_the_rest() -> None:
    character = read(
        "<character_2><gender>1boy</gender><tail>fluffy</tail><interaction>x</interaction></character_2>"
    ).scene.characters[0]
    assert character.number == 2 and character.name is None
    assert character.gender is not None and character.gender.text == "1boy"
    assert {name: value.text for name, value in character.further.items()} == {"tail": "fluffy", "interaction": "x"}


def test_character_elements_without_a_block_belong_to_one_character() -> None:
    reading = read("<gender>1girl</gender><appearance>red_hair</appearance><background>sky</background>")
    assert reading.scene.characters[0].number == 1
    assert reading.scene.characters[0]["appearance"].text == "red_hair"
    assert reading.scene.general["background"].text == "sky"
    assert {d.code for d in reading.diagnostics} == {"NB110"}


def test_text_in_a_block_is_kept_beside_its_elements() -> None:
    reading: Reading = read("<character_1>1girl, blue_hair</character_1>")
    assert reading.scene.characters[0]["#text"].text == "1girl, blue_hair"
