"""How the blocks of a model run: which leaves, compiled or not, and what to tell of it.

Measured on a CPU (benchmarks/README.md): the leaves made for it beat the model's own loop at every size and in both
number formats, so "auto" takes them there; elsewhere "auto" is the model's own loop until somebody asks for more.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from newbie import devices
from newbie.accel import cpu
from newbie.accel.compiler import Backend, Compiler, broken, inductor
from newbie.accel.leaves import Leaves
from newbie.accel.passes import Passes
from newbie.accel.runner import InOrder, RunBlock
from newbie.errors import UsageError
from newbie.model.block import Block
from newbie.model.nextdit import NextDiT

NAMES = ("auto", "plain", "cpu", "triton")
COPY = 4  # arranged weights may take a quarter of the memory that is free


@dataclass(frozen=True, eq=False)
class Blocks:
    """How the blocks of one model run."""

    runner: InOrder | None = None  # None: the model's own loop
    compiler: Compiler | None = None
    notes: tuple[str, ...] = ()  # what a person asked for and did not get, and why
    plain: InOrder | None = field(default=None)  # the same without the compiler, to compare with
    called: str = ""  # by the name of its leaves, where the runner is not kept

    @property
    def name(self) -> str:
        """As `Pipeline.describe` tells it."""
        return self.called or ("plain" if self.runner is None else self.runner.run_block.leaves.name)

    def without_weights(self) -> Blocks:
        """The same, holding on to no weights: for a model whose weights leave, and are chosen for anew."""
        return replace(self, runner=None, plain=None, called=self.name)


def choose(
    model: NextDiT, *, leaves: str = "auto", compile: bool = False, free: int | None = None, backend: Backend = inductor
) -> Blocks:
    """The runner for this model where it is now, in its dtype.

    `compile` where nothing can be compiled is a note, not an error: pictures come out the same. `free` is the memory
    in bytes that may be thought of as free; None: what the machine says.

    Raises:
        UsageError: leaves that do not exist, or cannot serve here.
    """
    if leaves not in NAMES:
        raise UsageError(f"there are no leaves {leaves!r}", f"use one of: {', '.join(NAMES)}")
    place, dtype = model.norm_final.weight.device, model.dtype  # linear layers may be adapted or compressed
    blocks = [block for stack in (model.noise_refiner, model.layers) for block in stack if isinstance(block, Block)]
    refused = _refused(leaves, blocks, place, dtype)
    if refused and leaves not in ("auto", "plain"):
        raise UsageError(f"leaves {leaves} cannot serve: {refused}", "use --leaves auto")
    why = broken(place, backend) if compile else ""
    notes = (f"not compiled, because that fails here: {why}",) if why else ()
    compiler = Compiler(backend) if compile and not why else None
    if leaves == "triton":
        from newbie.accel import triton

        return Blocks(InOrder(RunBlock(triton.leaves())), None, notes)
    if leaves == "cpu" or (leaves == "auto" and not refused):
        return _on_a_cpu(blocks, compiler, notes, devices.free_memory() if free is None else free)
    if compiler is None:
        return Blocks(None, None, notes)
    plain = InOrder(RunBlock(Leaves.plain()))
    return Blocks(InOrder(RunBlock(Leaves.compiled(compiler))), compiler, notes, plain)


def _on_a_cpu(blocks: Sequence[Block], compiler: Compiler | None, notes: tuple[str, ...], free: int) -> Blocks:
    size = sum(tensor.nbytes for block in blocks for tensor in (*block.parameters(), *block.buffers()))
    eager = cpu.CpuBlocks.of(blocks, arrange=size * COPY <= free)
    plain = InOrder(RunBlock(eager.leaves()))
    if compiler is None:
        return Blocks(plain, None, notes)
    fast = cpu.CpuBlocks(eager.weights, Passes.compiled(compiler))
    return Blocks(InOrder(RunBlock(fast.leaves())), compiler, notes, plain)


def _refused(leaves: str, blocks: Sequence[Block], place: torch.device, dtype: torch.dtype) -> str:
    """Why leaves made for a device cannot serve; "" when they can. "auto" asks for those of a CPU."""
    wanted = "cuda" if leaves == "triton" else "cpu"
    if place.type != wanted:
        return f"they are made for {wanted}, not for {place.type}"
    if wanted == "cuda":
        if importlib.util.find_spec("triton") is None:
            return "the package triton is not installed"
        from newbie.accel import triton

        return triton.unavailable()
    if dtype not in (torch.float32, torch.bfloat16):
        return f"they compute in float32 or bfloat16, not in {str(dtype).removeprefix('torch.')}"
    if dtype == torch.bfloat16 and not devices.native_bf16("cpu"):
        return "this processor has no bfloat16 in hardware"
    return cpu.unavailable(blocks)
