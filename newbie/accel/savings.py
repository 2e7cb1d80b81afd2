"""Which exact savings are taken. All of them, always; they can be switched off to measure what each is worth.

An exact saving leaves the picture as it is: the same bits, or the same numbers added in another order. What each of
them does, its proof and its gain are in docs/exact-savings.md. The order here is the order of the benchmark's
waterfall.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Savings:
    """One switch per saving."""

    prepared_once: bool = True  # captions are refined, and positions and masks made, once per generation
    one_row: bool = True  # a guided evaluation whose two prompts are the same text runs one of them
    modulation_table: bool = True  # scales and gates of all times are made before the loop, by one product per block
    packed_rows: bool = True  # a guided pair of unequal captions runs without padding
    image_queries: bool = True  # the last block computes what is read from it: image tokens
    shared_refiner: bool = True  # without a CLIP branch the noise refiner runs once for both rows of a pair
    shared_embedding: bool = True  # image tokens are embedded once for both rows of a pair
    text_cache: bool = True  # a text that was encoded before is not encoded again
    channels_last: bool = True  # the decoder keeps a pixel's channels side by side in memory

    @classmethod
    def none(cls) -> Savings:
        """Everything done over and over, as it is written in the papers."""
        return cls(**{field.name: False for field in fields(cls)})

    def left_out(self) -> list[str]:
        """Names of those that are switched off."""
        return [field.name for field in fields(self) if not getattr(self, field.name)]
