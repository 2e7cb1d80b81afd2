"""The autoencoder against golden pictures and latents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import torch
from torch import Tensor

from newbie.parity.folder import Golden, Weights
from newbie.parity.result import Check, Job, compare
from newbie.parity.weights import load
from newbie.vae import Autoencoder, to_uint8

TOLERANCE = 1e-5


def vae_jobs(golden: Golden, weights: Weights) -> Iterator[Job]:
    """Encode and decode every case, and turn its golden pixels to bytes."""
    model: Autoencoder = load("vae", weights, golden.config)
    for name in golden.cases:
        yield name, partial(_checks, model, golden.of(name))


@torch.no_grad()
def _checks(model: Autoencoder, case: Mapping[str, Tensor]) -> Iterator[Check]:
    found: dict[str, Tensor] = {}
    if "image" in case:
        posterior = model.encode(case["image"])
        found |= {"mean": posterior.mean, "logvar": posterior.logvar}
        found["latents_from_image"] = model.latents(posterior)
    if "latents" in case:
        found["decoded"] = model.decode(case["latents"])
    if "decoded" in case:  # bytes of the golden pixels: a rounding of ours could fall to the other side
        found["uint8_rounded"] = to_uint8(case["decoded"]).permute(0, 3, 1, 2)
        found["uint8_truncated"] = to_uint8(case["decoded"], truncate=True).permute(0, 3, 1, 2)
    for what, ours in found.items():
        if what in case:
            yield compare(what, ours, case[what], 0.0 if what.startswith("uint8") else TOLERANCE)
