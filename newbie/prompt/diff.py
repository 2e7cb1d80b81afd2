"""What two prompts say otherwise, element by element and tag by tag; layout does not count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from newbie.prompt.boxes import SIDES
from newbie.prompt.canonical import normal, tag
from newbie.prompt.elements import attributed, character_paths
from newbie.prompt.read import Reading
from newbie.prompt.scene import Block, Character, Scene, Value
from newbie.prompt.schema import CAPTION, GENERAL, LOOSE, PANEL, content_of
from newbie.prompt.weights import ATTRIBUTE

How = Literal["added", "removed", "changed", "reordered", "renumbered"]
_CARRIED = frozenset((ATTRIBUTE, *SIDES))
TAGS = "tags"  # the path of a plain list


class Change(NamedTuple):
    """One element. `before` and `after` are the tags that only one side has, a sentence being one "tag".

    Of an element that only one side has they are all of its tags; reordered: all tags on both sides; renumbered: the
    paths of a character that is otherwise the same.
    """

    how: How
    path: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


_Texts = dict[str, tuple[str, ...]]  # element -> its tags in canonical spelling, or its one sentence


def differences(before: Scene, after: Scene, prefix: str = "") -> list[Change]:
    """Every difference, in the order of the canonical layout. Nothing for two prompts with one meaning."""
    found = [change for pair in _pairs(before, after) for change in _character(prefix, *pair)]
    found += _elements(f"{prefix}{GENERAL}.", _texts(before.general), _texts(after.general))
    found += _element(prefix + TAGS, _tags(before.tags), _tags(after.tags))
    found += _sentences(prefix + CAPTION, _sentences_of(before), _sentences_of(after))
    for i in range(max(len(before.panels), len(after.panels))):
        one, other = (side.panels[i] if i < len(side.panels) else Scene() for side in (before, after))
        found += differences(one, other, f"{prefix}{PANEL}_{i + 1}.")
    return found


def attribute_differences(before: Reading, after: Reading, found: Sequence[Change]) -> list[Change]:
    """Every difference in what start tags carry for the picture: weights and the sides of boxes.

    `found` are the differences of the scenes: a character who has another number now is looked for there, and an
    element that only one prompt has was told with all it says.
    """
    now = {change.before[0]: change.after[0] for change in found if change.how == "renumbered"}
    told = {change.path for change in found if change.how in ("added", "removed")}
    ours = {_renumbered(path, now): given for path, given in _attributes(before).items()}
    theirs = _attributes(after)
    changes: list[Change] = []
    for path in dict.fromkeys((*ours, *theirs)):
        one, other = ours.get(path, ()), theirs.get(path, ())
        if one != other and path not in told and path.partition(".")[0] not in told:
            changes.append(Change("changed", path, _only(one, other), _only(other, one)))
    return changes


def _attributes(reading: Reading) -> dict[str, tuple[str, ...]]:
    """What the elements of a prompt carry, by path: `x="0.5"`."""
    found = {}
    for path, given in attributed(reading.scene, reading.source.text):
        if carried := tuple(f'{a.name}="{a.value}"' for a in given if a.name in _CARRIED):
            found[path] = carried
    return found


def _renumbered(path: str, now: Mapping[str, str]) -> str:
    block, dot, element = path.partition(".")
    return now.get(block, block) + dot + element


class _Person(NamedTuple):
    path: str
    texts: _Texts
    number: int

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(word for words in self.texts.values() for word in words)


def _pairs(before: Scene, after: Scene) -> list[tuple[_Person | None, _Person | None]]:
    """Who is who: the same path and words, then the same words, then the same path."""
    ours, theirs = _people(before), _people(after)
    pairs: list[tuple[_Person | None, _Person | None]] = []
    for alike in (_same, _same_words, _same_path):
        for one in list(ours):
            other = next((each for each in theirs if alike(one, each)), None)
            if other is not None:
                ours.remove(one)
                theirs.remove(other)
                pairs.append((one, other))
    pairs += [(one, None) for one in ours] + [(None, other) for other in theirs]
    return sorted(pairs, key=lambda pair: next((p.number, p.path) for p in pair if p is not None))


def _people(scene: Scene) -> list[_Person]:
    return [_Person(path, _texts(who), who.number) for path, who in character_paths(scene)]


def _same(one: _Person, other: _Person) -> bool:
    return one == other


def _same_words(one: _Person, other: _Person) -> bool:
    return one.texts == other.texts and bool(one.texts)


def _same_path(one: _Person, other: _Person) -> bool:
    return one.path == other.path


def _character(prefix: str, before: _Person | None, after: _Person | None) -> Iterator[Change]:
    if before is None and after is not None:
        yield Change("added", prefix + after.path, (), after.words)
    elif before is not None and after is None:
        yield Change("removed", prefix + before.path, before.words, ())
    elif before is not None and after is not None:
        if before.path != after.path:
            yield Change("renumbered", prefix + before.path, (before.path,), (after.path,))
        else:
            yield from _elements(f"{prefix}{before.path}.", before.texts, after.texts)


def _elements(prefix: str, before: _Texts, after: _Texts) -> Iterator[Change]:
    for name in dict.fromkeys((*before, *after)):
        yield from _element(prefix + name, before.get(name, ()), after.get(name, ()))


def _element(path: str, before: Sequence[str], after: Sequence[str]) -> Iterator[Change]:
    if tuple(before) == tuple(after):
        return
    if not before or not after:
        yield Change("removed" if before else "added", path, tuple(before), tuple(after))
        return
    gone, new = _only(before, after), _only(after, before)
    if gone or new:
        yield Change("changed", path, gone, new)
    else:
        yield Change("reordered", path, tuple(before), tuple(after))


def _sentences(path: str, before: Sequence[str], after: Sequence[str]) -> Iterator[Change]:
    """Captions, first beside first."""
    for i in range(max(len(before), len(after))):
        numbered = path if i == 0 else f"{path}~{i + 1}"
        yield from _element(numbered, before[i : i + 1], after[i : i + 1])


def _only(here: Sequence[str], there: Sequence[str]) -> tuple[str, ...]:
    """What is here more often than there, in order."""
    left = Counter(here) - Counter(there)
    found = []
    for each in here:
        if left[each]:
            left[each] -= 1
            found.append(each)
    return tuple(found)


def _texts(block: Block | Character) -> _Texts:
    """The elements of a block; what is given twice is one."""
    found: _Texts = {}
    for field in block.fields:
        text = normal(field)
        if text:
            words = (text,) if content_of(field.name) == "sentence" else _tags(Value(text).items)
            found[field.name] = (*found.get(field.name, ()), *words)
    if LOOSE in found:
        found = {LOOSE: found.pop(LOOSE), **found}
    return found


def _tags(values: Sequence[Value]) -> tuple[str, ...]:
    return tuple(tag(each.text) for each in values)


def _sentences_of(scene: Scene) -> list[str]:
    return [text for each in scene.captions if (text := " ".join(each.text.split()))]
