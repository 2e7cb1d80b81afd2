"""Tensors on their way into another file: under which name, in which format, and their bytes a few rows at a time.

Never more than one tensor is in memory, as it is stored; what it is cast or quantised to exists a few rows at a time.
Blocks and codes that may stay as they are, are copied.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from newbie.checkpoints.gguf_write import Form, can_hold
from newbie.checkpoints.layouts import Component
from newbie.checkpoints.plan import Plan
from newbie.checkpoints.save import save_table
from newbie.checkpoints.translate import Recipe, Step, steps
from newbie.errors import UsageError, WeightsError
from newbie.quant import gguf_package
from newbie.quant.codec import Codec, dense, some_rows
from newbie.quant.fp8 import CODES, FORMATS, SCALE, Fp8, encode, factor_for
from newbie.quant.ggml import BY_NAME, WRITABLE, BlockType
from newbie.quant.gguf import BLOCKS, Gguf

ROWS = 2**22  # numbers that are cast or quantised at a time
SMALL = 1024  # numbers; GGUF keeps such tensors, and all vectors, in float32

CASTS = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
EIGHT_BITS = ("fp8", "fp8-scaled", "fp8-scaled-old")
TYPES = ("keep", *CASTS, *EIGHT_BITS, *WRITABLE)
_E4M3 = torch.float8_e4m3fn

# Parts of names that keep 16 bits when the rest is quantised: small, or harmful to round.
SKIPPED: dict[Component, tuple[str, ...]] = {
    "transformer": ("x_embedder", "t_embedder", "cap_embedder", "clip_text_pooled_proj", "time_text_embed",
                    "final_layer", "norm", "adaLN_modulation"),
    "text_encoder": ("embed_tokens", "norm"),
    "clip": ("embeddings", "norm", "emb_ln"),
    "vae": ("",),
}  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """What is asked for: one of TYPES, for a container, but not for names with a part of `skip`."""

    type: str
    gguf: bool
    skip: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise UsageError(f"there is no type {self.type!r}", f"use one of: {', '.join(TYPES)}")
        if self.type in WRITABLE and not self.gguf:
            raise UsageError(f"{self.type} is written to GGUF files only", "give a target that ends in .gguf")
        if self.type in EIGHT_BITS and self.gguf:
            raise UsageError("GGUF files have no 8-bit floats", "use --type Q8_0, or a .safetensors target")
        if self.type in WRITABLE:
            gguf_package.require(f"writing {self.type}")


class Outgoing(NamedTuple):
    """A tensor to be written. `pieces` makes its bytes in order."""

    name: str
    form: Form
    shape: tuple[int, ...]
    pieces: Callable[[], Iterator[Tensor]]

    @property
    def nbytes(self) -> int:
        if isinstance(self.form, BlockType):
            return math.prod(self.shape[:-1]) * self.form.row_bytes(self.shape[-1])
        return math.prod(self.shape) * self.form.itemsize


class Kept(NamedTuple):
    """A matrix as its codec stores it, in memory."""

    codec: Codec
    stored: Mapping[str, Tensor]


Content = Tensor | Kept


def outgoing(plan: Plan, layout: str, prefix: str, wanted: Wanted) -> list[Outgoing]:
    """Everything of one part that goes into a file of this layout, under names with this prefix.

    Raises:
        UsageError: the layout cannot be written, or a format cannot be kept there.
        WeightsError: the source is incomplete.
    """
    plan.report.require_complete()
    names = [*plan.module.state_dict(), *plan.extras]
    found: list[Outgoing] = []
    for step in steps(names, save_table(plan.part.component, layout, plan.config)):
        for position, name in enumerate(step.theirs):
            found += _one(plan, _Source(plan, step, position), prefix + name, wanted)
    if wanted.type == "fp8-scaled-old":
        found.append(Outgoing(prefix + "scaled_fp8", _E4M3, (2,), lambda: iter([torch.zeros(2, dtype=_E4M3)])))
    return found


class _Source(NamedTuple):
    """One tensor of the target layout, and what it is made of."""

    plan: Plan
    step: Step
    position: int

    @property
    def name(self) -> str:
        return self.step.ours[0]

    @property
    def recipe(self) -> Recipe | None:
        """None for a tensor that files lack and nothing depends on: it is made of ones."""
        return self.plan.recipes.get(self.name) or self.plan.extras.get(self.name)

    @property
    def is_matrix(self) -> bool:
        """Whether it is the weight of a linear layer or of an embedding."""
        owner, _, leaf = self.name.rpartition(".")
        if self.name in self.plan.extras:
            return leaf == "weight" and len(self.shape) == 2
        return leaf == "weight" and isinstance(self.plan.module.get_submodule(owner), nn.Linear | nn.Embedding)

    @property
    def shape(self) -> tuple[int, ...]:
        ours = self.plan.module.state_dict().get(self.name)
        size = tuple(ours.shape) if ours is not None else self.plan.extras[self.name].shape
        made = self.step.rule.save([torch.empty(size, device="meta")])
        return tuple(made[self.position].shape)

    @property
    def codec(self) -> Codec | None:
        """In which form it is there, where that form may stay."""
        if self.recipe is None or self.step.rule.kind not in ("rename", "fuse"):
            return None
        packed = self.recipe.packed
        if packed is None or (packed.codec.shared and self.step.rule.kind == "fuse"):
            return None
        return packed.codec

    @property
    def dtype(self) -> torch.dtype:
        """The plain format nearest to the one that is stored: what is in fewer bits becomes bfloat16."""
        if self.recipe is None:
            return torch.bfloat16
        entry = self.recipe.entries[0]
        packed = entry.packed is not None or entry.dtype in FORMATS
        return torch.bfloat16 if packed else entry.dtype

    def scale(self) -> Tensor:
        """The scales of a matrix in 8 bits: one number where all rows have the same."""
        assert self.recipe is not None and self.recipe.packed is not None
        whole = self.recipe.packed.parts[SCALE].read()
        rows = self.step.rule.save([whole])[self.position].flatten()
        return rows[0] if bool((rows == rows[0]).all()) else rows.contiguous()

    def read(self) -> Content:
        """The tensor, or what is stored for it."""
        if self.recipe is None:
            return self.step.rule.save([torch.ones(self.plan.module.state_dict()[self.name].shape)])[self.position]
        codec, packed = self.codec, self.recipe.packed
        if codec is not None and packed is not None:
            stored = packed.read(torch.device("cpu"))
            return Kept(codec, {name: self.step.rule.save([t])[self.position] for name, t in stored.items()})
        entry = self.recipe.entries[0]
        mapped = not self.recipe.how and entry.view is not None
        tensor = entry.view() if mapped and entry.view is not None else self.recipe.read()
        return self.step.rule.save([tensor])[self.position]

    def where(self) -> str:
        return f"{self.recipe.entries[0].file.name}: tensor {self.name}" if self.recipe is not None else self.name


def _one(plan: Plan, source: _Source, name: str, wanted: Wanted) -> list[Outgoing]:
    """One tensor of the target, with the scale it may need."""
    form = _form(plan, source, wanted)
    shape = source.shape
    if isinstance(form, torch.dtype) and form in FORMATS:
        return _eight_bits(source, name, shape, form, wanted)
    if isinstance(form, BlockType):
        codec = source.codec
        kept = isinstance(codec, Gguf) and codec.kind == form
        make = partial(_stored, source, BLOCKS) if kept else partial(_quantised, source, form)
        return [Outgoing(name, form, shape, make)]
    return [Outgoing(name, form, shape, partial(_cast, source, form))]


def _form(plan: Plan, source: _Source, wanted: Wanted) -> Form:
    """In which format a tensor is written."""
    shape, dtype = source.shape, source.dtype
    skipped = any(part in source.name for part in (*SKIPPED[plan.part.component], *wanted.skip))
    if wanted.type == "keep" and source.codec is not None and source.is_matrix:
        return _kept(source, source.codec, wanted)
    if source.is_matrix and not skipped:
        if wanted.type in EIGHT_BITS:
            return _E4M3
        kind = BY_NAME.get(wanted.type)
        if kind is not None and shape[-1] % kind.numbers == 0 and math.prod(shape) > SMALL:
            return kind
    if not dtype.is_floating_point:
        return dtype
    dtype = CASTS.get(wanted.type, dtype)
    if wanted.gguf and (len(shape) < 2 or math.prod(shape) <= SMALL or not can_hold(dtype)):
        return torch.float32
    return dtype


def _kept(source: _Source, codec: Codec, wanted: Wanted) -> Form:
    if isinstance(codec, Gguf) and wanted.gguf:
        return codec.kind
    if isinstance(codec, Fp8) and not wanted.gguf:
        return codec.dtype
    raise UsageError(
        f"{source.where()} is {codec.name}, which {'GGUF' if wanted.gguf else 'safetensors'} files do not have",
        "say what it should become: --type bf16, for example",
    )


def _eight_bits(
    source: _Source, name: str, shape: tuple[int, ...], dtype: torch.dtype, wanted: Wanted
) -> list[Outgoing]:
    """The codes of a matrix, and its scale in the spelling that is asked for."""
    stem = name.removesuffix(".weight")
    kept = isinstance(source.codec, Fp8) and source.codec.dtype == dtype
    if kept:
        scale = source.scale()
        plain = wanted.type != "fp8-scaled" and wanted.type != "fp8-scaled-old" and scale.ndim == 0 and scale == 1
        if wanted.type == "fp8" and not plain:
            kept = False  # a plain cast has no scale: decode and cast
    if kept:
        codes = Outgoing(name, dtype, shape, lambda: (t.view(dtype) for t in _stored(source, CODES)))
        return [codes] if plain else [codes, *_spelled(stem, wanted, dtype, tuple(scale.shape), lambda: scale)]
    if wanted.type == "fp8":
        return [Outgoing(name, dtype, shape, partial(_encoded, source, dtype, None))]
    factor = partial(_factor, source, dtype)
    codes = Outgoing(name, dtype, shape, partial(_encoded, source, dtype, factor))
    return [codes, *_spelled(stem, wanted, dtype, (), lambda: torch.tensor(factor()))]


def _spelled(
    stem: str, wanted: Wanted, dtype: torch.dtype, shape: tuple[int, ...], scale: Callable[[], Tensor]
) -> list[Outgoing]:
    """The scale in ComfyUI's older or newer spelling."""
    if wanted.type == "fp8-scaled-old":
        return [Outgoing(f"{stem}.scale_weight", torch.float32, shape, lambda: iter([scale()]))]
    said = json.dumps({"format": str(dtype).removeprefix("torch.")}).encode()
    text = torch.tensor(list(said), dtype=torch.uint8)
    return [
        Outgoing(f"{stem}.weight_scale", torch.float32, shape, lambda: iter([scale()])),
        Outgoing(f"{stem}.comfy_quant", torch.uint8, (len(text),), lambda: iter([text])),
    ]


def _pieces(content: Content) -> Iterator[Tensor]:
    """A tensor some rows at a time, decoded where it is stored in fewer bits."""
    if isinstance(content, Kept):
        codes = next(iter(content.stored.values()))
        for some in _slices(len(codes), codes[0].numel()):
            yield dense(content.codec, some_rows(content.stored, some, content.codec.shared), torch.float32)
    elif content.ndim == 0 or len(content) == 0:
        yield content
    else:
        for some in _slices(len(content), content[0].numel()):
            yield content[some]


def _slices(rows: int, width: int) -> Iterator[slice]:
    step = max(ROWS // max(width, 1), 1)
    return (slice(start, start + step) for start in range(0, rows, step))


def _sound(source: _Source) -> Iterator[Tensor]:
    """The numbers of a tensor, each looked at before it goes on."""
    content = source.read()
    if isinstance(content, Kept):
        found = content.codec.problem(content.stored)
        if found:
            raise WeightsError(f"{source.where()} contains {found}", "the file is damaged; download it again")
    for piece in _pieces(content):
        if piece.is_floating_point() and not torch.isfinite(piece.float()).all():
            raise WeightsError(f"{source.where()} contains NaN or infinity", "the file is damaged; download it again")
        yield piece


def _cast(source: _Source, dtype: torch.dtype) -> Iterator[Tensor]:
    for piece in _sound(source):
        cast = piece.to(dtype).contiguous()
        if dtype == torch.float16 and not torch.isfinite(cast).all():
            raise WeightsError(f"{source.where()} has numbers too large for fp16", "use --type bf16")
        yield cast


def _quantised(source: _Source, kind: BlockType) -> Iterator[Tensor]:
    for piece in _sound(source):
        yield gguf_package.quantise(piece.float(), kind)


def _encoded(source: _Source, dtype: torch.dtype, factor: Callable[[], float] | None) -> Iterator[Tensor]:
    by = factor() if factor is not None else 1.0
    for piece in _sound(source):
        yield encode(piece, dtype, by).contiguous()


def _factor(source: _Source, dtype: torch.dtype) -> float:
    return factor_for(max(piece.abs().amax().item() for piece in _sound(source)), dtype)


def _stored(source: _Source, name: str) -> Iterator[Tensor]:
    content = source.read()
    assert isinstance(content, Kept)
    found = content.codec.problem(content.stored)
    if found:
        raise WeightsError(f"{source.where()} contains {found}", "the file is damaged; download it again")
    yield content.stored[name].contiguous()


def counted(tensors: Sequence[Outgoing]) -> dict[str, int]:
    """How many bytes go out in each format, the most first."""
    found: dict[str, int] = {}
    for each in tensors:
        form = each.form.name if isinstance(each.form, BlockType) else str(each.form).removeprefix("torch.")
        found[form] = found.get(form, 0) + each.nbytes
    return dict(sorted(found.items(), key=lambda item: -item[1]))
