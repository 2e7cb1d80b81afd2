"""How far a drawing is: a bar on terminals, a line now and then elsewhere, on request the picture as it emerges."""

from __future__ import annotations

import shutil
import time
from types import TracebackType
from typing import Any, Protocol

from PIL import Image

from newbie.cli.console import Console, wants_colour

SECONDS_BETWEEN_LINES = 5.0
MIN_COLUMNS, MAX_COLUMNS = 32, 48  # of a preview; latents of small pictures are tiny
_BAR = "{desc}  {percentage:3.0f}% |{bar:24}| {n_fmt}/{total_fmt} steps  {elapsed} gone, {remaining} left"


class StepEvent(Protocol):
    """What the pipeline tells after each step of a picture (or of `pictures` computed together)."""

    index: int
    count: int
    picture: int
    pictures: int

    def preview(self) -> Image.Image: ...


class Progress:
    """The progress of a run of `pictures` pictures. Used as a context: leaving it clears the bar."""

    def __init__(self, console: Console, *, pictures: int = 1, preview: bool = False) -> None:
        self.console = console
        self.pictures = pictures
        self.preview = preview and console.live and wants_colour(console.err)
        self._label = ""
        self._before = 0  # pictures of earlier requests
        self._now = 0  # pictures of this request
        self._bar: Any = None
        self._started = self._told = time.monotonic()
        self._drawn_rows = 0
        if preview and not self.preview:
            console.warn("--preview needs a terminal with colours: no preview is shown")

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()
        if self._bar is not None:
            self._bar.close()

    def begin(self, label: str, pictures: int, steps: int) -> None:
        """The next request begins; `label` names it. The bar stands before the first, perhaps slow, step."""
        if not self._now:
            self._started = self._told = time.monotonic()
        self._before += self._now
        self._now = pictures
        self._label = label
        if self.console.live and not self.preview:
            self._advance(self._before * steps, max(self.pictures, self._before + pictures) * steps)

    def step(self, event: StepEvent) -> None:
        """One step is done. Meant as the `on_step` of `Pipeline.generate`."""
        done = (self._before + event.picture) * event.count + (event.index + 1) * event.pictures
        total = max(self.pictures, self._before + self._now) * event.count
        if self.preview:
            line = f"{self._label}  step {event.index + 1}/{event.count}{self._left(done, total)}"
            self._draw(event.preview(), line)
        elif self.console.live:
            self._advance(done, total)
        elif not self.console.quiet:
            self._tell(done, total)

    def clear(self) -> None:
        """Make room for a line of text; the bar comes back with the next step."""
        if self._bar is not None:
            self._bar.clear()
        self._drawn_rows = 0

    def _advance(self, done: int, total: int) -> None:
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=total, file=self.console.err, leave=False, bar_format=_BAR, ncols=80, nrows=24)
        self._bar.ncols = shutil.get_terminal_size().columns - 1  # windows change size; 80 where it is not known
        self._bar.total = total
        self._bar.set_description_str(self._label, refresh=False)
        self._bar.n = done
        self._bar.refresh()

    def _tell(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._told >= SECONDS_BETWEEN_LINES:
            self._told = now
            self.console.say(f"{self._label}  {100 * done // total} %{self._left(done, total)}")

    def _left(self, done: int, total: int) -> str:
        seconds = (time.monotonic() - self._started) / done * (total - done)
        return f", about {seconds:.0f} s left" if done < total else ""

    def _draw(self, image: Image.Image, line: str) -> None:
        rows = half_blocks(image, min(max(image.width, MIN_COLUMNS), MAX_COLUMNS))
        up = f"\x1b[{self._drawn_rows}A" if self._drawn_rows else ""
        self.console.raw(up + "".join(f"\x1b[2K{row}\n" for row in [*rows, line]))
        self._drawn_rows = len(rows) + 1


def half_blocks(image: Image.Image, columns: int) -> list[str]:
    """The picture as terminal rows: each character shows two pixels, the upper in front of the lower."""
    rows = max(1, round(image.height / image.width * columns / 2))
    small = image.convert("RGB").resize((columns, rows * 2))
    lines = []
    for row in range(rows):
        cells = []
        for column in range(columns):
            upper, lower = (small.getpixel((column, 2 * row + k)) for k in (0, 1))
            cells.append("\x1b[38;2;{};{};{};48;2;{};{};{}m\u2580".format(*upper, *lower))  # type: ignore[misc]
        lines.append("".join(cells) + "\x1b[0m")
    return lines
