"""The JSON form of the language as a JSON Schema (draft 2020-12).

It describes prompts without a finding: what our writer calls `character_1~2`, `#text` or by a name outside the language
is kept by the reader and told by the linter, and it is not valid here.
"""

from __future__ import annotations

import json
from typing import Any

from newbie.prompt.boxes import SIDES
from newbie.prompt.convert.as_json import BBOX
from newbie.prompt.schema import (
    BY_NAME,
    CAPTION,
    CHARACTER,
    GENERAL,
    PANEL,
    PLACES,
    TAGS,
    Element,
    children_of,
    fields_of,
)

Schema = dict[str, Any]


def text() -> str:
    """The schema as the text of a file."""
    schema: Schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A NewBie prompt as JSON",
        "description": "characters, general tags and a caption; python -m newbie convert writes and reads it",
        "$ref": "#/$defs/scene",
        "$defs": {
            "tags": {"type": ["string", "array"], "items": {"type": "string"}},
            "box": _box(),
            "place": {"anyOf": [{"enum": list(PLACES)}, {"$ref": "#/$defs/tags"}]},
            CHARACTER: _block(CHARACTER),
            GENERAL: _block(GENERAL),
            "scene": _scene(),
        },
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _scene() -> Schema:
    """A whole prompt, or a panel in one."""
    return {
        "type": "object",
        "patternProperties": {rf"^{CHARACTER}_[0-9]{{1,4}}$": _ref(CHARACTER) | _about(BY_NAME[CHARACTER])},
        "properties": {
            GENERAL: _ref(GENERAL) | _about(BY_NAME[GENERAL]),
            TAGS: _leaf(BY_NAME[TAGS]),
            PANEL: {"type": "array", "items": _ref("scene")} | _about(BY_NAME[PANEL]),
            CAPTION: _leaf(BY_NAME[CAPTION]),
        },
        "additionalProperties": False,
    }


def _block(name: str) -> Schema:
    """The elements of a block; a character may have a box too."""
    leaves = [e for e in children_of(name) if e.name in fields_of(name) and e.name not in (TAGS, CAPTION)]
    return {
        "type": "object",
        "properties": {leaf.name: _leaf(leaf) for leaf in leaves} | ({BBOX: _ref("box")} if name == CHARACTER else {}),
        "additionalProperties": False,
    }


def _box() -> Schema:
    """Where a figure stands, in numbers."""
    share = {"type": "number", "minimum": 0, "maximum": 1}
    number = {"type": "number", "minimum": 0, "maximum": 1000}
    sides = {"type": "object", "properties": dict.fromkeys(SIDES, share), "minProperties": 1}
    return {
        "description": "a box of the picture: shares of it, or left, top, right and bottom in thousandths",
        "anyOf": [
            sides | {"additionalProperties": False},
            {"type": "array", "items": number, "minItems": 4, "maxItems": 4},
        ],
        "examples": [{"x": 0.5, "y": 0, "width": 0.5, "height": 1}, [500, 0, 1000, 1000]],
    }


def _leaf(leaf: Element) -> Schema:
    return _ref("place" if leaf.content == "place" else "tags") | _about(leaf) | {"examples": [leaf.example]}


def _about(element: Element) -> Schema:
    return {"description": element.about}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}
