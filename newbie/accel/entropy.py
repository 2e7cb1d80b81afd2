"""Attention pruning by entropy as it is published on the web, to be read and not to be used: it never prunes.

The recipe: take the attention map A of a head, compute its entropy, and where that is below 0.8 set the head's output
to zero. `as_printed` is its helper word by word. Three things are wrong with it, and each has a test:

-   The helper applies softmax to a map that is normalised already. Its numbers lie in [0, 1], so that the second
    softmax over all N x N of them is almost uniform: the entropy is within [2 ln N - 1/8, 2 ln N] whatever the head
    attends to, 13.8 for 1,024 tokens. It is never below 0.8, and nothing is ever pruned.
-   The map is computed in full before it is judged. Nothing would be saved if it did prune.
-   Low entropy means a head that looks at few tokens, which is the kind that cannot be spared. A diffuse head is the
    cheap one: what it answers is near the mean of all values.

`of_rows` is the entropy that was meant: of every query's own distribution, from 0 (one token) to 1 (all alike).
`accel.prune` decides by errors that are measured instead.
"""

from __future__ import annotations

import torch
from torch import Tensor

THRESHOLD = 0.8


def as_printed(maps: Tensor) -> Tensor:
    """Attention maps (..., N, M), rows of sum 1 -> (...,): the "entropy" of the published helper, in nats."""
    p = maps.flatten(-2).softmax(-1)
    return -(p * p.log()).sum(-1)


def prune_as_printed(maps: Tensor, outputs: Tensor, threshold: float = THRESHOLD) -> Tensor:
    """maps (B, H, N, M), outputs (B, N, H, D) -> outputs, zero where a head's "entropy" is below the threshold."""
    pruned = as_printed(maps) < threshold  # (B, H)
    return outputs.masked_fill(pruned[:, None, :, None], 0)


def of_rows(weights: Tensor, among: Tensor | None = None) -> Tensor:
    """Rows of attention weights (..., S) -> (...,): entropy over its maximum, from 0 to 1; 1 for a row of one token.

    `among`, broadcastable to the answer, is the number of tokens that a row can see; None: all S.
    """
    most = torch.tensor(float(weights.shape[-1]), device=weights.device) if among is None else among
    entropy = torch.special.entr(weights).sum(-1)
    return torch.where(most > 1, entropy / most.clamp(min=2).log(), 1.0)
