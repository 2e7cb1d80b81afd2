"""What two prompts say otherwise; a layout is no difference."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newbie.cli.diff import lines
from newbie.cli.main import main
from newbie.prompt import canonical_text, compose, read
from newbie.prompt.diff import Change, attribute_differences, differences

A = (
    "<character_1><n>a</n><appearance>blue_hair, hat</appearance><tail>long</tail></character_1>"
    "<character_2><n>b</n></character_2><general_tags><count>2girls</count></general_tags><caption>Two girls.</caption>"
)
Capture = pytest.CaptureFixture[str]


def between(before: str, after: str) -> list[Change]:
    return differences(read(before).scene, read(after).scene)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("blue_hair", "red_hair", Change("changed", "character_1.appearance", ("blue_hair",), ("red_hair",))),
        ("blue_hair, hat", "hat, blue hair",
         Change("reordered", "character_1.appearance", ("blue_hair", "hat"), ("hat", "blue_hair"))),
        (", hat", "", Change("changed", "character_1.appearance", ("hat",), ())),
        ("hat", "hat, hat", Change("changed", "character_1.appearance", (), ("hat",))),
        ("<tail>long</tail>", "", Change("removed", "character_1.tail", ("long",), ())),
        ("<character_2><n>b</n></character_2>", "", Change("removed", "character_2", ("b",), ())),
        ("<count>", "<style>flat</style><count>", Change("added", "general_tags.style", (), ("flat",))),
        ("Two girls.", "Three girls.", Change("changed", "caption", ("Two girls.",), ("Three girls.",))),
        ("</caption>", "</caption><caption>More.</caption>", Change("added", "caption~2", (), ("More.",))),
        ("character_2>", "character_3>", Change("renumbered", "character_2", ("character_2",), ("character_3",))),
        ("<caption>", "<inset_panel><count>1boy</count></inset_panel><caption>",
         Change("added", "inset_panel_1.general_tags.count", (), ("1boy",))),
    ],
)  # fmt: skip
def test_a_change_is_named_by_its_path(old: str, new: str, expected: Change):
    assert between(A, A.replace(old, new)) == [expected]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('x="0.5"', 'x="0.6"', [Change("changed", "character_2.position", ('x="0.5"',), ('x="0.6"',))]),
        (' weight="1.3"', "", [Change("changed", "character_1", ('weight="1.3"',), ())]),
        ("<general_tags>", '<general_tags id="a">', []),
        ("character_2>", "character_3>", [Change("renumbered", "character_2", ("character_2",), ("character_3",))]),
        ("<character_2>", "<character_2 weight='0.5'>", [Change("changed", "character_2", (), ('weight="0.5"',))]),
    ],
)
def test_weights_and_boxes_in_start_tags_are_differences(old: str, new: str, expected: list[Change]):
    text = (
        '<character_1 weight="1.3"><n>a</n></character_1><character_2><n>b</n><position x="0.5"/></character_2>'
        "<general_tags><style>ink</style></general_tags>"
    )
    before, after = read(text), read(text.replace(old, new))
    found = differences(before.scene, after.scene)
    assert found + attribute_differences(before, after, found) == expected


def test_prompts_that_differ_in_a_box_alone_are_not_the_same(capsys: Capture):
    one, other = (f'<character_1><n>a</n><position x="{x}">left</position></character_1>' for x in ("0", "0.5"))
    assert main(["diff", one, other]) == 1
    assert capsys.readouterr().out.splitlines()[2:] == [
        '- character_1.position: x="0"',
        '+ character_1.position: x="0.5"',
    ]


def test_layout_order_of_elements_and_spelling_are_no_difference():
    other = (
        "<img>\n <caption>Two   girls.</caption> <!-- c --> <general tags><count>2girls,</count></general tags>\n"
        "<character 2><name>b</name></character 2><Character_1><tail>long</tail><n>a</n>"
        "<appearance>blue hair , hat</appearance></Character_1></img>"
    )
    assert between(A, other) == []


def test_characters_that_changed_places_are_renumbered():
    swapped = A.replace("character_1", "x").replace("character_2", "character_1").replace("<x", "<character_2")
    found = between(A, swapped.replace("</x", "</character_2"))
    assert [change.how for change in found] == ["renumbered", "renumbered"]


def test_characters_come_by_number():
    crowd = "".join(f"<character_{number}><n>n{number}</n></character_{number}>" for number in range(1, 12))
    paths = [change.path for change in between("", crowd)]
    assert paths == [f"character_{number}" for number in range(1, 12)]


def test_plain_lists_are_compared_too():
    assert between("1girl, blue hair", "1girl, red_hair") == [Change("changed", "tags", ("blue_hair",), ("red_hair",))]


words = st.lists(st.sampled_from(["hat", "smile", "blue_hair", "dress"]), min_size=1, max_size=3).map(", ".join)
people = st.lists(st.dictionaries(st.sampled_from(["n", "appearance", "action"]), words, min_size=1), max_size=3)
scenes = st.builds(
    compose, people, st.dictionaries(st.sampled_from(["count", "style"]), words), st.sampled_from(["", "Hi."])
)


@settings(max_examples=200)
@given(scenes, scenes)
def test_there_is_no_difference_exactly_when_the_canonical_texts_are_equal(one, other):
    assert (differences(one, other) == []) == (canonical_text(one) == canonical_text(other))


@settings(max_examples=100)
@given(scenes, scenes)
def test_the_other_way_round_what_was_added_was_removed(one, other):
    back = {"added": "removed", "removed": "added"}
    there = {
        (c.how, frozenset((c.path, *c.before[:1], *c.after[:1]))) for c in differences(one, other) if c.how == "changed"
    }
    here = {
        (c.how, frozenset((c.path, *c.before[:1], *c.after[:1]))) for c in differences(other, one) if c.how == "changed"
    }
    assert there == here
    assert sorted(back[c.how] + c.path for c in differences(one, other) if c.how in back) == sorted(
        c.how + c.path for c in differences(other, one) if c.how in back
    )


def test_lines_have_a_sign_and_a_path():
    assert list(lines(Change("changed", "caption", ("A.",), ("B.",)))) == ["- caption: A.", "+ caption: B."]
    assert list(lines(Change("added", "character_2", (), ("b",)))) == ["+ character_2 (all of it): b"]
    assert list(lines(Change("reordered", "tags", ("a", "b"), ("b", "a")))) == ["~ tags: the order is now b, a"]


def test_the_command_says_by_its_exit_code_whether_they_differ(tmp_path: Path, capsys: Capture):
    one, other = tmp_path / "a.xml", tmp_path / "b.xml"
    one.write_text(A)
    other.write_text(A.replace("blue_hair", "red_hair"))
    assert main(["diff", str(one), str(one)]) == 0
    assert "the same text" in capsys.readouterr().out
    assert main(["diff", str(one), A.replace(", ", ",")]) == 0
    assert "only the layout differs" in capsys.readouterr().out
    assert main(["diff", str(one), str(other)]) == 1
    shown = capsys.readouterr().out
    assert "- character_1.appearance: blue_hair\n+ character_1.appearance: red_hair\n" in shown
    assert main(["diff", str(one), str(other), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["changes"][0]["path"] == "character_1.appearance" and told["same_text"] is False


def test_character_files_are_part_of_what_is_compared(tmp_path: Path, capsys: Capture):
    (tmp_path / "miku.xml").write_text("<character_1><appearance>aqua_hair</appearance></character_1>")
    (tmp_path / "a.xml").write_text('<character_1 src="miku.xml"/>')
    (tmp_path / "b.xml").write_text("<character_1><appearance>aqua_hair</appearance></character_1>")
    assert main(["diff", str(tmp_path / "a.xml"), str(tmp_path / "b.xml")]) == 0


@pytest.mark.parametrize(
    "arguments", [["a, b"], ["a, b", "missing.xml"], ["prompts", "a, b"], ["a, b", "c, d", "--images", "-n", "2"]]
)
def test_wrong_usage_is_told(arguments: list[str], capsys: Capture):
    assert main(["diff", *arguments]) == 2
    assert "hint:" in capsys.readouterr().err
