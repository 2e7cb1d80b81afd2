"""A thousand prompts of the hardest kind for binding, chosen before regions were measured: `DIGEST` holds them fast.

    similar   two figures whose hair, and whose clothes, have colours that are easily taken for one another
    three     three figures, two of them with similar hair
    unusual   two figures in places that are never trained together, written in any order
    uneven    one figure described at length, the other by hair and place alone

All are combinations that are never trained, and nobody in them has a name.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from newbie.prompt import canonical_text, compose
from newbie.train.figures import Character, PictureSpec, has_held_out_pair, held_out, sample
from newbie.train.figures.facts import CHARACTER_ELEMENTS, GENERAL_ELEMENTS, Elements, Voice, of_character, of_picture
from newbie.train.figures.spec import fits
from newbie.train.probe import Asked
from newbie.train.report import Task

COUNT: Final = 1000
KINDS: Final = ("similar", "three", "unusual", "uneven")
SIMILAR_HAIR: Final = (
    ("red", "orange"), ("orange", "blonde"), ("red", "pink"), ("pink", "purple"), ("purple", "blue"),
    ("brown", "black"), ("brown", "orange"), ("blonde", "white"), ("blue", "black"),
)  # fmt: skip
SIMILAR_CLOTHES: Final = (
    ("red", "pink"), ("blue", "purple"), ("yellow", "white"), ("pink", "purple"), ("blue", "black"), ("green", "blue"),
)  # fmt: skip
UNUSUAL: Final = (("left", "center"), ("center", "right"), ("left", "center_right"), ("center_left", "right"))
BRIEF: Final = ("gender", "hair_color", "position")

# Of all names and prompts; changes with any of them. Fixed on the day the prompts were chosen.
DIGEST: Final = "5d0403fb3db3fc59d2dfaabd60b51cd7c38758751b2abbbdf26e1394f59c6e75"


def hard(count: int = COUNT) -> list[Task]:
    """The first `count` of them; the kinds take turns."""
    return [_task(KINDS[i % len(KINDS)], i, random.Random(f"hard/{i}")) for i in range(count)]


def digest(tasks: Sequence[Task]) -> str:
    """SHA-256 of the names and the prompts."""
    told = "".join(json.dumps([task.name, task.prompt], ensure_ascii=False) + "\n" for task in tasks)
    return hashlib.sha256(told.encode()).hexdigest()


def _task(kind: str, number: int, rng: random.Random) -> Task:
    while True:
        spec = _spec(kind, rng)
        if held_out(spec) and not has_held_out_pair(spec) and all(map(fits, spec.characters)):
            break
    brief = rng.randrange(2) if kind == "uneven" else None
    order = list(range(len(spec.characters)))
    if kind == "unusual":
        rng.shuffle(order)
    asked = Asked.of(spec)
    figures = tuple(
        {question: answers[question] for question in BRIEF} if i == brief else answers
        for i, answers in enumerate(asked.figures)
    )
    asked = Asked(asked.picture, figures)
    return Task(f"{kind}-{number:04}", _prompt(spec, order, brief), asked, spec.shape, spec)


def _spec(kind: str, rng: random.Random) -> PictureSpec:
    """A picture of this kind; it may turn out to be a trained one."""
    spec = sample(rng, split="any", characters=3 if kind == "three" else 2)
    figures = [replace(figure, name="") for figure in spec.characters]
    if kind in ("similar", "three"):
        pair = rng.sample(range(len(figures)), 2)
        for place, colour in zip(pair, rng.sample(rng.choice(SIMILAR_HAIR), 2), strict=True):
            figures[place] = replace(figures[place], hair_color=colour)
    if kind == "similar":
        for place, colour in enumerate(rng.sample(rng.choice(SIMILAR_CLOTHES), 2)):
            figures[place] = replace(figures[place], outfit_color=colour)
    if kind == "unusual":
        figures = [replace(f, position=p) for f, p in zip(figures, rng.choice(UNUSUAL), strict=True)]
    return replace(spec, characters=tuple(figures))


def _prompt(spec: PictureSpec, order: Sequence[int], brief: int | None) -> str:
    voice = Voice()
    blocks = [_brief(f, voice) if i == brief else of_character(f, voice) for i, f in enumerate(spec.characters)]
    scene = compose(
        [_joined(blocks[i], CHARACTER_ELEMENTS) for i in order], _joined(of_picture(spec, voice), GENERAL_ELEMENTS)
    )
    return canonical_text(scene)


def _brief(figure: Character, voice: Voice) -> Elements:
    whole: dict[str, Any] = of_character(figure, voice)
    return {"gender": whole["gender"], "appearance": whole["appearance"][:1], "position": whole["position"]}


def _joined(elements: Elements, order: Sequence[str]) -> dict[str, str]:
    return {name: ", ".join(elements[name]) for name in order if elements.get(name)}
