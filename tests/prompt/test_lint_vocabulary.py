"""The vocabulary: what is in it, how it is asked, and the community's lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from newbie.errors import UsageError
from newbie.prompt.schema import fields_of
from newbie.prompt.vocabulary import bundled, plain
from newbie.prompt.vocabulary.community import MAX_BYTES, read_list
from newbie.prompt.vocabulary.groups import read_groups

VOCABULARY = bundled()


def test_it_has_the_common_tags_in_groups() -> None:
    assert len(VOCABULARY.tags) >= 1500
    assert len({tag.group for tag in VOCABULARY.tags.values()}) >= 40
    elements = {*fields_of("character"), *fields_of("general_tags")}
    assert {tag.element for tag in VOCABULARY.tags.values()} <= elements


def test_every_name_is_written_as_tags_are_and_no_alias_is_a_tag() -> None:
    assert [name for name in VOCABULARY.tags if plain(name) != name and name not in ("(o)_(o)",)] == []
    assert sorted(VOCABULARY.aliases.keys() & VOCABULARY.tags.keys()) == []
    assert set(VOCABULARY.aliases.values()) <= VOCABULARY.tags.keys()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("blue_hair", "blue_hair"), ("Blue Hair", "blue_hair"), ("  blue   hair ", "blue_hair"),
        ("blond", "blonde_hair"), ("(blue_hair:1.2)", "blue_hair"), ("((blue hair))", "blue_hair"),
        (":D", ":d"), ("[smile]", "smile"),
        ("2000s_\\(style\\)", "2000s_(style)"), ("pony tail", "ponytail"), (">_<", ">_<"), ("nothing_like_it", None),
    ],
)  # fmt: skip
def test_a_tag_is_found_in_any_spelling(text: str, name: str | None) -> None:
    tag = VOCABULARY.find(text)
    assert (tag.name if tag else None) == name


def test_elements_are_known_for_tags() -> None:
    pairs = {"blue_hair": "appearance", "hoodie": "clothing", "smile": "expression", "sunset": "background",
             "waving": "action", "masterpiece": "quality", "from_above": "perspective", "unheard_of": ""}  # fmt: skip
    assert {text: VOCABULARY.element_of(text) for text in pairs} == pairs


def test_completion_begins_with_the_prefix_then_aliases_then_what_contains_it() -> None:
    found = VOCABULARY.complete("pony", limit=50)
    assert found[0] == "ponytail"
    assert "high_ponytail" in found and found.index("high_ponytail") > found.index("ponytail")
    assert VOCABULARY.complete("blond hair")[0] == "blonde_hair"
    assert VOCABULARY.complete("") == [] and VOCABULARY.complete("qqqq") == []


def test_completion_prefers_the_element_one_is_in() -> None:
    clothes = VOCABULARY.complete("red", "clothing", 100)
    firsts = [name for name in clothes if name.startswith("red")]
    own = [VOCABULARY.tags[name].element == "clothing" for name in firsts]
    assert own == sorted(own, reverse=True) and own[0]


def test_groups_are_read_with_choices_aliases_and_lines() -> None:
    text = "hats: clothing\n    [red blue]_hat, cap = baseball cap = casquette,\n    =_=\n"
    assert [(e.tag, e.aliases) for e in read_groups(text)] == [
        (("red_hat", "hats", "clothing"), ()),
        (("blue_hat", "hats", "clothing"), ()),
        (("cap", "hats", "clothing"), ("baseball cap", "casquette")),
        (("=_=", "hats", "clothing"), ()),
    ]


PLAIN = 'blue_hair,0,900,"bluehair,/bh"\nsome_rare_tag,0,12,"rare_one,other_name"\nblack_rock,4,5,\n'
HEADED = "tag_id,name,category,count\n1,blue_hair,0,900\n2,some_rare_tag,0,12\n"


def test_both_forms_of_lists_are_read(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text(PLAIN, encoding="utf-8")
    names, aliases = read_list(path)
    assert list(names) == ["blue_hair", "some_rare_tag", "black_rock"]
    assert aliases == {"bluehair": "blue_hair", "rare_one": "some_rare_tag", "other_name": "some_rare_tag"}
    path.write_text("\ufeff" + HEADED, encoding="utf-8")
    assert read_list(path) == ({"blue_hair": None, "some_rare_tag": None}, {})


def test_a_list_adds_tags_and_leaves_ours_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text(PLAIN, encoding="utf-8")
    larger = bundled().with_list(*read_list(path))
    assert larger.find("blue_hair") == bundled().find("blue_hair")
    assert larger.find("rare one") == ("some_rare_tag", "", "")
    assert "some_rare_tag" in larger.complete("some_ra")
    assert len(larger) == len(bundled()) + 2


def test_a_list_is_parsed_once_and_again_when_it_changes(tmp_path: Path) -> None:
    path, cache = tmp_path / "tags.csv", tmp_path / "cache"
    path.write_text(PLAIN, encoding="utf-8")
    first = read_list(path, cache)
    (kept,) = cache.iterdir()
    assert read_list(path, cache) == first
    kept.write_text(kept.read_text("utf-8").replace("black_rock", "white_rock"), encoding="utf-8")
    assert "white_rock" in read_list(path, cache).names, "the cache is what was read"
    path.write_text(PLAIN + "new_one,0,1,\n", encoding="utf-8")
    assert "new_one" in read_list(path, cache).names
    for each in cache.iterdir():
        each.write_text("broken", encoding="utf-8")
    assert "new_one" in read_list(path, cache).names


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text(PLAIN, encoding="utf-8")
    (tmp_path / "file").write_text("")
    assert read_list(path, tmp_path / "file" / "cache").names


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "holds no tags"),
        (b"\xff\xfe\x00", "is no list of tags"),
        (b'"' + b"x" * 200_000 + b'"\n', "is no list of tags"),
    ],
)
def test_what_is_no_list_is_told(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "tags.csv"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=message):
        read_list(path)


def test_a_missing_file_a_folder_and_a_huge_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_list(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="no ordinary file"):
        read_list(tmp_path)
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(UsageError, match="at most"):
        read_list(path)
