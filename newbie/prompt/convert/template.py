"""The JSON wrapper of a ComfyUI template: boxes and names beside the prompt, which is XML in a text.

{"character_1": {"bbox": [0, 0, 1000, 1000], "name": "$character_1$"}, "image": {"tags": "<the XML>", "caption": "..."}}
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from newbie.errors import PromptError
from newbie.prompt.canonical import canonical_text
from newbie.prompt.convert.as_json import load, pretty
from newbie.prompt.convert.markup import read_markup
from newbie.prompt.convert.places import Numbers, boxes_of, corners, from_json, with_box
from newbie.prompt.convert.sheet import Sheet
from newbie.prompt.convert.sort import structured
from newbie.prompt.read import Reading, read
from newbie.prompt.scene import Character, Field, Scene, Value
from newbie.prompt.schema import lookup

WHOLE = [0, 0, 1000, 1000]  # thousandths of the picture
_PLACEHOLDER = re.compile(r"\$character_\d{1,4}\$")


def is_template(values: dict[str, Any]) -> bool:
    return isinstance(values.get("image"), dict)


def read_template(reading: Reading) -> Sheet:
    """Raises PromptError: no JSON, or a template without the texts it should have."""
    name = reading.source.name
    values = load(reading.body, name)
    image = values.get("image")
    tags, caption = (image.get(key, "") for key in ("tags", "caption")) if isinstance(image, dict) else (None, None)
    if not (isinstance(tags, str) and isinstance(caption, str)):
        raise PromptError('"image" has no texts "tags" and "caption"', 'write "image": {"tags": "<...>"}', name=name)
    inner = read(tags, name=name, negative=True)
    sheet = structured(read_markup(inner))
    scene, notes = sheet.scene, list(sheet.notes)
    boxes: dict[int, Numbers] = {}
    if caption.strip():
        scene = replace(scene, captions=(Value(caption.strip()), *scene.captions), dialect="xml")
    for key, about in values.items():
        known = lookup(key)
        if known and known.number is not None and isinstance(about, dict):
            scene = _with_name(scene, known.number, about.get("name"))
            bbox = about.get("bbox", WHOLE)
            if bbox != WHOLE and (why := _unusable(bbox, scene.character(known.number))):
                notes.append(f"the box of {key} is lost: {str(bbox)[:60]} {why}; write <position x= y= width= height=>")
            elif bbox != WHOLE and (box := from_json(bbox)):
                boxes[known.number] = box
    sheet = replace(sheet, scene=scene, notes=tuple(notes))
    there = {person.number for person, *_ in boxes_of(sheet.scene, sheet.attributes)}
    for number, box in boxes.items():
        character = sheet.scene.character(number)
        if character and number not in there:
            sheet = with_box(sheet, character, box)
    return sheet


def _unusable(bbox: Any, character: Character | None) -> str:
    if character is None:
        return "is that of no character of the prompt"
    return "" if from_json(bbox) else "can be read in two ways, or in none"


def _with_name(scene: Scene, number: int, name: Any) -> Scene:
    """The scene with a name for a character that has none."""
    character = scene.character(number)
    if not isinstance(name, str) or not name.strip() or _PLACEHOLDER.fullmatch(name.strip()):
        return scene
    if character is None or (character.name and character.name.text):
        return scene
    named = Character((Field("n", Value(name.strip())), *character.fields), number=number)
    return replace(scene, characters=tuple(named if c is character else c for c in scene.characters))


def write_template(sheet: Sheet) -> str:
    scene = sheet.scene
    first, *further = scene.captions or (Value(""),)
    people: dict[str, Any] = {}
    boxes = {person.number: corners(box) for person, _, box in boxes_of(scene, sheet.attributes)}
    for person in sorted(scene.characters, key=lambda c: c.number):
        name = person.name.text if person.name else ""
        people.setdefault(person.path, {"bbox": boxes.get(person.number, WHOLE), "name": name or f"${person.path}$"})
    tags = canonical_text(replace(scene, captions=tuple(further)))
    image = {"tags": tags, "caption": " ".join(first.text.split())}
    return pretty(people | {"image": image})
