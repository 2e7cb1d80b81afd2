"""Signs between tags that separate nothing here, and signs that nobody sees."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from newbie.prompt.diagnostics import Diagnostic, Edit, Rule
from newbie.prompt.dialect import BULLET, is_booru_list, plain_dialect
from newbie.prompt.rules.subject import Subject
from newbie.prompt.schema import GENERAL
from newbie.prompt.source import Span

NO_COMMAS = Rule(
    "NB307",
    "warning",
    "tags without commas between them",
    "Tags are separated by commas or line ends. With blanks alone, as Danbooru lists its tags, with semicolons, or "
    "with dashes in front of them they are other tokens than those of the training captions.",
    "1girl solo blue_hair smile",
    "1girl, solo, blue_hair, smile",
)
INVISIBLE = Rule(
    "NB116",
    "warning",
    "a sign that nobody sees",
    "Zero-width spaces, marks of direction and control characters come along when text is copied from web pages. The "
    "encoders read them, and a tag with one in it is another tag.",
    "1girl, solo, blue\u200b_hair, smile",
    "1girl, solo, blue_hair, smile",
)
LIST = Rule(
    "NB117",
    "info",
    "a list of lines with signs in front or headings",
    "Such lists are read: a heading Character 1: begins a person, Background: names an element. But the model was "
    "trained with elements and reads the dashes, numbers and headings as words.",
    "Character 1:\n- 1girl, blue_hair\nBackground: beach",
    "<character_1>\n<gender>1girl</gender>\n<appearance>blue_hair</appearance>\n</character_1>\n<general_tags>\n"
    "<background>beach</background>\n</general_tags>",
)
RULES = (NO_COMMAS, INVISIBLE, LIST)

_WRITE = "write commas between tags"
_SEMICOLON = re.compile(r"\w[;；](?=\s*\w)")
# Not among them: the joiner of emoji, and the blanks and line ends that every text has.
_UNSEEN = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")


def no_commas(subject: Subject) -> Iterator[Diagnostic]:
    reading = subject.reading
    if reading.dialect == "tags" and is_booru_list(" ".join(tag.text for tag in reading.scene.tags)):
        tags = [tag.span for tag in reading.scene.tags]
        if not any(sign in reading.source.text[tags[0].start : tags[-1].stop] for sign in ",，、\n"):
            fix = tuple(Edit(Span(span.stop, span.stop), ",") for span in tags[:-1])
            yield Diagnostic(NO_COMMAS, Span(tags[0].start, tags[-1].stop), "blanks separate these tags", _WRITE, fix)
    for item in subject.items:
        if is_booru_list(item.text):
            yield Diagnostic(NO_COMMAS, item.span, f"{item.text} is read as one tag", _WRITE)
    yield from _bullets(subject)
    for value in subject.values:
        found = [match.end() - 1 for match in _SEMICOLON.finditer(value.text)]
        if len(found) > 1 and plain_dialect(re.sub("[;；]", ",", value.text)) == "tags":
            at = value.span.start + found[0]
            yield Diagnostic(NO_COMMAS, Span(at, at + 1), "semicolons do not separate tags", _WRITE)


def _bullets(subject: Subject) -> Iterator[Diagnostic]:
    """Signs in front of lines: in front of all of them they are no part of the tags, and still reach the encoders."""
    reading, listed = subject.reading, subject.listed
    if listed and not listed.scene and listed.is_tags:
        source, spans = reading.source, [match.span(1) for match in BULLET.finditer(reading.source.text)]
        fix = tuple(Edit(Span(start, _behind_blanks(source.text, stop)), "") for start, stop in spans)
        sign = source.text[slice(*spans[0])]
        message = f"{sign} in front of every line: the encoders read these signs too"
        yield Diagnostic(NO_COMMAS, Span(*spans[0]), message, "delete them", fix)
    bullets = [] if listed else list(BULLET.finditer(reading.source.text, reading.body_start))
    if len(bullets) > 1 and plain_dialect(BULLET.sub("", reading.body)) == "tags":
        for match in bullets:
            yield Diagnostic(NO_COMMAS, Span(*match.span(1)), f"{match[1]} is read as part of the tag", "delete it")


def _behind_blanks(text: str, at: int) -> int:
    while text[at] in " \t":
        at += 1
    return at


def lists(subject: Subject) -> Iterator[Diagnostic]:
    listed = subject.listed
    if listed is None or (not listed.scene and listed.is_tags):
        return
    start = subject.reading.body_start + len(subject.reading.body) - len(subject.reading.body.lstrip())
    people = [each.path for each in listed.scene.characters] if listed.scene else []
    blocks = [*people, *[GENERAL] * bool(listed.scene and listed.scene.general.fields)]
    kind = f"a list with headings ({', '.join(blocks) or 'sentences'})" if listed.scene else "a list of sentences"
    stop = subject.source.text.find("\n", start)
    message = f"{kind}: it is understood, and sent as it stands"
    yield Diagnostic(LIST, Span(start, stop), message, "python -m newbie convert --to xml writes it in elements")


def invisible(subject: Subject) -> Iterator[Diagnostic]:
    for match in _UNSEEN.finditer(subject.source.text):
        sign = match[0][0]
        name = unicodedata.name(sign, "a control character").lower()
        message = f"an invisible sign, U+{ord(sign):04X} ({name})"
        yield Diagnostic(INVISIBLE, Span(*match.span()), message, "delete it, or type the word again")


CHECKS = (no_commas, lists, invisible)
