"""One setting tried on some prompts beside the exact pictures of the same seeds: what it gains, and what it costs.

    trials = Trials(drawer(pipeline), request, cases)
    tried = trials.run(Setting(accel="dbcache:threshold=0.2,delta"), timed=4)
    tried.speed, tried.evaluations, tried.error, tried.ssim

The exact picture is the request as it stands, without approximations. Times are those of whole pictures, words to
pixels, taken in turns (exact, setting, exact, setting ...), so that a slow minute falls on both; the speed is the ratio
of the medians. Everything else about an exact picture is found once and kept.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from statistics import fmean
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from newbie import Pipeline, Request
from newbie.calibrate.distance import psnr, ssim
from newbie.errors import UsageError

MOST_DECIBELS = 100.0  # of the same picture, whose distance is infinite, where a mean is taken


@dataclass(frozen=True)
class Setting:
    """What of a request is otherwise than in the exact one; None: as there."""

    accel: str = ""
    plan: str = ""
    steps: int | None = None
    shift: float | None = None
    sampler: str | None = None
    cfg_trunc: str | None = None

    def of(self, request: Request) -> Request:
        """The request with this setting, for `Pipeline.generate`."""
        return replace(request, **self.own, accel=self.accel, plan=self.plan)

    @property
    def own(self) -> dict[str, Any]:
        """The fields that differ, without approximations."""
        found = asdict(self)
        return {name: value for name, value in found.items() if name not in ("accel", "plan") and value is not None}

    def __str__(self) -> str:
        """As it is typed: "--steps 14 --shift 1 --accel delta"; nothing differs in "exact"."""
        typed = {name: value for name, value in asdict(self).items() if value not in ("", None)}
        order = ("steps", "shift", "sampler", "cfg_trunc", "plan", "accel")
        said = [f"--{name.replace('_', '-')} {_plain(typed[name])}" for name in order if name in typed]
        return " ".join(said) or "exact"

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value not in ("", None)}

    @classmethod
    def from_json(cls, values: object) -> Setting:
        """Raises UsageError for what is no setting; that its values are right is found when it is tried."""
        if not isinstance(values, Mapping):
            raise UsageError(f"a setting is an object, not {values!r:.60}", 'for example {"accel": "delta"}')
        known = {each.name: str(each.type) for each in fields(cls)}
        for name, value in values.items():
            if name not in known:
                raise UsageError(f"a setting has no field {name!r}", f"fields: {', '.join(known)}")
            right = str if "str" in known[name] else (int, float) if "float" in known[name] else int
            if not isinstance(value, right) or isinstance(value, bool):
                raise UsageError(f"a setting with {name} {value!r}", f"it should be {known[name].split(' | ')[0]}")
        setting = cls(**values)
        setting.of(Request()).check()
        return setting


class Case(NamedTuple):
    """A prompt with its seed."""

    prompt: str
    seed: int


class Drawn(NamedTuple):
    """A picture, and what it took."""

    image: Image.Image
    latents: Tensor  # (C, h, w) float32, on the CPU
    seconds: float  # from the words to the pixels
    requested: int  # evaluations that the solver asked for
    computed: int  # ... in which the stack ran
    work: float  # by operations, in whole evaluations of the request (guided ones, if it is)
    saved: float | None = None  # share of the operations, where statistics tell


Draw = Callable[[Request], Drawn]
OnPicture = Callable[[int, Drawn], object]  # told of each picture with a setting, by the number of its case
Perceptual = Callable[[Image.Image, Image.Image], float]  # a learnt distance, 0 for the same picture


class Sample(NamedTuple):
    """One picture beside the exact one of its seed."""

    error: float  # of the latents: |x - exact| / |exact|
    psnr: float  # decibels; infinite for the same picture
    ssim: float
    lpips: float | None = None


@dataclass(frozen=True)
class Trial:
    """What came of a setting. Properties are means over its samples unless they say otherwise."""

    setting: Setting
    samples: tuple[Sample, ...]
    seconds: tuple[float, ...]  # of the timed pictures, and of the exact ones drawn between them
    exact_seconds: tuple[float, ...]
    requested: float  # evaluations, means over the pictures
    computed: float
    work: float
    saved: float | None = None

    @property
    def speed(self) -> float:
        """Times as fast as exact: the ratio of the medians. NaN where nothing was timed."""
        if not self.seconds:
            return math.nan
        return statistics.median(self.exact_seconds) / statistics.median(self.seconds)

    @property
    def error(self) -> float:
        return fmean(each.error for each in self.samples)

    @property
    def median_error(self) -> float:
        """Of the typical picture: the mean belongs to the few that became others."""
        return statistics.median(each.error for each in self.samples)

    @property
    def psnr(self) -> float:
        return fmean(min(each.psnr, MOST_DECIBELS) for each in self.samples)

    @property
    def ssim(self) -> float:
        return fmean(each.ssim for each in self.samples)

    @property
    def lpips(self) -> float | None:
        """None where it was not measured."""
        found = [each.lpips for each in self.samples if each.lpips is not None]
        return fmean(found) if found else None

    def joined(self, other: Trial) -> Trial:
        """Both of them, of the same setting on other cases."""
        mine, others = len(self.samples), len(other.samples)

        def mean(a: float, b: float) -> float:
            return (a * mine + b * others) / (mine + others)

        return Trial(
            self.setting,
            self.samples + other.samples,
            self.seconds + other.seconds,
            self.exact_seconds + other.exact_seconds,
            mean(self.requested, other.requested),
            mean(self.computed, other.computed),
            mean(self.work, other.work),
            None if self.saved is None or other.saved is None else mean(self.saved, other.saved),
        )

    def to_json(self) -> dict[str, Any]:
        """Everything measured, and the means; `from_json` reads it again."""
        samples = [[str(v) if isinstance(v, float) and not math.isfinite(v) else v for v in s] for s in self.samples]
        means = {name: getattr(self, name) for name in ("speed", "error", "median_error", "psnr", "ssim", "lpips")}
        own = {name: getattr(self, name) for name in ("requested", "computed", "work", "saved")}
        return {
            "setting": self.setting.to_json(),
            "told": str(self.setting),
            **{name: _rounded(value) for name, value in (means | own).items()},
            "seconds": [_rounded(each) for each in self.seconds],
            "exact_seconds": [_rounded(each) for each in self.exact_seconds],
            "samples": [[_rounded(each) for each in sample] for sample in samples],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Trial:
        samples = tuple(Sample(*(float(v) if isinstance(v, str) else v for v in s)) for s in values["samples"])
        return cls(
            Setting.from_json(values["setting"]),
            samples,
            tuple(values["seconds"]),
            tuple(values["exact_seconds"]),
            values["requested"],
            values["computed"],
            values["work"],
            values["saved"],
        )


@dataclass
class Trials:
    """Tries settings on the same cases.

    Args:
        draw: makes a picture; `drawer` makes it of a pipeline.
        approximate: makes pictures with a setting, where it is not the same that makes the exact ones.
        request: of the exact pictures, prompt and seed aside.
        cases: prompts with their seeds.
        perceptual: a learnt distance of two pictures, if there is one.
    """

    draw: Draw
    request: Request
    cases: Sequence[Case]
    perceptual: Perceptual | None = None
    approximate: Draw | None = None
    _exact: dict[int, Drawn] = field(default_factory=dict)

    def exact(self, number: int) -> Drawn:
        """The exact picture of a case, drawn once. The first call draws another before it, so that none is cold."""
        if not self._exact:
            self.draw(self._asked(Setting(), number))
        if number not in self._exact:
            self._exact[number] = self.draw(self._asked(Setting(), number))
        return self._exact[number]

    def know(self, number: int, drawn: Drawn) -> None:
        """An exact picture that was drawn before."""
        self._exact[number] = drawn

    def run(
        self,
        setting: Setting,
        numbers: Sequence[int] | None = None,
        *,
        timed: int = 4,
        on_picture: OnPicture | None = None,
    ) -> Trial:
        """Try a setting on these cases (default: all), the first `timed` of them in turns with exact ones.

        Raises:
            UsageError: the setting does not fit the model or the request.
        """
        numbers = range(len(self.cases)) if numbers is None else numbers
        samples, seconds, exact_seconds, drawn = [], [], [], []
        for place, number in enumerate(numbers):
            exact = self.exact(number)
            if place == 0 and timed:
                self.with_setting(setting, number)  # what is made at the first use of a setting is no part of its time
            again = self.draw(self._asked(Setting(), number)) if place < timed else None
            mine = self.with_setting(setting, number)
            if again is not None:
                exact_seconds.append(again.seconds)
                seconds.append(mine.seconds)
            samples.append(self.sample(mine, exact))
            drawn.append(mine)
            if on_picture is not None:
                on_picture(number, mine)
        saved = [each.saved for each in drawn if each.saved is not None]
        return Trial(
            setting,
            tuple(samples),
            tuple(seconds),
            tuple(exact_seconds),
            fmean(each.requested for each in drawn),
            fmean(each.computed for each in drawn),
            fmean(each.work for each in drawn),
            fmean(saved) if len(saved) == len(drawn) else None,
        )

    def sample(self, mine: Drawn, exact: Drawn) -> Sample:
        """How far one picture is from the exact one."""
        learnt = None if self.perceptual is None else self.perceptual(mine.image, exact.image)
        return Sample(
            float((mine.latents - exact.latents).norm() / exact.latents.norm()),
            psnr(mine.image, exact.image),
            ssim(mine.image, exact.image),
            learnt,
        )

    def with_setting(self, setting: Setting, number: int) -> Drawn:
        """One picture."""
        return (self.approximate or self.draw)(self._asked(setting, number))

    def _asked(self, setting: Setting, number: int) -> Request:
        case = self.cases[number]
        return replace(setting.of(self.request), prompt=case.prompt, seed=case.seed, count=1)


# What a second is. On a machine that others use too, the processor's are the ones that can be trusted.
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}


def drawer(pipeline: Pipeline, clock: Callable[[], float] = time.perf_counter) -> Draw:
    """Draws with a pipeline. Texts are encoded before the clock starts: who draws a prompt first pays for no other."""

    def draw(request: Request) -> Drawn:
        said = pipeline.read(request.resolved(pipeline.recommended)).rendered
        with torch.no_grad():
            pipeline.text.encode([said.positive, said.negative], reuse=pipeline.savings.text_cache)
        began = clock()
        result = pipeline.generate(request)
        seconds = clock() - began
        requested = result.ran["evaluations"]
        did = result.ran.get("accel", {})
        computed = did.get("computed", requested)
        share = did["gflop_saved"] / did["gflop"] if did else None  # told only where something was left out
        work = requested * (1 - (share or 0.0))
        return Drawn(result.images[0], result.latents[0], seconds, requested, computed, work, share)

    return draw


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _rounded(value: Any) -> Any:
    """Five digits; NaN as text, which JSON does not know."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.5g}") if math.isfinite(value) else str(value)
