"""The prompt language of NewBie: read any dialect, understand it as a scene, write what the text encoders are given.

    reading = read(text)                  Reading: scene, diagnostics, dialect; the text itself stays untouched
    rendered = render(reading)            Rendered: one text per encoder, with the places of every element
    inputs = encoder_input(rendered.gemma, tokenizer.encode(rendered.gemma.text), 512)

No torch here. The language itself is one table, schema.py; docs/prompt-language.md describes it.
"""

from newbie.prompt.canonical import canonical_text
from newbie.prompt.diagnostics import Diagnostic, show
from newbie.prompt.edit import set_value
from newbie.prompt.elements import Element
from newbie.prompt.read import MAX_BYTES, Reading, read, read_bytes, read_file
from newbie.prompt.render import EncoderText, Rendered, RenderedPair, render, render_pair
from newbie.prompt.scan import is_complete
from newbie.prompt.scene import Block, Character, Field, Scene, Value, compose
from newbie.prompt.source import Source, Span
from newbie.prompt.tokens import EncoderInput, TokenSpan, encoder_input

__all__ = [
    "MAX_BYTES",
    "Block",
    "Character",
    "Diagnostic",
    "Element",
    "EncoderInput",
    "EncoderText",
    "Field",
    "Reading",
    "Rendered",
    "RenderedPair",
    "Scene",
    "Source",
    "Span",
    "TokenSpan",
    "Value",
    "canonical_text",
    "compose",
    "encoder_input",
    "is_complete",
    "read",
    "read_bytes",
    "read_file",
    "render",
    "render_pair",
    "set_value",
    "show",
]
