"""Character files: the character of a file in the place of the tag that names it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from newbie.errors import PromptError, PromptRefused
from newbie.prompt import MAX_BYTES, read, read_file, set_value, show
from newbie.prompt.reuse import Expanded, Ingredients, expand, read_prompt_file
from newbie.prompt.reuse.characters import MAX_DEEP, MAX_USES

MIKU = """<character_1>
  <n>$character_1$</n>
  <appearance>aqua_hair, twintails</appearance>
  <clothing>grey_shirt, skirt</clothing>
</character_1>
"""
Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(name: str, text: str) -> Path:
        path = tmp_path / "prompts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    written("miku.xml", MIKU)
    return written


@pytest.fixture
def drawn(write: Write) -> Callable[..., Expanded]:
    """drawn(text, **variables): the prompt as a file beside the character files, expanded."""

    def expanded(text: str, *, template: bool = False, seed: int = 0, **variables: str) -> Expanded:
        path = write("prompt.xml", text)
        ingredients = Ingredients(prompt=path, template=template, variables=variables)
        return expand(read_file(path), ingredients, seed=seed)

    return expanded


def errors(expanded: Expanded) -> list[str]:
    return [d.code for d in expanded.reading.diagnostics if d.severity == "error"]


def place(expanded: Expanded) -> tuple[int, int]:
    """Line and column, in its own file, of the last error."""
    error = [d for d in expanded.reading.diagnostics if d.severity == "error"][-1]
    source, span = expanded.reading.source.origin(error.span)
    return source.place(span.start)


Drawn = Callable[..., Expanded]


def test_the_character_of_a_file_stands_where_its_tag_stood(drawn: Drawn) -> None:
    text = drawn('<character_1 src="miku.xml"/>\n<caption>A girl.</caption>').text
    assert text == MIKU.strip() + "\n<caption>A girl.</caption>"


def test_it_takes_the_number_it_has_here_and_its_placeholder_with_it(drawn: Drawn) -> None:
    text = drawn('<character 2 src="miku.xml"/>').text
    assert text.startswith("<character 2>\n  <n>$character_2$</n>\n") and text.endswith("\n</character 2>")
    assert "character_1" not in text


def test_a_name_of_its_own_stays(drawn: Drawn, write: Write) -> None:
    write("rin.xml", "<character_1><n>kagamine_rin, $character_9$</n></character_1>")
    assert "kagamine_rin, $character_9$" in drawn('<character_2 src="rin.xml"/>').text


def test_a_file_may_hold_the_elements_alone(drawn: Drawn, write: Write) -> None:
    write("plain.txt", "\n\n<gender>1girl</gender>\n<appearance>red_hair</appearance>\n\n")
    assert drawn('<character_1 src="plain.txt"></character_1>').text == (
        "<character_1>\n<gender>1girl</gender>\n<appearance>red_hair</appearance>\n</character_1>"
    )


def test_elements_between_the_tags_replace_remove_and_add(drawn: Drawn) -> None:
    text = drawn(
        '<character_1 src="miku.xml">\n<position>left</position><clothing/>\n'
        "<appearance>pink_hair, >_<</appearance></character_1>"
    ).text
    assert text == (
        "<character_1>\n  <n>$character_1$</n>\n  <appearance>pink_hair, >_<</appearance>\n"
        "  <position>left</position>\n</character_1>"
    )


def test_text_between_the_tags_is_kept(drawn: Drawn) -> None:
    scene = drawn('<character_1 src="miku.xml">waving at you</character_1>').reading.scene
    assert scene.characters[0]["#text"].text == "waving at you"


def test_a_file_may_build_on_another_beside_it(drawn: Drawn, write: Write) -> None:
    write("cast/base.xml", "<appearance>aqua_hair</appearance><clothing>shirt</clothing>")
    write("cast/red.xml", '<character_1 src="base.xml"><clothing>red_dress</clothing></character_1>')
    write("cast/far/up.xml", '<character_1 src="../red.xml"/>')
    character = drawn('<character_3 src="cast/far/up.xml"/>').reading.scene.character(3)
    assert character is not None
    assert {name: value.text for name, value in character.items()} == {
        "appearance": "aqua_hair",
        "clothing": "red_dress",
    }


def test_characters_of_panels_come_from_files_too(drawn: Drawn) -> None:
    scene = drawn('<inset_panel><character_1 src="miku.xml"/></inset_panel>').reading.scene
    assert scene.panels[0].characters[0]["appearance"].text == "aqua_hair, twintails"


def test_a_tag_in_a_comment_reads_nothing(drawn: Drawn) -> None:
    text = '<!-- <character_1 src="nowhere.xml"/> --><caption>A girl.</caption>'
    assert drawn(text).text == text
    assert errors(drawn(text)) == []


def test_an_element_can_be_set_on_a_character_from_a_file(drawn: Drawn) -> None:
    text = set_value('<character 2 src="miku.xml" weight="1.2" />', "character_2.clothing", "red_dress")
    assert text == '<character 2 src="miku.xml" weight="1.2">\n<clothing>red_dress</clothing>\n</character 2>'
    assert drawn(text).reading.scene.characters[0]["clothing"].text == "red_dress"


def test_the_record_names_the_files_that_were_read(drawn: Drawn, write: Write) -> None:
    recipe = drawn('<character_1 src="miku.xml"/>').recipe
    assert recipe is not None
    assert recipe.typed == '<character_1 src="miku.xml"/>'
    # sha256sum miku.xml
    assert recipe.files == {"miku.xml": "ce0b9fc4570b480dbe8d7727c8984198611b5187c43ca927fd047b3f61dad025"}
    assert recipe.seed is None and recipe.chosen == ()


def test_read_prompt_file_is_read_file_where_no_file_is_named(write: Write) -> None:
    path = write("plain.xml", MIKU)
    assert read_prompt_file(path) == read_file(path)


# ---- variables of a character file


GIRL = "<character_1><appearance>${hair:{red|blue|green}_hair}, ${hair}</appearance></character_1>"


def test_attributes_are_the_variables_of_the_file(drawn: Drawn, write: Write) -> None:
    write("girl.xml", GIRL)
    text = drawn('<character_1 src="girl.xml" hair="pink_hair"/>', template=True).text
    assert "pink_hair, pink_hair" in text


def test_each_use_of_a_file_chooses_for_itself(drawn: Drawn, write: Write) -> None:
    write("girl.xml", GIRL)
    two = '<character_1 src="girl.xml"/><character_2 src="girl.xml"/>'
    pairs = {
        tuple(c["appearance"].items[0].text for c in drawn(two, template=True, seed=seed).reading.scene.characters)
        for seed in range(60)
    }
    assert len(pairs) == 9


def test_a_given_variable_reaches_every_file(drawn: Drawn, write: Write) -> None:
    write("girl.xml", GIRL)
    expanded = drawn('<character_1 src="girl.xml"/><character_2 src="girl.xml"/>', template=True, hair="white_hair")
    assert expanded.text.count("white_hair, white_hair") == 2


def test_the_file_itself_may_be_a_choice(drawn: Drawn, write: Write) -> None:
    write("rin.xml", MIKU.replace("aqua", "blonde"))
    texts = {drawn('<character_1 src="{miku|rin}.xml"/>', template=True, seed=seed).text for seed in range(20)}
    assert len(texts) == 2


def test_without_a_template_an_attribute_says_nothing_and_that_is_told(drawn: Drawn, write: Write) -> None:
    write("girl.xml", GIRL)
    expanded = drawn('<character_1 src="girl.xml" hair="pink_hair"/>')
    assert "${hair:" in expanded.text
    told = next(d for d in expanded.reading.diagnostics if d.code == "NB609")
    assert "hair is a variable" in told.message


def test_a_weight_is_no_variable_and_stays_on_the_tag(drawn: Drawn, write: Write) -> None:
    write("heavy.xml", '<character_1 weight="1.5"><appearance>a</appearance></character_1>')
    assert drawn('<character_2 src="heavy.xml"/>').text.startswith('<character_2 weight="1.5">\n<appearance>')
    assert drawn("<character_2 src='heavy.xml' weight='0.5'/>").text.startswith('<character_2 weight="0.5">\n')
    assert [d.code for d in drawn('<character_2 src="heavy.xml" weight="0.5"/>').reading.diagnostics] == []


def test_an_element_with_attributes_alone_takes_nothing_out(drawn: Drawn) -> None:
    text = drawn('<character_1 src="miku.xml"><position x="0.1" y="0.2"/></character_1>').text
    assert '<position x="0.1" y="0.2"/>' in text


# ---- places


def test_a_finding_in_a_character_file_names_that_file(drawn: Drawn, write: Write) -> None:
    path = write("odd.xml", "<appearance>blue_hair</appearance>\n<apperance>x</apperance>\n")
    reading = drawn('<caption>A.</caption>\n<character_1 src="odd.xml"/>').reading
    finding = next(d for d in reading.diagnostics if d.code == "NB105")
    shown = show(finding, reading.source).splitlines()
    assert shown[0].startswith(f"{path}:2:1: NB105")
    assert shown[1] == "  2 | <apperance>x</apperance>"
    assert shown[2].endswith(" ^^^^^^^^^^^")


def test_a_finding_behind_a_character_file_keeps_its_own_line(drawn: Drawn, tmp_path: Path) -> None:
    reading = drawn('<character_1 src="miku.xml"/>\n<general_tags><backgroun>x</backgroun></general_tags>').reading
    finding = next(d for d in reading.diagnostics if d.code == "NB105")
    assert show(finding, reading.source).startswith(f"{tmp_path / 'prompts' / 'prompt.xml'}:2:15: NB105")


def test_an_error_while_reading_names_the_file(drawn: Drawn, write: Write) -> None:
    write("deep.xml", "<appearance>a</appearance>\n" + "<img>" * 40 + "</img>" * 40)
    expanded = drawn('<character_1 src="deep.xml"/>')
    assert errors(expanded) == ["NB603"]
    assert "deep.xml:2:" in expanded.reading.diagnostics[0].message


# ---- bad input


def test_a_prompt_that_was_typed_reads_no_files(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write("x.xml", "").parent)
    text = '1girl\n<character_1 src="miku.xml"/>'
    expanded = expand(read(text), Ingredients())
    assert errors(expanded) == ["NB601"]
    assert expanded.text == text
    assert place(expanded) == (2, 19)


@pytest.mark.parametrize("src", ["a,b.xml", "<x>.xml"])
def test_a_tag_that_is_text_because_of_a_comma_is_told(drawn: Drawn, src: str) -> None:
    expanded = drawn(f'<caption>A.</caption><character_1 src="{src}"/>')
    assert "NB601" in errors(expanded) or src == "<x>.xml"


OUTSIDE = {
    "../secret.xml": "leaves the folder",
    "a/../../secret.xml": "leaves the folder",
    "/etc/passwd": "no relative path",
    "/prompts/miku.xml": "no relative path",
    "~/miku.xml": "no relative path",
    "C:/miku.xml": "no relative path",
    "C:miku.xml": "no relative path",
    "..\\secret.xml": "no relative path",
    "\\\\server\\share\\miku.xml": "no relative path",
    "file:///etc/passwd": "no relative path",
    "http://example.org/miku.xml": "no relative path",
    "miku.xml:stream": "no relative path",
    "CON": "names a device",
    "con.xml": "names a device",
    "a/NUL.txt": "names a device",
    "COM1.xml": "names a device",
    "lpt9.xml": "names a device",
    "aux.tar.xml": "names a device",
    "miku.xml.": "no file name",
    "miku.xml ": "no file name",
    "a./miku.xml": "no file name",
    "mi*ku.xml": "no file name",
    "mi?ku.xml": "no file name",
    "mi\tku.xml": "no file name",
    "m" * 300 + ".xml": "no file name",
    ".hidden.xml": "is hidden",
    ".git/config.xml": "is hidden",
    "miku.png": "no character file",
    "secrets.env": "no character file",
    "miku": "no character file",
}


@pytest.mark.parametrize(("src", "message"), OUTSIDE.items(), ids=[name[:20] for name in OUTSIDE])
def test_a_name_that_leads_elsewhere_is_an_error_with_its_place(
    drawn: Drawn, write: Write, src: str, message: str
) -> None:
    write("../secret.xml", MIKU)
    expanded = drawn(f'<caption>A.</caption>\n<character_1 src="{src}"/>')
    assert errors(expanded) == ["NB602"]
    finding = next(d for d in expanded.reading.diagnostics if d.code == "NB602")
    assert message in finding.message and finding.hint
    assert place(expanded) == (2, 19)
    assert expanded.text[slice(*finding.span)] == src
    assert "aqua_hair" not in expanded.text


def test_a_link_out_of_the_folder_is_refused_and_one_inside_is_followed(
    drawn: Drawn, write: Write, tmp_path: Path
) -> None:
    (tmp_path / "secret.xml").write_text(MIKU)
    folder = write("x.xml", "").parent
    (folder / "out.xml").symlink_to(tmp_path / "secret.xml")
    (folder / "outer").symlink_to(tmp_path)
    (folder / "in.xml").symlink_to("miku.xml")
    for src in ("out.xml", "outer/secret.xml"):
        expanded = drawn(f'<character_1 src="{src}"/>')
        assert errors(expanded) == ["NB602"]
        assert "link out of the folder" in expanded.reading.diagnostics[0].message
    assert "aqua_hair" in drawn('<character_1 src="in.xml"/>').text


def test_devices_pipes_sockets_and_folders_are_refused_unopened(drawn: Drawn, write: Write) -> None:
    folder = write("x.xml", "").parent
    (folder / "zero.xml").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.xml")  # opening it would wait for ever
    (folder / "folder.xml").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(folder / "socket.xml"))
        for name in ("zero.xml", "pipe.xml", "folder.xml", "socket.xml"):
            assert errors(drawn(f'<character_1 src="{name}"/>')) == ["NB602"], name


def test_links_in_a_circle_are_told(drawn: Drawn, write: Write) -> None:
    folder = write("x.xml", "").parent
    (folder / "a.xml").symlink_to("b.xml")
    (folder / "b.xml").symlink_to("a.xml")
    assert errors(drawn('<character_1 src="a.xml"/>')) == ["NB603"]


def test_a_missing_file_is_answered_with_the_nearest(drawn: Drawn) -> None:
    expanded = drawn('<character_1 src="mikku.xml"/>')
    assert errors(expanded) == ["NB603"]
    assert expanded.reading.diagnostics[0].hint == "did you mean miku.xml?"


def test_an_empty_name_is_told(drawn: Drawn) -> None:
    assert errors(drawn('<character_1 src=""/>')) == ["NB603"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xff\xfea\x00", "UTF-16"),
        (b"<n>a</n>\xe9", "is not UTF-8"),
        (b"<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><n>&a;</n>", "DOCTYPE is not part"),
        (b"a\0b", "NUL"),
        (b"x" * (MAX_BYTES + 1), "262,145 bytes"),
    ],
)
def test_a_file_that_is_no_text_is_told(drawn: Drawn, write: Write, content: bytes, message: str) -> None:
    write("bad.xml", "").write_bytes(content)
    expanded = drawn('<character_1 src="bad.xml"/>')
    assert errors(expanded) == ["NB603"]
    assert message in expanded.reading.diagnostics[0].message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (MIKU + "<character_2><n>b</n></character_2>", "holds 2 characters"),
        ("1girl, blue_hair", "holds no characters"),
        ("A girl with blue hair.", "holds no characters"),
        (MIKU + "<general_tags><count>1girl</count></general_tags>", "<general_tags>"),
        (MIKU + "<caption>A girl.</caption>", "beside its character"),
        (MIKU + "A girl.", "beside its character"),
        (MIKU + "<inset_panel><n>x</n></inset_panel>", "panels"),
        ("You are an assistant. <Prompt Start>" + MIKU, "system prompt"),
    ],
)
def test_a_file_with_something_else_than_one_character_is_told(
    drawn: Drawn, write: Write, content: str, message: str
) -> None:
    write("other.xml", content)
    expanded = drawn('<character_1 src="other.xml"/>')
    assert errors(expanded) == ["NB605"]
    assert message in next(d for d in expanded.reading.diagnostics if d.code == "NB605").message


@pytest.mark.parametrize("chain", [["a.xml"], ["a.xml", "b.xml"], ["prompt.xml"], ["a.xml", "prompt.xml"]])
def test_files_that_lead_back_to_themselves_end(drawn: Drawn, write: Write, chain: list[str]) -> None:
    for name, following in zip(chain, [*chain[1:], chain[0]], strict=True):
        if name != "prompt.xml":
            write(name, f'<character_1 src="{following}"/>')
    expanded = drawn(f'<character_1 src="{chain[0]}"/>')
    assert errors(expanded) == ["NB604"]
    assert "leads back to itself" in expanded.reading.diagnostics[-1].message


def test_a_circle_through_a_link_ends(drawn: Drawn, write: Write) -> None:
    write("a.xml", '<character_1 src="b.xml"/>').with_name("b.xml").symlink_to("a.xml")
    assert errors(drawn('<character_1 src="a.xml"/>')) == ["NB604"]


def test_files_build_on_one_another_up_to_the_limit(drawn: Drawn, write: Write) -> None:
    write("c0.xml", MIKU)
    for number in range(1, MAX_DEEP + 1):
        write(f"c{number}.xml", f'<character_1 src="c{number - 1}.xml"/>')
    assert errors(drawn(f'<character_1 src="c{MAX_DEEP - 1}.xml"/>')) == []
    assert errors(drawn(f'<character_1 src="c{MAX_DEEP}.xml"/>')) == ["NB604"]


def test_fifty_characters_are_read_and_thousands_are_not(drawn: Drawn) -> None:
    tags = [f'<character_{number} src="miku.xml"/>' for number in range(1, 2001)]
    assert len(drawn("".join(tags[:50])).reading.scene.characters) == 50
    many = drawn("".join(tags))
    assert many.text.count("aqua_hair") == MAX_USES
    assert set(errors(many)) == {"NB604"}


def test_what_comes_together_may_be_too_long(drawn: Drawn, write: Write) -> None:
    write("long.xml", "<appearance>" + "x" * 200_000 + "</appearance>")
    with pytest.raises(PromptError, match="bytes long"):
        drawn('<character_1 src="long.xml"/><character_2 src="long.xml"/>')


def test_what_comes_together_is_asked_of_again(drawn: Drawn, write: Write) -> None:
    write("who.xml", "<appearance>loli</appearance>")
    with pytest.raises(PromptRefused):
        drawn('<character_1 src="who.xml"/><general_tags><other>nude</other></general_tags>')
