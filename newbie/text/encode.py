"""Both encoders over rendered prompts: features for the Next-DiT, and what each encoder really read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from torch import Tensor

from newbie.prompt import EncoderInput, EncoderText, Rendered, encoder_input
from newbie.text.cache import TextCache
from newbie.text.features import Key, TextFeatures
from newbie.text.gemma import GemmaEncoder
from newbie.text.jina import JinaEncoder
from newbie.text.tokens import Tokenizer


class Encoded(NamedTuple):
    """Features of a batch, and per row the structured input of each encoder ("gemma", perhaps "jina")."""

    features: TextFeatures
    inputs: list[dict[str, EncoderInput]]
    runs: int  # texts that an encoder had to read for it; the others were known

    def same(self, row: int, other: int) -> bool:
        """Whether two rows were the same tokens to every encoder, and so have the same features."""
        return all(
            given.token_ids == self.inputs[other][encoder].token_ids for encoder, given in self.inputs[row].items()
        )

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
    cache: TextCache = field(default_factory=TextCache)
    bring: Callable[[str], None] = lambda encoder: None  # called before an encoder has to run: it may not be in memory

    def encode(self, prompts: Sequence[Rendered], *, reuse: bool = True) -> Encoded:
        """Encode rendered prompts, one row each; a row never depends on the others in the batch.

        With `reuse`, texts that this stack has encoded before are taken from its cache.
        """
        runs = 0

        def keep(encoder: str, key: Key, encode: Callable[[], Tensor]) -> Tensor:
            def count() -> Tensor:
                nonlocal runs
                runs += 1
                self.bring(encoder)
                return encode()

            return self.cache.get(key, count) if reuse else count()

        hidden, mask = self.gemma.encode([prompt.gemma.text for prompt in prompts], partial(keep, "gemma"))
        pooled = None
        if self.jina is not None:
            pooled = self.jina.encode([prompt.jina.text for prompt in prompts], partial(keep, "jina"))
        return Encoded(TextFeatures(hidden, mask, pooled), self.inputs(prompts), runs)

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
