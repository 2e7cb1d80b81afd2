"""Find the tags of the prompt language in text that is not XML: `>_<`, `<3` and `&` are letters here.

The scanner looks at each `<` once and never past the next `<` or `>`, so its time grows with the length of the text,
whatever the text is. It decides what is a tag; what the tags enclose is decided in wellformed.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Literal, NamedTuple

from newbie.errors import PromptError
from newbie.prompt.diagnostics import Diagnostic, Edit
from newbie.prompt.rules import structure
from newbie.prompt.schema import Known, lookup, meaningless
from newbie.prompt.source import Source, Span
from newbie.prompt.suppress import is_suppression

MAX_TAGS = 4096
MAX_DEPTH = 32
MAX_ATTRIBUTES = 64  # of one tag; an honest prompt has none

Form = Literal["open", "close", "empty"]

# A name, for two of them with a blank in it (<character 1>, <general tags>), then attributes. Quantifiers with a plus
# at the end never give back what they took: that keeps the scan linear. Attribute values hold no comma, so that
# joining tags with commas can never make a new tag.
_TAG = re.compile(
    r"""<(/?+)
    ([A-Za-z_][A-Za-z0-9_.\-]*+ (?:\s++tags(?=[\s/>]) | (?<=character)\s++\d{1,4}+(?=[\s/>]))?+)
    ((?:\s++[A-Za-z_:][\w:.\-]*+\s*+=\s*+(?:"[^"<>,]*+" | '[^'<>,]*+' | [^\s"'<>,=]++))*+)
    \s*+(/?+)>""",
    re.VERBOSE | re.IGNORECASE,
)
_PAIR = re.compile(r"""([A-Za-z_:][\w:.\-]*+)\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s"'=]++)""")
_DECLARATION = re.compile(r"<!(DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)|<\?xml-", re.IGNORECASE)
_HEADER = re.compile(r"<\?xml\s[^<>?,]*+\?>", re.IGNORECASE)
FENCE = re.compile(r"^[ \t]*+`{3,}+[ \t]*+[\w+\-]*+[ \t]*+$", re.MULTILINE)  # around code, in Markdown
_QUIET = re.compile(rf"<!--|<!\[CDATA\[|{_HEADER.pattern}|{FENCE.pattern}", re.IGNORECASE | re.MULTILINE)


QUOTES = "\"'“”„‘’"  # around the value of an attribute; the round ones come from telephones


class Tag(NamedTuple):
    """One tag in the text. `known` is None for a name outside the language."""

    form: Form
    name: str  # canonical when known, else in lower case with underscores
    known: Known | None
    start: int
    stop: int
    attributes: tuple[str, ...] = ()  # their names

    @property
    def span(self) -> Span:
        return Span(self.start, self.stop)


class AttributeText(NamedTuple):
    """An attribute as it was typed; the value and its place are without the quotes."""

    name: str
    value: str
    span: Span


class Scanned(NamedTuple):
    """The tags, and the text with comments and XML headers blanked out (every other character at its place)."""

    view: str
    tags: list[Tag]
    found: list[Diagnostic]
    comments: tuple[Span, ...] = ()  # whole ones, from `<!--` to `-->`


def scan(source: Source, start: int = 0) -> Scanned:
    """Read the text from offset `start` on.

    Raises:
        PromptError: a DOCTYPE, ENTITY or similar declaration; too many tags, comments or attributes; elements nested
            more than MAX_DEPTH deep.
    """
    text = source.text
    if declared := _DECLARATION.search(text):
        what = declared[0].upper().lstrip("<!?")
        raise source.error(
            f"{what} is not part of a prompt" if declared[1] else "a stylesheet instruction is not part of a prompt",
            f"delete the {declared[0]}…> line; write < and & as they are, without entities",
            declared.start(),
        )
    spans, found = _quiet(source, start)
    view = blank(text, spans)
    if torn := [Span(*match.span()) for match in _HEADER.finditer(view, start)]:  # a header with a comment in it
        view = blank(view, torn)
    tags = list(_tags(source, view, start))
    _check_depth(source, tags)
    for tag in tags:
        if tag.known and (unread := meaningless(tag.name, tag.attributes)):
            message = f"the attributes of <{tag.name}> mean nothing here"
            found.append(Diagnostic(structure.ATTRIBUTES, tag.span, message, _instead(tag, unread)))
    return Scanned(view, tags, found, tuple(s for s in spans if _is_comment(text[s.start : s.stop])))


def _instead(tag: Tag, unread: set[str]) -> str:
    """What to write for attributes that mean nothing: elements, where they have the names of such."""
    names = [known.name for each in tag.attributes if each in unread and (known := lookup(each))]
    if names:
        return f"write an element: <{tag.name}><{names[0]}>…</{names[0]}></{tag.name}>"
    return f"write <{tag.name}>…</{tag.name}>" if tag.form == "empty" else f"write <{tag.name}>"


def attributes_at(view: str, start: int) -> list[AttributeText]:
    """The attributes of the tag that begins at an offset, in the order written."""
    match = _TAG.match(view, start)
    if not match or not match[3]:
        return []
    return [_attribute(pair) for pair in _PAIR.finditer(view, *match.span(3))]


def attributes_text(found: list[AttributeText]) -> str:
    """Attributes as they are written in a tag, each with a blank before it; "" for none."""
    return "".join(f' {a.name}="{a.value}"' if '"' not in a.value else f" {a.name}='{a.value}'" for a in found)


def _attribute(pair: re.Match[str]) -> AttributeText:
    quoted = pair[2][0] in QUOTES and pair[2][-1] in QUOTES
    place = Span(pair.start(2) + quoted, pair.end(2) - quoted)
    return AttributeText(pair[1], pair.string[place.start : place.stop], place)


def _is_comment(text: str) -> bool:
    return text.startswith("<!--") and text.endswith("-->")


def blank(text: str, spans: list[Span], first: str = " ") -> str:
    """Replace spans by blanks of the same length (the first character of each by `first`); line ends stay."""
    parts, at = [], 0
    for start, stop in sorted(spans):
        if start < at:  # overlaps the span before it
            start = min(at, stop)
        parts.append(text[at:start])
        quiet = re.sub(r"[^\n]", " ", text[start:stop])
        parts.append(first + quiet[1:] if quiet else "")
        at = max(at, stop)
    parts.append(text[at:])
    return "".join(parts)


def _quiet(source: Source, start: int) -> tuple[list[Span], list[Diagnostic]]:
    """XML headers, the fences of Markdown, comments and the brackets of CDATA sections: places without content."""
    text = source.text
    spans: list[Span] = []
    found: list[Diagnostic] = []
    ends = {"-->": -1, "]]>": -1}  # the next one of each, looked for once
    at = start
    while match := _QUIET.search(text, at):
        opener, at = match[0].upper(), match.end()
        spans.append(Span(match.start(), at))
        if len(spans) > MAX_TAGS:
            raise source.error(f"more than {MAX_TAGS} comments", "delete them", match.start())
        ending = {"<!--": "-->", "<![CDATA[": "]]>"}.get(opener)
        if ending is None:
            found.append(_wrapping(source, [spans[-1]], "a code fence" if opener[0] != "<" else "an XML header"))
            continue
        if ends[ending] < at:
            stop = text.find(ending, at)
            ends[ending] = stop if stop >= 0 else len(text)
        stop = ends[ending]
        if stop == len(text):
            message = f"{opener} is never closed: what follows is read as part of the prompt"
            found.append(Diagnostic(structure.COMMENT, spans[-1], message, f"write {ending}, or delete it"))
        elif opener == "<!--":
            at = stop + len(ending)
            spans[-1] = Span(match.start(), at)
            if not is_suppression(text[match.start() : at]):
                note = "this comment is sent to the encoders as it stands"
                found.append(Diagnostic(structure.COMMENT, spans[-1], note, "remove it, or use --canonical"))
        else:
            spans.append(Span(stop, stop + len(ending)))
            found.append(_wrapping(source, spans[-2:], "a CDATA section"))
    return spans, found


def _wrapping(source: Source, spans: list[Span], what: str) -> Diagnostic:
    """What stands around a prompt and is not part of it. Without it the prompt says the same in fewer tokens."""
    edits = tuple(Edit(source.whole_line(span), "") for span in spans)
    return Diagnostic(structure.WRAPPING, spans[0], f"{what} is sent to the encoders too", "delete it", edits)


def _tags(source: Source, view: str, start: int) -> Iterator[Tag]:
    for count, match in enumerate(_TAG.finditer(view, start), 1):
        if count > MAX_TAGS:
            raise source.error(f"more than {MAX_TAGS} tags", "a prompt has some dozens; shorten it", match.start())
        slash, written, carried, empty = match.groups()
        attributes = tuple(name for name, _ in _PAIR.findall(carried))
        if len(attributes) > MAX_ATTRIBUTES:
            raise source.error(
                f"<{written[:40]}> has more than {MAX_ATTRIBUTES} attributes",
                f"write <{written[:40]}> without attributes",
                match.start(),
            )
        known = lookup(written)
        form: Form = "close" if slash else "empty" if empty else "open"
        name = known.name if known else "_".join(written.lower().split())
        yield Tag(form, name, known, match.start(), match.end(), attributes)


def _check_depth(source: Source, tags: list[Tag]) -> None:
    """Only elements with an end tag count here: a dozen forgotten end tags are no nesting."""
    opened: dict[str, list[int]] = {}
    change = [0] * len(tags)
    for i, tag in enumerate(tags):
        if tag.form == "open":
            opened.setdefault(tag.name, []).append(i)
        elif tag.form == "close" and opened.get(tag.name):
            change[opened[tag.name].pop()] = 1
            change[i] = -1
    depth = 0
    for tag, step in zip(tags, change, strict=True):
        depth += step
        if depth > MAX_DEPTH:
            raise too_deep(source, tag)


def too_deep(source: Source, tag: Tag) -> PromptError:
    return source.error(
        f"elements are nested more than {MAX_DEPTH} deep",
        "a prompt needs two levels: a block such as <character_1>, and its elements",
        tag.start,
    )


def is_complete(text: str) -> bool:
    """Whether every element that the text opens is closed again: the prompt loop starts drawing then.

    Plain tags and sentences are always complete. A closing tag closes everything opened after its partner, so that one
    forgotten tag inside does not keep the loop waiting for ever.
    """
    return not still_open(text) and text.count("<!--") <= text.count("-->")


def still_open(text: str) -> list[Tag]:
    """The start tags of the language's elements that the text does not close, outer ones first."""
    waiting: list[Tag] = []
    counts: Counter[str] = Counter()
    for match in _TAG.finditer(text):
        slash, written, _, empty = match.groups()
        known = lookup(written)
        if known is None or empty:
            continue
        if not slash:
            waiting.append(Tag("open", known.name, known, match.start(), match.end()))
            counts[known.name] += 1
        elif counts[known.name]:
            while (closed := waiting.pop()).name != known.name:
                counts[closed.name] -= 1
            counts[known.name] -= 1
    return waiting
