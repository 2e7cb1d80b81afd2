"""A prompt becomes a picture. `Pipeline.open` loads a model, `generate` runs its six stages, top to bottom.

1 read the prompt → 2 encode it → 3 draw noise → 4 prepare the transformer → 5 solve from noise to image → 6 decode.
The pipeline holds weights and choices, and nothing of a generation: two can run at once on one of them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

import newbie
from newbie import devices
from newbie.accel import choose as accel
from newbie.accel.compiler import worth
from newbie.accel.graphs import Record, on_cuda
from newbie.accel.savings import Savings
from newbie.attention.choose import choose
from newbie.attention.kernel import Kernel
from newbie.checkpoints import (
    Components,
    load_gemma,
    load_jina,
    load_transformer,
    load_vae,
    locate,
    require_fit,
    weights_hash,
)
from newbie.checkpoints.load import Loaded
from newbie.denoise import Denoiser
from newbie.errors import BlankPicture, Cancelled, MemoryShortage, UsageError, WeightsError
from newbie.images import is_blank
from newbie.lora import Adapter, Worn, attach, read_adapter
from newbie.lora import merge as merge_adapters
from newbie.memory.lodging import Lodging
from newbie.memory.opening import lodged, wanted
from newbie.model.nextdit import NextDiT
from newbie.prompt import Reading, RenderedPair, canonical_text, read, render_pair
from newbie.prompt.learnt import Vocabulary, unlearnt
from newbie.quant.choice import Choice as Quant
from newbie.quant.layers import slow, told
from newbie.regions.heat import Heat, Watch
from newbie.regions.plan import Plan, plan
from newbie.request import AdapterChoice, Recommended, Request, Result, Settings
from newbie.sampling import noise, preview, solvers, times
from newbie.sampling.guidance import Guidance
from newbie.text.encode import Encoded, TextStack
from newbie.text.gemma import GemmaEncoder
from newbie.text.jina import JinaEncoder
from newbie.vae import Autoencoder
from newbie.vae.pixels import to_uint8
from newbie.vae.tiling import Tiling

BUNDLED = Path(__file__).resolve().parent.parent / "weights" / "newbie-mini"
RECORD_FORMAT = "newbie/1"


@dataclass(frozen=True)
class StepEvent:
    """One interval of one batch of pictures is done."""

    index: int
    count: int
    picture: int  # number of the first picture of the batch
    pictures: int  # how many share it
    t: float
    preview: Callable[[], Image.Image] = field(repr=False)


OnStep = Callable[[StepEvent], None]
OnPicture = Callable[[int, Image.Image, dict[str, Any]], None]


class Bare(NamedTuple):
    """A transformer without adapters, and how its blocks run."""

    transformer: NextDiT
    blocks: accel.Blocks


class Prompt(NamedTuple):
    """What the encoders are given for one request."""

    reading: Reading
    negative: Reading | None
    rendered: RenderedPair


@dataclass(frozen=True, eq=False, repr=False)
class Pipeline:
    """A loaded model, ready to draw. Make one with `Pipeline.open`."""

    transformer: NextDiT
    text: TextStack
    vae: Autoencoder
    attention: str  # as asked for: the kernel itself is chosen for each generation
    recommended: Recommended
    name: str
    weights_hash: str
    chosen: dict[str, devices.Choice]
    load_seconds: float
    licences: tuple[str, ...] = ()
    savings: Savings = field(default=Savings())
    vocabulary: Vocabulary | None = None  # of a model that learnt few words
    blocks: accel.Blocks = field(default=accel.Blocks())
    record: Record | None = None  # evaluations become CUDA graphs
    settings: Settings = field(default=Settings())  # as asked for; `chosen` says what came of it
    adapters: tuple[Worn, ...] = ()  # that `transformer` wears
    merged: bool = False  # they are part of its weights
    bare: Bare | None = None  # what there was before it wore any
    lodging: Lodging | None = None  # where not everything is in memory at a time

    @classmethod
    def open(
        cls,
        model: str | Path | None = None,
        *,
        settings: Settings | None = None,
        transformer: str | Path | None = None,
        text_encoder: str | Path | None = None,
        clip: str | Path | None = None,
        vae: str | Path | None = None,
        allow_pickle: bool = False,
        axes_dims: Sequence[int] | None = None,
        lora: Sequence[AdapterChoice | Path | str] = (),
        merge_lora: bool = False,
        on_note: Callable[[str], None] | None = None,
        savings: Savings | None = None,
    ) -> Pipeline:
        """Load a model: a folder, a file, a hub id, or None for the bundled newbie-mini; parts can be replaced.

        Args:
            settings: device, dtypes, attention; "auto" is resolved here and reported by `describe`.
            allow_pickle: also read `.pth` files, with PyTorch's restricted unpickler.
            axes_dims: rotary channels of the three axes, for files whose shapes do not tell.
            lora, merge_lora: adapters; see `with_adapters`.
            on_note: told what a person may want to know while loading.
            savings: for measurements only: exact savings to leave out.

        Raises:
            WeightsError: a part is missing, broken or of another family.
            UsageError: a setting that cannot be honoured on this machine.
        """
        began = time.perf_counter()
        settings = settings or Settings()
        savings = savings or Savings()
        say = on_note or (lambda note: None)
        parts = locate(
            model if model is not None or transformer is not None else bundled(),
            transformer=transformer,
            text_encoder=text_encoder,
            clip=clip,
            vae=vae,
            allow_pickle=allow_pickle,
            axes_dims=axes_dims,
            on_note=say,
        )
        quant = Quant.parse(settings.quant, settings.quant_skip)
        chosen = _choices(settings, parts)
        device = torch.device(chosen["device"].value)
        if settings.cuda_graphs and device.type != "cuda":
            raise UsageError(f"CUDA graphs need an NVIDIA card, this is {device.type}", "leave --cuda-graphs out")
        lodging = None
        with _memory_errors(chosen["device"].value):
            if wanted(settings):
                lodging = lodged(parts, settings, chosen, say)
                loaded, words, decoder = (lodging.loaded(name) for name in ("transformer", "text_encoder", "vae"))
                pooled = lodging.loaded("clip") if parts.clip is not None else None
            else:
                loaded, words, pooled, decoder = _load_all(parts, device, chosen, quant)
        for part in (loaded, words, pooled, decoder):
            for note in part.report.notes if part is not None else ():
                say(note)
            if part is not None and (why := slow(part.module)):
                say(why)
        if settings.compile:
            devices.keep_compiled()
        if lodging is not None:
            lodging.bring("transformer")  # to see how its blocks will run
        blocks = accel.choose(
            loaded.module,
            leaves=settings.leaves,
            compile=settings.compile,
            free=None if lodging is None else lodging.plan.spare,
        )
        if lodging is not None and not lodging.stays("transformer"):
            blocks = blocks.without_weights()
        for note in blocks.notes:
            say(note)
        text = TextStack(
            GemmaEncoder(words.module, words.tokenizer),
            None if pooled is None else JinaEncoder(pooled.module, pooled.tokenizer),
        )
        pipeline = cls(
            transformer=loaded.module,
            text=text if lodging is None else replace(text, bring=lodging.bring_encoder),
            vae=decoder.module.channels_last() if savings.channels_last else decoder.module,
            attention=settings.attention,
            recommended=parts.recommended,
            name=parts.name,
            weights_hash=weights_hash(parts),
            chosen=chosen,
            load_seconds=time.perf_counter() - began,
            licences=tuple(parts.licences),
            savings=savings,
            vocabulary=parts.vocabulary,
            blocks=blocks,
            record=on_cuda if settings.cuda_graphs else None,
            settings=settings,
            lodging=lodging,
        )
        if lora:
            pipeline = pipeline.with_adapters(*lora, merge=merge_lora, allow_pickle=allow_pickle, on_note=say)
        pipeline.kernel()  # a kernel that cannot serve is refused now, not after the text has been encoded
        return pipeline

    @classmethod
    def from_pretrained(cls, model: str | Path | None = None, **options: Any) -> Pipeline:
        """`open` under the name people know."""
        return cls.open(model, **options)

    def __call__(
        self,
        prompt: str | Sequence[str] = "",
        negative_prompt: str = "",
        *,
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        num_images_per_prompt: int = 1,
        seed: int = -1,
        generator: torch.Generator | None = None,
        on_step: OnStep | None = None,
        **more: Any,
    ) -> Result:
        """Draw; `pipeline(prompt, height=128, width=128).images[0]` is a Pillow picture.

        The names are those of common pipelines; `more` takes every other field of `Request`. Several prompts give
        the pictures of all of them, in order. Of a `generator` the initial seed is used: noise is always drawn on
        the CPU, one generator per picture.

        Raises:
            NewbieError: see `newbie.errors`.
        """
        request = Request.from_json(
            {
                "negative": negative_prompt,
                "height": height,
                "width": width,
                "steps": num_inference_steps,
                "cfg_scale": guidance_scale,
                "count": num_images_per_prompt,
                "seed": seed if generator is None else generator.initial_seed(),
                **more,
                "prompt": prompt if isinstance(prompt, str) else "",
            }
        )
        if isinstance(prompt, str):
            return self.generate(request, on_step=on_step)
        results = [self.generate(_with(request, prompt=each), on_step=on_step) for each in prompt]
        if not results:
            raise UsageError("no prompt was given", "pass a text, or a list with at least one text")
        return _joined(results)

    def describe(self) -> dict[str, Any]:
        """What really runs: stored with every picture and printed by the doors."""
        return {
            "model": self.name,
            "weights": self.weights_hash,
            **{name: choice.value for name, choice in self.chosen.items()},
            "attention": self.kernel().name,
            "leaves": self.blocks.name,
            "quant": self._quantised(),
            "adapters": [self._worn(*worn) for worn in self.adapters],
            "cuda_graphs": self.record is not None,
            "caches": [],
            "threads": devices.threads(),
            **({} if self.lodging is None else {"memory": self.lodging.plan.way.name}),
        }

    def _quantised(self) -> dict[str, str]:
        """The parts whose weights are in fewer bits, and how."""
        clip = self.text.jina
        parts = {
            "transformer": self.transformer,
            "text_encoder": self.text.gemma.model,
            "clip": None if clip is None else clip.model,
        }
        found = {name: told(part) for name, part in parts.items() if part is not None}
        return {name: how for name, how in found.items() if how}

    def kernel(self, lengths: Sequence[int] = (), *, bias: bool = False) -> Kernel:
        """The attention kernel for rows of so many tokens, words and image; none: for rows of any lengths.

        `bias`: something is added to their scores.

        Raises:
            UsageError: the kernel that was asked for cannot serve here.
        """
        config = self.transformer.config
        return choose(
            self.attention,
            device=self.chosen["device"].value,
            dtype=devices.DTYPES[self.chosen["dtype"].value],
            head_dim=config.head_dim,
            n_heads=config.n_heads,
            n_kv_heads=config.n_kv_heads,
            masked=lengths or True,
            bias=bias,
            length=max(lengths, default=None),
        )

    def with_attention(self, name: str) -> Pipeline:
        """The same model with another attention kernel. Both can be used, also at the same time.

        Raises:
            UsageError: there is no such kernel, or it cannot serve here.
        """
        switched = replace(self, attention=name)
        switched.kernel()
        return switched

    def with_adapters(
        self,
        *adapters: AdapterChoice | Path | str,
        merge: bool | None = None,
        allow_pickle: bool = False,
        on_note: Callable[[str], None] | None = None,
    ) -> Pipeline:
        """The same model wearing these adapters and no others; with none, the bare model again, bit for bit.

        An adapter is a file or a trainer's folder, "FILE:STRENGTH" or an `AdapterChoice`. Both pipelines can be used,
        also at the same time: they share all weights that are not merged.

        Args:
            merge: add them to copies of the weights instead of computing them beside; None: as this pipeline does.
            on_note: told of each adapter what it is, and which of its keys are not used.

        Raises:
            WeightsError: an adapter is damaged, or for another model.
            UsageError: a strength is out of range.
        """
        bare = self.bare or Bare(self.transformer, self.blocks)
        if not adapters:
            return replace(self, transformer=bare.transformer, blocks=bare.blocks, adapters=(), bare=None)
        say = on_note or (lambda note: None)
        merged = self.merged if merge is None else merge
        if merged and self.lodging is not None and not self.lodging.settled:
            raise UsageError("weights that come and go cannot be merged with", "leave out --merge-lora, or --memory")
        with _memory_errors(self.chosen["device"].value), self._turn():
            if self.lodging is not None:
                self.lodging.bring("transformer")
            worn = tuple(_read_adapter(each, bare.transformer, allow_pickle, say) for each in adapters)
            transformer = (merge_adapters if merged else attach)(bare.transformer, worn)
            blocks = self._arranged(transformer)
            if self.lodging is not None and not self.lodging.stays("transformer"):
                blocks = blocks.without_weights()
        if blocks.name != bare.blocks.name:
            say(f"with adapters the blocks run on leaves {blocks.name}, not {bare.blocks.name}")
        return replace(self, transformer=transformer, blocks=blocks, adapters=worn, merged=merged, bare=bare)

    def _worn(self, adapter: Adapter, strength: float) -> dict[str, Any]:
        """An adapter for the record: found again by the hash of its file, and by that of its settings' file."""
        settings = {"config_sha256": adapter.config_sha256} if adapter.config_sha256 else {}
        how = "merged" if self.merged else "attached"
        return {"file": adapter.name, "sha256": adapter.sha256, **settings, "strength": strength, "how": how}

    def reasons(self) -> dict[str, str]:
        """Why device and number formats are what they are."""
        return {name: choice.reason for name, choice in self.chosen.items()}

    def read(self, request: Request) -> Prompt:
        """Read and render a request's prompts as the encoders will get them. Runs no network.

        Raises:
            PromptError: the prompt cannot be read, or will not be drawn.
        """
        reading = read(request.prompt)
        negative = read(request.negative, name="negative prompt", negative=True) if request.negative else None
        rendered = render_pair(
            reading,
            negative,
            mode=request.prompt_mode,
            canonical=bool(request.canonical),
            system_prompt=request.system_prompt,
            unescape_parentheses=request.unescape_parentheses,
            read_weights=request.weights,
        )
        return Prompt(reading, negative, rendered)

    # Not `inference_mode`: its tensors could not be used in a caller's autograd afterwards. And autocast is switched
    # off, because precision is written down here, not inherited from the surroundings.
    def generate(
        self,
        request: Request,
        *,
        on_step: OnStep | None = None,
        on_picture: OnPicture | None = None,
        heatmaps: bool = False,
    ) -> Result:
        """Draw `request.count` pictures.

        `on_step` is called after every interval and may raise `Cancelled`; `on_picture(number, image, record)` as soon
        as a picture is finished. `heatmaps`: the result also tells where each picture heard each element of its prompt.

        Raises:
            NewbieError: see `newbie.errors`.
        """
        request = request.resolved(self.recommended)
        device = self.chosen["device"].value
        exact = torch.autocast(torch.device(device).type, enabled=False)
        with torch.no_grad(), exact, _memory_errors(device), self._turn():
            return self._generate(request, on_step, on_picture, heatmaps)

    def _generate(
        self, request: Request, on_step: OnStep | None, on_picture: OnPicture | None, heatmaps: bool
    ) -> Result:
        clock = _Clock()
        with clock("text"):
            prompt = self.read(request)
            encoded = self.text.encode(
                [prompt.rendered.positive, prompt.rendered.negative], reuse=self.savings.text_cache
            )
            said = self._said(request, prompt, encoded)
            given = encoded.inputs[0]["gemma"]
            watch = Watch(len(given.token_ids), self._grid(request)) if heatmaps else None
            denoiser = replace(self._denoiser(request, encoded, said), watch=watch)
        notes = _lost_notes(encoded) + self._unlearnt_notes(prompt) + list(said.notes)
        images: list[Image.Image] = []
        records: list[dict[str, Any]] = []
        maps: list[dict[str, Heat]] = []
        ran: dict[str, Any] = {}
        seeds = request.seeds()
        if self.lodging is not None:
            with clock("move"):
                self.lodging.bring("transformer")
            denoiser = replace(denoiser, blocks=self._arranged(self.transformer).runner, stream=self.lodging.stream)
        if self.blocks.compiler is not None and not self.blocks.compiler.graphs:
            with clock("compile"):
                notes.append(self._compiled(denoiser, min(len(seeds), request.batch_size)))
        for first in range(0, len(seeds), request.batch_size):
            batch = seeds[first : first + request.batch_size]
            if watch is not None:
                watch.begin(len(batch))
            with clock("denoise"):
                latents, ran = self._denoise(request, denoiser, batch, first, on_step)
                ran |= {"regions": said.told()} if said.areas else {}
            maps += watch.maps(given) if watch is not None else []
            with clock("decode"):
                pixels = [to_uint8(self._decoded(row[None], notes))[0] for row in latents]
            for number, (seed, picture) in enumerate(zip(batch, pixels, strict=True), start=first):
                image = Image.fromarray(picture.cpu().numpy())
                if is_blank(image):
                    raise BlankPicture(
                        f"picture {number + 1} (seed {seed}) came out as one flat colour",
                        "try another seed or more steps; if it stays, verify the weights: python -m newbie verify",
                    )
                record = self._record(request, prompt, seed, ran)
                images.append(image)
                records.append(record)
                if on_picture is not None:
                    on_picture(number, image, record)
        if self.record is not None and (denoiser.biased or heatmaps):
            notes.append("no CUDA graphs: with regions, weights or heat-maps evaluations are not all alike")
        if denoiser.recorded and denoiser.recorded.failed:
            notes.append(f"no CUDA graphs, evaluations cannot be recorded here: {denoiser.recorded.failed}")
        work = {"texts_encoded": encoded.runs, **denoiser.work()}
        return Result(images, seeds, records, request, ran, clock.seconds, notes, work, maps)

    def _unlearnt_notes(self, prompt: Prompt) -> list[str]:
        words = unlearnt(prompt.reading.scene, self.vocabulary) if self.vocabulary is not None else []
        return [f"{self.name} never learnt: {', '.join(words)}"] if words else []

    def _said(self, request: Request, prompt: Prompt, encoded: Encoded) -> Plan:
        """What the prompts say of areas and weights."""
        given = [row["gemma"] for row in encoded.inputs]
        device = self.chosen["device"].value
        dtype = torch.float32 if device == "cpu" else devices.DTYPES[self.chosen["dtype"].value]
        readings = (prompt.reading, prompt.negative)
        said = plan(readings, given, request.regions or "", self._grid(request), device, dtype)
        if any(said.biases):
            self.kernel(bias=True)  # one that cannot serve is refused before the first step
        return said

    def _grid(self, request: Request) -> tuple[int, int]:
        """Rows and columns of image tokens."""
        assert request.height and request.width  # resolved
        side = self.vae.config.factor * self.transformer.config.patch_size
        return request.height // side, request.width // side

    def _denoiser(self, request: Request, encoded: Encoded, said: Plan) -> Denoiser:
        """What all pictures of a request share."""
        assert request.height and request.width and request.steps  # resolved
        assert request.sampler and request.schedule and request.shift
        factor = self.vae.config.factor
        schedule = times.resolve(request.schedule, request.sampler)
        return Denoiser(
            self.transformer,
            encoded.features,
            size=(request.height // factor, request.width // factor),
            grid=times.schedule(schedule, request.steps, shift=request.shift, sampler=request.sampler),
            sampler=request.sampler,
            guidance=Guidance.parse(request.cfg_scale or 0.0, request.cfg_trunc or "", request.cfg_renorm or 0.0),
            kernel=self.kernel,
            savings=self.savings,
            blocks=self.blocks.runner,
            same=encoded.same(0, 1),
            record=self.record,
            biases=said.biases,
        )

    def _compiled(self, denoiser: Denoiser, pictures: int) -> str:
        """Compile now, before the first picture, and tell what that costs and gains."""
        assert self.blocks.compiler is not None
        size = (pictures, self.vae.config.latent_channels, *denoiser.size)
        empty = torch.zeros(size, device=self.chosen["device"].value)
        compiled = replace(denoiser, velocities=[], tables=[], record=None)
        plain = replace(compiled, blocks=self.blocks.plain)
        first = float(denoiser.grid[0])
        gain = worth(
            self.blocks.compiler,
            lambda: plain.velocity(pictures)(empty, first),
            lambda: compiled.velocity(pictures)(empty, first),
        )
        return gain.told(compiled.velocities[0].evaluations)

    def _denoise(
        self, request: Request, denoiser: Denoiser, seeds: list[int], first: int, on_step: OnStep | None
    ) -> tuple[Tensor, dict[str, Any]]:
        """Latents (n, C, h, w) float32 of the pictures with these seeds, and what really ran."""
        assert request.schedule and request.sampler  # resolved
        n = len(seeds)
        velocity = denoiser.velocity(n)
        velocity.prepare()
        colours = cache(self._preview_colours)

        def report(index: int, count: int, x: Tensor, t: float, denoised: Tensor) -> None:
            if on_step is not None:
                on_step(StepEvent(index, count, first, n, t, lambda: _small_picture(colours(), denoised)))

        start = noise.draw(seeds, (self.vae.config.latent_channels, *denoiser.size)).to(self.chosen["device"].value)
        start = start * times.initial_scale(times.resolve(request.schedule, request.sampler), denoiser.grid)
        latents = solvers.SOLVERS[request.sampler](velocity, start, denoiser.grid, report)
        if not torch.isfinite(latents).all():
            raise BlankPicture(
                f"the transformer produced NaN or infinity (seeds {seeds[0]} to {seeds[-1]})",
                "use --dtype float32 or bf16; if it stays, verify the weights: python -m newbie verify",
            )
        ran = {**self.describe(), "attention": " + ".join(denoiser.kernels), "evaluations": velocity.index}
        ran["cuda_graphs"] = denoiser.work()["cuda_graphs"] > 0  # what was asked for may have failed
        return latents, ran

    def _arranged(self, transformer: NextDiT) -> accel.Blocks:
        """How the blocks run, with the weights where they are now."""
        if self.lodging is None:
            return accel.choose(transformer, leaves=self.settings.leaves, compile=self.settings.compile)
        if transformer is self.transformer and self.lodging.stays("transformer"):
            return self.blocks
        compiled = self.settings.compile
        return accel.choose(transformer, leaves=self.settings.leaves, compile=compiled, free=self.lodging.plan.spare)

    def _turn(self) -> AbstractContextManager[None]:
        return nullcontext() if self.lodging is None else self.lodging.turn()

    def _decoded(self, latents: Tensor, notes: list[str]) -> Tensor:
        """(1, C, h, w) -> (1, 3, H, W), in tiles as planned, or in smaller ones where memory does not suffice."""
        planned = Tiling(self.settings.vae_tile) if self.settings.vae_tile else None
        if self.lodging is not None:
            planned = self.lodging.plan.way.tiling
        tilings = [planned, *(Tiling(side) for side in (512, 256) if planned is None or side < planned.side)]
        for tiling, smaller in zip(tilings, [*tilings[1:], None], strict=True):
            try:
                return self.vae.decode(latents) if tiling is None else tiling.decode(self.vae, latents)
            except (MemoryError, RuntimeError) as error:
                if smaller is None or not is_shortage(error):
                    raise
            notes.append(f"too little memory to decode at once: decoded in tiles of {smaller.side} pixels")
        raise AssertionError("the last one returns or raises")

    def _preview_colours(self) -> Tensor:
        """The linear map from latents to colours; see `sampling.preview`."""
        device = next(self.vae.parameters()).device
        return preview.calibrate(lambda pixels: self.vae.latents(self.vae.encode(pixels.to(device))))

    def _record(self, request: Request, prompt: Prompt, seed: int, ran: dict[str, Any]) -> dict[str, Any]:
        """What is stored in the picture: enough to make it again."""
        return {
            "format": RECORD_FORMAT,
            "request": {**request.to_json(), "seed": seed, "count": 1},
            "canonical_prompt": canonical_text(prompt.reading.scene),
            "ran": ran,
            "versions": {"newbie": newbie.__version__, "torch": torch.__version__},
        }


def bundled() -> Path:
    """The folder of newbie-mini: beside the package in a clone, else below the current folder.

    Raises:
        WeightsError: it is in neither place.
    """
    for folder in (BUNDLED, Path.cwd() / "weights" / BUNDLED.name):
        if folder.is_dir():
            return folder
    raise WeightsError(
        "the bundled model weights/newbie-mini is not here",
        "run inside a clone of the repository, or name a model with --model",
    )


def _read_adapter(
    choice: AdapterChoice | Path | str, bare: NextDiT, allow_pickle: bool, say: Callable[[str], None]
) -> Worn:
    if not isinstance(choice, AdapterChoice):
        choice = AdapterChoice.parse(choice) if isinstance(choice, str) else AdapterChoice(str(choice))
    adapter = read_adapter(choice.path, bare, allow_pickle=allow_pickle)
    say(f"{adapter.report.summary()}, strength {choice.strength:g}")
    for warning in adapter.report.warnings():
        say(warning)
    return Worn(adapter, choice.strength)


class _Clock:
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


def _choices(settings: Settings, parts: Components) -> dict[str, devices.Choice]:
    device = devices.device(settings.device)
    return {
        "device": device,
        "dtype": devices.dtype(settings.dtype, device.value, parts.parameters),
        "vae_dtype": devices.vae_dtype(settings.vae_dtype, device.value),
    }


def _load_all(
    parts: Components, device: torch.device, chosen: Mapping[str, devices.Choice], quant: Quant
) -> tuple[Loaded[NextDiT, Any], Loaded[Any, Any], Loaded[Any, Any] | None, Loaded[Autoencoder, Any]]:
    """Transformer, text encoder, CLIP tower and autoencoder, to stay."""
    dtype = devices.DTYPES[chosen["dtype"].value]
    transformer = load_transformer(parts.transformer, device=device, dtype=dtype, quant=quant.rule("transformer"))
    words = load_gemma(parts.text_encoder, device=device, dtype=dtype, quant=quant.rule("text_encoder"))
    pooled = None
    if parts.clip is not None:
        pooled = load_jina(parts.clip, device=device, dtype=dtype, quant=quant.rule("clip"))
    decoder = load_vae(parts.vae, device=device, dtype=devices.DTYPES[chosen["vae_dtype"].value])
    require_fit(
        {
            "transformer": transformer.config,
            "text_encoder": words.config,
            "clip": None if pooled is None else pooled.config,
            "vae": decoder.config,
        }
    )
    return transformer, words, pooled, decoder


def is_shortage(error: BaseException) -> bool:
    """Whether memory ran out. On a CPU PyTorch reports it as a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


@contextmanager
def _memory_errors(device: str) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if is_shortage(error):
            raise MemoryShortage(
                f"out of memory on {device}", "try --memory auto, a smaller --size, --batch-size 1, or --dtype bf16"
            ) from error
        raise
    except KeyboardInterrupt as error:
        raise Cancelled from error


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


def _with(request: Request, **changes: Any) -> Request:
    return Request.from_json({**request.to_json(), **changes})


def _joined(results: Sequence[Result]) -> Result:
    seconds = {name: math.fsum(r.seconds.get(name, 0.0) for r in results) for name in results[0].seconds}
    return Result(
        images=[image for r in results for image in r.images],
        seeds=[seed for r in results for seed in r.seeds],
        records=[record for r in results for record in r.records],
        request=results[0].request,
        ran=results[0].ran,
        seconds=seconds,
        notes=[note for r in results for note in r.notes],
        work={name: sum(r.work[name] for r in results) for name in results[0].work},
    )
