"""Which kernel serves a generation: automatically, or forced, and always with a reason for each one refused."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import NamedTuple

import torch

from newbie.attention.flash import Flash, FlashKvPacked, FlashPacked, FlashVarlen
from newbie.attention.kernel import Kernel, Needs
from newbie.attention.reference import Reference
from newbie.attention.sdpa import Sdpa
from newbie.errors import MissingExtra, UsageError

KERNELS: dict[str, Kernel] = {
    kernel.name: kernel for kernel in (Reference(), Sdpa(), Flash(), FlashPacked(), FlashKvPacked(), FlashVarlen())
}
NAMES = ("auto", *KERNELS)


class Case(NamedTuple):
    """What a generation will ask of its kernel."""

    device: torch.device
    dtype: torch.dtype
    head_dim: int
    n_heads: int
    n_kv_heads: int
    masked: bool  # rows of unequal length
    capability: tuple[int, int] | None  # of the CUDA device; None: unknown or no such device


class Refusal(NamedTuple):
    """Why a kernel cannot serve a case, and what would change that."""

    reason: str
    remedy: str
    missing: bool = False  # the package is simply not there


def choose(
    name: str = "auto",
    *,
    device: torch.device | str,
    dtype: torch.dtype,
    head_dim: int,
    n_heads: int,
    n_kv_heads: int,
    masked: bool | Sequence[int] = True,
) -> Kernel:
    """The kernel called `name`, or with "auto" the best that can serve.

    `masked` says whether rows differ in length, or gives the lengths. Raises UsageError when the named kernel
    cannot serve, MissingExtra when its package is not installed. "auto" always finds one.
    """
    case = _case(device, dtype, head_dim, n_heads, n_kv_heads, masked)
    if name == "auto":
        return next(KERNELS[each] for each in _order(case) if refusal(KERNELS[each].needs, case) is None)
    if name not in KERNELS:
        raise UsageError(f"there is no attention kernel {name!r}", f"use one of: {', '.join(NAMES)}")
    refused = refusal(KERNELS[name].needs, case)
    if refused is None:
        return KERNELS[name]
    if refused.missing:
        raise MissingExtra("flash-attn", KERNELS[name].needs.extra, f"attention kernel {name}")
    raise UsageError(f"attention kernel {name} cannot serve: {refused.reason}", refused.remedy)


def explain(
    *,
    device: torch.device | str,
    dtype: torch.dtype,
    head_dim: int,
    n_heads: int,
    n_kv_heads: int,
    masked: bool | Sequence[int] = True,
) -> list[tuple[str, str]]:
    """Every kernel by name, with "" when it could serve and else the reason why not."""
    case = _case(device, dtype, head_dim, n_heads, n_kv_heads, masked)
    refusals = {name: refusal(kernel.needs, case) for name, kernel in KERNELS.items()}
    return [(name, refused.reason if refused else "") for name, refused in refusals.items()]


def refusal(needs: Needs, case: Case) -> Refusal | None:
    """Compare what a kernel needs with what a generation has; None: they fit. First the unchangeable facts."""
    if needs.devices and case.device.type not in needs.devices:
        return Refusal(
            f"it runs on {' or '.join(needs.devices)}, not on {case.device.type}",
            "use --attention auto, or --device cuda on a machine with an NVIDIA card",
        )
    if case.capability is not None and case.capability < needs.capability:
        have, want = (".".join(map(str, version)) for version in (case.capability, needs.capability))
        return Refusal(f"it needs compute capability {want}, this card has {have}", "use --attention sdpa")
    if case.head_dim % needs.head_multiple or (needs.head_limit and case.head_dim > needs.head_limit):
        return Refusal(
            f"head size {case.head_dim} is not a multiple of {needs.head_multiple} up to {needs.head_limit}",
            "use --attention sdpa",
        )
    if needs.dtypes and case.dtype not in needs.dtypes:
        names = [str(dtype).removeprefix("torch.") for dtype in (case.dtype, *needs.dtypes)]
        return Refusal(
            f"dtype {names[0]} is none of {', '.join(names[1:])}", "use --dtype bfloat16, or --attention sdpa"
        )
    return _package_refusal(needs) if needs.package else None


def _package_refusal(needs: Needs) -> Refusal | None:
    try:
        package = importlib.import_module(needs.package)
    except ModuleNotFoundError as error:
        if error.name == needs.package:
            return Refusal(
                f"the package {needs.package} is not installed", f'pip install "newbie[{needs.extra}]"', missing=True
            )
        return Refusal(f"{needs.package} cannot be imported: {error}", f"install {error.name}")
    except (ImportError, OSError) as error:  # built for another torch or another CUDA
        return Refusal(f"{needs.package} cannot be imported: {error}", f"reinstall {needs.package} for this torch")
    if not hasattr(package, needs.function):
        version = getattr(package, "__version__", "of unknown version")
        return Refusal(f"{needs.package} {version} has no {needs.function}", f'pip install -U "newbie[{needs.extra}]"')
    return None


def _order(case: Case) -> tuple[str, ...]:
    """Best first. The last serves everywhere."""
    if case.device.type != "cuda":
        return ("sdpa",)
    if case.masked:
        return ("flash-varlen", "sdpa")
    return ("flash-packed" if case.n_heads == case.n_kv_heads else "flash", "sdpa")


def _case(
    device: torch.device | str,
    dtype: torch.dtype,
    head_dim: int,
    n_heads: int,
    n_kv_heads: int,
    masked: bool | Sequence[int],
) -> Case:
    if n_heads % n_kv_heads:
        raise UsageError(
            f"{n_heads} query heads cannot share {n_kv_heads} key/value heads evenly", "check the model's config"
        )
    device = torch.device(device)
    unequal = masked if isinstance(masked, bool) else len(set(masked)) > 1
    cuda = device.type == "cuda" and torch.cuda.is_available()
    capability = torch.cuda.get_device_capability(device) if cuda else None
    return Case(device, dtype, head_dim, n_heads, n_kv_heads, unequal, capability)
