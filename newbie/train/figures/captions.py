"""Prompts for a drawing, in all the forms people type. A caption never says what the drawing does not show.

The forms and how often each is written:

    xml      45 %  NewBie's XML with everything in it, or nearly
    partial  18 %  XML with whole sections and elements missing
    tags     10 %  plain Danbooru tags
    english   7 %  a short sentence
    chinese  12 %  a short Chinese sentence (Chinese words also occur inside the XML)
    empty     8 %  nothing: what the model draws when it may choose
"""

from __future__ import annotations

import random
from typing import Final, Literal

from newbie.train.figures import facts, sentences
from newbie.train.figures.facts import CHARACTER_ELEMENTS, GENERAL_ELEMENTS, Elements, Voice
from newbie.train.figures.spec import PictureSpec

Form = Literal["xml", "partial", "tags", "english", "chinese", "empty"]
FORMS: Final[dict[Form, float]] = {
    "xml": 0.45, "partial": 0.18, "tags": 0.10, "english": 0.07, "chinese": 0.12, "empty": 0.08,
}  # fmt: skip

QUALITIES: Final = (
    "masterpiece, best_quality", "very_aesthetic, masterpiece, no_text", "high_resolution, detailed", "best_quality",
)  # fmt: skip
PLACEHOLDERS: Final = ("$character_{}$", "original_character", "character_{}")
BY_NAME: Final = 0.6  # how often a figure with a name is described by the name alone


def caption(spec: PictureSpec, rng: random.Random, *, form: Form | None = None) -> str:
    """A prompt for `spec`, of a random form unless `form` names one."""
    form = form or rng.choices(tuple(FORMS), weights=tuple(FORMS.values()))[0]
    if form == "empty":
        return ""
    if form == "english":
        return sentences.english(spec, rng)
    if form == "chinese":
        return sentences.chinese(spec, rng)
    voice = Voice(rng, spaces=rng.random() < 0.25, chinese=form != "tags" and rng.random() < 0.06)
    if form == "tags":
        return _tags(spec, voice, rng)
    return _xml(spec, voice, rng, partial=form == "partial")


def caption_full(spec: PictureSpec) -> str:
    """The canonical XML prompt that says everything `spec` fixes; always the same text for a spec."""
    voice = Voice()
    blocks = [facts.of_character(character, voice) for character in spec.characters]
    return "\n".join(
        [
            *(_block(f"character_{i}", CHARACTER_ELEMENTS, block) for i, block in enumerate(blocks, 1)),
            _block("general_tags", GENERAL_ELEMENTS, facts.of_picture(spec, voice)),
        ]
    )


def _block(tag: str, order: tuple[str, ...], elements: Elements) -> str:
    """Our canonical layout: every element on its own line, no indentation, empty ones left out."""
    lines = [f"<{name}>{', '.join(elements[name])}</{name}>" for name in order if elements.get(name)]
    return "\n".join([f"<{tag}>", *lines, f"</{tag}>"]) if lines else ""


def _xml(spec: PictureSpec, voice: Voice, rng: random.Random, *, partial: bool) -> str:
    blocks = [
        facts.of_character(character, voice, by_name=bool(character.name) and rng.random() < BY_NAME)
        for character in spec.characters
    ]
    rng.shuffle(blocks)  # the position decides where a figure stands, never its number
    general = facts.of_picture(spec, voice)
    _decorate(blocks, general, rng)
    sentence = sentences.english(spec, rng) if rng.random() < (0.25 if partial else 0.15) else ""
    if partial:
        _drop_elements(blocks, general, rng)
    elif rng.random() < 0.4:
        _drop_tags([*blocks, general], 0.12, rng)
    if rng.random() < 0.2:
        for elements in blocks:
            for told in elements.values():
                rng.shuffle(told)
    order = tuple(rng.sample(CHARACTER_ELEMENTS, len(CHARACTER_ELEMENTS))) if rng.random() < 0.1 else CHARACTER_ELEMENTS
    parts = [_block(f"character_{i}", order, elements) for i, elements in enumerate(blocks, 1)]
    if partial and rng.random() < 0.15:
        parts = []
    if not (partial and rng.random() < 0.35):
        parts.append(_block("general_tags", GENERAL_ELEMENTS, general))
    if sentence:
        parts.append(f"<caption>{sentence}</caption>")
    return _layout([part for part in parts if part], rng)


def _decorate(blocks: list[Elements], general: Elements, rng: random.Random) -> None:
    """Words people add that change nothing in our pictures: placeholders for names, quality."""
    if rng.random() < 0.25:
        name = rng.choice(PLACEHOLDERS)
        for i, elements in enumerate(blocks, 1):
            elements["n"] = elements["n"] or [name.format(i)]
    if general["style"] and rng.random() < 0.15:
        general["style"].append("digital_art")
    if rng.random() < 0.3:
        general["quality"] = [rng.choice(QUALITIES)]
    for elements in blocks:
        if not elements["action"] and rng.random() < 0.12:
            elements["action"] = ["looking_at_viewer"]


def _drop_elements(blocks: list[Elements], general: Elements, rng: random.Random) -> None:
    """Leave out whole elements, each with one chance for the whole caption."""
    rate = rng.uniform(0.2, 0.8)
    for elements in (*blocks, general):
        named = bool(elements.get("n")) and not elements["appearance"]  # the name is all that is left of the figure
        for name in elements:
            if rng.random() < rate and not (named and name == "n"):
                elements[name] = []
    _drop_tags([*blocks, general], 0.15, rng)


def _drop_tags(groups: list[Elements], rate: float, rng: random.Random) -> None:
    for elements in groups:
        for name, told in elements.items():
            if name != "n":
                elements[name] = [word for word in told if rng.random() >= rate]


def _layout(parts: list[str], rng: random.Random) -> str:
    """Canonical in seven of ten; else indented with blank lines as in the model's README, or all on one line."""
    chance = rng.random()
    if chance < 0.7:
        return "\n".join(parts)
    if chance < 0.85:
        return "\n\n".join(_indented(part) for part in parts)
    return "".join(part.replace("\n", "") for part in parts)


def _indented(part: str) -> str:
    first, *inner = part.split("\n")
    return "\n".join([first, *("  " + line for line in inner[:-1]), *inner[-1:]])


def _tags(spec: PictureSpec, voice: Voice, rng: random.Random) -> str:
    """A Danbooru list: counting tags first, the rest in any order, some left out."""
    rate = rng.choice((0.0, 0.2, 0.5))
    told: list[str] = []
    for character in spec.characters:
        named = bool(character.name) and rng.random() < 0.8
        if named:
            told.append(character.name)
        if not (named and rng.random() < BY_NAME):
            told += facts.appearance(character, voice) + facts.clothing(character, voice)
        told += facts.expression(character, voice) + facts.action(character, voice)
        if len(spec.characters) == 1 and character.position != "center":
            told.append(facts.position(character, voice))
    general = facts.of_picture(spec, voice)
    told += general["background"] + general["perspective"] + general["lighting"]
    told = list(dict.fromkeys(word for word in told if rng.random() >= rate))
    told += general["style"]
    if rng.random() < 0.5:
        rng.shuffle(told)
    told = facts.count(spec) + told
    if rng.random() < 0.25:
        told.append(rng.choice(QUALITIES))
    return ", ".join(told)
