"""What approximate accelerations did in one generation, in numbers: stored with the picture and printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from newbie.accel.predict import held
from newbie.step import Book, Memory, Pruned


def summary(book: Book, evaluations: int, memories: Iterable[Memory]) -> dict[str, Any]:
    """A line's worth: evaluations by what became of the stack, and of the branches if any acted; guidance; memory.

    `kept_bytes` is what policies hold at the moment of asking.
    """
    stack = Counter(book.stack.values())
    skipped, forecast = stack["skip"], stack["forecast"]
    branches = Counter(action for (_, branch, _), action in book.layers.items() if branch != "block")
    reused = book.guidance.count("reused")
    drift = list(book.drift.values())
    return {
        "requested": evaluations,
        "computed": evaluations - skipped - forecast,
        "skipped": skipped,
        "forecast": forecast,
        **{f"branches_{action}": count for action, count in sorted(branches.items())},
        **({"guidance_reused": reused} if reused else {}),
        **{f"heads_{name}": count for name, count in sorted(book.pruned.classes().items())},
        **({"scores_saved": round(book.pruned.saved, 4)} if book.pruned.whole else {}),
        **({"largest_drift": round(max(drift), 4)} if drift else {}),
        "kept_bytes": sum(held(memory) for memory in memories),
    }


def details(book: Book) -> dict[str, Any]:
    """All of it: how often each action was taken in each layer, what thresholds were compared with, what was pruned."""
    layers: dict[str, dict[str, dict[str, int]]] = {}
    for (layer, branch, _), action in sorted(book.layers.items()):
        counts = layers.setdefault(str(layer), {}).setdefault(branch, {})
        counts[action] = counts.get(action, 0) + 1
    return {
        "steps": {str(i): action for i, action in sorted(book.stack.items())},
        "layers": layers,
        "drift": {str(i): value for i, value in sorted(book.drift.items())},
        "guidance": list(book.guidance),
        **({"pruned": _pruned(book.pruned)} if book.pruned.whole else {}),
    }


def _pruned(pruned: Pruned) -> dict[str, Any]:
    """Groups of heads by layer and class; operations of their scores; what the sampled queries saw, on average."""
    layers: dict[str, dict[str, int]] = {}
    for (layer, name), count in sorted(pruned.groups.items()):
        layers.setdefault(str(layer), {})[name] = count
    entropy, mass = (round(sum(each) / len(pruned.seen), 4) for each in zip(*pruned.seen, strict=True))
    return {
        "layers": layers,
        "operations": {"whole": pruned.whole, "gained": pruned.gained, "overhead": pruned.overhead},
        "entropy": entropy,
        "window_mass": mass,
    }
