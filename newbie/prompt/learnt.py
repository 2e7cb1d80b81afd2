"""The words a small model was trained on, and those of a prompt that it never learnt.

A large model has seen every word there is. One trained on few words draws something for all the others too, and a
person should be told which words that were. The list lies beside the weights, in `vocabulary.json`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from newbie.prompt.scene import Scene

FILE: Final = "vocabulary.json"
# Words and signs without a meaning of their own, whoever has learnt them.
_GLUE = """
    a an the and or with in at on of to by for from is are has have her his their she he they it its who that this
    there while very some one near into over under behind between
"""
GLUE: Final = frozenset(_GLUE.split())
CHINESE_GLUE: Final = "的是和与在有着了个位名一只人穿她他它们里上中"
# A run of Chinese or Japanese, which has no spaces, or a word.
_WORD: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]+|[^\W_\u3040-\u30ff\u3400-\u9fff]+")
_CHINESE: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


@dataclass(frozen=True)
class Vocabulary:
    """What was learnt: `words` in lower case, and `phrases` of languages that put no spaces between words."""

    words: frozenset[str]
    phrases: frozenset[str]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Vocabulary:
        return cls(frozenset(values.get("words", ())), frozenset(values.get("phrases", ())))

    def to_json(self) -> dict[str, list[str]]:
        return {"words": sorted(self.words), "phrases": sorted(self.phrases)}

    def unknown(self, text: str) -> list[str]:
        """The words of one tag or sentence that were never learnt; neighbours stay together."""
        found: list[str] = []
        together = False
        for word in words_of(text):
            if _CHINESE.match(word):
                found += self._unknown_chinese(word)
                together = False
            elif word in self.words or word in GLUE or word.isdigit():
                together = False
            elif together:
                found[-1] += " " + word
            else:
                found.append(word)
                together = True
        return found

    def _unknown_chinese(self, run: str) -> list[str]:
        for phrase in sorted(self.phrases, key=len, reverse=True):
            run = run.replace(phrase, " ")
        return [piece.strip(CHINESE_GLUE) for piece in run.split() if piece.strip(CHINESE_GLUE)]


def words_of(text: str) -> list[str]:
    """Words in lower case, underscores being spaces; a run of Chinese is one word."""
    return _WORD.findall(text.lower())


def unlearnt(scene: Scene, vocabulary: Vocabulary) -> list[str]:
    """Every word of a prompt that was never learnt, once, in the order written."""
    return list(dict.fromkeys(word for text in _texts(scene) for word in vocabulary.unknown(text)))


def _texts(scene: Scene) -> Iterator[str]:
    for block in (*scene.characters, scene.general):
        yield from (item.text for field in block.fields for item in field.value.items)
    values: Iterable[Any] = (*scene.tags, *(item for caption in scene.captions for item in caption.items))
    yield from (value.text for value in values)
    for panel in scene.panels:
        yield from _texts(panel)
