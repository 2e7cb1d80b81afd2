"""Editing changes one element and no other character."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newbie.errors import PromptError
from newbie.prompt import read, set_value

DUO = """\
You are an assistant. <Prompt Start>
<character_1>
  <n>a</n>
  <clothing>dress, hat</clothing>
</character_1>

<character_3>
  <n>c</n>
</character_3>

<general_tags>
  <count>2girls</count>
</general_tags>
<caption>Two girls &  >_<.</caption>
"""


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        ("character_1.n", "b", "<n>a</n>", "<n>b</n>"),
        ("character_1.clothing[1]", "cap", "dress, hat", "dress, cap"),
        ("character_1.clothing[2]", "tie", "dress, hat", "dress, hat, tie"),
        ("character_1.clothing[0]", "", "dress, hat", "hat"),
        ("general_tags.count", "3girls", "2girls", "3girls"),
        ("general.count", "3girls", "2girls", "3girls"),
        ("count", "3girls", "2girls", "3girls"),
        ("caption", "One girl.", "Two girls &  >_<.", "One girl."),
        ("character_1.appearance", "red", "<n>a</n>\n", "<n>a</n>\n  <appearance>red</appearance>\n"),
        ("appearance", "red", "<n>a</n>\n", "<n>a</n>\n  <appearance>red</appearance>\n"),
        ("character_3.position", "left", "<n>c</n>\n", "<n>c</n>\n  <position>left</position>\n"),
        ("background", "sky", "2girls</count>\n", "2girls</count>\n  <background>sky</background>\n"),
        ("artist", "x", "2girls</count>\n", "2girls</count>\n  <artists>x</artists>\n"),
        (
            "character_2.n", "b", "</character_1>\n", "</character_1>\n<character_2>\n<n>b</n>\n</character_2>\n",
        ),
        ("character_1.clothing", "", "  <clothing>dress, hat</clothing>\n", ""),
        ("caption", "", "<caption>Two girls &  >_<.</caption>\n", ""),
        ("character_1.expression", "", "", ""),
    ],
)  # fmt: skip
def test_only_the_element_changes(path: str, value: str, old: str, new: str) -> None:
    assert set_value(DUO, path, value) == DUO.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "path", "value", "expected"),
    [
        ("", "character_1.appearance", "red", "<character_1>\n<appearance>red</appearance>\n</character_1>"),
        ("", "caption", "Hi.", "<caption>Hi.</caption>"),
        ("", "tags", "1girl", "1girl"),
        ("1girl, smile", "tags[1]", "frown", "1girl, frown"),
        ("1girl, smile", "tags[2]", "hat", "1girl, smile, hat"),
        ("1girl, smile", "tags[0]", "", "smile"),
        ("1girl, smile", "tags", "1boy", "1boy"),
        (
            "1girl, smile", "background", "sky",
            "<general_tags>\n<background>sky</background>\n<other>1girl, smile</other>\n</general_tags>",
        ),
        ("A girl smiles.", "caption", "A boy smiles.", "A boy smiles."),
        (
            "A girl smiles.", "count", "1girl",
            "<general_tags>\n<count>1girl</count>\n</general_tags>\n<caption>A girl smiles.</caption>",
        ),
        ("<character_1/>", "n", "a", "<character_1>\n<n>a</n>\n</character_1>"),
        ("<character_1><n/></character_1>", "n", "a", "<character_1><n>a</n></character_1>"),
        ("<character_1><n></n></character_1>", "n", "a", "<character_1><n>a</n></character_1>"),
        (
            "<character_1><n>a</n></character_1>", "gender", "1boy",
            "<character_1><n>a</n><gender>1boy</gender></character_1>",
        ),
        (
            "<character_1><n>a\n</character_1>", "gender", "1boy",
            "<character_1><n>a\n\n<gender>1boy</gender></character_1>",
        ),
    ],
)  # fmt: skip
def test_what_is_missing_is_written_where_it_belongs(text: str, path: str, value: str, expected: str) -> None:
    assert set_value(text, path, value) == expected


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("character_1.apperance", "did you mean appearance?"),
        ("character_1.count", "no element 'count'"),
        ("character_1..n", "names no element"),
        ("", "names no element"),
        ("character_1.clothing[9]", "has 2 tags"),
        ("hairdo", "no element 'hairdo'"),
    ],
)
def test_a_wrong_path_is_explained(path: str, message: str) -> None:
    with pytest.raises(PromptError) as caught:
        set_value(DUO, path, "x")
    assert message in str(caught.value)


@pytest.mark.parametrize("value", ["x</n><gender>1boy</gender>", "<caption>a", "a</character_1>"])
def test_a_value_cannot_break_out_of_its_element(value: str) -> None:
    with pytest.raises(PromptError, match="cannot be set"):
        set_value(DUO, "character_1.n", value)


@settings(max_examples=300)
@given(
    st.sampled_from(["character_1.n", "character_2.appearance", "general_tags.background", "caption", "count"]),
    st.text(st.sampled_from("ab ,_<>&3:/\n蓝"), min_size=1, max_size=12),
)
def test_a_value_that_was_set_is_read_back(path: str, value: str) -> None:
    try:
        text = set_value(DUO, path, value)
    except PromptError:
        return
    if value.strip():
        assert value.strip() in text
        assert [v for v in read(text).scene.characters if v.number == 3]
