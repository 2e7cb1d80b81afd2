"""A drawing in a short sentence, English or Chinese."""

from __future__ import annotations

import random
from typing import Final

from newbie.train.figures import facts, words
from newbie.train.figures.facts import Voice
from newbie.train.figures.spec import Character, PictureSpec

HAIR_PHRASES: Final[dict[str, str]] = {
    "short_hair": "short {} hair",
    "bob_cut": "a {} bob cut",
    "long_hair": "long {} hair",
    "twintails": "{} twintails",
    "ponytail": "a {} ponytail",
    "braid": "a {} braid",
    "spiky_hair": "spiky {} hair",
}
PLACE_PHRASES: Final[dict[str, str]] = {
    "left": "on the left",
    "center_left": "center left",
    "center": "in the center",
    "center_right": "center right",
    "right": "on the right",
}
SCENE_PHRASES: Final[dict[str, str]] = {
    "white_background": "on a white background",
    "blue_sky": "under a blue sky",
    "sunset": "at sunset",
    "night": "at night",
    "cherry_blossoms": "under cherry blossoms",
    "beach": "at the beach",
    "forest": "in the forest",
    "snow": "in the snow",
}


def english(spec: PictureSpec, rng: random.Random) -> str:
    """One sentence. Says some of what is seen: always hair, the rest by chance; two figures always by their place."""
    pair = len(spec.characters) > 1
    people = [_person(character, rng, placed=pair or rng.random() < 0.3) for character in spec.characters]
    rng.shuffle(people)
    scene = f", {SCENE_PHRASES[spec.background]}" if rng.random() < 0.5 else ""
    text = " and ".join(people) + scene
    if rng.random() < 0.4:
        text = text[0].upper() + text[1:] + "."
    return text


def _person(character: Character, rng: random.Random, *, placed: bool) -> str:
    color = "yellow" if character.hair_color == "blonde" and rng.random() < 0.3 else character.hair_color
    hair = HAIR_PHRASES[character.hair_style].format(color) if rng.random() < 0.7 else f"{color} hair"
    text = f"a {character.gender} with {hair}"
    if character.lids != "closed_eyes" and rng.random() < 0.4:
        text += f" and {character.eye_color} eyes"
    if rng.random() < 0.4:
        garment = character.outfit.replace("serafuku", "sailor uniform")
        text += f" in a {character.outfit_color} {garment}"
    if character.action == "waving" and rng.random() < 0.6:
        text += " waving"
    if placed:
        text += f" {PLACE_PHRASES[character.position]}"
    return text


def chinese(spec: PictureSpec, rng: random.Random) -> str:
    """One short Chinese sentence, in the same spirit."""
    voice = Voice(rng, chinese=True, synonyms=0.3)
    comma = rng.choice((",", "，"))
    pair = len(spec.characters) > 1
    people = []
    for character in spec.characters:
        hair = facts.hair_color(character, voice)
        style = facts.hair_style(character, voice) if rng.random() < 0.6 else ""
        who = f"{hair}{style}的{facts.gender(character, voice)}"
        told = [f"{facts.position(character, voice)}是{who}" if pair else who]
        if character.lids != "closed_eyes" and rng.random() < 0.4:
            told.append(facts.eyes(character, voice))
        if rng.random() < 0.4:
            told.append(facts.outfit(character, voice))
        if character.action == "waving" and rng.random() < 0.5:
            told.append(words.ACTION_ZH["waving"][0])
        people.append(comma.join(told))
    rng.shuffle(people)
    if rng.random() < 0.5:
        people.append(facts.background(spec, voice))
    return comma.join(people)
