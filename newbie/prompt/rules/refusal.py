"""What is never drawn, and what cannot be read at all."""

from __future__ import annotations

from collections.abc import Iterator

from newbie.prompt import safety
from newbie.prompt.diagnostics import Diagnostic, Rule
from newbie.prompt.rules.subject import Subject
from newbie.prompt.safety_place import place

UNREADABLE = Rule(
    "NB001",
    "error",
    "a prompt that cannot be read",
    "Too long, not UTF-8, a DOCTYPE, thousands of tags, a file that is not there: nothing of it can be drawn.",
    "<!DOCTYPE prompt>\n<caption>A girl waves.</caption>",
    "<caption>A girl waves.</caption>",
)
REFUSED = Rule(
    "NB002",
    "error",
    "a prompt that sexualises minors",
    "Such pictures are not drawn. No setting, no comment and no flag changes that. The words are quoted as they were "
    "understood, so that a mistake can be seen; docs/prompt-language.md says how prompts are judged.",
    "1girl, child, nude",
    "1girl, child, smile",
)
RULES = (UNREADABLE, REFUSED)


def refused(subject: Subject) -> Iterator[Diagnostic]:
    found = None if subject.negative else safety.find(subject.source.text)
    if found:
        yield Diagnostic(REFUSED, place(found, subject.source.text), safety.reason(found), safety.HINT)


CHECKS = (refused,)
