"""Text encoders against golden hidden states: Gemma 3 and the Jina text tower."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from newbie.parity.folder import Golden, Weights
from newbie.parity.result import Case, Check, compare
from newbie.parity.weights import load
from newbie.text.gemma import hidden_states

TOLERANCE = 1e-5


def gemma_cases(golden: Golden, weights: Weights, family: str) -> Iterator[Case]:
    """Token ids to every hidden state that the file has and we have: valid rows only."""
    model = load("text_encoder", weights, golden.config)
    for name in golden.cases:
        tensors = _of(golden, name)
        ids, mask = tensors["input_ids"], tensors["attention_mask"].bool()
        found = _gemma_states(model, ids)
        checks = [compare(what, found[what][mask], tensors[what][mask], TOLERANCE) for what in tensors if what in found]
        yield Case(family, name, tuple(checks))


def jina_cases(golden: Golden, weights: Weights, family: str) -> Iterator[Case]:
    """Token ids to the encoder's output (valid rows only) and to the pooled vector."""
    model = load("clip", weights, golden.config)
    for name in golden.cases:
        tensors = _of(golden, name)
        ids = tensors["input_ids"]
        mask = ids != model.config.pad_token_id
        with torch.no_grad():
            hidden, pooled = model(ids, mask), model.pooled(ids)
        checks: list[Check] = []
        if "attention_mask" in tensors:
            checks.append(compare("attention_mask", mask, tensors["attention_mask"], 0.0))
        if "last_hidden" in tensors:
            checks.append(compare("last_hidden", hidden[mask], tensors["last_hidden"][mask], TOLERANCE))
        if "pooled" in tensors:
            checks.append(compare("pooled", pooled, tensors["pooled"], TOLERANCE))
        yield Case(family, name, tuple(checks))


def _gemma_states(model: nn.Module, ids: Tensor) -> dict[str, Tensor]:
    """The features, the scaled embeddings, and `hidden_N`, which is what layer N - 1 gives."""
    found: dict[str, Tensor] = {}
    hooks = []
    for index, layer in enumerate(model.get_submodule("layers").children()):
        hooks.append(layer.register_forward_hook(_into(found, f"hidden_{index + 1}")))
    try:
        with torch.no_grad():
            found["penultimate"] = hidden_states(model, ids)
            found["embeds"] = model.get_submodule("embed_tokens")(ids)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _into(found: dict[str, Tensor], name: str):  # type: ignore[no-untyped-def]
    def keep(module: nn.Module, inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
        found[name] = output if isinstance(output, Tensor) else output[0]

    return keep


def _of(golden: Golden, case: str) -> dict[str, Tensor]:
    """The tensors of one case, without its name in front."""
    start = re.escape(case) + "/"
    return {re.sub(f"^{start}", "", name): t for name, t in golden.tensors.items() if re.match(start, name)}
