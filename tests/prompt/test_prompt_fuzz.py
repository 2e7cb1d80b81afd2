"""Any string gives a Reading or a PromptError, and the invariants hold for all of them."""

from __future__ import annotations

import random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from newbie.errors import PromptError
from newbie.prompt import Reading, Scene, canonical_text, read, read_bytes, render
from newbie.prompt.canonical import normal, tag
from newbie.prompt.elements import elements
from newbie.prompt.scene import Block
from newbie.prompt.schema import CHARACTER, ELEMENTS

NAMES = [e.name for e in ELEMENTS if e.name != CHARACTER] + [
    "character_1", "character_2", "character 1", "character", "general tags", "artist", "foo", "barbaz", "o",
]  # fmt: skip
PIECES = [
    ">_<", ":<", "<3", "tiger_&_bunny", "&amp;", " ", ", ", "，", "\n", "\r\n", "\r", "blue hair", "A girl is here.",
    "smile", "<!--", "-->", "<![CDATA[", "]]>", "<Prompt Start>", "<n", "/>", ">", "<", "</", '{"', "}", "\x0b", "蓝发",
    "<?xml version='1'?>", "她在走路。", "\u3000", "<character\n1>", '<n a="x">', "\x01", "$character_2$", "\ud7ff",
    "\U0001f600", "\u200b",
]  # fmt: skip

tags = st.builds("{}{}{}".format, st.sampled_from(["<", "</"]), st.sampled_from(NAMES), st.sampled_from([">", "/>"]))
prompts = st.lists(tags | st.sampled_from(PIECES) | st.text(max_size=5), max_size=16).map("".join)

VALID = (
    "<character_1>\n<n>$character_1$</n>\n<gender>1girl</gender>\n<appearance>blue_hair, >_<</appearance>\n"
    "</character_1>\n<general_tags>\n<count>1girl, solo</count>\n</general_tags>\n<caption>A girl.</caption>"
)


def tried(text: str) -> Reading | None:
    try:
        return read(text, negative=True)
    except PromptError:
        return None


def said(scene: Scene) -> object:
    """What a scene means: blocks by number, elements by name, tags in canonical spelling."""

    def block(of: Block) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for field in of.fields:
            if text := normal(field):
                found.setdefault(field.name, []).append(text)
        if "#text" in found:
            found["#text"] = [", ".join(found["#text"])]
        return found

    people = sorted(scene.characters, key=lambda c: c.number)
    return (
        [(c.number, block(c)) for c in people],
        block(scene.general),
        [tag(t.text) for t in scene.tags],
        [" ".join(c.text.split()) for c in scene.captions],
        [said(panel) for panel in scene.panels],
    )


def check(text: str) -> None:
    reading = tried(text)
    if reading is None:
        return
    assert reading.system_prompt + reading.body == reading.source.text
    for element in elements(reading.scene):
        assert 0 <= element.start < element.stop <= len(reading.source.text)
    for finding in reading.diagnostics:
        assert 0 <= finding.span.start <= finding.span.stop <= len(reading.source.text)
    sent = render(reading, system_prompt="")
    assert sent.gemma.text == reading.source.text
    clean = canonical_text(reading.scene)
    again = read(clean, negative=True)
    assert said(again.scene) == said(reading.scene)
    assert canonical_text(again.scene) == clean
    assert [d.code for d in again.diagnostics if d.code in ("NB101", "NB102", "NB103", "NB104", "NB108")] == []


@settings(max_examples=1500, deadline=None)
@given(prompts)
@example("<n</expression>><expression>")
@example("<![CDATA[<!--</gender>]]><n>")
@example("<bar><foo></bar><n>x</n></foo>")
def test_every_prompt_keeps_the_invariants(text: str) -> None:
    check(text)


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=60))
def test_every_text_keeps_the_invariants(text: str) -> None:
    check(text)


@settings(max_examples=1000, deadline=None)
@given(st.binary(max_size=80) | prompts.map(lambda t: t.encode("utf-8", "replace")))
def test_every_byte_string_is_a_reading_or_a_prompt_error(data: bytes) -> None:
    try:
        assert isinstance(read_bytes(data, negative=True), Reading)
    except PromptError as error:
        assert error.hint


def test_thousands_of_mutated_prompts_keep_the_invariants() -> None:
    """Deleted, doubled, swapped and inserted pieces: what editors and language models do to prompts."""
    rng = random.Random(20240)
    for _ in range(4_000):
        text = VALID
        for _ in range(rng.randint(1, 4)):
            a, b = sorted(rng.randrange(len(text) + 1) for _ in range(2))
            b = min(b, a + rng.choice((1, 3, 15)))
            kind = rng.randrange(4)
            if kind == 0:
                text = text[:a] + text[b:]
            elif kind == 1:
                text = text[:b] + text[a:]
            elif kind == 2:
                text = text[:a] + rng.choice((*PIECES, f"<{rng.choice(NAMES)}>", f"</{rng.choice(NAMES)}>")) + text[a:]
            else:
                text = text[:a] + text[a:b][::-1] + text[b:]
        check(text)
