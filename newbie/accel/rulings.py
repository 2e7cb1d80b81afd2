"""What cannot go together among accelerations, and with other wishes of a request. No torch."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

from newbie.errors import UsageError


class Ruling(NamedTuple):
    """These and those do not go together."""

    these: frozenset[str]
    those: frozenset[str]
    why: str
    hint: str


BLOCKS = frozenset(("fora", "deepcache", "mask", "fbcache", "dbcache", "teacache", "magcache"))  # act on the blocks
ATTENTION = frozenset(("fora", "prune", "plan"))  # act on the attention of a layer
INSIDE = BLOCKS | ATTENTION
RULINGS = (
    Ruling(BLOCKS, BLOCKS, "both decide which blocks run", "name one of them; delta goes with each"),
    Ruling(BLOCKS, frozenset({"plan"}), "a plan says already what every block does", "leave one of them out"),
    Ruling(
        INSIDE | {"delta", "freeze"},
        frozenset({"preset"}),
        "what a preset gains and costs was measured of it alone",
        "leave one of them out",
    ),
    Ruling(
        frozenset({"freeze"}),
        ATTENTION,
        "what is kept of branches is of words and image, and words that are frozen do not run",
        "a method that skips whole blocks, such as dbcache or deepcache, goes with freeze",
    ),
    Ruling(
        frozenset({"prune"}),
        ATTENTION,
        "both say how much of a layer's attention is computed",
        "name one of them; prune goes with delta, and with methods that skip whole blocks",
    ),
    Ruling(
        frozenset({"exact"}),
        INSIDE | {"delta", "freeze"},
        "exact means without approximations",
        "leave out --plan or --accel",
    ),
    Ruling(
        INSIDE | {"freeze"},
        frozenset({"cuda graphs"}),
        "a recorded evaluation repeats its work and decides nothing",
        "leave out --cuda-graphs; delta alone goes with it",
    ),
    Ruling(
        INSIDE | {"freeze"},
        frozenset({"heat-maps"}),
        "a heat-map needs the attention of every evaluation",
        "leave out --heatmaps, or draw that picture without",
    ),
    Ruling(
        frozenset({"a plan of window, cfg or mean_v"}),
        frozenset({"regions"}),
        "a bias on the scores is for whole rows, and for each half of a pair by itself",
        "--regions off, or a plan without these actions",
    ),
    Ruling(
        frozenset({"prune"}),
        frozenset({"regions"}),
        "what queries see is sampled without a bias on their scores",
        "--regions off and no weights on words, or no prune",
    ),
)


def refuse_together(names: list[str], besides: frozenset[str]) -> None:
    """Raises UsageError for the first two that do not go together, `besides` being wishes that are no acceleration."""
    for first, second in combinations([*names, *sorted(besides)], 2):
        for these, those, why, hint in RULINGS:
            if (first in these and second in those) or (second in these and first in those):
                raise UsageError(f"{first} and {second} do not go together: {why}", hint)
