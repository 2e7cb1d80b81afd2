"""CUDA graphs: an evaluation recorded on the card once, then replayed without Python starting its kernels.

A small model on a large card spends its time starting kernels. A graph starts all of an evaluation's at once, but it
is blind: it reads and writes the memory it was recorded with, and no decision of Python's is made again. So only
evaluations whose work is the same at every step may be recorded: the blocks in order, without policies that look at
the step. What changes between steps (latents, time, modulations) is copied to where the graph reads.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from newbie.model.nextdit import NextDiT, Prepared

Record = Callable[[Callable[[], Tensor]], Callable[[], Tensor]]  # (run once, note its work) -> do that work again


def on_cuda(run: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Record what `run` does to the card. Its result is memory that every replay fills anew."""
    graph = torch.cuda.CUDAGraph()
    # Other threads may use the card meanwhile: their calls are not ours to forbid.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = run()

    def replay() -> Tensor:
        graph.replay()
        return result

    return replay


class Recording(NamedTuple):
    """One graph, and all it needs to stay in memory."""

    replay: Callable[[], Tensor]
    inputs: tuple[Tensor, ...]  # where it reads what changes
    keeps: tuple[Any, ...]  # where it reads everything else


class Recorded:
    """The model, its evaluations recorded when they come a second time. One object serves one request.

    The first evaluation of a kind runs as ever: kernels are compiled, buffers and indices made. The second is
    recorded, then all are replayed. A kind is a `Prepared` and a batch of latents of one shape.

    Args:
        model: called with its own arguments (`NextDiT.forward`), latents as one tensor.
        record: `on_cuda`, or anything that repeats work without Python's help.
    """

    def __init__(self, model: NextDiT, record: Record = on_cuda) -> None:
        self.model = model
        self.record = record
        self.graphs = 0
        self.failed = ""  # why evaluations could not be recorded; they run as ever then
        self._seen: dict[Hashable, Recording | tuple[Prepared, dict[str, Any]]] = {}

    def __call__(self, latents: Tensor, t: Tensor, prepared: Prepared, **options: Any) -> Tensor:
        """As the model. Answers own their memory."""
        kind = (id(prepared.words), latents.shape)  # `keeps` holds the words: their id stays theirs
        seen = self._seen.get(kind)
        if seen is None or self.failed:
            self._seen[kind] = (prepared, options)
            return self.model(latents, t, prepared, **options)
        changing = (latents, t, prepared.modulations)
        if not isinstance(seen, Recording):
            recording = self._recorded(changing, *seen)
            if recording is None:
                return self.model(latents, t, prepared, **options)
            seen = self._seen[kind] = recording
        torch._foreach_copy_(list(seen.inputs), list(_tensors(changing)))
        return seen.replay().clone()

    def _recorded(self, changing: tuple[Any, ...], prepared: Prepared, options: dict[str, Any]) -> Recording | None:
        """`prepared` and `options` are those of the first evaluation, which left what they remember ready."""
        own = _copied(changing)
        latents, t, modulations = own
        fixed = prepared._replace(modulations=modulations)
        try:
            replay = self.record(lambda: self.model(latents, t, fixed, **options))
        except RuntimeError as error:  # an operation that a stream under capture does not allow
            self.failed = str(error).strip().partition("\n")[0]
            return None
        self.graphs += 1
        return Recording(replay, tuple(_tensors(own)), (fixed, options))


def _tensors(given: Any) -> Iterator[Tensor]:
    """All tensors in nested tuples, in order."""
    if isinstance(given, Tensor):
        yield given
    elif isinstance(given, tuple):
        for each in given:
            yield from _tensors(each)


def _copied(given: Any) -> Any:
    """The same nested tuples of tensors, in memory of their own."""
    if isinstance(given, Tensor):
        return given.clone()
    if isinstance(given, tuple):
        parts = (_copied(each) for each in given)
        return type(given)(*parts) if hasattr(given, "_fields") else type(given)(parts)
    return given
