"""The scene as JSON: one object whose keys are the elements of the language.

    {"character_1": {"gender": ["1girl"], "appearance": ["blue_hair", "twintails"]}, "caption": "A girl."}

A box of <position> is a "bbox" beside it: {"x": 0.5, "y": 0, "width": 0.5, "height": 1}, in shares of the picture.

Tags are a list, sentences a text; in reading, a text with commas is a list too. What is given twice has "~2" behind its
key, as in the paths of elements. docs/schema/ has the JSON Schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from newbie.errors import PromptError
from newbie.prompt.boxes import SIDES
from newbie.prompt.canonical import normal
from newbie.prompt.convert.places import boxes_of, from_json, with_box
from newbie.prompt.convert.sheet import Sheet
from newbie.prompt.read import Reading
from newbie.prompt.scan import FENCE, MAX_DEPTH
from newbie.prompt.scene import Block, Character, Field, Scene, Value, cut
from newbie.prompt.schema import CAPTION, CHARACTER, GENERAL, LOOSE, PANEL, TAGS, content_of, lookup
from newbie.prompt.source import Source

_AGAIN = re.compile(r"~\d{1,4}\Z")
ELEMENT = re.compile(r"[A-Za-z_][\w.\-]*", re.ASCII)
BBOX = "bbox"
ASKED = "prompt"
_SETTINGS = {"steps": "Steps", "cfg": "CFG scale", "cfg_scale": "CFG scale", "seed": "Seed"}
PEOPLE = "characters"  # a list of them, as chat programs write it
_HINT = "the keys are character_1, character_2, ..., general_tags, danbooru_tags, inset_panel, caption"


def named(key: str) -> str:
    """What a key names: JSON has each key once, so a second `caption` is written `caption~2`."""
    return _AGAIN.sub("", key)


def load(text: str, name: str = "prompt") -> dict[str, Any]:
    """A JSON object. Raises PromptError, with the place, for anything else: nested too deep, a key given twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise PromptError(
                f"the key {twice[:60]!r} is given twice", f'write "{twice[:60]}~2" for the second', name=name
            )
        return made

    try:
        found = json.loads(FENCE.sub(lambda fence: re.sub(r"\S", " ", fence[0]), text), object_pairs_hook=once)
    except json.JSONDecodeError as error:
        place = Source(text, name).place(error.pos)
        what = f"this is no JSON: {error.msg}"
        hint = "correct it there"
        if text[error.pos : error.pos + 1] in ("}", "]") and text[: error.pos].rstrip().endswith(","):
            hint = "a comma stands only between two; delete the one before it"
        raise PromptError(what, hint, name=name, line=place.line, column=place.column) from None
    except RecursionError:
        raise PromptError("JSON that is nested too deep", "a prompt needs three levels", name=name) from None
    if not isinstance(found, dict):
        raise PromptError("this JSON is no object", _HINT, name=name)
    return found


class Request(NamedTuple):
    """What a program was asked for: `{"prompt": "1girl, solo", "negative_prompt": "lowres", "steps": 20}`."""

    prompt: str
    negative: str
    settings: dict[str, str]  # as a web UI names them
    left: tuple[str, ...]  # keys that mean nothing here


def request(reading: Reading) -> Request | None:
    """The request that JSON holds, or None. Raises PromptError: it is no JSON."""
    values = load(reading.body, reading.source.name)
    prompt, negative = values.pop(ASKED, None), values.pop(f"negative_{ASKED}", "")
    if not isinstance(prompt, str) or not isinstance(negative, str):
        return None
    settings = {name: str(values.pop(key)) for key, name in _SETTINGS.items() if type(values.get(key)) in (int, float)}
    return Request(prompt, negative, settings, tuple(values))


def numbered(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same with `"characters": [{…}, {…}]` as character_1, character_2, …"""
    made: dict[str, Any] = {}
    for key, value in values.items():
        if key.lower() == PEOPLE and isinstance(value, list):
            made |= {f"{CHARACTER}_{i}": each for i, each in enumerate(value, 1)}
        else:
            made[key] = value
    return made


def read_json(reading: Reading) -> Sheet:
    """Raises PromptError: no JSON, an unknown key, a value that is neither text nor a list of texts."""
    values, name = numbered(load(reading.body, reading.source.name)), reading.source.name
    sheet = Sheet(_scene(values, name))
    for key, value in values.items():
        known = lookup(named(key))
        if known and known.number is not None and isinstance(value, dict) and BBOX in value:
            person = sheet.scene.character(known.number)
            if person and (box := from_json(value[BBOX])):
                sheet = with_box(sheet, person, box)
            else:
                note = f"the box of {key} is lost: {str(value[BBOX])[:60]} can be read in two ways, or in none"
                sheet = replace(sheet, notes=(*sheet.notes, note))
    return sheet


def write_json(sheet: Sheet) -> str:
    found = as_object(sheet.scene)
    for person, _, box in boxes_of(sheet.scene, sheet.attributes):
        found[person.path][BBOX] = dict(zip(SIDES, box, strict=True))
    return pretty(found)


def pretty(value: Any, indent: str = "") -> str:
    """JSON with one element per line: a list, and an object, of texts or numbers alone stays in its line."""
    deeper = indent + "  "
    if isinstance(value, dict) and not all(isinstance(each, int | float) for each in value.values()):
        rows = [f"{deeper}{json.dumps(key, ensure_ascii=False)}: {pretty(each, deeper)}" for key, each in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return "[\n" + ",\n".join(deeper + pretty(each, deeper) for each in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)


# ---- from JSON


def _scene(values: Mapping[str, Any], name: str, depth: int = 0) -> Scene:
    if depth > MAX_DEPTH:
        what = f"panels are nested more than {MAX_DEPTH} deep"
        raise PromptError(what, "a prompt needs one level", name=name)
    characters: list[Character] = []
    general: tuple[Field, ...] = ()
    tags: list[Value] = []
    captions: list[Value] = []
    panels: list[Scene] = []
    for key, value in values.items():
        known = lookup(named(key))
        kind = known.element.name if known else ""
        if known and kind == CHARACTER and known.number is not None:
            characters.append(Character(tuple(_fields(key, value, name)), number=known.number))
        elif kind == GENERAL:
            general += tuple(_fields(key, value, name))
        elif kind == TAGS:
            tags += Value(", ".join(_texts(key, value, name))).items
        elif kind == CAPTION:
            captions += [cut(text, 0, len(text)) for text in _texts(key, value, name)]
        elif kind == PANEL:
            inner = value if isinstance(value, list) else [value]
            panels += [_scene(_object(key, each, name), name, depth + 1) for each in inner]
        elif known and GENERAL in known.element.parents:  # outside its block, as in XML
            general += (Field(kind, Value(", ".join(_texts(key, value, name)).strip())),)
        else:
            raise PromptError(f"{key[:60]!r} is no part of a prompt", _HINT, name=name)
    return Scene(tuple(characters), Block(general), tuple(tags), tuple(c for c in captions if c.text), tuple(panels))


def _fields(block: str, values: Any, name: str) -> Iterator[Field]:
    for key, value in _object(block, values, name).items():
        if key == BBOX:  # no element: it becomes the box of <position>
            continue
        written = named(key)
        known = lookup(written)
        if written != LOOSE and not (known or ELEMENT.fullmatch(written)):
            raise PromptError(f"{key[:60]!r} in {block} is no name of an element", "for example appearance", name=name)
        text = ", ".join(_texts(f"{block}.{key}", value, name)).strip()
        yield Field(known.name if known else written.lower(), Value(text))


def _object(key: str, value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        what = f"{key[:60]} is {_what(value)}, not an object"
        raise PromptError(what, f'for example "{key[:60]}": {{"appearance": ["blue_hair"]}}', name=name)
    return value


def _texts(key: str, value: Any, name: str) -> list[str]:
    values = value if isinstance(value, list) else [value]
    for each in values:
        if not isinstance(each, str):
            what = f"{key[:80]} holds {_what(each)}, not a text"
            raise PromptError(what, "write a text in quotes, or a list of texts", name=name)
    return values


def _what(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


# ---- to JSON


def as_object(scene: Scene) -> dict[str, Any]:
    """The scene as plain values."""
    found: dict[str, Any] = {}
    for character in sorted(scene.characters, key=lambda c: c.number):
        _put(found, character.path, _block(character))
    if general := _block(scene.general):
        found[GENERAL] = general
    if scene.tags:
        found[TAGS] = [" ".join(each.text.split()) for each in scene.tags]
    if scene.panels:
        found[PANEL] = [as_object(panel) for panel in scene.panels]
    captions = [text for each in scene.captions if (text := " ".join(each.text.split()))]
    if captions:
        found[CAPTION] = captions[0] if len(captions) == 1 else captions
    return found


def _block(block: Block) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in block.fields:
        if text := normal(field):
            tags = content_of(field.name) != "sentence"
            _put(found, field.name, [item.text for item in Value(text).items] if tags else text)
    return found


def _put(into: dict[str, Any], key: str, value: Any) -> None:
    """Under the key, or under `key~2`, `key~3`, ... when it is taken."""
    free, number = key, 1
    while free in into:
        number += 1
        free = f"{key}~{number}"
    into[free] = value
