"""What approximate accelerations did in one generation, in numbers: stored with the picture and printed."""

from __future__ import annotations

from collections import Counter
from typing import Any

from newbie.accel.work import Operations
from newbie.step import Book, Pruned


def summary(book: Book, evaluations: int, operations: Operations) -> dict[str, Any]:
    """A line's worth: evaluations by what became of the stack, of branches if any acted, of guidance; work; memory.

    `requested` evaluations ran the prompt's rows, `unconditional` of them the negative prompt's as well. Operations
    (`accel.work`) are those of the joint blocks, in 10^9: what the request would take without approximations and guided
    to the end, what was left out of that, and how much of the latter were the negative prompt's rows. `kept_bytes` is
    the most that was remembered from one evaluation to the next.
    """
    branches = Counter(action for (_, branch, _), action in book.layers.items() if branch in ("attn", "ffn"))
    reused = book.guidance.count("reused")
    frozen = len({index for (_, branch, index) in book.layers if branch == "words"})
    drift = list(book.drift.values())
    return {
        "requested": evaluations,
        **_of_the_stack(book, evaluations),
        **{f"branches_{action}": count for action, count in sorted(branches.items())},
        **({"branches_forced": book.forced} if book.forced else {}),
        **({"words_frozen": frozen} if frozen else {}),
        "unconditional": operations.unconditional,
        **(_apart(book.negative, operations.unconditional) if book.negative is not None else {}),
        **({"guidance_reused": reused} if reused else {}),
        **{f"heads_{name}": count for name, count in sorted(book.pruned.classes().items())},
        **({"scores_saved": round(book.pruned.saved, 4)} if book.pruned.whole else {}),
        **({"largest_drift": round(max(drift), 4)} if drift else {}),
        "gflop": _giga(operations.whole),
        "gflop_saved": _giga(operations.blocks + operations.guidance),
        **({"gflop_saved_by_guidance": _giga(operations.guidance)} if operations.guidance else {}),
        "kept_bytes": book.kept,
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
        **({} if book.negative is None else {"negative": details(book.negative)}),
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


def _of_the_stack(book: Book, evaluations: int) -> dict[str, int]:
    stack = Counter(book.stack.values())
    computed = evaluations - stack["skip"] - stack["forecast"]
    return {"computed": computed, "skipped": stack["skip"], "forecast": stack["forecast"]}


def _apart(negative: Book, evaluations: int) -> dict[str, int]:
    """Of the negative prompt's rows, where they decide for themselves."""
    return {f"unconditional_{what}": count for what, count in _of_the_stack(negative, evaluations).items()}


def _giga(operations: int) -> float:
    return float(f"{operations / 1e9:.4g}")
