"""What a picture's record says about how its words came together: what was typed, chosen, read and added.

The words themselves are in the request. The record repeats no path, and a picture is made again without any of the
files; they are named by their hashes, to tell later whether they are still the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

KEY = "words"  # in a picture's record
MAX_SHOWN = 120  # characters of one choice


class Choice(NamedTuple):
    """`of`: `{red|blue}` or `__colors__`; `took`: what stands in its place."""

    of: str
    took: str


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the words of one picture came together."""

    typed: str  # the prompt as it was before
    seed: int | None = None  # of the choices; None: there was nothing to choose
    chosen: tuple[Choice, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)  # as they were given
    styles: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)  # name in the prompt -> SHA-256 in hexadecimal digits

    def to_json(self) -> dict[str, Any]:
        """Without what is empty; `from_json` gives an equal recipe back."""
        values = {
            "seed": self.seed,
            "chosen": [choice._asdict() for choice in self.chosen],
            "variables": dict(self.variables),
            "styles": list(self.styles),
            "files": dict(self.files),
        }
        return {"typed": self.typed} | {key: value for key, value in values.items() if value not in (None, [], {})}

    @classmethod
    def from_json(cls, values: object) -> Recipe | None:
        """None for anything that `to_json` would not have written: records come from strangers too."""
        if not isinstance(values, Mapping):
            return None
        typed, seed, chosen = values.get("typed"), values.get("seed"), values.get("chosen", [])
        styles, tables = values.get("styles", []), [values.get("variables", {}), values.get("files", {})]
        if not (isinstance(typed, str) and (seed is None or type(seed) is int) and _texts(styles)):
            return None
        if not (isinstance(chosen, list) and all(_table(choice) and {*choice} == {"of", "took"} for choice in chosen)):
            return None
        if not all(map(_table, tables)):
            return None
        return cls(
            typed=typed,
            seed=seed,
            chosen=tuple(Choice(**choice) for choice in chosen),
            variables=tables[0],
            styles=tuple(styles),
            files=tables[1],
        )

    def alike(self, other: Recipe) -> bool:
        """Whether two pictures are of one template, whatever was chosen for each: no file they share has changed."""
        same = (self.typed, self.variables, self.styles) == (other.typed, other.variables, other.styles)
        return same and all(other.files.get(name, sha) == sha for name, sha in self.files.items())

    def told(self) -> list[str]:
        """For people, a line each."""
        lines = [f"chose {choice.took or 'nothing'} of {choice.of}" for choice in self.chosen]
        if self.styles:
            lines.append("style " + ", ".join(self.styles))
        if self.files:
            lines.append("with " + ", ".join(self.files))
        return lines


def shown(text: str) -> str:
    """On one line, shortened."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_SHOWN else line[: MAX_SHOWN - 1] + "…"


def _texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _table(values: object) -> bool:
    return isinstance(values, dict) and all(isinstance(k, str) and isinstance(v, str) for k, v in values.items())
