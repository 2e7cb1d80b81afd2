"""torch.compile with what a person must know of it: whether it works here, how many graphs, what they cost and gain.

A graph is compiled when a leaf first meets its kind of numbers. Sizes are symbols in it, so other captions, pictures
and batches use the same one; what makes a second one is a batch of one row after larger ones, and modulations by token
instead of by row.
"""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

Function = TypeVar("Function", bound=Callable[..., Any])
Backend = Callable[[torch.fx.GraphModule, list[Tensor]], Callable[..., Any]]


def inductor(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
    """torch's own code generator: C++ loops on a CPU, Triton kernels on a GPU."""
    return torch._dynamo.lookup_backend("inductor")(graph, inputs)


@dataclass
class Compiler:
    """`compiler(function)` is the function compiled on its first call. Counts what that took."""

    backend: Backend = inductor
    graphs: int = 0
    seconds: float = 0.0  # in the code generator; tracing comes on top

    def __call__(self, function: Function) -> Function:
        compiled = torch.compile(function, backend=self._compile, fullgraph=True, dynamic=True)

        def run(*given: Any) -> Any:
            # Without this a length that happens to equal another size would be taken to equal it always.
            with torch.fx.experimental._config.patch(use_duck_shape=False):  # type: ignore[attr-defined]
                return compiled(*(_bare(each) for each in given))

        return run  # type: ignore[return-value]

    def _compile(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        self.graphs += 1
        began = time.perf_counter()
        try:
            return self.backend(graph, inputs)
        finally:
            self.seconds += time.perf_counter() - began


def _bare(given: Any) -> Any:
    """The same numbers in the one form that memory can have for their shape: graphs are tied to strides, offsets and
    to what a tensor is a view of."""
    if isinstance(given, Tensor):
        given = given.clone() if given.storage_offset() else given.contiguous()
        return given.view(-1).view(given.shape).data
    if isinstance(given, tuple) and hasattr(given, "_fields"):
        return type(given)(*(_bare(each) for each in given))
    return given


def broken(device: torch.device, backend: Backend = inductor) -> str:
    """Why nothing can be compiled here, found out by compiling one addition; "" when it works."""
    numbers = torch.zeros(8, device=device)
    try:
        with torch.no_grad():
            works = torch.equal(torch.compile(lambda x: x + 1, backend=backend)(numbers), numbers + 1)
    except (RuntimeError, OSError, ImportError, subprocess.SubprocessError) as error:
        cause = getattr(error, "inner_exception", error)  # dynamo wraps what its backend raised
        return str(cause).strip().partition("\n")[0] or type(cause).__name__
    return "" if works else "compiled code gives wrong numbers"


class Worth(NamedTuple):
    """What compiling cost and what it gains, in seconds."""

    graphs: int
    compiling: float  # the first evaluation beyond a later one
    plain: float  # one evaluation without
    compiled: float  # and with it

    def pictures(self, evaluations: int) -> int | None:
        """After how many pictures of so many evaluations it has paid for itself; None: never."""
        gain = (self.plain - self.compiled) * evaluations
        return max(1, math.ceil(self.compiling / gain)) if gain > 0 else None

    def told(self, evaluations: int) -> str:
        """In one line."""
        pictures = self.pictures(evaluations)
        pays = "it never pays here" if pictures is None else f"it pays from picture {pictures} on"
        return (
            f"compiled {self.graphs} graphs in {self.compiling:.1f} s: "
            f"an evaluation takes {self.compiled:.3f} s instead of {self.plain:.3f} s, {pays}"
        )


def worth(compiler: Compiler, plain: Callable[[], object], compiled: Callable[[], object]) -> Worth:
    """Run one evaluation both ways, each once to warm up and once by the clock."""
    before = compiler.graphs
    cold = _seconds(compiled)
    warm = min(_seconds(compiled), _seconds(compiled))
    _seconds(plain)
    return Worth(compiler.graphs - before, max(cold - warm, 0.0), _seconds(plain), warm)


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began
