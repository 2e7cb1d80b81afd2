"""Which kernel serves a generation: automatically, or forced, and always with a reason for each one refused."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from newbie import devices
from newbie.attention.cpu import Folded
from newbie.attention.flash import Flash, FlashKvPacked, FlashPacked, FlashVarlen
from newbie.attention.flash3 import Flash3
from newbie.attention.kernel import Kernel
from newbie.attention.needs import Case, Refusal, refusal
from newbie.attention.reference import Reference
from newbie.attention.sdpa import SDPA
from newbie.attention.tiled import Tiled
from newbie.attention.xformers import XFormers
from newbie.errors import MissingExtra, UsageError

_ALL: tuple[Kernel, ...] = (
    Reference(),
    Tiled(),
    *SDPA,
    Folded(),
    Flash(),
    FlashPacked(),
    FlashKvPacked(),
    FlashVarlen(),
    Flash3(),
    XFormers(),
)
KERNELS: dict[str, Kernel] = {kernel.name: kernel for kernel in _ALL}
NAMES = ("auto", *KERNELS)
# Below so much work in a row (tokens squared x heads x head size) the fixed cost of "folded" outweighs its gain: from
# 60 tokens with the heads of the 3.5B model, from 220 with those of newbie-mini (docs/attention.md).
FOLDED_WORK = 9_000_000


def choose(
    name: str = "auto",
    *,
    device: torch.device | str,
    dtype: torch.dtype,
    head_dim: int,
    n_heads: int,
    n_kv_heads: int,
    masked: bool | Sequence[int] = True,
    bias: bool = False,
    window: bool = False,
    backward: bool = False,
    length: int | None = None,
) -> Kernel:
    """The kernel called `name`, or with "auto" the fastest that can serve.

    `masked` says whether rows differ in length, or gives the lengths; `bias`, `window` and `backward`, whether the
    generation needs them; `length` is the longest row in tokens, words and image together.

    Raises:
        UsageError: there is no such kernel, or it cannot serve; MissingExtra when its package is not installed.
        "auto" always finds one.
    """
    case = case_of(
        device, dtype, head_dim, n_heads, n_kv_heads, masked, bias=bias, window=window, backward=backward, length=length
    )
    if name == "auto":
        return next(KERNELS[each] for each in order(case) if refusal(KERNELS[each], case) is None)
    if name not in KERNELS:
        raise UsageError(f"there is no attention kernel {name!r}", f"use one of: {', '.join(NAMES)}")
    refused = refusal(KERNELS[name], case)
    if refused is None:
        return KERNELS[name]
    if refused.missing:
        needs = KERNELS[name].needs
        raise MissingExtra(needs.package.partition(".")[0].replace("_", "-"), needs.extra, f"attention kernel {name}")
    raise UsageError(f"attention kernel {name} cannot serve: {refused.reason}", refused.remedy)


def explain(
    *,
    device: torch.device | str,
    dtype: torch.dtype,
    head_dim: int,
    n_heads: int,
    n_kv_heads: int,
    masked: bool | Sequence[int] = True,
    bias: bool = False,
    window: bool = False,
    backward: bool = False,
) -> list[tuple[str, str]]:
    """Every kernel by name, with "" when it could serve and else the reason why not. Arguments as in `choose`."""
    case = case_of(device, dtype, head_dim, n_heads, n_kv_heads, masked, bias=bias, window=window, backward=backward)
    refusals: dict[str, Refusal | None] = {name: refusal(kernel, case) for name, kernel in KERNELS.items()}
    return [(name, refused.reason if refused else "") for name, refused in refusals.items()]


def order(case: Case) -> tuple[str, ...]:
    """What "auto" tries, best first. The last serves everywhere."""
    products = case.device.type == "cpu" and devices.native_bf16("cpu") and not devices.matrix_tiles("cpu")
    if products and _row_work(case) >= FOLDED_WORK:
        return ("folded", "sdpa")
    if case.device.type != "cuda":
        return ("sdpa",)
    if case.masked:
        return ("flash3", "flash-varlen", "sdpa-varlen", "xformers", "sdpa")
    return ("flash3", "flash-packed" if case.n_heads == case.n_kv_heads else "flash", "sdpa")


def _row_work(case: Case) -> float:
    """Rows of unknown length are taken for long ones."""
    return math.inf if case.length is None else case.length**2 * case.n_heads * case.head_dim


def case_of(
    device: torch.device | str,
    dtype: torch.dtype,
    head_dim: int,
    n_heads: int,
    n_kv_heads: int,
    masked: bool | Sequence[int],
    *,
    bias: bool = False,
    window: bool = False,
    backward: bool = False,
    length: int | None = None,
) -> Case:
    """Raises UsageError where heads cannot be shared evenly."""
    if n_heads % n_kv_heads:
        raise UsageError(
            f"{n_heads} query heads cannot share {n_kv_heads} key/value heads evenly", "check the model's config"
        )
    device = torch.device(device)
    unequal = masked if isinstance(masked, bool) else len(set(masked)) > 1
    cuda = device.type == "cuda" and torch.cuda.is_available()
    capability = torch.cuda.get_device_capability(device) if cuda else None
    return Case(device, dtype, head_dim, n_heads, n_kv_heads, unequal, capability, bias, window, backward, length)
