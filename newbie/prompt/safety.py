"""Refuse prompts that sexualise minors. The same text always gets the same answer; nothing switches it off.

A prompt is refused for a term that means just that, or when it has both a word or an age that makes someone a minor
and a word that makes the picture sexual. The words are data, in safety_words.py. Spelling is evened out first: case,
width, separators, invisible characters, look-alike letters, digits for letters, single letters with gaps.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, partial
from typing import NamedTuple

from newbie.errors import PromptRefused
from newbie.prompt import safety_words as words

ADULT = 18
_STOP = "|"  # the boundary of a phrase

_TOKEN = re.compile(r"[^\W_]+|[,;.\n!?、。，；！？|]+")
_LEET_SIGN = re.compile(r"[a-z][013457@$!]|[013457@$!][a-z]")
_GAPPED = re.compile(r"(?<![a-z0-9])(?:[a-z0-9][\W_]){3,}+(?:[a-z0-9](?![a-z0-9]))?+")
_LABEL = re.compile(r"\bsex *[:=]")  # "sex: female" is a label
_STRETCHED = re.compile(r"([a-z])\1{2,}")

# Compiled when a text needs them, for that takes a while: digits for letters, other letters than those of ASCII, ages.
_LEET = r"[a-z0-9@$!]++"
_ACCENTED = "[\u00c0-\u024f\u1e00-\u1eff]"
_INVISIBLE = (
    "[\u00ad\u0300-\u036f\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\U000e0000-\U000e0fff]"
)
_OTHER_SCRIPT = "[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]"
_GAP = r"[\s_\-·・*.~]+"
_AGE = (
    r"(?<![\d.])(\d{1,2}) ?(?:(?:years?|yrs?|y)(?: ?old| of age| girl| boy| kid)|y ?o\b)"
    r"|\bage[ds]? ?(\d{1,2})(?!\d)"
    r"|(?<!\d)(\d{1,2}) ?(?:歳|才(?![能华华会可])|岁|歲|살)(?![年上以差])"
)
_WORD_AGE = (
    r"(?:(twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|and) )?"
    r"\b(" + "|".join(words.NUMBERS) + r") ?(?:years?|yrs?) ?old"
)
_CJK_AGE = r"(?<![一二三四五六七八九十百千万零〇\d])([一二三四五六七八九十]{1,3})(?:岁|歳|歲)(?![年上以差])"
_MONTHS = r"\b\d{1,2} ?(?:months?|weeks?) ?old\b|[月月]齢"


class Finding(NamedTuple):
    """Why a prompt is refused: the words as they were understood. `minor` is empty for a term that says it all."""

    minor: str
    sexual: str


HINT = "such pictures are not drawn, and no setting changes that"


def check(text: str, name: str = "prompt") -> None:
    """Raises PromptRefused if the prompt sexualises minors."""
    if found := find(text):
        raise PromptRefused(reason(found), HINT, name=name)


def reason(found: Finding) -> str:
    """Why a prompt is refused, in a sentence that quotes its words."""
    if found.minor:
        return f'this prompt puts a minor ("{found.minor}") into a sexual context ("{found.sexual}")'
    return f'this prompt sexualises minors ("{found.sexual}")'


def find(text: str) -> Finding | None:
    """What is wrong with a prompt, None if nothing is. Time grows with the length of the text."""
    even = _even(text)
    seen = _seen(even)
    if "alone" in seen:
        return Finding("", seen["alone"])
    if "sexual" in seen and "minor" not in seen and (age := _age(even)):
        seen["minor"] = age
    return Finding(seen["minor"], seen["sexual"]) if len(seen) == 2 else None


def has(kind: str, text: str) -> bool:
    """Whether a text has words of a kind: "alone", "minor" (ages too), "sexual"."""
    even = _even(text)
    return kind in _seen(even) or (kind == "minor" and bool(_age(even)))


def _seen(even: str) -> dict[str, str]:
    """The first phrase of each kind; only that one where a phrase says it all."""
    seen: dict[str, str] = {}
    for tokens in _spellings(even):
        for kind, phrase in _phrases(tokens):
            if kind == "alone":
                return {kind: phrase}
            seen.setdefault(kind, phrase)
    for kind, phrase in _other_scripts(even):
        if kind == "alone":
            return {kind: phrase}
        seen.setdefault(kind, phrase)
    return seen


def _even(text: str) -> str:
    """One spelling for what looks the same."""
    text = _LABEL.sub(" ", unicodedata.normalize("NFKC", text).casefold())
    if text.isascii():
        return text
    text = re.sub(_INVISIBLE, "", text)
    text = re.sub(_ACCENTED, lambda m: unicodedata.normalize("NFKD", m[0])[0], text)
    return text.translate(words.LOOKALIKES)


def _spellings(even: str) -> Iterator[list[str]]:
    """The words as written; then, where there is cause, with digits read as letters and gaps closed."""
    yield _TOKEN.findall(even)
    joined = _GAPPED.sub(lambda m: re.sub(r"[\W_]", "", m[0]) + " ", even)
    if joined != even:
        yield _TOKEN.findall(joined)
    if _LEET_SIGN.search(joined) or _STRETCHED.search(joined):
        for one in "il":
            plain = re.sub(_LEET, partial(_as_letters, letters={**words.LEET, ord("1"): ord(one)}), joined)
            yield _TOKEN.findall(_STRETCHED.sub(r"\1", plain))


def _as_letters(word: re.Match[str], letters: dict[int, int]) -> str:
    return word[0] if word[0].isdigit() else word[0].translate(letters)


def _phrases(tokens: list[str]) -> Iterator[tuple[str, str]]:
    """(kind, phrase) of every phrase of the lists; innocent ones hide the words they contain."""
    lexicon = _lexicon()
    present = {t for t in set(tokens) if t.removesuffix("s") in lexicon}
    if not present:
        return
    hidden = 0  # where the innocent phrase ends that was met last
    for at, token in enumerate(tokens):
        if at < hidden or token not in present:
            continue
        for kind, phrase in lexicon[token.removesuffix("s")]:
            if not _matches(tokens, at, phrase):
                continue
            if kind == "innocent":
                hidden = at + len(phrase)
                break
            yield kind, " ".join(phrase)


def _matches(tokens: list[str], at: int, phrase: tuple[str, ...]) -> bool:
    stop = at + len(phrase)
    if stop > len(tokens) or (len(phrase) > 2 and tokens[at + 1] != phrase[1]):
        return False
    return tuple(tokens[at : stop - 1]) == phrase[:-1] and tokens[stop - 1] in (phrase[-1], phrase[-1] + "s")


@cache
def _lexicon() -> dict[str, tuple[tuple[str, tuple[str, ...]], ...]]:
    """Phrases by their first word (without a final s), innocent ones first, then long ones before short ones."""
    found: dict[str, set[tuple[str, tuple[str, ...]]]] = {}
    lists = {"innocent": words.INNOCENT, "alone": words.ALONE, "minor": words.MINOR, "sexual": words.SEXUAL}
    for kind, entries in lists.items():
        for entry in _entries(entries):
            parts = tuple(entry.split())
            for phrase in {parts, ("".join(parts),)}:
                found.setdefault(phrase[0].removesuffix("s"), set()).add((kind, phrase))
    return {
        first: tuple(sorted(phrases, key=lambda p: (p[0] != "innocent", -len(p[1]), p)))
        for first, phrases in found.items()
    }


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in re.split(r"[|\n]", text) if entry.strip()]


def _other_scripts(even: str) -> Iterator[tuple[str, str]]:
    """The same for Chinese, Japanese and Korean, where words have no gaps."""
    if even.isascii() or not re.search(_OTHER_SCRIPT, even):
        return
    text = re.sub(_GAP, "", even)
    for innocent in _entries(words.INNOCENT_OTHER):
        text = text.replace(innocent, _STOP)
    for kind, entries in (("alone", words.ALONE_OTHER), ("minor", words.MINOR_OTHER), ("sexual", words.SEXUAL_OTHER)):
        for entry in _entries(entries):
            if entry in text:
                yield kind, entry
                break
    for kind, forms in (("minor", words.MINOR_FORMS), ("sexual", words.SEXUAL_FORMS)):
        if match := re.search(forms, even) or re.search(forms, text):
            yield kind, match[0]


def _age(even: str) -> str:
    """An age below 18, as it is written; "" if there is none."""
    text = " ".join(_TOKEN.findall(even))
    for match in re.finditer(_AGE, text):
        if int(next(filter(None, match.groups()))) < ADULT:
            return match[0]
    for match in re.finditer(_WORD_AGE, text):
        if not match[1]:
            return match[0]
    for match in re.finditer(_CJK_AGE, re.sub(_GAP, "", even)):
        if words.CJK_NUMBERS.get(match[1], ADULT) < ADULT:
            return match[0]
    months = re.search(_MONTHS, text)
    return months[0] if months else ""
