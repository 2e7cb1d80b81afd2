"""Draw what a report asks for. Pictures that are there already, by the same weights for the same request, are kept."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from newbie import Request, images
from newbie.errors import UsageError
from newbie.request import Recommended, Result
from newbie.train.figures import PictureSpec, canvas
from newbie.train.report.suites import Task, as_tasks
from newbie.train.studio import Picture

TELL_EVERY = 32
# Of what really ran: these may differ between two pictures that count as the same.
INDIFFERENT = ("threads", "attention", "evaluations")


class Engine(Protocol):
    """The part of `newbie.Pipeline` that is needed here."""

    @property
    def recommended(self) -> Recommended: ...

    def describe(self) -> dict[str, Any]: ...

    def generate(self, request: Request) -> Result: ...


def draw_pictures(
    pipeline: Engine,
    what: Sequence[PictureSpec | Task],
    request: Request,
    *,
    folder: Path | None = None,
    since: float = 0.0,
    say: Callable[[str], None] | None = None,
) -> list[Picture]:
    """One picture (H, W, 3) uint8 for each spec or task; picture i has the seed `request.seed` + i.

    The height of `request` is the side of a square; other shapes have about as many pixels. With `folder` the
    pictures are kept there as PNG files with their records, and those of an interrupted run are not drawn again, unless
    they are older than `since` (seconds of the epoch): a request names its plan, and does not say what was in it.

    Raises:
        NewbieError: see `Pipeline.generate`.
    """
    request = request.resolved(pipeline.recommended)
    tell = say or (lambda text: None)
    pictures: list[Picture] = []
    drawn, began = 0, time.monotonic()
    tasks = as_tasks(what)
    for i, task in enumerate(tasks):
        wanted = request_of(task, request, i)
        path = folder / f"{task.name}.png" if folder is not None else None
        kept = _kept(path, wanted, pipeline, since) if path is not None else None
        if kept is not None:
            pictures.append(kept)
            continue
        result = pipeline.generate(wanted)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            images.save(result.images[0], path, result.records[0], overwrite=True)
        pictures.append(np.asarray(result.images[0].convert("RGB")))
        for note in result.notes:
            tell(f"{task.name}: {note}")
        drawn += 1
        if drawn % TELL_EVERY == 0:
            left = (time.monotonic() - began) / drawn * (len(tasks) - i - 1)
            tell(f"drawn {i + 1} of {len(tasks)}, {left / 60:.1f} min to go")
    if drawn < len(tasks):
        tell(f"{len(tasks) - drawn} of {len(tasks)} pictures were there already")
    return pictures


def request_of(task: Task, request: Request, number: int) -> Request:
    """The request for picture `number`."""
    assert request.height
    width, height = canvas(task.shape, request.height)
    return dataclasses.replace(
        request, prompt=task.prompt, seed=request.seed + number, width=width, height=height, count=1, batch_size=1
    )


def _kept(path: Path, wanted: Request, pipeline: Engine, since: float) -> Picture | None:
    """The picture at `path`, if it is this request's and these weights drew it, no earlier than `since`."""
    if not path.is_file() or path.stat().st_mtime < since:
        return None
    try:
        record = images.read_record(path)
    except UsageError:
        return None
    now = pipeline.describe()
    ran = record.record.get("ran", {})
    if record.request != wanted or any(ran.get(key) != now[key] for key in now if key not in INDIFFERENT):
        return None
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except OSError:  # half a file
        return None
