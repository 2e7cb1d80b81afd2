"""The words newbie-mini learns, written beside its weights: python -m newbie.train.learnt weights/newbie-mini"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from newbie.cli.console import Console, run
from newbie.errors import UsageError
from newbie.prompt.learnt import FILE, Vocabulary, words_of
from newbie.train.figures import caption, sample, words
from newbie.train.figures.names import NAMED

CAPTIONS = 4000  # enough for every word that is no table's


def learnt() -> Vocabulary:
    """All words of the drawings' tables, their names, and what captions put between them."""
    spellings = {
        spelling
        for name, table in vars(words).items()
        if name.isupper() and isinstance(table, dict)
        for each in table.values()
        for spelling in each
    }
    spellings |= set(words.OUTFIT_COLORS) | set(words.BLUSH_TAGS) | set(words.BLUSH_ZH) | set(NAMED)
    told = {word for spelling in spellings for word in words_of(spelling)}
    rng = random.Random("learnt")
    for _ in range(CAPTIONS):
        told |= {word for word in words_of(_untagged(caption(sample(rng), rng))) if word.isascii()}
    return Vocabulary(
        frozenset(word for word in told if word.isascii()), frozenset(word for word in told if not word.isascii())
    )


def _untagged(text: str) -> str:
    """A caption without the names of its elements, each of which is one tag: <appearance>."""
    return " ".join(part.rpartition(">")[2] for part in text.split("<"))


def write(folder: Path) -> Path:
    """Write `vocabulary.json` into a model's folder."""
    path = folder / FILE
    path.write_text(json.dumps(learnt().to_json(), ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    return path


def main(argv: Sequence[str]) -> int:
    """One argument: the folder."""
    if len(argv) != 1 or not Path(argv[0]).is_dir():
        raise UsageError("name the folder of a model", "python -m newbie.train.learnt weights/newbie-mini")
    Console().say(f"written to {write(Path(argv[0]))}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
