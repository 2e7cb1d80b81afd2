"""What is chosen: by the seed, evenly, the same everywhere, and told."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newbie.errors import PromptError, PromptRefused
from newbie.prompt import MAX_BYTES, read, show
from newbie.prompt.reuse import Choice, Expanded, Folder, Ingredients, Recipe, Wildcards, expand
from newbie.prompt.reuse.choose import MAX_CHOICES, pick
from newbie.prompt.reuse.wildcards import MAX_FILE_BYTES


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    folder = tmp_path / "wildcards"
    (folder / "hair").mkdir(parents=True)
    (folder / "places.txt").write_text("# where\n\n  beach  \r\ncity, {day|night}\n", newline="")
    (folder / "hair" / "colors.txt").write_text("red\nblue\ngreen\n蓝\n", encoding="utf-8")
    return folder


def fill(text: str, lists: Path | None = None, seed: int = 0, **variables: str) -> Expanded:
    wildcards = Wildcards(Folder(lists)) if lists else None
    return expand(read(text), Ingredients(template=True, wildcards=wildcards, variables=variables), seed=seed)


def errors(expanded: Expanded) -> list[str]:
    return [d.code for d in expanded.reading.diagnostics if d.severity == "error"]


def test_without_the_template_nothing_changes_and_one_finding_says_so() -> None:
    text = "1girl, {red|blue}_hair, ${eyes}, __place__"
    expanded = expand(read(text), Ingredients())
    assert (expanded.text, expanded.recipe) == (text, None)
    finding = next(d for d in expanded.reading.diagnostics if d.code == "NB609")
    assert finding.severity == "info"
    assert finding.message == "{red|blue} is sent as it stands, and 2 more like it"


def test_the_same_seed_chooses_the_same_for_ever() -> None:
    """These words are kept in people's prompts: another answer here would change their pictures."""
    words = [fill("{red|blue|green|white}_hair, {smile|frown}", seed=seed).text for seed in range(4)]
    # printf '0\n1\n{red|blue|green|white}' | sha256sum: the first 16 digits, modulo the number of options
    assert words == ["white_hair, frown", "green_hair, smile", "blue_hair, smile", "blue_hair, frown"]
    assert [pick(7, "{a|b|c}", 1, 3), pick(7, "{a|b|c}", 2, 3), pick(2**63 - 1, "__x__", 1, 10**6)] == [2, 0, 355_850]


def test_every_option_is_as_likely_as_any_other() -> None:
    counts = Counter(fill("{a|b|c}", seed=seed).text for seed in range(3000))
    # The standard deviation is 26: five of them are left but once in a million, and the seeds are always the same.
    assert set(counts) == {"a", "b", "c"}
    assert all(abs(n - 1000) < 130 for n in counts.values())


def test_neighbouring_choices_are_independent() -> None:
    pairs = Counter(fill("{a|b}{a|b}", seed=seed).text for seed in range(1000))
    assert set(pairs) == {"aa", "ab", "ba", "bb"}
    assert all(abs(n - 250) < 70 for n in pairs.values())


def test_a_choice_added_in_front_leaves_the_others_as_they_were() -> None:
    for seed in range(20):
        before = fill("{a|b|c|d}, {x|y|z}", seed=seed).text
        assert fill("{1|2|3}, __nothing__, {a|b|c|d}, {x|y|z}", seed=seed).text.endswith(before)


def test_a_wildcard_is_a_line_of_its_file_and_may_hold_alternatives(lists: Path) -> None:
    words = {fill("__places__", lists, seed).text for seed in range(40)}
    assert words == {"beach", "city, day", "city, night"}


def test_a_wildcard_may_lie_in_a_folder_and_stand_in_a_word(lists: Path) -> None:
    assert {fill("__hair/colors___hair", lists, s).text for s in range(60)} == {
        "red_hair", "blue_hair", "green_hair", "蓝_hair"
    }  # fmt: skip


def test_a_variable_is_chosen_once_and_is_the_same_everywhere(lists: Path) -> None:
    for seed in range(10):
        first, _, second = fill("${c}_hair, ${c}_eyes", lists, seed, c="__hair/colors__").text.partition("_hair, ")
        assert second == f"{first}_eyes"


def test_a_default_holds_from_where_it_is_met_and_gives_way_to_a_value() -> None:
    assert fill("${c:red}_hair, ${c}_eyes, ${c:blue}").text == "red_hair, red_eyes, red"
    assert fill("${c:red}_hair, ${c}_eyes", c="green").text == "green_hair, green_eyes"
    assert fill("a${c:}b").text == "ab"


def test_a_variable_may_use_those_given_before_it() -> None:
    assert fill("${hair}", color="red", hair="${color}_hair").text == "red_hair"


def test_the_placeholder_of_a_character_is_no_variable() -> None:
    text = "<character_1><n>$character_1$</n></character_1>"
    assert fill(text, character_1="miku").text == text


def test_variables_nobody_asked_for_are_named() -> None:
    assert fill("${hair:red}", hiar="blue").unused == ("hiar",)


def test_the_recipe_says_what_was_typed_chosen_and_read(lists: Path) -> None:
    expanded = fill("${who:1girl}, {smile|frown}, __hair/colors___hair", lists, 5, who="1boy")
    recipe = expanded.recipe
    assert recipe is not None
    assert recipe.typed == "${who:1girl}, {smile|frown}, __hair/colors___hair"
    assert (recipe.seed, recipe.variables) == (5, {"who": "1boy"})
    smile, color = recipe.chosen
    assert expanded.text == f"1boy, {smile.took}, {color.took}_hair"
    assert list(recipe.files) == ["__hair/colors__"]
    assert expanded.has_choices
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_the_seed_is_recorded_only_where_something_was_chosen() -> None:
    recipe = fill("${a:b}", seed=9).recipe
    assert recipe is not None and recipe.seed is None
    assert fill("1girl", seed=9).recipe is None


@pytest.mark.parametrize(
    "record",
    [
        None, [], {}, {"typed": 1}, {"typed": "a", "seed": "1"}, {"typed": "a", "seed": True},
        {"typed": "a", "chosen": [1]},
        {"typed": "a", "chosen": [{"of": "x"}]}, {"typed": "a", "chosen": [{"of": "x", "took": 1}]},
        {"typed": "a", "styles": "ink"}, {"typed": "a", "files": {"a": float("nan")}}, {"typed": "a", "variables": []},
    ],
)  # fmt: skip
def test_a_record_that_we_would_not_write_is_not_read(record: object) -> None:
    assert Recipe.from_json(record) is None


def test_pictures_of_one_template_are_alike_until_a_file_changes() -> None:
    one = Recipe(typed="{a|b}", seed=1, chosen=(Choice("{a|b}", "a"),), files={"x.xml": "1"})
    assert one.alike(Recipe(typed="{a|b}", seed=2, files={"x.xml": "1", "y.xml": "2"}))
    assert not one.alike(Recipe(typed="{a|b}", files={"x.xml": "2"}))
    assert not one.alike(Recipe(typed="{a|c}", files={"x.xml": "1"}))
    assert not one.alike(Recipe(typed="{a|b}", files={"x.xml": "1"}, styles=("ink",)))


# ---- bad input


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("${hiar}, ${hair:x}", "NB606", "--var hiar=VALUE"),
        ("${hair:x}, ${hiar}", "NB606", "did you mean ${hair}?"),
        ("__place__", "NB607", "did you mean __places__?"),
        ("__nowhere_near__", "NB607", "it has 2 lists"),
    ],
)
def test_what_has_no_value_is_an_error_with_its_place_and_stays_as_typed(
    lists: Path, text: str, code: str, hint: str
) -> None:
    expanded = fill(f"1girl,\n{text}", lists)
    finding = next(d for d in expanded.reading.diagnostics if d.severity == "error")
    assert finding.code == code and hint in finding.hint
    assert expanded.reading.source.place(finding.span.start).line == 2
    assert expanded.text[slice(*finding.span)] in text


def test_without_a_folder_of_lists_a_wildcard_is_an_error() -> None:
    expanded = fill("__hair__")
    assert errors(expanded) == ["NB607"]
    assert "--wildcards" in expanded.reading.diagnostics[0].hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no words"),
        (b"# only a note\n\n", "holds no words"),
        (b"\xff\xfe\x00", "UTF-16"),
        (b"red\n\xe9\n", "is not UTF-8"),
        (b"\x89PNG\r\n", "a PNG picture"),
        (b"\x1f\x8b" + bytes(9), "gzip"),
    ],
)
def test_a_list_that_cannot_be_read_is_an_error(lists: Path, content: bytes, message: str) -> None:
    (lists / "bad.txt").write_bytes(content)
    expanded = fill("__bad__", lists)
    assert errors(expanded) == ["NB607"]
    assert message in expanded.reading.diagnostics[0].message


def test_a_list_of_100_megabytes_is_refused_unread(lists: Path) -> None:
    with (lists / "huge.txt").open("wb") as file:
        file.truncate(100 * 2**20)  # sparse: nothing is stored
    expanded = fill("__huge__", lists)
    assert errors(expanded) == ["NB607"]
    assert f"104,857,600 bytes; at most {MAX_FILE_BYTES:,}" in " ".join(
        (expanded.reading.diagnostics[0].message + "; " + expanded.reading.diagnostics[0].hint).split()
    )


def test_a_long_list_is_read_and_all_of_it_may_be_chosen(lists: Path) -> None:
    (lists / "long.txt").write_text("".join(f"tag_{i}\n" for i in range(140_000)))
    chosen = [int(fill("__long__", lists, seed).text[4:]) for seed in range(8)]
    assert len(set(chosen)) == 8 and max(chosen) > 50_000


def test_lists_that_name_one_another_in_a_circle_end_with_the_place_in_the_list(lists: Path) -> None:
    (lists / "a.txt").write_text("x, __b__\n")
    (lists / "b.txt").write_text("# note\n__a__\n")
    expanded = fill("__a__", lists)
    assert errors(expanded) == ["NB608"]
    shown = show(expanded.reading.diagnostics[0], expanded.reading.source)
    assert shown.startswith(f"{lists / 'b.txt'}:2:1: NB608 __a__ names itself")


def test_lists_that_name_ever_other_lists_end(lists: Path) -> None:
    for number in range(50):
        (lists / f"l{number}.txt").write_text(f"__l{number + 1}__\n")
    assert errors(fill("__l0__", lists)) == ["NB608"]


def test_lists_outside_the_folder_are_not_there(lists: Path) -> None:
    (lists.parent / "secret.txt").write_text("secret\n")
    (lists / "link.txt").symlink_to(lists.parent / "secret.txt")
    assert errors(fill("__secret__", lists)) == ["NB607"]
    expanded = fill("__link__", lists)
    assert errors(expanded) == ["NB607"]
    assert "link out of the folder" in expanded.reading.diagnostics[0].message


@pytest.mark.parametrize(
    "text",
    [
        "{a|b}" * (MAX_CHOICES + 1),
        "${a:" + "x" * 1000 + "}" + "${a}" * 300,
        "${a:xx}" + "".join(f"${{{b}:${{{a}}}${{{a}}}}}" for a, b in itertools.pairwise("abcdefghijklmnopqrs")),
    ],
    ids=["many choices", "long values", "values that double"],
)  # fmt: skip
def test_templates_without_end_stop_with_one_finding(text: str) -> None:
    try:
        expanded = fill(text)
    except PromptError as error:
        assert f"{MAX_BYTES:,}" in f"{error.message} {error.hint}"
    else:
        assert errors(expanded) == ["NB608"]


def test_what_is_chosen_is_asked_of_again() -> None:
    """Neither half says it; together they do."""
    text = "{n|n}ude, {l|l}oli"
    with pytest.raises(PromptRefused):
        fill(text)


TEXTS = st.text(max_size=6) | st.sampled_from(["{", "|", "}", "${a}", "${a:", "__x__", "\\", "<", ">", "<n>", ", "])


@settings(max_examples=1000)
@given(st.lists(TEXTS, max_size=20).map("".join), st.integers(0, 2**63 - 1))
def test_every_template_gives_words_or_a_prompt_error_and_places_in_the_text(text: str, seed: int) -> None:
    try:
        typed = read(text, negative=True)
        one, two = (expand(typed, Ingredients(template=True), seed=seed) for _ in range(2))
    except PromptError:
        return
    assert one.text == two.text
    for finding in one.reading.diagnostics:
        assert 0 <= finding.span.start <= finding.span.stop <= len(one.text)
        source, span = one.reading.source.origin(finding.span)
        assert 0 <= span.start <= span.stop <= len(source.text)
