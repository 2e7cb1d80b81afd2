"""`python -m newbie lora`: what adapters hold and whether they fit a transformer; with --output, merge them into it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from newbie.errors import OutputError
from newbie.flags import Parser
from newbie.request import AdapterChoice

if TYPE_CHECKING:
    import torch

    from newbie.checkpoints.source import Source
    from newbie.lora import Adapter
    from newbie.model.nextdit import NextDiT

# Layouts of one file, and what stands before every name there.
LAYOUTS = {"official": "", "diffusers": "", "comfyui": "model.diffusion_model."}


def parser() -> Parser:
    made = Parser(
        prog="python -m newbie lora",
        description="Say what LoRA and LoKr adapters hold, and which of their keys fit a transformer. With --output: "
        "write that transformer with the adapters merged into it.",
    )
    made.add_argument("adapters", nargs="+", metavar="FILE[:STRENGTH]", help="an adapter file or a trainer's folder")
    made.add_argument("--model", "-m", metavar="PATH", help="folder or transformer file; default: newbie-mini")
    made.add_argument("--keys", action="store_true", help="list every module and every key that is not used")
    made.add_argument("--json", action="store_true", help="one JSON object per adapter")
    made.add_argument("--output", "-o", metavar="FILE", help="merge into this safetensors file, in the base's format")
    made.add_argument("--layout", choices=tuple(LAYOUTS), default="official", help="names in that file")
    made.add_argument("--overwrite", action="store_true", help="replace that file")
    made.add_argument("--allow-pickle", action="store_true", help="read .pth files (tensors only, never code)")
    return made


def main(arguments: Sequence[str], say: Callable[[str], None]) -> int:
    """Exit code 0; 4 for adapters that are damaged or for another model."""
    from newbie.checkpoints.plan import plan_load
    from newbie.lora import Worn, read_adapter

    asked = parser().strict(arguments)
    choices = [AdapterChoice.parse(text) for text in asked.adapters]
    output = Path(asked.output) if asked.output else None
    if output is not None and output.exists() and not asked.overwrite:
        raise OutputError(f"{output} exists already", "choose another name, or --overwrite")
    source = _transformer(asked.model, asked.allow_pickle)
    plan = plan_load(source)
    # Names and shapes are enough to judge an adapter: no weights are read.
    bare = cast("NextDiT", plan.module)
    worn = [Worn(read_adapter(path, bare, allow_pickle=asked.allow_pickle), strength) for path, strength in choices]
    for adapter, _ in worn:
        for line in _lines(adapter, keys=asked.keys, as_json=asked.json):
            say(line)
    if output is not None:
        _write_merged(source, worn, output, asked.layout, _stored_dtype(plan.index.dtypes))
        if not asked.json:
            say(f"{output}: {source.name} with {len(worn)} adapter{'s' * (len(worn) > 1)} merged")
    return 0


def _transformer(model: str | None, allow_pickle: bool) -> Source:
    from newbie.checkpoints.components import find_in_tree
    from newbie.checkpoints.source import find
    from newbie.pipeline import bundled

    path = bundled() if model is None else Path(model).expanduser()
    if path.is_dir():
        return find_in_tree("transformer", path, allow_pickle=allow_pickle)
    return find("transformer", path, allow_pickle=allow_pickle)


def _lines(adapter: Adapter, *, keys: bool, as_json: bool) -> list[str]:
    report = adapter.report
    if as_json:
        hashes = {"sha256": adapter.sha256, "config_sha256": adapter.config_sha256}
        return [json.dumps(dataclasses.asdict(report) | hashes, ensure_ascii=False)]
    if keys:
        return [*report.lines(), f"  sha256 {adapter.sha256}"]
    return [report.summary(), *(f"  {warning}" for warning in report.warnings())]


def _write_merged(source: Source, worn: Sequence[tuple[Adapter, float]], output: Path, layout: str, dtype: str) -> None:
    from newbie.checkpoints import load_transformer, save_weights
    from newbie.devices import DTYPES
    from newbie.lora import Worn, merge

    stored: torch.dtype = DTYPES[dtype]
    base = load_transformer(source, dtype=stored, decode=True)
    merged = merge(base.module, [Worn(*each) for each in worn])
    names = "" if layout == "comfyui" else layout
    save_weights(output, merged.state_dict(), "transformer", base.config, layout=names, prefix=LAYOUTS[layout])


def _stored_dtype(dtypes: dict[str, int]) -> str:
    """The number format most of the weights have in the file; compressed ones are written as bfloat16."""
    return {"float32": "float32", "float16": "fp16"}.get(next(iter(dtypes)), "bf16")
