"""Which device and number format to use, and why. The one place that reads the environment."""

from __future__ import annotations

import errno
import math
import os
from pathlib import Path
from typing import NamedTuple

import platformdirs
import torch

from newbie import cgroup
from newbie.errors import UsageError

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_ALIASES = {"fp32": "float32", "bfloat16": "bf16", "float16": "fp16", "half": "fp16"}
# Below this size float32 weights are no burden on a CPU, and pictures are the same in any batch: in bf16 the steps of
# newbie-mini take two thirds of the time, but its pictures differ by up to 34 of 255 levels between batches, not 5.
SMALL_MODEL_PARAMETERS = 500_000_000
# Of compiled programs: how many oneDNN keeps, and how many of each kind torch records. A size of newbie-mini has 55.
PROGRAMS = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64", "LRU_CACHE_CAPACITY": "12"}


class Choice(NamedTuple):
    """A device or a number format, and the reason in half a sentence."""

    value: str
    reason: str


def device(name: str = "auto") -> Choice:
    """Resolve a device name: "auto", "cpu", "cuda", "cuda:1", "mps".

    Raises:
        UsageError: the device does not exist here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return Choice("cuda", torch.cuda.get_device_name(0))
        if torch.backends.mps.is_available():
            return Choice("mps", "Apple graphics")
        return Choice("cpu", "no graphics device that torch can use")
    try:
        wanted = torch.device(name)
    except RuntimeError:
        raise UsageError(f"unknown device {name!r}", "auto, cpu, cuda, cuda:0, mps") from None
    if wanted.type == "cuda":
        if not torch.cuda.is_available():
            built = torch.version.cuda or torch.version.hip
            why = "torch sees no such card" if built else "this torch was built for the CPU only"
            raise UsageError(f"device {name} cannot be used: {why}", "python -m newbie doctor tells more")
        if (wanted.index or 0) >= torch.cuda.device_count():
            raise UsageError(f"device {name} does not exist", f"there are {torch.cuda.device_count()} cards")
    elif wanted.type == "mps":
        if not torch.backends.mps.is_available():
            raise UsageError("device mps cannot be used here", "use --device cpu")
    elif wanted.type != "cpu":
        raise UsageError(f"device {name!r} is not supported", "auto, cpu, cuda, cuda:0, mps")
    return Choice(name, "asked for")


def native_bf16(device_name: str) -> bool:
    """Whether the device multiplies bf16 in hardware; on a CPU, also whether torch and oneDNN may use it."""
    kind = torch.device(device_name).type
    if kind == "cuda":
        return torch.cuda.get_device_capability(torch.device(device_name)) >= (8, 0)
    if kind != "cpu":
        return False
    if "AVX512" not in torch.backends.cpu.get_cpu_capability().upper():
        return False
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    if limit and not ("BF16" in limit or "AMX" in limit or limit in ("ALL", "DEFAULT", "AVX10_1_512")):
        return False
    return bool(torch.cpu.get_capabilities().get("avx512_bf16") or torch.cpu.get_capabilities().get("amx_bf16"))


def matrix_tiles(device_name: str) -> bool:
    """Whether a CPU has AMX, whatever torch and oneDNN may use of it. Where it has, torch's own attention is made of
    products that the processor is good at, and ours gains nothing on it."""
    return torch.device(device_name).type == "cpu" and bool(torch.cpu.get_capabilities().get("amx_bf16"))


def dtype(name: str, device_name: str, parameters: int) -> Choice:
    """The number format of the transformer and the text encoders.

    Raises:
        UsageError: unknown name, or a format that would be useless here.
    """
    name = _ALIASES.get(name, name)
    kind = torch.device(device_name).type
    if name == "auto":
        if kind == "cuda":
            fast = native_bf16(device_name)
            return Choice("bf16", "the card computes bf16") if fast else Choice("fp16", "the card is older than bf16")
        if parameters <= SMALL_MODEL_PARAMETERS:
            return Choice(
                "float32",
                "a small model: the same picture in any batch and on any processor, which bf16 would not keep",
            )
        if native_bf16(device_name):
            return Choice("bf16", "this processor computes bf16: faster than float32, and half the memory")
        return Choice("bf16", "half the memory of float32")
    if name not in DTYPES:
        raise UsageError(f"unknown dtype {name!r}", "auto, " + ", ".join(DTYPES))
    if name == "fp16" and kind == "cpu":
        raise UsageError(
            "fp16 is not used on a CPU: its products are emulated there, slower than float32",
            "--dtype bf16 or --dtype float32",
        )
    return Choice(name, "asked for")


def vae_dtype(name: str, device_name: str) -> Choice:
    """The number format of the autoencoder: bf16 where the hardware has it, else float32, and told.

    Raises:
        UsageError: unknown name, or fp16, whose range the FLUX autoencoder leaves.
    """
    name = _ALIASES.get(name, name)
    if name == "fp16":
        raise UsageError("the autoencoder is not run in fp16: its activations overflow", "--vae-dtype bf16")
    if name not in ("auto", "bf16", "float32"):
        raise UsageError(f"unknown vae dtype {name!r}", "auto, bf16, float32")
    if name == "float32":
        return Choice("float32", "asked for")
    if native_bf16(device_name):
        return Choice("bf16", "bf16 in hardware" if name == "auto" else "asked for")
    return Choice("float32", "this device has no bf16 in hardware")


def free_memory(device: str = "cpu") -> int:
    """Bytes of a card, or of main memory without pushing others out; 0 where the system does not tell.

    Where this process may have so many addresses only (`ulimit -v`), not more than are left of them; nor more than its
    container, or whatever else it is put into, leaves it (`cgroup`).
    """
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(device)[0]
    return int(min(proc_sizes("meminfo").get("MemAvailable", 0), _addresses_left(), cgroup.left()))


def peak_memory(device: str = "cpu") -> int:
    """The most bytes that torch held on a card, or the process in main memory, since it began; 0 where nobody tells."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    return proc_sizes("self/status").get("VmHWM", 0)


def is_shortage(error: BaseException) -> bool:
    """Whether memory ran out. On a CPU torch reports it as a plain RuntimeError, and a mapped file as an OSError."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def _addresses_left() -> float:
    try:
        import resource
    except ImportError:  # another system
        return math.inf
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return math.inf if limit == resource.RLIM_INFINITY else max(limit - proc_sizes("self/status").get("VmSize", 0), 1)


def proc_sizes(name: str) -> dict[str, int]:
    """What Linux tells in kilobytes in a file of /proc, in bytes; nothing on other systems, or where it is gone."""
    try:
        lines = (Path("/proc") / name).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    sizes = (line.partition(":") for line in lines if line.endswith(" kB"))
    return {key: int(value.split()[0]) * 1024 for key, _, value in sizes}


def keep_few_programs() -> None:
    """Let oneDNN keep fewer programs that it compiled for a shape, and torch fewer records of them: PROGRAMS.

    Of each product of a new length each of the two keeps 0.3 MB, and 1024 of them: half a gigabyte, in the end, of
    lengths that may never come again. They read this when they first compute in a process. What a person set stays.
    """
    for name, count in PROGRAMS.items():
        os.environ.setdefault(name, count)


def keep_compiled() -> Path:
    """Let torch keep what it compiles in the user's cache folder, or where TORCHINDUCTOR_CACHE_DIR says; returns it."""
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    name = "TORCHINDUCTOR_CACHE_DIR"
    # torch sets the variable to its own default, which a restart of the machine empties, when it first looks.
    if os.environ.get(name) in (None, default_cache_dir()):
        os.environ[name] = str(platformdirs.user_cache_path("newbie") / "compiled")
    return Path(os.environ[name])


def threads() -> int:
    """How many threads torch uses for one product."""
    return torch.get_num_threads()
