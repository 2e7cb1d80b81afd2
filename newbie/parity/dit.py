"""One evaluation of the Next-DiT against golden data: outputs, and every intermediate that the file has."""

from __future__ import annotations

import copy
import dataclasses
import fnmatch
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from newbie.attention.kernel import Kernel
from newbie.model.nextdit import NextDiT, Prepared
from newbie.model.tokens import patchify
from newbie.parity.folder import Golden, Weights
from newbie.parity.result import CannotRun, Check, Job, compare
from newbie.parity.weights import load

TOLERANCE = 1e-5
EPS_TOLERANCE = 2e-4  # tiny activations divided by tiny norms: round-off is magnified


class Inputs(NamedTuple):
    """What one evaluation gets: latents (B, C, h, w) or a list of (C, h, w), and so on."""

    x: Tensor | list[Tensor]
    t: Tensor
    hidden: Tensor
    mask: Tensor
    pooled: Tensor | None

    @property
    def sizes(self) -> tuple[int, int] | list[tuple[int, int]]:
        if isinstance(self.x, Tensor):
            return self.x.shape[-2], self.x.shape[-1]
        return [(row.shape[-2], row.shape[-1]) for row in self.x]


def inputs(tensors: Mapping[str, Tensor], case: str = "") -> Inputs:
    """The inputs named `case/in.*` (or `in.*` and `noise`). Raises CannotRun when there are none."""
    start = f"{case}/in." if case else "in."
    hidden, mask = tensors.get(f"{start}cap_feats"), tensors.get(f"{start}cap_mask")
    if hidden is None or mask is None:
        raise CannotRun(f"the file has no inputs {start}*", "copy the golden file again")
    x: Tensor | list[Tensor] | None = tensors.get(f"{start}x", tensors.get("noise"))
    if x is None:
        x = _numbered(tensors, f"{start}x")
    return Inputs(
        x,
        tensors.get(f"{start}t", torch.zeros(len(hidden))),
        hidden,
        mask.bool(),
        tensors.get(f"{start}clip_text_pooled"),
    )


def forward_jobs(golden: Golden, weights: Weights, attend: Kernel) -> Iterator[Job]:
    """Each case of a `forward` file, the derived ones (another epsilon, no pooled vector, ...) included."""
    model = load("transformer", weights, golden.config)
    for name, about in golden.cases.items():
        yield name, partial(_checks, golden, name, about, model, attend)


@torch.no_grad()
def _checks(golden: Golden, name: str, about: Mapping[str, Any], model: NextDiT, attend: Kernel) -> Iterator[Check]:
    given = inputs(golden.tensors, str(about.get("inputs_from", name)))
    change = Change.read(about)
    tolerance = EPS_TOLERANCE if change.factors else TOLERANCE
    model, given = change.model(model), change.inputs(given)
    start = f"{name}/inter."
    wanted = {key.removeprefix(start): t for key, t in golden.tensors.items() if key.startswith(start)}
    with Recording(model, wanted) as seen:
        prepared = model.prepare(
            given.hidden, given.mask, given.pooled, given.sizes, attend=attend,
            without_pooled="zeros" if change.zeros_for_pooled else "skip",
        )  # fmt: skip
        output: Any = model(given.x, given.t, prepared)
    if isinstance(output, Tensor):
        yield compare("out", output, golden.tensors[f"{name}/out"], tolerance)
    else:
        expected = _numbered(golden.tensors, f"{name}/out")
        for row, (ours, theirs) in enumerate(zip(output, expected, strict=True)):
            yield compare(f"out.{row}", ours, theirs, tolerance)
    found = seen | _computed(model, given, prepared)
    places = Places(prepared, given.mask.sum(1).tolist())
    for what, theirs in wanted.items():
        if what == "seq_mask":
            yield compare(f"inter.{what}", places.valid(), theirs.sum(1), 0.0)
        elif what in found:
            yield _intermediate(what, found[what], theirs, places, tolerance)


def _computed(model: NextDiT, given: Inputs, prepared: Prepared) -> dict[str, Tensor]:
    """Intermediates that are no module's output."""
    cos, sin = prepared.seq.rope
    return {
        "patches": patchify(given.x, prepared.grid),
        "adaln_input": model.conditioning(given.t, prepared.pooled),
        "rope_cos": cos.squeeze(2),
        "rope_sin": sin.squeeze(2),
    }


def _intermediate(what: str, ours: Tensor, theirs: Tensor, places: Places, tolerance: float) -> Check:
    """Compare the valid tokens. The residual stream outgrows 1, and round-off grows with it."""
    pairs = places.pairs(what, ours, theirs)
    peak = max(1.0, *(float(b.abs().max()) for _, b in pairs if b.numel()))
    checks = [compare(f"inter.{what}", a, b, tolerance * peak) for a, b in pairs]
    return max(checks, key=lambda check: check.error)


class Places(NamedTuple):
    """Where the valid tokens lie: ours are [words | padding | image], the official [words | image | padding]."""

    prepared: Prepared
    lengths: list[int]

    def valid(self) -> Tensor:
        """Valid tokens of each row."""
        mask = self.prepared.seq.info.mask
        if mask is not None:
            return mask.sum(1)
        return torch.tensor([n + c for n, c in zip(self.lengths, self.prepared.grid.counts, strict=True)])

    def pairs(self, what: str, ours: Tensor, theirs: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(ours, theirs) of each row, valid tokens only."""
        if ours.ndim == 2:
            return [(ours, theirs)]
        width = self.prepared.words.shape[1]
        rows = []
        for a, b, n, count in zip(ours, theirs, self.lengths, self.prepared.grid.counts, strict=True):
            if what.startswith(("cap_embedder", "context_refiner")):
                rows.append((a[:n], b[:n]))
            elif what.startswith("final_layer"):
                rows.append((a[:count], b[n : n + count]))
            elif what.startswith(("layers", "rope", "seq_in")):
                rows.append((torch.cat((a[:n], a[width : width + count])), b[: n + count]))
            else:
                rows.append((a[:count], b[:count]))
        return rows


class Recording:
    """Keeps the outputs of the modules that the wanted intermediates are named after."""

    def __init__(self, model: NextDiT, wanted: Mapping[str, Tensor]) -> None:
        self.seen: dict[str, Tensor] = {}
        self.hooks = []
        modules = dict(model.named_modules())
        for what in wanted:
            # Our attention module ends before the kernel; what the official one gives is the projection's output.
            module = modules.get(f"{what}.out" if what.endswith(".attention") else what)
            if module is not None:
                self.hooks.append(module.register_forward_hook(self._keep(what)))
        if "seq_in" in wanted and len(model.layers):
            self.hooks.append(model.layers[0].register_forward_pre_hook(self._keep_input("seq_in")))

    def _keep(self, what: str) -> Callable[..., None]:
        def keep(module: nn.Module, arguments: Any, output: Tensor) -> None:
            self.seen[what] = output

        return keep

    def _keep_input(self, what: str) -> Callable[..., None]:
        def keep(module: nn.Module, arguments: Any) -> None:
            self.seen[what] = arguments[0]

        return keep

    def __enter__(self) -> dict[str, Tensor]:
        return self.seen

    def __exit__(self, *error: object) -> None:
        for hook in self.hooks:
            hook.remove()


@dataclasses.dataclass(frozen=True)
class Change:
    """What a derived case does to the model and its inputs, as its description says it in words."""

    no_pooled: bool = False
    zero_pooled: bool = False
    zeros_for_pooled: bool = False
    qk_norm_eps: float | None = None
    factors: tuple[tuple[str, float], ...] = ()  # (pattern of a parameter or input, factor)

    @classmethod
    def read(cls, about: Mapping[str, Any]) -> Change:
        """Understand a case. Raises CannotRun when it changes something in words that are not known here."""
        call, modification = str(about.get("call", "forward")), str(about.get("modification", ""))
        zeros = "replaced by zeros" in call
        found = cls(
            no_pooled=zeros or "without clip_text_pooled" in call,
            zero_pooled="clip_text_pooled = all zeros" in call,
            zeros_for_pooled=zeros,
            qk_norm_eps=_eps(call),
            factors=_factors(modification),
        )
        plain = re.fullmatch(r"forward\s*(\(.*\))?", call.strip()) is not None
        if (found == cls() and not plain) or (modification and not found.factors):
            raise CannotRun(f"its description is not understood: {call!r} {modification!r}", "see newbie/parity/dit.py")
        return found

    def model(self, model: NextDiT) -> NextDiT:
        """The model as the case wants it; the given one is left as it is."""
        if self.qk_norm_eps is not None:
            other = NextDiT(dataclasses.replace(model.config, qk_norm_eps=self.qk_norm_eps))
            other.load_state_dict(model.state_dict())
            model = other.eval().requires_grad_(False)
        elif self.factors:
            model = copy.deepcopy(model)
        for pattern, factor in self.factors:
            for name, parameter in model.named_parameters():
                if fnmatch.fnmatchcase(name, pattern):
                    parameter.data.mul_(factor)
        return model

    def inputs(self, given: Inputs) -> Inputs:
        """The inputs as the case wants them."""
        hidden, pooled = given.hidden, given.pooled
        for pattern, factor in self.factors:
            hidden = hidden * factor if pattern == "cap_feats" else hidden
            pooled = pooled * factor if pattern == "clip_text_pooled" and pooled is not None else pooled
        if pooled is not None and self.zero_pooled:
            pooled = torch.zeros_like(pooled)
        return given._replace(hidden=hidden, pooled=None if self.no_pooled else pooled)


def _eps(call: str) -> float | None:
    match = re.search(r"q_norm\S*\s+eps\s*=\s*([0-9.]+(?:e-?\d+)?)", call)
    return float(match[1]) if match else None


def _factors(text: str) -> tuple[tuple[str, float], ...]:
    """ "every *.qkv.weight times 0.002; a.weight/bias and b.weight times 0.01" as (pattern, factor) pairs."""
    found = []
    for names, factor in re.findall(r"([\w.*/,\s]+?)\s+times\s+([0-9.]+[0-9](?:e-?\d+)?)", text):
        for name in re.split(r"\s+and\s+|,\s*|\s+", names):
            base, *more = name.strip().split("/")
            if not re.search(r"[.*_]\w", base):
                continue  # a word of the sentence
            stem = base.rpartition(".")[0]
            found += [(base, float(factor)), *((f"{stem}.{leaf}", float(factor)) for leaf in more)]
    return tuple(found)


def _numbered(tensors: Mapping[str, Tensor], name: str) -> list[Tensor]:
    """The tensors `name.0`, `name.1`, ... in order."""
    rows: list[Tensor] = []
    while f"{name}.{len(rows)}" in tensors:
        rows.append(tensors[f"{name}.{len(rows)}"])
    return rows
