"""cache-dit on diffusers' model with our weights: the same methods by other people, where they run on this model.

The only file that imports cache_dit. para-attn has no adapter for this family (its first-block cache knows FLUX, Wan,
Mochi, Hunyuan and CogVideoX), and diffusers' own hooks (FirstBlockCache, TaylorSeer, MagCache, FasterCache) do not have
Lumina-2's block in their registry, so neither is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from newbie import Pipeline, Request
from newbie.bench.peer import peer_with_clip, velocities
from newbie.bench.sizes import Given
from newbie.calibrate.trial import Draw, Drawn
from newbie.pipeline.generation import Generation
from newbie.sampling import solvers
from newbie.vae.pixels import to_uint8

# The same settings as ours of these names. W: warm-up evaluations, MC: at most so many in a row.
CACHES: dict[str, dict[str, Any]] = {
    f"cache-dit DBCache F1B0 R{limit:g} W2 MC4{' + TaylorSeer 1' if order else ''}": {
        "residual_diff_threshold": limit,
        "order": order,
    }
    for limit in (0.1, 0.2, 0.4)
    for order in (0, 1)
}


@dataclass(eq=False)
class Peer:
    """diffusers' model of a pipeline's weights, with and without a cache, sampled and decoded as ours."""

    pipeline: Pipeline
    plain: Any
    cached: Any
    calls: list[int] = field(default_factory=lambda: [0])  # of a block between the first and the last

    def draw(self, clock: Callable[[], float], *, cached: bool) -> Draw:
        """Draws with both prompts in one call. The model's own exact path is its rival, not ours."""
        peer = self.cached if cached else self.plain

        @torch.no_grad()
        def drawn(request: Request) -> Drawn:
            began, self.calls[0] = clock(), 0
            pipeline, whole = self.pipeline, request.resolved(self.pipeline.recommended)
            generation = Generation(pipeline, whole)
            denoiser = generation.denoiser()
            hidden, mask, pooled = denoiser.features
            if pooled is not None:
                peer.time_caption_embed.pooled = pipeline.transformer.clip_text_pooled_proj(pooled.to(hidden.dtype))
            start = generation.start(denoiser, [whole.seed])
            pair = velocities(peer, Given(start, hidden, mask), together=True)

            def velocity(x: Tensor, t: float) -> Tensor:
                return denoiser.guidance.combine(*pair(x, t).chunk(2))

            latents = solvers.SOLVERS[denoiser.sampler](velocity, start, denoiser.grid)
            image = Image.fromarray(to_uint8(pipeline.vae.decode(latents))[0].cpu().numpy())
            seconds, count = clock() - began, len(denoiser.times)
            ran = self.calls[0] if cached else count
            layers = len(pipeline.transformer.layers)
            work = ran + (count - ran) / layers
            return Drawn(image, latents[0].cpu(), seconds, count, ran, work)

        return drawn


def peers(pipeline: Pipeline, say: Callable[[str], None]) -> Mapping[str, Callable[[int], Peer]]:
    """By name, what makes the peer for so many evaluations; none, told, where cache-dit is not installed."""
    if find_spec("cache_dit") is None:
        say('no peers: the package cache-dit is not installed (pip install "newbie[peers]")')
        return {}
    return {name: partial(made, pipeline, config) for name, config in CACHES.items()}


def made(pipeline: Pipeline, config: Mapping[str, Any], evaluations: int) -> Peer:
    """A peer with one of `CACHES`, for generations of so many evaluations."""
    plain, cached = (peer_with_clip(pipeline.transformer) for _ in range(2))
    peer = Peer(pipeline, plain, cached)
    cached.layers[len(cached.layers) // 2].register_forward_hook(lambda *_: _count(peer.calls))
    _enable(cached, evaluations, **config)
    return peer


def _count(calls: list[int]) -> None:
    calls[0] += 1


def _enable(peer: Any, evaluations: int, *, residual_diff_threshold: float, order: int) -> None:
    """Through a block adapter: the shipped one for this family is for pipelines, and leaves out what two calls per
    evaluation need; here both prompts are in one."""
    import cache_dit

    cache_dit.enable_cache(
        cache_dit.BlockAdapter(
            transformer=peer,
            blocks=peer.layers,
            forward_pattern=cache_dit.ForwardPattern.Pattern_3,
            check_forward_pattern=False,
            has_separate_cfg=False,
        ),
        cache_config=cache_dit.DBCacheConfig(
            Fn_compute_blocks=1,
            Bn_compute_blocks=0,
            residual_diff_threshold=residual_diff_threshold,
            max_warmup_steps=2,
            max_continuous_cached_steps=4,
            num_inference_steps=evaluations,
        ),
        calibrator_config=cache_dit.TaylorSeerCalibratorConfig(taylorseer_order=order) if order else None,
    )
