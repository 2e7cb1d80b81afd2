"""Tensors on their way into another file: under which name, in which format, with which scale beside them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from newbie.checkpoints.gguf_write import Form, can_hold
from newbie.checkpoints.kinds import CASTS, EIGHT_BITS, require_type
from newbie.checkpoints.layouts import Component
from newbie.checkpoints.origin import Origin
from newbie.checkpoints.plan import Plan
from newbie.checkpoints.save import save_table
from newbie.checkpoints.translate import steps
from newbie.errors import UsageError
from newbie.quant import gguf_package
from newbie.quant.codec import Codec
from newbie.quant.fp8 import CODES, FORMATS, Fp8
from newbie.quant.ggml import BY_NAME, WRITABLE, BlockType
from newbie.quant.gguf import BLOCKS, Gguf

SMALL = 1024  # numbers; GGUF keeps such tensors, and all vectors, in float32

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
    """What is asked for: one of `kinds.TYPES`, for a container, but not for names with a part of `skip`."""

    type: str
    gguf: bool
    skip: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_type(self.type)
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

    @property
    def spelled(self) -> str:
        """Its format as a person calls it."""
        return self.form.name if isinstance(self.form, BlockType) else str(self.form).removeprefix("torch.")


def outgoing(plan: Plan, layout: str, prefix: str, wanted: Wanted) -> list[Outgoing]:
    """Everything of one part that goes into a file of this layout, under names with this prefix.

    Raises:
        UsageError: the layout cannot be written, or a format cannot be kept there.
        WeightsError: the source is incomplete.
    """
    plan.report.require_complete()
    sizes = {name: tuple(tensor.shape) for name, tensor in plan.module.state_dict().items()}
    sizes |= {name: recipe.shape for name, recipe in plan.extras.items()}
    found: list[Outgoing] = []
    for step in steps(sizes, save_table(plan.part.component, layout, plan.config)):
        for position, name in enumerate(step.theirs):
            found += _one(Origin(plan, step, position, sizes[step.ours[0]]), prefix + name, wanted)
    if wanted.type == "fp8-scaled-old":
        found.append(Outgoing(prefix + "scaled_fp8", _E4M3, (2,), lambda: iter([torch.zeros(2, dtype=_E4M3)])))
    return found


def _one(origin: Origin, name: str, wanted: Wanted) -> list[Outgoing]:
    """One tensor of the target, with the scale it may need."""
    form = _form(origin, wanted)
    shape = origin.shape
    if isinstance(form, torch.dtype) and form in FORMATS:
        return _eight_bits(origin, name, shape, form, wanted)
    if isinstance(form, BlockType):
        codec = origin.codec
        kept = isinstance(codec, Gguf) and codec.kind == form
        make = partial(origin.copied, BLOCKS) if kept else partial(origin.quantised, form)
        return [Outgoing(name, form, shape, make)]
    return [Outgoing(name, form, shape, partial(origin.cast, form))]


def _form(origin: Origin, wanted: Wanted) -> Form:
    """In which format a tensor is written."""
    shape, dtype = origin.shape, origin.dtype
    skipped = any(part in origin.name for part in (*SKIPPED[origin.plan.part.component], *wanted.skip))
    if wanted.type == "keep" and origin.codec is not None and origin.is_matrix:
        return _kept(origin, origin.codec, wanted)
    if origin.is_matrix and not skipped:
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


def _kept(origin: Origin, codec: Codec, wanted: Wanted) -> Form:
    if isinstance(codec, Gguf) and wanted.gguf:
        return codec.kind
    if isinstance(codec, Fp8) and not wanted.gguf:
        return codec.dtype
    if isinstance(codec, Gguf | Fp8):
        why, hint = f"{'GGUF' if wanted.gguf else 'safetensors'} files do not have", ""
    else:  # it is in a folder of ours
        why, hint = "is written by `quantize` only", "; or copy the folder as it is"
    raise UsageError(
        f"{origin.where()} is {codec.name}, which {why}", f"say what it should become: --type bf16, for example{hint}"
    )


def _eight_bits(
    origin: Origin, name: str, shape: tuple[int, ...], dtype: torch.dtype, wanted: Wanted
) -> list[Outgoing]:
    """The codes of a matrix, and its scale in the spelling that is asked for."""
    stem, codec = name.removesuffix(".weight"), origin.codec
    scale = origin.scale() if isinstance(codec, Fp8) and codec.dtype == dtype else None
    unscaled = scale is not None and scale.ndim == 0 and bool(scale == 1)
    if scale is not None and (unscaled or wanted.type != "fp8"):  # the codes can stay
        codes = Outgoing(name, dtype, shape, lambda: (piece.view(dtype) for piece in origin.copied(CODES)))
        if unscaled and wanted.type in ("keep", "fp8"):
            return [codes]
        return [codes, *_spelled(stem, wanted, dtype, tuple(scale.shape), lambda: scale)]
    if wanted.type == "fp8":
        return [Outgoing(name, dtype, shape, partial(origin.encoded, dtype, lambda: 1.0))]
    factor = partial(origin.factor, dtype)
    codes = Outgoing(name, dtype, shape, partial(origin.encoded, dtype, factor))
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


def counted(tensors: Sequence[Outgoing]) -> dict[str, int]:
    """How many bytes go out in each format, the most first."""
    found: dict[str, int] = {}
    for each in tensors:
        found[each.spelled] = found.get(each.spelled, 0) + each.nbytes
    return dict(sorted(found.items(), key=lambda item: -item[1]))
