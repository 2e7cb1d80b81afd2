"""The tag that was probably meant by a misspelt one.

A slip is one letter too many, one too few, one wrong, or two swapped. Instead of comparing with every tag we make all
slips of the written word and look them up: that costs the same for a thousand tags and for a hundred thousand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, product

from newbie.prompt.vocabulary.words import Vocabulary, plain, squeezed

MIN_LETTERS = 5
MAX_LETTERS = 40
_LETTERS = "abcdefghijklmnopqrstuvwxyz_-'"
_TAG = re.compile(r"[a-z][a-z0-9_'\-]*")
_VOWELS = frozenset("aeiou")
_MAX_CHOICES = 256
# Words that stand in prompts, and look like slips of tags: state is no statue.
_WORDS = """
    angle black blend boost break bunch canon carry chart check circle click close closest could create daemon drawn
    drink exited fairly fires first former haven hello insert later latter launch learn like maple meant micro modal
    month novel packet parity partly party paste patch path place plain pound quite range recorder share signer slack
    slash sorts stack stand starts state stick sticky strips stripped stuff suite think three track trial trick tried
    tuned waits while whole
"""
_OTHER_WORDS = frozenset(_WORDS.split())
_ENDINGS = "srdny"  # ribbon, ribbons; dance, dancer, danced: other forms of a word, no slips


def nearest(vocabulary: Vocabulary, text: str) -> str:
    """The tag that was meant, "" where the text is a tag, a combination of known words, or like nothing we know."""
    written = plain(text)
    if not MIN_LETTERS <= len(written) <= MAX_LETTERS or not _TAG.fullmatch(written) or written in vocabulary:
        return ""
    if written in _OTHER_WORDS:
        return ""
    words = vocabulary.parts
    parts = written.split("_")
    if all(part in words or part.isdigit() for part in parts) and len(parts) > 1:
        return ""
    found = [name for slip in _slips(written) if (name := _meant(vocabulary, written, slip))]
    if found:
        return min(found, key=lambda name: vocabulary.ranks[name])
    return vocabulary.unbroken.get(squeezed(written), "") or _word_by_word(vocabulary, parts)


def _meant(vocabulary: Vocabulary, written: str, slip: str) -> str:
    tag = vocabulary.named(slip)
    if tag is None or ("_" not in slip and tag.name != slip):  # a lone word is no slip of another name of something
        return ""
    return tag.name if _is_slip(written, slip) else ""


def _is_slip(written: str, meant: str) -> bool:
    """Whether the difference is a slip of the pen, and not another form of the word or another word.

    In a tag of several words the others vouch for the one. A word alone is easily another word: its first letter has to
    be right, and a wrong letter in the middle counts only where a vowel stands for a vowel.
    """
    long, short = sorted((written, meant), key=len, reverse=True)
    if long[:-1] == short and long[-1] in _ENDINGS and long[-1:] != short[-1:]:
        return False
    if "_" in meant:
        return True
    if written[0] != meant[0] or written.endswith("ing"):
        return False
    wrong = [(a, b) for a, b in zip(written, meant, strict=False) if a != b]
    return len(written) != len(meant) or len(wrong) > 1 or set(wrong[0]) <= _VOWELS


def _word_by_word(vocabulary: Vocabulary, parts: list[str]) -> str:
    """For two slips in one tag: each unknown word becomes a known word next to it."""
    if len(parts) < 2:
        return ""
    known = vocabulary.parts
    choices = [[part] if part in known else [slip for slip in _slips(part) if slip in known] for part in parts]
    mended = ("_".join(words) for words in islice(product(*choices), _MAX_CHOICES))
    tag = next(filter(None, map(vocabulary.find, mended)), None)
    return tag.name if tag else ""


def _slips(word: str) -> Iterator[str]:
    for at in range(len(word)):
        head, tail = word[:at], word[at:]
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
        yield head + tail[1:]
        for letter in _LETTERS:
            yield head + letter + tail[1:]
            yield head + letter + tail
    for letter in _LETTERS:
        yield word + letter
