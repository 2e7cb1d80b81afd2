"""What a text no longer says: the scene that was to be written beside the scene that is read back from it."""

from __future__ import annotations

from collections.abc import Iterator

from newbie.prompt.convert.flat import each_weighted
from newbie.prompt.convert.prose import WHO
from newbie.prompt.convert.sheet import Sheet
from newbie.prompt.convert.sort import structured
from newbie.prompt.scene import Block, Scene, Value
from newbie.prompt.schema import CAPTION, GENERAL, LOOSE, PANEL, TAGS, content_of

_SHOWN = 12  # tags named in one line


def losses(before: Scene, after: Scene, text: str) -> tuple[str, ...]:
    """Sentences for people: what is gone, and what is there without its place.

    Args:
        before: what was to be written.
        after: what is read back.
        text: what was written.
    """
    listed = before.dialect == "tags"  # a plain list: its tags have no places to lose
    read_back = set(_said(after if listed and after.dialect == "tags" else structured(Sheet(after)).scene))
    words = {word for _, word in read_back}
    spoken = _spoken(text)
    gone: list[tuple[str, str]] = []
    misplaced: list[tuple[str, str]] = []
    for path, word in dict.fromkeys(_said(before)):
        if (path, word) in read_back or (listed and word in words):
            continue
        still_said = word in words or _spoken(WHO.get(word, word)) in spoken
        (misplaced if still_said else gone).append((path, word))
    lost = [f"{path}: {word}" for path, word in gone]
    if misplaced:
        shown = ", ".join(f"{word} ({path})" for path, word in misplaced[:_SHOWN])
        more = f", and {len(misplaced) - _SHOWN} more" if len(misplaced) > _SHOWN else ""
        lost.append(f"where these belong: {shown}{more}")
    return tuple(lost)


def _said(scene: Scene, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every tag and every sentence with the path of its element."""
    for character in scene.characters:
        yield from _block(f"{prefix}{character.path}", character)
    yield from _block(prefix + GENERAL, scene.general)
    yield from ((prefix + TAGS, each) for each in each_weighted(Value(", ".join(each.text for each in scene.tags))))
    yield from ((prefix + CAPTION, " ".join(each.text.split())) for each in scene.captions if each.text.strip())
    for i, panel in enumerate(scene.panels, 1):
        yield from _said(panel, f"{prefix}{PANEL}_{i}.")


def _block(path: str, block: Block) -> Iterator[tuple[str, str]]:
    for field in block.fields:
        name = path if field.name == LOOSE else f"{path}.{field.name}"
        if content_of(field.name) == "sentence":
            yield name, " ".join(field.value.text.split())
        else:
            yield from ((name, each) for each in each_weighted(field.value))


def _spoken(text: str) -> str:
    return " ".join(text.replace("_", " ").lower().split())
