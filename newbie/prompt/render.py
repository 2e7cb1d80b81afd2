"""What each text encoder is given: the user's text unchanged, or in canonical layout, and where its elements are.

Three front ends assemble the texts in three ways (the golden file prompt_assembly.json holds examples of each):
  official   Gemma: system prompt + text, directly joined; Jina: the text alone
  nodes      Gemma: both stripped, one blank between; Jina: the text alone
  comfyui    the system prompt is part of what the user types: both encoders get everything
"""

from __future__ import annotations

import re
from typing import NamedTuple

from newbie.errors import UsageError
from newbie.prompt import safety, system_prompts, weights
from newbie.prompt.aside import taken_out
from newbie.prompt.canonical import canonical_text as canonical_text
from newbie.prompt.dialect import has_marker
from newbie.prompt.elements import Element, elements
from newbie.prompt.encoder_text import EncoderText as EncoderText
from newbie.prompt.read import Reading, read
from newbie.prompt.source import Span

MODES = ("official", "nodes", "comfyui")
SYSTEM = "system_prompt"  # the path of the system prompt among the elements

_ESCAPED = re.compile(r"\\(?=[()])")


class Rendered(NamedTuple):
    """One prompt, ready for both encoders."""

    gemma: EncoderText
    jina: EncoderText


class RenderedPair(NamedTuple):
    """The prompt and the negative prompt of a guided picture."""

    positive: Rendered
    negative: Rendered


class _Typed(NamedTuple):
    """A prompt as it was typed, or in canonical layout; `own` counts the characters of its own system prompt."""

    text: str
    own: int
    elements: tuple[Element, ...]

    @property
    def system(self) -> str:
        return self.text[: self.own]


def render(
    reading: Reading,
    *,
    mode: str = "official",
    canonical: bool = False,
    system_prompt: str | None = None,
    unescape_parentheses: bool = False,
    read_weights: bool = True,
) -> Rendered:
    r"""The texts of a positive prompt.

    Args:
        mode: whose way of assembling the texts; comfyui also turns `\(` into `(`, as ComfyUI does.
        canonical: send our layout instead of the text as typed.
        system_prompt: None picks the training sentence that fits, and none for an empty prompt or one that brings
            its own (<Prompt Start>); "" adds none; any other text is put in front as it is.
        unescape_parentheses: send `\(` and `\)` without their backslashes.
        read_weights: `(tag:1.2)` sends `tag` and keeps its weight beside it; else it is text, as in the official code.

    Raises:
        UsageError: `mode` is none of MODES.
        PromptRefused: the assembled text sexualises minors.
    """
    typed = _typed(reading, canonical)
    rendered = _assemble(typed, _system(typed, system_prompt), mode)
    safety.check(rendered.gemma.text, reading.source.name)
    spoken = _spoken(rendered, reading, read_weights)
    if spoken.gemma.text != rendered.gemma.text:
        safety.check(spoken.gemma.text, reading.source.name)  # markup must not hide words
    return _unescaped(spoken) if unescape_parentheses or mode == "comfyui" else spoken


def render_pair(
    positive: Reading,
    negative: Reading | None = None,
    *,
    mode: str = "official",
    canonical: bool = False,
    system_prompt: str | None = None,
    unescape_parentheses: bool = False,
    read_weights: bool = True,
) -> RenderedPair:
    """The texts of both sides. None or an empty negative prompt is the empty text.

    The negative prompt gets the system prompt of the positive one, in official mode only when it is not empty, in
    comfyui mode never; one that brings its own keeps it. Arguments and errors as in `render`.
    """
    wanted = render(
        positive,
        mode=mode,
        canonical=canonical,
        system_prompt=system_prompt,
        unescape_parentheses=unescape_parentheses,
        read_weights=read_weights,
    )
    if negative is None:
        negative = read("", name="negative prompt", negative=True)
    ours, theirs = _typed(positive, canonical), _typed(negative, canonical)
    system = _system(ours, system_prompt)
    if system_prompt is None:
        system = "" if theirs.own else system or ours.system
    if mode == "comfyui" or (mode == "official" and not theirs.text):
        system = ""
    unwanted = _spoken(_assemble(theirs, system, mode), negative, read_weights)
    return RenderedPair(wanted, _unescaped(unwanted) if unescape_parentheses or mode == "comfyui" else unwanted)


def _typed(reading: Reading, canonical: bool) -> _Typed:
    body = reading.body
    blanks = len(body) - len(body.lstrip()) if reading.system_prompt else 0
    own = reading.system_prompt + body[:blanks]
    if not canonical:
        return _Typed(reading.source.text, len(own), tuple(elements(reading.scene)))
    clean = read(canonical_text(reading.scene), name=reading.source.name, negative=True)
    return _Typed(own + clean.source.text, len(own), _shifted(tuple(elements(clean.scene)), len(own)))


def _system(typed: _Typed, wanted: str | None) -> str:
    """The system prompt to put in front of what was typed."""
    if wanted is not None:
        return wanted
    return "" if has_marker(typed.text) else system_prompts.for_prompt(typed.text)


def _assemble(typed: _Typed, system: str, mode: str) -> Rendered:
    if mode not in MODES:
        raise UsageError(f"unknown prompt mode {mode!r}", "choose from " + ", ".join(MODES))
    jina = EncoderText(typed.text[typed.own :], _shifted(typed.elements, -typed.own))
    if mode != "nodes":
        both = _joined(system, typed)
        return Rendered(both, both if mode == "comfyui" else jina)
    leading = len(typed.text) - len(typed.text.lstrip())
    bare = _Typed(typed.text.strip(), max(typed.own - leading, 0), _shifted(typed.elements, -leading))
    front = system.strip()
    return Rendered(_joined(front + " " if front and bare.text else front, bare), jina)


def _joined(system: str, typed: _Typed) -> EncoderText:
    front = len(system) + typed.own
    places = _shifted(typed.elements, len(system))
    return EncoderText(system + typed.text, (Element(SYSTEM, 0, front), *places) if front else places)


def _shifted(places: tuple[Element, ...], by: int) -> tuple[Element, ...]:
    return tuple(Element(p.path, p.start + by, p.stop + by) for p in places) if by else places


def _spoken(rendered: Rendered, reading: Reading, read_weights: bool) -> Rendered:
    """Without what is said to this program alone."""
    told = weights.of_elements(reading)
    return Rendered(*(taken_out(text, told, read_weights=read_weights) for text in rendered))


def _unescaped(rendered: Rendered) -> Rendered:
    return Rendered(*(text.without(Span(*m.span()) for m in _ESCAPED.finditer(text.text)) for text in rendered))
