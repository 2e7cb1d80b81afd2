"""The table of dialects, which of them a text is in, and the conversion with its losses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from newbie.errors import PromptError, UsageError
from newbie.prompt import dialect, safety
from newbie.prompt.convert.a1111 import looks_like_a1111, read_a1111, write_a1111
from newbie.prompt.convert.as_json import load, read_json, request, write_json
from newbie.prompt.convert.flat import read_list, write_list
from newbie.prompt.convert.lines import read_lines, write_lines
from newbie.prompt.convert.lost import losses
from newbie.prompt.convert.markup import canonical, comfyui, nodes, read_markup, readme
from newbie.prompt.convert.novelai import read_novelai, write_novelai
from newbie.prompt.convert.places import boxed, boxes_of, corners, from_json
from newbie.prompt.convert.prose import write_prose
from newbie.prompt.convert.sheet import Sheet
from newbie.prompt.convert.sort import structured
from newbie.prompt.convert.template import is_template, read_template, write_template
from newbie.prompt.infotext import parts
from newbie.prompt.meaning import meaning
from newbie.prompt.novelai import is_novelai
from newbie.prompt.outline import MEANT, NEGATIVE, list_of
from newbie.prompt.read import Reading, read
from newbie.prompt.scan import FENCE, scan


@dataclass(frozen=True)
class Dialect:
    """A way to write prompts. `whole`: it can hold every scene, so that nothing of the scene is ever lost."""

    about: str
    read: Callable[[Reading], Sheet]
    write: Callable[[Sheet], str]
    whole: bool = True
    attributes: bool = False  # it has tags that can carry them


DIALECTS: Mapping[str, Dialect] = {
    "xml": Dialect("canonical layout", read_markup, canonical, attributes=True),
    "readme": Dialect("XML as in the model's README: indented, blocks apart", read_markup, readme, attributes=True),
    "nodes": Dialect("XML as ComfyUI node packs write it", read_markup, nodes, attributes=True),
    "comfyui": Dialect("XML with the system prompt in front", read_markup, comfyui, attributes=True),
    "template": Dialect("JSON wrapper of a ComfyUI template", read_template, write_template),
    "json": Dialect("plain JSON, one key per element", read_json, write_json),
    "danbooru": Dialect("a list of tags with underscores", read_list, write_list, whole=False),
    "a1111": Dialect("tags with blanks and weights, negative prompt, settings", read_a1111, write_a1111, whole=False),
    "novelai": Dialect("tags with {braces}, [brackets], 1.5::numbers::", read_novelai, write_novelai, whole=False),
    "outline": Dialect("lines with dashes or numbers, under headings", read_lines, write_lines, whole=False),
    "text": Dialect("sentences", read_list, write_prose, whole=False),
}

BOXED = ("json", "template")  # without attributes, but with a place for boxes


@dataclass(frozen=True)
class Converted:
    """`lost` lists what the new text does not say any more; `notes` what a reader should know besides."""

    text: str
    source: str
    target: str
    lost: tuple[str, ...]
    notes: tuple[str, ...]
    negative: str = ""
    settings: Mapping[str, str] | None = None


def recognise(reading: Reading) -> str:
    """The dialect of a prompt, as a name in DIALECTS; "xml" stands for all that are XML."""
    body = FENCE.sub("", reading.body)
    if dialect.is_json(body) or body.lstrip().startswith("{"):
        try:
            return "template" if is_template(load(body)) else "json"
        except PromptError:  # braces mean other things too: {red|blue}_hair
            if dialect.is_json(body):
                return "json"
    if reading.dialect == "xml":
        return "xml"
    if list_of(reading):
        return "outline"
    web_ui = parts(reading.body)
    if is_novelai(web_ui.prompt):
        return "novelai"
    if not web_ui.bare or looks_like_a1111(web_ui.prompt):
        return "a1111"
    return {"tags": "danbooru", "text": "text", "empty": "xml"}[reading.dialect]


def convert(
    reading: Reading, target: str, *, source: str = "auto", beside: str = "", is_negative: bool = False
) -> Converted:
    """The prompt in another dialect.

    Args:
        source: what it is in now; "auto" looks. Below an XML prompt the web UI's lines of negative prompt and settings
            may stand.
        beside: a negative prompt, for dialects that can hold one.
        is_negative: this is a negative prompt itself, which names what is not wanted.

    Raises:
        UsageError: there is no such dialect.
        PromptError: it is not in that dialect, or a value cannot be written because it holds tags of the language.
        PromptRefused: it sexualises minors.
    """
    for name in (target, *([] if source == "auto" else [source])):
        if name not in DIALECTS:
            raise UsageError(f"there is no dialect {name!r}", "choose from " + ", ".join(DIALECTS))
    source = recognise(reading) if source == "auto" else source
    sheet = sheet_of(reading, source)
    sheet = sheet if is_negative else _without_unwanted(sheet)
    sheet = replace(sheet, negative=beside) if beside else sheet
    sheet = boxed(sheet) if DIALECTS[target].attributes or target in BOXED else sheet
    wanted = sheet if DIALECTS[target].write in (write_list, write_a1111, write_novelai) else structured(sheet)
    text = DIALECTS[target].write(wanted)
    if not is_negative:  # of both, without what stands below as a negative prompt
        for said in (reading.source.text, text):
            safety.check(parts(said).prompt, reading.source.name)
    again = read(text, name=f"{reading.source.name}, as {target}", negative=True)
    alone = target == "outline" and list_of(again) is None  # one line is no list of lines
    back = DIALECTS["text" if alone else target].read(again).scene
    if DIALECTS[target].whole and meaning(back) != meaning(wanted.scene):
        raise PromptError(
            f"a value cannot be written as {target}: it holds tags of the prompt language",
            "write the value without <element> tags",
            name=reading.source.name,
        )
    lost = () if DIALECTS[target].whole else losses(wanted.scene, back, text)
    notes = () if target == source else wanted.notes
    if target == "a1111" != source and "\\(" in reading.body:
        notes += (r"the backslash of \( was kept as a sign; --unescape-parentheses takes it for a plain parenthesis",)
    return Converted(text, source, target, (*lost, *_lost_beside(sheet, target)), notes, sheet.negative, sheet.settings)


def sheet_of(reading: Reading, source: str) -> Sheet:
    """What a prompt says, as the dialect of that name reads it. Raises PromptError: it is not in that dialect."""
    if source == "json" and (asked := request(reading)):
        inner = read(asked.prompt, name=reading.source.name, negative=True)
        sheet = sheet_of(inner, recognise(inner))
        notes = (*sheet.notes, *([f"left out: {', '.join(asked.left)[:200]}"] if asked.left else []))
        settings = asked.settings or sheet.settings
        return replace(sheet, negative=asked.negative or sheet.negative, settings=settings, notes=notes)
    if DIALECTS[source].read is not read_markup:
        return DIALECTS[source].read(reading)
    text = reading.source.text
    end = max((tag.stop for tag in scan(reading.source).tags if tag.known), default=reading.body_start)
    below = parts(text[end:])  # an XML prompt in the web UI: its other lines stand behind the last tag
    if below.bare:
        return read_markup(reading)
    above = read(text[:end] + below.prompt, name=reading.source.name, negative=True)
    return replace(read_markup(above), negative=below.negative, settings=below.settings)


def _without_unwanted(sheet: Sheet) -> Sheet:
    """With the elements of the picture that name what is not wanted, as <negative>, in the negative prompt."""
    general = sheet.scene.general
    unwanted = [each for each in general.fields if MEANT.get(each.name) == NEGATIVE]
    if not unwanted:
        return sheet
    kept = replace(general, fields=tuple(each for each in general.fields if each not in unwanted))
    negative = ", ".join(filter(None, (sheet.negative, *(each.value.text for each in unwanted))))
    note = f"<{unwanted[0].name}> names what is not wanted: it is the negative prompt"
    scene = replace(sheet.scene, general=kept)
    return replace(sheet, scene=scene, negative=negative, notes=(*sheet.notes, note))


def _lost_beside(sheet: Sheet, target: str) -> list[str]:
    """What stands beside the scene and has no place in the target."""
    lost = []
    if sheet.system and target != "comfyui":
        lost.append(f"the pasted system prompt: {json.dumps(sheet.system[:60])}")
    if sheet.comments:
        lost.append(f"{sheet.comments} comment{'s' * (sheet.comments > 1)}")
    boxes = boxes_of(sheet.scene, sheet.attributes) if target in BOXED else []
    kept = {at for _, at, box in boxes if target == "json" or from_json(corners(box))}
    gone = [each for at, each in sheet.attributes.items() if at not in kept]
    if gone and not DIALECTS[target].attributes:
        lost.append(f"attributes:{';'.join(gone)}"[:200])
    if sheet.negative and target not in ("a1111", "novelai", "outline"):
        lost.append(f"the negative prompt: {sheet.negative}")
    if sheet.settings and target != "a1111":
        lost.append("the settings: " + ", ".join(f"{key}: {value}" for key, value in sheet.settings.items()))
    return lost
