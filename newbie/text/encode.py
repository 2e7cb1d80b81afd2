"""Both encoders over rendered prompts: features for the Next-DiT, and what each encoder really read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from newbie.prompt import EncoderInput, EncoderText, Rendered, encoder_input
from newbie.text.features import TextFeatures
from newbie.text.gemma import GemmaEncoder
from newbie.text.jina import JinaEncoder
from newbie.text.tokens import Tokenizer


class Encoded(NamedTuple):
    """Features of a batch, and per row the structured input of each encoder ("gemma", perhaps "jina")."""

    features: TextFeatures
    inputs: list[dict[str, EncoderInput]]

    def lost(self) -> list[dict[str, tuple[str, ...]]]:
        """Per row and encoder what did not fit, as paths of elements; encoders that lost nothing are absent.

        Words that belong to no element are reported too, as "the end of the text".
        """
        return [
            {
                name: tuple(span.path for span in given.lost) or ("the end of the text",)
                for name, given in row.items()
                if given.total > given.limit
            }
            for row in self.inputs
        ]


@dataclass(frozen=True)
class TextStack:
    """The text half of a model. `jina` is None for variants without the pooled vector."""

    gemma: GemmaEncoder
    jina: JinaEncoder | None = None

    def encode(self, prompts: Sequence[Rendered]) -> Encoded:
        """Encode rendered prompts, one row each; a row never depends on the others in the batch."""
        hidden, mask = self.gemma.encode([prompt.gemma.text for prompt in prompts])
        pooled = None if self.jina is None else self.jina.encode([prompt.jina.text for prompt in prompts])
        return Encoded(TextFeatures(hidden, mask, pooled), self.inputs(prompts))

    def inputs(self, prompts: Sequence[Rendered]) -> list[dict[str, EncoderInput]]:
        """What each encoder would read, without running it: tokens, spans, and what falls off."""
        rows = []
        for prompt in prompts:
            row = {"gemma": read_by(self.gemma.tokenizer, prompt.gemma, self.gemma.limit)}
            if self.jina is not None:
                row["jina"] = read_by(self.jina.tokenizer, prompt.jina, self.jina.limit)
            rows.append(row)
        return rows


def read_by(tokenizer: Tokenizer, text: EncoderText, limit: int) -> EncoderInput:
    """The structured input of one encoder."""
    return encoder_input(text, tokenizer.encode(text.text), limit)
