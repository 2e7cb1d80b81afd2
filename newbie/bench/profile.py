"""`bench profile`: where the time of a picture goes, from the prompt to the pixels.

Stages are timed without a profiler. Inside the denoising loop torch's profiler says which operations the steps consist
of; it slows Python down and operations hardly, so what the operations do not explain of the unprofiled time is Python
and the dispatch of operations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor
from torch._C._autograd import DeviceType
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, record_function

from newbie.accel import choose as accel
from newbie.accel.savings import Savings
from newbie.attention.kernel import Kernel, Needs, SequenceInfo
from newbie.bench.options import Options
from newbie.bench.sizes import Size, build
from newbie.bench.timing import Timing, significant
from newbie.pipeline import Pipeline, StepEvent
from newbie.request import Request, Settings

Say = Callable[[str], None]
ATTENTION = "newbie: attention"  # the range that the profiler records
PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::linear", "aten::matmul", "mkldnn::")
PROMPT = (
    "<character_1>\n<gender>1girl</gender>\n<appearance>blue_hair, twintails, green_eyes</appearance>\n"
    "<clothing>white_serafuku</clothing>\n</character_1>"
)


@dataclass(frozen=True)
class Marked:
    """A kernel that the profiler can tell from other products."""

    inner: Kernel

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def needs(self) -> Needs:
        return self.inner.needs

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, seq: SequenceInfo) -> Tensor:
        """q (B, L, H, D), k and v (B, L, K, D) -> (B, L, H, D)."""
        with record_function(ATTENTION):
            return self.inner(q, k, v, seq)


@dataclass(frozen=True, eq=False, repr=False)
class Watched(Pipeline):
    """The same pipeline, its attention marked."""

    def kernel(self, *args: Any, **options: Any) -> Kernel:
        return Marked(super().kernel(*args, **options))


def pipeline_of(size: Size, options: Options, savings: Savings | None = None) -> Pipeline:
    """A whole pipeline with a transformer of this size: random weights, the text encoders and the decoder of
    newbie-mini, whose words and pooled vector it is made to take."""
    settings = Settings(device=str(options.device), dtype=options.dtype_name)
    mini = Pipeline.open(settings=settings, savings=savings)
    if size.name.startswith("mini"):
        return mini
    own = mini.transformer.config
    config = replace(size.config, cap_feat_dim=own.cap_feat_dim, clip_text_dim=own.clip_text_dim)
    transformer = build(config, options.device, options.dtype, options.seed)
    return replace(mini, transformer=transformer, blocks=accel.choose(transformer), name=size.name)


def measure(size: Size, options: Options, say: Say) -> dict[str, Any]:
    """Seconds per stage, and shares of what a step consists of."""
    pipeline = pipeline_of(size, options)
    request = Request(prompt=PROMPT, width=size.side, height=size.side, steps=options.steps, seed=options.seed)
    pipeline.generate(request)  # warm up
    results = [pipeline.generate(request) for _ in range(options.repeats)]
    stages = {name: Timing(tuple(each.seconds[name] for each in results)) for name in ("text", "denoise", "decode")}
    say(f"{size.name}: " + ", ".join(f"{name} {timing.median:.3g} s" for name, timing in stages.items()))
    parts, busy = profiled(pipeline, request, options)
    step = stages["denoise"].median / options.steps
    explained = sum(parts.values())
    parts["Python and dispatch"] = max(step - explained, 0.0)
    for name, seconds in parts.items():
        say(f"{size.name}: {name} {seconds * 1e3:.3g} ms of {step * 1e3:.3g} ms per step")
    return {
        "size": {"name": size.name, "about": size.about, "side": size.side},
        "steps": options.steps,
        "ran": results[0].ran,
        "stages": {name: timing.to_json() for name, timing in stages.items()},
        "step_seconds": significant(step),
        "step_parts": {name: significant(seconds) for name, seconds in parts.items()},
        "gpu_utilisation": None if busy is None else significant(min(busy / step, 1.0), 3),
    }


def profiled(pipeline: Pipeline, request: Request, options: Options) -> tuple[dict[str, float], float | None]:
    """Seconds per step of products, attention and everything else; and, on a card, in which it computed anything.

    The first step is left out: it prepares.
    """
    watched = Watched(**{field.name: getattr(pipeline, field.name) for field in fields(pipeline)})
    cuda = options.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    recorder = torch.profiler.profile(activities=activities, acc_events=True)

    def on_step(event: StepEvent) -> None:
        if event.index == 0:
            recorder.start()
        elif event.index == event.count - 1:
            if cuda:
                torch.cuda.synchronize(options.device)
            recorder.stop()

    watched.generate(request, on_step=on_step)
    events = recorder.events() or []
    steps = options.steps - 1
    parts = shares(events, on_device=cuda)
    busy = union(kernel_intervals(events)) if cuda else None
    if busy is not None:  # kernels that no operation of torch started: fused leaves, compiled or written in Triton
        parts["element-wise"] += max(busy - sum(parts.values()), 0.0)
    return {name: seconds / steps for name, seconds in parts.items()}, None if busy is None else busy / steps


def shares(events: Iterable[FunctionEvent], *, on_device: bool) -> dict[str, float]:
    """Seconds of operations by kind; of a card, the time of the kernels that each operation started."""
    seconds: Counter[str] = Counter({"products": 0.0, "attention": 0.0, "element-wise": 0.0})
    for event in events:
        if event.device_type != DeviceType.CPU or event.name.startswith(("ProfilerStep", "[")):
            continue
        own = event.self_device_time_total if on_device else event.self_cpu_time_total
        seconds[kind(event)] += own / 1e6
    return dict(seconds)


def kind(event: FunctionEvent) -> str:
    """Of an operation: the ranges around it decide first."""
    around: FunctionEvent | None = event
    while around is not None:
        if around.name == ATTENTION or "scaled_dot_product" in around.name:
            return "attention"
        around = around.cpu_parent
    return "products" if event.name.startswith(PRODUCTS) else "element-wise"


def kernel_intervals(events: Iterable[FunctionEvent]) -> list[tuple[float, float]]:
    """When something ran on the card, microseconds."""
    return [(event.time_range.start, event.time_range.end) for event in events if event.device_type == DeviceType.CUDA]


def union(intervals: Sequence[tuple[float, float]]) -> float:
    """Seconds that intervals of microseconds cover together."""
    covered, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return covered / 1e6
