"""What can be said of a drawing, in the words of one speaker.

A `Voice` settles once per caption what stays the same throughout it: the language, underscores or spaces, how often
a synonym replaces the canonical tag. The functions turn specs into lists of words; `captions.py` lays them out.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from newbie.train.figures import words
from newbie.train.figures.spec import Character, PictureSpec

CHARACTER_ELEMENTS = ("n", "gender", "appearance", "clothing", "expression", "action", "position")
GENERAL_ELEMENTS = ("count", "style", "background", "perspective", "lighting", "quality")

Elements = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Voice:
    """How a caption is written. Without a generator every word is the canonical tag."""

    rng: random.Random | None = None
    spaces: bool = False
    chinese: bool = False
    synonyms: float = 0.15  # how often a word is not the canonical one

    def say(self, english: words.Words, chinese: words.Words, value: str) -> str:
        """One spelling of `value`."""
        spellings = chinese[value] if self.chinese else english[value]
        word = spellings[0]
        if self.rng is not None and len(spellings) > 1 and self.rng.random() < self.synonyms:
            word = self.rng.choice(spellings[1:])
        return word.replace("_", " ") if self.spaces else word


def gender(character: Character, voice: Voice) -> str:
    """`1girl` and the like."""
    return voice.say(words.GENDER_TAGS, words.GENDER_ZH, character.gender)


def hair_color(character: Character, voice: Voice) -> str:
    return voice.say(words.HAIR_COLOR_TAGS, words.HAIR_COLOR_ZH, character.hair_color)


def hair_style(character: Character, voice: Voice) -> str:
    return voice.say(words.HAIR_STYLE_TAGS, words.HAIR_STYLE_ZH, character.hair_style)


def eyes(character: Character, voice: Voice) -> str:
    return voice.say(words.EYE_COLOR_TAGS, words.EYE_COLOR_ZH, character.eye_color)


def outfit(character: Character, voice: Voice) -> str:
    """Colour and garment in one tag: `red_hoodie`."""
    garment = voice.say(words.OUTFIT_TAGS, words.OUTFIT_ZH, character.outfit)
    if voice.chinese:
        return words.OUTFIT_COLOR_ZH[character.outfit_color][0] + garment
    return f"{character.outfit_color}{' ' if voice.spaces else '_'}{garment}"


def appearance(character: Character, voice: Voice) -> list[str]:
    """Hair, eyes, ears. Closed eyes have no visible colour, so none is told."""
    told = [hair_color(character, voice), hair_style(character, voice)]
    if character.lids != "closed_eyes":
        told.append(eyes(character, voice))
    return told + [_accessory(name, voice) for name in character.accessories if name not in words.WORN]


def clothing(character: Character, voice: Voice) -> list[str]:
    """The outfit and what is worn with it."""
    worn = [_accessory(name, voice) for name in character.accessories if name in words.WORN]
    return [outfit(character, voice), *worn]


def expression(character: Character, voice: Voice) -> list[str]:
    """Mouth, eyelids, blush."""
    told = [voice.say(words.MOUTH_TAGS, words.MOUTH_ZH, character.mouth)]
    if character.lids != "open":
        told.append(voice.say(words.LID_TAGS, words.LID_ZH, character.lids))
    if character.blush:
        told.append(voice.say({"blush": words.BLUSH_TAGS}, {"blush": words.BLUSH_ZH}, "blush"))
    return told


def action(character: Character, voice: Voice) -> list[str]:
    """What the hands do. Standing still is not worth a word."""
    told = []
    if character.action != "standing":
        told.append(voice.say(words.ACTION_TAGS, words.ACTION_ZH, character.action))
    if character.prop:
        told.append(voice.say(words.PROP_TAGS, words.PROP_ZH, character.prop))
    return told


def position(character: Character, voice: Voice) -> str:
    return voice.say(words.POSITION_TAGS, words.POSITION_ZH, character.position)


def background(spec: PictureSpec, voice: Voice) -> str:
    return voice.say(words.BACKGROUND_TAGS, words.BACKGROUND_ZH, spec.background)


def style(spec: PictureSpec, voice: Voice) -> str:
    return voice.say(words.STYLE_TAGS, words.STYLE_ZH, spec.style)


def lighting(spec: PictureSpec, voice: Voice) -> str:
    return voice.say(words.LIGHT_TAGS, words.LIGHT_ZH, spec.lighting)


def framing(spec: PictureSpec, voice: Voice) -> str:
    return voice.say(words.FRAMING_TAGS, words.FRAMING_ZH, spec.framing)


def count(spec: PictureSpec) -> list[str]:
    """Danbooru's counting tags."""
    girls = sum(character.gender == "girl" for character in spec.characters)
    boys = len(spec.characters) - girls
    told = [f"{n}{kind}{'s' if n > 1 else ''}" for n, kind in ((girls, "girl"), (boys, "boy")) if n]
    return [*told, "solo"] if girls + boys == 1 else told


def of_character(character: Character, voice: Voice, *, by_name: bool = False) -> Elements:
    """All there is to say of one figure, element by element.

    `by_name` leaves out what the name of a known figure already says: hair, eyes, clothes.
    """
    return {
        "n": [character.name] if character.name else [],
        "gender": [gender(character, voice)],
        "appearance": [] if by_name else appearance(character, voice),
        "clothing": [] if by_name else clothing(character, voice),
        "expression": expression(character, voice),
        "action": action(character, voice),
        "position": [position(character, voice)],
    }


def of_picture(spec: PictureSpec, voice: Voice) -> Elements:
    """All there is to say of the whole picture; with a generator, often not what goes without saying."""

    def usual(value: str, norm: str, share: float) -> bool:
        return voice.rng is not None and value == norm and voice.rng.random() >= share

    return {
        "count": count(spec),
        "style": [] if usual(spec.style, "anime_style", 0.5) else [style(spec, voice)],
        "background": [background(spec, voice)],
        "perspective": [] if usual(spec.framing, "upper_body", 0.4) else [framing(spec, voice)],
        "lighting": [] if usual(spec.lighting, "daylight", 0.2) else [lighting(spec, voice)],
        "quality": [],
    }


def _accessory(name: str, voice: Voice) -> str:
    return voice.say(words.ACCESSORY_TAGS, words.ACCESSORY_ZH, name)
