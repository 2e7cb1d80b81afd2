"""Where it was measured: the facts that a reader needs to judge a time."""

from __future__ import annotations

import os
import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from newbie import devices

PACKAGES = ("torch", "diffusers", "transformers", "triton", "flash-attn", "xformers", "sageattention", "numpy")


def facts(device: torch.device) -> dict[str, Any]:
    """Hardware and versions."""
    cuda = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if cuda else "cpu",
        "device_memory_gib": round(torch.cuda.get_device_properties(device).total_memory / 2**30, 1) if cuda else None,
        "cuda": torch.version.cuda if cuda else None,
        "cpu": torch.cpu.get_capabilities().get("cpu_name") or platform.processor() or platform.machine(),
        "cpu_cores": os.cpu_count(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_bf16_in_hardware": devices.native_bf16("cpu"),
        "threads": devices.threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": {name: number for name in PACKAGES if (number := _version(name))},
        "date": date.today().isoformat(),
    }


def label(device: torch.device) -> str:
    """A short name for file names: "cpu", "cpu-avx2", "h200"."""
    if device.type == "cuda":
        words = torch.cuda.get_device_name(device).lower().replace("nvidia", "").replace("geforce", "").split()
        return "-".join(words) or "cuda"
    if device.type == "cpu" and not torch.backends.cpu.get_cpu_capability().upper().startswith("AVX512"):
        return f"cpu-{torch.backends.cpu.get_cpu_capability().lower().replace(' ', '-')}"
    return device.type


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
