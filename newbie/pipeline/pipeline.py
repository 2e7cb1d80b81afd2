"""A loaded model, ready to draw: what it is made of, how it runs, and the doors to a picture.

The pipeline holds weights and choices, and nothing of a generation (`generation.Generation`): two can run at once on
one of them. How a model is loaded is told in `opening`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from newbie import devices
from newbie.accel import choose as accel
from newbie.accel import methods
from newbie.accel.calibration import CALIBRATED, Calibration, Named
from newbie.accel.graphs import Record, on_cuda
from newbie.accel.savings import Savings
from newbie.attention.choose import choose
from newbie.attention.kernel import Kernel
from newbie.checkpoints import Components, locate, weights_hash
from newbie.errors import MemoryShortage, UsageError
from newbie.lora import Adapter, Worn, attach, read_adapter
from newbie.lora import merge as merge_adapters
from newbie.memory.lodging import Lodging, empty
from newbie.memory.opening import leaner, told_leaner
from newbie.model.nextdit import NextDiT
from newbie.pipeline.early import refuse_early
from newbie.pipeline.events import OnPicture, OnStep
from newbie.pipeline.generation import Generation
from newbie.pipeline.opening import BUNDLED, bundled, opened
from newbie.pipeline.presets import fields_of, grid_of
from newbie.pipeline.shortage import memory_errors
from newbie.prompt.asked import Prompt, understood
from newbie.prompt.learnt import Vocabulary
from newbie.quant.layers import told
from newbie.request import AdapterChoice, Recommended, Request, Result, Settings
from newbie.text.encode import TextStack
from newbie.vae import Autoencoder


class Bare(NamedTuple):
    """A transformer without adapters, and how its blocks run."""

    transformer: NextDiT
    blocks: accel.Blocks


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
    parts: Components | None = None  # where everything lies
    drawing: Request | None = None  # for which memory was planned; None: for what the model recommends
    calibration: Calibration = field(default_factory=Calibration)  # what was measured for approximate accelerations

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
        drawing: Request | None = None,
        on_note: Callable[[str], None] | None = None,
        savings: Savings | None = None,
    ) -> Pipeline:
        """Load a model: a folder, a file, a hub id, or None for the bundled newbie-mini; parts can be replaced.

        Args:
            settings: device, dtypes, attention; "auto" is resolved here and reported by `describe`.
            allow_pickle: also read `.pth` files, with PyTorch's restricted unpickler.
            axes_dims: rotary channels of the three axes, for files whose shapes do not tell.
            lora, merge_lora: adapters; see `with_adapters`.
            drawing: what will be drawn: `settings.memory` is planned for it, else for what the model recommends; and
                accelerations that do not fit it are refused before weights load.
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
            spare=BUNDLED,
            on_note=say,
        )
        weights = weights_hash(parts)
        calibration = Calibration.read(parts.folder, parts.name, weights)
        if calibration.void:
            say(calibration.void)
        recommended = replace(parts.recommended, preset=partial(fields_of, calibration, parts.recommended))
        if drawing is not None:
            refuse_early(parts, drawing.resolved(recommended), weights, calibration)
        model_parts = opened(parts, settings, say, drawing=drawing, channels_last=savings.channels_last)
        pipeline = cls(
            **model_parts._asdict(),
            attention=settings.attention,
            recommended=recommended,
            name=parts.name,
            weights_hash=weights,
            load_seconds=time.perf_counter() - began,
            licences=tuple(parts.licences),
            savings=savings,
            vocabulary=parts.vocabulary,
            calibration=calibration,
            record=on_cuda if settings.cuda_graphs else None,
            settings=settings,
            parts=parts,
            drawing=drawing,
        )
        if lora:
            pipeline = pipeline.with_adapters(*lora, merge=merge_lora, allow_pickle=allow_pickle, on_note=say)
        pipeline.kernel()  # a kernel that cannot serve is refused now, not after the text has been encoded
        return pipeline

    @classmethod
    def from_pretrained(cls, model: str | Path | None = None, **options: Any) -> Pipeline:
        """`open` under the name people know."""
        return cls.open(model, **options)

    def leaner(self, *, on_note: Callable[[str], None] | None = None) -> Pipeline:
        """The same model in the next way that needs less memory, with the same adapters, for when memory ran out.

        This pipeline's weights leave before others come: neither it nor one that shares them can be used any more.

        Raises:
            MemoryShortage: there is no leaner way.
        """
        settings = leaner(self.settings, None if self.lodging is None else self.lodging.plan)
        if settings is None or self.parts is None:
            raise MemoryShortage("there is no way in which this model needs less memory", "try a smaller --size")
        say = on_note or (lambda note: None)
        say(f"too little memory: {told_leaner(settings)}")
        self._emptied()
        began = time.perf_counter()
        parts = opened(self.parts, settings, say, drawing=self.drawing, channels_last=self.savings.channels_last)
        pipeline = replace(
            self,
            **parts._asdict(),
            attention=settings.attention,
            load_seconds=time.perf_counter() - began,
            settings=settings,
            adapters=(),
            merged=False,
            bare=None,
        )
        return pipeline._wearing(self.adapters, False, say) if self.adapters else pipeline

    def _emptied(self) -> None:
        clip = self.text.jina
        for network in (self.transformer, self.text.gemma.model, None if clip is None else clip.model, self.vae):
            if network is not None:
                empty(network)
        if self.lodging is not None and self.lodging.stream is not None:
            self.lodging.stream.close()

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
        """Draw; `pipeline(prompt, height=256, width=256).images[0]` is a Pillow picture.

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
        with memory_errors(self.chosen["device"].value):
            worn = tuple(_read_adapter(each, bare.transformer, allow_pickle, say) for each in adapters)
        return self._wearing(worn, merged, say)

    def _wearing(self, worn: tuple[Worn, ...], merged: bool, say: Callable[[str], None]) -> Pipeline:
        """The same model wearing adapters that have been read."""
        bare = self.bare or Bare(self.transformer, self.blocks)
        with memory_errors(self.chosen["device"].value), self._turn():
            if self.lodging is not None:
                self.lodging.bring("transformer")
            transformer = (merge_adapters if merged else attach)(bare.transformer, worn)
            blocks = self.arranged(transformer)
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

    def expected(self, request: Request) -> list[str]:
        """What a preset that is asked for was measured to gain and to cost, to be told before it draws."""
        lines = []
        named = Named.read(request.plan)
        if named is not None:
            resolved = request.resolved(self.recommended)
            lines.append(self.calibration.preset(resolved.plan, grid_of(resolved)).told(named.name))
        if self.adapters and (named or CALIBRATED & {choice.name for choice in methods.parse(request.accel)}):
            lines.append("the model was measured without adapters: with them gain and error are others")
        return lines

    def read(self, request: Request) -> Prompt:
        """Read and render a request's prompts as the encoders will get them. Runs no network.

        Raises:
            PromptError: the prompt cannot be read, or will not be drawn.
        """
        return understood(request)

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
        with torch.no_grad(), exact, memory_errors(device), self._turn():
            return Generation(self, request, heatmaps).run(on_step, on_picture)

    def arranged(self, transformer: NextDiT) -> accel.Blocks:
        """How the blocks run, with the weights where they are now."""
        if self.lodging is None:
            return accel.choose(transformer, leaves=self.settings.leaves, compile=self.settings.compile)
        if transformer is self.transformer and self.lodging.stays("transformer"):
            return self.blocks
        compiled = self.settings.compile
        return accel.choose(transformer, leaves=self.settings.leaves, compile=compiled, free=self.lodging.plan.spare)

    def _turn(self) -> AbstractContextManager[None]:
        return nullcontext() if self.lodging is None else self.lodging.turn()


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
        peak_memory=max(r.peak_memory for r in results),
        latents=[each for r in results for each in r.latents],
    )
