"""How far a set of pictures is from a set of drawings, in what the probe sees of them.

    Frechet distance (Heusel et al. 2017):  |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))
    inception-style score (Salimans et al. 2016):  exp E KL(p(answer | picture) || p(answer))

Both follow their originals with the probe in the place of Inception, so their values compare with each other only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from newbie.train.probe import Seen
from newbie.train.probe.labels import OF_PICTURE


def frechet(first: Tensor, second: Tensor) -> float:
    """Squared Frechet distance between Gaussians fitted to two sets of features (N, D) and (M, D)."""
    a, b = first.double(), second.double()
    apart = (a.mean(0) - b.mean(0)).square().sum()
    one, other = _covariance(a), _covariance(b)
    root = _root(one)
    # The eigenvalues of C1 C2 are those of C1^(1/2) C2 C1^(1/2), which is symmetric.
    shared = torch.linalg.eigvalsh(root @ other @ root).clamp(min=0).sqrt().sum()
    return max(float(apart + one.trace() + other.trace() - 2 * shared), 0.0)


def _covariance(x: Tensor) -> Tensor:
    centred = x - x.mean(0)
    return centred.mT @ centred / max(len(x) - 1, 1)


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp(min=0).sqrt() @ vectors.mT


def variety(seen: Seen) -> float:
    """The inception-style score over the questions about the whole picture, taken as independent.

    1 where all pictures are alike or the probe is never sure; at most the product of the numbers of answers.
    """
    gain = 0.0
    for name in OF_PICTURE:
        log_p = seen.log_p[name].double()
        overall = log_p.exp().mean(0, keepdim=True).clamp(min=1e-12).log()
        gain += float((log_p.exp() * (log_p - overall)).sum(-1).mean())
    return math.exp(gain)


def features(seen: Seen) -> Tensor:
    """(N, C): what stands in a picture, wherever it stands."""
    return seen.features.mean(1)
