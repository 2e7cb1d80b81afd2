"""A rehearsal with a model of full size and random weights: does it fit as the planner says, from prompt to picture?

    python benchmarks/rehearsal.py make FOLDER [--size SIZE]     in the official layout: full (about 16 GB), transformer
                                                                 (that alone as published, 8 GB), small (0.6 GB)
    python benchmarks/rehearsal.py run FOLDER [--pixels 256] [--steps 2] [--out FILE.json] [WAY ...]

`run` draws one picture for each way in a process of its own (of --offload, or an amount for --memory, perhaps with
"+SCHEME" for --quant, as in "3GB+nf4" or "blocks"), and compares the largest resident memory with what was planned.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

WAYS = (
    "none", "text", "parts", "blocks", "layers", "parts+w8a8", "parts+int8", "parts+nf4", "text+nf4", "none+nf4",
    "5GB", "3GB+nf4",
)  # fmt: skip
DTYPE = torch.bfloat16
PIECE = 2**24  # numbers drawn at a time


def configs(size: str) -> dict[str, Any]:
    """The shape of each part: as published, with text encoders of a few layers, or a third as wide."""
    from newbie.model.config import RELEASE, NextDiTConfig
    from newbie.text.gemma import GemmaConfig
    from newbie.text.jina import JinaConfig
    from newbie.vae import AutoencoderConfig

    if size == "full":
        return {
            "transformer": RELEASE,
            "text_encoder": GemmaConfig(),
            "clip_model": JinaConfig(),
            "vae": AutoencoderConfig(),
        }
    if size == "transformer":
        return {
            "transformer": RELEASE,
            "text_encoder": GemmaConfig(vocab_size=32_000, num_hidden_layers=2),
            "clip_model": JinaConfig(vocab_size=16_000, num_hidden_layers=1),
            "vae": AutoencoderConfig(),
        }
    transformer = NextDiTConfig(
        dim=768, n_layers=12, n_heads=12, n_kv_heads=4, axes_dims=(16, 24, 24), cap_feat_dim=640, clip_text_dim=512
    )
    gemma = GemmaConfig(
        vocab_size=32_000, hidden_size=640, intermediate_size=2560, num_hidden_layers=13, num_attention_heads=4,
        num_key_value_heads=2, head_dim=160, query_pre_attn_scalar=160,
    )  # fmt: skip
    jina = JinaConfig(
        vocab_size=16_000, hidden_size=512, num_hidden_layers=6, num_attention_heads=8, intermediate_size=2048
    )
    return {
        "transformer": transformer,
        "text_encoder": gemma,
        "clip_model": jina,
        "vae": AutoencoderConfig(block_out_channels=(64, 128, 128, 128)),
    }


def make(folder: Path, size: str) -> None:
    """Write a model folder with random weights, a few numbers at a time."""
    from newbie.checkpoints.save import config_json
    from newbie.model.nextdit import NextDiT
    from newbie.text.gemma import build_gemma
    from newbie.text.jina import JinaTextTower
    from newbie.vae import Autoencoder

    mini = ROOT / "weights" / "newbie-mini"
    builders = {"transformer": NextDiT, "text_encoder": build_gemma, "clip_model": JinaTextTower, "vae": Autoencoder}
    shutil.copytree(mini, folder, ignore=shutil.ignore_patterns("*.safetensors", "config.json", "newbie.json", "*.md"))
    (folder / "newbie.json").write_text(json.dumps({"name": f"rehearsal-{size}"}))
    for name, config in configs(size).items():
        with torch.device("meta"):
            network = builders[name](config)
        part = "clip" if name == "clip_model" else name
        (folder / name / "config.json").write_text(json.dumps(config_json(part, config)))  # type: ignore[arg-type]
        file = "model" if name in ("text_encoder", "clip_model") else "diffusion_pytorch_model"
        write(folder / name / f"{file}.safetensors", network)


def write(path: Path, network: nn.Module) -> None:
    """Random weights of a network, of a size that keeps numbers from growing on their way."""
    from newbie.checkpoints.header import arranged, header_bytes
    from newbie.checkpoints.places import as_bytes

    state = network.state_dict()
    places = arranged({name: (DTYPE, tuple(tensor.shape)) for name, tensor in state.items()})
    generator = torch.Generator().manual_seed(0)
    with path.open("wb") as file:
        file.write(header_bytes(places, {"format": "pt"}))
        for place in places:
            count = math.prod(place.shape)
            fan_in = math.prod(place.shape[1:]) if len(place.shape) > 1 else 1
            for start in range(0, count, PIECE):
                numbers = torch.randn(min(PIECE, count - start), generator=generator)
                numbers = numbers * fan_in**-0.5 if len(place.shape) > 1 else 1 + 0.01 * numbers
                file.write(as_bytes(numbers.to(DTYPE)))
    print(f"{path}: {path.stat().st_size / 1e9:.2f} GB")


def one(folder: Path, way: str, pixels: int, steps: int) -> dict[str, Any]:
    """One picture in this process: planned and measured."""
    from newbie import Pipeline, Request, Settings
    from newbie.memory import opening
    from newbie.memory.amount import told
    from newbie.memory.meter import Meter

    how, _, quant = way.partition("+")
    given = {"offload": how} if how in opening.OFFLOAD else {"memory": how}
    # The plan is made for the picture that is drawn, not for the one the model recommends.
    card = json.loads((folder / "newbie.json").read_text())
    (folder / "newbie.json").write_text(json.dumps(card | {"width": pixels, "height": pixels, "steps": steps}))
    notes: list[str] = []
    settings = Settings(device="cpu", dtype="bf16", quant=quant, **given)
    with Meter() as loading:
        began = time.perf_counter()
        pipeline = Pipeline.open(folder, settings=settings, on_note=notes.append)
        loaded = time.perf_counter() - began
    with Meter() as drawing:
        result = pipeline.generate(Request(prompt="1girl, blue_hair, smile", seed=1))
    assert pipeline.lodging is not None
    plan = pipeline.lodging.plan
    peak = max((loading.peak, drawing.peak), key=lambda resident: resident.whole)
    return {
        "way": way,
        "took": plan.way.name,
        "planned": plan.peak,
        "measured": peak.whole,
        "own": peak.own,
        "mapped": peak.mapped,
        "off": plan.peak / peak.whole - 1,
        "stages": {name: plan.machine.before + size for name, size in plan.stages.items()},
        "loading": loading.peak.whole,
        "drawing": drawing.peak.whole,
        "load_seconds": loaded,
        "seconds": result.seconds,
        "plan": notes,
        "line": f"{way:<12} planned {told(plan.peak)}, measured {told(peak.whole)} "
        f"(own {told(peak.own)}, mapped {told(peak.mapped)}): {100 * (plan.peak / peak.whole - 1):+.1f} %",
    }


def run(folder: Path, ways: list[str], pixels: int, steps: int, out: Path | None) -> None:
    """Each way in a process of its own: what one leaves in memory would count for the next."""
    from newbie.bench.machine import facts

    results = []
    for way in ways:
        command = [sys.executable, __file__, "one", str(folder), way, "--pixels", str(pixels), "--steps", str(steps)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{way:<12} failed: {done.stderr.strip().splitlines()[-1]}")
            continue
        results.append(json.loads(done.stdout.splitlines()[-1]))
        print(results[-1].pop("line"), flush=True)
        if out is not None:  # after each: the whole takes long
            name = json.loads((folder / "newbie.json").read_text())["name"]
            about = {"model": name, "pixels": pixels, "steps": steps, "dtype": "bf16", **facts(torch.device("cpu"))}
            out.write_text(json.dumps({**about, "ways": results}, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("make", "run", "one"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("ways", nargs="*", default=[])
    parser.add_argument("--size", choices=("full", "transformer", "small"), default="full")
    parser.add_argument("--pixels", type=int, default=256)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--out", type=Path)
    given = parser.parse_intermixed_args()
    if given.what == "make":
        make(given.folder, given.size)
    elif given.what == "one":
        print(json.dumps(one(given.folder, given.ways[0], given.pixels, given.steps)))
    else:
        run(given.folder, given.ways or list(WAYS), given.pixels, given.steps, given.out)


if __name__ == "__main__":
    main()
