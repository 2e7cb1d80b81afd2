"""What a report asks for: held-out combinations, held-out pairs, other forms of prompts, names, or people's own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from newbie.errors import UsageError
from newbie.prompt import read, read_file
from newbie.train.figures import HELD_OUT_PAIRS, Character, PictureSpec, caption, caption_full, sample, sample_pair
from newbie.train.figures.captions import Form
from newbie.train.figures.names import NAMED
from newbie.train.figures.spec import Pair, has_pair
from newbie.train.probe import Asked
from newbie.train.report.asked import design, understand

OTHER_FORMS: Final[tuple[Form, ...]] = ("tags", "english", "chinese")
SUFFIXES: Final = (".xml", ".txt")


@dataclass(frozen=True)
class Task:
    """One picture to be drawn and judged. `name` is its file's; `spec`, where there is one, can be drawn for real."""

    name: str
    prompt: str
    asked: Asked
    shape: str = "square"
    spec: PictureSpec | None = None


def task(name: str, spec: PictureSpec) -> Task:
    """The full prompt of a spec, judged in everything."""
    return Task(name, caption_full(spec), Asked.of(spec), spec.shape, spec)


def held_out(count: int, seed: int) -> list[Task]:
    """One, two and three figures in turn, of combinations that are never trained."""
    rngs = (random.Random(f"evaluate/{seed}/{i}") for i in range(count))
    return [task(f"main-{i:04}", sample(rng, split="held_out", characters=1 + i % 3)) for i, rng in enumerate(rngs)]


def pairs(each: int, seed: int) -> list[Task]:
    """`each` pictures of every pair that no trained figure has; of these only the pair is judged."""
    found = []
    for number, pair in enumerate(HELD_OUT_PAIRS):
        for i in range(each):
            rng = random.Random(f"pairs/{seed}/{number}/{i}")
            found.append(_pair_task(f"pairs-{number:02}-{i:03}", pair, rng, characters=1 + i % 3))
    return found


def _pair_task(name: str, pair: Pair, rng: random.Random, *, characters: int) -> Task:
    while True:
        spec = sample_pair(rng, pair, characters)
        full = Asked.of(spec)
        figures = tuple(
            {question: figure[question] for question in (pair[0], pair[2])}
            if has_pair(character, pair) and pair[2] in figure  # a closed eye shows no colour
            else {}
            for character, figure in zip(spec.characters, full.figures, strict=True)
        )
        if any(figures):
            return Task(name, caption_full(spec), Asked({"count": full.picture["count"]}, figures), spec.shape, spec)


def pair_of(name: str) -> Pair:
    """The pair that the picture called `pairs-03-012` is about."""
    return HELD_OUT_PAIRS[int(name.split("-")[1])]


def forms(each: int, seed: int) -> list[Task]:
    """Prompts as people type them, `each` of every form, judged by hair colour alone.

    Tags cannot say who has what, so they describe one figure; sentences describe one or two.
    """
    found = []
    for form in OTHER_FORMS:
        for i in range(each):
            rng = random.Random(f"forms/{seed}/{form}/{i}")
            spec = sample(rng, split="held_out", characters=1 if form == "tags" else 1 + i % 2)
            spec = replace(spec, characters=tuple(replace(figure, name="") for figure in spec.characters))
            asked = Asked(
                {"count": str(len(spec.characters))}, tuple({"hair_color": c.hair_color} for c in spec.characters)
            )
            found.append(Task(f"forms-{form}-{i:03}", _saying_hair(spec, form, rng), asked, spec.shape, spec))
    return found


def _saying_hair(spec: PictureSpec, form: Form, rng: random.Random) -> str:
    while True:
        prompt = caption(spec, rng, form=form)
        if form != "tags":  # sentences always tell the hair's colour
            return prompt
        figures = understand(read(prompt)).asked.figures
        if figures and figures[0].get("hair_color") == spec.characters[0].hair_color:
            return prompt


def names(each: int) -> list[Task]:
    """Everybody with a name, `each` times, asked for by the name alone."""
    found = []
    for name in NAMED:
        spec = PictureSpec((Character(name=name, **NAMED[name]),))
        prompt = f"<character_1>\n<n>{name}</n>\n</character_1>"
        asked = Asked({"count": "1"}, (design(name),))
        found += [Task(f"names-{name}-{i:02}", prompt, asked, spec=spec) for i in range(each)]
    return found


def of_folder(folder: Path, shape: str = "square") -> tuple[list[Task], dict[str, list[str]]]:
    """The prompts in a folder, and by file what of them cannot be judged.

    Raises:
        UsageError: there is no such folder, or no prompt in it.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder", "name a folder with prompts in .xml or .txt files")
    files = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    if not files:
        raise UsageError(f"there is no prompt in {folder}", "prompts end in .xml or .txt")
    tasks, lost = [], {}
    for file in files:
        reading = read_file(file)
        understood = understand(reading)
        tasks.append(Task(f"own-{file.stem}", reading.source.text, understood.asked, shape))
        if understood.not_judged:
            lost[file.name] = understood.not_judged
    return tasks, lost


def as_tasks(what: Sequence[PictureSpec | Task]) -> list[Task]:
    """Specs by their full prompts."""
    return [each if isinstance(each, Task) else task(f"picture-{i:04}", each) for i, each in enumerate(what)]
