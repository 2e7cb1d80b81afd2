"""Captions never contradict the drawing, whatever form they take."""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter

import pytest

from newbie.prompt import canonical_text, read
from newbie.train.figures import FORMS, Character, PictureSpec, caption, caption_full, sample, words
from newbie.train.figures.captions import PLACEHOLDERS, QUALITIES
from newbie.train.figures.names import NAMED
from newbie.train.figures.sentences import (
    ACTION_PHRASES,
    LIGHT_PHRASES,
    PLACE_PHRASES,
    PROP_PHRASES,
    SCENE_PHRASES,
    STYLE_PHRASES,
)

CHARACTER_TABLES = {
    "gender": (words.GENDER_TAGS, words.GENDER_ZH),
    "hair_color": (words.HAIR_COLOR_TAGS, words.HAIR_COLOR_ZH),
    "hair_style": (words.HAIR_STYLE_TAGS, words.HAIR_STYLE_ZH),
    "eye_color": (words.EYE_COLOR_TAGS, words.EYE_COLOR_ZH),
    "mouth": (words.MOUTH_TAGS, words.MOUTH_ZH),
    "lids": (words.LID_TAGS, words.LID_ZH),
    "action": (words.ACTION_TAGS, words.ACTION_ZH),
    "prop": (words.PROP_TAGS, words.PROP_ZH),
    "position": (words.POSITION_TAGS, words.POSITION_ZH),
    "blush": ({"yes": words.BLUSH_TAGS}, {"yes": words.BLUSH_ZH}),
    "accessories": (words.ACCESSORY_TAGS, words.ACCESSORY_ZH),
}
MEANINGS = {
    spelling: (field, value)
    for field, tables in CHARACTER_TABLES.items()
    for table in tables
    for value, spellings in table.items()
    for spelling in spellings
}
for outfit, spellings in words.OUTFIT_TAGS.items():
    MEANINGS |= {f"{c}_{s}": ("clothes", (outfit, c)) for c in words.OUTFIT_COLORS for s in spellings}
    for c, (zh,) in words.OUTFIT_COLOR_ZH.items():
        MEANINGS |= {zh + s: ("clothes", (outfit, c)) for s in words.OUTFIT_ZH[outfit]}
PICTURE_TABLES = {
    "background": (words.BACKGROUND_TAGS, words.BACKGROUND_ZH),
    "style": (words.STYLE_TAGS, words.STYLE_ZH),
    "framing": (words.FRAMING_TAGS, words.FRAMING_ZH),
    "lighting": (words.LIGHT_TAGS, words.LIGHT_ZH),
}
OF_PICTURE = {
    spelling: (field, value)
    for field, tables in PICTURE_TABLES.items()
    for table in tables
    for value, spellings in table.items()
    for spelling in spellings
}
EMPTY_WORDS = {tag for text in QUALITIES for tag in text.split(", ")} | {"looking_at_viewer", "digital_art"}
COUNTS = {"solo", *(f"{n}{kind}{'s' if n > 1 else ''}" for n in (1, 2, 3) for kind in ("girl", "boy"))}


def split(text: str) -> list[str]:
    return [word.strip().replace(" ", "_") for word in text.split(",") if word.strip()]


def shows(character: Character, word: str) -> bool:
    """Whether one word is true of one figure. An unknown word is a KeyError, and so a failure."""
    if word in EMPTY_WORDS:
        return True
    if word in NAMED:
        return character.name == word
    field, value = MEANINGS[word]
    if field == "clothes":
        return (character.outfit, character.outfit_color) == value
    if field == "accessories":
        return value in character.accessories
    if field == "blush":
        return character.blush
    if field == "eye_color" and character.lids == "closed_eyes":
        return False
    return getattr(character, field) == value


def picture_shows(spec: PictureSpec, word: str) -> bool:
    """The same for words about the whole picture."""
    if word in EMPTY_WORDS:
        return True
    field, value = OF_PICTURE[word]
    return getattr(spec, field) == value


def elements(block: str) -> dict[str, str]:
    return dict(re.findall(r"<(\w+)>([^<]*)</\1>", block))


def check_counts(spec: PictureSpec, told: list[str]) -> None:
    girls = sum(character.gender == "girl" for character in spec.characters)
    boys = len(spec.characters) - girls
    truth = {"solo": len(spec.characters) == 1}
    for kind, number in (("girl", girls), ("boy", boys)):
        truth |= {f"{n}{kind}{'s' if n > 1 else ''}": n == number for n in (1, 2, 3)}
    assert all(truth[word] for word in told if word in COUNTS)


def check_xml(spec: PictureSpec, text: str) -> None:
    blocks = [elements(block) for _, block in re.findall(r"<(character_\d)>(.*?)</\1>", text, re.S)]
    told = [[word for value in block.values() for word in split(value)] for block in blocks]
    for words_told, block in zip(told, blocks, strict=True):
        if re.sub(r"\d", "{}", block.get("n", "")) in PLACEHOLDERS:
            words_told.remove(block["n"])
    assert any(
        all(shows(character, word) for character, block in zip(order, told, strict=False) for word in block)
        for order in itertools.permutations(spec.characters)
    ), (spec, text)
    assert len(blocks) <= len(spec.characters)
    for general in re.findall(r"<general_tags>(.*?)</general_tags>", text, re.S):
        found = elements(general)
        check_counts(spec, split(found.get("count", "")))
        for name in ("background", "style", "perspective", "lighting", "quality"):
            assert all(picture_shows(spec, word) for word in split(found.get(name, ""))), (spec, text, name)
    for sentence in re.findall(r"<caption>(.*?)</caption>", text, re.S):
        check_english(spec, sentence)


def check_tags(spec: PictureSpec, text: str) -> None:
    told = split(text)
    check_counts(spec, told)
    for word in set(told) - COUNTS - EMPTY_WORDS:
        if word in OF_PICTURE:
            assert picture_shows(spec, word), (spec, text, word)
        else:
            assert any(shows(character, word) for character in spec.characters), (spec, text, word)


def check_english(spec: PictureSpec, text: str) -> None:
    sentence = text.lower().rstrip(".")
    for field, phrases in (("background", SCENE_PHRASES), ("lighting", LIGHT_PHRASES)):
        for value, phrase in phrases.items():
            if f", {phrase}" in sentence:
                assert getattr(spec, field) == value
                sentence = sentence.replace(f", {phrase}", "")
    for framing in words.FRAMINGS:
        phrase = f", {framing.replace('_', ' ')}"
        assert spec.framing == framing or phrase not in sentence
        sentence = sentence.replace(phrase, "")
    for style, phrase in STYLE_PHRASES.items():
        assert spec.style == style or not sentence.startswith(phrase)
        sentence = sentence.removeprefix(phrase + " ")
    people = re.split(rf"(?:, | and )(?=a (?:girl|boy) with |(?:{'|'.join(NAMED)})\b)", sentence)
    assert len(people) == len(spec.characters), text
    for person in people:
        places = [place for place, phrase in PLACE_PHRASES.items() if re.search(rf"\b{phrase}\b", person)]
        # "center left" contains no other phrase; "on the left" none either
        match = [c for c in spec.characters if not places or c.position in places]
        assert match, text
        assert places or len(spec.characters) == 1
        check_person(match[0], person)


def check_person(character: Character, person: str) -> None:
    for field, phrases in (("action", ACTION_PHRASES), ("prop", PROP_PHRASES)):
        for value, phrase in phrases.items():
            assert getattr(character, field) == value or not re.search(rf"\b{phrase}\b", person)
    if not person.startswith("a "):
        assert person.split()[0] == character.name
        return
    assert person.startswith(f"a {character.gender} with ")
    colors = {*words.HAIR_COLORS, *words.EYE_COLORS, *words.OUTFIT_COLORS}
    told = [word for word in re.findall(r"\w+", person) if word in colors]
    assert told[0] == ("yellow" if character.hair_color == "blonde" and "blonde" not in told else character.hair_color)
    rest = told[1:]
    if f"{character.eye_color} eyes" in person:
        rest = rest[1:]
        assert character.lids != "closed_eyes"
    assert rest in ([], [character.outfit_color])


def check_chinese(spec: PictureSpec, text: str) -> None:
    for character in spec.characters:
        hairs = words.HAIR_COLOR_ZH[character.hair_color]
        assert any(hair in text for hair in hairs) or (character.name and character.name in text)
    for spelling, (field, value) in OF_PICTURE.items():
        if not spelling.isascii() and spelling in re.split(r"[,，]", text):
            assert getattr(spec, field) == value
    if len(spec.characters) > 1:
        for place, hair in re.findall(r"(左边|左侧|中间偏左|中间偏右|中间|中央|右边|右侧)是([一-鿿]{2})", text):
            (character,) = (c for c in spec.characters if place in words.POSITION_ZH[c.position])
            assert any(spelling.startswith(hair) for spelling in words.HAIR_COLOR_ZH[character.hair_color])


CHECKS = {
    "xml": check_xml,
    "partial": check_xml,
    "tags": check_tags,
    "english": check_english,
    "chinese": check_chinese,
    "empty": lambda spec, text: None,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_caption_of_every_form_agrees_with_its_drawing(form: str):
    rng = random.Random(1)
    for _ in range(600):
        spec = sample(rng, split="any")
        text = caption(spec, rng, form=form)  # type: ignore[arg-type]
        assert (text == "") <= (form in ("empty", "partial", "tags"))
        CHECKS[form](spec, text)


def test_the_checker_notices_a_caption_of_another_drawing():
    rng = random.Random(2)
    wrong = 0
    for _ in range(100):
        a, b = sample(rng, characters=2), sample(rng, characters=2)
        try:
            check_xml(b, caption_full(a))
        except AssertionError:
            wrong += 1
    assert wrong == 100


def test_the_forms_come_in_the_documented_shares():
    rng = random.Random(3)
    spec = sample(rng)
    texts = [caption(spec, rng) for _ in range(4000)]
    empty = sum(text == "" for text in texts) / len(texts)
    xml = sum("<" in text for text in texts) / len(texts)
    chinese = sum("<" not in text and any("\u4e00" <= sign <= "\u9fff" for sign in text) for text in texts) / len(texts)
    assert empty == pytest.approx(FORMS["empty"], abs=0.02)
    assert xml == pytest.approx(FORMS["xml"] + FORMS["partial"], abs=0.03)
    assert chinese == pytest.approx(FORMS["chinese"], abs=0.02)
    assert abs(sum(FORMS.values()) - 1) < 1e-9


def test_the_number_of_a_character_says_nothing_about_its_place():
    rng = random.Random(4)
    first = Counter(
        "left"
        in elements(caption(sample(rng, characters=2), rng, form="xml").split("</character_1>")[0]).get("position", "")
        for _ in range(600)
    )
    assert 200 < first[True] < 400


def test_the_full_caption_is_canonical_and_always_the_same():
    spec = PictureSpec(
        (
            Character(hair_style="twintails", outfit="hoodie", outfit_color="red", position="left"),
            Character(gender="boy", hair_color="blonde", hair_style="spiky_hair", eye_color="aqua", outfit="shirt",
                      outfit_color="white", lids="closed_eyes", blush=True, accessories=("cat_ears", "glasses"),
                      action="waving", position="right"),
        ),
        background="night",
    )  # fmt: skip
    assert caption_full(spec) == "\n".join(
        [
            "<character_1>",
            "<gender>1girl</gender>",
            "<appearance>blue_hair, twintails, blue_eyes</appearance>",
            "<clothing>red_hoodie</clothing>",
            "<expression>smile</expression>",
            "<position>left</position>",
            "</character_1>",
            "<character_2>",
            "<gender>1boy</gender>",
            "<appearance>blonde_hair, spiky_hair, cat_ears</appearance>",
            "<clothing>white_shirt, glasses</clothing>",
            "<expression>smile, closed_eyes, blush</expression>",
            "<action>waving</action>",
            "<position>right</position>",
            "</character_2>",
            "<general_tags>",
            "<count>1girl, 1boy</count>",
            "<style>anime_style</style>",
            "<background>night</background>",
            "<perspective>upper_body</perspective>",
            "<lighting>daylight</lighting>",
            "</general_tags>",
        ]
    )


def test_captions_are_repeatable_by_seed():
    spec = sample(random.Random(5))
    assert [caption(spec, random.Random(6)) for _ in range(2)] == [caption(spec, random.Random(6))] * 2


def test_no_spelling_means_two_things():
    spellings = [
        (field, spelling)
        for field, tables in CHARACTER_TABLES.items()
        for table in tables
        for spellings in table.values()
        for spelling in spellings
    ] + [
        (field, spelling)
        for field, tables in PICTURE_TABLES.items()
        for table in tables
        for spellings in table.values()
        for spelling in spellings
    ]
    repeated = [word for word, count in Counter(word for _, word in spellings).items() if count > 1]
    assert repeated == []


@pytest.mark.parametrize("form", ["xml", "partial"])
def test_the_prompt_reader_finds_the_same_elements_in_every_xml_caption(form: str):
    rng = random.Random(7)
    for _ in range(200):
        spec = sample(rng)
        text = caption(spec, rng, form=form)  # type: ignore[arg-type]
        scene = read(text).scene
        blocks = [elements(block) for _, block in re.findall(r"<(character_\d)>(.*?)</\1>", text, re.S)]
        assert [{k: v.text for k, v in character.items()} for character in scene.characters] == blocks
        general = re.search(r"<general_tags>(.*?)</general_tags>", text, re.S)
        assert {k: v.text for k, v in scene.general.items()} == (elements(general[1]) if general else {})
        assert [value.text for value in scene.captions] == re.findall(r"<caption>(.*?)</caption>", text)


def test_the_prompt_reader_takes_every_form_for_what_it_is():
    rng = random.Random(8)
    for form, dialect in (
        ("xml", "xml"),
        ("tags", "tags"),
        ("english", "text"),
        ("empty", "empty"),
    ):
        for _ in range(60):
            text = caption(sample(rng), rng, form=form)  # type: ignore[arg-type]
            if text.count(",") < 2 or form != "english":  # two comma-separated phrases behind one make a list
                assert read(text).dialect == dialect, text
    chinese = [caption(sample(rng), rng, form="chinese") for _ in range(60)]
    assert {read(text).dialect for text in chinese} == {"tags", "text"}  # commas or none


def test_the_full_caption_is_what_the_prompt_package_calls_canonical():
    rng = random.Random(9)
    for _ in range(100):
        text = caption_full(sample(rng))
        reading = read(text)
        assert reading.diagnostics == ()
        assert canonical_text(reading.scene) == text


def test_a_name_says_its_design_often_enough_alone():
    rng = random.Random(10)
    alone = told = 0
    for _ in range(3000):
        spec = sample(rng, characters=1)
        (character,) = spec.characters
        if character.name:
            assert {field: getattr(character, field) for field in NAMED[character.name]} == NAMED[character.name]
            text = caption(spec, rng, form="xml")
            told += f"<n>{character.name}</n>" in text
            alone += "<appearance>" not in text
    assert told > 300
    assert 0.35 < alone / told < 0.6
