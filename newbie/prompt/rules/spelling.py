"""How tags are written: misspelt, with blanks, under a name that is not the usual one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from newbie.prompt.canonical import tag as canonical
from newbie.prompt.diagnostics import Diagnostic, Edit, Rule
from newbie.prompt.rules.subject import Item, Subject
from newbie.prompt.scan import QUOTES
from newbie.prompt.schema import content_of
from newbie.prompt.vocabulary.spelling import nearest
from newbie.prompt.vocabulary.words import plain

MISSPELT = Rule(
    "NB301",
    "warning",
    "a tag that is misspelt",
    "The encoders read a misspelt tag as other pieces of words: the model draws something near it, or nothing.",
    "1girl, solo, blue_hiar, smile",
    "1girl, solo, blue_hair, smile",
)
BLANKS = Rule(
    "NB302",
    "info",
    "blanks in a tag where the vocabulary has underscores",
    "Both are understood, but they are different tokens. One spelling throughout, that of the training captions, makes "
    "prompts comparable. (Quality words and names of artists were trained with blanks, and are left alone.)",
    "1girl, solo, blue hair, smile",
    "1girl, solo, blue_hair, smile",
)
OTHER_NAME = Rule(
    "NB306",
    "info",
    "a tag under another name than the usual one",
    "Captions were written with one name for each thing; the model knows the other names less well.",
    "1girl, solo, blond_hair, smile",
    "1girl, solo, blonde_hair, smile",
)
RULES = (MISSPELT, BLANKS, OTHER_NAME)

MAX_GUESSES = 100  # different unknown tags that are compared with the vocabulary
_NAMES = ("n", "artists")
_QUOTES = QUOTES + "`«»「」"
_TRAINED_WITH_BLANKS = ("n", "artists", "quality", "resolution")


def misspelt(subject: Subject) -> Iterator[Diagnostic]:
    tags = [item for item in _tags(subject) if item.element not in _NAMES]
    unknown = (text for text in dict.fromkeys(item.text for item in tags) if subject.tag(text) is None)
    meant = {text: _meant(subject, text) for text in islice(unknown, MAX_GUESSES)}
    for item in tags:
        if right := meant.get(item.text):
            yield Diagnostic(MISSPELT, item.span, f"{item.text} is no usual tag", f"did you mean {right}?")


def _meant(subject: Subject, text: str) -> str:
    tag = subject.tag(text.strip(_QUOTES))  # of a list in a program, or of a telephone's keyboard
    return tag.name if tag else nearest(subject.vocabulary, text)


def blanks(subject: Subject) -> Iterator[Diagnostic]:
    for item in _tags(subject):
        right = canonical(item.text)
        if right != item.text and item.element not in _TRAINED_WITH_BLANKS:
            fix = (Edit(item.span, right),)
            name = _bare(item.text)
            yield Diagnostic(BLANKS, item.span, f"blanks in the tag {name}", f"write {canonical(name)}", fix)


def _bare(text: str) -> str:
    """A tag without its weight, which may be around several tags; `[red|blue] hair` is all of it the tag."""
    name = text.lstrip("([{")
    name = re.sub(r":[\d.]+[)\]}:\d.]*\Z", "", name) if ":" in name else name
    name = name if "(" in name else name.rstrip(")]}")
    return text if any(sign in name for sign in ")]}") and "(" not in name else name


def other_names(subject: Subject) -> Iterator[Diagnostic]:
    for item in _tags(subject):
        usual = subject.tag(item.text)
        if usual and item.element not in _NAMES and usual.name != plain(item.text):
            message = f"{item.text} is usually called {usual.name}"
            yield Diagnostic(OTHER_NAME, item.span, message, f"write {usual.name}")


def _tags(subject: Subject) -> Iterator[Item]:
    """Every tag; words for places are free text."""
    return (item for item in subject.items if content_of(item.element) == "tags")


CHECKS = (misspelt, blanks, other_names)
