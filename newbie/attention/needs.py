"""Whether a kernel can serve: what it needs against what a generation has, and the reason and the remedy where not."""

from __future__ import annotations

import importlib
import warnings
from typing import NamedTuple

import torch

from newbie.attention.kernel import Kernel, Needs, SequenceInfo

TRIAL_LENGTHS = (16, 11)  # tokens of the two rows of a trial


class Case(NamedTuple):
    """What a generation will ask of its kernel."""

    device: torch.device
    dtype: torch.dtype
    head_dim: int
    n_heads: int
    n_kv_heads: int
    masked: bool  # rows of unequal length
    capability: tuple[int, int] | None  # of the CUDA device; None: unknown or no such device
    bias: bool = False
    window: bool = False
    backward: bool = False
    length: int | None = None  # tokens of the longest row; None: not known yet


class Refusal(NamedTuple):
    """Why a kernel cannot serve a case, and what would change that."""

    reason: str
    remedy: str
    missing: bool = False  # the package is simply not there, and an extra of ours brings it


def refusal(kernel: Kernel, case: Case) -> Refusal | None:
    """None: the kernel can serve. First the facts that nobody can change, last a trial."""
    needs = kernel.needs
    return (
        _place_refusal(needs, case)
        or _shape_refusal(needs, case)
        or _ability_refusal(needs, case)
        or (_package_refusal(needs) if needs.package else None)
        or (_trial_refusal(kernel, case) if needs.trial and _is_here(case.device) else None)
    )


def _place_refusal(needs: Needs, case: Case) -> Refusal | None:
    if needs.devices and case.device.type not in needs.devices:
        return Refusal(
            f"it runs on {' or '.join(needs.devices)}, not on {case.device.type}",
            "use --attention auto, or --device cuda on a machine with an NVIDIA card",
        )
    if case.capability is None:
        return None
    have = ".".join(map(str, case.capability))
    if case.capability < needs.capability:
        want = ".".join(map(str, needs.capability))
        return Refusal(f"it needs compute capability {want}, this card has {have}", "use --attention sdpa")
    if needs.below is not None and case.capability >= needs.below:
        want = ".".join(map(str, needs.below))
        return Refusal(
            f"it is made for cards below compute capability {want}, this one has {have}", "use --attention sdpa-cudnn"
        )
    return None


def _shape_refusal(needs: Needs, case: Case) -> Refusal | None:
    if case.head_dim % needs.head_multiple or (needs.head_limit and case.head_dim > needs.head_limit):
        limit = f" up to {needs.head_limit}" if needs.head_limit else ""
        return Refusal(
            f"head size {case.head_dim} is not a multiple of {needs.head_multiple}{limit}", "use --attention sdpa"
        )
    if needs.dtypes and case.dtype not in needs.dtypes:
        names = [str(dtype).removeprefix("torch.") for dtype in (case.dtype, *needs.dtypes)]
        return Refusal(
            f"dtype {names[0]} is none of {', '.join(names[1:])}", "use --dtype bfloat16, or --attention sdpa"
        )
    return None


def _ability_refusal(needs: Needs, case: Case) -> Refusal | None:
    """What this generation wants beyond plain attention."""
    if case.bias and not needs.bias:
        reason = "it adds no bias to the scores, which regions and weights need"
        return Refusal(reason, "use --attention sdpa, or --regions off and --no-weights")
    if case.window and not needs.window:
        return Refusal("it has no window", "use --attention sdpa")
    if case.backward and not needs.backward:
        return Refusal("it has no backward pass", "use --attention sdpa")
    return None


def _package_refusal(needs: Needs) -> Refusal | None:
    remedy = f'pip install "newbie[{needs.extra}]"' if needs.extra else needs.source
    try:
        package = importlib.import_module(needs.package)
    except ModuleNotFoundError as error:
        # `import xformers.ops` fails by the name "xformers" where that is not installed.
        if error.name is not None and f"{needs.package}.".startswith(f"{error.name}."):
            return Refusal(f"the package {error.name} is not installed", remedy, missing=bool(needs.extra))
        return Refusal(f"{needs.package} cannot be imported: {error}", f"install {error.name}")
    except (ImportError, OSError) as error:  # built for another torch or another CUDA
        return Refusal(f"{needs.package} cannot be imported: {error}", f"reinstall {needs.package} for this torch")
    if not hasattr(package, needs.function):
        version = getattr(package, "__version__", "of unknown version")
        newer = f'pip install -U "newbie[{needs.extra}]"' if needs.extra else needs.source
        return Refusal(f"{needs.package} {version} has no {needs.function}", newer)
    return None


def _trial_refusal(kernel: Kernel, case: Case) -> Refusal | None:
    """Run the kernel on two short rows. The packages know conditions that no table of ours can keep up with."""
    words: list[str] = []
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            _try(kernel, case)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, TypeError, AssertionError, ImportError) as error:
            words = [_first_line(str(error)) or type(error).__name__, *(_first_line(str(w.message)) for w in told)]
    if not words:
        return None
    return Refusal("it fails here: " + "; ".join(dict.fromkeys(words)), "use --attention auto")


def _try(kernel: Kernel, case: Case) -> None:
    lengths = TRIAL_LENGTHS if case.masked else (max(TRIAL_LENGTHS),) * 2
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    seq = SequenceInfo.of(mask.to(case.device))
    if case.bias:
        seq = seq._replace(bias=torch.zeros(1, 1, max(lengths), max(lengths), device=case.device))
    if case.window:
        seq = seq._replace(window=(2, 2))
    q, k, v = (
        torch.zeros(2, max(lengths), heads, case.head_dim, device=case.device, dtype=case.dtype)
        for heads in (case.n_heads, case.n_kv_heads, case.n_kv_heads)
    )
    with torch.set_grad_enabled(case.backward):
        for x in (q, k, v):
            x.requires_grad_(case.backward)
        o = kernel(q, k, v, seq)
        if case.backward:
            o.sum().backward()
    if case.device.type == "cuda":
        torch.cuda.synchronize(case.device)  # a kernel's failure shows when it is waited for


def _first_line(text: str) -> str:
    """Without the place in torch's source that its warnings end with."""
    return text.strip().partition("\n")[0].partition(" (Triggered internally")[0].strip()


def _is_here(device: torch.device) -> bool:
    return device.type == "cpu" or (device.type == "cuda" and torch.cuda.is_available())
