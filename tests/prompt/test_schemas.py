"""The published schemas say what the reader says: lxml and jsonschema judge them, on prompts written at random."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from newbie.prompt import canonical_text, read
from newbie.prompt.convert.as_json import write_json
from newbie.prompt.convert.sheet import Sheet
from newbie.prompt.lint import lint
from newbie.prompt.schema import CHARACTER, ELEMENTS, TOP, children_of
from newbie.prompt.schemas import FORMATS
from newbie.prompt.weights import MOST

ROOT = Path(__file__).parent.parent.parent
TEXTS = {name: each.text() for name, each in FORMATS.items()}
RELAX_NG = etree.RelaxNG(etree.fromstring(TEXTS["rng"].encode()))
XSD = etree.XMLSchema(etree.fromstring(TEXTS["xsd"].encode()))
JSON = jsonschema.Draft202012Validator(json.loads(TEXTS["json"]))

# What a grammar can say: structure. Gaps in the numbering, contradictions and spelling of tags are beyond it.
STRUCTURE = {
    "NB101", "NB102", "NB103", "NB104", "NB105", "NB106", "NB107", "NB109", "NB110", "NB201", "NB202", "NB204",
}  # fmt: skip
LEAVES = [e for e in ELEMENTS if e.kind == "leaf"]
BLOCKS = ["character_1", "character_2", "general_tags", "inset_panel"]
WORDS = ["blue_hair, smile", "left", "tight shot", "A girl waves.", "蓝发", "1girl", ""]


def clean(text: str) -> bool:
    """Whether our reader has nothing to say about the structure."""
    return not STRUCTURE & {finding.code for finding in lint(read(text, negative=True), negative=True)}


def valid(text: str, schema: Any) -> bool:
    """Whether the text is XML, and valid."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        return bool(schema.validate(etree.fromstring(text.encode(), parser)))
    except etree.XMLSyntaxError:
        return False


def as_xml(text: str) -> str:
    """Any prompt as an XML document: one root, and `<`, `&` that begin no tag of ours escaped."""
    tags = "|".join([r"character_\d+", *(e.name for e in ELEMENTS if e.name != CHARACTER)])
    return "<img>" + re.sub(rf"&|<(?!/?(?:{tags})>)", lambda m: {"&": "&amp;", "<": "&lt;"}[m[0]], text) + "</img>"


@pytest.mark.parametrize("name", FORMATS)
def test_the_published_file_is_what_the_table_gives(name: str) -> None:
    published = (ROOT / "docs" / "schema" / FORMATS[name].file).read_text("utf-8")
    assert published == TEXTS[name], "python -m newbie schema --write docs/schema"


@pytest.mark.parametrize("path", sorted((ROOT / "prompts").glob("*.xml")), ids=lambda p: p.name)
def test_the_example_prompts_are_valid(path: Path) -> None:
    text = as_xml(canonical_text(read(path.read_text("utf-8")).scene))
    assert valid(text, RELAX_NG), RELAX_NG.error_log
    assert valid(text, XSD), XSD.error_log


def test_every_element_is_valid_where_the_table_puts_it_and_nowhere_else() -> None:
    homes = {TOP: "{}", CHARACTER: "<character_1>{}</character_1>"}
    homes |= {name: f"<{name}>{{}}</{name}>" for name in ("general_tags", "inset_panel")}
    for leaf in LEAVES:
        for home, around in homes.items():
            text = f"<img>{around.format(f'<{leaf.name}>{leaf.example}</{leaf.name}>')}</img>"
            expected = leaf in children_of(home)
            assert (clean(text), valid(text, RELAX_NG), valid(text, XSD)) == (expected, expected, expected), text


@pytest.mark.parametrize("root", ["img", "image", "root", "prompt", "xml"])
def test_every_root_and_every_other_name_of_an_element_is_valid(root: str) -> None:
    inside = "<character_1><name>a</name><clothes>b</clothes></character_1><general><artist>c</artist></general>"
    text = f"<{root}>{inside}</{root}>"
    assert clean(text) and valid(text, RELAX_NG) and valid(text, XSD)


def test_an_element_beside_its_other_name_is_a_repetition_which_xsd_cannot_see() -> None:
    text = "<img><character_1><n>a</n><name>b</name></character_1></img>"
    assert (clean(text), valid(text, RELAX_NG), valid(text, XSD)) == (False, False, True)


@pytest.mark.parametrize(
    ("tag", "right"),
    [
        ('<position x="0" y="0.25" width="1" height="0.5"/>', True),
        ('<position x="0.1">left</position>', True),
        ('<position x="1.1"/>', None),
        ('<position x="a"/>', None),
        ('<appearance weight="1.5">blue_hair</appearance>', True),
        (f'<appearance weight="{MOST:g}">blue_hair</appearance>', True),
        (f'<appearance weight="{MOST + 0.1:g}">blue_hair</appearance>', None),
        ('<appearance weight="-3">blue_hair</appearance>', None),
        ('<appearance weight="NaN">blue_hair</appearance>', None),
        ('<appearance weight="much">blue_hair</appearance>', None),
        ('<appearance x="0.5">blue_hair</appearance>', False),
    ],
)
def test_attributes_are_those_of_the_table_with_values_of_their_kind(tag: str, right: bool | None) -> None:
    """None: the reader accepts it, and the rules about boxes and weights do not."""
    text = f"<img><character_1>{tag}</character_1></img>"
    assert clean(text) is (right is not False)
    assert valid(text, RELAX_NG) is valid(text, XSD) is bool(right), (RELAX_NG.error_log, XSD.error_log)


@pytest.mark.parametrize(
    ("attributes", "right"),
    [
        ('src="aoi.xml"', True),
        ('src="aoi.xml" eyes="green_eyes" hair="red_hair"', True),
        ('src="aoi.xml" weight="1.2"', True),
        ('weight="1.2"', True),
        ('eyes="green_eyes"', False),
        ('src=""', None),
        ('src="aoi.xml" weight="much"', None),
    ],
)
def test_beside_a_character_file_attributes_are_its_variables(attributes: str, right: bool | None) -> None:
    text = f"<img><character_1 {attributes}/></img>"
    assert right is None or clean(text) is right
    assert valid(text, RELAX_NG) is bool(right), RELAX_NG.error_log
    assert valid(text, XSD) or not right


def prompt(rng: random.Random) -> list[str]:
    """A well-formed prompt as a row of tags and texts: blocks and leaves of the table, here and there misplaced."""
    row: list[str] = []
    numbers = rng.sample(range(1, 21), 20)

    def leaf(home: str) -> None:
        usual = [e for e in LEAVES if home in e.parents]
        name = rng.choice(usual if rng.random() < 0.95 else LEAVES).name
        row.extend((f"<{name}>", rng.choice(WORDS), f"</{name}>"))

    for _ in range(rng.randint(0, 4)):
        kind = rng.choice(("character", "character", "general", "panel", "leaf"))
        if kind == "leaf":
            leaf(TOP)
            continue
        name = {"character": f"character_{numbers.pop()}", "general": "general_tags", "panel": "inset_panel"}[kind]
        row.append(f"<{name}>")
        for _ in range(rng.randint(0, 3)):
            leaf(re.sub(r"_\d+$", "", name))
        row.append(f"</{name}>")
    return row


def mutated(row: list[str], rng: random.Random) -> list[str]:
    """Tags and texts dropped, doubled, swapped, renamed, given an attribute; a stray text, a foreign element."""
    row = list(row)
    for _ in range(rng.randint(0, 2)):
        if not row:
            break
        at, other = rng.randrange(len(row)), rng.randrange(len(row))
        kind = rng.randrange(7)
        if kind == 0:
            del row[at]
        elif kind == 1:
            row.insert(other, row[at])
        elif kind == 2:
            row[at], row[other] = row[other], row[at]
        elif kind == 3 and row[at].startswith("</"):
            row[at] = f"</{rng.choice(LEAVES).name}>"
        elif kind == 4 and row[at].startswith("<") and not row[at].startswith("</"):
            row[at] = row[at].replace(">", ' kind="a">')
        elif kind == 5:
            row.insert(at, "some words")
        elif kind == 6 and not _inside_a_leaf(row, at):
            row[at:at] = ["<tail>", "fluffy", "</tail>"]
    return row


def _inside_a_leaf(row: list[str], at: int) -> bool:
    """There a tag of another name is text to the reader, and an element to XML."""
    names = {e.name for e in LEAVES}
    depth = 0
    for piece in row[:at]:
        depth += (piece.strip("<>").split()[0] in names) if piece.startswith("<") else 0
        depth -= piece.startswith("</") and piece.strip("</>") in names
    return depth != 0


def style_lines(row: list[str]) -> bool:
    """A `<style>` line in front of the prompt beside another: the one repetition that the reader lets pass."""
    return row.count("<style>") > 1


def test_a_prompt_is_valid_exactly_when_the_reader_has_nothing_to_say_about_its_structure() -> None:
    rng = random.Random(2024)
    counts = {True: 0, False: 0}
    for _ in range(3_000):
        row = mutated(prompt(rng), rng)
        text = "<img>" + "".join(row) + "</img>"
        if style_lines(row):
            continue
        assert valid(text, RELAX_NG) == clean(text), (text, read(text, negative=True).diagnostics, RELAX_NG.error_log)
        counts[clean(text)] += 1
    assert min(counts.values()) > 500  # both kinds were tried, many times


def test_xsd_is_looser_than_relax_ng_where_something_is_repeated_or_a_character_has_attributes() -> None:
    rng = random.Random(2025)
    for _ in range(2_000):
        row = mutated(prompt(rng), rng)
        text = "<img>" + "".join(row) + "</img>"
        starts = [piece for piece in row if piece.startswith("<") and not piece.startswith("</")]
        if len(starts) == len(set(starts)) and not re.search(r"<character_\d+ kind", text):
            assert valid(text, XSD) == valid(text, RELAX_NG), (text, XSD.error_log, RELAX_NG.error_log)


names = st.sampled_from([*(e.name for e in LEAVES), *BLOCKS, "custom_section"])
trees = st.recursive(
    st.sampled_from(WORDS),
    lambda inner: st.builds(lambda n, parts: f"<{n}>{''.join(parts)}</{n}>", names, st.lists(inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=600)
@given(st.lists(trees, max_size=4))
def test_whatever_relax_ng_accepts_the_reader_accepts_and_xsd_too_up_to_repeated_captions(parts: list[str]) -> None:
    text = "<img>" + "".join(parts) + "</img>"
    if "custom_section" not in text and text.count("<style>") < 2:
        assert valid(text, RELAX_NG) == clean(text), RELAX_NG.error_log
    if valid(text, RELAX_NG) and all(text.count(f"<{n}>") < 2 for n in ("caption", "danbooru_tags", "custom_section")):
        assert valid(text, XSD), XSD.error_log


# ---- the JSON form


def test_the_json_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(TEXTS["json"]))


@pytest.mark.parametrize(
    ("prompt", "right"),
    [
        ({}, True),
        ({"character_1": {"n": "miku", "appearance": ["blue_hair", ">_<"], "position": ["left"]}}, True),
        ({"character_1": {"position": "by the window"}, "caption": "A girl."}, True),
        ({"inset_panel": [{"character_1": {}}], "danbooru_tags": ["blurry"], "caption": ["One.", "Two."]}, True),
        ({"character": {}}, False),
        ({"character_1~2": {}}, False),
        ({"character_1": "blue_hair"}, False),
        ({"character_1": {"background": "sea"}}, False),
        ({"character_1": {"tail": "fluffy"}}, False),
        ({"character_1": {"n": 7}}, False),
        ({"general_tags": {"#text": "loose"}}, False),
        ({"n": "miku"}, False),
        ([], False),
    ],
)  # fmt: skip
def test_the_json_schema_judges_structure(prompt: Any, right: bool) -> None:
    assert JSON.is_valid(prompt) is right


def test_the_code_of_the_page_about_schemas_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "schema" / "README.md").read_text("utf-8")
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], {})


def test_the_json_of_a_prompt_is_valid_exactly_when_its_structure_is_clean() -> None:
    rng = random.Random(2026)
    counts = {True: 0, False: 0}
    for _ in range(2_000):
        scene = read("<img>" + "".join(mutated(prompt(rng), rng)) + "</img>", negative=True).scene
        written = write_json(Sheet(scene))
        right = clean(f"<img>{canonical_text(scene)}</img>")
        assert JSON.is_valid(json.loads(written)) == right, (written, canonical_text(scene))
        counts[right] += 1
    assert min(counts.values()) > 200
