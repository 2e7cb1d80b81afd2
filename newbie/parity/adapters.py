"""Adapters against golden data: the transformer's answer with each of them, attached and merged, and merged weights.

`A_out` holds the answers; every other file `A_...` of an adapter's kind is one spelling of the same adapter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from newbie.attention.kernel import Kernel
from newbie.lora import Adapter, Worn, attach, merge, read_adapter
from newbie.model.nextdit import NextDiT
from newbie.parity.dit import Inputs, inputs
from newbie.parity.folder import Golden, Weights
from newbie.parity.result import CannotRun, Check, Job, compare
from newbie.parity.weights import load

KINDS = ("lora", "lokr")
TOLERANCE = 5e-5
OUT, STRENGTH, MERGED = "_out", "out_strength_", "merged/"


def is_adapter(golden: Golden) -> bool:
    """An adapter file, or what comes out with it."""
    return golden.kind.startswith(KINDS)


def spellings(out: Golden, files: Sequence[Golden]) -> list[Golden]:
    """The adapter files that a file of outputs belongs to."""
    start = out.stem.removesuffix(OUT) + "_"
    return [each for each in files if is_adapter(each) and each.stem.startswith(start) and each.stem != out.stem]


def adapter_jobs(
    out: Golden, spelled: Golden, files: Sequence[Golden], weights: Sequence[Weights], attend: Kernel
) -> Iterator[Job]:
    """One case for each strength, and one for the merged weights. Raises CannotRun without the base or its inputs."""
    base = next((each for each in weights if out.about.get("base_weights") in {f.name for f in each.files}), None)
    source, _, case = str(out.about.get("inputs_from", "")).partition(", case ")
    given = next((each for each in files if each.data.name == source), None)
    if base is None or given is None:
        raise CannotRun("its base weights or inputs are not in the folder", "copy the other golden files too")
    model = load("transformer", base, out.about.get("dit_config") or {})
    # Only PEFT's and LyCORIS' own files have an adapter_config.json beside them.
    config = spelled.about.get("adapter_config_json") if spelled.stem.endswith("_adapter") else None
    adapter = read_adapter(spelled.data, model, config=config)
    asked = inputs(given.tensors, case)
    for name, theirs in out.tensors.items():
        if name.startswith(STRENGTH):
            worn = Worn(adapter, float(name.removeprefix(STRENGTH)))
            yield f"strength {worn.strength:g}", partial(_answers, model, worn, asked, attend, theirs)
    yield "merged weights", partial(_weights, model, adapter, out)


@torch.no_grad()
def _answers(model: NextDiT, worn: Worn, asked: Inputs, attend: Kernel, theirs: Tensor) -> Iterator[Check]:
    for how, adapted in (("attached", attach(model, [worn])), ("merged", merge(model, [worn]))):
        prepared = adapted.prepare(asked.hidden, asked.mask, asked.pooled, asked.sizes, attend=attend)
        ours = adapted(asked.x, asked.t, prepared)
        assert isinstance(ours, Tensor)
        yield compare(how, ours, theirs, TOLERANCE)


def _weights(model: NextDiT, adapter: Adapter, out: Golden) -> Iterator[Check]:
    merged = merge(model, [Worn(adapter)])
    for name, theirs in out.tensors.items():
        if name.startswith(MERGED):
            parameter = name.removeprefix(MERGED)
            yield compare(parameter, merged.get_parameter(parameter), theirs, TOLERANCE)
