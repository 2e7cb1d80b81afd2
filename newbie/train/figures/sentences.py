"""A drawing in a short sentence, English or Chinese."""

from __future__ import annotations

import random
from typing import Final

from newbie.train.figures import facts
from newbie.train.figures.facts import Voice
from newbie.train.figures.spec import Character, PictureSpec

HAIR_PHRASES: Final[dict[str, str]] = {
    "short_hair": "short {} hair",
    "bob_cut": "a {} bob cut",
    "long_hair": "long {} hair",
    "twintails": "{} twintails",
    "ponytail": "a {} ponytail",
    "braid": "a {} braid",
    "hair_buns": "{} hair in two buns",
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
    "classroom": "in a classroom",
    "flower_field": "in a field of flowers",
}
ACTION_PHRASES: Final[dict[str, str]] = {
    "waving": "waving",
    "peace_sign": "making a peace sign",
    "arms_up": "with both arms up",
    "hands_on_hips": "with hands on hips",
    "sitting": "sitting",
}
PROP_PHRASES: Final[dict[str, str]] = {
    "book": "holding a book",
    "balloon": "holding a balloon",
    "bouquet": "holding a bouquet",
    "teddy_bear": "holding a teddy bear",
    "ice_cream": "holding an ice cream",
}
STYLE_PHRASES: Final[dict[str, str]] = {
    "anime_style": "an anime picture of",
    "watercolor": "a watercolor of",
    "flat_color": "a flat color picture of",
    "pixel_art": "pixel art of",
}
LIGHT_PHRASES: Final[dict[str, str]] = {
    "daylight": "in daylight",
    "warm_light": "in warm light",
    "moonlight": "in the moonlight",
    "backlighting": "with backlighting",
}


def english(spec: PictureSpec, rng: random.Random) -> str:
    """One sentence. Says some of what is seen: always hair or a name, the rest by chance; several figures always by
    their place."""
    several = len(spec.characters) > 1
    people = [_person(character, rng, placed=several or rng.random() < 0.3) for character in spec.characters]
    rng.shuffle(people)
    text = " and ".join(people) if len(people) < 3 else f"{people[0]}, {people[1]} and {people[2]}"
    if rng.random() < (0.25 if spec.style == "anime_style" else 0.9):
        text = f"{STYLE_PHRASES[spec.style]} {text}"
    if rng.random() < 0.5:
        text += f", {SCENE_PHRASES[spec.background]}"
    if rng.random() < (0.1 if spec.lighting == "daylight" else 0.7):
        text += f", {LIGHT_PHRASES[spec.lighting]}"
    if rng.random() < (0.15 if spec.framing == "upper_body" else 0.7):
        text += f", {spec.framing.replace('_', ' ')}"
    if rng.random() < 0.4:
        text = text[0].upper() + text[1:] + "."
    return text


def _person(character: Character, rng: random.Random, *, placed: bool) -> str:
    if character.name and rng.random() < 0.6:
        text = character.name
    else:
        text = _looks(character, rng)
    if character.action in ACTION_PHRASES and rng.random() < 0.6:
        text += f" {ACTION_PHRASES[character.action]}"
    if character.prop and rng.random() < 0.7:
        text += f" {PROP_PHRASES[character.prop]}"
    if placed:
        text += f" {PLACE_PHRASES[character.position]}"
    return text


def _looks(character: Character, rng: random.Random) -> str:
    color = "yellow" if character.hair_color == "blonde" and rng.random() < 0.3 else character.hair_color
    hair = HAIR_PHRASES[character.hair_style].format(color) if rng.random() < 0.7 else f"{color} hair"
    text = f"a {character.gender} with {hair}"
    if character.lids != "closed_eyes" and rng.random() < 0.4:
        text += f" and {character.eye_color} eyes"
    if rng.random() < 0.4:
        garment = character.outfit.replace("serafuku", "sailor uniform")
        text += f" in a {character.outfit_color} {garment}"
    return text


def chinese(spec: PictureSpec, rng: random.Random) -> str:
    """One short Chinese sentence, in the same spirit."""
    voice = Voice(rng, chinese=True, synonyms=0.3)
    comma = rng.choice((",", "，"))
    several = len(spec.characters) > 1
    people = []
    for character in spec.characters:
        hair = facts.hair_color(character, voice)
        style = facts.hair_style(character, voice) if rng.random() < 0.6 else ""
        who = f"{hair}{style}的{facts.gender(character, voice)}"
        if character.name and rng.random() < 0.4:
            who = character.name
        told = [f"{facts.position(character, voice)}是{who}" if several else who]
        if character.lids != "closed_eyes" and rng.random() < 0.4:
            told.append(facts.eyes(character, voice))
        if rng.random() < 0.4:
            told.append(facts.outfit(character, voice))
        if rng.random() < 0.5:
            told += facts.action(character, voice)
        people.append(comma.join(told))
    rng.shuffle(people)
    if rng.random() < 0.5:
        people.append(facts.background(spec, voice))
    if rng.random() < (0.2 if spec.style == "anime_style" else 0.9):
        people.append(facts.style(spec, voice))
    if rng.random() < (0.1 if spec.lighting == "daylight" else 0.6):
        people.append(facts.lighting(spec, voice))
    if rng.random() < (0.1 if spec.framing == "upper_body" else 0.6):
        people.append(facts.framing(spec, voice))
    return comma.join(people)
