"""A rehearsal with a model of full size and random weights: does it fit as the planner says, from prompt to picture?

    python benchmarks/rehearsal.py make FOLDER [--size SIZE]     in the official layout: full (about 16 GB), transformer
                                                                 (that alone as published, 8 GB), small (0.6 GB)
    python benchmarks/rehearsal.py run FOLDER [--pixels 256] [--steps 2] [--out FILE.json] [WAY ...]
    python benchmarks/rehearsal.py create FOLDER [--pixels 256] [--steps 2] [--out FILE.json] [WAY ...]

`run` draws one picture for each way in a process of its own (of --offload, or an amount for --memory, perhaps with
"+SCHEME" for --quant, as in "3GB+nf4" or "blocks"), and compares the largest resident memory with what was planned.
`create` does so as anybody would: `create.py`, from prompts/duo.xml to a PNG, watched from outside (10GB, if no way is
named). Whatever is in FILE.json of the same model stays there, so ways may be measured one after another.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

WAYS = (
    "none", "text", "parts", "blocks", "layers", "parts+w8a8", "parts+int8", "parts+nf4", "text+nf4", "none+nf4",
    "5GB", "3GB+nf4",
)  # fmt: skip
DTYPE = torch.bfloat16
PIECE = 2**24  # numbers at a time


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
    """Write a model folder with random weights, a piece at a time."""
    from newbie.checkpoints.save import config_json
    from newbie.model.nextdit import NextDiT
    from newbie.text.gemma import build_gemma
    from newbie.text.jina import JinaTextTower
    from newbie.vae import Autoencoder

    mini = ROOT / "weights" / "newbie-mini"
    builders = {"transformer": NextDiT, "text_encoder": build_gemma, "clip_model": JinaTextTower, "vae": Autoencoder}
    shutil.copytree(
        mini,
        folder,
        ignore=shutil.ignore_patterns("*.safetensors", "config.json", "newbie.json", "acceleration.json", "*.md"),
    )
    (folder / "newbie.json").write_text(json.dumps({"name": f"rehearsal-{size}"}))
    for name, config in configs(size).items():
        with torch.device("meta"):
            network = builders[name](config)
        part = "clip" if name == "clip_model" else name
        (folder / name / "config.json").write_text(json.dumps(config_json(part, config)))  # type: ignore[arg-type]
        file = "model" if name in ("text_encoder", "clip_model") else "diffusion_pytorch_model"
        write(folder / name / f"{file}.safetensors", network)


def write(path: Path, network: nn.Module) -> None:
    """Random weights of a network, of a size that keeps numbers from growing on their way.

    They are drawn once, and each piece begins somewhere else in them: eight billion new ones would take an hour, and
    memory and time do not depend on them.
    """
    from newbie.checkpoints.header import arranged, header_bytes
    from newbie.checkpoints.places import as_bytes

    state = network.state_dict()
    places = arranged({name: (DTYPE, tuple(tensor.shape)) for name, tensor in state.items()})
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(2 * PIECE, generator=generator).to(DTYPE)
    with path.open("wb") as file:
        file.write(header_bytes(places, {"format": "pt"}))
        for place in places:
            count = math.prod(place.shape)
            fan_in = math.prod(place.shape[1:]) if len(place.shape) > 1 else 1
            for start in range(0, count, PIECE):
                begin = int(torch.randint(PIECE, (1,), generator=generator))
                numbers = drawn[begin : begin + min(PIECE, count - start)]
                numbers = numbers * fan_in**-0.5 if len(place.shape) > 1 else 1 + 0.01 * numbers
                file.write(as_bytes(numbers))
    print(f"{path}: {path.stat().st_size / 1e9:.2f} GB")


def one(folder: Path, way: str, pixels: int, steps: int) -> dict[str, Any]:
    """One picture in this process: planned and measured."""
    from newbie import Pipeline, Request, Settings
    from newbie.memory.meter import Meter

    request = Request(prompt="1girl, blue_hair, smile", seed=1, width=pixels, height=pixels, steps=steps)
    notes: list[str] = []
    settings = Settings(device="cpu", dtype="bf16", **asked(way))
    with Meter() as loading:
        began = time.perf_counter()
        pipeline = Pipeline.open(folder, settings=settings, drawing=request, on_note=notes.append)
        loaded = time.perf_counter() - began
    with Meter() as drawing:
        result = pipeline.generate(request)
    assert pipeline.lodging is not None
    plan = pipeline.lodging.plan
    peak = max((loading.peak, drawing.peak), key=lambda resident: resident.whole)
    return {
        "way": way,
        "took": plan.way.name,
        **compared(way, plan.peak, max(loading.highest, drawing.highest), peak),
        "stages": {name: plan.machine.before + size for name, size in plan.stages.items()},
        "loading": loading.peak.whole,
        "drawing": drawing.peak.whole,
        "load_seconds": loaded,
        "seconds": result.seconds,
        "plan": notes,
    }


def through_create(folder: Path, way: str, pixels: int, steps: int) -> dict[str, Any]:
    """One picture by `create.py`: what it says that it will need, and what the system says that it took."""
    from newbie.memory import amount
    from newbie.memory.meter import Meter

    picture = folder.with_name(f"{folder.name}.png")
    flags = {"--model": folder, "--prompt": ROOT / "prompts" / "duo.xml", "--output": picture, "--device": "cpu"}
    flags |= {"--dtype": "bf16", "--size": f"{pixels}x{pixels}", "--steps": steps, "--seed": 1}
    flags |= {f"--{name}": value for name, value in asked(way).items() if value}
    command = [sys.executable, str(ROOT / "create.py"), "--overwrite"]
    command += [str(each) for flag in flags.items() for each in flag]
    began = time.perf_counter()
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process,
        Meter(0.05, process.pid) as meter,  # it shares the processor with what it watches
    ):
        assert process.stdout is not None
        said = process.stdout.read().splitlines()
    seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit("\n".join(said))
    expected = next(found for line in said if (found := re.search(r"expected peak for .*?: ([\d.]+ \w+)", line)))
    with Image.open(picture) as image:
        assert image.size == (pixels, pixels)
    picture.unlink()
    return {
        "way": way,
        **compared(way, amount.parse(expected[1]), meter.highest, meter.peak),
        "whole_seconds": seconds,
        "said": [line.replace(str(folder.parent) + "/", "") for line in said],
    }


def asked(way: str) -> dict[str, str]:
    """The settings that a way stands for."""
    from newbie.memory import opening

    how, _, quant = way.partition("+")
    return {"offload" if how in opening.OFFLOAD else "memory": how, "quant": quant}


def compared(way: str, planned: int, highest: int, seen: Any) -> dict[str, Any]:
    """`highest` is what the system noted, `seen` the moment at which most was found by looking now and then."""
    from newbie.memory.amount import told

    measured = max(highest, seen.whole)
    return {
        "planned": planned,
        "measured": measured,
        "own": seen.own,
        "mapped": seen.mapped,
        "off": planned / measured - 1,
        "line": f"{way:<12} planned {told(planned)}, measured {told(measured)} "
        f"(own {told(seen.own)}, mapped {told(seen.mapped)}): {100 * (planned / measured - 1):+.1f} %",
    }


def run(what: str, folder: Path, ways: list[str], pixels: int, steps: int, out: Path | None) -> None:
    """Each way in a process of its own: what one leaves in memory would count for the next."""
    from newbie.bench.machine import facts

    name = json.loads((folder / "newbie.json").read_text())["name"]
    about = {"model": name, "pixels": pixels, "steps": steps, "dtype": "bf16", **facts(torch.device("cpu"))}
    before = json.loads(out.read_text()) if out is not None and out.exists() else {}
    same = all(before.get(key) == value for key, value in about.items() if key != "date")
    results = [each for each in before["ways"] if each["way"] not in ways] if same else []
    for way in ways:
        command = [sys.executable, __file__, what, str(folder), way, "--pixels", str(pixels), "--steps", str(steps)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{way:<12} failed: {done.stderr.strip().splitlines()[-1]}")
            continue
        results.append(json.loads(done.stdout.splitlines()[-1]))
        print(results[-1].pop("line"), flush=True)
        if out is not None:  # after each: the whole takes long
            out.write_text(json.dumps({**about, "ways": results}, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("make", "run", "create", "one", "one-create"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("ways", nargs="*", default=[])
    parser.add_argument("--size", choices=("full", "transformer", "small"), default="full")
    parser.add_argument("--pixels", type=int, default=256)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--out", type=Path)
    given = parser.parse_intermixed_args()
    if given.what == "make":
        make(given.folder, given.size)
    elif given.what.startswith("one"):
        measure = one if given.what == "one" else through_create
        print(json.dumps(measure(given.folder, given.ways[0], given.pixels, given.steps)))
    else:
        what, ways = ("one", list(WAYS)) if given.what == "run" else ("one-create", ["10GB"])
        run(what, given.folder, given.ways or ways, given.pixels, given.steps, given.out)


if __name__ == "__main__":
    main()
