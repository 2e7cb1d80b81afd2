"""The one door to skia: shapes, cel shading and lines on a numpy picture.

Units: a Pen draws in whatever units its canvas is scaled to. Outside a figure that is hundredths of the picture's
height; inside a figure one unit is a hundredth of the width of the face (see `draw.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from newbie.errors import MissingExtra
from newbie.train.figures.palette import Rgb, Tone, mix

try:
    import skia
except ImportError:  # specs, captions and the probe's reader work without the drawing library
    skia = None

Path = Any  # skia.Path; the bindings carry no types
Point = tuple[float, float]
Segment = tuple[float, ...]


def shape(start: Point, *segments: Segment, close: bool = True) -> Path:
    """A path: two numbers are a line, four a quadratic curve, six a cubic one, ending at the last two."""
    path = skia.Path()
    path.moveTo(*start)
    for segment in segments:
        if len(segment) == 2:
            path.lineTo(*segment)
        elif len(segment) == 4:
            path.quadTo(*segment)
        else:
            path.cubicTo(*segment)
    if close:
        path.close()
    return path


def flow(points: Sequence[Point], *, close: bool = True) -> Path:
    """A smooth curve through all points (Catmull-Rom splines written as cubics)."""
    path = skia.Path()
    path.moveTo(*points[0])
    count = len(points)
    for i in range(count if close else count - 1):
        if close:
            a, b, c, d = (points[(i + k) % count] for k in (-1, 0, 1, 2))
        else:
            a, b, c, d = (points[min(max(i + k, 0), count - 1)] for k in (-1, 0, 1, 2))
        path.cubicTo(
            b[0] + (c[0] - a[0]) / 6, b[1] + (c[1] - a[1]) / 6,
            c[0] - (d[0] - b[0]) / 6, c[1] - (d[1] - b[1]) / 6,
            c[0], c[1],
        )  # fmt: skip
    if close:
        path.close()
    return path


def oval(x: float, y: float, rx: float, ry: float) -> Path:
    """An ellipse by its centre and radii."""
    path = skia.Path()
    path.addOval(skia.Rect.MakeLTRB(x - rx, y - ry, x + rx, y + ry))
    return path


@lru_cache(maxsize=4096)
def _fill(color: Rgb, alpha: int) -> Any:
    return skia.Paint(Color=skia.Color(*color, alpha), AntiAlias=True)


@lru_cache(maxsize=4096)
def _stroke(color: Rgb, width: float, alpha: int) -> Any:
    return skia.Paint(
        Color=skia.Color(*color, alpha),
        AntiAlias=True,
        Style=skia.Paint.kStroke_Style,
        StrokeWidth=width,
        StrokeCap=skia.Paint.kRound_Cap,
        StrokeJoin=skia.Paint.kRound_Join,
    )


@dataclass(frozen=True, slots=True)
class Look:
    """How a style draws: the width of its outlines (0 is none), how far they fade to violet, and whether it shades."""

    outline: float = 1.0
    fade: float = 0.0
    shading: bool = True


_FADED: Rgb = (150, 110, 150)  # pencil under washed colour


class Pen:
    """A canvas on an (H, W, 4) uint8 array. `line` is the width of an outline in the current units."""

    def __init__(self, pixels: npt.NDArray[np.uint8], line: float, look: Look = Look()) -> None:
        if skia is None:
            raise MissingExtra("skia-python", "train", "drawing training pictures")
        self.surface = skia.Surface(pixels, skia.ColorType.kRGBA_8888_ColorType)
        self.canvas = self.surface.getCanvas()
        self.line = line
        self.look = look

    def fill(self, path: Path, color: Rgb, alpha: int = 255) -> None:
        """A flat area."""
        self.canvas.drawPath(path, _fill(color, alpha))

    def stroke(self, path: Path, color: Rgb, width: float = 1.0, alpha: int = 255) -> None:
        """An outline or a crease, as wide as the look wants it; `width` is relative to the outline's."""
        if self.look.outline:
            ink = mix(color, _FADED, self.look.fade) if self.look.fade else color
            self.mark(path, ink, width * self.look.outline, alpha)

    def mark(self, path: Path, color: Rgb, width: float = 1.0, alpha: int = 255) -> None:
        """A line that is a thing of its own (a lash, a mouth, a stripe) and shows in every look."""
        self.canvas.drawPath(path, _stroke(color, round(self.line * width, 3), alpha))

    def edge(self, path: Path, tone: Tone, width: float = 1.0) -> None:
        """The outline of a solid. A look without lines leaves a thin edge of shadow: an arm shows before a body."""
        if self.look.outline:
            self.stroke(path, tone.line, width)
        else:
            self.mark(path, tone.shade, width * 0.75)

    def cel(self, path: Path, tone: Tone, shift: Point = (-4.0, -3.0), outline: float = 1.0) -> None:
        """A solid: shadow wherever the shape, moved by `shift`, no longer covers it, and a line around."""
        if self.look.shading:
            with self.clip(path):
                self.canvas.drawColor(skia.Color(*tone.shade))
                self.canvas.translate(*shift)
                self.fill(path, tone.base)
        else:
            self.fill(path, tone.base)
        if outline:
            self.edge(path, tone, outline)

    def shadow(self, path: Path, color: Rgb, alpha: int = 255) -> None:
        """A flat area of shadow or light, which a look without shading leaves out."""
        if self.look.shading:
            self.fill(path, color, alpha)

    def sweep(self, box: tuple[float, float, float, float], colors: Sequence[Rgb]) -> None:
        """Fill a rectangle (left, top, right, bottom) from colour to colour downwards; without shading, in bands."""
        left, top, right, bottom = box
        if not self.look.shading:
            bands = 3 * len(colors) - 2
            for k in range(bands):
                before, share = divmod(k * (len(colors) - 1) / (bands - 1), 1)
                color = mix(colors[int(before)], colors[min(int(before) + 1, len(colors) - 1)], share)
                y = top + (bottom - top) * k / bands
                self.fill(shape((left, y), (right, y), (right, bottom), (left, bottom)), color)
            return
        shader = skia.GradientShader.MakeLinear(
            [skia.Point(0, top), skia.Point(0, bottom)], [skia.Color(*color) for color in colors]
        )
        self.canvas.drawRect(skia.Rect.MakeLTRB(left, top, right, bottom), skia.Paint(Shader=shader))

    @contextmanager
    def clip(self, path: Path) -> Iterator[None]:
        """Draw inside a path only."""
        self.canvas.save()
        self.canvas.clipPath(path, skia.ClipOp.kIntersect, True)
        try:
            yield
        finally:
            self.canvas.restore()

    @contextmanager
    def placed(
        self, dx: float = 0.0, dy: float = 0.0, *, scale: float = 1.0, scale_x: float = 1.0, degrees: float = 0.0
    ) -> Iterator[None]:
        """Draw moved, then turned, then scaled; the outline keeps its width on paper under `scale`."""
        self.canvas.save()
        self.canvas.translate(dx, dy)
        self.canvas.rotate(degrees)
        self.canvas.scale(scale * scale_x, scale)
        self.line /= scale
        try:
            yield
        finally:
            self.line *= scale
            self.canvas.restore()
