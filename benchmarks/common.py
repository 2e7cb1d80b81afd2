"""Where it was measured, and writing it down."""

from __future__ import annotations

import json
import platform
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).resolve().parent / "results"


def machine() -> dict[str, Any]:
    """The facts a reader needs to judge a time."""
    return {
        "cpu": torch.cpu.get_capabilities().get("cpu_name", platform.processor()),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers", "diffusers")},
        "date": date.today().isoformat(),
        "command": " ".join(["python", Path(sys.argv[0]).relative_to(RESULTS.parent.parent).as_posix(), *sys.argv[1:]])
        if Path(sys.argv[0]).is_absolute()
        else " ".join(["python", *sys.argv]),
    }


def write(name: str, values: dict[str, Any]) -> None:
    """Print the result and keep it in `results/NAME.json`."""
    text = json.dumps({"machine": machine(), **values}, indent=1)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")
