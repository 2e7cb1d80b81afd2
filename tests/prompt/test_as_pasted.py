"""Prompts as people paste them: from galleries, from Danbooru, from chat programs, typed with a Chinese keyboard."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from newbie.cli.main import main
from newbie.errors import PromptError
from newbie.prompt import Reading, read, render
from newbie.prompt.boxes import written
from newbie.prompt.convert import convert
from newbie.prompt.format import formatted
from newbie.prompt.infotext import parts
from newbie.prompt.lint import fixed, lint
from newbie.prompt.meaning import meaning
from newbie.prompt.weights import marks

GALLERY = """masterpiece, 1girl, ((blue hair)), [smile]
Negative prompt: lowres, bad hands
Steps: 30, CFG scale: 7.0, Seed: 5, Civitai resources: [{"type":"lora","name":"a, b: c"},{"weight":0.8}], Clip skip: 2
"""


def said(text: str) -> dict[str, str]:
    """The hints of what the linter finds, by code."""
    return {finding.code: finding.hint for finding in lint(read(text))}


def tags(reading: Reading) -> list[str]:
    return [tag.text for tag in reading.scene.tags]


# ---- galleries


@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
def test_settings_are_settings_whatever_ends_the_file(end: str):
    found = parts(GALLERY.rstrip() + end)
    assert found.negative == "lowres, bad hands"
    assert found.settings["Seed"] == "5" and found.settings["Clip skip"] == "2"
    assert json.loads(found.settings["Civitai resources"])[0]["name"] == "a, b: c"


def test_fmt_leaves_the_lines_of_a_web_ui_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "a.txt"
    path.write_text(GALLERY, encoding="utf-8", newline="")
    assert main(["fmt", str(path)]) == 0
    assert path.read_bytes() == GALLERY.encode()
    assert f"left as it is: {path}" in capsys.readouterr().err


def test_break_is_no_word_of_a_tag():
    text = "2girls, outdoors BREAK 1girl, blue hair BREAK 1girl, red hair"
    mended = fixed(read(text)).text
    assert mended == "2girls, outdoors BREAK 1girl, blue hair BREAK 1girl, red_hair" == formatted(read(text))
    assert convert(read(mended), "xml").text == convert(read(text), "xml").text


def test_a_part_behind_break_is_a_person_only_where_it_speaks_of_one():
    one = convert(read("masterpiece BREAK 1girl, blue hair BREAK outdoors, night"), "xml").text
    assert "<background>outdoors, night</background>" in one and "character_2" not in one
    two = convert(read("2girls BREAK 1girl, blue hair BREAK 1girl, red hair BREAK sunset"), "xml").text
    assert "<background>sunset</background>" in two and "character_3" not in two and "character_2" in two


@pytest.mark.parametrize("cut", [" BREAK\n", "\nBREAK\n", ", BREAK, ", " AND ", " ADDCOL "])
def test_a_part_that_counts_several_people_is_that_of_the_picture(cut: str):
    parts = ("masterpiece", "2girls, classroom", "1girl, blonde hair", "1girl, black hair, short hair")
    made = convert(read(cut.join(parts)), "xml").text
    assert "<count>2girls</count>\n<background>classroom</background>" in made
    assert "<appearance>blonde_hair</appearance>\n</character_1>" in made and "character_3" not in made


def test_behind_break_nothing_contradicts_what_stands_before_it_but_within_a_part_it_does():
    parts = ["2girls", "1girl, blonde hair", "1girl, black hair", "short hair, long hair"]
    found = [each for each in lint(read(" BREAK\n".join(parts))) if each.code == "NB304"]
    assert [each.message for each in found] == ["long hair contradicts short hair"]


def test_and_between_sentences_is_a_word():
    text = "a girl with blue hair AND a girl with red hair AND a beach at sunset"
    assert convert(read(text), "xml").text == f"<caption>{text}</caption>"


@pytest.mark.parametrize(
    ("written", "ours"),
    [
        ("((long hair))", "(long_hair:1.21)"),
        ("[smile]", "(smile:0.909)"),
        ("blonde_hair:1.4", "(blonde_hair:1.4)"),
        ("((masterpiece:1.2))", "(masterpiece:1.32)"),
        ("1.5::red_hair::", "(red_hair:1.5)"),
        ("{{hat}}", "(hat:1.1)"),
        ("(hat:)", "(hat:1.1)"),
        ("(blue hair:120%)", "(blue_hair:1.2)"),
        ("(hat:1.3.2)", "(hat:1.3)"),
        ("（blue hair：1.2）", "(blue_hair:1.2)"),
        ("(微笑： 1.2）", "(微笑:1.2)"),
        ("((blue hair:))", "(blue_hair:1.21)"),
    ],
)
def test_the_hint_about_a_foreign_weight_weighs_the_same(written: str, ours: str):
    assert said(f"1girl, {written}, solo")["NB401"].startswith(f"write {ours}")
    assert len(marks(ours)) == 1


def test_weights_inside_weights_count_also_at_the_end():
    text = "((blue_hair:1.2), (long_hair:1.1):1.3)"
    assert {(text[m.inner.start : m.inner.stop], m.weight) for m in marks(text)} == {
        ("blue_hair", 1.2),
        ("long_hair", 1.1),
        ("(blue_hair:1.2), (long_hair:1.1)", 1.3),
    }


# ---- Danbooru


def test_tags_with_blanks_between_them_are_tags():
    text = "1girl blue_hair rem_(re:zero) :3 looking_at_viewer"
    assert tags(read(text)) == text.split()
    assert formatted(read(text)) == ", ".join(text.split()) == fixed(read(text)).text
    assert said(text)["NB307"] == "write commas between tags"
    assert convert(read(text), "xml").source == "danbooru"


@pytest.mark.parametrize("text", ["A girl with blue_hair smiles", "girl red dress beach", "my_lora is here", "a_b c"])
def test_words_without_proof_are_no_list(text: str):
    assert "NB307" not in said(text) and tags(read(text)) != text.split()


def test_semicolons_and_dashes_are_told():
    assert "NB307" in said("1girl; blue hair; smile")
    assert "NB307" in said("- 1girl\n- blue hair\n- smile")
    assert "NB307" not in said("1girl, ;), ;d, smile")
    assert fixed(read("- blue hair, - smile, 1girl")).text == "- blue hair, - smile, 1girl"  # no -_blue_hair


# ---- chat programs, editors, web pages


@pytest.mark.parametrize("text", ["```xml\n{}\n```\n", "<?xml version='1.0'?>\n{}\n", "```\n{}\n```"])
def test_what_is_wrapped_around_a_prompt_is_no_caption(text: str):
    inside = "<character_1>\n<gender>1girl</gender>\n</character_1>"
    reading = read(text.format(inside))
    assert meaning(reading.scene) == meaning(read(inside).scene)
    assert "NB115" in said(text.format(inside))
    assert fixed(reading).text.strip() == inside


def test_json_between_fences_is_json():
    assert convert(read('```json\n{"caption": "A girl."}\n```'), "xml").text == "<caption>A girl.</caption>"


def test_json_behind_a_system_prompt_is_text():
    reading = read('Draw. <Prompt Start> {"character_1": {"appearance": "blue_hair"}}')
    assert reading.dialect == "text" and not reading.scene.tags
    assert meaning(read(reading.body).scene) == meaning(reading.scene)


def test_signs_that_nobody_sees_are_told_and_emoji_are_not():
    assert "U+200B" in "".join(finding.message for finding in lint(read("1girl, blue\u200b_hair")))
    assert "NB116" not in said("1girl, \U0001f469\u200d\U0001f467, \u2764\ufe0f")


def test_brackets_of_a_chinese_keyboard_are_told():
    assert said("＜character_1＞\n＜gender＞1girl＜/gender＞")["NB112"] == "write </gender>"
    assert "NB112" not in said("＜３, 《书》, 1girl")


# ---- end tags


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (
            "<character_1>\n<appearance>blue_hair</apperance>\n</character_1>",
            "<character_1>\n<appearance>blue_hair</appearance>\n</character_1>",
        ),
        (
            "<character_1>\n<gender>1girl</gender>\n</charcter_1>\n<caption>Hi.</caption>",
            "<character_1>\n<gender>1girl</gender>\n</character_1>\n<caption>Hi.</caption>",
        ),
        (
            "<general_tags>\n<count>1girl</count>\n</genral_tags>",
            "<general_tags>\n<count>1girl</count>\n</general_tags>",
        ),
    ],
)
def test_a_misspelt_end_tag_ends_what_it_was_meant_for(text: str, right: str):
    assert [finding.code for finding in lint(read(text))] == ["NB103"]
    assert fixed(read(text)).text == right


@pytest.mark.parametrize(
    "text",
    [
        "<appearance>a</apperance></appearance>",
        "<character_1><appearance>x <apperance>y</apperance></appearance></character_1>",
        "<character_1><charcter_1>x</charcter_1><gender>1girl</gender></character_1>",
    ],
)
def test_a_misspelt_end_tag_before_the_right_one_ends_nothing(text: str):
    assert "NB103" not in said(text)
    assert meaning(read(formatted(read(text))).scene) == meaning(read(text).scene)


# ---- what is said is done


def test_a_comment_to_the_linter_moves_with_the_element_it_speaks_of():
    text = (
        "<character_1>\n<appearance>lnog_hair</appearance> <!-- newbie: ignore NB301 -->\n"
        "<clothing>red_dress</clothing>\n</character_1>\n"
    )
    assert lint(read(text)) == ()
    assert lint(read(formatted(read(text)))) == ()
    assert formatted(read(formatted(read(text)))) == formatted(read(text))


def test_only_what_is_corrected_is_called_fixable():
    text = "blue_hair, (blue_hair:1.2), 1girl"
    assert [finding.fix for finding in lint(read(text)) if finding.code == "NB303"] == [()]


def test_a_character_file_that_is_used_twice_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "a.xml").write_text("<appearance>lnog_hair, blue hair</appearance>", encoding="utf-8")
    prompt = tmp_path / "duo.xml"
    prompt.write_text('<character_1 src="a.xml"/>\n<character_2 src="a.xml"/>', encoding="utf-8")
    assert main(["lint", str(prompt)]) == 1
    captured = capsys.readouterr()
    assert captured.out.count("NB301") == captured.out.count("NB302") == 1
    assert "--fix" not in captured.err  # it is another file's


PASTED = """1girl, solo, masterpiece
{}
(worst quality, low quality:1.4), blue hiar, short hair, long hair
Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"""


@pytest.mark.parametrize(
    "unwanted",
    [
        "<negative>lowres, bad_hands</negative>",
        "<negative_prompt>lowres, bad_hands</negative_prompt>",
        "<negative_prompt><danbooru_tags>lowres, bad_hands</danbooru_tags></negative_prompt>",
    ],
)
def test_an_element_of_what_is_not_wanted_is_told_and_never_called_superfluous(unwanted: str):
    text = f"<character_1><n>a</n></character_1><general_tags><count>1girl</count></general_tags>{unwanted}"
    assert "--negative" in said(text)["NB105"]
    if "danbooru" not in unwanted:
        made = convert(read(text), "a1111")
        assert made.text == "1girl, a\nNegative prompt: lowres, bad_hands" and made.notes
        assert "the negative prompt: lowres, bad_hands" in convert(read(text), "json").lost


@pytest.mark.parametrize("heading", ["Negative prompt:", "negative prompt:", "Negative Prompt", "Negative prompt："])
def test_below_negative_prompt_nothing_is_a_mistake_but_that_it_stands_there(heading: str):
    reading = read(PASTED.replace("{}", heading))
    assert {each.code for each in lint(reading)} == {"NB402"}
    made = convert(reading, "xml")
    assert made.negative.startswith("(worst quality") and "low_quality" not in made.text


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("<charachter_2><n>a</n></charachter_2>", "NB105", "did you mean <character_2>?"),
        ("<character_1><eyes>blue</eyes></character_1>", "NB105", "did you mean <appearance>?"),
        ("<scene><character_1><n>a</n></character_1></scene>", "NB105", "delete <scene> and its end tag"),
        (
            "<characters><character_1><n>a</n></character_1></characters>",
            "NB105",
            "delete <characters> and its end tag",
        ),
        (
            '<character id="1" gender="1girl"><clothing>hat</clothing></character>',
            "NB107",
            "write an element: <character><gender>…</gender></character>",
        ),
        ('<general_tags><background value="sea"/></general_tags>', "NB107", "write <background>…</background>"),
        (
            '<general_tags><count>1girl</count></general_tags><character_1 look="blue hair, hat"/>',
            "NB112",
            "an attribute holds no comma; write tags between elements: <appearance>blue_hair</appearance>",
        ),
        ("a girl < /appearance >", "NB112", "write </appearance>, without blanks behind the < and with a > at the end"),
        ("<character_1><clothing>white&nbsp;dress</clothing></character_1>", "NB112", "write a blank"),
        ("<scene><background>sea</background></scene>", "NB105", "did you mean <general_tags>?"),
        ("<character_1><position x='40%'/></character_1>", "NB701", "write 0.4, a number from 0 to 1"),
        ("<character_1><position x='400%'/></character_1>", "NB701", "write a number from 0 to 1"),
        ("1girl, [blue|red] hair, smile", "NB302", "write [blue|red]_hair"),
        ("1girl, {blue|red} hair, smile", "NB302", "write {blue|red}_hair"),
        ("1girl, ([blue hair]:1.2), smile", "NB302", "write blue_hair"),
        ("“masterpiece”, 1girl, ‘blue hair’, smile", "NB301", "did you mean blue_hair?"),
        ('"1girl", "solo", "smile"', "NB301", "did you mean 1girl?"),
        ("1girl, (blue hair:1,2), smile", "NB401", "write (blue_hair:1.2), or blue_hair; a point, no comma"),
        (
            "<character_1><n>a</n></character_1><general_tags><count>2girls</count></general_tags>",
            "NB207",
            "write how many there are, or change the characters",
        ),
    ],
)
def test_a_hint_can_be_followed(text: str, code: str, hint: str):
    assert hint in [each.hint for each in lint(read(text)) if each.code == code]


def test_round_quotation_marks_of_a_telephone_are_quotation_marks():
    text = (
        "<character_1><clothing weight=“1.3”>hat</clothing><position x=“0.1” width=‘0.4’>left</position></character_1>"
    )
    reading = read(text)
    assert lint(reading) == ()
    assert render(reading).jina.text == "<character_1><clothing>hat</clothing><position>left</position></character_1>"
    assert written(reading)["character_1"][:3] == (0.1, 0.0, 0.4)
    assert '<position x="0.1" width="0.4">' in formatted(reading)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('{"caption": "a",}', "a comma stands only between two; delete the one before it"),
        ('{"caption": ["a", ]}', "a comma stands only between two; delete the one before it"),
        ('{"caption": "a", style: "b"}', "correct it there"),
    ],
)
def test_a_comma_too_many_in_json_is_called_one(text: str, hint: str):
    with pytest.raises(PromptError) as caught:
        convert(read(text), "xml")
    assert caught.value.hint == hint
