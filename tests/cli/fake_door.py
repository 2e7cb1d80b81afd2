"""A pipeline that draws stripes from prompt and seed in no time, and create.py on top of it (when run as a script).

`python fake_door.py FLAGS` is create.py with this pipeline; FAKE_STEP_SECONDS slows its steps down.
"""

import copy
import os
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from newbie.errors import BlankPicture, MemoryShortage, PromptRefused, UsageError, WeightsError
from newbie.request import Recommended, Result, Settings


@dataclass
class FakeStep:
    index: int
    count: int
    picture: int = 0
    pictures: int = 1
    t: float = 0.0

    def preview(self):
        return Image.new("RGB", (8, 8), (self.index * 40 % 256, 100, 50))


def _no_draft(request):
    if request.plan == "draft":
        raise UsageError("newbie-fake has no preset draft", "it has: exact, fast")
    return {}


class FakePipeline:
    """Has what the doors use of newbie.Pipeline. `drawn` tells a test what happened."""

    def __init__(self, settings, *, weights="f0" * 32):
        self.settings = settings
        self.weights = weights
        self.recommended = Recommended(width=64, height=64, steps=4, cfg_scale=3.0, shift=1.0, preset=_no_draft)
        self.name = "newbie-fake"
        self.load_seconds = 0.01
        self.licences = ("newbie-fake: Apache-2.0",)
        self.drawn = []
        self.attention = "fake"
        self.adapters = []
        self.lean = False
        self.spent = False  # a leaner one has taken its weights

    @classmethod
    def open(cls, model=None, *, settings=None, on_note=None, **parts):
        if model == "missing":
            raise WeightsError("no model at missing", "check the name")
        pipeline = cls(settings or Settings())
        if on_note:
            on_note("a note while loading")
        return pipeline.with_adapters(*parts.get("lora", ()))

    def ran(self):
        return {**self.describe(), "evaluations": 8}

    def expected(self, request):
        return [f"preset {request.plan}: expected to be fast"] if request.plan == "fast" else []

    def reasons(self):
        return {"device": "no graphics device here", "dtype": "the model is small"}

    def describe(self):
        dtype = "float32" if self.settings.dtype == "auto" else self.settings.dtype
        return {
            "model": self.name,
            "weights": self.weights,
            "device": "cpu",
            "dtype": dtype,
            "vae_dtype": "float32",
            "attention": self.attention,
            "adapters": self.adapters,
            "caches": [],
        }

    def with_attention(self, name):
        if name not in ("fake", "tiled"):
            raise UsageError(f"there is no attention kernel {name!r}", "use one of: fake, tiled")
        switched = copy.copy(self)  # the same pictures
        switched.attention = name
        return switched

    def with_adapters(self, *adapters, on_note=None):
        for path, _ in adapters:
            if "missing" in path:
                raise WeightsError(f"{path}: no such file", "check the path")
            if on_note:
                on_note(f"{path}: LoRA for 3 modules")
        dressed = copy.copy(self)
        dressed.adapters = [
            {"file": Path(path).name, "sha256": f"{zlib.crc32(path.encode()):064x}", "strength": strength}
            for path, strength in adapters
        ]
        return dressed

    def leaner(self, *, on_note=None):
        """One step leaner, and no further."""
        if self.lean:
            raise MemoryShortage("there is no leaner way", "a smaller size")
        if on_note:
            on_note("too little memory: from here on lean")
        less = copy.copy(self)  # `drawn` is one list
        less.lean, less.attention, self.spent = True, "fake", True
        return less

    def generate(self, request, *, on_step=None, on_picture=None, heatmaps=False):
        assert not self.spent
        if "refuse_me" in request.prompt:
            raise PromptRefused("this is not drawn")
        if "blank_me" in request.prompt:
            raise BlankPicture("the picture is one flat colour", "another seed")
        if "huge_me" in request.prompt:
            raise MemoryShortage("too little memory", "a smaller size")
        if "bug_me" in request.prompt:
            raise RuntimeError("a bug\nwith two lines")
        drawn, records = [], []
        for number, seed in enumerate(request.seeds()):
            if "hungry_me" in request.prompt and not self.lean and number == 1:
                raise MemoryShortage("too little memory", "a smaller size")
            if number % request.batch_size == 0:
                self.steps(request, number, on_step)
            self.drawn.append((request.prompt, seed))
            image = stripes(request, seed)
            record = {
                "format": "newbie/1",
                "request": {**request.to_json(), "seed": seed, "count": 1},
                "canonical_prompt": request.prompt.strip(),
                "ran": self.ran(),
                "versions": {"newbie": "0.1.0", "torch": "none"},
            }
            drawn.append(image)
            records.append(record)
            if on_picture:
                on_picture(number, image, record)
        return Result(
            images=drawn,
            seeds=request.seeds(),
            records=records,
            request=request,
            ran=self.ran(),
            seconds={"text": 0.001, "denoise": 0.002, "decode": 0.001},
            notes=["character_2.position falls off the end"] if "too_long" in request.prompt else [],
        )

    def steps(self, request, number, on_step):
        for index in range(request.steps):
            time.sleep(float(os.environ.get("FAKE_STEP_SECONDS", "0")))
            if on_step:
                on_step(FakeStep(index, request.steps, number, min(request.batch_size, request.count)))


def stripes(request, seed):
    """A pattern that depends on everything the request says."""
    key = f"{request.prompt}|{request.negative}|{seed}|{request.steps}|{request.cfg_scale}|{request.sampler}"
    value = zlib.crc32(key.encode("utf-8", "surrogatepass"))
    image = Image.new("RGB", (request.width, request.height))
    for y in range(request.height):
        colour = ((value >> 3) + 7 * y) % 256, ((value >> 11) + 3 * y) % 256, ((value >> 19) + y) % 256
        image.paste(colour, (0, y, request.width, y + 1))
    return image


if __name__ == "__main__":
    from newbie.cli.create import main

    def opener(*given, **named):
        pipeline = FakePipeline.open(*given, **named)
        pipeline.licences = ()  # whoever tells them loads torch, which takes seconds
        return pipeline

    sys.exit(main(opener=opener))
