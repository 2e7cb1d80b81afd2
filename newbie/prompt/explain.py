"""What becomes of a prompt: the tokens of every element in each encoder, whose words they are, what is cut off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import prod
from typing import NamedTuple

from newbie.prompt.elements import character_paths
from newbie.prompt.render import SYSTEM
from newbie.prompt.scene import Block, Scene, items_of
from newbie.prompt.schema import LOOSE
from newbie.prompt.tokens import EncoderInput, TokenSpan, TokenWeight


class Row(NamedTuple):
    """One element. `tokens`: how many each encoder spends on it, None where it is not given to that encoder."""

    path: str
    words: str
    tokens: Mapping[str, int | None]
    cut: tuple[str, ...]  # encoders that do not read all of it
    weight: float = 1.0  # that of all its words

    @property
    def whole(self) -> str:
        """The element that a single tag is part of."""
        return self.path.rpartition("[")[0]

    @property
    def is_part(self) -> bool:
        """Whether this is a single tag of an element that is listed too."""
        return self.path.endswith("]") and self.whole != "tags"

    @property
    def depth(self) -> int:
        return self.path.count(".") + self.path.endswith("]")


class Speaker(NamedTuple):
    """Whose words: a character by its path, or "" for what concerns the whole picture."""

    path: str
    words: tuple[str, ...]


def rows(given: Mapping[str, EncoderInput], *, single_tags: bool = False) -> list[Row]:
    """The elements of one text in the order written; `single_tags` lists all tags of each, not only weighty ones."""
    words = _words(given.values())
    lost = {name: {span.path for span in row.lost} for name, row in given.items()}
    counts = {name: _counts(row) for name, row in given.items()}
    weights = _weights(given.values())
    found = [
        Row(
            path,
            words.get(path, ""),
            {name: counts[name].get(path) for name in given},
            tuple(name for name in given if path in lost[name]),
            weights.get(path, 1.0),
        )
        for path in _paths(given.values())
    ]
    return [row for row in found if single_tags or row.weight != weights.get(row.whole, 1.0) or not row.is_part]


def _paths(given: Iterable[EncoderInput]) -> list[str]:
    """In the order of their places, outer elements before their parts."""
    return list(dict.fromkeys(element.path for row in given for element in row.elements))


def _counts(row: EncoderInput) -> dict[str, int]:
    """Tokens of each element, those beyond the limit included."""
    return {span.path: span.stop - span.start for span in (*row.spans, *row.lost)}


def _weights(given: Iterable[EncoderInput]) -> dict[str, float]:
    """The weight of every element that is weighed as a whole, by the first encoder that has weights."""
    for row in given:
        if row.weights:
            places = [(span.path, prod(w.weight for w in row.weights if _covers(w, span))) for span in row.spans]
            return {path: weight for path, weight in places if weight != 1}
    return {}


def _covers(weight: TokenWeight, span: TokenSpan) -> bool:
    return weight.start <= span.start and span.stop <= weight.stop


def _words(given: Iterable[EncoderInput]) -> dict[str, str]:
    """The text of each leaf. A block speaks through its parts, and a system prompt is no word of the prompt."""
    found: dict[str, str] = {}
    for row in given:
        outer = {element.path.rpartition(".")[0] for element in row.elements}
        for path, start, stop in row.elements:
            if path not in outer and path != SYSTEM:
                found.setdefault(path, " ".join(row.text[start:stop].split()))
    return found


def unread(given: EncoderInput) -> str:
    """The end of the text that an encoder does not read, "" if it reads all."""
    return given.text[given.read_to :]


def speakers(scene: Scene) -> list[Speaker]:
    """Which words belong to which character; the last entry is what belongs to none."""
    found = [Speaker(path, tuple(_said(who))) for path, who in character_paths(scene)]
    for i, panel in enumerate(scene.panels, 1):
        found += [Speaker(f"inset_panel_{i}.{each.path}".rstrip("."), each.words) for each in speakers(panel)]
    nobody = [*_said(scene.general), *(each.text for each in (*scene.tags, *scene.captions))]
    return [*found, Speaker("", tuple(nobody))]


def _said(block: Block) -> Iterator[str]:
    for field in block.fields:
        items = items_of(field)
        yield from (item.text for item in items) if items or field.name == LOOSE else filter(None, [field.value.text])
