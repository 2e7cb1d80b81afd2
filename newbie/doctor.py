"""`python -m newbie doctor`: what is installed, what this machine can do, and what to do about what is wrong."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from newbie import cgroup
from newbie.errors import NewbieError, UsageError

REQUIRED = {  # the oldest version that works
    "torch": "2.11",
    "safetensors": "0.6",
    "transformers": "5.0",
    "tokenizers": "0.22",
    "sentencepiece": "0.2.3",
    "pillow": "11.3",
    "lxml": "6.0",
    "huggingface-hub": "1.0",
    "numpy": "2.0",
    "platformdirs": "4.3",
    "filelock": "4.0",
    "tqdm": "4.67",
}
OPTIONAL = {  # the extra that brings it, and what it is for
    "flash-attn": ("flash", "faster attention on NVIDIA cards"),
    "xformers": ("xformers", "another fast attention for NVIDIA cards"),
    "skia-python": ("train", "drawing the pictures that newbie-mini learns from"),
    "prompt_toolkit": ("loop", "an editor for the prompt loop: it underlines mistakes and completes"),
    "diffusers": ("test", "the peer that the tests compare with"),
}
NVIDIA_VENDOR = "0x10de"
WHEELS = "https://download.pytorch.org/whl/cu130"
SELECTOR = "https://pytorch.org/get-started/locally"

State = Literal["fine", "note", "problem"]
SIGNS: dict[State, str] = {"fine": "ok", "note": "--", "problem": "!!"}


@dataclass(frozen=True)
class Row:
    """One fact. A problem has a remedy: something to type or to do."""

    name: str
    value: str
    state: State = "fine"
    remedy: str = ""


@dataclass(frozen=True)
class Section:
    title: str
    rows: tuple[Row, ...] = field(default_factory=tuple)

    @property
    def problems(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.state == "problem")


def report() -> list[Section]:
    """Everything there is to know about this installation. Loads torch where it is installed, changes nothing."""
    return [
        section("versions", system_rows, package_rows),
        section("optional packages", optional_rows),
        section("memory", memory_rows),
        section("processor", processor_rows),
        section("graphics", graphics_rows, nvidia_card),
        section("attention kernels", attention_rows),
        section("bundled model", bundled_rows),
    ]


def section(title: str, *parts: Callable[[], list[Row]]) -> Section:
    """A section of the report. Where a package is missing the rest must still come out."""
    rows: list[Row] = []
    for part in parts:
        try:
            rows += part()
        except ImportError as error:
            remedy = "install the packages marked as missing above, then run doctor again"
            rows.append(Row(title, f"cannot be looked at: {error}", "problem", remedy))
    return Section(title, tuple(rows))


def lines(sections: Sequence[Section]) -> list[str]:
    """The report as text: a sign, the name, the value; remedies on their own lines; a verdict at the end."""
    text: list[str] = []
    width = max((len(row.name) for section in sections for row in section.rows), default=0)
    for section in sections:
        text += [section.title]
        for row in section.rows:
            text.append(f"  {SIGNS[row.state]}  {row.name:<{width}}  {row.value}".rstrip())
            text += [f"      {'':<{width}}  -> {line}" for line in row.remedy.splitlines()]
        text.append("")
    count = sum(len(section.problems) for section in sections)
    text.append("no problems found" if count == 0 else f"{count} problem{'s' if count > 1 else ''} found (!!)")
    return text


def main(argv: Sequence[str], say: Callable[[str], None]) -> int:
    """Print the report through `say`. Returns 0 when all is well, 1 when something is wrong."""
    if argv:
        raise UsageError(f"doctor takes no argument, got {argv[0]!r}", "python -m newbie doctor")
    sections = report()
    for line in lines(sections):
        say(line)
    return 1 if any(section.problems for section in sections) else 0


# ---- versions


def system_rows() -> list[Row]:
    """Python and the operating system."""
    return [
        Row("python", f"{platform.python_version()} ({platform.python_implementation()})"),
        Row("system", f"{platform.system()} {platform.release()} on {platform.machine()}"),
        Row("newbie", installed("newbie") or "run from its folder, not installed"),
    ]


def installed(name: str) -> str | None:
    """The version of an installed distribution, without importing it."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def package_rows(version_of: Callable[[str], str | None] = installed) -> list[Row]:
    """The packages that newbie cannot do without."""
    rows = []
    for name, oldest in REQUIRED.items():
        version = version_of(name)
        if version is None:
            rows.append(Row(name, "missing", "problem", f'pip install "{name}>={oldest}"'))
        elif numbers(version) < numbers(oldest):
            why = f"{version}, older than {oldest}"
            rows.append(Row(name, why, "problem", f'pip install --upgrade "{name}>={oldest}"'))
        else:
            rows.append(Row(name, version))
    return rows


def numbers(version: str) -> tuple[int, ...]:
    """The leading whole numbers of a version: "2.13.0+cpu" is (2, 13, 0)."""
    found: list[int] = []
    for part in version.split("+")[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
    return tuple(found)


def optional_rows(version_of: Callable[[str], str | None] = installed) -> list[Row]:
    """Packages that add something; their absence is no problem."""
    rows = []
    for name, (extra, purpose) in OPTIONAL.items():
        version = version_of(name)
        absent = f'not installed; {purpose}: pip install "newbie[{extra}]"'
        rows.append(Row(name, version) if version else Row(name, absent, "note"))
    return rows


# ---- the machine


def memory_rows(meminfo: Path = Path("/proc/meminfo"), left: Callable[[], float] = cgroup.left) -> list[Row]:
    """Main memory, in GiB, and what a container leaves of it. Only Linux tells how much is free."""
    try:
        entries = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        total, free = (int(entries[key].split()[0]) / 2**20 for key in ("MemTotal", "MemAvailable"))
    except (OSError, KeyError, ValueError, IndexError):
        return [Row("memory", "unknown on this system", "note")]
    held = f"; this container or service may take {left() / 2**30:.1f} more" if left() / 2**30 < free else ""
    return [Row("memory", f"{total:.1f} GiB, {free:.1f} GiB of it free{held}")]


def processor_rows() -> list[Row]:
    """What torch makes of the processor, and the number formats that follow."""
    import torch

    from newbie import devices

    native = devices.native_bf16("cpu")
    vae = devices.vae_dtype("auto", "cpu")
    return [
        Row("instructions", torch.backends.cpu.get_cpu_capability()),
        Row("threads", str(devices.threads())),
        Row("bf16 in hardware", "yes" if native else "no: the autoencoder runs in float32 here"),
        Row("autoencoder", f"{vae.value} ({vae.reason})"),
    ]


def graphics_rows() -> list[Row]:
    """The device that would be used, and each card."""
    import torch

    from newbie import devices

    chosen = devices.device("auto")
    rows = [Row("device", f"{chosen.value} ({chosen.reason})")]
    for index in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(index)
        bf16 = "bf16" if devices.native_bf16(f"cuda:{index}") else "no bf16"
        memory = card.total_memory / 2**30
        rows.append(Row(f"cuda:{index}", f"{card.name}, {memory:.0f} GiB, sm_{card.major}{card.minor}, {bf16}"))
    return rows


def nvidia_present(
    *,
    which: Callable[[str], str | None] = shutil.which,
    driver: Path = Path("/proc/driver/nvidia"),
    pci: Path = Path("/sys/bus/pci/devices"),
) -> bool:
    """Whether the machine has an NVIDIA card, asked without torch: its tool, its driver, or the PCI bus."""
    if which("nvidia-smi") or driver.is_dir():
        return True
    return any(_says(device / "vendor", NVIDIA_VENDOR) and _says(device / "class", "0x03") for device in _inside(pci))


def _inside(folder: Path) -> Iterable[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _says(file: Path, start: str) -> bool:
    try:
        return file.read_text().startswith(start)
    except OSError:
        return False


def nvidia_card() -> list[Row]:
    """This machine's NVIDIA card against this installation's torch."""
    import torch

    return nvidia_rows(
        present=nvidia_present(),
        built_for=torch.version.cuda,
        usable=torch.cuda.is_available(),
        version=torch.__version__,
    )


def nvidia_rows(
    *, present: bool, built_for: str | None, usable: bool, version: str, system: str = platform.system()
) -> list[Row]:
    """NVIDIA card against torch. `built_for` is the CUDA version of torch, None for a CPU build."""
    if usable:
        return [Row("NVIDIA card", f"used by torch, built for CUDA {built_for}")]
    if not present:
        return [Row("NVIDIA card", "none found", "note")]
    if built_for is None:
        plain = version.split("+")[0]
        # The Linux wheels of the package index are made for CUDA, those for Windows are not.
        index = "https://pypi.org/simple" if system == "Linux" else WHEELS
        remedy = (
            f"pip install --force-reinstall torch=={plain} --index-url {index}\n"
            f"other CUDA versions: {SELECTOR}\n"
            "without this, everything runs on the processor"
        )
        return [Row("NVIDIA card", f"found, but torch {version} was built for the CPU only", "problem", remedy)]
    remedy = (
        "run nvidia-smi: if it fails, install or update the NVIDIA driver and restart\n"
        f"if it works, its CUDA version must be at least {built_for}; older drivers: {SELECTOR}\n"
        "CUDA_VISIBLE_DEVICES set to nothing also hides the card"
    )
    return [Row("NVIDIA card", f"found, but torch (built for CUDA {built_for}) cannot use it", "problem", remedy)]


# ---- newbie itself


def attention_rows() -> list[Row]:
    """Every kernel for the published model on the device that would be used: runs, or why not."""
    import torch

    from newbie import devices
    from newbie.attention.choose import choose, explain
    from newbie.model.config import RELEASE

    place = devices.device("auto").value
    name = devices.dtype("auto", place, 3_500_000_000).value
    case: dict[str, Any] = {
        "device": torch.device(place),
        "dtype": devices.DTYPES[name],
        "head_dim": RELEASE.head_dim,
        "n_heads": RELEASE.n_heads,
        "n_kv_heads": RELEASE.n_kv_heads,
        "masked": True,
    }
    rows = [Row("chosen", f"{choose('auto', **case).name} (NewBie-image-Exp0.1 in {name} on {place})")]
    for kernel, refusal in explain(**case):
        rows.append(Row(kernel, f"no: {refusal}", "note") if refusal else Row(kernel, "can run"))
    return rows


def bundled_rows() -> list[Row]:
    """The model that comes with the repository."""
    from newbie.pipeline import BUNDLED

    return model_rows(BUNDLED)


def model_rows(folder: Path) -> list[Row]:
    """Whether the bundled model is whole, judged by its names and shapes alone."""
    from newbie.checkpoints import verify

    if not folder.is_dir():
        return [Row(folder.name, "not found", "problem", "clone the repository again: the model is part of it")]
    try:
        found = verify(folder, quick=True)
    except NewbieError as error:
        return [Row(folder.name, error.message, "problem", error.hint)]
    if not found.ok:
        return [Row(problem.what, problem.detail, "problem", problem.hint) for problem in found.problems]
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20
    return [Row(folder.name, f"{size:.1f} MiB, {found}")]
