"""Text encoders against golden hidden states: Gemma 3 and the Jina text tower. Valid rows only are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from newbie.parity.folder import Golden, Weights
from newbie.parity.result import Check, Job, compare
from newbie.parity.weights import load
from newbie.text.gemma import hidden_states
from newbie.text.jina import JinaTextTower

TOLERANCE = 1e-5


def gemma_jobs(golden: Golden, weights: Weights) -> Iterator[Job]:
    """Token ids to every hidden state that the file has and we have."""
    model = load("text_encoder", weights, golden.config)
    for name in golden.cases:
        yield name, partial(_gemma_checks, model, golden, name)


def jina_jobs(golden: Golden, weights: Weights) -> Iterator[Job]:
    """Token ids to the encoder's output and to the pooled vector."""
    model = load("clip", weights, golden.config)
    for name in golden.cases:
        yield name, partial(_jina_checks, model, golden, name)


def _gemma_checks(model: nn.Module, golden: Golden, name: str) -> Iterator[Check]:
    tensors = golden.of(name)
    ids, mask = tensors["input_ids"], tensors["attention_mask"].bool()
    found = _gemma_states(model, ids)
    for what, theirs in tensors.items():
        if what in found:  # not among them: the last layer with its norm, which NewBie does not use
            yield compare(what, found[what][mask], theirs[mask], TOLERANCE)


@torch.no_grad()
def _jina_checks(model: JinaTextTower, golden: Golden, name: str) -> Iterator[Check]:
    tensors = golden.of(name)
    ids = tensors["input_ids"]
    mask = ids != model.config.pad_token_id
    if "attention_mask" in tensors:
        yield compare("attention_mask", mask, tensors["attention_mask"], 0.0)
    if "last_hidden" in tensors:
        yield compare("last_hidden", model(ids, mask)[mask], tensors["last_hidden"][mask], TOLERANCE)
    if "pooled" in tensors:
        yield compare("pooled", model.pooled(ids), tensors["pooled"], TOLERANCE)


def _gemma_states(model: nn.Module, ids: Tensor) -> dict[str, Tensor]:
    """The features, the scaled embeddings, and `hidden_N`, which is what layer N - 1 gives."""
    found: dict[str, Tensor] = {}
    layers = enumerate(model.get_submodule("layers").children(), 1)
    hooks = [layer.register_forward_hook(_into(found, f"hidden_{number}")) for number, layer in layers]
    try:
        with torch.no_grad():
            found["penultimate"] = hidden_states(model, ids)
            found["embeds"] = model.get_submodule("embed_tokens")(ids)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _into(found: dict[str, Tensor], name: str) -> Callable[..., None]:
    def keep(module: nn.Module, inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
        found[name] = output if isinstance(output, Tensor) else output[0]

    return keep
