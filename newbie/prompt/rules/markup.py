"""Signs that look like markup and are letters: `<` and `&`, and the commands of other programs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from newbie.prompt.diagnostics import Diagnostic, Rule
from newbie.prompt.dialect import is_json
from newbie.prompt.infotext import COMMANDS
from newbie.prompt.rules.subject import Subject
from newbie.prompt.scene import Value
from newbie.prompt.schema import lookup
from newbie.prompt.source import Span

LETTERS = Rule(
    "NB112",
    "warning",
    "a `<` or `&` that looks like markup and is read as text",
    "Nothing is unescaped here, and only whole tags are tags: `&lt;` reaches the encoders as four letters, and a tag "
    "without its `>` draws its own name. Emoticons such as >_< and <3 are meant as they stand, and are left alone.",
    "<character_1>\n<expression>smile, &lt;3</expression>\n</character_1>",
    "<character_1>\n<expression>smile, <3</expression>\n</character_1>",
)
FOREIGN = Rule(
    "NB402",
    "warning",
    "an instruction to another program",
    "<lora:…>, BREAK, AND, embedding:… and the lines `Negative prompt:` and `Steps:` speak to other programs. This "
    "model reads their letters, and draws them if it can.",
    "1girl, solo, <lora:detail:0.8>, smile",
    "1girl, solo, smile",
)
RULES = (LETTERS, FOREIGN)

_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|apos|nbsp|#\d{1,6}|#x[0-9a-fA-F]{1,5});")
_TORN = re.compile(r"<[ \t]*(/?)[ \t]*([A-Za-z_][\w\-]{1,39})(?=[\s>,/]|$)")
_ATTRIBUTES = re.compile(r"\s+[\w:.\-]+\s*=[^<>]*>")  # of a tag that is none because of them
_WIDE = re.compile(r"[＜〈《]/?[ \t]*([A-Za-z_][\w\-]{0,39})[^＞〉》\n]{0,40}[＞〉》]")  # typed with a Chinese keyboard
_COMMAND = re.compile(
    r"<(?:lora|lyco|lycoris|hypernet|wildcard|embedding)\b:[^<>,]{1,200}>|\bembedding:[\w.\-]+"
    rf"|\b(?:{'|'.join(sorted(COMMANDS))})\b|^(?i:Negative prompt)(?:[:：]|[ \t]*$)|^Steps: \d+, .*",
    re.MULTILINE,
)


def letters(subject: Subject) -> Iterator[Diagnostic]:
    if is_json(subject.source.text):  # all of it is letters
        return
    for value in subject.values:
        for match in _WIDE.finditer(value.text):
            if known := lookup(match[1]):
                message = f"{match[0]} is no tag: its brackets are those of Chinese text"
                tag = f"</{known.name}>" if "/" in match[0] else f"<{known.name}>"
                yield Diagnostic(LETTERS, _at(value.span, match), message, f"write {tag}")
        if "&" in value.text:
            for match in _ENTITY.finditer(value.text):
                message = f"{match[0]} is read as {len(match[0])} letters"
                hint = "write a blank" if match[0] == "&nbsp;" else "write the sign itself"
                yield Diagnostic(LETTERS, _at(value.span, match), message, hint)
        if "<" in value.text:
            for match in _TORN.finditer(value.text):
                known = lookup(match[2])
                if not known or known.element.kind == "wrapper" or len(match[2]) < 3:  # <Prompt Start> has its own rule
                    continue
                message = f"{match[0]} is no tag, and is read as text"
                hint = f"write <{match[1]}{known.name}>, without blanks behind the < and with a > at the end"
                if _ATTRIBUTES.match(value.text, match.end()):
                    message = f"{match[0]} is read as text, for its attributes cannot be read"
                    hint = (
                        "an attribute holds no comma; write tags between elements: <appearance>blue_hair</appearance>"
                    )
                yield Diagnostic(LETTERS, _at(value.span, match), message, hint)


def foreign(subject: Subject) -> Iterator[Diagnostic]:
    for value in (Value(subject.source.text),) if subject.reading.dialect == "tags" else subject.values:
        for match in _COMMAND.finditer(value.text):
            hint = _hint(match[0], subject)
            said = match[0] if len(match[0]) <= 40 else f"{match[0][:40]}…"
            message = f"{said} speaks to another program, and is read as words"
            yield Diagnostic(FOREIGN, _at(value.span, match), message, hint)


def _hint(command: str, subject: Subject) -> str:
    if command.startswith("<"):
        return "give adapters by --lora"
    cuts = command in COMMANDS and subject.reading.dialect == "tags"
    if cuts or command.lower().startswith(("break", "negative", "steps")):
        return "python -m newbie convert --to xml understands it"
    return "delete it; there is nothing like it here"


def _at(span: Span, match: re.Match[str]) -> Span:
    return Span(span.start + match.start(), span.start + match.end())


CHECKS = (letters, foreign)
