"""From a prompt as it was typed to the words of one picture: choose, put character files in, add styles, read.

path = Path("prompts/reuse/stage.xml")
expanded = expand(read_file(path), Ingredients(prompt=path, template=True), seed=7)
expanded.reading        what is drawn; each finding knows its place in the file it is about
expanded.recipe         what the picture's record says of it; None where nothing was done
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from newbie.prompt.diagnostics import Diagnostic, sort
from newbie.prompt.read import Reading, read_file, read_source
from newbie.prompt.reuse import styles
from newbie.prompt.reuse.characters import Cast, Place
from newbie.prompt.reuse.choose import Filling, Found
from newbie.prompt.reuse.composed import Composed
from newbie.prompt.reuse.folder import Folder
from newbie.prompt.reuse.recipe import Recipe
from newbie.prompt.reuse.template import parse, replaceable
from newbie.prompt.reuse.wildcards import Wildcards
from newbie.prompt.rules import reuse as rules
from newbie.prompt.source import Source


@dataclass(frozen=True, kw_only=True)
class Ingredients:
    """What a prompt is put together from, beside its own text."""

    prompt: Path | None = None  # the prompt's file; None: it was typed, and names no character files
    template: bool = False  # whether `{a|b}`, `${name}` and `__file__` mean something
    variables: Mapping[str, str] = field(default_factory=dict)
    wildcards: Wildcards | None = None
    styles: tuple[styles.Style, ...] = ()
    style_file: tuple[str, str] | None = None  # its name and SHA-256


@dataclass(frozen=True)
class Expanded:
    """The words of one picture. `unused`: variables that were given and that nobody asked for."""

    reading: Reading
    recipe: Recipe | None = None
    unused: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return self.reading.source.text

    @property
    def has_choices(self) -> bool:
        """Whether another seed may give other words."""
        return self.recipe is not None and bool(self.recipe.chosen)


def expand(typed: Reading, ingredients: Ingredients, *, seed: int = 0, negative: bool = False) -> Expanded:
    """The words for one seed; the same typed text, files and seed give the same words everywhere.

    What cannot be resolved stays as it was typed, with a finding of severity error; nothing should be drawn then.

    Raises:
        PromptError: what came together cannot be read, such as more than MAX_BYTES.
        PromptRefused: it sexualises minors (not asked of a negative prompt).
    """
    path = ingredients.prompt
    filling = Filling(seed, ingredients.wildcards) if ingredients.template else None
    cast = Cast(Folder(path.parent) if path else None, filling)
    scope = filling.scope(ingredients.variables) if filling else {}
    text = cast.expanded(typed.source, scope, Place(path.name, (path.resolve(),)) if path else Place(""))
    for style in ingredients.styles:
        text = styles.add(text, style)
    found = [*cast.found, *(filling.found if filling else _as_it_stands(typed.source))]
    unused = tuple(sorted(ingredients.variables.keys() - filling.used)) if filling else ()
    if text.text == typed.source.text:
        return Expanded(_with(typed, text, found, cast), None, unused)
    recipe = Recipe(
        typed=typed.source.text,
        seed=seed if filling and filling.chosen else None,
        chosen=tuple(filling.chosen) if filling else (),
        variables=dict(ingredients.variables),
        styles=tuple(style.name for style in ingredients.styles),
        files=_files(cast, filling, ingredients),
    )
    return Expanded(_with(read_source(text, negative=negative), text, found, cast), recipe, unused)


def read_prompt_file(path: str | os.PathLike[str]) -> Reading:
    """As `read_file`, with the character files that the prompt names in their places. Errors as in `expand`."""
    path = Path(path)
    return expand(read_file(path), Ingredients(prompt=path)).reading


def _with(reading: Reading, text: Composed, found: list[Found], cast: Cast) -> Reading:
    """The reading with further findings."""
    return replace(reading, diagnostics=sort([*reading.diagnostics, *(_placed(each, text, cast) for each in found)]))


def _placed(found: Found, text: Composed, cast: Cast) -> Diagnostic:
    """A finding at its place in the text; where that was left out, at the tag that led to its file, or just before."""
    rule, source, span, message, hint = found
    while (there := text.find(source, span)).empty:
        way = next((way for way in cast.ways if way[0] is source), None)
        if way is None:
            there = text.before(source, span)
            break
        if source is found.source:
            place = source.place(span.start)
            message = f"{source.name}:{place.line}:{place.column}: {message}"
        _, source, span = way
    return Diagnostic(rule, there, message, hint)


def _files(cast: Cast, filling: Filling | None, ingredients: Ingredients) -> dict[str, str]:
    files = dict(sorted(cast.files.items()))
    if filling:
        files |= {f"__{name}__": sha for name, sha in sorted(filling.lists.items())}
    return files | dict([ingredients.style_file] if ingredients.styles and ingredients.style_file else [])


def _as_it_stands(source: Source) -> Iterator[Found]:
    """Of a prompt that is no template: what looks like one, told once."""
    places = list(replaceable(parse(source.text).row))
    if places:
        what = source.text[slice(*places[0])]
        more = f", and {len(places) - 1} more like it" if len(places) > 1 else ""
        note = f"{what[:60]} is sent as it stands{more}"
        hint = "create.py --expand chooses, and fills in variables and wildcards; if you meant these signs, all is well"
        yield Found(rules.AS_IT_STANDS, source, places[0], note, hint)
