"""Pictures decoded in tiles beside the same decoded at once: memory, time, and what can be seen of the seams.

    python benchmarks/tiling.py [--sides 1024 2048] [--tiles 512 256] [--vae FOLDER] [--out FILE.json]

With the bundled autoencoder. What is decoded is our gallery, enlarged to 1024 pixels and encoded; for other sides its
latents are enlarged. Of memory the peak is told that the process itself takes beside what it held before. A seam would
be a jump between neighbouring pixels where tiles overlap: told are the mean jump there, divided by that elsewhere, and
by that in the same places of the picture decoded at once.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from newbie.bench.machine import facts
from newbie.checkpoints import load_vae
from newbie.devices import DTYPES, keep_few_programs, vae_dtype
from newbie.memory.activations import of_decoding
from newbie.memory.heap import apart, give_back
from newbie.memory.meter import Meter
from newbie.vae import Autoencoder, from_uint8
from newbie.vae.tiling import Tiling

ROOT = Path(__file__).resolve().parents[1]
ENCODED = 1024  # pixels
WHOLE = 0  # a tile of no size: the picture at once


def latents_of(vae: Autoencoder, sides: list[int]) -> dict[int, Tensor]:
    """Scaled latents by the side of the square that they are decoded to."""
    image = from_uint8(torch.from_numpy(np.array(Image.open(ROOT / "docs/images/gallery.webp").convert("RGB"))[None]))
    corner = min(image.shape[2:])
    picture = F.interpolate(image[..., :corner, :corner], (ENCODED, ENCODED), mode="bicubic", antialias=True)
    encoded = vae.latents(vae.encode(picture.clamp(-1, 1)))
    return {side: F.interpolate(encoded, size=(side // vae.config.factor,) * 2, mode="bilinear") for side in sides}


def decoded(vae: Autoencoder, latents: Tensor, tile: int) -> tuple[Tensor, dict[str, Any]]:
    """The picture, and what it took."""
    tiling = Tiling(tile) if tile else None
    give_back()
    with Meter() as meter:
        began = time.process_time()
        pixels = vae.decode(latents) if tiling is None else tiling.decode(vae, latents)
        seconds = time.process_time() - began  # of processors: the same on a busy machine
    height, width = latents.shape[2:]
    planned = of_decoding(vae.config, (height, width), vae.decoder.conv_in.weight.dtype, tiling)
    return pixels, {"tile": tile, "cpu_seconds": seconds, "peak": meter.peak.own - meter.before.own, "planned": planned}


def overlapped(size: int, tile: int, factor: int) -> Tensor:
    """Along one side, which steps between neighbouring pixels lie where two tiles are mixed."""
    cuts = Tiling(tile).cuts(size, factor)
    across = torch.zeros(size * factor - 1, dtype=torch.bool)
    for before, after in pairwise(cuts):
        across[after.start * factor : before.stop * factor - 1] = True
    return across


def seams(pixels: Tensor, whole: Tensor, tile: int, factor: int) -> dict[str, float]:
    """Differences of a square picture in tiles to the same at once, of a range of 2; and jumps where tiles overlap."""
    apart = (pixels - whole).abs()
    across = overlapped(pixels.shape[3] // factor, tile, factor)
    jumps = [(x.diff(dim=3).abs().mean((0, 1, 2)) + x.diff(dim=2).abs().mean((0, 1, 3))) / 2 for x in (pixels, whole)]
    ours, theirs = jumps
    return {
        "mean_difference": float(apart.mean()),
        "max_difference": float(apart.max()),
        "jumps_to_elsewhere": float(ours[across].mean() / ours[~across].mean()),
        "jumps_to_at_once": float(ours[across].mean() / theirs[across].mean()),
    }


def told(row: dict[str, Any]) -> str:
    """A measurement as a line."""
    name = f"tiles of {row['tile']}" if row["tile"] else "at once"
    text = f"{row['side']}x{row['side']}, {name}: {row['peak'] / 1e6:.0f} MB ({row['planned'] / 1e6:.0f} planned)"
    text += f", {row['cpu_seconds']:.1f} s of a processor"
    if row["tile"]:
        text += f"; {row['times_lower']:.1f} times less; differs by {row['mean_difference']:.4f}, at most "
        text += f"{row['max_difference']:.3f}; jumps {row['jumps_to_elsewhere']:.3f} of those elsewhere, "
        text += f"{row['jumps_to_at_once']:.3f} of those at once"
    return text


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[1024, 2048])
    parser.add_argument("--tiles", type=int, nargs="+", default=[512, 256])
    parser.add_argument("--vae", type=Path, default=ROOT / "weights/newbie-mini/vae")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    keep_few_programs()
    dtype = DTYPES[vae_dtype("auto", "cpu").value]
    with apart():
        vae = load_vae(given.vae, dtype=dtype).module.channels_last()
    rows: list[dict[str, Any]] = []
    with torch.no_grad(), apart():  # as pictures are decoded for which there is a plan
        latents = latents_of(vae, given.sides)
        vae.decode(next(iter(latents.values()))[..., :8, :8])  # what libraries load when they first compute
        for side, its in latents.items():
            pictures = {tile: decoded(vae, its, tile) for tile in (*given.tiles, WHOLE)}
            whole, at_once = pictures.pop(WHOLE)
            for tile, (pixels, row) in pictures.items():
                row |= seams(pixels, whole, tile, vae.config.factor)
                row["times_lower"] = at_once["peak"] / row["peak"]
            for row in (at_once, *(row for _, row in pictures.values())):
                rows.append({"side": side, **row})
                print(told(rows[-1]), flush=True)
    if given.out is not None:
        values = {"dtype": str(dtype).removeprefix("torch."), "decoded": rows, **facts(torch.device("cpu"))}
        given.out.write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    main()
