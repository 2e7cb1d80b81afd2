"""What a prompt says to this program and not to the model: weights, boxes, words to the linter. No encoder reads them.

No model of this family was trained on `(blue_hair:1.3)` or `x="0.1"`. So the markup is taken out of the texts, and what
it says is kept beside them: weights as places in the text, boxes in `newbie.regions.boxes`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from newbie.prompt import suppress, weights
from newbie.prompt.encoder_text import EncoderText, Weight
from newbie.prompt.scan import QUOTES, attributes_at, scan
from newbie.prompt.schema import attributes_of
from newbie.prompt.source import Source, Span

BOX: Final = ("x", "y", "width", "height")
_MAYBE: Final = re.compile(r"\s(?:weight|x|y|width|height)\s*=", re.IGNORECASE)


def taken_out(given: EncoderText, of_elements: Mapping[str, float], *, read_weights: bool = True) -> EncoderText:
    """The text that an encoder reads, and how much its parts weigh.

    `of_elements`: weights by the path of an element. Without `read_weights` they count for nothing, and all that looks
    like one stays in the text as it was typed, as in the official code.
    """
    found = weights.marks(given.text) if read_weights else ()
    names = (*BOX, weights.ATTRIBUTE) if read_weights else BOX
    told = [Weight(*inner, weight) for _, inner, weight in found]
    if read_weights:
        told += [Weight(start, stop, of_elements[path]) for path, start, stop in given.elements if path in of_elements]
    weighed = given._replace(weights=tuple(weight for weight in told if weight.weight != 1))
    told_the_linter = suppress.spans(given.text)
    return weighed.without([*weights.around(found), *_attributes(given.text, names), *told_the_linter])


def _attributes(text: str, names: tuple[str, ...]) -> Iterator[Span]:
    """Attributes of these names on elements that have them, each with the blanks before it; an element of which
    nothing else is left goes as a whole."""
    if not _MAYBE.search(text):
        return
    scanned = scan(Source(text))
    tags = scanned.tags
    for i, tag in enumerate(tags):
        if tag.form == "close" or not set(names) & set(tag.attributes) & set(attributes_of(tag.name)):
            continue
        mine = [each for each in attributes_at(scanned.view, tag.start) if each.name in names]
        closes = i + 1 < len(tags) and tags[i + 1].form == "close" and tags[i + 1].name == tag.name
        if len(mine) == len(tag.attributes) and tag.form == "empty":
            yield tag.span
        elif len(mine) == len(tag.attributes) and closes and not text[tag.stop : tags[i + 1].start].strip():
            yield Span(tag.start, tag.stop)
            yield tags[i + 1].span
        else:
            for each in mine:
                start = text.rfind(each.name, tag.start, each.span.start)
                quoted = text[each.span.start - 1] in QUOTES
                yield Span(len(text[:start].rstrip()), each.span.stop + quoted)
