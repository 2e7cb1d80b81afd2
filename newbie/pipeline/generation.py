"""One request on one pipeline, from its words to its pictures: the stages top to bottom.

1 read the prompt → 2 encode it → 3 prepare the transformer → 4 draw noise → 5 solve from noise to image → 6 decode.
All that a generation remembers is here, and goes with it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

import newbie
from newbie import devices
from newbie.accel.budget import detail
from newbie.accel.compiler import worth
from newbie.accel.compose import Composed
from newbie.accel.statistics import details, summary
from newbie.denoise import Denoiser
from newbie.errors import BlankPicture, MemoryShortage
from newbie.images import FORMAT, is_blank
from newbie.memory.amount import told
from newbie.memory.heap import apart, give_back
from newbie.pipeline.events import OnPicture, OnStep, StepEvent
from newbie.prompt import canonical_text
from newbie.prompt.asked import Prompt
from newbie.prompt.learnt import unlearnt
from newbie.regions.heat import Heat, Watch
from newbie.regions.plan import Plan, plan
from newbie.request import Request, Result
from newbie.sampling import noise, preview, solvers, times
from newbie.sampling.guidance import Guidance
from newbie.text.encode import Encoded
from newbie.vae.pixels import to_uint8
from newbie.vae.tiling import Tiling

if TYPE_CHECKING:
    from newbie.pipeline.pipeline import Pipeline


class Clock:
    """Seconds per stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began


@dataclass(frozen=True, eq=False)
class Generation:
    """One request being drawn. `request` is resolved: every field set."""

    pipeline: Pipeline
    request: Request
    heatmaps: bool = False
    clock: Clock = field(default_factory=Clock)
    notes: list[str] = field(default_factory=list)

    def run(self, on_step: OnStep | None, on_picture: OnPicture | None) -> Result:
        """Draw `request.count` pictures; the callbacks are those of `Pipeline.generate`."""
        request, clock = self.request, self.clock
        with clock("text"):
            prompt = self.pipeline.read(request)
            encoded = self._encoded(prompt)
            said = self._said(prompt, encoded)
            denoiser = self._denoiser(encoded, said)
            denoiser, composed = self._accelerated(denoiser, prompt)
        self.notes.extend([*_lost_notes(encoded), *self._unlearnt_notes(prompt), *said.notes, *composed.notes])
        denoiser = self._brought(denoiser)
        seeds = request.seeds()
        self._compile(denoiser, min(len(seeds), request.batch_size))
        images: list[Image.Image] = []
        records: list[dict[str, Any]] = []
        maps: list[dict[str, Heat]] = []
        kept: list[Tensor] = []
        ran: dict[str, Any] = {}
        together = request.batch_size
        while len(images) < len(seeds):
            first = len(images)
            batch = seeds[first : first + together]
            with clock("denoise"):
                found = self._fitting(denoiser, batch, first, on_step)
            if found is None:
                together = (len(batch) + 1) // 2
                denoiser = replace(denoiser, tables=[], _made={})  # what was prepared for so many rows goes
                self.notes.append(f"too little memory for {len(batch)} pictures together: {together} at a time")
                continue
            latents, ran, did = found
            kept += latents.cpu()
            ran |= {"regions": said.told()} if said.areas else {}
            ran["caches"] = list(composed.told)
            if denoiser.watch is not None:
                maps += denoiser.watch.maps(encoded.inputs[0]["gemma"])
            with clock("decode"):
                if self.pipeline.lodging is not None:
                    give_back()  # what the steps have left on the heap is not in the plan for decoding
                pixels = [to_uint8(self._decoded(row[None]))[0] for row in latents]
            for number, (seed, picture) in enumerate(zip(batch, pixels, strict=True), start=first):
                image = _checked(Image.fromarray(picture.cpu().numpy()), number, seed)
                record = self._record(prompt, seed, ran) | ({"accel": did} if composed.told else {})
                images.append(image)
                records.append(record)
                if on_picture is not None:
                    on_picture(number, image, record)
        self.notes.extend(self._graph_notes(denoiser))
        work = {"texts_encoded": encoded.runs, **denoiser.work()}
        peak = devices.peak_memory(self.pipeline.chosen["device"].value)
        return Result(images, seeds, records, request, ran, clock.seconds, self.notes, work, maps, peak, kept)

    def denoiser(self) -> Denoiser:
        """What all pictures of the request share, ready for its first step, for those who solve it themselves."""
        prompt = self.pipeline.read(self.request)
        encoded = self._encoded(prompt)
        return self._brought(self._accelerated(self._denoiser(encoded, self._said(prompt, encoded)), prompt)[0])

    def _encoded(self, prompt: Prompt) -> Encoded:
        both = [prompt.rendered.positive, prompt.rendered.negative]
        encoded = self.pipeline.text.encode(both, reuse=self.pipeline.savings.text_cache)
        device = self.pipeline.chosen["device"].value  # the encoders may be elsewhere
        return encoded._replace(features=encoded.features.to(device=device))

    def _said(self, prompt: Prompt, encoded: Encoded) -> Plan:
        """What the prompts say of areas and weights."""
        chosen = self.pipeline.chosen
        device = chosen["device"].value
        dtype = torch.float32 if device == "cpu" else devices.DTYPES[chosen["dtype"].value]
        given = [row["gemma"] for row in encoded.inputs]
        readings = (prompt.reading, prompt.negative)
        said = plan(readings, given, self.request.regions or "", self._tokens, device, dtype)
        if any(said.biases):
            self.pipeline.kernel(bias=True)  # one that cannot serve is refused before the first step
        return said

    @cached_property
    def _latents(self) -> tuple[int, int]:
        """Height and width of the latents."""
        assert self.request.height and self.request.width  # resolved
        factor = self.pipeline.vae.config.factor
        return self.request.height // factor, self.request.width // factor

    @property
    def _tokens(self) -> tuple[int, int]:
        """Rows and columns of image tokens."""
        patch = self.pipeline.transformer.config.patch_size
        return self._latents[0] // patch, self._latents[1] // patch

    def _denoiser(self, encoded: Encoded, said: Plan) -> Denoiser:
        """What all pictures of the request share."""
        request, pipeline = self.request, self.pipeline
        assert request.steps and request.sampler and request.schedule and request.shift  # resolved
        schedule = times.resolve(request.schedule, request.sampler)
        return Denoiser(
            pipeline.transformer,
            encoded.features,
            size=self._latents,
            grid=times.schedule(schedule, request.steps, shift=request.shift, sampler=request.sampler),
            sampler=request.sampler,
            guidance=Guidance.parse(request.cfg_scale or 0.0, request.cfg_trunc or "", request.cfg_renorm or 0.0),
            kernel=pipeline.kernel,
            savings=pipeline.savings,
            blocks=pipeline.blocks.runner,
            same=encoded.same(0, 1),
            record=pipeline.record,
            biases=said.biases,
            watch=Watch(len(encoded.inputs[0]["gemma"].token_ids), self._tokens) if self.heatmaps else None,
        )

    def _accelerated(self, denoiser: Denoiser, prompt: Prompt) -> tuple[Denoiser, Composed]:
        """The same with the approximate accelerations that were asked for, which are refused now or never."""
        request, pipeline = self.request, self.pipeline
        if not request.accel and not request.plan:
            return denoiser, Composed()
        assert request.steps and request.sampler and request.schedule and request.shift  # resolved
        assert request.width and request.height
        besides = {
            "cuda graphs": pipeline.record is not None,
            "heat-maps": self.heatmaps,
            "regions": denoiser.biased,
        }
        accelerated, composed = denoiser.accelerated(
            request.accel,
            request.plan,
            steps=request.steps,
            schedule=times.resolve(request.schedule, request.sampler),
            shift=request.shift,
            resolution=(request.width, request.height),
            weights=pipeline.weights_hash,
            calibration=pipeline.calibration,
            besides=frozenset(name for name, wish in besides.items() if wish),
            detail=detail(prompt.rendered.positive.jina.text),  # without a system prompt
        )
        pictures = min(request.count, request.batch_size)
        needed = accelerated.kept(pictures)
        room = {"are free": devices.free_memory(pipeline.chosen["device"].value) or needed}  # 0: it does not tell
        if pipeline.lodging is not None:
            room["are left of what may be used"] = pipeline.lodging.plan.left
        where, free = min(room.items(), key=lambda each: each[1])
        if free < needed:
            raise MemoryShortage(
                f"{', '.join(composed.told)} would keep {told(needed)}, {told(free)} {where}",
                "deepcache or dbcache keep one tensor, not two per block; or --batch-size 1, or a smaller --size",
            )
        return accelerated, composed

    def _brought(self, denoiser: Denoiser) -> Denoiser:
        """The same with the transformer in memory, or as much of it as there is room for."""
        pipeline = self.pipeline
        if pipeline.lodging is None:
            return denoiser
        with self.clock("move"):
            pipeline.lodging.bring("transformer")
        return replace(denoiser, blocks=pipeline.arranged(pipeline.transformer).runner, stream=pipeline.lodging.stream)

    def _compile(self, denoiser: Denoiser, pictures: int) -> None:
        """Compile now, before the first picture, and tell what that costs and gains."""
        blocks = self.pipeline.blocks
        if blocks.compiler is None or blocks.compiler.graphs:
            return
        with self.clock("compile"):
            size = (pictures, self.pipeline.vae.config.latent_channels, *denoiser.size)
            empty = torch.zeros(size, device=self.pipeline.chosen["device"].value)
            compiled = replace(denoiser, velocities=[], tables=[], record=None)
            plain = replace(compiled, blocks=blocks.plain)
            first = float(denoiser.grid[0])
            gain = worth(
                blocks.compiler,
                lambda: plain.velocity(pictures)(empty, first),
                lambda: compiled.velocity(pictures)(empty, first),
            )
            self.notes.append(gain.told(compiled.velocities[0].evaluations))

    def _fitting(
        self, denoiser: Denoiser, seeds: list[int], first: int, on_step: OnStep | None
    ) -> tuple[Tensor, dict[str, Any], dict[str, Any]] | None:
        """As `_denoised`; None where several pictures together do not fit, and fewer might."""
        try:
            return self._denoised(denoiser, seeds, first, on_step)
        except (MemoryError, RuntimeError) as error:
            if len(seeds) == 1 or not devices.is_shortage(error):
                raise
            return None

    def start(self, denoiser: Denoiser, seeds: Sequence[int]) -> Tensor:
        """The noise that pictures with these seeds begin as: (n, C, h, w) float32, at the first time's level."""
        request = self.request
        assert request.schedule and request.sampler  # resolved
        scale = times.initial_scale(times.resolve(request.schedule, request.sampler), denoiser.grid)
        start = noise.draw(seeds, (self.pipeline.vae.config.latent_channels, *denoiser.size))
        return (start * scale).to(denoiser.features.hidden.device)

    def _denoised(
        self, denoiser: Denoiser, seeds: list[int], first: int, on_step: OnStep | None
    ) -> tuple[Tensor, dict[str, Any], dict[str, Any]]:
        """Latents (n, C, h, w) float32 of the pictures with these seeds, what really ran, what accelerations did."""
        pipeline, n = self.pipeline, len(seeds)
        if denoiser.watch is not None:
            denoiser.watch.begin(n)
        velocity = denoiser.velocity(n)
        velocity.prepare()
        colours = cache(self._preview_colours)

        def report(index: int, count: int, x: Tensor, t: float, denoised: Tensor) -> None:
            if on_step is not None:
                on_step(StepEvent(index, count, first, n, t, lambda: _small_picture(colours(), denoised)))

        try:
            latents = solvers.SOLVERS[denoiser.sampler](velocity, self.start(denoiser, seeds), denoiser.grid, report)
        finally:
            velocity.forget()  # at once: what did not fit may be tried again with fewer pictures
        if not torch.isfinite(latents).all():
            raise BlankPicture(
                f"the transformer produced NaN or infinity (seeds {seeds[0]} to {seeds[-1]})",
                "use --dtype float32 or bf16; if it stays, verify the weights: python -m newbie verify",
            )
        ran = {**pipeline.describe(), "attention": " + ".join(denoiser.kernels), "evaluations": velocity.index}
        ran["cuda_graphs"] = denoiser.work()["cuda_graphs"] > 0  # what was asked for may have failed
        operations = denoiser.operations(velocity, n)
        if velocity.approximate or operations.guidance:
            ran["accel"] = summary(velocity.book, velocity.index, operations)
        self.notes.extend(note for note in velocity.book.notes if note not in self.notes)
        return latents, ran, details(velocity.book)

    def _decoded(self, latents: Tensor) -> Tensor:
        """(1, C, h, w) -> (1, 3, H, W), in tiles as planned, or in smaller ones where memory does not suffice."""
        pipeline = self.pipeline
        planned = Tiling(pipeline.settings.vae_tile) if pipeline.settings.vae_tile else None
        if pipeline.lodging is not None:
            planned = pipeline.lodging.plan.way.tiling
        latents = latents.to(next(pipeline.vae.parameters()).device)  # which may be another
        tilings = [planned, *(Tiling(side) for side in (512, 256) if planned is None or side < planned.side)]
        for tiling, smaller in zip(tilings, [*tilings[1:], None], strict=True):
            try:
                # Where memory is short what is freed goes back to the system; where it is not, the heap is faster.
                with nullcontext() if tiling is None and pipeline.lodging is None else apart():
                    return pipeline.vae.decode(latents) if tiling is None else tiling.decode(pipeline.vae, latents)
            except (MemoryError, RuntimeError) as error:
                if smaller is None or not devices.is_shortage(error):
                    raise
            self.notes.append(f"too little memory to decode at once: decoded in tiles of {smaller.side} pixels")
        raise AssertionError("the last one returns or raises")

    def _preview_colours(self) -> Tensor:
        """The linear map from latents to colours; see `sampling.preview`."""
        vae = self.pipeline.vae
        device = next(vae.parameters()).device
        return preview.calibrate(lambda pixels: vae.latents(vae.encode(pixels.to(device))))

    def _record(self, prompt: Prompt, seed: int, ran: dict[str, Any]) -> dict[str, Any]:
        """What is stored in the picture: enough to make it again."""
        return {
            "format": FORMAT,
            "request": {**self.request.to_json(), "seed": seed, "count": 1},
            "canonical_prompt": canonical_text(prompt.reading.scene),
            "ran": ran,
            "versions": {"newbie": newbie.__version__, "torch": torch.__version__},
        }

    def _unlearnt_notes(self, prompt: Prompt) -> list[str]:
        vocabulary = self.pipeline.vocabulary
        words = unlearnt(prompt.reading.scene, vocabulary) if vocabulary is not None else []
        return [f"{self.pipeline.name} never learnt: {', '.join(words)}"] if words else []

    def _graph_notes(self, denoiser: Denoiser) -> list[str]:
        """Why there were no CUDA graphs where somebody asked for them."""
        if self.pipeline.record is not None and (denoiser.biased or self.heatmaps):
            return ["no CUDA graphs: with regions, weights or heat-maps evaluations are not all alike"]
        if denoiser.recorded and denoiser.recorded.failed:
            return [f"no CUDA graphs, evaluations cannot be recorded here: {denoiser.recorded.failed}"]
        return []


def _checked(image: Image.Image, number: int, seed: int) -> Image.Image:
    if is_blank(image):
        raise BlankPicture(
            f"picture {number + 1} (seed {seed}) came out as one flat colour",
            "try another seed or more steps; if it stays, verify the weights: python -m newbie verify",
        )
    return image


def _lost_notes(encoded: Encoded) -> list[str]:
    notes = []
    for side, lost in zip(("prompt", "negative prompt"), encoded.lost(), strict=True):
        for encoder, paths in lost.items():
            given = encoded.inputs[0 if side == "prompt" else 1][encoder]
            notes.append(
                f"the {side} has {given.total} tokens, {encoder} reads {given.limit}: "
                f"these fall off: {', '.join(paths)}"
            )
    return notes


def _small_picture(colours: Tensor, denoised: Tensor) -> Image.Image:
    """The first picture of a batch as it looks now, one pixel per latent place."""
    return Image.fromarray(to_uint8(preview.apply(colours, denoised[:1]))[0].cpu().numpy())
