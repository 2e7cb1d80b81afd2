"""What a prompt asks for, as far as the probe can judge: typed text back to questions and answers.

What is asked is judged, what is not asked is ignored, and what is asked but cannot be judged is listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from newbie.prompt import Reading
from newbie.prompt.scene import Block
from newbie.train.figures import words
from newbie.train.figures.names import NAMED
from newbie.train.probe.labels import OF_PICTURE, Asked

Meaning = tuple[tuple[str, str], ...]  # (question, answer), several for a name or for `red_hoodie`

_COUNT: Final = re.compile(r"(\d+) ?(?:girls?|boys?|others?)")
_CHINESE: Final = re.compile(r"[\u4e00-\u9fff]")


@dataclass
class Understood:
    """A prompt's questions, and the words of it that cannot be judged."""

    asked: Asked
    not_judged: list[str] = field(default_factory=list)


def understand(reading: Reading) -> Understood:
    """Map a prompt back to what the drawings can show."""
    scene = reading.scene
    lost: list[str] = []
    picture: dict[str, str] = {}
    if not scene.characters:
        person: dict[str, str] = {}
        typed = [value.text for value in scene.tags] or [*_items(scene.general)]
        _tell(typed, picture, person, lost, counts=True)
        sentence = " , ".join(value.text for value in scene.captions) if scene.dialect != "tags" else ""
        phrases = _phrases(sentence)
        _tell(phrases, picture, person, lost)
        several = sum(phrase in _PEOPLE for phrase in phrases) > 1 or picture.get("count", "1") != "1"
        if several and person:
            lost.append("who looks how: " + ", ".join(person.values()))
        return _understood(picture, [] if several or not person else [person], lost)
    people: list[dict[str, str]] = [{} for _ in scene.characters]
    for character, person in zip(scene.characters, people, strict=True):
        _tell(_items(character), picture, person, lost)
    _tell(_items(scene.general), picture, {}, lost, counts=True)
    lost += [f"caption: {value.text}" for value in scene.captions if value.text]
    picture.setdefault("count", str(len(people)))
    return _understood(picture, people, lost)


def _understood(picture: dict[str, str], people: list[dict[str, str]], lost: list[str]) -> Understood:
    for person in people:
        if person.get("lids") == "closed_eyes":
            person.pop("eye_color", None)
    if picture.get("count", "1") not in ("1", "2", "3"):
        lost.append(f"{picture.pop('count')} figures")
        people = []
    return Understood(Asked(picture, _placed(people, picture, lost)), list(dict.fromkeys(lost)))


def _items(block: Block) -> Iterable[str]:
    for each in block.fields:
        if each.name == "n":
            yield from (item.text for item in each.value.items if "character" not in item.text)  # placeholders
        elif each.name not in ("quality", "resolution"):
            yield from (item.text for item in each.value.items)


def _tell(
    items: Iterable[str], picture: dict[str, str], person: dict[str, str], lost: list[str], *, counts: bool = False
) -> None:
    """Sort items into what they mean for the picture and for a person; `counts`: 2girls is a number of figures."""
    total = 0
    for item in items:
        text = _plain(item)
        counted = _COUNT.fullmatch(text)
        if counted:
            total += int(counted[1])
            if text in ("1girl", "1boy"):
                person["gender"] = text[1:]
            continue
        meaning = MEANINGS.get(text)
        if meaning is None and text not in _MEANINGLESS:
            lost.append(item)
        for question, answer in meaning or ():
            (picture if question in OF_PICTURE else person)[question] = answer
    if total and counts:
        picture["count"] = str(total)


def _placed(people: list[dict[str, str]], picture: dict[str, str], lost: list[str]) -> tuple[dict[str, str], ...]:
    """The figures from left to right; none where it cannot be told which one is which."""
    if len(people) < 2:
        return tuple(people)
    places = [person.get("position", "") for person in people]
    if "" in places or len(set(places)) < len(places) or len(places) != int(picture["count"]):
        lost.append("who stands where")
        return ()
    return tuple(sorted(people, key=lambda person: words.POSITIONS.index(person["position"])))


def _phrases(text: str) -> list[str]:
    """The phrases of a sentence that mean something here; longer ones first, none inside another."""
    left = _plain(text)
    found = []
    for phrase in sorted(MEANINGS, key=len, reverse=True):
        edge = "" if _CHINESE.search(phrase) else r"\b"
        left, times = re.subn(f"{edge}{re.escape(phrase)}{edge}", " , ", left)
        found += [phrase] * times
    return found


def _plain(text: str) -> str:
    return " ".join(text.lower().replace("_", " ").split())


_PEOPLE: Final = ("girl", "boy", *NAMED, *(word for who in words.GENDER_ZH.values() for word in who))
# Words of our captions that change nothing in a picture.
_MEANINGLESS: Final = ("solo", "looking at viewer", "digital art", "original character")


def _meanings() -> dict[str, Meaning]:
    tables: tuple[tuple[str, words.Words], ...] = (
        ("gender", words.GENDER_ZH),
        ("hair_color", words.HAIR_COLOR_TAGS), ("hair_color", words.HAIR_COLOR_ZH),
        ("hair_style", words.HAIR_STYLE_TAGS), ("hair_style", words.HAIR_STYLE_ZH),
        ("eye_color", words.EYE_COLOR_TAGS), ("eye_color", words.EYE_COLOR_ZH),
        ("outfit", words.OUTFIT_TAGS), ("outfit", words.OUTFIT_ZH),
        ("mouth", words.MOUTH_TAGS), ("mouth", words.MOUTH_ZH),
        ("lids", words.LID_TAGS), ("lids", words.LID_ZH),
        ("action", words.ACTION_TAGS), ("action", words.ACTION_ZH),
        ("prop", words.PROP_TAGS), ("prop", words.PROP_ZH),
        ("position", words.POSITION_TAGS), ("position", words.POSITION_ZH),
        ("background", words.BACKGROUND_TAGS), ("background", words.BACKGROUND_ZH),
        ("framing", words.FRAMING_TAGS), ("framing", words.FRAMING_ZH),
        ("lighting", words.LIGHT_TAGS), ("lighting", words.LIGHT_ZH),
        ("style", words.STYLE_TAGS), ("style", words.STYLE_ZH),
    )  # fmt: skip
    found: dict[str, Meaning] = {
        _plain(spelling): ((question, value),)
        for question, table in tables
        for value, spellings in table.items()
        for spelling in spellings
    }
    found |= {"girl": (("gender", "girl"),), "boy": (("gender", "boy"),)}
    for name, spellings in (*words.ACCESSORY_TAGS.items(), *words.ACCESSORY_ZH.items()):
        found |= {_plain(spelling): ((name, "yes"),) for spelling in spellings}
    found |= {_plain(spelling): (("blush", "yes"),) for spelling in (*words.BLUSH_TAGS, *words.BLUSH_ZH)}
    for color in words.OUTFIT_COLORS:
        for outfit in words.OUTFITS:
            meaning = (("outfit_color", color), ("outfit", outfit))
            found |= {f"{color} {_plain(spelling)}": meaning for spelling in words.OUTFIT_TAGS[outfit]}
            found |= {
                of_color + spelling: meaning
                for of_color in words.OUTFIT_COLOR_ZH[color]
                for spelling in words.OUTFIT_ZH[outfit]
            }
    for name in NAMED:
        found[name] = tuple(design(name).items())
    return found


def design(name: str) -> dict[str, str]:
    """How somebody with a name looks, as answers; what is worn is asked, what is not worn is not."""
    looks = dict(NAMED[name])
    worn = looks.pop("accessories")
    return {**looks, **dict.fromkeys(worn, "yes")}


MEANINGS: Final = _meanings()
