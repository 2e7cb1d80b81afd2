"""Prompts made of parts, at the doors: their flags, and the words of each picture of a request."""

from __future__ import annotations

import argparse
import dataclasses
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newbie.cli import values
from newbie.errors import PromptError, UsageError
from newbie.request import MAX_SEED, Request

if TYPE_CHECKING:
    from newbie.cli.sources import Source
    from newbie.prompt import Reading
    from newbie.prompt.reuse import Expanded, Ingredients, Recipe, Styles, Wildcards

WILDCARDS, STYLES = "wildcards", "styles.toml"  # beside a prompt file
_VARIABLE = re.compile(r"([^\W\d]\w*)=(.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Reuse:
    """The flags, understood. Nothing has been read yet."""

    template: bool = False
    seed: int | None = None  # of the choices; None: that of the picture
    variables: Mapping[str, str] = field(default_factory=dict)
    wildcards: str | None = None
    styles: tuple[str, ...] = ()
    style_file: str | None = None

    @property
    def asked(self) -> bool:
        return self != Reuse()


def add_reuse_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--expand",
        action="store_true",
        help="choose from {a|b}, fill in ${name} and __file__; without it they are text",
    )
    group.add_argument("--expand-seed", metavar="N", help="choose by this seed, not by that of the picture")
    group.add_argument("--var", action="append", default=[], metavar="NAME=VALUE", help="a value for ${NAME}")
    group.add_argument(
        "--wildcards", metavar="FOLDER", help="lists for __file__; default: wildcards/ beside the prompt"
    )
    group.add_argument("--style", action="append", default=[], metavar="NAME", help="add the words of a preset")
    group.add_argument("--style-file", metavar="FILE", help="presets; default: styles.toml beside the prompt")


def reuse_of(typed: Mapping[str, Any]) -> Reuse:
    """Raises UsageError. Whoever gives a value, a seed or a folder has asked for `--expand` too."""
    seed = None if typed["expand_seed"] is None else values.seed(typed["expand_seed"])
    if seed is not None and not -1 <= seed <= MAX_SEED:
        raise UsageError(f"--expand-seed {seed} is out of range", f"0 to {MAX_SEED}, or random")
    if typed["style_file"] and not typed["style"]:
        raise UsageError("--style-file is given and no --style", "name a preset: --style NAME")
    variables: dict[str, str] = {}
    for text in typed["var"]:
        match = _VARIABLE.fullmatch(text)
        if match is None:
            raise UsageError(f"--var {text:.40} sets no variable", "NAME=VALUE, for example --var hair=red_hair")
        variables[match[1]] = match[2]
    return Reuse(
        template=typed["expand"] or bool(variables) or seed is not None or typed["wildcards"] is not None,
        seed=secrets.randbelow(2**32) if seed == -1 else seed,
        variables=variables,
        wildcards=typed["wildcards"],
        styles=tuple(typed["style"]),
        style_file=typed["style_file"],
    )


@dataclass(frozen=True)
class Words:
    """What a prompt says in each picture. Everything but character files has been read."""

    typed: Reading
    ingredients: Ingredients
    seed: int | None = None

    @classmethod
    def of(cls, source: Source, reuse: Reuse) -> Words:
        """Read a prompt and what goes into it.

        Raises:
            PromptError, PromptRefused: the prompt or a file of presets cannot be read.
            UsageError: there is no such folder, file or preset.
        """
        return cls.typed_text(source.read(), source.path, reuse)

    @classmethod
    def typed_text(cls, typed: Reading, path: Path | None, reuse: Reuse) -> Words:
        """The same for a prompt that was read already; `path` is its file, None for one that was typed."""
        from newbie.prompt.reuse import Ingredients

        styles = _styles(reuse, path)
        ingredients = Ingredients(
            prompt=path,
            template=reuse.template,
            variables=reuse.variables,
            wildcards=_wildcards(reuse, path) if reuse.template else None,
            styles=tuple(styles.chosen(reuse.styles)) if styles else (),
            style_file=(styles.file, styles.sha256) if styles else None,
        )
        return cls(typed, ingredients, reuse.seed)

    def at(self, seed: int) -> Expanded:
        """The words of the picture with this seed. Raises PromptError, PromptRefused."""
        from newbie.prompt.reuse import expand

        return expand(self.typed, self.ingredients, seed=seed if self.seed is None else self.seed)

    def vary(self, seed: int) -> bool:
        """Whether pictures of other seeds may have other words than the one with this seed."""
        if self.seed is not None or not self.ingredients.template:
            return False
        try:
            return self.at(seed).has_choices
        except PromptError:  # told where that picture is drawn
            return True

    def split(self, request: Request) -> list[Request]:
        """Requests whose pictures have the same words: the request itself, or one for each of its seeds."""
        if request.count == 1 or not self.vary(request.seed):
            return [request]
        return [dataclasses.replace(request, seed=seed, count=1) for seed in request.seeds()]

    def fill(self, request: Request) -> tuple[Request, Recipe | None]:
        """A request with the words of its first seed, and what its record says of them. Raises as `at`."""
        expanded = self.at(max(request.seed, 0))
        unwanted = [request.negative, *(style.negative for style in self.ingredients.styles)]
        negative = ", ".join(text for text in unwanted if text)
        return dataclasses.replace(request, prompt=expanded.text, negative=negative), expanded.recipe


def _wildcards(reuse: Reuse, path: Path | None) -> Wildcards | None:
    from newbie.prompt.reuse import Folder, Wildcards

    if reuse.wildcards is not None:
        folder = Path(reuse.wildcards).expanduser()
        if not folder.is_dir():
            raise UsageError(f"there is no folder {folder}", "--wildcards names a folder of .txt files")
        return Wildcards(Folder(folder))
    beside = path.parent / WILDCARDS if path else None
    return Wildcards(Folder(beside)) if beside and beside.is_dir() else None


def _styles(reuse: Reuse, path: Path | None) -> Styles | None:
    from newbie.prompt.reuse import read_styles

    if not reuse.styles:
        return None
    if reuse.style_file is None and path is None:
        raise UsageError("--style needs a file of presets", "name it: --style-file styles.toml")
    return read_styles(Path(reuse.style_file).expanduser() if reuse.style_file else Path(path or "").parent / STYLES)
