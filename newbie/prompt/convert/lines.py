"""Lists of lines with a sign in front, perhaps under headings (newbie/prompt/outline.py), into elements and back."""

from __future__ import annotations

import re
from collections.abc import Iterator

from newbie.errors import PromptError
from newbie.prompt.canonical import normal, tag
from newbie.prompt.convert.flat import apart
from newbie.prompt.convert.sheet import Sheet, block, person
from newbie.prompt.convert.sort import OTHER, counts_people, element_of, people_of
from newbie.prompt.outline import Outline, list_of
from newbie.prompt.read import Reading
from newbie.prompt.scene import Block, Scene, Value
from newbie.prompt.schema import CAPTION, CHARACTER, GENERAL, LOOSE, content_of, fields_of
from newbie.prompt.vocabulary import bundled
from newbie.prompt.whose import is_list

# What a sentence about a person speaks of, the first that fits; and how one begins that says what somebody does.
_SAYS = {
    "appearance": re.compile(r"\b(?:hair|haired|eyes?|eyed|skin|tall|old|young)\b|[髪发髮眼瞳]|머리|눈", re.IGNORECASE),
    "clothing": re.compile(r"\b(?:wear(?:s|ing)?|dressed|clothes|outfit)\b|[穿戴着]", re.IGNORECASE),
}
_VERB = re.compile(r"(?:she|he|her|his|the|this)\b|[A-Z]\w* \w+s\b|[她他]|彼|\w+ing\b|holds\b", re.IGNORECASE)


def read_lines(reading: Reading) -> Sheet:
    """Raises PromptError: it is no such list."""
    listed = list_of(reading)
    if listed is None:
        hint = "each line begins with a dash or a number, or stands below a heading such as Character 1:"
        raise PromptError("this is no list of lines", hint, name=reading.source.name)
    if listed.scene:
        scene = _settled(listed)
        negative = ", ".join(each.text for each in listed.negative)
        return Sheet(scene, reading.system_prompt, negative, notes=(f"read as a list with headings: {_told(scene)}",))
    lines = [item.text for item in listed.items]
    if listed.is_tags:
        rest, sentences = apart("\n".join(lines))
        tags, captions = Value(rest).items, tuple(map(Value, sentences))
        note = f"read as a list of {len(tags)} tags"
        return Sheet(Scene(tags=tags, captions=captions, dialect="tags"), reading.system_prompt, notes=(note,))
    note = f"read as a list of {len(lines)} sentences"
    return Sheet(Scene(captions=tuple(map(Value, lines)), dialect="text"), reading.system_prompt, notes=(note,))


def _told(scene: Scene) -> str:
    """How many tags each block has."""
    blocks = [*((each.path, each) for each in scene.characters), (GENERAL, scene.general)]
    counts = [(name, sum(len(field.value.items) for field in each.fields)) for name, each in blocks]
    counts += [(CAPTION, len(scene.captions))]
    return ", ".join(f"{name} ({count})" for name, count in counts if count)


def _settled(listed: Outline) -> Scene:
    """The scene with its elements joined, and what stands below the heading of a block sorted into elements."""
    assert listed.scene is not None
    scene = listed.scene
    captions: list[Value] = [*scene.captions]
    people = {i: _elements(each, CHARACTER, listed, captions) for i, each in enumerate(scene.characters)}
    general = _elements(scene.general, GENERAL, listed, captions)
    if len(people) < 2 and people_of(general.get("count", ())).number == 1:  # then all of a person is theirs
        lone = people[0] if people else {}
        for each in general.pop(OTHER, []):
            home = element_of(each, bundled())
            (lone if home in fields_of(CHARACTER) else general).setdefault(home, []).append(each)
        people = {0: lone} if lone else people
    numbers = [each.number for each in scene.characters] or [1]
    characters = tuple(person(numbers[i], elements) for i, elements in people.items())
    return Scene(characters, block(general), scene.tags, tuple(captions))


def _elements(part: Block, kind: str, listed: Outline, captions: list[Value]) -> dict[str, list[str]]:
    """The tags of a block by element. Sentences become captions, but those of a person, who keeps them."""
    elements: dict[str, list[str]] = {}
    for field in part.fields:
        items = [item.text for item in field.value.items]
        if field.name == LOOSE and not is_list(field.value):
            if kind == CHARACTER:
                elements.setdefault(_of_sentence(field.value.text), []).append(field.value.text)
            else:
                captions.append(field.value)
            continue
        suffix = listed.parts_of.get(field.value.span.start, "")
        for each in items:
            text = _whole(each, suffix)
            name = _home(text, kind) if field.name == LOOSE else field.name
            elements.setdefault(name, []).append(text if content_of(name) == "place" else tag(text))
    kind_of_person = listed.parts_of.get(part.outer.start, "") if kind == CHARACTER else ""
    if kind_of_person and "gender" not in elements:  # "Girl A:" has said it
        elements["gender"] = [kind_of_person]
    return elements


def _of_sentence(text: str) -> str:
    """The element that holds what a person's sentence, or half a sentence, says."""
    found = next((name for name, words in _SAYS.items() if words.search(text)), "")
    return found or ("action" if _VERB.match(text) else "appearance")


def _whole(text: str, part: str) -> str:
    """A tag under a heading such as "Hair:" with the word that the heading has said: long is long hair. Names of their
    own, such as twintails, are whole."""
    if not part or text.lower().endswith(part):
        return text
    if not part.isascii():  # 蓝色 is 蓝色头发; 双马尾 is whole
        return text + part if text.endswith("色") or len(text) == 1 else text
    joined = f"{text} {part}"
    return text if text in bundled() and joined not in bundled() else joined


def _home(text: str, kind: str) -> str:
    """The element of a block that a tag belongs into."""
    name = "gender" if kind == CHARACTER and counts_people(text) else element_of(text, bundled())
    return name if name in fields_of(kind) else "appearance" if kind == CHARACTER else OTHER


# ---- to lines


def write_lines(sheet: Sheet) -> str:
    """Headings, and a line per element. Panels have no place in it."""
    scene = sheet.scene
    rows = [row for each in sorted(scene.characters, key=lambda c: c.number) for row in _rows(each, each.path)]
    rows += _rows(scene.general, GENERAL)
    rows += ["Tags: " + ", ".join(each.text for each in scene.tags)] if scene.tags else []
    rows += [f"Caption: {text}" for each in scene.captions if (text := " ".join(each.text.split()))]
    rows += [f"Avoid: {' '.join(sheet.negative.split())}"] if sheet.negative else []
    return "\n".join(rows) if len(rows) > 1 or not scene.captions else " ".join(scene.captions[0].text.split())


def _rows(part: Block, path: str) -> Iterator[str]:
    fields = [(field.name, text) for field in part.fields if (text := normal(field))]
    if fields:
        yield path.replace("_", " ").capitalize() + ":"
    for name, text in fields:
        yield f"- {text}" if name == LOOSE else f"- {_NAMES.get(name, name).replace('_', ' ').capitalize()}: {text}"


_NAMES = {"n": "name"}
