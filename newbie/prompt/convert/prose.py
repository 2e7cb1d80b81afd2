"""Plain sentences: the captions of a prompt, or its tags as words where it has none."""

from __future__ import annotations

from newbie.prompt.convert.sheet import Sheet
from newbie.prompt.scene import Block, Character, Scene

WHO = {"1girl": "a girl", "1boy": "a boy", "1other": "a person"}
_HOW = {"appearance": "with", "body_type": "with", "clothing": "wearing", "position": "at the"}
_NAMELESS = ("$", "original_character")


def write_prose(sheet: Sheet) -> str:
    """One caption per line; without captions a sentence per person, and one per element of the picture."""
    scene = sheet.scene
    captions = [text for each in scene.captions if (text := " ".join(each.text.split()))]
    return "\n".join(captions or _told(scene))


def _told(scene: Scene) -> list[str]:
    told = [_person(each) for each in scene.characters]
    told += [_sentence(f"{name.replace('_', ' ')}: {_words(scene.general, name)}") for name in scene.general]
    if scene.tags:
        told.append(_sentence(", ".join(_spaced(each.text) for each in scene.tags)))
    return [sentence for sentence in told if sentence]


def _person(person: Character) -> str:
    gender = person.gender.text if person.gender else ""
    who = WHO.get(gender, _spaced(gender) or "somebody")
    name = person.name.text if person.name else ""
    if name and not name.startswith(_NAMELESS):
        who = f"{_spaced(name)}, {who}"
    parts = [who]
    for element in person:
        words = _words(person, element)
        if element not in ("n", "gender") and words:
            parts.append(f"{_HOW[element]} {words}" if element in _HOW else words)
    return _sentence(", ".join(parts))


def _words(block: Block, name: str) -> str:
    words = [_spaced(item.text) for field in block.fields if field.name == name for item in field.value.items]
    return " and ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else "".join(words)


def _spaced(tag: str) -> str:
    """Underscores between words are blanks; those of an emoticon stay."""
    return tag.replace("_", " ") if any(map(str.isalnum, tag)) else tag


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text[-1:] in ".!?。" else ".") if text else ""
