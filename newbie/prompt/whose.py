"""Whose words a sentence holds that stands below the heading of a person: that person's, or the whole picture's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from newbie.prompt.dialect import looks_like_tag
from newbie.prompt.scene import Value, cut

_SENTENCE = re.compile(r".+?(?:(?<=[.!?])(?=\s)|(?<=[。！？])|\Z)", re.DOTALL)
# With which a sentence plainly goes on about the person who was spoken of, and with which it speaks of several.
_GOES_ON = re.compile(
    r"(?:she|he|her|his|hers|(?:the|this) (?:girl|boy|woman|man|lady|guy|character|person)|with|has|wears|wearing|"
    r"holds|holding|carrying|dressed|standing|sitting|looking|smiling)\b|[她他](?!们|們)|彼女(?!たち|ら)|彼(?=[はのがも])|그녀|그는",
    re.IGNORECASE,
)
_SEVERAL = re.compile(
    r"(?:they|their|both|together|everyone|(?:the|these) (?:two|three|four|girls|boys|others?|women|men|people))\b|"
    r"[她他](?:们|們)|[两兩]|[二三2-9]人|彼ら|みんな",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"(?:character|char|girl|boy|woman|man|person)[ _#]?\d|(?:角色|人物)\d", re.IGNORECASE)


def sentences(value: Value) -> Iterator[Value]:
    """The sentences of a line. A list of tags loses its full stop; "Alice waves." keeps it."""
    for match in _SENTENCE.finditer(value.text):
        sentence = cut(value.text, *match.span(), value.span.start)
        bare = cut(sentence.text, 0, len(sentence.text.rstrip(".。")), sentence.span.start)
        if len(bare.items) > 1 and is_list(bare):
            yield bare
        elif sentence.text:
            yield sentence


def is_list(value: Value) -> bool:
    """Whether a line is made of tags alone."""
    return all(looks_like_tag(item.text) for item in value.items)


def is_theirs(sentence: str, own: Iterable[str], others: Iterable[str], *, given: bool) -> bool:
    """Whether a sentence below a person's heading speaks of that person, who has some names, and of nobody else.

    `given`: it stands where only the person can be meant, as beside the heading, and need not say so.
    """
    if _SEVERAL.match(sentence) or _NUMBERED.search(sentence) or any(_names(name, sentence) for name in others):
        return False
    return given or bool(_GOES_ON.match(sentence)) or any(_names(name, sentence, first=True) for name in own)


def _names(name: str, sentence: str, *, first: bool = False) -> bool:
    """Whether the sentence has this name in it, or begins with it."""
    if name.lower() not in sentence.lower():  # quick, and mostly so
        return False
    return re.search(rf"{'^' if first else ''}(?<!\w){re.escape(name)}(?!\w)", sentence, re.IGNORECASE) is not None
